"""A made lead for tests: waves of known place on a slow drift."""

import numpy as np

from agile_bench.api import Recording


def lead(fs: float, beats: np.ndarray, seconds: float, r: float = 1.0, s: float = -0.25) -> np.ndarray:
    """P, R, S and T waves (Gaussians) at the given times of R, in mV, with noise of 5 uV."""
    t = np.arange(int(seconds * fs)) / fs
    x = 0.2 * np.sin(2 * np.pi * 0.15 * t) + np.random.default_rng(7).normal(0, 0.005, len(t))
    for beat in beats:
        for height, delay, width in ((0.1, -0.16, 0.02), (r, 0, 0.01), (s, 0.035, 0.012), (0.25, 0.26, 0.04)):
            x += height * np.exp(-0.5 * ((t - beat - delay) / width) ** 2)
    return x


def recording(fs: float = 360.0, seconds: float = 30.0, **kind: float) -> tuple[Recording, np.ndarray]:
    """A recording with one lead, and the true times of its R-peaks, on native samples."""
    beats = np.round(np.arange(0.7, seconds - 0.2, 0.83) * fs) / fs
    x = lead(fs, beats, seconds, **kind)
    return Recording(leads=("II",), signal=x[:, None], fs=fs), beats
