"""What attackers share whose examples are not single beats: records, releases of an epoch, and the fitting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from torch import Tensor, nn

from agile_bench.api import Array, Beats, Context, NotComputable, State
from agile_bench.nn.beats import DRAWS, draws, longer
from agile_bench.nn.sampling import evenly, held_out
from agile_bench.nn.seeding import seeded
from agile_bench.nn.state import pack
from agile_bench.nn.train import Inputs, Stop, fit

__all__ = ["PATIENCE", "diverging_is_told", "people_of", "records_of", "releases", "signal_of_epoch", "teach_examples"]

BATCH = 64
FEWEST_STEPS = 8
"""Updates in an epoch that a small pool's batches are cut for, down to `SMALLEST_BATCH` examples."""
SMALLEST_BATCH = 16
PATIENCE = 10
"""Epochs without progress on held-out examples after which networks of published size stop."""


def people_of(pool: Beats) -> tuple[Array, int]:
    """Codes 0..k-1 of a pool's rows, (n,) int64, and k.

    Raises
    ------
    NotComputable
        With fewer than two people.
    """
    assert pool.subject is not None  # every attacker's pool carries it
    people, code = np.unique(pool.subject, return_inverse=True)
    if len(people) < 2:
        raise NotComputable("a network that tells people apart needs at least 2 people in the pool, there is 1")
    return code.astype(np.int64), len(people)


def records_of(beats: Beats) -> list[Array]:
    """Rows of each record, in order of first appearance."""
    starts = np.flatnonzero(np.diff(beats.record, prepend=beats.record[0] - 1))
    return np.split(np.arange(len(beats)), starts[1:])


def releases(beats: Beats, ctx: Context) -> list[Array]:
    """Signals (n, 200): as handed out, then further releases where the attacker may make them; see `draws`."""
    return [beats.signal, *(ctx.release(beats, draw).signal for draw in range(1, draws(ctx)))]


def signal_of_epoch(pool: Beats, ctx: Context, epoch: int) -> Array:
    """The pool's signal, (n, 200), under another key each epoch where the attacker holds an anonymizer."""
    return pool.signal if draws(ctx) == 1 else ctx.release(pool, epoch % DRAWS).signal


@contextmanager
def diverging_is_told() -> Iterator[None]:
    """A loss that is no longer finite makes the attacker not computable.

    Raises
    ------
    NotComputable
        Naming the epoch and the learning rate.
    """
    try:
        yield
    except FloatingPointError as error:
        raise NotComputable(f"the network did not train: {error}") from None


def _stop(person: Array, session: Array, patience: int | None) -> Stop | None:
    """When to stop early; None where that is not asked for, or nobody has anything to hold out."""
    if patience is None or not (spared := held_out(person, session)).any():
        return None
    return Stop(spared, patience)


def teach_examples(
    build: Callable[[int], nn.Module],
    given: Callable[[int], Inputs],
    person: Array,
    session: Array,
    ctx: Context,
    *,
    epochs: int,
    lr: float,
    again: bool,
    augment: Callable[[Sequence[Tensor]], Sequence[Tensor]] | None = None,
    patience: int | None = None,
) -> State:
    """Fit a classifier over examples that are drawn anew each epoch; people come equally often, and their sessions.

    Parameters
    ----------
    build : callable
        A network for a number of people.
    given : callable
        Inputs of all examples in an epoch, in the order of `person`.
    person : (n,) int64 array
        Codes 0..k-1.
    session : (n,) int array
        Recording day, or recording, of each example.
    ctx : Context
    epochs : int
        Passes over the examples, where no anonymizer is held; see `nn.beats.longer`.
    lr : float
        Peak rate of AdamW.
    again : bool
        Whether epochs differ in what they are given.
    augment : callable or None
        See `nn.train.fit`.
    patience : int or None
        Epochs without progress on held-out examples (`nn.sampling.held_out`) after which the training stops; None
        trains on all examples, for all epochs.

    Returns
    -------
    State
        Weights under ``net.``, and what `nn.train.History.told` says.

    Raises
    ------
    NotComputable
        If the loss is no longer finite: names the epoch and the learning rate.
    """
    people = int(person.max()) + 1
    stop = _stop(person, session, patience)
    taught = np.arange(len(person)) if stop is None else np.flatnonzero(~stop.held_out)
    in_turn = evenly(person[taught], session[taught], ctx)
    with seeded(ctx, "init"):
        net = build(people)
    with diverging_is_told():
        history = fit(
            net,
            nn.CrossEntropyLoss(label_smoothing=0.05),
            given(0),
            person,
            ctx,
            epochs=longer(epochs, ctx),
            batch=min(BATCH, max(SMALLEST_BATCH, len(taught) // FEWEST_STEPS)),
            lr=lr,
            weight_decay=0.05,
            augment=augment,
            fresh=given if again else None,
            order=lambda epoch: taught[in_turn(epoch)],
            stop=stop,
        )
    return {**pack(net, "net."), **history.told(1 / people)}
