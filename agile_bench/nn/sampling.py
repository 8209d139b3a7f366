"""What a training learns from in an epoch, and what it holds out to know when to stop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from agile_bench.api import Array, Context

__all__ = ["evenly", "held_out"]

LAST = 0.2
"""Share of a record that is held out where a person has only one."""


def held_out(person: Array, record: Array) -> Array:
    """Examples to stop by: one record of each person who has several, else the last fifth of the only one.

    Parameters
    ----------
    person : (n,) int array
    record : (n,) int array
        Recording of each example; those of one record in time order.

    Returns
    -------
    (n,) bool array
        Everybody keeps at least one example to learn from.
    """
    mask = np.zeros(len(person), bool)
    for code in np.unique(person):
        mine = np.flatnonzero(person == code)
        records = record[mine]
        if (records != records[-1]).any():
            mask[mine[records == records[-1]]] = True
        else:
            mask[mine[len(mine) - int(LAST * len(mine)) :]] = True
    return mask


def evenly(person: Array, session: Array, ctx: Context) -> Callable[[int], Array]:
    """An order for `nn.train.fit` in which people come equally often, and the sessions of a person too.

    A person of twenty records would else fill most batches, and a person's longest record most of theirs.

    Parameters
    ----------
    person : (n,) int array
    session : (n,) int array
        Recording day, or recording, of each example.
    ctx : Context
        Rows are a pure function of its label and the epoch.

    Returns
    -------
    callable
        Of the epoch: n rows (to one per person), shuffled. Who has few examples is learnt from several times.
    """
    by_person = [
        [mine[session[mine] == day] for day in np.unique(session[mine])]
        for mine in (np.flatnonzero(person == code) for code in np.unique(person))
    ]
    share = -(-len(person) // len(by_person))

    def order(epoch: int) -> Array:
        rng = ctx.rng("order", epoch)
        rows = [
            row
            for sessions in by_person
            for row in _turns([rng.permutation(sessions[i]) for i in rng.permutation(len(sessions))], share)
        ]
        mixed: Array = rng.permutation(rows)
        return mixed

    return order


def _turns(sessions: list[Array], count: int) -> Array:
    """So many rows, session after session in turn; a session that is used up begins anew."""
    each = -(-count // len(sessions))
    turns: Array = np.stack([np.resize(rows, each) for rows in sessions], axis=1).ravel()[:count]
    return turns
