"""Through the picture and back."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from agile_bench.api import Beats, Context, Field, FrontEnd, State
from agile_bench.signals.digitise import THRESHOLD, digitise

BLOCK = 256
"""Pictures in memory at a time, 10 MB."""


class Redigitise(FrontEnd):
    """Draw each beat as a picture and read it back, ink under a threshold first wiped off, by the centroid of columns.

    A released picture reaches an attacker as the signal read off its line: noise on the white paper is gone, but the
    reading rounds peaks and ends at the picture's range. Behind this front-end the attacker's original beats have
    been through the same, so that it learns from what it will meet. It costs 8 uV (median RMSE on MIT-BIH).
    """

    source: ClassVar[str] = "column-wise tracing of drawn ECGs; the drawn line after Feibush, Levoy and Cook 1980"

    threshold: int = Field(
        THRESHOLD, ge=1, le=223, description="ink ignored below it; 223 is the most that every column holds"
    )

    def apply(self, state: State, beats: Beats, ctx: Context) -> Beats:
        """The same beats as read off their pictures; signals must be finite."""
        from agile_bench.signals.raster import rasterise

        signal = np.empty_like(beats.signal)
        for start in range(0, len(beats), BLOCK):
            part = slice(start, start + BLOCK)
            signal[part] = digitise(rasterise(beats.signal[part]), self.threshold)
        return beats.with_signal(signal)
