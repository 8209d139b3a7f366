"""Subject-disjoint folds: everybody is probed once, by an attacker that has learnt from other people only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agile_bench.api import Array, Context, NotComputable
from agile_bench.protocols.pairing import Table, thin
from agile_bench.protocols.splits import shuffle_records

FOLDS = 5


@dataclass(frozen=True, slots=True)
class Fold:
    """One part of the people, and all others.

    Parameters
    ----------
    pool, probe : (n,) int arrays
        Rows of the table; beats of a record are consecutive and in time order.
    pool_subject, probe_subject : (n,) int arrays
        Codes 0..k-1 of the role's own people.
    """

    pool: Array
    pool_subject: Array
    probe: Array
    probe_subject: Array


def folds(table: Table, sex: Array, beats_per_record: int, ctx: Context) -> tuple[Fold, ...]:
    """Draw `FOLDS` folds of people, with men, women and people of unknown sex spread evenly over them.

    Parameters
    ----------
    table : Table
    sex : (n,) int array
        Of each row's person: 0 male, 1 female, -1 unknown.
    beats_per_record : int
        Most beats of one record, evenly spaced.
    ctx : Context
        Its label holds dataset and seed.

    Raises
    ------
    NotComputable
        With fewer people than folds.
    AssertionError
        If a promise is broken: everybody in exactly one fold, nobody in a pool and its probes, all records of a person
        together, sexes spread evenly.
    """
    people, first = np.unique(table.subject, return_index=True)
    if len(people) < FOLDS:
        raise NotComputable(f"{len(people)} people can be used, {FOLDS} folds need {FOLDS} at least")
    fold = assign(sex[first], ctx)
    rows = thin(table, np.arange(len(table)), beats_per_record)
    of_row = fold[np.searchsorted(people, table.subject[rows])]
    drawn = tuple(_fold(table, rows[of_row != number], rows[of_row == number], number, ctx) for number in range(FOLDS))
    _check(table, sex, drawn)
    return drawn


def assign(sex: Array, ctx: Context) -> Array:
    """Fold of each person, (people,) int: each sex in seeded order is dealt out in turn, on where the last one ended.

    Parameters
    ----------
    sex : (people,) int array
        0 male, 1 female, -1 unknown.
    ctx : Context
    """
    rng = ctx.rng("folds")
    order = rng.permutation(len(sex))
    order = order[np.argsort(sex[order], kind="stable")]
    fold = np.empty(len(sex), np.int64)
    fold[order] = np.arange(len(sex)) % FOLDS
    return fold


def _fold(table: Table, pool: Array, probe: Array, number: int, ctx: Context) -> Fold:
    pool = shuffle_records(table, pool, ctx, "pool", number)
    probe = shuffle_records(table, probe, ctx, "probe", number)
    codes = [_codes(table.subject[rows], ctx, role, number) for role, rows in (("pool", pool), ("probe", probe))]
    return Fold(pool, codes[0], probe, codes[1])


def _codes(subject: Array, ctx: Context, *label: str | int) -> Array:
    people, who = np.unique(subject, return_inverse=True)
    codes: Array = ctx.rng("codes", *label).permutation(len(people))[who.reshape(-1)]
    return codes


def _check(table: Table, sex: Array, drawn: tuple[Fold, ...]) -> None:
    everybody = np.unique(table.subject)
    probed = [np.unique(table.subject[fold.probe]) for fold in drawn]
    counted = np.sort(np.concatenate(probed))
    assert np.array_equal(counted, everybody), "the split breaks its promise that everybody is in exactly one fold"
    for fold, mine in zip(drawn, probed, strict=True):
        others = np.unique(table.subject[fold.pool])
        assert not np.isin(others, mine).any(), "the split breaks its promise that nobody is in a pool and its probes"
        assert len(others) + len(mine) == len(everybody), "the split breaks its promise that a pool is all other folds"
    first = [np.unique(table.subject[fold.probe], return_index=True)[1] for fold in drawn]
    sexes = [sex[fold.probe][where] for fold, where in zip(drawn, first, strict=True)]
    for code in np.unique(sex):
        counts = [int(np.sum(of_fold == code)) for of_fold in sexes]
        assert max(counts) - min(counts) <= 1, "the split breaks its promise that the sexes are spread evenly"
