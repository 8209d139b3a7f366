"""``agile-bench doctor``: versions, device, store, and which recordings are found and complete."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from agile_bench.api import Dataset, Refusal
from agile_bench.cli.text import printable
from agile_bench.registry import Registry


def doctor(
    data: Annotated[
        Path | None,
        typer.Option("--data", envvar="AGILE_BENCH_DATA", help="Folder that holds the datasets' folders."),
    ] = None,
    store: Annotated[Path | None, typer.Option("--store", help="Where artefacts are kept.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Look at this installation: versions, device, store and recordings.

    Example: [bold]agile-bench doctor --data recordings/[/bold]
    """
    from agile_bench.engine.keys import library_version
    from agile_bench.engine.run import LIBRARIES
    from agile_bench.engine.store import default_place

    place = store or default_place()
    found = {
        "versions": {name: library_version(name) or "missing" for name in LIBRARIES},
        "cores": len(os.sched_getaffinity(0)),
        "devices": _devices(),
        "store": {"place": str(place), "writable": os.access(_existing(place), os.W_OK)},
        "data": {"place": str(data) if data else None} | _datasets(data),
    }
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for topic, value in found.items():
        typer.echo(topic)
        rows = value.items() if isinstance(value, dict) else [("", value)]
        for key, told in rows:
            shown = ", ".join(told) if isinstance(told, list) else "-" if told is None else str(told)
            typer.echo(f"  {key:<12} {printable(shown)}")


def _existing(place: Path) -> Path:
    """The nearest folder that is there."""
    return next(p for p in (place.absolute(), *place.absolute().parents) if p.exists())


def _devices() -> list[str]:
    try:
        import torch
    except ImportError as error:
        return [f"torch cannot be imported: {error}"]
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return ["cpu", *(f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(count))]


def _datasets(data: Path | None) -> dict[str, Any]:
    registry = Registry()
    told = {}
    for name in registry.names("dataset"):
        try:
            dataset = registry.make("dataset", name, {})
        except Refusal as error:
            told[name] = str(error)
            continue
        assert isinstance(dataset, Dataset)
        if dataset.folder is None:
            told[name] = "made from a seed, needs no recordings"
        elif data is None:
            told[name] = "no folder named: use --data or $AGILE_BENCH_DATA"
        else:
            told[name] = _completeness(dataset, data / dataset.folder)
    return told


def _completeness(dataset: Dataset, root: Path) -> str:
    try:
        entries = dataset.records(root)
        files = [sum(1 for f in dataset.files(root, e.record) if f.is_file() and f.stat().st_size) for e in entries]
    except Refusal as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - somebody's loader is at fault, and the other topics still matter
        return f"its listing fails: {type(error).__name__}: {error}"
    of = f" of {dataset.expected_records}" if dataset.expected_records else ""
    told = f"{len(entries)}{of} records, {len({e.subject for e in entries})} people"
    if absent := sum(1 for count in files if count < max(files)):
        told += f", {absent} with a file missing or empty"
    return told + _fullest(dataset, root, entries[files.index(max(files))].record)


def _fullest(dataset: Dataset, root: Path, record: str) -> str:
    """Why even the record that has the most files cannot be read; empty where it can."""
    try:
        dataset.read(root, record)
    except Exception as error:  # noqa: BLE001 - as above
        return f", none readable ({record}: {error})"
    return ""
