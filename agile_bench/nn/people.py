"""What networks that learn to tell people apart have in common: the fitting of a classifier over a pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from agile_bench.api import Array, Beats, Context, State
from agile_bench.nn.beats import draws
from agile_bench.nn.examples import people_of, signal_of_epoch, teach_examples

__all__ = ["teach_people"]


def teach_people(
    build: Callable[[int], nn.Module],
    inputs: Callable[[Array], tuple[Array, ...]],
    pool: Beats,
    ctx: Context,
    *,
    epochs: int,
    lr: float,
    augment: Callable[[Sequence[Tensor]], Sequence[Tensor]],
    patience: int | None = None,
) -> State:
    """Fit a classifier of the pool's people; where the attacker holds an anonymizer, on another release each epoch.

    Parameters
    ----------
    build : callable
        A network for a number of people.
    inputs : callable
        Signals (n, 200) mV as the network reads them.
    pool : Beats
        With `subject`.
    ctx : Context
    epochs : int
    lr : float
        Peak rate of AdamW.
    augment : callable
        See `nn.train.fit`.
    patience : int or None
        See `nn.examples.teach_examples`.

    Returns
    -------
    State
        Weights under ``net.``, and what `nn.train.History.told` says.

    Raises
    ------
    NotComputable
        With fewer than two people in the pool, or if the loss is no longer finite.
    """
    code, _ = people_of(pool)
    return teach_examples(
        build,
        lambda epoch: inputs(signal_of_epoch(pool, ctx, epoch)),
        code,
        pool.record,
        ctx,
        epochs=epochs,
        lr=lr,
        again=draws(ctx) > 1,
        augment=augment,
        patience=patience,
    )
