"""A suite becomes cells, and cells become artefacts whose addresses are known before anything is computed.

Adding a cell changes no other number: an artefact's address holds what determines it and nothing of its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from agile_bench.api import Anonymizer, Attacker, AttributeAttacker, Dataset, Evaluator, RecordEntry, Refusal
from agile_bench.engine.artefacts import Seeds, Source, Task, Tasks, Use
from agile_bench.engine.keys import canonical_json, file_digest, source_of_plugin
from agile_bench.engine.suite import AttackerAsk, DatasetAsk, PluginAsk, Suite
from agile_bench.protocols.knowledge import LEVELS
from agile_bench.protocols.splits import eligible
from agile_bench.registry import Registry, unknown

Asked = TypeVar("Asked")
Made = TypeVar("Made")

SHARD = 32
"""Records in one ``cuts`` artefact; a constant, so that shards do not depend on machine or workers."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination that gets figures.

    `measures` is the task that holds them; `axes` are columns of the results frame that are known beforehand.
    """

    measures: str
    axes: dict[str, Any]
    guessed: bool = False
    """Whether its attacker only marks the floor: exempt from controls, never the strongest."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks by address in an order in which inputs come first, and the cells that stand on them."""

    suite: Suite
    tasks: dict[str, Task]
    cells: list[Cell]
    sources: dict[str, Source]


def make_plan(suite: Suite, registry: Registry, data: Path | None, device: str) -> Plan:
    """Plan a suite.

    Parameters
    ----------
    suite : Suite
    registry : Registry
    data : Path or None
        Folder that holds the datasets' folders.
    device : str

    Raises
    ------
    Refusal
        If a name, a setting, a folder or a subject count cannot be had.
    """
    return _Planner(suite, registry, data, device).plan()


class _Planner:
    def __init__(self, suite: Suite, registry: Registry, data: Path | None, device: str) -> None:
        self.suite, self.registry, self.data, self.device = suite, registry, data, device
        self.tasks = Tasks(suite, device)
        self.cells: list[Cell] = []
        self.sources: dict[str, Source] = {}

    def plan(self) -> Plan:
        suite = self.suite
        anonymizers = self.each("anonymizers", suite.anonymizers, lambda ask: self.use("anonymizer", ask))
        attackers = self.each("attackers", suite.attackers, lambda ask: (self.attacker_uses(ask), self.levels(ask)))
        evaluators = self.each("evaluators", suite.evaluators, lambda ask: self.use("evaluator", ask))
        combinations: list[tuple[Source, str, int | None]] = []
        sources: list[Source] = []
        for source, axes in self.each("datasets", suite.datasets, self.source_and_axes):
            sources += [source] if source not in sources else []
            wanted = [(source, protocol, people) for protocol, people in axes]
            combinations += [w for w in wanted if w not in combinations]
        for seed, (source, protocol, people) in product(suite.seeds, combinations):
            for uses, levels in attackers:
                _Attack(self, source, protocol, people, seed, uses).cells(anonymizers, levels)
        for seed, source, evaluator in product(suite.seeds, sources, evaluators):
            self.use_cells(source, seed, evaluator, anonymizers)
        return Plan(suite, self.tasks.by_address, self.cells, self.sources)

    def each(self, key: str, asked: Sequence[Asked], make: Callable[[Asked], Made]) -> list[Made]:
        """What is made of every entry of a suite's key; a refusal says which entry it is about."""
        made = []
        for number, ask in enumerate(asked):
            try:
                made.append(make(ask))
            except Refusal as error:
                raise Refusal(f"suite {self.suite.name}, {key}.{number}: {error}") from error
        return made

    # -- plugins and data ------------------------------------------------------------------------------------------

    def use(self, kind: str, ask: PluginAsk | DatasetAsk) -> Use:
        plugin = self.registry.make(kind, ask.name, ask.settings)
        if isinstance(plugin, AttributeAttacker):
            raise Refusal(f"attacker {ask.name!r} guesses {plugin.target}; suites run identity attackers")
        return Use(kind, ask.name, plugin, source_of_plugin(self.registry.origin(kind, ask.name), self.device))

    def attacker_uses(self, ask: PluginAsk) -> dict[str, Use]:
        name, *front_ends = ask.name.split("+")
        uses = {"attacker": self.use("attacker", PluginAsk(name=name, settings=ask.settings))}
        for number, front_end in enumerate(front_ends):
            uses[f"front-end.{number}"] = self.use("front-end", PluginAsk(name=front_end))
        return uses

    def levels(self, ask: AttackerAsk) -> list[str]:
        """The suite's levels at which an attacker meets a release."""
        asked = self.suite.knowledge if ask.knowledge is None else ask.knowledge
        return [level for level in self.suite.knowledge if level in asked and LEVELS[level].protected]

    def source(self, ask: DatasetAsk) -> Source:
        key = canonical_json([ask.name, ask.settings])
        if key not in self.sources:
            use = self.use("dataset", ask)
            assert isinstance(use.plugin, Dataset)
            root = self.root(ask.name, use.plugin)
            try:
                entries = use.plugin.records(root)
                self.sources[key] = Source(use, root, entries, list(self.shards(use, root, entries)))
            except Refusal:
                raise
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                raise Refusal(f"dataset {ask.name!r}: its records cannot be listed ({reason})") from error
        return self.sources[key]

    def root(self, name: str, dataset: Dataset) -> Path | None:
        if dataset.folder is None:
            return None
        if self.data is None:
            raise Refusal(f"dataset {name!r} needs recordings: name their folder with --data or $AGILE_BENCH_DATA")
        if not self.data.is_dir():
            raise Refusal(f"--data {self.data}: there is no such folder")
        return self.data / dataset.folder

    def shards(self, use: Use, root: Path | None, entries: Sequence[RecordEntry]) -> Iterator[str]:
        subjects: dict[str, int] = {}
        sessions: dict[tuple[str, str], int] = {}
        dataset = use.plugin
        assert isinstance(dataset, Dataset)
        for start in range(0, len(entries), SHARD):
            part = entries[start : start + SHARD]
            rows: list[list[Any]] = []
            for index, entry in enumerate(part, start):
                subject = subjects.setdefault(entry.subject, len(subjects))
                session = sessions.setdefault((entry.subject, entry.session), len(sessions))
                rows.append([index, entry.record, subject, session])
            files = [dataset.files(root, entry.record) for entry in part]
            with ThreadPoolExecutor() as threads:
                digests = list(threads.map(_digest, [f for group in files for f in group]))
            yield self.tasks.cuts(use, rows, sha256("".join(digests).encode()).hexdigest(), root)

    def source_and_axes(self, ask: DatasetAsk) -> tuple[Source, list[tuple[str, int | None]]]:
        source = self.source(ask)
        return source, list(self.identity_axes(ask, source))

    def identity_axes(self, ask: DatasetAsk, source: Source) -> Iterator[tuple[str, int | None]]:
        allowed = source.dataset.protocols
        for protocol in ask.protocols or allowed:
            if protocol not in allowed:
                raise Refusal(f"dataset {ask.name!r}: {unknown('protocol', protocol, allowed)}")
            there = eligible(source.entries, protocol)
            for people in ask.subjects:
                if isinstance(people, int) and people > there:
                    raise Refusal(
                        f"dataset {ask.name!r}, {protocol}: {people} subjects asked, it has {there} "
                        f"(allowed: 4 to {there}, or all)"
                    )
                yield protocol, None if people == "all" else people

    def clinical(self, source: Source, seed: int) -> str | None:
        """Split of the suite's `clinical` dataset, for a dataset that has no labels of its own."""
        if source.dataset.labelled or self.suite.clinical is None:
            return None
        return self.tasks.use_split(self.source(self.suite.clinical), seed)

    # -- cells -----------------------------------------------------------------------------------------------------

    def fitted(self, anonymizer: Use, source: Source, split: str, rows: str, who: str, seeds: Seeds) -> str:
        """An anonymizer instance; it gets the clinical beats if it learns labels that the dataset lacks."""
        clinical = self.clinical(source, int(seeds[2])) if "label" in anonymizer.plugin.learns else None
        return self.tasks.fitted(anonymizer, split, rows, who, seeds, clinical)

    def use_cells(self, source: Source, seed: int, evaluator: Use, anonymizers: list[Use]) -> None:
        """One cell per anonymizer and key: an evaluator fitted on originals meets the release."""
        assert isinstance(evaluator.plugin, Evaluator)
        split = self.tasks.use_split(source, seed)
        seeds: Seeds = [source.use.name, "use", seed]
        borrowed = None
        if evaluator.plugin.needs_labels and not source.dataset.labelled:
            borrowed = self.clinical(source, seed)
            if borrowed is None:
                return
        fitted = self.tasks.evaluator(evaluator, borrowed or split, seeds)
        clean = [self.tasks.predictions(evaluator, split, fitted, None, seeds)] if borrowed else []
        published = source.dataset.diagnostic_split() is not None
        for anonymizer, key in product(anonymizers, range(self.suite.keys)):
            state = self.fitted(anonymizer, source, split, "train", "defender", seeds)
            released = self.tasks.release(anonymizer, split, [state], "test", f"key-{key}", seeds)
            predicted = self.tasks.predictions(evaluator, split, fitted, released, seeds)
            inputs = {"predictions": [predicted]} | ({"clean": clean} if clean else {})
            measures = self.tasks.add("use-measures", {}, inputs, {}, "measure", seeds=seeds)
            axes = {
                "dataset": source.use.name,
                "protocol": "ds1-ds2" if published else "subject-disjoint",
                "seed": seed,
                "key": key,
                "role": "anchor" if anonymizer.anchor else "method",
                "plugin": evaluator.name,
                "plugin_settings": evaluator.changed,
                "probe": "released",
            }
            self.cell(measures, axes | self.method_axes(anonymizer))

    def method_axes(self, anonymizer: Use) -> dict[str, Any]:
        plugin = anonymizer.plugin
        assert isinstance(plugin, Anonymizer)
        return {
            "anonymizer": anonymizer.name,
            "settings": anonymizer.changed,
            "reads": "+".join(sorted(plugin.reads)),
            "fitted_on": self.suite.fitted_on,
        }

    def cell(self, measures: str, axes: dict[str, Any], *, guessed: bool = False) -> None:
        found = Cell(measures, {"cohort": "all", "subjects": 0} | axes, guessed)
        if found not in self.cells:
            self.cells.append(found)


class _Attack:
    """The tasks and cells of one attacker on one split."""

    def __init__(
        self,
        planner: _Planner,
        source: Source,
        protocol: str,
        people: int | None,
        seed: int,
        uses: dict[str, Use],
    ) -> None:
        self.planner, self.tasks, self.source, self.uses = planner, planner.tasks, source, uses
        self.split = self.tasks.split(source, protocol, people, seed)
        attacker = uses["attacker"]
        self.release_seeds: Seeds = [source.use.name, protocol, seed]
        self.seeds: Seeds = [*self.release_seeds, attacker.name]
        self.blocks = 2 if planner.suite.pool == "subject-disjoint" else 1
        assert isinstance(attacker.plugin, Attacker)
        self.unit = attacker.plugin.unit
        self.label = "+".join(u.name for u in uses.values())
        self.axes = {
            "dataset": source.use.name,
            "protocol": protocol,
            "subjects": people or 0,
            "seed": seed,
            "plugin": attacker.name,
            "plugin_settings": attacker.changed,
            "front_end": "+".join(u.name for k, u in uses.items() if k != "attacker"),
        }

    def cells(self, anonymizers: list[Use], levels: list[str]) -> None:
        """The controls, and one cell per anonymizer, key and level."""
        suite = self.planner.suite
        clean = self.scores("unprotected", None, 0)
        for control, given in (
            ("positive", clean),
            ("permuted", self.scores("unprotected", None, 0, "permuted")),
        ):
            more = {"role": "control", "reason": control, "knowledge": "unprotected", "key": 0}
            self.cell(self.measures(given, None), more | _triple("unprotected"))
        for anonymizer, key, level in product(anonymizers, range(suite.keys), levels):
            measures = self.measures(self.scores(level, anonymizer, key), clean if level == "ignorant" else None)
            anchor = anonymizer.anchor or self.uses["attacker"].anchor
            more = {"role": "anchor" if anchor else "method", "key": key, "knowledge": level}
            self.cell(measures, more | _triple(level) | self.planner.method_axes(anonymizer))

    def cell(self, measures: str, axes: dict[str, Any]) -> None:
        """A cell of this attacker."""
        self.planner.cell(measures, self.axes | axes, guessed=self.uses["attacker"].anchor)

    def scores(self, level: str, anonymizer: Use | None, key: int, control: str = "") -> list[str]:
        """Score matrices at a level, one per block."""
        return [self._scores(level, anonymizer, key, block, control) for block in range(self.blocks)]

    def _scores(self, level: str, anonymizer: Use | None, key: int, block: int, control: str) -> str:
        known = LEVELS[level]
        inputs: dict[str, list[str]] = {"split": [self.split]}
        pool_inputs = dict(inputs)
        uses = dict(self.uses)
        if anonymizer is not None:
            defender = self.defender(anonymizer)
            if known.pool != "original":
                holds = defender if known.pool == "defender" else self.own(anonymizer, block)
                uses["anonymizer"] = anonymizer
                pool_inputs["instances"] = inputs["instances"] = holds
                pool_inputs["pool_release"] = [self.release(anonymizer, holds, f"{block}.pool", "attacker")]
            for role in ("probe", "calibration"):
                inputs[f"{role}_release"] = [self.release(anonymizer, defender, f"{block}.{role}", f"key-{key}")]
            if "defender" in known.galleries:
                role, other_key = f"{block}.gallery", f"gallery-key-{key}"
                inputs["gallery_release"] = [self.release(anonymizer, defender, role, other_key)]
        label = f"{self.label}: fit"
        fit = self.tasks.add("attacker", {"block": block}, pool_inputs, uses, label, seeds=self.seeds)
        spec = {"block": block, "galleries": list(known.galleries), "control": control}
        return self.tasks.add(
            "scores", spec, inputs | {"attacker": [fit]}, uses, f"{self.label}: score", seeds=self.seeds
        )

    def defender(self, anonymizer: Use) -> list[str]:
        """The defender's instances: one per fold of people, or one fitted on the enrolled."""
        folds = 2 if self.planner.suite.fitted_on == "other-people" else 1
        return [self._fitted(anonymizer, f"fit.{i}", "defender") for i in range(folds)]

    def own(self, anonymizer: Use, block: int) -> list[str]:
        """The instance that the attacker fits on its own pool."""
        return [self._fitted(anonymizer, f"{block}.pool", "attacker")]

    def _fitted(self, anonymizer: Use, rows: str, who: str) -> str:
        return self.planner.fitted(anonymizer, self.source, self.split, rows, who, self.release_seeds)

    def release(self, anonymizer: Use, fitted: list[str], role: str, key: str) -> str:
        """The release of one role."""
        return self.tasks.release(anonymizer, self.split, fitted, role, key, self.release_seeds)

    def measures(self, scores: list[str], clean: list[str] | None) -> str:
        """Figures of the score matrices; with the clean ones beside them also KL."""
        inputs = {"split": [self.split], "scores": scores} | ({"clean": clean} if clean else {})
        spec = {"unit": self.unit}
        return self.tasks.add("attack-measures", spec, inputs, {}, "measure", seeds=self.release_seeds)


def _triple(level: str) -> dict[str, str]:
    """The (pool, gallery, probe) triple that is printed with every figure."""
    words = {"original": "original", "own": "released (own)", "defender": "released"}
    known = LEVELS[level]
    galleries = " or ".join(words[g] for g in known.galleries)
    return {"pool": words[known.pool], "gallery": galleries, "probe": words[known.probe]}


def _digest(path: Path) -> str:
    return file_digest(path) if path.is_file() else "missing"
