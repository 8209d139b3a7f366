"""PTB-XL as published or in part, and what its beats tell of sex and age. Needs AGILE_BENCH_DATA with ptb-xl/ in it."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from agile_bench.datasets.ptbxl import Ptbxl

DATA = os.environ.get("AGILE_BENCH_DATA")
pytestmark = pytest.mark.skipif(
    not DATA or not (Path(DATA) / "ptb-xl").is_dir(), reason="AGILE_BENCH_DATA names no folder that holds ptb-xl/"
)

SUITE = """
anonymizers = ["constant"]
attackers = ["sex", "age"]
knowledge = ["semi-informed"]

[[datasets]]
name = "ptbxl"
"""


def test_records_have_twelve_leads_and_most_people_a_sex_and_an_age():
    dataset, root = Ptbxl(), Path(str(DATA)) / "ptb-xl"
    entries = dataset.records(root)
    assert len({e.record.rpartition("/")[2][:5] for e in entries}) == len(entries) >= 300
    first = entries[:: max(1, len(entries) // 50)]
    recordings = [dataset.read(root, e.record) for e in first]
    assert {len(r.leads) for r in recordings} == {12}
    assert {round(len(r.signal) / r.fs) for r in recordings} == {10}
    assert min(Counter(r.sex for r in recordings).values()) > 10
    assert all(r.age is None or 0 < r.age < 90 for r in recordings)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attributes")
    (folder / "guess.toml").write_text(SUITE)
    command = [sys.executable, "-m", "agile_bench", "run", str(folder / "guess.toml"), "--out", str(folder / "run")]
    command += ["--store", str(folder / "store"), "--data", str(DATA)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "Sex and age · ptbxl" in finished.stdout
    return folder / "run"


def test_sex_and_age_are_told_from_beats_and_not_from_one_beat_for_all(done: Path):
    rows: list[dict[str, Any]] = pq.ParquetFile(done / "results.parquet").read().to_pylist()
    found = {(r["role"], r["control"], r["metric"]): r for r in rows}
    for key, r in found.items():
        print(*key, f"{r['value']:.3f} [{r['low']:.3f}, {r['high']:.3f}] n {r['n']}")
    assert found["control", "positive", "sex-auroc"]["low"] > 0.62
    assert found["control", "permuted", "sex-auroc"]["low"] < 0.5
    assert found["anchor", "", "sex-auroc"]["value"] == 0.5
    median = found["control", "positive", "age-mae-median"]["value"]
    assert found["control", "positive", "age-mae"]["high"] < median - 2
    assert abs(found["anchor", "", "age-mae"]["value"] - median) < 0.5
    assert {r["status"] for r in rows} == {"ok"}


def test_no_record_or_patient_is_named_in_the_run_folder(done: Path):
    names = [e.record.rpartition("/")[2] for e in Ptbxl().records(Path(str(DATA)) / "ptb-xl")]
    for path in done.rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            assert not [n for n in names if n.encode() in held], path.name
            assert b"records100" not in held
            assert str(DATA).encode() not in held
