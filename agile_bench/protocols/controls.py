"""What controls show in place of the original beats: transformations whose effect on an attacker is known beforehand.

All work on beats (n, 200), float32, millivolts, and depend on nothing but their arguments: rows of other records or
people change no bit of a row's result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from agile_bench.api import BEAT_RATE, BEAT_SAMPLES, R_COLUMN, Array, Context, NotComputable

# (centre in s after R, width in s, peak in mV) of P, Q, R, S and T
_WAVES = (
    (-0.16, 0.025, 0.10),
    (-0.03, 0.010, -0.08),
    (0.0, 0.012, 0.9),
    (0.03, 0.012, -0.18),
    (0.25, 0.050, 0.25),
)
SPIKE_HARMONICS = 8
"""Sinusoids of a spike: 1 to 8 periods a beat, 1.25 to 10 Hz."""


def constant(n: int) -> Array:
    """One fixed textbook beat in every row, (n, 200), with the same bits."""
    t = (np.arange(BEAT_SAMPLES) - R_COLUMN) / BEAT_RATE
    beat = sum(peak * np.exp(-0.5 * ((t - centre) / width) ** 2) for centre, width, peak in _WAVES)
    return np.tile(np.asarray(beat, np.float32), (n, 1))


def scramble(signal: Array) -> Array:
    """Every beat reversed in time and negated: one map for all, which undoes itself."""
    return np.ascontiguousarray(-signal[:, ::-1])


def stand_ins(people: Array, ctx: Context) -> Array:
    """For every person another one, each standing in once: one random cycle through all.

    Parameters
    ----------
    people : (k,) int array
        Distinct codes, at least two; their order does not matter.
    ctx : Context

    Returns
    -------
    (k,) int array
        The stand-in of each person.

    Raises
    ------
    NotComputable
        If there is nobody to swap with.
    """
    if len(people) < 2:
        raise NotComputable(f"people can swap places from 2 on, there is {len(people)}")
    known = np.sort(people)
    cycle = ctx.rng("stand-ins").permutation(len(known))
    following = np.empty_like(cycle)
    following[cycle] = np.roll(cycle, -1)
    chosen: Array = known[following[np.searchsorted(known, people)]]
    return chosen


def swapped(rows: Array, person: Array, record: Array, stand_in: Mapping[int, int]) -> Array:
    """Rows to show in place of a role's rows, so that everybody appears as their stand-in.

    A person's records, by their code, show one record each of the stand-in, taken in turn, and from the first again
    where there are fewer; its beats follow in order, and again from the first where it is shorter.

    Parameters
    ----------
    rows, person, record : (n,) int arrays
        Rows of the role, with the codes of their person and record; beats of a record in time order.
    stand_in : mapping
        Stand-in of every person of the role; somebody may be their own.

    Returns
    -------
    (n,) int array
        Elements of `rows`.

    Raises
    ------
    NotComputable
        If a stand-in has no beat in this role.
    """
    order = np.argsort(record, kind="stable")
    own: dict[int, list[Array]] = {}
    for at in np.split(order, np.flatnonzero(np.diff(record[order])) + 1):
        if len(at):
            own.setdefault(int(person[at[0]]), []).append(at)
    shown = np.empty_like(rows)
    for who, records in own.items():
        theirs = own.get(stand_in[who])
        if theirs is None:
            raise NotComputable("somebody who stands in has no beat in this role")
        for turn, at in enumerate(records):
            shown[at] = rows[np.resize(theirs[turn % len(theirs)], len(at))]
    return shown


def matched_noise(
    original: Array, released: Array, record: Array, rng_of_record: Callable[[int], np.random.Generator]
) -> Array:
    """The original beats with white Gaussian noise of exactly the release's error, record by record.

    Parameters
    ----------
    original, released : (n, 200) float arrays
        Millivolts.
    record : (n,) int array
        Beats of a record in time order.
    rng_of_record : callable
        The generator of a record's noise, by its code.

    Returns
    -------
    (n, 200) float32 array
        Per record, its sum of squared differences from the original is that of the release, and so is its PRDN; but for
        the rounding to float32.
    """
    noisy = np.array(original, np.float32)
    for code in np.unique(record):
        mine = record == code
        clean = original[mine].astype(np.float64)
        error = np.square(released[mine] - clean).sum()
        if error == 0:
            continue
        noise = rng_of_record(int(code)).standard_normal(clean.shape)
        noise *= np.sqrt(error / np.square(noise).sum())
        rounded = np.square((clean + noise).astype(np.float32) - clean).sum()
        noisy[mine] = clean + noise * (np.sqrt(error / rounded) if rounded else 1.0)
    return noisy


def blend(original: Array, released: Array, amount: float) -> Array:
    """Beats part of the way from the original (0) to the release (1), both ends bit for bit, (n, 200) float32.

    Raises
    ------
    ValueError
        If `amount` is outside [0, 1].
    """
    if not 0 <= amount <= 1:
        raise ValueError(f"a dose is between 0 and 1, not {amount}")
    if amount in (0, 1):
        return np.array(released if amount else original, np.float32)
    mixed = (1 - amount) * original.astype(np.float64) + amount * released.astype(np.float64)
    return mixed.astype(np.float32)


def perturbation(original: Array, released: Array) -> Array:
    """What a release adds to the original beats, (n, 200) float32, mV; the beat itself is gone."""
    added: Array = (released.astype(np.float64) - original).astype(np.float32)
    return added


def spike(signal: Array, person: Array, rms_mv: float, ctx: Context) -> Array:
    """Beats with a smooth pattern added that is the person's own, (n, 200) float32.

    Parameters
    ----------
    signal : (n, 200) float array
        Millivolts.
    person : (n,) int array
        Opaque codes; with `ctx` they alone decide the patterns.
    rms_mv : float
        Root mean square of every pattern, mV, 0 or more; 0 adds nothing. Their means are zero.
    ctx : Context

    Raises
    ------
    ValueError
        If `rms_mv` is negative.
    """
    if rms_mv < 0:
        raise ValueError(f"a spike has an RMS of 0 mV or more, not {rms_mv}")
    spiked = np.array(signal, np.float32)
    if rms_mv == 0:
        return spiked
    angle = 2 * np.pi * np.outer(np.arange(1, SPIKE_HARMONICS + 1), np.arange(BEAT_SAMPLES)) / BEAT_SAMPLES
    waves = np.concatenate((np.sin(angle), np.cos(angle)))
    for who in np.unique(person):
        pattern = ctx.rng("pattern", int(who)).standard_normal(len(waves)) @ waves
        mine = person == who
        spiked[mine] = signal[mine] + pattern * (rms_mv / np.sqrt(np.mean(np.square(pattern))))
    return spiked
