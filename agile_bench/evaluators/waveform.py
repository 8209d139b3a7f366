"""How far the released wave is from the original one."""

from typing import ClassVar

import numpy as np

from agile_bench.api import BEAT_RATE, R_COLUMN, Array, Beats, Context, Evaluator, State, Yield

REACH = round(0.150 * BEAT_RATE)
FLAT_MV = 1e-6


class Waveform(Evaluator):
    """The released wave itself, of which the engine takes errors, and how far its R-peak moved."""

    yields: ClassVar[dict[str, Yield]] = {
        "waveform": Yield("waveform", "mV"),
        "r-displacement-ms": Yield("per-beat", "ms", higher_is_better=False),
    }

    def evaluate(self, state: State, original: Beats, released: Beats, ctx: Context) -> dict[str, Array]:
        """Released signals (n, 200) mV and the distance of the R-peaks (n,) ms, nan where a beat is flat."""
        before, after = r_column(original.signal), r_column(released.signal)
        return {
            "waveform": released.signal,
            "r-displacement-ms": np.abs(after - before) * (1000 / BEAT_RATE),
        }


def r_column(signal: Array) -> Array:
    """Column of the largest deviation from the beat's median within 150 ms of the nominal R-peak.

    Parameters
    ----------
    signal : (n, 200) array
        mV.

    Returns
    -------
    (n,) float64 array
        Whole columns, the first of equals; nan where the stretch is flat.
    """
    near = signal[:, R_COLUMN - REACH : R_COLUMN + REACH + 1].astype(np.float64)
    deviation = np.abs(near - np.median(signal, axis=1, keepdims=True))
    column = R_COLUMN - REACH + deviation.argmax(axis=1)
    located: Array = np.where(np.ptp(near, axis=1) > FLAT_MV, column, np.nan)
    return located
