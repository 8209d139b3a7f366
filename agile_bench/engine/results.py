"""The results frame: one tidy row per cell and metric, with validity and the strongest attacker decided here."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from agile_bench.engine.failure import Failure
from agile_bench.engine.plan import Cell, Plan
from agile_bench.engine.store import Store
from agile_bench.metrics.intervals import Estimate, envelope
from agile_bench.protocols.knowledge import LEVELS, up_to

SCHEMA_VERSION = 1
Row = dict[str, Any]

COLUMNS: dict[str, type] = {
    "schema_version": int,
    "dataset": str,
    "protocol": str,
    "cohort": str,
    "subjects": int,
    "seed": int,
    "key": int,
    "role": str,
    "anonymizer": str,
    "settings": str,
    "reads": str,
    "fitted_on": str,
    "knowledge": str,
    "pool": str,
    "gallery": str,
    "probe": str,
    "plugin": str,
    "plugin_settings": str,
    "front_end": str,
    "metric": str,
    "level": str,
    "beats_per_probe": float,
    "value": float,
    "low": float,
    "high": float,
    "n": int,
    "n_genuine": int,
    "n_impostor": int,
    "fta": float,
    "higher_is_better": bool,
    "status": str,
    "reason": str,
}
"""Columns of the frame, in order, with their types."""

HIGHER_IS_BETTER = frozenset(
    ["eer", "kl-eq6", "accuracy", "balanced-accuracy", "macro-f1", "majority", "agreement", "snr-db", "pearson-r"]
)
"""Metrics whose high values speak for the anonymizer; per-beat and per-record ones declare it themselves."""

WELL_ABOVE_CHANCE = 2.0
"""Positive control: the lower bound of unprotected rank-1 must exceed this many times chance."""

Axes = tuple[Any, ...]


def frame(plan: Plan, store: Store, failures: Mapping[str, Failure]) -> list[Row]:
    """All rows of a run, in an order that depends on nothing but the plan.

    Parameters
    ----------
    plan : Plan
    store : Store
    failures : mapping
        Why measures could not be made, by address.
    """
    rows: list[Row] = []
    for cell in plan.cells:
        failure = failures.get(cell.measures)
        rows += [_failed(cell, failure)] if failure else _rows(cell, store)
    guessed = {(c.axes["plugin"], c.axes["plugin_settings"]) for c in plan.cells if c.guessed}
    _judge(rows, guessed)
    rows += _strongest(rows, guessed)
    return rows


def _rows(cell: Cell, store: Store) -> Iterable[Row]:
    meta = store.meta(cell.measures)
    for found in meta["measures"]:
        row = blank() | cell.axes | found
        row["subjects"] = meta["people"]
        row["higher_is_better"] = found.get("higher_is_better", found["metric"] in HIGHER_IS_BETTER)
        for name, kind in COLUMNS.items():
            if kind is float:
                row[name] = math.nan if row[name] is None else float(row[name])
        yield row


def _failed(cell: Cell, failure: Failure) -> Row:
    metric = "eer" if cell.axes.get("knowledge") else "accuracy"
    level = "record" if cell.axes.get("knowledge") else "beat"
    told = {"metric": metric, "level": level, "status": failure.status, "reason": failure.reason}
    return blank() | cell.axes | told | {"higher_is_better": True}


def blank() -> Row:
    """A row with nothing in it."""
    empty = {str: "", int: 0, float: math.nan, bool: False}
    row = {name: empty[kind] for name, kind in COLUMNS.items()}
    return row | {"schema_version": SCHEMA_VERSION, "status": "ok", "fta": 0.0}


# -- validity ----------------------------------------------------------------------------------------------------------


def _meeting(row: Row) -> Axes:
    """Where an attacker met a split: controls are computed per such meeting, not per cell."""
    names = ("dataset", "protocol", "cohort", "subjects", "seed", "plugin", "plugin_settings", "front_end")
    return tuple(row[n] for n in names)


def _judge(rows: list[Row], guessed: set[tuple[str, str]]) -> None:
    """Mark the figures of attackers that failed a control: they are evidence of nothing. Guessers are exempt."""
    controls: dict[Axes, dict[str, dict[str, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if row["role"] == "control" and row["level"] == "record":
            controls[_meeting(row)][row["reason"]][row["metric"]] = row
    verdicts = {meeting: verdict(found) for meeting, found in controls.items()}
    for row in rows:
        if row["knowledge"] and row["role"] in ("method", "anchor") and row["status"] == "ok":
            reason = verdicts.get(_meeting(row), "")
            if reason and (row["plugin"], row["plugin_settings"]) not in guessed:
                row["status"], row["reason"] = "invalid", reason


def verdict(found: Mapping[str, Mapping[str, Row]]) -> str:
    """Why an attacker's figures cannot stand, empty where they can.

    Parameters
    ----------
    found : mapping
        Record-level rows by control (``positive``, ``permuted``) and metric.
    """
    positive = found.get("positive", {}).get("rank-1")
    if positive is None:
        return "the positive control is missing"
    # one in the size of a gallery: with a pool of other people there are two galleries, each of half of the people
    chance = positive["n_genuine"] / max(1, positive["n_genuine"] + positive["n_impostor"])
    if not positive["low"] > WELL_ABOVE_CHANCE * chance:
        return (
            f"did not learn: unprotected rank-1 {positive['value']:.1%} [{positive['low']:.1%}, "
            f"{positive['high']:.1%}], chance {chance:.1%}"
        )
    permuted = found.get("permuted", {}).get("rank-1")
    if permuted is None:
        return "the permuted control is missing"
    if permuted["low"] > WELL_ABOVE_CHANCE * chance:
        return (
            f"recognises permuted identities: rank-1 {permuted['value']:.1%} [{permuted['low']:.1%}, "
            f"{permuted['high']:.1%}], chance {chance:.1%}"
        )
    return ""


# -- the strongest attacker --------------------------------------------------------------------------------------------


def _strongest(rows: list[Row], guessed: set[tuple[str, str]]) -> list[Row]:
    """Per method and level, the strongest of all attackers of any level up to it, by the Bonferroni envelope."""
    names = (
        "dataset",
        "protocol",
        "cohort",
        "subjects",
        "seed",
        "key",
        "anonymizer",
        "settings",
        "reads",
        "fitted_on",
    )
    groups: dict[Axes, list[Row]] = defaultdict(list)
    for row in rows:
        wanted = row["metric"] in ("eer", "rank-1") and row["level"] == "record" and row["status"] == "ok"
        learns = (row["plugin"], row["plugin_settings"]) not in guessed
        if wanted and learns and row["role"] in ("method", "anchor") and row["knowledge"]:
            groups[(*(row[n] for n in names), row["metric"])].append(row)
    found = []
    for axes, group in groups.items():
        there = {row["knowledge"] for row in group}
        for level in (lv for lv in LEVELS if lv in there):
            upto = [row for row in group if row["knowledge"] in up_to(level)]
            found.append(blank() | dict(zip((*names, "metric"), axes, strict=True)) | _worst(upto, level))
    return found


def _worst(rows: list[Row], level: str) -> Row:
    metric = rows[0]["metric"]
    sign = 1 if metric == "eer" else -1
    worst = min(rows, key=lambda r: (sign * r["value"], r["plugin"], r["knowledge"]))
    bounds = envelope(
        [Estimate(r["value"], r["low"], r["high"]) for r in rows],
        persons=worst["n"],
        strongest="min" if metric == "eer" else "max",
    )
    counts = {n: worst[n] for n in ("beats_per_probe", "n", "n_genuine", "n_impostor", "higher_is_better")}
    return counts | {
        "role": "strongest",
        "knowledge": level,
        "pool": worst["knowledge"],
        "plugin": worst["plugin"],
        "plugin_settings": worst["plugin_settings"],
        "front_end": worst["front_end"],
        "level": "record",
        "value": bounds.value,
        "low": bounds.low,
        "high": bounds.high,
    }


def write_frame(rows: list[Row], path: str) -> None:
    """Write the frame as parquet with an explicit schema: equal rows, equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
    table = pa.table({name: [row[name] for row in rows] for name in COLUMNS}, schema=schema)
    pq.write_table(table, path)
