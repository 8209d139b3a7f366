"""The one training loop, and prediction in blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi

import numpy as np
import torch
from torch import Tensor, nn

from agile_bench.api import Array, Context
from agile_bench.nn.seeding import seeded

__all__ = ["History", "Inputs", "fit", "predict"]

Inputs = tuple[Array, ...]
"""The arguments of a module's `forward`, each with one row per example."""

BLOCK = 256
"""Rows that `predict` hands to the module at once; a constant, because bits depend on it."""
WARM_UP = 0.15
"""Share of the steps in which the learning rate rises."""


@dataclass(frozen=True, slots=True)
class History:
    """How a training went.

    Parameters
    ----------
    loss : (epochs,) float64
        Mean loss of each epoch.
    accuracy : float
        Share of examples of the last epoch, as augmented, whose largest output was the target; nan where targets are
        not class indices. At chance, the network did not learn.
    """

    loss: Array
    accuracy: float


def fit(
    module: nn.Module,
    loss_fn: Callable[[Tensor, Tensor], Tensor],
    inputs: Inputs,
    targets: Array,
    ctx: Context,
    *,
    epochs: int,
    batch: int,
    lr: float,
    weight_decay: float = 0.01,
    augment: Callable[[Sequence[Tensor]], Sequence[Tensor]] | None = None,
    fresh: Callable[[int], Inputs] | None = None,
) -> History:
    """Train a module in place with AdamW, a linear warm-up and a cosine decay.

    The order of the examples, dropout and augmentation are pure functions of ``ctx.label`` and the epoch. All data lie
    on the device for the whole training, and the host waits for the device once an epoch. On CUDA the forward pass
    runs in bfloat16.

    Parameters
    ----------
    module : torch.nn.Module
        Moved to ``ctx.device``. Initialise it inside `seeded`.
    loss_fn : callable
        Of (outputs, targets); the mean over the batch.
    inputs : tuple of arrays
        Arguments of the module, n rows each.
    targets : (n, ...) array
    ctx : Context
    epochs, batch : int
        Passes over the data; examples a step at most (steps of an epoch are of equal size, to one example).
    lr, weight_decay : float
        Peak learning rate and decay of AdamW.
    augment : callable or None
        Changes a batch's inputs on the device, drawing from torch's global generator.
    fresh : callable or None
        Other inputs of the same examples for an epoch, such as another draw of an anonymizer's release.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If there is no example.
    FloatingPointError
        If the loss is no longer finite: names the epoch and the learning rate.
    """
    n = len(targets)
    if n == 0:
        raise ValueError("nothing to train on: no example")
    device = torch.device(ctx.device)
    module.to(device).train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=lr, weight_decay=weight_decay, fused=True)
    wanted = torch.tensor(targets).to(device)
    given = _on_device(inputs, device)
    steps = -(-n // batch)
    losses = np.zeros(epochs)
    right = torch.zeros((), device=device)
    for epoch in range(epochs):
        if fresh is not None:
            given = _on_device(fresh(epoch), device)
        order = torch.tensor(ctx.rng("order", epoch).permutation(n)).to(device)
        total, right = torch.zeros((), device=device), torch.zeros((), device=device)
        with seeded(ctx, "epoch", epoch):
            for step, rows in enumerate(torch.tensor_split(order, steps)):
                _set_rate(optimizer, lr * _schedule((epoch * steps + step) / (epochs * steps)))
                picked: Sequence[Tensor] = [x[rows] for x in given]
                if augment is not None:
                    picked = augment(picked)
                loss, hits = _step(module, loss_fn, optimizer, picked, wanted[rows])
                total += loss * len(rows)
                right += hits
        losses[epoch] = float(total) / n
        if not np.isfinite(losses[epoch]):
            raise FloatingPointError(f"the loss is not finite in epoch {epoch + 1} of {epochs} at learning rate {lr:g}")
        ctx.progress(epoch + 1, epochs)
    module.eval()
    return History(losses, float(right) / n if _classes(wanted) else float("nan"))


def predict(module: nn.Module, inputs: Inputs, ctx: Context, block: int = BLOCK) -> Array:
    """Outputs of a module for all rows, in float32.

    Every block has the same size (the last one is filled up with its first row), so that a row's output does not depend
    on how many others there are.

    Parameters
    ----------
    module : torch.nn.Module
    inputs : tuple of arrays
        Arguments of the module, n >= 1 rows each.
    ctx : Context
    block : int
        Rows at once; keep it a constant of the plugin, never a function of memory or of the number of workers.

    Returns
    -------
    (n, ...) float32 array
    """
    device = torch.device(ctx.device)
    module.to(device).eval()
    n = len(inputs[0])
    outputs = []
    with torch.inference_mode():
        for start in range(0, n, block):
            rows = np.full(block, start)
            rows[: n - start] = np.arange(start, min(start + block, n))
            outputs.append(module(*_on_device(tuple(x[rows] for x in inputs), device)).float())
        result: Array = torch.cat(outputs)[:n].cpu().numpy()
    return result


def _step(
    module: nn.Module,
    loss_fn: Callable[[Tensor, Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    picked: Sequence[Tensor],
    wanted: Tensor,
) -> tuple[Tensor, Tensor]:
    """One update; the loss and the number of right answers stay on the device."""
    with torch.autocast(wanted.device.type, dtype=torch.bfloat16, enabled=wanted.device.type == "cuda"):
        outputs = module(*picked)
    outputs = outputs.float()
    loss = loss_fn(outputs, wanted)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    if not _classes(wanted):
        return loss.detach(), torch.zeros((), device=wanted.device)
    return loss.detach(), (outputs.detach().argmax(1) == wanted).sum()


def _classes(targets: Tensor) -> bool:
    return targets.ndim == 1 and targets.dtype is torch.int64


def _schedule(done: float) -> float:
    """Share of the peak rate after this share of all steps; never 0, so that the first step counts."""
    if done < WARM_UP:
        return 0.1 + 0.9 * done / WARM_UP
    return 0.5 + 0.5 * cos(pi * (done - WARM_UP) / (1 - WARM_UP))


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _on_device(arrays: Inputs, device: torch.device) -> list[Tensor]:
    # torch.tensor copies: the engine's arrays are read-only, which from_numpy warns of.
    return [torch.tensor(x).to(device) for x in arrays]
