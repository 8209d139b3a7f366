"""Training and inference of every network attacker, and what our training loop costs over a bare PyTorch loop.

The bare loop is what one writes by hand: data on the device, a permutation an epoch, bfloat16 on CUDA, fused AdamW, the
loss read once an epoch. It is given the same network, examples, batches and augmentation as ours, which adds a learning
rate that rises and falls, people in turn, seeds by label, checkpoints and the training accuracy. Both take turns in
pairs, each pair beginning with the other one; the median of the pairs' ratios is told, and their quartiles. An
example is what a training learns from: a beat, a pair of codes, a set of beats, a row of complexes, with supcon four
beats.

    python benchmarks/perf/throughput.py
    python benchmarks/perf/throughput.py --device cuda --published --beats 100
    python benchmarks/perf/throughput.py --only cnn1d set
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core: before torch is imported

import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from agile_bench.api import Array, Attacker, Beats, Context, State
from agile_bench.nn import examples, train
from agile_bench.nn.seeding import seeded
from agile_bench.registry import Registry
from agile_bench.testing import made_beats

LIMIT = 0.05
"""Most that our loop may take beyond the bare one."""
ATTACKERS: dict[str, tuple[str, dict[str, Any]]] = {
    "cnn1d": ("cnn1d", {}),
    "cnn": ("cnn", {}),
    "siamese": ("siamese", {}),
    "set": ("set", {}),
    "deep-ecg": ("deep-ecg", {}),
    "resnet1d": ("embedder", {}),
    "inception1d": ("embedder", {"trunk": "inception1d"}),
    "xresnet1d": ("embedder", {"trunk": "xresnet1d"}),
    "cdil": ("embedder", {"trunk": "cdil"}),
    "resnet18": ("embedder", {"trunk": "resnet18"}),
    "arcface": ("embedder", {"head": "arcface"}),
    "supcon": ("embedder", {"head": "supcon"}),
}
STAGES = {"siamese": ("siamese codes", "siamese pairs")}
"""Names of the trainings of an attacker that has several."""
SIZED = ("cnn1d", "cnn", "siamese", "deep-ecg", "embedder")
"""Attackers that have a published size."""

Batch = Sequence[Tensor]


@dataclass(frozen=True)
class Training:
    """What an attacker asked of `nn.train.fit`, before it began."""

    name: str
    module: nn.Module
    loss_fn: Callable[[Tensor, Tensor], Tensor]
    inputs: train.Inputs
    targets: Array
    options: dict[str, Any]

    def copy(self) -> tuple[nn.Module, Callable[[Tensor, Tensor], Tensor]]:
        """The untrained network and its loss, which may be a method of it."""
        module, loss_fn = deepcopy((self.module, self.loss_fn))
        return module, loss_fn

    @property
    def taught(self) -> int:
        """Examples learnt from in an epoch."""
        order = self.options.get("order")
        return len(self.targets) if order is None else len(order(0))


def ours(training: Training, epochs: int, ctx: Context) -> Callable[[], None]:
    module, loss_fn = training.copy()
    options = training.options | {"epochs": epochs}
    return lambda: void(train.fit(module, loss_fn, training.inputs, training.targets, ctx, **options))


def bare(training: Training, epochs: int, ctx: Context) -> Callable[[], None]:
    module, loss_fn = training.copy()
    options, device = training.options, torch.device(ctx.device)
    augment: Callable[[Batch], Batch] = options.get("augment") or (lambda batch: batch)
    fresh, steps = options.get("fresh"), -(-training.taught // options["batch"])

    def loop() -> None:
        module.to(device).train()
        optimizer = torch.optim.AdamW(
            module.parameters(), lr=options["lr"], weight_decay=options.get("weight_decay", 0.01), fused=True
        )
        inputs = [torch.tensor(x).to(device) for x in training.inputs]
        targets = torch.tensor(training.targets).to(device)
        for epoch in range(epochs):
            if fresh is not None:
                inputs = [torch.tensor(x).to(device) for x in fresh(epoch)]
            total = torch.zeros((), device=device)
            order = torch.randperm(len(targets), device=device)
            order = order.repeat(-(-training.taught // len(order)))[: training.taught]
            for rows in order.tensor_split(steps):
                batch = augment([x[rows] for x in inputs])
                with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
                    outputs = module(*batch)
                loss = loss_fn(outputs.float(), targets[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                total += loss.detach() * len(rows)
            if not float(total) < float("inf"):
                raise FloatingPointError(f"{training.name} diverged")

    return loop


def void(_: object) -> None:
    return None


@contextmanager
def recorded(name: str, epochs: int) -> Iterator[list[Training]]:
    """Notes what is asked of `fit`, and trains for a few epochs only."""
    asked: list[Training] = []
    fit = train.fit

    def noted(module: nn.Module, loss_fn: Any, inputs: Any, targets: Array, ctx: Context, **options: Any) -> Any:
        names = STAGES.get(name, (name,))
        before, loss_before = deepcopy((module, loss_fn))
        asked.append(Training(names[len(asked)], before, loss_before, inputs, targets, options))
        return fit(module, loss_fn, inputs, targets, ctx, **(options | {"epochs": epochs}))

    with patch.object(train, "fit", noted), patch.object(examples, "fit", noted):
        yield asked


def seconds(work: Callable[[], object], device: str) -> float:
    """Time that some work takes, to the end of what it started on the device."""
    wait(device)
    start = perf_counter()
    work()
    wait(device)
    return perf_counter() - start


def wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def forget_peak(device: str) -> None:
    """Let the peak of memory start anew."""
    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    elif Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def peak_mib(device: str) -> float:
    """Most memory since then, MiB: what torch took of the device, or what the process had of the machine."""
    if device != "cpu":
        return torch.cuda.max_memory_reserved() / 2**20
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


@dataclass(frozen=True)
class Compared:
    """Our loop beside the bare one: seconds of each pair, and examples seen."""

    ours: list[float]
    bare: list[float]
    examples: int

    @property
    def ratios(self) -> list[float]:
        """Time of ours in that of the bare loop, pair by pair."""
        return [a / b for a, b in zip(self.ours, self.bare, strict=True)]

    @property
    def overhead(self) -> float:
        """What ours takes beyond the bare loop, as a share of it."""
        return median(self.ratios) - 1

    @property
    def rate(self) -> float:
        """Examples a second of our loop."""
        return self.examples / median(self.ours)


def compared(training: Training, ctx: Context, pairs: int, least: float) -> Compared:
    """Both loops in turn, for as many epochs as the bare one takes `least` seconds for."""
    loops = {"ours": ours, "bare": bare}
    with seeded(ctx, "throughput"):
        for loop in loops.values():
            loop(training, 1, ctx)()  # kernels are chosen and memory is taken in first calls
        epochs = max(1, round(least / seconds(bare(training, 1, ctx), ctx.device)))
        taken: dict[str, list[float]] = {name: [] for name in loops}
        for turn in range(pairs):
            for name in sorted(loops, reverse=bool(turn % 2)):
                taken[name].append(seconds(loops[name](training, epochs, ctx), ctx.device))
    return Compared(taken["ours"], taken["bare"], epochs * training.taught)


def tell(training: Training, found: Compared, mib: float) -> None:
    low, _, high = quantiles(found.ratios, n=4)
    parameters = sum(p.numel() for p in training.module.parameters())
    print(
        f"{training.name:16} {parameters / 1e6:8.2f} M {training.options['batch']:6} {found.rate:12.0f}/s "
        f"{100 * found.overhead:+7.1f} % ({100 * (low - 1):+.1f} to {100 * (high - 1):+.1f}) {mib:9.0f} MiB"
    )


def inference(attacker: Attacker, state: State, beats: Beats, ctx: Context, repeats: int) -> tuple[str, float, float]:
    """What it does with a beat on its way to a score, beats a second, peak MiB."""
    enrolled = attacker.enrol(state, beats, ctx)
    ways: dict[str, Callable[[], Array]] = {
        "embed": lambda: attacker.embed(state, beats, ctx),
        "score": lambda: attacker.score(state, enrolled, beats, ctx),
    }
    what = "embed" if attacker.unit == "beat" else "score"
    work = ways[what]
    work()
    forget_peak(ctx.device)
    rate = len(beats) / median(seconds(work, ctx.device) for _ in range(repeats))
    return what, rate, peak_mib(ctx.device)


def measured(name: str, beats: Beats, asked: argparse.Namespace) -> dict[str, float]:
    """Print the lines of one attacker; overhead of each of its trainings."""
    plugin, settings = ATTACKERS[name]
    sized = {"size": "published"} if asked.published and plugin in SIZED else {}
    attacker = Registry().make("attacker", plugin, settings | sized)
    assert isinstance(attacker, Attacker)
    ctx = Context(label=("throughput", name), device=asked.device)
    with recorded(name, epochs=1) as trainings:
        state = attacker.fit(beats, ctx)
    overheads = {}
    for training in trainings:
        forget_peak(asked.device)
        found = compared(training, ctx, asked.pairs, asked.seconds)
        tell(training, found, peak_mib(asked.device))
        overheads[training.name] = found.overhead
    what, rate, mib = inference(attacker, state, beats, ctx, asked.pairs)
    print(f"{name + ', ' + what:16} {'':17} {rate:12.0f}/s {'':27} {mib:9.0f} MiB", flush=True)
    return overheads


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--published", action="store_true", help="networks in their published size, for a GPU")
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--beats", type=int, default=12, help="of each of a person's two records")
    parser.add_argument("--pairs", type=int, default=7, help="times that both loops take turns")
    parser.add_argument("--seconds", type=float, default=1.0, help="least time of one turn")
    parser.add_argument("--only", nargs="+", choices=sorted(ATTACKERS), default=list(ATTACKERS))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    beats = made_beats(people=asked.people, beats=asked.beats)
    device = "one core" if asked.device == "cpu" else torch.cuda.get_device_name(torch.device(asked.device))
    sizes = "published" if asked.published else "default"
    print(f"{len(beats)} beats of {asked.people} people, {sizes} sizes, {device}, medians of {asked.pairs} pairs")
    print(f"{'':16} {'parameters':>10} {'batch':>6} {'examples':>14} {'ours over a bare loop':>27} {'peak':>13}")
    overheads: dict[str, float] = {}
    for name in asked.only:
        overheads |= measured(name, beats, asked)
    slow = [name for name, overhead in overheads.items() if overhead > LIMIT]
    print(f"our loop may take {LIMIT:.0%} more than the bare one; more took: {', '.join(slow) or 'none'}")
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(main())
