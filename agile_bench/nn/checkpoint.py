"""Where a training stands: its curves and best weights, and checkpoints from which it goes on to the same bits."""

from __future__ import annotations

import time
from hashlib import sha256

import numpy as np
import torch
from torch import nn

from agile_bench.api import Array, Context, State

__all__ = ["Progress", "Resumable"]

SECONDS = 60.0
"""Time between two checkpoints; a training that takes less leaves none."""


class Progress:
    """Losses by epoch, and the weights of the epoch that held-out examples liked best.

    Parameters
    ----------
    epochs : int
        At most.
    """

    def __init__(self, epochs: int) -> None:
        self.epoch = 0
        self.loss = np.full(epochs, np.nan)
        self.held_out = np.full(epochs, np.nan)
        self.right = np.full(epochs, np.nan)
        self.best = -1
        self.weights: dict[str, torch.Tensor] = {}

    def told(self, epoch: int, loss: float, right: float) -> None:
        """An epoch's mean loss and share of right answers."""
        self.loss[epoch], self.right[epoch] = loss, right
        self.epoch = epoch + 1

    def judged(self, epoch: int, loss: float, module: nn.Module) -> None:
        """The held-out loss after an epoch; the weights are remembered if it is the lowest."""
        self.held_out[epoch] = loss
        if self.best < 0 or loss < self.held_out[self.best]:
            self.best = epoch
            self.weights = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}

    def since_best(self, epoch: int) -> int:
        """Epochs since the lowest held-out loss."""
        return epoch - self.best

    def restore_best(self, module: nn.Module) -> None:
        """Give the module back its best weights, where any were judged."""
        if self.best >= 0:
            module.load_state_dict(self.weights)

    @property
    def losses(self) -> Array:
        """Loss of the epochs that ran."""
        return self.loss[: self.epoch].copy()

    @property
    def held_out_losses(self) -> Array:
        """Held-out loss of the epochs that ran; empty where nothing was held out."""
        return self.held_out[: self.epoch].copy() if self.best >= 0 else np.empty(0)

    @property
    def accuracy(self) -> float:
        """Share of right answers in the epoch whose weights are kept."""
        return float(self.right[self.best if self.best >= 0 else self.epoch - 1])

    def pack(self) -> State:
        """As arrays."""
        numbers = {"epoch": np.array(self.epoch), "best": np.array(self.best)}
        curves = {"loss": self.loss, "held_out": self.held_out, "right": self.right}
        finite = {name: np.nan_to_num(curve, nan=-1.0) for name, curve in curves.items()}
        return numbers | finite | {f"best.{name}": _array(tensor) for name, tensor in self.weights.items()}

    def unpack(self, state: State, device: torch.device) -> None:
        """As it was packed."""
        self.epoch, self.best = int(state["epoch"]), int(state["best"])
        for name in ("loss", "held_out", "right"):
            kept = state[name].copy()
            kept[self.epoch :] = np.nan
            setattr(self, name, kept)
        if self.best < 0:
            self.held_out[:] = np.nan
        mine = {name.removeprefix("best."): array for name, array in state.items() if name.startswith("best.")}
        self.weights = {name: torch.tensor(array).to(device) for name, array in mine.items()}


class Resumable:
    """The checkpoint of one training; does nothing where the context has no room for one.

    Parameters
    ----------
    module : torch.nn.Module
    optimizer : torch.optim.Optimizer
    ctx : Context
    setting : tuple
        What else tells this training from another one.
    """

    def __init__(
        self, module: nn.Module, optimizer: torch.optim.Optimizer, ctx: Context, setting: tuple[float, ...]
    ) -> None:
        self.module, self.optimizer, self.device = module, optimizer, torch.device(ctx.device)
        self.slot = ctx.slot() if ctx.slot is not None else None
        self.last = time.monotonic()
        self.kept = False
        shapes = [(name, tuple(tensor.shape)) for name, tensor in module.state_dict().items()]
        self.what = np.frombuffer(sha256(repr((ctx.label, setting, shapes)).encode()).digest(), np.uint8)

    def resume(self, run: Progress) -> int:
        """The epoch to go on with: 0, or the one after the checkpoint, which is then restored."""
        state = self.slot.load() if self.slot is not None else None
        if state is None or not np.array_equal(state["what"], self.what):
            return 0
        self.kept = True
        run.unpack(_under(state, "run."), self.device)
        weights = {name: torch.tensor(array) for name, array in _under(state, "net.").items()}
        self.module.load_state_dict(weights)
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, array in _under(state, "adam.").items():
            number, _, moment = name.partition(".")
            moments.setdefault(int(number), {})[moment] = torch.tensor(array)
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": moments})
        return len(run.loss) if "done" in state else run.epoch

    def keep(self, run: Progress) -> None:
        """Leave a checkpoint, if the last one is long past."""
        if self.slot is not None and time.monotonic() - self.last >= SECONDS:
            self.slot.save(self._pack(run))
            self.kept, self.last = True, time.monotonic()

    def done(self, run: Progress) -> None:
        """Remember the end of a training that left checkpoints, in case what comes after it is interrupted."""
        if self.slot is not None and self.kept:
            self.slot.save(self._pack(run) | {"done": np.array(True)})

    def _pack(self, run: Progress) -> State:
        state: State = {"what": self.what}
        state |= {f"run.{name}": array for name, array in run.pack().items()}
        state |= {f"net.{name}": _array(tensor) for name, tensor in self.module.state_dict().items()}
        for number, moments in self.optimizer.state_dict()["state"].items():
            state |= {f"adam.{number}.{moment}": _array(tensor) for moment, tensor in moments.items()}
        return state


def _under(state: State, prefix: str) -> State:
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}


def _array(tensor: torch.Tensor) -> Array:
    return np.array(tensor.detach().cpu().numpy(), order="C")
