"""Networks on a CUDA device: as good as on a processor, repeatable, in bfloat16, channels last, never waited for."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from subprocess import run
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.optim.optimizer import register_optimizer_step_post_hook

from agile_bench.api import Anonymizer, Array, Attacker, Beats, Context, State
from agile_bench.contract import freeze, only
from agile_bench.registry import Registry
from agile_bench.testing import made_beats

DEVICE = "cuda"
pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    pytest.mark.filterwarnings("ignore:.*does not have a deterministic implementation"),
]

BRIEF = {"epochs": 5}
ATTACKERS: dict[str, tuple[str, dict[str, Any]]] = {
    "cnn1d": ("cnn1d", BRIEF),
    "cnn": ("cnn", BRIEF),
    "siamese": ("siamese", {**BRIEF, "pair_epochs": 15}),
    "set": ("set", {"epochs": 8, "subsets": 60}),
    "deep-ecg": ("deep-ecg", BRIEF),
    "resnet1d": ("embedder", BRIEF),
    "inception1d": ("embedder", {**BRIEF, "trunk": "inception1d"}),
    "xresnet1d": ("embedder", {**BRIEF, "trunk": "xresnet1d"}),
    "cdil": ("embedder", {**BRIEF, "trunk": "cdil"}),
    "resnet18": ("embedder", {**BRIEF, "trunk": "resnet18"}),
    "arcface": ("embedder", {**BRIEF, "head": "arcface"}),
    "cosface": ("embedder", {**BRIEF, "head": "cosface"}),
    "supcon": ("embedder", {**BRIEF, "head": "supcon"}),
}
LOSSES_THAT_WAIT = ("arcface", "cosface", "supcon")
"""pytorch-metric-learning looks at masks on the host in every step."""
PICTURES = ("cnn", "resnet18")
WAITS = 6
"""Most waits of an epoch: its order and inputs are copied to the device, loss and accuracy from it."""


@dataclass
class Watched:
    """What was seen while something was trained: its convolutions, and of each epoch its steps and waits."""

    convolutions: set[tuple[torch.dtype, bool]] = field(default_factory=set)
    """Type of the output, and whether the input and the weights were channels last, as they are for pictures."""
    steps: list[int] = field(default_factory=list)
    waits: list[int] = field(default_factory=list)


@dataclass
class _Counter:
    steps: int = 0


@contextmanager
def watched() -> Iterator[tuple[Watched, Any]]:
    """What happens inside, and the progress callback by which epochs are told apart.

    The first epoch of a training, before which everything is set up, is not counted.
    """
    seen, count = Watched(), _Counter()
    before = [0, 0]

    def layer(module: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        if module.training and isinstance(module, nn.Conv1d | nn.Conv2d):
            of_pictures = isinstance(module, nn.Conv2d)
            last = [
                of_pictures and x.is_contiguous(memory_format=torch.channels_last) for x in (given[0], module.weight)
            ]
            seen.convolutions.add((output.dtype, all(last)))

    def step(*_: Any) -> None:
        count.steps += 1

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")

        def epoch(done: int, total: int) -> None:
            waits = sum("synchronizing CUDA operation" in str(warning.message) for warning in told)
            if done > 1:
                seen.steps.append(count.steps - before[0])
                seen.waits.append(waits - before[1])
            before[:] = count.steps, waits

        hooks = register_module_forward_hook(layer), register_optimizer_step_post_hook(step)
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield seen, epoch
        finally:
            torch.cuda.set_sync_debug_mode("default")
            for hook in hooks:
                hook.remove()


@dataclass(frozen=True)
class Tried:
    """An attacker fitted, its gallery enrolled, its probes scored."""

    state: State
    enrolled: State
    scores: Array
    hit: float
    seen: Watched


@pytest.fixture(scope="module", autouse=True)
def _as_in_a_child() -> Iterator[None]:
    """Kernels that repeat themselves, and float32 that is float32, as a process of the engine has them."""
    precise = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.allow_tf32 = precise


def people() -> Beats:
    return made_beats(people=6, records=3, beats=80)


def parts(attacker: Attacker) -> tuple[Beats, Beats, Beats, Array]:
    """Pool, gallery, probes and whose each row of scores is."""
    beats = people()
    pool, gallery, probes = (beats.take(beats.record % 3 == number) for number in range(3))
    first = np.unique(probes.record, return_index=True)[1] if attacker.unit == "record" else np.arange(len(probes))
    known = attacker.learns | {"subject"}
    truth = np.asarray(probes.subject)[first]
    return only(pool, known), only(gallery, known), only(probes, attacker.reads - {"subject"}), truth


def context(device: str, *label: str, **more: Any) -> Context:
    return Context(label=("cuda", *label), device=device, **more)


def made(name: str) -> Attacker:
    plugin = Registry().make("attacker", *ATTACKERS[name])
    assert isinstance(plugin, Attacker)
    return plugin


@cache
def tried(name: str, device: str, attempt: int = 0) -> Tried:
    attacker = made(name)
    pool, gallery, probes, truth = parts(attacker)
    with watched() as (seen, epoch):
        state = freeze(attacker.fit(pool, context(device, "fit", report=epoch)))
    enrolled, scores = scored(attacker, state, gallery, probes, device)
    return Tried(state, enrolled, scores, float((scores.argmax(axis=1) == truth).mean()), seen)


def scored(attacker: Attacker, state: State, gallery: Beats, probes: Beats, device: str) -> tuple[State, Array]:
    enrolled = freeze(attacker.enrol(state, gallery, context(device, "enrol")))
    return enrolled, attacker.score(state, enrolled, probes, context(device, "score"))


def differing(a: State, b: State) -> list[str]:
    """Arrays of two states that are not the same bytes."""
    assert a.keys() == b.keys()
    return [name for name in a if a[name].tobytes() != b[name].tobytes()]


@pytest.mark.parametrize("name", ATTACKERS)
def test_an_attacker_recognises_people_as_well_as_on_a_processor(name: str) -> None:
    there, here = tried(name, DEVICE), tried(name, "cpu")
    assert there.hit > 0.5
    assert there.hit > here.hit - max(0.1, 1.5 / len(there.scores))  # of six records, one more may be missed


@pytest.mark.parametrize("name", ATTACKERS)
def test_one_network_is_read_alike_by_device_and_processor(name: str) -> None:
    attacker = made(name)
    _, gallery, probes, _ = parts(attacker)
    there = tried(name, DEVICE)
    _, scores = scored(attacker, there.state, gallery, probes, "cpu")
    assert (scores.argmax(axis=1) == there.scores.argmax(axis=1)).mean() > 0.97
    assert np.corrcoef(scores.ravel(), there.scores.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("name", ATTACKERS)
def test_training_twice_on_a_device_gives_the_same_bytes(name: str) -> None:
    first, again = tried(name, DEVICE), tried(name, DEVICE, 1)
    assert differing(first.state, again.state) == []
    assert differing(first.enrolled, again.enrolled) == []
    assert first.scores.tobytes() == again.scores.tobytes()


@pytest.mark.parametrize("name", ATTACKERS)
def test_a_network_trains_in_bfloat16(name: str) -> None:
    assert {dtype for dtype, _ in tried(name, DEVICE).seen.convolutions} == {torch.bfloat16}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_reach_convolutions_channels_last(name: str) -> None:
    assert {last for _, last in tried(name, DEVICE).seen.convolutions} == {True}


@pytest.mark.parametrize("name", [name for name in ATTACKERS if name not in LOSSES_THAT_WAIT])
def test_the_host_does_not_wait_in_a_step(name: str) -> None:
    seen = tried(name, DEVICE).seen
    assert min(seen.steps) > WAITS, "too few steps an epoch to tell"
    assert max(seen.waits) <= WAITS


def test_a_wait_would_be_seen() -> None:
    with watched() as (seen, epoch):
        epoch(1, 2)
        torch.ones(3, device=DEVICE).sum().item()
        epoch(2, 2)
    assert seen.waits == [1]


# -- an anonymizer that is a network -----------------------------------------------------------------------------------


@cache
def agile(device: str, attempt: int = 0) -> tuple[State, Watched]:
    plugin = anonymizer()
    with watched() as (seen, epoch):
        state = plugin.fit(only(people(), plugin.learns), context(device, "agile", report=epoch))
    return freeze(state), seen


def anonymizer() -> Anonymizer:
    plugin = Registry().make("anonymizer", "agile", {"epochs": 3})
    assert isinstance(plugin, Anonymizer)
    return plugin


def released(state: State, device: str) -> Array:
    plugin = anonymizer()
    beats = people()
    record = only(beats.take(beats.record == 4), plugin.reads)
    signal = plugin.release(state, record, context(device, "release")).signal
    assert signal is not None
    return signal


def test_agile_releases_on_a_device_what_it_releases_on_a_processor() -> None:
    state, _ = agile(DEVICE)
    there, here = released(state, DEVICE), released(state, "cpu")
    assert (there == released(state, DEVICE)).all()
    assert np.abs(there - here).max() <= 0.2 + 1e-6  # two steps of eps_mv, one up and one down
    assert (np.abs(there - here) < 1e-6).mean() > 0.9


def test_agile_trains_to_the_same_bytes_in_bfloat16_without_waiting() -> None:
    (first, seen), (again, _) = agile(DEVICE), agile(DEVICE, 1)
    assert differing(first, again) == []
    assert seen.convolutions == {(torch.bfloat16, True)}
    assert min(seen.steps) > WAITS
    assert max(seen.waits) <= WAITS


# -- a whole run -------------------------------------------------------------------------------------------------------


def test_a_run_on_a_device_is_repeatable_with_any_number_of_workers(tmp_path: Path) -> None:
    found = []
    for workers in ("1", "2"):
        place = tmp_path / workers
        command = [sys.executable, "-m", "agile_bench", "run", "quick", "--device", DEVICE, "--workers", workers]
        done = run(
            [*command, "--store", str(place / "store"), "--out", str(place / "run")],
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        found.append((place / "run" / "results.parquet").read_bytes())
    assert found[0] == found[1]
