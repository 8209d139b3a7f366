"""Noise, and the smoothing that an attacker might put on the probes alone."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from agile_bench.api import BEAT_RATE, BEAT_SAMPLES, Anonymizer, Beats, Context, Field, Release, State

ORDER = 4


class SmoothedNoise(Anonymizer):
    """White noise as of `gaussian`, then the filter of the front-end `lowpass`.

    Met by an ignorant attacker, who enrols originals, it is what filtering the probes alone would give.
    """

    keeps: ClassVar[frozenset[str]] = frozenset({"label", "rr", "amplitude", "shape"})
    weakness: ClassVar[str] = "enrolling beats that went the same way"

    snr_db: float = Field(default=0.0, ge=-40, le=80, description="signal-to-noise ratio of a record's beats, dB")
    cutoff_hz: float = Field(
        default=20.0, ge=1, le=120, description="frequency where half of the amplitude is left, Hz"
    )

    def release(self, state: State, beats: Beats, ctx: Context) -> Release:
        """The noisy beats, filtered both ways."""
        from scipy.signal import butter, sosfiltfilt

        clean = beats.signal.astype(np.float64)
        power = float(np.mean((clean - clean.mean(axis=1, keepdims=True)) ** 2))
        sd = float(np.sqrt(power) * 10 ** (-self.snr_db / 20))
        noisy = clean + sd * ctx.rng("noise").standard_normal(clean.shape)
        sos = butter(ORDER, self.cutoff_hz, "lowpass", fs=BEAT_RATE, output="sos")
        return Release(signal=sosfiltfilt(sos, noisy, axis=1, padlen=BEAT_SAMPLES - 1).astype(np.float32))
