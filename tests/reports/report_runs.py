"""Run folders made up for the tests of reports: single rows by keyword, and a realistic whole."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from agile_bench.reports.frame import Row, Run, load
from agile_bench.reports.tables import Table

NAN = float("nan")
KINDS = {"int": pa.int64(), "float": pa.float64(), "str": pa.string(), "bool": pa.bool_()}
SOURCES = {
    "unprotected": ("original", "original", "original"),
    "ignorant": ("original", "original", "defender"),
    "lazy-informed": ("original", "defender", "defender"),
    "semi-informed": ("own", "defender", "defender"),
    "informed": ("defender", "defender", "defender"),
}
BLANK = Row(
    schema_version=1,
    dataset="ecgiddb",
    protocol="same-day",
    cohort="all",
    subjects=89,
    seed=0,
    key=0,
    role="method",
    anonymizer="gaussian",
    settings="",
    reads="",
    fitted_on="other-people",
    knowledge="ignorant",
    pool="original",
    gallery="original",
    probe="defender",
    plugin="svd",
    plugin_settings="",
    front_end="",
    metric="eer",
    level="record",
    beats_per_probe=9.5,
    value=0.1,
    low=NAN,
    high=NAN,
    n=89,
    n_genuine=89,
    n_impostor=7832,
    fta=0.0,
    higher_is_better=False,
    status="ok",
    reason="",
)
COHORTS = [
    {"dataset": "mitdb", "subjects": 45, "records": 46, "beats": 99, "skipped": {"no-lead": 2}, "dropped": {}},
    {
        "dataset": "ecgiddb",
        "subjects": 89,
        "records": 300,
        "beats": 3012,
        "skipped": {"too-few-beats": 2},
        "dropped": {"saturated": 14, "at the edge": 6},
    },
]
FAILURE = {
    "stage": "scores",
    "plugin": "cnn1d",
    "settings": "",
    "reason": "exited with status 9",
    "traceback": "",
    "cells": 4,
}


def row(**changes: Any) -> Row:
    return replace(BLANK, **changes)


def attack(anonymizer: str, eer: float, **changes: Any) -> Row:
    """One EER of one attacker."""
    return row(anonymizer=anonymizer, value=eer, **changes)


def strongest(anonymizer: str, eer: float, rank1: float = 0.5, **changes: Any) -> list[Row]:
    """The headline rows of an anonymizer: EER and rank-1 of the attacker `plugin` at the level `pool`."""
    fixed = {"role": "strongest", "anonymizer": anonymizer, "knowledge": "informed", "pool": "informed", **changes}
    return [row(metric="eer", value=eer, **fixed), row(metric="rank-1", value=rank1, **fixed)]


def write_run(folder: Path, rows: Sequence[Row], **changes: Any) -> Path:
    """Write a run folder with these rows; `cohorts`, `failures` and the counts of run.json by keyword."""
    folder.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([(f.name, KINDS[str(f.type)]) for f in fields(Row)])
    pq.write_table(pa.Table.from_pylist([asdict(r) for r in rows], schema=schema), folder / "results.parquet")
    lists = {f"{name}.json": changes.pop(name, []) for name in ("cohorts", "failures")}
    run = {"suite": "quick", "cells": 24, "done": 24, "failed": 0, "invalid": 0, "not_computable": 0}
    run |= {"cached_artefacts": 3, "computed_artefacts": 40, **changes}
    for name, value in {"run.json": run, **lists}.items():
        (folder / name).write_text(json.dumps(value))
    return folder


def run_of(folder: Path, rows: Sequence[Row], **changes: Any) -> Run:
    """Write a run folder and load it."""
    return load(write_run(folder, rows, **changes))


def column(table: Table, title: str) -> list[str]:
    """The texts of one column, each in one line."""
    titles = [c.title for c in table.columns]
    return [line[titles.index(title)].line for line in table.rows]


def realistic() -> list[Row]:
    """Two datasets, three anonymizers beside two anchors, three attackers, five levels, one crashed cell each."""
    rng = random.Random(7)
    places = [("ecgiddb", "cross-day", 20), ("ecgiddb", "same-day", 40), ("ecgiddb", "same-day", 89)]
    places += [("mitdb", "within-record", 45)]
    methods = [
        {"anonymizer": "passthrough", "role": "anchor"},
        {"anonymizer": "constant", "role": "anchor"},
        {"anonymizer": "gaussian", "settings": '{"snr_db": 10}'},
        {"anonymizer": "gaussian", "settings": '{"band": "in-band", "snr_db": 0}'},
        {"anonymizer": "k-same", "settings": '{"k": 5}', "reads": "subject"},
    ]
    rows: list[Row] = []
    for dataset, protocol, subjects in places:
        place = {"dataset": dataset, "protocol": protocol, "subjects": subjects}
        for method, hardness in zip(methods, (0.04, 0.5, 0.14, 0.21, 0.31), strict=True):
            rows += _attacks(rng, {**place, **method}, hardness)
        rows += _controls(place)
    for method, hardness in zip(methods, (0.0, 0.5, 0.14, 0.21, 0.31), strict=True):
        blank = {"knowledge": "", "pool": "", "gallery": "", "probe": ""}
        rows += _diagnosis({**method, **blank, "dataset": "mitdb", "subjects": 45}, hardness)
        for dataset, subjects in (("mitdb", 45), ("ecgiddb", 89)):
            rows += _waveform(rng, {**method, **blank, "dataset": dataset, "subjects": subjects}, hardness)
    return rows


def _interval(value: float, half: float) -> dict[str, float]:
    return {"value": value, "low": max(0.0, value - half), "high": min(1.0, value + half)}


def _attacks(rng: random.Random, where: dict[str, Any], hardness: float) -> list[Row]:
    rows: list[Row] = []
    best = (1.0, "", "")
    for strength, level in enumerate(SOURCES):
        if level == "unprotected" and where["anonymizer"] != "passthrough":
            continue
        for attacker in ("svd", "cnn1d", "random-guess"):
            pool, gallery, probe = SOURCES[level]
            cell = {**where, "knowledge": level, "plugin": attacker, "pool": pool, "gallery": gallery, "probe": probe}
            if attacker == "random-guess":
                cell["role"] = "anchor"
            if (attacker, level) == ("cnn1d", "informed") and "in-band" in where.get("settings", ""):
                rows.append(row(**cell, metric="", level="", value=NAN, status="failed", reason="exited with status 9"))
                continue
            eer = min(0.5, max(0.02, hardness * (1.6 - 0.15 * strength) + rng.uniform(-0.02, 0.02)))
            eer = 0.5 if attacker == "random-guess" else eer
            rows.append(row(**cell, metric="eer", **_interval(eer, 0.025)))
            rows.append(row(**cell, metric="rank-1", higher_is_better=True, **_interval(1 - 1.8 * eer, 0.06)))
            if level == "ignorant":
                rows.append(
                    row(**cell, metric="kl-eq6", higher_is_better=True, value=6 * eer, low=5 * eer, high=7 * eer)
                )
            best = min(best, (eer, attacker, level))
    eer, attacker, level = best
    top = {**where, "role": "strongest", "knowledge": "informed", "pool": level, "plugin": attacker}
    rows.append(row(**top, metric="eer", **_interval(eer, 0.03)))
    rows.append(row(**top, metric="rank-1", higher_is_better=True, **_interval(1 - 1.8 * eer, 0.07)))
    return rows


def _controls(place: dict[str, Any]) -> list[Row]:
    rows = []
    for attacker in ("svd", "cnn1d"):
        for kind, eer, rank1 in (("positive", 0.06, 0.95), ("permuted", 0.49, 1 / place["subjects"])):
            cell = {**place, "plugin": attacker, "role": "control", "anonymizer": "passthrough", "reason": kind}
            rows += [row(**cell, metric="eer", value=eer), row(**cell, metric="rank-1", value=rank1)]
    return rows


def _diagnosis(method: dict[str, Any], hardness: float) -> list[Row]:
    cell = {**method, "protocol": "ds1-ds2", "plugin": "diagnosis", "level": "beat"}
    rates = {"accuracy": 0.93 - hardness / 8, "balanced-accuracy": 0.7 - hardness, "macro-f1": 0.6 - hardness}
    rows = [row(**cell, metric=m, higher_is_better=True, **_interval(v, 0.04)) for m, v in rates.items()]
    rows.append(row(**cell, metric="majority", higher_is_better=True, value=0.89))
    return [*rows, row(**cell, metric="ce-eq6", value=0.2 + hardness, low=0.1 + hardness, high=0.3 + hardness)]


def _waveform(rng: random.Random, method: dict[str, Any], hardness: float) -> list[Row]:
    cell = {**method, "protocol": "subject-disjoint", "plugin": "waveform"}
    prdn = 100 * hardness + rng.uniform(0, 4) * bool(hardness)
    lower = {"rmse-mv": prdn / 400, "prdn": prdn, "r-displacement-ms": prdn / 8}
    higher = {"snr-db": 30 - prdn if prdn else float("inf"), "pearson-r": 1 - prdn / 200}
    return [
        row(**cell, metric=m, value=v, low=v - abs(v) / 10, high=v + abs(v) / 10, higher_is_better=m in higher)
        for m, v in {**lower, **higher}.items()
    ]
