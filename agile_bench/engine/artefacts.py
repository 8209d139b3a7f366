"""Artefacts: what each kind is made of, and the address that follows from it.

Every artefact of a run is a `Task`; its inputs are addresses of other tasks. Seeds derive from the axes that may vary
(dataset, protocol, seed, role, record), so all attackers meet the same split and the same noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agile_bench.api import Dataset, Plugin, RecordEntry
from agile_bench.engine.keys import address, canonical_json, source_of_module
from agile_bench.engine.suite import Suite

Seeds = list[str | int]

MODULES = {
    "cuts": "agile_bench.engine.jobs.cuts",
    "split": "agile_bench.engine.jobs.splitting",
    "use-split": "agile_bench.engine.jobs.splitting",
    "fitted": "agile_bench.engine.jobs.protect",
    "release": "agile_bench.engine.jobs.protect",
    "variant": "agile_bench.engine.jobs.variants",
    "attacker": "agile_bench.engine.jobs.attack",
    "scores": "agile_bench.engine.jobs.attack",
    "choice": "agile_bench.engine.jobs.choice",
    "evaluator": "agile_bench.engine.jobs.use",
    "predictions": "agile_bench.engine.jobs.use",
    "attack-measures": "agile_bench.engine.jobs.identity",
    "use-measures": "agile_bench.engine.jobs.usefulness",
    "attribute-split": "agile_bench.engine.jobs.folding",
    "attribute-fit": "agile_bench.engine.jobs.attribute",
    "guesses": "agile_bench.engine.jobs.attribute",
    "attribute-measures": "agile_bench.engine.jobs.attribute_measures",
}
"""Artefact kinds and the module that makes each."""


@dataclass(frozen=True, slots=True)
class Use:
    """A plugin with its settings, as a task names it."""

    kind: str
    name: str
    plugin: Plugin
    source: dict[str, Any]

    @property
    def dump(self) -> dict[str, Any]:
        """Full settings; nested plugins by their own type, not by the declared one."""
        settings: dict[str, Any] = self.plugin.model_dump(serialize_as_any=True)
        return settings

    @property
    def changed(self) -> str:
        """The settings that differ from their defaults, as JSON; empty where none does."""
        changed = self.plugin.model_dump(serialize_as_any=True, exclude_defaults=True)
        return canonical_json(changed) if changed else ""

    @property
    def anchor(self) -> bool:
        """Whether it only marks an end of the tables."""
        return bool(getattr(self.plugin, "anchor", False))


@dataclass(frozen=True, slots=True)
class Task:
    """One artefact to be: what determines it (`parts`), what it is made from, who makes it."""

    address: str
    kind: str
    parts: dict[str, Any] = field(repr=False)
    inputs: dict[str, list[str]] = field(repr=False)
    uses: dict[str, Use] = field(repr=False)
    root: Path | None
    label: str


@dataclass(frozen=True, slots=True)
class Control:
    """A known treatment of beats whose effect on identity is known too, at an amount where it has one."""

    name: str
    amount: float | None = None

    def __str__(self) -> str:
        return self.name if self.amount is None else f"{self.name}={self.amount:g}"


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A dataset of the plan: its plugin, listing and shards; made once each, so equal only to itself."""

    use: Use
    root: Path | None
    entries: Sequence[RecordEntry]
    shards: list[str]

    @property
    def dataset(self) -> Dataset:
        """The loader."""
        assert isinstance(self.use.plugin, Dataset)
        return self.use.plugin


class Tasks:
    """Makes tasks and remembers them by address, inputs before what needs them.

    Parameters
    ----------
    suite : Suite
    device : str
    """

    def __init__(self, suite: Suite, device: str) -> None:
        self.suite, self.device = suite, device
        self.by_address: dict[str, Task] = {}

    def add(
        self,
        kind: str,
        spec: dict[str, Any],
        inputs: dict[str, list[str]],
        uses: dict[str, Use],
        label: str,
        *,
        seeds: Seeds,
        root: Path | None = None,
    ) -> str:
        """The address of an artefact; equal parts are one task."""
        parts = {
            "kind": kind,
            "code": source_of_module(MODULES[kind], self.device),
            "spec": spec | {"seeds": seeds},
            "inputs": inputs,
            "plugins": {role: {"name": u.name, "settings": u.dump, "source": u.source} for role, u in uses.items()},
        }
        key = address(parts)
        self.by_address.setdefault(key, Task(key, kind, parts, inputs, uses, root, label))
        return key

    def cuts(self, use: Use, rows: list[list[Any]], data: str, root: Path | None) -> str:
        """Beats of one shard; `rows` hold index, record, subject and session, `data` the digest of its files."""
        spec = {"name": use.name, "entries": rows, "data": data}
        return self.add("cuts", spec, {}, {"dataset": use}, f"{use.name}: beats", root=root, seeds=[use.name])

    def split(self, source: Source, protocol: str, cohort: str, people: int | None, seed: int) -> str:
        """Who plays which role in an identity protocol."""
        spec = {
            "protocol": protocol,
            "cohort": cohort,
            "people": people,
            "pool": self.suite.pool,
            "fitted_on": self.suite.fitted_on,
            "beats_per_record": self.suite.beats_per_record,
        }
        label = f"{source.use.name} {protocol}: split"
        return self.add("split", spec, {"cuts": source.shards}, {}, label, seeds=[source.use.name, protocol, seed])

    def use_split(self, source: Source, seed: int) -> str:
        """Train and test beats for evaluators."""
        published = source.dataset.diagnostic_split()
        sides = None
        if published is not None:
            sides = [[i for i, e in enumerate(source.entries) if e.record in side] for side in published]
        spec = {"published": sides, "beats_per_record": self.suite.use_beats_per_record}
        label = f"{source.use.name}: split for evaluators"
        return self.add("use-split", spec, {"cuts": source.shards}, {}, label, seeds=[source.use.name, "use", seed])

    def fitted(
        self, anonymizer: Use, split: str, rows: str, who: str, seeds: Seeds, clinical: str | None = None
    ) -> str:
        """An instance of an anonymizer, fitted by the defender or by the attacker."""
        inputs = {"split": [split]} | ({"clinical": [clinical]} if clinical else {})
        spec = {"rows": rows, "who": who}
        return self.add("fitted", spec, inputs, {"anonymizer": anonymizer}, f"{anonymizer.name}: fit", seeds=seeds)

    def release(self, anonymizer: Use, split: str, fitted: list[str], role: str, key: str, seeds: Seeds) -> str:
        """One role's beats as an anonymizer gives them out under a key."""
        inputs = {"split": [split], "fitted": fitted}
        label = f"{anonymizer.name}: release of {role.rpartition('.')[2]}"
        return self.add("release", {"role": role, "key": key}, inputs, {"anonymizer": anonymizer}, label, seeds=seeds)

    def variant(self, split: str, release: str | None, role: str, key: str, control: Control, seeds: Seeds) -> str:
        """One role's beats as a control shows them; `release` is what it starts from, if anything."""
        inputs = {"split": [split]} | ({"release": [release]} if release else {})
        spec = {"role": role, "key": key, "control": control.name, "amount": control.amount}
        label = f"{control}: {role.rpartition('.')[2]}"
        return self.add("variant", spec, inputs, {}, label, seeds=seeds)

    def evaluator(self, evaluator: Use, split: str, release: str | None, seeds: Seeds) -> str:
        """An evaluator fitted on original beats, or on their release."""
        inputs = {"split": [split]} | ({"release": [release]} if release else {})
        label = f"{evaluator.name}: fit"
        return self.add("evaluator", {}, inputs, {"evaluator": evaluator}, label, seeds=[*seeds, evaluator.name])

    def predictions(self, evaluator: Use, split: str, fitted: str, release: str | None, seeds: Seeds) -> str:
        """What an evaluator yields on a release, or (None) on the original beats."""
        inputs = {"split": [split], "evaluator": [fitted]} | ({"release": [release]} if release else {})
        label = f"{evaluator.name}: predict"
        return self.add("predictions", {}, inputs, {"evaluator": evaluator}, label, seeds=[*seeds, evaluator.name])
