"""The anchor of best privacy and worst use: one beat for everybody."""

from typing import ClassVar

import numpy as np

from agile_bench.api import BEAT_RATE, BEAT_SAMPLES, R_COLUMN, Anonymizer, Beats, Context, Release, State

# (centre in s after R, width in s, peak in mV) of P, Q, R, S and T
WAVES = (
    (-0.17, 0.022, 0.12),
    (-0.028, 0.009, -0.10),
    (0.0, 0.011, 1.0),
    (0.03, 0.010, -0.20),
    (0.26, 0.045, 0.28),
)


class Constant(Anonymizer):
    """Release one fixed textbook beat in place of every beat.

    It is learnt from nobody: a beat averaged over the people of a fold would tell the folds apart.
    """

    keeps: ClassVar[frozenset[str]] = frozenset({"rr"})
    stochastic: ClassVar[bool] = False
    anchor: ClassVar[bool] = True
    weakness: ClassVar[str] = "none by shape; the rhythm stays"

    def release(self, state: State, beats: Beats, ctx: Context) -> Release:
        """The one beat, as often as there are beats."""
        t = (np.arange(BEAT_SAMPLES) - R_COLUMN) / BEAT_RATE
        beat = sum(peak * np.exp(-0.5 * ((t - centre) / width) ** 2) for centre, width, peak in WAVES)
        return Release(signal=np.tile(np.asarray(beat, np.float32), (len(beats), 1)))
