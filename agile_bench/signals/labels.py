"""Beat symbols of WFDB annotation files and the five classes of ANSI/AAMI EC57."""

import numpy as np

from agile_bench.api import AAMI, Array

_SYMBOLS = {
    # Escape beats e, j and n count as N, as de Chazal et al. (2004) and nearly all later work have it.
    "N": "NLRBejn",
    "S": "AaJS",
    "V": "VEr",
    "F": "F",
    "Q": "/fQ?",
}
CLASS_OF = {symbol: AAMI.index(name) for name, symbols in _SYMBOLS.items() for symbol in symbols}
"""Index into `AAMI` of every symbol that marks a beat."""


def aami(symbols: Array) -> Array:
    """Class of each annotation.

    Parameters
    ----------
    symbols : (n,) str array
        WFDB annotation symbols, one character each.

    Returns
    -------
    (n,) int8 array
        Index into `AAMI`, -1 for what is not a beat (rhythm, noise, waves, and the flutter wave ``!``).

    References
    ----------
    ANSI/AAMI EC57:1998; de Chazal, O'Dwyer and Reilly (2004).
    """
    kinds, which = np.unique(np.asarray(symbols, dtype=np.str_), return_inverse=True)
    codes = np.array([CLASS_OF.get(str(kind), -1) for kind in kinds], dtype=np.int8)
    return codes[which]


def is_beat(symbols: Array) -> Array:
    """Whether each annotation marks a beat.

    Parameters
    ----------
    symbols : (n,) str array

    Returns
    -------
    (n,) bool array
    """
    beat: Array = aami(symbols) >= 0
    return beat
