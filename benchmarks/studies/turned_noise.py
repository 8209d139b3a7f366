"""Noise and a smoothing that no attacker undoes by averaging, because every other beat stands on its head."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from agile_bench.api import BEAT_RATE, BEAT_SAMPLES, Anonymizer, Beats, Context, Field, Release, State

ORDER = 4


class TurnedNoise(Anonymizer):
    """Smooth a beat, turn it upside down or not, add white noise; each beat by a draw of its own."""

    keeps: ClassVar[frozenset[str]] = frozenset({"label", "rr", "amplitude", "shape"})
    weakness: ClassVar[str] = "a network that learned the way back from pairs of beats"

    snr_db: float = Field(default=5.0, ge=-40, le=80, description="signal-to-noise ratio of a record's beats, dB")
    cutoff_hz: float = Field(default=12.0, ge=1, le=120, description="of the smoothing: half of the amplitude, Hz")

    def release(self, state: State, beats: Beats, ctx: Context) -> Release:
        """The beats; the key draws signs and noise."""
        from scipy.signal import butter, sosfiltfilt

        clean = beats.signal.astype(np.float64)
        sos = butter(ORDER, self.cutoff_hz, "lowpass", fs=BEAT_RATE, output="sos")
        smooth = sosfiltfilt(sos, clean, axis=1, padlen=BEAT_SAMPLES - 1)
        power = float(np.mean((smooth - smooth.mean(axis=1, keepdims=True)) ** 2))
        sd = float(np.sqrt(power) * 10 ** (-self.snr_db / 20))
        rng = ctx.rng("turned")
        sign = rng.choice((-1.0, 1.0), size=(len(clean), 1))
        return Release(signal=(sign * smooth + sd * rng.standard_normal(clean.shape)).astype(np.float32))
