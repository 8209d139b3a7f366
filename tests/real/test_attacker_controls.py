"""Every identity attacker, under its default settings, recognises real people and nobody once names are shuffled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from every_plugin import ATTACKERS, FLOORS
from judged_controls import Rate, holm, permuted, positive

DATA = os.environ.get("AGILE_BENCH_DATA")
pytestmark = pytest.mark.skipif(not DATA, reason="AGILE_BENCH_DATA names no folder of recordings")
NAMES = (*ATTACKERS, *FLOORS)
PEOPLE = 30
SUITE = f"""
anonymizers = ["passthrough"]
attackers = {[*NAMES]}
knowledge = ["unprotected"]
beats_per_record = 20

[[datasets]]
name = "mitdb"
subjects = [{PEOPLE}]

[[datasets]]
name = "ecgiddb"
protocols = ["same-day"]
subjects = [{PEOPLE}]
"""
CELLS = {(dataset, name) for dataset in ("mitdb", "ecgiddb") for name in NAMES} - {("ecgiddb", "labels")}
"""ECG-ID tells no beat classes."""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("controls")
    suite = folder / "controls.toml"
    suite.write_text(SUITE, encoding="utf-8")
    command = [sys.executable, "-m", "agile_bench", "run", str(suite), "--out", str(folder / "run")]
    command += ["--store", str(folder / "store"), "--data", str(DATA)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=580, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    found: list[dict[str, Any]] = pq.ParquetFile(Path(folder) / "run" / "results.parquet").read().to_pylist()
    return found


def told(rates: dict[tuple[str, str], Rate], p: dict[tuple[str, str], float]) -> None:
    for cell, rate in sorted(rates.items()):
        print(f"{cell}: {rate.value:.3f} [{rate.low:.3f}, {rate.high:.3f}] of {rate.people}, adjusted p {p[cell]:.1e}")


def test_every_attacker_recognises_unprotected_people(rows: list[dict[str, Any]]) -> None:
    rates = positive(rows)
    p = holm({cell: rate.beats_chance() for cell, rate in rates.items()})
    told(rates, p)
    assert p.keys() == CELLS
    assert {rate.people for rate in rates.values()} == {PEOPLE}
    floors = {cell for cell in p if cell[1] in FLOORS}
    assert max(p[cell] for cell in p.keys() - floors) < 1e-6
    assert max(p[cell] for cell in floors) < 0.05


def test_no_attacker_recognises_people_whose_names_were_shuffled(rows: list[dict[str, Any]]) -> None:
    rates = permuted(rows)
    p = holm({cell: rate.looks_better_than_chance() for cell, rate in rates.items()})
    told(rates, p)
    assert p.keys() == CELLS
    assert min(p.values()) > 0.05
