"""Every figure of a run again, from the scores in its folder: no dataset, no GPU, no torch."""

from __future__ import annotations

import json
import math
import os
import shutil
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agile_bench.api import NotComputable, Refusal
from agile_bench.engine.columns import COLUMNS, SCHEMA_VERSION, Cell, Row
from agile_bench.engine.failure import Failure, from_exception
from agile_bench.engine.jobs.job import Job, Result
from agile_bench.engine.keys import canonical_json
from agile_bench.engine.results import Frame, Measured, frame
from agile_bench.engine.store import Shelf, Store, TornArtefact

if TYPE_CHECKING:
    from agile_bench.engine.plan import Plan

FOLDER, INDEX = "scores", "cells.json"
FILES = ("data.safetensors", "meta.json", "manifest.json")


def export(run: Path, plan: Plan, store: Store, failures: Mapping[str, Failure]) -> None:
    """Put all scores and predictions of a run into its folder, with what says which figures are made of them.

    They are linked where the file system allows it, so they take no room twice. They hold similarities, predicted
    classes, guesses of sex and age beside the truth, and sums over records, under opaque codes: no beat and no name.

    Parameters
    ----------
    run : Path
        The run folder.
    plan : Plan
    store : Store
    failures : mapping
        Why artefacts could not be made, by address.
    """
    place = run / FOLDER
    place.mkdir(exist_ok=True)
    wanted = {cell.measures for cell in plan.cells}
    tasks = {address: plan.tasks[address] for address in sorted(wanted)}
    needed = {a for address, task in tasks.items() if address not in failures for v in task.inputs.values() for a in v}
    for left in place.iterdir():
        if left.is_dir() and left.name not in needed:
            shutil.rmtree(left)
    for address in sorted(needed):
        _link(store.folder(address), place / address)
    index = {
        "schema": SCHEMA_VERSION,
        "cells": [asdict(cell) for cell in plan.cells],
        "measures": {a: {"kind": t.kind, "spec": t.parts["spec"], "inputs": t.inputs} for a, t in tasks.items()},
        "failures": {a: failures[a].to_json() for a in sorted(wanted) if a in failures},
    }
    (place / INDEX).write_text(canonical_json(index | {"self": _digest(index)}) + "\n", encoding="utf-8")


def _digest(index: Mapping[str, Any]) -> str:
    return sha256(canonical_json(dict(index)).encode()).hexdigest()


def _link(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for name in FILES:
        (target / name).unlink(missing_ok=True)
        try:
            os.link(source / name, target / name)
        except OSError:  # another file system, or one without links
            shutil.copyfile(source / name, target / name)


@dataclass(frozen=True, slots=True)
class Rescored:
    """The frame made again, and how it differs from the stored one.

    `differences` tells each figure that is another now, in words; `figures` counts all.
    """

    frame: Frame
    figures: int
    differences: list[str]


def rescore(run: Path) -> Rescored:
    """Recompute every metric of a run from its stored scores.

    Parameters
    ----------
    run : Path
        A run folder.

    Raises
    ------
    Refusal
        If it is no run folder, has no scores, or a file of them was altered.
    """
    index = _index(run)
    shelf = Shelf(run / FOLDER)
    failures = {address: Failure(**given) for address, given in index["failures"].items()}
    made: dict[str, Result] = {}
    for address, asked in index["measures"].items():
        if address in failures:
            continue
        try:
            made[address] = _measure(asked, shelf)
        except NotComputable as error:
            failures[address] = from_exception(error, asked["kind"], "")
        except TornArtefact as error:
            raise Refusal(f"{run / FOLDER}: {error}; run the suite again, which puts it right") from None
    cells = [Cell(**cell) for cell in index["cells"]]
    found = frame(cells, Measured(lambda a: made[a][1], lambda a: made[a][0]), failures)
    stored = _stored(run / "results.parquet")
    return Rescored(found, len(found.rows), _differences(stored, found.rows))


def _index(run: Path) -> dict[str, Any]:
    if not (run / "results.parquet").is_file():
        raise Refusal(f"{run}: no run folder; expected one that `agile-bench run` wrote")
    path = run / FOLDER / INDEX
    try:
        index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version, digest = index["schema"], index.pop("self", "")
    except OSError:
        raise Refusal(f"{run}: it holds no scores; runs of this version write them to {FOLDER}/") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refusal(f"{path}: not readable; run the suite again, which puts it right") from None
    if version != SCHEMA_VERSION:
        raise Refusal(f"{path}: written under schema {version}, this version reads {SCHEMA_VERSION}")
    if _digest(index) != digest:
        raise Refusal(f"{path}: it was altered; run the suite again, which puts it right")
    return index


def _measure(asked: Mapping[str, Any], shelf: Shelf) -> Result:
    from agile_bench.engine.jobs.attribute_measures import attribute_measures
    from agile_bench.engine.jobs.identity import attack_measures
    from agile_bench.engine.jobs.usefulness import use_measures

    makers = {
        "attack-measures": attack_measures,
        "use-measures": use_measures,
        "attribute-measures": attribute_measures,
    }
    for address in (a for addresses in asked["inputs"].values() for a in addresses):
        shelf.manifest(address)
    job = Job(asked["spec"], asked["inputs"], {}, shelf, "cpu", lambda done, total: None)
    arrays, meta = makers[asked["kind"]](job)
    return arrays, json.loads(canonical_json(meta))


def _stored(path: Path) -> list[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            rows: list[Row] = file.read().to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise Refusal(f"{path}: cannot be read as parquet ({str(error).splitlines()[0][:200]})") from None
    return rows


def _differences(stored: Sequence[Row], found: Sequence[Row]) -> list[str]:
    numbers = [name for name, kind in COLUMNS.items() if kind is float]
    words = [name for name, kind in COLUMNS.items() if kind is not float]
    told = []
    if len(stored) != len(found):
        told.append(f"{len(stored)} rows were stored, {len(found)} come out now")
    for before, after in zip(stored, found, strict=False):
        where = _where(after)
        told += [f"{where}: {n} {before.get(n)} -> {after[n]}" for n in words if before.get(n) != after[n]]
        told += [
            f"{where}: {n} {before.get(n)} -> {after[n]}" for n in numbers if _bits(before.get(n)) != _bits(after[n])
        ]
    return told


def _where(row: Row) -> str:
    names = ("dataset", "protocol", "role", "control", "anonymizer", "knowledge", "plugin", "metric", "level")
    return " ".join(str(row[n]) for n in names if row[n])


def _bits(value: float | None) -> bytes:
    """The bytes of a number; every nan is the same one."""
    return struct.pack("<d", math.nan if value is None or math.isnan(value) else value)
