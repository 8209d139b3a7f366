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
from agile_bench.engine.attacks import Attack, Spot, floor_cells
from agile_bench.engine.attributes import Guess
from agile_bench.engine.columns import Cell
from agile_bench.engine.keys import canonical_json, file_digest, source_of_plugin
from agile_bench.engine.suite import AttackerAsk, DatasetAsk, PluginAsk, Suite
from agile_bench.protocols.knowledge import LEVELS
from agile_bench.protocols.pairing import eligible
from agile_bench.registry import Registry, unknown

Asked = TypeVar("Asked")
Made = TypeVar("Made")

SHARD = 32
"""Records in one ``cuts`` artefact; a constant, so that shards do not depend on machine or workers."""


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
    return Planner(suite, registry, data, device).plan()


class Planner:
    """Makes the plan of a suite; parameters as for `make_plan`."""

    def __init__(self, suite: Suite, registry: Registry, data: Path | None, device: str) -> None:
        self.suite, self.registry, self.data, self.device = suite, registry, data, device
        self.tasks = Tasks(suite, device)
        self.cells: list[Cell] = []
        self.sources: dict[str, Source] = {}
        self._candidates: tuple[dict[str, Use], Use] | None = None

    def plan(self) -> Plan:
        """Tasks and cells of the whole suite."""
        suite = self.suite
        anonymizers = self.each("anonymizers", suite.anonymizers, lambda ask: self.use("anonymizer", ask))
        attackers = self.each("attackers", suite.attackers, lambda ask: (self.attacker_uses(ask), self.levels(ask)))
        evaluators = self.each("evaluators", suite.evaluators, lambda ask: self.use("evaluator", ask))
        guessers = [asked for asked in attackers if _guesses(asked[0])]
        attackers = [asked for asked in attackers if not _guesses(asked[0])]
        floors = [uses for uses, _ in attackers if _floor(uses)]
        attackers = [asked for asked in attackers if not _floor(asked[0])]
        bare = _bare([uses for uses, _ in attackers])
        spots: list[Spot] = []
        for of_dataset in self.each("datasets", suite.datasets, self.spots):
            spots += [spot for spot in of_dataset if spot not in spots]
        for spot in spots:
            for uses, levels in attackers:
                Attack(self, spot, uses).cells(anonymizers, levels)
            for uses in bare:
                Attack(self, spot, uses).cells((), ())
            floor_cells(self, spot, floors)
        sources = list({id(spot.source): spot.source for spot in spots}.values())
        for name in {s.use.name for s in sources if sum(s.use.name == other.use.name for other in sources) > 1}:
            raise Refusal(f"suite {suite.name}: dataset {name!r} is asked with different settings; make it two suites")
        for seed, source, evaluator in product(suite.seeds, sources, evaluators):
            self.use_cells(source, seed, evaluator, anonymizers)
        for seed, source, (uses, levels) in product(suite.seeds, sources, guessers):
            Guess(self, source, seed, uses).cells(anonymizers, levels)
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
        """A plugin as the suite asks for it."""
        plugin = self.registry.make(kind, ask.name, ask.settings)
        return Use(kind, ask.name, plugin, source_of_plugin(self.registry.origin(kind, ask.name), self.device))

    def attacker_uses(self, ask: PluginAsk) -> dict[str, Use]:
        """An attacker and its front-ends."""
        name, *front_ends = ask.name.split("+")
        uses = {"attacker": self.use("attacker", PluginAsk(name=name, settings=ask.settings))}
        for number, front_end in enumerate(front_ends):
            uses[f"front-end.{number}"] = self.use("front-end", PluginAsk(name=front_end))
        return uses

    def candidates(self, anonymizer: Use) -> tuple[dict[str, Use], Use]:
        """The front-ends that may help an informed attacker, by name, and the attacker that tries them."""
        if self._candidates is None:
            names = self.suite.front_ends
            found = {name: self.use("front-end", PluginAsk.parse(name)) for name in names}
            screen = self.use("attacker", self.suite.screen)
            if _guesses({"attacker": screen}):
                raise Refusal(f"suite {self.suite.name}, screen: {screen.name!r} recognises nobody; name one that does")
            self._candidates = found, screen
        found, screen = self._candidates
        assert isinstance(anonymizer.plugin, Anonymizer)
        exposed = {"", *anonymizer.plugin.exposes}
        return {name: use for name, use in found.items() if getattr(use.plugin, "exploits", "") in exposed}, screen

    def levels(self, ask: AttackerAsk) -> list[str]:
        """The suite's levels at which an attacker meets a release."""
        asked = self.suite.knowledge if ask.knowledge is None else ask.knowledge
        return [level for level in self.suite.knowledge if level in asked and LEVELS[level].protected]

    def source(self, ask: DatasetAsk) -> Source:
        """A dataset with its listing and shards, made once."""
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
        """Folder of a dataset's files."""
        if dataset.folder is None:
            return None
        if self.data is None:
            raise Refusal(f"dataset {name!r} needs recordings: name their folder with --data or $AGILE_BENCH_DATA")
        if not self.data.is_dir():
            raise Refusal(f"--data {self.data}: there is no such folder")
        return self.data / dataset.folder

    def shards(self, use: Use, root: Path | None, entries: Sequence[RecordEntry]) -> Iterator[str]:
        """Tasks that cut the beats of a dataset, `SHARD` records each."""
        known: dict[Path, str] = {}  # a table may stand beside all records
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
            files = [path for entry in part for path in dataset.files(root, entry.record)]
            new = [path for path in dict.fromkeys(files) if path not in known]
            with ThreadPoolExecutor() as threads:
                known.update(zip(new, threads.map(_digest, new), strict=True))
            digests = [known[path] for path in files]
            yield self.tasks.cuts(use, rows, sha256("".join(digests).encode()).hexdigest(), root)

    def spots(self, ask: DatasetAsk) -> list[Spot]:
        """All splits that are asked of a dataset."""
        source = self.source(ask)
        axes = list(self.identity_axes(ask, source))
        return [
            Spot(source, protocol, cohort, people, seed)
            for seed in self.suite.seeds
            for protocol, people in axes
            for cohort in ask.cohorts
        ]

    def identity_axes(self, ask: DatasetAsk, source: Source) -> Iterator[tuple[str, int | None]]:
        """Protocols and subject counts."""
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
        """Cells per anonymizer and key: an evaluator fitted on originals, and one on releases, meet the release."""
        assert isinstance(evaluator.plugin, Evaluator)
        use = _Usefulness(self, source, seed, evaluator)
        if use.unlabelled and use.borrowed is None:
            return
        use.clean_cells()
        for anonymizer, key in product(anonymizers, range(self.suite.keys)):
            use.cells(anonymizer, key)

    def method_axes(self, anonymizer: Use) -> dict[str, Any]:
        """Columns that name a method."""
        plugin = anonymizer.plugin
        assert isinstance(plugin, Anonymizer)
        return {
            "anonymizer": anonymizer.name,
            "settings": anonymizer.changed,
            "reads": "+".join(sorted(plugin.reads)),
            "fitted_on": self.suite.fitted_on,
        }

    def cell(self, measures: str, axes: dict[str, Any], keeps: str = "", *, guessed: bool = False) -> None:
        """Remember a cell, once."""
        found = Cell(measures, {"cohort": "all", "subjects": 0} | axes, keeps, guessed)
        if found not in self.cells:
            self.cells.append(found)


class _Usefulness:
    """The tasks and cells of one evaluator on one dataset."""

    def __init__(self, planner: Planner, source: Source, seed: int, evaluator: Use) -> None:
        assert isinstance(evaluator.plugin, Evaluator)
        self.planner, self.tasks, self.source, self.evaluator = planner, planner.tasks, source, evaluator
        self.split = self.tasks.use_split(source, seed)
        self.seeds: Seeds = [source.use.name, "use", seed]
        self.unlabelled = evaluator.plugin.needs_labels and not source.dataset.labelled
        self.borrowed = planner.clinical(source, seed) if self.unlabelled else None
        self.diagnoses = any(y.kind == "class-scores" for y in evaluator.plugin.yields.values())
        self.fitted = self.tasks.evaluator(evaluator, self.borrowed or self.split, None, self.seeds)
        self.clean = self._predicted(self.fitted, None) if self.diagnoses else None
        published = source.dataset.diagnostic_split()
        self.cohorts = ("all", "strict") if published is not None and _one_person_in_both(source) else ("all",)
        self.axes = {
            "dataset": source.use.name,
            "protocol": "ds1-ds2" if published else "subject-disjoint",
            "seed": seed,
            "plugin": evaluator.name,
            "plugin_settings": evaluator.changed,
        }

    def clean_cells(self) -> None:
        """Diagnosis of the originals: what the figures of releases are measured against."""
        if self.clean is not None and not self.unlabelled:
            axes = {"role": "control", "control": "clean", "probe": "original", "pool": "original", "key": 0}
            self._cells(self.clean, axes, anonymizer=None)

    def cells(self, anonymizer: Use, key: int) -> None:
        """A release met by the evaluator fitted on originals and, where it diagnoses, by one fitted on releases."""
        state = self.planner.fitted(anonymizer, self.source, self.split, "train", "defender", self.seeds)
        released = self.tasks.release(anonymizer, self.split, [state], "test", f"key-{key}", self.seeds)
        axes = {"role": "anchor" if anonymizer.anchor else "method", "key": key, "probe": "released"}
        self._cells(self._predicted(self.fitted, released), axes | {"pool": "original"}, anonymizer)
        if self.diagnoses and not self.unlabelled:
            train = self.tasks.release(anonymizer, self.split, [state], "train", f"train-key-{key}", self.seeds)
            retrained = self.tasks.evaluator(self.evaluator, self.split, train, self.seeds)
            self._cells(self._predicted(retrained, released), axes | {"pool": "released"}, anonymizer)

    def _predicted(self, fitted: str, released: str | None) -> str:
        return self.tasks.predictions(self.evaluator, self.split, fitted, released, self.seeds)

    def _cells(self, predicted: str, axes: dict[str, Any], anonymizer: Use | None) -> None:
        inputs = {"predictions": [predicted]} | ({"clean": [self.clean]} if self.unlabelled and self.clean else {})
        method = self.planner.method_axes(anonymizer) if anonymizer is not None else {}
        for cohort in self.cohorts:
            spec = {"strict": cohort == "strict"}
            measures = self.tasks.add("use-measures", spec, inputs, {}, "measure", seeds=self.seeds[:2])
            self.planner.cell(measures, self.axes | axes | method | {"cohort": cohort})


def _one_person_in_both(source: Source) -> bool:
    """Whether a published diagnostic split has somebody on both of its sides."""
    sides = source.dataset.diagnostic_split() or (frozenset(), frozenset())
    train, test = ({e.subject for e in source.entries if e.record in side} for side in sides)
    return bool(train & test)


def _guesses(uses: dict[str, Use]) -> bool:
    return isinstance(uses["attacker"].plugin, AttributeAttacker)


def _floor(uses: dict[str, Use]) -> bool:
    plugin = uses["attacker"].plugin
    return isinstance(plugin, Attacker) and bool(plugin.floor)


def _bare(asked: Sequence[dict[str, Use]]) -> list[dict[str, Use]]:
    """Attackers that are asked only behind front-ends, without them.

    A front-end that needs an anonymizer has nothing to do on unprotected beats; the bare attacker's controls stand for
    those of both.
    """
    known = {_spoken(uses) for uses in asked}
    bare = ({"attacker": uses["attacker"]} for uses in asked)
    return list({_spoken(uses): uses for uses in bare if _spoken(uses) not in known}.values())


def _spoken(uses: dict[str, Use]) -> tuple[tuple[str, str], ...]:
    return tuple((use.name, use.changed) for use in uses.values())


def _digest(path: Path) -> str:
    return file_digest(path) if path.is_file() else "missing"
