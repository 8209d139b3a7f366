"""From rows to figures: cells of an anonymizer, means over repeats, the strongest attacker, what chance gives."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, variance
from typing import NamedTuple, TypeVar

from agile_bench.protocols.knowledge import LEVELS
from agile_bench.reports.frame import Method, Row
from agile_bench.reports.tables import NOTHING, Cell, Place, cell, label, shown

__all__ = [
    "ORDER",
    "WORDS",
    "Figure",
    "Method",
    "Plug",
    "Roles",
    "Standing",
    "attacker_at",
    "barred",
    "chance_of_rank1",
    "grouped",
    "headline",
    "level_order",
    "lowest",
    "mean",
    "method_of",
    "place_of",
    "placed",
    "plug_of",
    "repeats",
    "same_method",
    "spread",
    "standings",
    "strongest",
    "top_level",
    "worst",
]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

WORDS = ("failed", "missing", "invalid")
"""What bars an anonymizer from a rank, worst first."""
ORDER = {name: i for i, name in enumerate(LEVELS)}


def level_order(level: str) -> tuple[int, str]:
    """Key to sort levels of knowledge by: the less is known the earlier, unknown levels last."""
    return ORDER.get(level, len(ORDER)), level


class Plug(NamedTuple):
    """An attacker or evaluator as a column of a board."""

    plugin: str
    settings: str
    front_end: str

    @property
    def label(self) -> str:
        """Name, front-end and settings."""
        return label(*self)

    @property
    def line(self) -> str:
        """The label without line breaks."""
        return self.label.replace("\n", " ")


@dataclass(frozen=True, slots=True)
class Figure:
    """The mean of one metric over seeds and keys; where it is nan, `word` says why."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    word: str = ""

    def cell(self, scale: float = 1.0, digits: int = 1, who: str = "", interval: bool = True) -> Cell:
        """Show the figure as a cell, with who reached it below; an interval that is not shown still goes along."""
        if math.isnan(self.value):
            return Cell(f"{NOTHING}\n{self.word}".strip())
        made = cell(self.value, self.low, self.high, scale=scale, digits=digits)
        text = made.text if interval else shown(self.value, scale, digits)
        return replace(made, text=f"{text}\n{who}" if who else text)


@dataclass(frozen=True, slots=True)
class Standing:
    """How many cells of a method are there, and what bars it from a rank."""

    done: int = 0
    total: int = 0
    word: str = ""
    anchor: bool = False
    marks: str = ""
    undeclared: tuple[str, ...] = ()

    def __add__(self, other: Standing) -> Standing:
        word = next((w for w in WORDS if w in (self.word, other.word)), "")
        both = self.anchor or other.anchor
        return Standing(
            self.done + other.done,
            self.total + other.total,
            word,
            both,
            self.marks or other.marks,
            self.undeclared or other.undeclared,
        )


@dataclass(frozen=True)
class Roles:
    """Who is an anchor, and who keeps more than it says.

    Anchors are the anonymizers and attackers that no row with the role ``method`` names.
    """

    rows: Sequence[Row]
    _methods: frozenset[str] = field(init=False)
    _attackers: frozenset[str] = field(init=False)
    _undeclared: Mapping[tuple[str, str], tuple[str, ...]] = field(init=False)

    def __post_init__(self) -> None:
        judged = [r for r in self.rows if r.role == "method"]
        object.__setattr__(self, "_methods", frozenset(r.anonymizer for r in judged))
        object.__setattr__(self, "_attackers", frozenset(r.plugin for r in judged))
        found = grouped(
            (r for r in self.rows if r.role == "kept" and r.control == "undeclared"),
            lambda r: (r.anonymizer, r.settings),
        )
        kept = {who: tuple(sorted({r.metric.removeprefix("kept-") for r in rows})) for who, rows in found.items()}
        object.__setattr__(self, "_undeclared", kept)

    def anchors(self, method: Method) -> bool:
        """Whether the anonymizer only marks an end of the tables."""
        return method.anonymizer not in self._methods

    def judges(self, row: Row) -> bool:
        """Whether the row's attacker is a real one; in a run of anchors alone all are."""
        return not self._attackers or row.plugin in self._attackers

    def undeclared(self, method: Method) -> tuple[str, ...]:
        """What the anonymizer was found to keep somewhere in the run without declaring it."""
        return self._undeclared.get((method.anonymizer, method.settings), ())


def grouped(rows: Iterable[Row], key: Callable[[Row], K]) -> dict[K, list[Row]]:
    """Group rows by key, in order of first appearance."""
    groups: dict[K, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return dict(groups)


def place_of(row: Row) -> Place:
    """Say where a row belongs."""
    return Place(row.dataset, row.protocol, row.cohort, row.subjects)


def placed(rows: Iterable[Row]) -> list[Row]:
    """Put cells that failed before their people were counted beside those that met all people of their place."""
    rows = list(rows)
    most: dict[Place, int] = defaultdict(int)
    for row in rows:
        series = Place(row.dataset, row.protocol, row.cohort)
        most[series] = max(most[series], row.subjects)
    return [
        row if row.subjects else replace(row, subjects=most[Place(row.dataset, row.protocol, row.cohort)])
        for row in rows
    ]


def method_of(row: Row) -> Method:
    """Name the method of a row."""
    return Method(row.anonymizer, row.settings, row.fitted_on)


def plug_of(row: Row) -> Plug:
    """Name the attacker or evaluator of a row."""
    return Plug(row.plugin, row.plugin_settings, row.front_end)


def headline(rows: Sequence[Row]) -> list[Row]:
    """Keep the rows of the level that leads: record, else beat, else subject."""
    for level in ("record", "beat", "subject"):
        found = [r for r in rows if r.level == level]
        if found:
            return found
    return []


def same_method(by_method: Mapping[Method, V], method: Method, default: V) -> V:
    """Pick what belongs to the method; where use was measured on another fit of it, that one."""
    others = (v for m, v in sorted(by_method.items(), key=lambda item: item[0]) if m[:2] == method[:2])
    return by_method[method] if method in by_method else next(others, default)


def chance_of_rank1(rows: Iterable[Row], people: int) -> float:
    """One in the size of a gallery, as the numbers of pairs tell; where they are not told one in `people`, else nan."""
    shares = [
        r.n_genuine / (r.n_genuine + r.n_impostor)
        for r in rows
        if r.metric in ("eer", "rank-1") and r.level == "record" and r.n_genuine > 0 and r.n_impostor > 0
    ]
    return math.fsum(shares) / len(shares) if shares else 1 / people if people else math.nan


def mean(rows: Sequence[Row]) -> Figure:
    """Average the valid rows of one metric over seeds and keys; interval ends are averaged likewise."""
    valid = [r for r in rows if r.status == "ok" and not math.isnan(r.value)]
    if not valid:
        return Figure(word=worst(r.status for r in rows))
    value, low, high = (sum(getattr(r, f) for r in valid) / len(valid) for f in ("value", "low", "high"))
    return Figure(value, low, high)


def worst(words: Iterable[str]) -> str:
    """Pick the word that weighs most, empty if all are well."""
    seen = set(words)
    return next((w for w in (*WORDS, "not-computable") if w in seen), "")


def barred(rows: Iterable[Row]) -> str:
    """Pick the word that bars a figure; that another one cannot be computed is no reason."""
    return worst(r.status for r in rows if r.status != "not-computable")


def repeats(rows: Sequence[Row]) -> str:
    """Say ``mean of 3 seeds × 2 keys``, nothing where there is one of each."""
    counts = [(len({r.seed for r in rows}), "seeds"), (len({r.key for r in rows}), "keys")]
    several = [f"{n} {what}" for n, what in counts if n > 1]
    return f"mean of {' × '.join(several)}, interval ends too" if several else ""


def spread(tops: Sequence[Row], roles: Roles) -> str:
    """Say ``sd seeds 0.3, keys 0.1 points``: how much the EER of the strongest attacker moves with each.

    Over seeds it is the standard deviation of the means over keys, over keys that within a seed; the variances of all
    methods, or of the anchors where there are none, are averaged.
    """
    rows = [r for r in tops if r.metric == "eer" and r.status == "ok" and not math.isnan(r.value)]
    rows = [r for r in rows if not roles.anchors(method_of(r))] or rows
    seeds: list[float] = []
    keys: list[float] = []
    for mine in grouped(rows, method_of).values():
        by_seed = [[r.value for r in same] for same in grouped(top_level(mine), lambda r: r.seed).values()]
        keys += [variance(values) for values in by_seed if len(values) > 1]
        seeds += [variance([fmean(values) for values in by_seed])] if len(by_seed) > 1 else []
    told = [f"{what} {shown(math.sqrt(fmean(vs)), 100)}" for what, vs in (("seeds", seeds), ("keys", keys)) if vs]
    return f"sd {', '.join(told)} points" if told else ""


def standings(rows: Sequence[Row], roles: Roles) -> dict[Method, Standing]:
    """Count the cells of every method among these rows, which are of one place.

    A cell is missing where another method (no anchor) has one of the same attacker or evaluator at the same
    level of knowledge and this one has none, not even a failed one.
    """
    by_method = grouped(rows, method_of)
    expected: set[tuple[str, ...]] = {
        _slot(r) for r in rows if not roles.anchors(method_of(r)) and r.knowledge != "unprotected"
    }
    return {m: _standing(m, mine, expected, roles) for m, mine in by_method.items()}


def _slot(row: Row) -> tuple[str, str, str, str]:
    """Name what a method is expected to have met; of evaluators, those fitted on originals and on releases are two."""
    return row.knowledge, row.plugin, row.plugin_settings, "" if row.knowledge else row.pool


def _standing(method: Method, rows: Sequence[Row], expected: set[tuple[str, ...]], roles: Roles) -> Standing:
    anchor = roles.anchors(method)
    missing = 0 if anchor else len(expected - {_slot(r) for r in rows})
    cells = grouped(rows, lambda r: (r.seed, r.key, *_slot(r), r.front_end, r.pool, r.gallery, r.probe))
    states = Counter(_status(cell_rows) for cell_rows in cells.values())
    word = worst([*states, *(["missing"] if missing else [])])
    marks = "†" if any("subject" in re.findall(r"[\w-]+", r.reads) for r in rows) else ""
    marks += "‡" if method.fitted_on == "same-people" else ""
    undeclared = roles.undeclared(method)
    marks += "§" if undeclared else ""
    return Standing(states["ok"], len(cells) + missing, word if word in WORDS else "", anchor, marks, undeclared)


def _status(rows: Sequence[Row]) -> str:
    """Name the state of a cell: one metric that cannot be computed does not spoil the others."""
    word = worst(r.status for r in rows)
    return "ok" if word in ("", "not-computable") and any(r.status == "ok" for r in rows) else word or "failed"


def strongest(rows: Sequence[Row], metric: str) -> tuple[Figure, str]:
    """Find the headline of one method: the figure of its strongest attacker at all, and who that was.

    Parameters
    ----------
    rows : sequence of Row
        Rows with the role ``strongest`` of one method at one place.
    metric : str

    Returns
    -------
    Figure, str
        The mean over seeds and keys at the highest level considered; ``svd @ informed`` with a line break.
    """
    mine = top_level([r for r in rows if r.metric == metric])
    valid = [r for r in mine if r.status == "ok" and r.plugin]
    names = Counter(attacker_at(plug_of(r), r.pool) for r in valid)
    who, times = max(names.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    return mean(mine), who if times == len(valid) else f"{who} ({times} of {len(valid)})"


def attacker_at(plug: Plug, level: str) -> str:
    """Name an attacker and what it knows: ``svd @ informed`` with a line break."""
    return f"{plug.line} @\n{level}"


def top_level(rows: Sequence[Row]) -> list[Row]:
    """Keep the rows of the highest level of knowledge among them."""
    top = max((ORDER.get(r.knowledge, -1) for r in rows), default=-1)
    return [r for r in rows if ORDER.get(r.knowledge, -1) == top]


def lowest(rows: Sequence[Row]) -> tuple[Figure, Plug | None]:
    """Find the lowest mean of an attacker among rows of one metric, and whose it is; else why there is none."""
    means = {plug: mean(mine) for plug, mine in grouped(rows, plug_of).items()}
    found = [(f.value, p.label, p) for p, f in means.items() if not math.isnan(f.value)]
    if not found:
        return Figure(word=worst(f.word for f in means.values())), None
    _, _, plug = min(found)
    return means[plug], plug
