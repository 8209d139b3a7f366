"""What models have in common before they see a beat; numpy only."""

from __future__ import annotations

import numpy as np

from agile_bench.api import Array, Beats, Context

__all__ = ["DRAWS", "FLAT", "draws", "other_draws", "z_score"]

DRAWS = 4
"""Releases of its own beats that an attacker with an anonymizer learns from."""
FLAT = 1e-6
"""Variation below which a signal, mV or normalised, says nothing: float32 noise."""


def z_score(signal: Array) -> Array:
    """Each beat with mean 0 and standard deviation 1; a flat beat becomes zeros.

    Parameters
    ----------
    signal : (n, 200) array
        mV.

    Returns
    -------
    (n, 200) float64 array
    """
    centred = signal.astype(np.float64)
    centred -= centred.mean(axis=1, keepdims=True)
    sd = centred.std(axis=1, keepdims=True)
    scored: Array = np.where(sd <= FLAT, 0.0, centred / np.maximum(sd, FLAT))
    return scored


def draws(ctx: Context) -> int:
    """How many different releases of its own beats an attacker can learn from; 1 where none differs."""
    one_release = bool(ctx.instances) and not any(i.plugin.stochastic for i in ctx.instances)
    return 1 if ctx.oracle is None or one_release else DRAWS


def other_draws(beats: Beats, ctx: Context) -> Beats:
    """The beats as given, followed by further releases of the same beats where the attacker may make them.

    Averages over draws are what undoes fresh noise: measured on noise of 5 dB, four draws in place of one raise the
    rank-1 of a single beat by up to 9 points.

    Parameters
    ----------
    beats : Beats
        Pool or gallery, as handed to this attacker.
    ctx : Context
        Its `oracle` tells whether there is an anonymizer to ask.

    Returns
    -------
    Beats
        `DRAWS` times as many rows, or the same beats.
    """
    if draws(ctx) == 1:
        return beats
    signals = [beats.signal, *(ctx.release(beats, draw).signal for draw in range(1, draws(ctx)))]
    rows = np.tile(np.arange(len(beats)), draws(ctx))
    return beats.take(rows).with_signal(np.concatenate(signals))
