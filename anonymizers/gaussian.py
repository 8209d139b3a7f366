"""Gaussian noise, the method that every other must beat."""

from typing import ClassVar, Literal

import numpy as np

from agile_bench.api import BEAT_RATE, Anonymizer, Array, Beats, Context, Field, Release, State


class Gaussian(Anonymizer):
    """Add Gaussian noise, new for every beat: of a stated strength in mV or at a stated signal-to-noise ratio."""

    keeps: ClassVar[frozenset[str]] = frozenset({"label", "rr", "amplitude", "shape"})
    weakness: ClassVar[str] = "averaging n beats lowers the noise by sqrt(n); retraining on noisy beats"

    snr_db: float = Field(default=5.0, ge=-40, le=80, description="signal-to-noise ratio of a record's beats, dB")
    sd_mv: float | None = Field(
        default=None, ge=0, le=10, description="standard deviation of the noise, mV; overrides snr_db where given"
    )
    band: Literal["white", "ecg"] = Field(default="white", description="white, or confined to the ECG's own 0.5-40 Hz")

    def release(self, state: State, beats: Beats, ctx: Context) -> Release:
        """Beats plus noise; the strength is exact on average over the record's beats (AC power)."""
        clean = beats.signal.astype(np.float64)
        noise = ctx.rng("noise").standard_normal(clean.shape)
        if self.band == "ecg":
            noise = _confine(noise)
        if self.sd_mv is not None:
            sd = self.sd_mv
        else:
            power = float(np.mean((clean - clean.mean(axis=1, keepdims=True)) ** 2))
            sd = float(np.sqrt(power) * 10 ** (-self.snr_db / 20))
        return Release(signal=(clean + sd * noise).astype(np.float32))


def _confine(noise: Array) -> Array:
    """Keep 0.5-40 Hz of each row, so that a low-pass filter does not undo it; unit variance again."""
    spectrum = np.fft.rfft(noise, axis=1)
    hz = np.fft.rfftfreq(noise.shape[1], 1 / BEAT_RATE)
    spectrum[:, (hz < 0.5) | (hz > 40)] = 0
    banded: Array = np.fft.irfft(spectrum, noise.shape[1], axis=1)
    kept = 2 * np.count_nonzero((hz >= 0.5) & (hz <= 40)) / noise.shape[1]
    banded /= np.sqrt(kept)
    return banded
