"""Back from the picture of a beat to its signal."""

import numpy as np

from agile_bench.api import Array

TOP_MV = 3.0
"""Millivolts at the centre of the top row of a picture."""
BOTTOM_MV = -2.0
"""Millivolts at the centre of the bottom row."""
ROWS = 200
"""Rows of a picture."""
ROW_MV = (TOP_MV - BOTTOM_MV) / (ROWS - 1)
"""Millivolts from one row to the next."""
LINE_ROWS = 2.0
"""Thickness of a drawn line in rows; that of a default line of matplotlib is 2.1 pixels."""
THRESHOLD = 100
"""Fainter ink is taken for noise. A thin line halfway between two rows leaves 127 in each."""
_BLOCK = 16


def digitise(picture: Array, threshold: int = THRESHOLD) -> Array:
    """Read the line of a picture column by column: the centroid of its ink.

    Parameters
    ----------
    picture : (n, height, width) uint8
        Rows from `TOP_MV` to `BOTTOM_MV`, one column a sample, ink up to 255 on 0.
    threshold : int
        Ink below it is ignored, 1-255.

    Returns
    -------
    (n, width) float32 array
        Millivolts. A column without ink lies on the line between its inked neighbours (level beyond the last
        one); a picture without any ink is 0 mV throughout.
    """
    n, height, width = picture.shape
    row_mv = np.linspace(TOP_MV, BOTTOM_MV, height, dtype=np.float32)
    signal = np.zeros((n, width), np.float32)
    for start in range(0, n, _BLOCK):  # as float32 a block stays in the cache
        block = picture[start : start + _BLOCK]
        ink = np.where(block >= threshold, block, np.uint8(0)).astype(np.float32)
        mass = ink.sum(axis=1)
        signal[start : start + _BLOCK] = (row_mv @ ink) / np.where(mass == 0, 1, mass)
        for beat in np.flatnonzero((mass == 0).any(axis=1) & mass.any(axis=1)):
            inked = np.flatnonzero(mass[beat])
            line = signal[start + beat]
            line[:] = np.interp(np.arange(width), inked, line[inked])
    return signal
