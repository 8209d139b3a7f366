"""The results frame: one tidy row per cell and metric, with the verdict of the controls."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agile_bench.api import Array
from agile_bench.engine import attribute_verdicts
from agile_bench.engine.columns import ATTACKER, COLUMNS, PLACE, Cell, Row, blank, write_frame
from agile_bench.engine.curves import curve_rows, write_curves
from agile_bench.engine.failure import Failure
from agile_bench.engine.floors import excess_rows, kept_rows
from agile_bench.engine.strongest import Figures, strongest_rows

HIGHER_IS_BETTER = frozenset(
    (
        *("eer", "eer-folded", "kl-eq6", "kl-reverse", "js", "posterior-entropy", "kl-ceiling", "excess-eer"),
        *("age-mae", "age-mae-median"),
        *("accuracy", "balanced-accuracy", "macro-f1", "majority", "agreement", "auroc", "snr-db", "pearson-r"),
        *(f"{rate}-{name}" for rate in ("se", "pp") for name in "nsvf"),
    )
)
"""Metrics whose high values speak for the anonymizer; per-beat and per-record ones declare it themselves."""

WELL_ABOVE_CHANCE = 2.0
"""An attacker recognises people if the lower bound of its rank-1 exceeds this many times chance."""

RETRAINED = ("semi-informed", "informed")


@dataclass(frozen=True, slots=True)
class Expectation:
    """What an attacker must do at a control, so that its figures can stand.

    `spoils` are the levels of knowledge at which they cannot if it does not; empty: at all.
    """

    control: str
    knowledge: str
    finds: bool
    blame: str
    spoils: tuple[str, ...] = ()
    always: bool = False


PERMUTED = Expectation("permuted", "unprotected", False, "recognises permuted identities", always=True)
EXPECTED = (
    Expectation("positive", "unprotected", True, "did not learn", always=True),
    PERMUTED,
    Expectation("constant", "ignorant", False, "tells equal beats apart"),
    Expectation("constant", "semi-informed", False, "tells equal beats apart once retrained"),
    Expectation("scramble", "semi-informed", True, "does not relearn a fixed scramble", RETRAINED),
    Expectation(
        "pseudo-identities", "lazy-informed", True, "does not link people who swapped places", ("lazy-informed",)
    ),
)
"""Every control that can fail; scramble and pseudo-identities at ``ignorant`` only show that private-looking figures of
an ignorant attacker are no evidence."""


@dataclass(frozen=True)
class Measured:
    """Where figures come from: by the address of their measures, what was found and the resampled figures."""

    meta: Callable[[str], Mapping[str, Any]]
    arrays: Callable[[str], Mapping[str, Array]]


@dataclass(frozen=True, slots=True)
class Frame:
    """All rows of a run, the comparisons of its methods and the loss curves of its attackers."""

    rows: list[Row]
    comparisons: list[dict[str, Any]] = field(default_factory=list)
    curves: list[dict[str, Any]] = field(default_factory=list)


def frame(cells: Sequence[Cell], measured: Measured, failures: Mapping[str, Failure]) -> Frame:
    """All rows of a run, in an order that depends on nothing but the cells.

    Parameters
    ----------
    cells : sequence of Cell
    measured : Measured
    failures : mapping
        Why measures could not be made, by address.
    """
    rows: list[Row] = []
    curves: list[dict[str, Any]] = []
    people: dict[tuple[Any, ...], int] = {}
    for cell in cells:
        if failure := failures.get(cell.measures):
            rows.append(_failed(cell, failure))
            continue
        meta = measured.meta(cell.measures)
        rows += _rows(cell, meta)
        curves += curve_rows(cell, meta)
        people[_split(cell.axes)] = int(meta["people"])
    for row in rows:  # a cell that failed stands where the others of its split do
        if row["status"] in ("failed", "not-computable"):
            row["subjects"] = people.get(_split(row), row["subjects"])
    guessed = {_attacker(c.axes) for c in cells if c.guessed}
    _judge(rows, guessed)
    attribute_verdicts.judge(rows)
    for row in rows:  # after the verdict, which is on the attacker without a front-end
        if "measures" in row and (chosen := row.pop("chosen", "")):
            row["front_end"] = chosen
    figures = Figures(measured.arrays)
    rows += strongest_rows(rows, guessed)
    kept = kept_rows(rows, cells, measured.meta)
    rows += kept
    rows += excess_rows(rows, kept, figures)
    compared = figures.comparisons(rows, guessed)
    for row in rows:
        row.pop("measures", None)
        row["higher_is_better"] = row["higher_is_better"] or row["metric"] in HIGHER_IS_BETTER
    return Frame(rows, compared, curves)


def _attacker(axes: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(axes.get(name, "") for name in ATTACKER)


def _split(axes: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a split is told by before it is drawn."""
    return (*(axes[name] for name in (*PLACE, "seed")), bool(axes.get("knowledge")))


def _rows(cell: Cell, meta: Mapping[str, Any]) -> Iterator[Row]:
    for found in meta["measures"]:
        row = blank() | cell.axes | found | {"measures": cell.measures}
        row["subjects"] = meta["people"]
        if meta.get("front_end"):
            row["chosen"] = meta["front_end"]
        for name, kind in COLUMNS.items():
            if kind is float:
                row[name] = math.nan if row[name] is None else float(row[name])
        yield row


def _failed(cell: Cell, failure: Failure) -> Row:
    attack = bool(cell.axes.get("knowledge"))
    told = {"metric": "eer" if attack else "accuracy", "level": "record" if attack else "beat"}
    return blank() | told | cell.axes | {"status": failure.status, "reason": failure.reason, "measures": cell.measures}


def write_figures(folder: Path, found: Frame) -> None:
    """Write what is made of measures: the frame, the comparisons and the loss curves."""
    write_frame(found.rows, str(folder / "results.parquet"))
    write_curves(found.curves, str(folder / "training.parquet"))
    told = [{k: _strict(v) for k, v in c.items()} for c in found.comparisons]
    text = json.dumps(told, indent=1, sort_keys=True, allow_nan=False)
    (folder / "comparisons.json").write_text(text + "\n", encoding="utf-8")


def _strict(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value


# -- validity ----------------------------------------------------------------------------------------------------------

Meeting = tuple[Any, ...]
Found = dict[tuple[str, str], dict[str, Row]]
"""Record-level rows of controls by (control, knowledge) and metric."""


def _meeting(row: Row) -> Meeting:
    """Where an attacker met a split: controls are computed per such meeting, not per cell."""
    return tuple(row[n] for n in (*PLACE, "seed", *ATTACKER))


def _judge(rows: list[Row], guessed: set[tuple[Any, ...]]) -> None:
    """Mark the figures of attackers that failed a control: they are evidence of nothing. Guessers are exempt."""
    controls: dict[Meeting, Found] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if row["role"] == "control" and row["knowledge"] and row["level"] == "record" and not row["anonymizer"]:
            controls[_meeting(row)][row["control"], row["knowledge"]][row["metric"]] = row
    verdicts = {
        meeting: list(verdicts_of(found))
        for meeting, found in controls.items()
        if meeting[-len(ATTACKER) :] not in guessed
    }
    fooled = {
        (*meeting[:-3], meeting[-3]): _broken(PERMUTED, found.get(("permuted", "unprotected"), {}).get("rank-1"))
        for meeting, found in controls.items()
    }
    for meeting, found in controls.items():  # a front-end that needs an anonymizer has no controls of its own
        if any(row["status"] == "not-computable" for row in found.get(("positive", "unprotected"), {}).values()):
            verdicts[meeting] = verdicts.get((*meeting[:-1], ""), verdicts.get(meeting, []))
    for row in rows:
        if row["role"] == "floor" and row["status"] == "ok":
            where = _meeting(row)[:-3]
            reasons = (fooled.get((*where, name), "") for name in row["plugin"].split("+"))
            if reason := next(filter(None, reasons), ""):
                row["status"], row["reason"] = "invalid", reason
        if row["knowledge"] and row["role"] in ("method", "anchor") and row["status"] == "ok":
            mine = (r for e, r in verdicts.get(_meeting(row), ()) if not e.spoils or row["knowledge"] in e.spoils)
            if reason := next(mine, ""):
                row["status"], row["reason"] = "invalid", reason


def verdicts_of(found: Found) -> Iterable[tuple[Expectation, str]]:
    """What an attacker did wrong at its controls, and marks their rows with it; nothing if its figures can stand.

    Parameters
    ----------
    found : mapping
        Record-level rows by (control, knowledge) and metric.
    """
    for expected in EXPECTED:
        rows = found.get((expected.control, expected.knowledge))
        if not rows:
            if expected.always:
                yield expected, f"the {expected.control} control is missing"
            continue
        if reason := _broken(expected, rows.get("rank-1")):
            for row in rows.values():
                row["reason"] = row["reason"] or reason
            yield expected, reason


def _broken(expected: Expectation, rank1: Row | None) -> str:
    if rank1 is None or rank1["status"] != "ok" or math.isnan(rank1["value"]):
        return f"the {expected.control} control is missing"
    # one in the size of a gallery: with a pool of other people there are two galleries, each of half of the people
    chance = rank1["n_genuine"] / max(1, rank1["n_genuine"] + rank1["n_impostor"])
    if (rank1["low"] > WELL_ABOVE_CHANCE * chance) == expected.finds:
        return ""
    return (
        f"{expected.blame}: {'unprotected ' if expected.control == 'positive' else ''}rank-1 {rank1['value']:.1%} "
        f"[{rank1['low']:.1%}, {rank1['high']:.1%}], chance {chance:.1%}"
    )
