"""From rows to figures: cells of an anonymizer, means over repeats, the strongest attacker, the order."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from agile_bench.protocols.knowledge import LEVELS
from agile_bench.reports.frame import Row
from agile_bench.reports.tables import NOTHING, Cell, Place, cell, label

K = TypeVar("K", bound=Hashable)

WORDS = ("failed", "missing", "invalid")
"""What bars an anonymizer from a rank, worst first."""
ORDER = {name: i for i, name in enumerate(LEVELS)}


class Method(NamedTuple):
    """An anonymizer as a row of a board: equal settings are one method."""

    anonymizer: str
    settings: str
    fitted_on: str


class Plug(NamedTuple):
    """An attacker or evaluator as a column of a board."""

    plugin: str
    settings: str
    front_end: str

    @property
    def label(self) -> str:
        """Name, front-end and settings."""
        return label(*self)


@dataclass(frozen=True, slots=True)
class Figure:
    """The mean of one metric over seeds and keys; where it is nan, `word` says why."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    word: str = ""

    def cell(self, scale: float = 1.0, digits: int = 1, who: str = "", interval: bool = True) -> Cell:
        """Show the figure as a cell, with who reached it below."""
        if math.isnan(self.value):
            return Cell(f"{NOTHING}\n{self.word}".strip())
        ends = (self.low, self.high) if interval else (math.nan, math.nan)
        made = cell(self.value, *ends, scale=scale, digits=digits)
        return Cell(f"{made.text}\n{who}", made.value, made.low, made.high) if who else made


@dataclass(frozen=True, slots=True)
class Standing:
    """How many cells of a method are there, and what bars it from a rank."""

    done: int = 0
    total: int = 0
    word: str = ""
    anchor: bool = False
    marks: str = ""

    def __add__(self, other: Standing) -> Standing:
        word = next((w for w in WORDS if w in (self.word, other.word)), "")
        both = self.anchor or other.anchor
        return Standing(self.done + other.done, self.total + other.total, word, both, self.marks or other.marks)


@dataclass(frozen=True)
class Roles:
    """Which anonymizers and attackers are anchors: those that no row with the role ``method`` names."""

    rows: Sequence[Row]
    _methods: frozenset[str] = field(init=False)
    _attackers: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        judged = [r for r in self.rows if r.role == "method"]
        object.__setattr__(self, "_methods", frozenset(r.anonymizer for r in judged))
        object.__setattr__(self, "_attackers", frozenset(r.plugin for r in judged))

    def anchors(self, method: Method) -> bool:
        """Whether the anonymizer only marks an end of the tables."""
        return method.anonymizer not in self._methods

    def judges(self, row: Row) -> bool:
        """Whether the row's attacker is a real one; in a run of anchors alone all are."""
        return not self._attackers or row.plugin in self._attackers


def grouped(rows: Iterable[Row], key: Callable[[Row], K]) -> dict[K, list[Row]]:
    """Group rows by key, in order of first appearance."""
    groups: dict[K, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return dict(groups)


def place_of(row: Row) -> Place:
    """Say where a row belongs."""
    return Place(row.dataset, row.protocol, row.cohort, row.subjects)


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


def repeats(rows: Sequence[Row]) -> str:
    """Say ``mean of 3 seeds × 2 keys``, nothing where there is one of each."""
    counts = [(len({r.seed for r in rows}), "seeds"), (len({r.key for r in rows}), "keys")]
    several = [f"{n} {what}" for n, what in counts if n > 1]
    return f"mean of {' × '.join(several)}, interval ends too" if several else ""


def standings(rows: Sequence[Row], roles: Roles) -> dict[Method, Standing]:
    """Count the cells of every method among these rows, which are of one place.

    A cell is missing where another method (no anchor) has one of the same attacker or evaluator at the same
    level of knowledge and this one has none, not even a failed one.
    """
    by_method = grouped(rows, method_of)
    expected = {_slot(r) for r in rows if not roles.anchors(method_of(r)) and r.knowledge != "unprotected"}
    return {m: _standing(m, mine, expected, roles) for m, mine in by_method.items()}


def _slot(row: Row) -> tuple[str, str, str]:
    return row.knowledge, row.plugin, row.plugin_settings


def _standing(method: Method, rows: Sequence[Row], expected: set[tuple[str, str, str]], roles: Roles) -> Standing:
    anchor = roles.anchors(method)
    missing = 0 if anchor else len(expected - {_slot(r) for r in rows})
    cells = grouped(rows, lambda r: (r.seed, r.key, *_slot(r), r.front_end, r.pool, r.gallery, r.probe))
    states = Counter(_status(cell_rows) for cell_rows in cells.values())
    word = worst([*states, *(["missing"] if missing else [])])
    marks = "†" if any("subject" in re.findall(r"[\w-]+", r.reads) for r in rows) else ""
    marks += "‡" if method.fitted_on == "same-people" else ""
    return Standing(states["ok"], len(cells) + missing, word if word in WORDS else "", anchor, marks)


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
    mine = [r for r in rows if r.metric == metric]
    top = max((ORDER.get(r.knowledge, -1) for r in mine), default=-1)
    mine = [r for r in mine if ORDER.get(r.knowledge, -1) == top]
    valid = [r for r in mine if r.status == "ok" and r.plugin]
    names = Counter(f"{plug_of(r).label.replace(chr(10), ' ')} @\n{r.pool}" for r in valid)
    who, times = max(names.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    return mean(mine), who if times == len(valid) else f"{who} ({times} of {len(valid)})"


def lowest(rows: Sequence[Row]) -> tuple[Figure, str]:
    """Find the lowest mean of an attacker among rows of one metric, and its name; else why there is none."""
    means = {plug: mean(mine) for plug, mine in grouped(rows, plug_of).items()}
    found = [(f.value, p.label, f) for p, f in means.items() if not math.isnan(f.value)]
    if not found:
        return Figure(word=worst(f.word for f in means.values())), ""
    _, who, figure = min(found, key=lambda item: item[:2])
    return figure, who


def ranking(
    standing: Mapping[Method, Standing], values: Mapping[Method, float], higher: bool = True
) -> list[tuple[Method, Cell]]:
    """Order methods, best value first, each with its rank; anchors and barred ones stand in place unranked.

    Equal values share a rank. Methods without a value come last, by name.
    """
    sign = -1 if higher else 1
    good = {m: v for m, v in values.items() if not math.isnan(v)}

    def place(method: Method) -> tuple[bool, float, Method]:
        return method not in good, sign * good.get(method, 0.0), method

    rivals = [sign * good[m] for m, s in standing.items() if m in good and not s.anchor and not s.word]
    return [(m, _rank(standing[m], m in good, sign * good.get(m, 0.0), rivals)) for m in sorted(standing, key=place)]


def _rank(standing: Standing, has_value: bool, value: float, rivals: Sequence[float]) -> Cell:
    if standing.anchor:
        return Cell("anchor")
    if standing.word:
        return Cell(f"{NOTHING}\n{standing.word}")
    if not has_value:
        return Cell()
    rank = 1 + sum(v < value for v in rivals)
    return Cell(str(rank), rank)
