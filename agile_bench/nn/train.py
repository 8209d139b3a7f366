"""The one training loop, and prediction in blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi

import numpy as np
import torch
from torch import Tensor, nn

from agile_bench.api import Array, Context, State
from agile_bench.nn.checkpoint import Progress, Resumable
from agile_bench.nn.seeding import seeded

__all__ = ["History", "Inputs", "Stop", "fit", "predict"]

Inputs = tuple[Array, ...]
"""The arguments of a module's `forward`, each with one row per example."""

BLOCK = 256
"""Rows that `predict` hands to the module at once; a constant, because bits depend on it."""
WARM_UP = 0.15
"""Share of the steps in which the learning rate rises."""


@dataclass(frozen=True, slots=True)
class Stop:
    """When to stop early: after `patience` epochs that did not lower the loss of examples held out for this.

    Parameters
    ----------
    held_out : (n,) bool array
        Examples that are never learnt from.
    patience : int
        Epochs.
    """

    held_out: Array
    patience: int


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
    held_out : (epochs,) float64
        Loss of the held-out examples after each epoch; empty where none were held out.
    """

    loss: Array
    accuracy: float
    held_out: Array

    def told(self, chance: float) -> State:
        """What an attacker's state says of this training: accuracy beside chance, and the loss curves."""
        state = {"train_accuracy": np.array(self.accuracy), "train_chance": np.array(chance), "train_loss": self.loss}
        return state | ({"held_out_loss": self.held_out} if len(self.held_out) else {})


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
    order: Callable[[int], Array] | None = None,
    stop: Stop | None = None,
) -> History:
    """Train a module in place with AdamW, a linear warm-up and a cosine decay.

    The order of the examples, dropout and augmentation are pure functions of ``ctx.label`` and the epoch. All data lie
    on the device for the whole training, and the host waits for the device once an epoch. On CUDA the forward pass
    runs in bfloat16. A long training leaves checkpoints where the context has room for them, and goes on from the last
    one to the same bits.

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
    order : callable or None
        Rows of an epoch in the order in which they are learnt from, such as `nn.sampling.evenly` gives them; every
        example once, shuffled, if none. Never one that is held out.
    stop : Stop or None
        Examples that tell when to stop; the weights of the best epoch are then kept.

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
    taught = np.arange(len(targets)) if stop is None else np.flatnonzero(~stop.held_out)
    if len(taught) == 0:
        raise ValueError("nothing to train on: no example")
    device = torch.device(ctx.device)
    module.to(device).train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=lr, weight_decay=weight_decay, fused=True)
    wanted = torch.tensor(targets).to(device)
    given = _on_device(inputs, device)
    run = Progress(epochs)
    left = Resumable(module, optimizer, ctx, (epochs, batch, lr, weight_decay, len(targets)))
    for epoch in range(left.resume(run), epochs):
        if fresh is not None:
            given = _on_device(fresh(epoch), device)
        rows = order(epoch) if order is not None else taught[ctx.rng("order", epoch).permutation(len(taught))]
        plan = torch.tensor_split(torch.tensor(rows).to(device), -(-len(rows) // batch))
        counted = _classes(wanted) and (stop is not None or epoch + 1 == epochs)
        with seeded(ctx, "epoch", epoch):
            total, right = torch.zeros((), device=device), torch.zeros((), device=device)
            for step, chosen in enumerate(plan):
                _set_rate(optimizer, lr * _schedule((epoch * len(plan) + step) / (epochs * len(plan))))
                picked: Sequence[Tensor] = [x[chosen] for x in given]
                if augment is not None:
                    picked = augment(picked)
                loss, outputs = _step(module, loss_fn, optimizer, picked, wanted[chosen])
                total += loss * len(chosen)
                if counted:
                    right += (outputs.argmax(1) == wanted[chosen]).sum()
        run.told(epoch, float(total) / len(rows), float(right) / len(rows))
        if not np.isfinite(run.loss[epoch]):
            raise FloatingPointError(f"the loss is not finite in epoch {epoch + 1} of {epochs} at learning rate {lr:g}")
        ctx.progress(epoch + 1, epochs)
        if stop is not None:
            run.judged(epoch, _loss(module, loss_fn, given, wanted, stop.held_out, batch), module)
            if run.since_best(epoch) >= stop.patience:
                break
        left.keep(run)
    left.done(run)
    run.restore_best(module)
    module.eval()
    return History(run.losses, run.accuracy if _classes(wanted) else float("nan"), run.held_out_losses)


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
    """One update; the loss and the outputs stay on the device."""
    outputs = _outputs(module, picked, wanted.device)
    loss = loss_fn(outputs, wanted)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach(), outputs.detach()


def _outputs(module: nn.Module, picked: Sequence[Tensor], device: torch.device) -> Tensor:
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
        outputs: Tensor = module(*picked)
    return outputs.float()


def _loss(
    module: nn.Module,
    loss_fn: Callable[[Tensor, Tensor], Tensor],
    given: Sequence[Tensor],
    wanted: Tensor,
    held_out: Array,
    batch: int,
) -> float:
    """Mean loss of the held-out examples, as they are."""
    module.eval()
    rows = torch.tensor(np.flatnonzero(held_out)).to(wanted.device)
    total = torch.zeros((), device=wanted.device)
    with torch.no_grad():
        for chosen in torch.tensor_split(rows, -(-len(rows) // batch)):
            outputs = _outputs(module, [x[chosen] for x in given], wanted.device)
            total += loss_fn(outputs, wanted[chosen]) * len(chosen)
    module.train()
    return float(total) / len(rows)


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
