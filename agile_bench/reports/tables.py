"""What a board is, and how a figure becomes the text of a cell."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agile_bench.reports.escape import printable

__all__ = ["NOTHING", "Cell", "Column", "Place", "Table", "cell", "label", "shown", "without_empty"]

NOTHING = "-"
"""Shown where there is no figure; a word follows where there should have been one."""


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """Where figures can be compared with each other: one dataset, protocol, cohort and number of people."""

    dataset: str = ""
    protocol: str = ""
    cohort: str = ""
    subjects: int = 0

    def __str__(self) -> str:
        parts = [printable(p) for p in (self.dataset, self.protocol) if p]
        return " · ".join([*parts, f"{self.subjects} people"] if self.subjects else parts)


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, which direction is good, and what a narrow screen shows instead.

    Numbers stand on the right; of the others only `text` may be wrapped.
    """

    title: str
    better: Literal["", "higher", "lower"] = ""
    short: str = ""
    kind: Literal["number", "word", "text"] = "number"

    def heading(self, short: bool = False) -> str:
        """Put an arrow for the good direction behind the title."""
        arrow = {"": "", "higher": " ↑", "lower": " ↓"}[self.better]
        return ((short and self.short) or self.title) + arrow


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its text, and the numbers behind it in the unit shown.

    A line break in `text` is a place where a narrow screen may break it; elsewhere it is a space.
    """

    text: str = NOTHING
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @property
    def line(self) -> str:
        """The text in one line."""
        return self.text.replace("\n", " ")


@dataclass(frozen=True, slots=True)
class Table:
    """A board.

    Parameters
    ----------
    board : str
        Slug of the kind of board, such as ``privacy-eer``.
    place : Place
        What it is about; empty for a board about the whole run.
    title, caption : str
    columns : tuple of Column
    rows : tuple of tuple of Cell
        As long as `columns` each.
    notes : tuple of str
        Footnotes.
    """

    board: str
    place: Place
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"{self.board}: a row is not as long as the columns")


def shown(value: float, scale: float = 1.0, digits: int = 1) -> str:
    """Show a number: ``-`` for nan, ``inf`` as such, and no minus before a zero."""
    if math.isnan(value):
        return NOTHING
    text = f"{value * scale:.{digits}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text


def cell(value: float, low: float = math.nan, high: float = math.nan, scale: float = 1.0, digits: int = 1) -> Cell:
    """Show a figure with its interval, ``6.1 [3.9, 8.8]``; `scale` 100 makes a fraction a percentage."""
    text = shown(value, scale, digits)
    if math.isfinite(value) and not (math.isnan(low) or math.isnan(high)):
        text += f"\n[{shown(low, scale, digits)}, {shown(high, scale, digits)}]"
    return Cell(text, value * scale, low * scale, high * scale)


def label(name: str, settings: str, front_end: str = "") -> str:
    """Join a plugin's name, front-end and non-default settings: ``svd+lowpass``, ``gaussian snr_db=10``.

    A line break stands between name and settings (see `Cell`).
    """
    name = printable(f"{name}+{front_end}" if front_end else name)
    words = _settings(settings)
    return f"{name}\n{words}" if words else name


def _settings(text: str) -> str:
    try:
        values = json.loads(text) if text else {}
    except ValueError:
        return printable(text)
    if not isinstance(values, dict):
        return printable(text)
    return printable(", ".join(f"{k}={_word(v)}" for k, v in sorted(values.items())))


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def without_empty(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], keep: int
) -> tuple[tuple[Column, ...], tuple[tuple[Cell, ...], ...]]:
    """Leave out the columns that say nothing in every row; the first `keep` columns always stay."""
    used = [i for i in range(len(columns)) if i < keep or any(row[i].text != NOTHING for row in rows)]
    return tuple(columns[i] for i in used), tuple(tuple(row[i] for i in used) for row in rows)
