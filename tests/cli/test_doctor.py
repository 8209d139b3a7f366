"""`doctor` says what is there and what is not, and never stops half-way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import wfdb
from command_line import Command


def write_record(folder: Path, name: str) -> None:
    """Ten seconds of two leads in the layout of MIT-BIH, with two annotated beats."""
    folder.mkdir(parents=True, exist_ok=True)
    signal = np.sin(np.linspace(0, 60, 3600))[:, None] * np.array([[1.0, 0.5]])
    wfdb.wrsamp(
        name,
        fs=360,
        units=["mV", "mV"],
        sig_name=["MLII", "V1"],
        p_signal=signal,
        fmt=["212", "212"],
        adc_gain=[200.0, 200.0],
        baseline=[0, 0],
        write_dir=str(folder),
    )
    wfdb.wrann(name, "atr", np.array([360, 720]), symbol=["N", "N"], write_dir=str(folder))


@pytest.fixture
def data(folder: Path) -> Path:
    """A data folder with three records of MIT-BIH, two of them of one person, and nothing else."""
    for name in ("100", "201", "202"):
        write_record(folder / "data" / "mitdb", name)
    (folder / "data" / "mitdb" / "RECORDS").write_text("100\n201\n202\n", encoding="ascii")
    return folder / "data"


def told_of(command: Command, *arguments: str) -> dict[str, str]:
    """What doctor says of each dataset."""
    told = command("doctor", "--json", *arguments)
    assert told.code == 0, told.err
    found: dict[str, str] = json.loads(told.out)["data"]
    return found


def test_without_data_it_says_how_to_name_them(command: Command) -> None:
    found = told_of(command)
    assert found["place"] is None
    assert "--data" in found["mitdb"]
    assert "$AGILE_BENCH_DATA" in found["mitdb"]
    assert "needs no recordings" in found["synthetic"]


def test_a_missing_folder_is_named_with_what_it_should_hold(command: Command, data: Path) -> None:
    assert "no folder" in told_of(command, "--data", str(data))["ecgiddb"]
    assert "no folder nowhere/mitdb" in told_of(command, "--data", "nowhere")["mitdb"]


def test_records_and_people_are_counted(command: Command, data: Path) -> None:
    assert told_of(command, "--data", str(data))["mitdb"] == "3 of 48 records, 2 people"


def test_the_environment_names_the_data_too(command: Command, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGILE_BENCH_DATA", str(data))
    assert told_of(command)["mitdb"] == "3 of 48 records, 2 people"


@pytest.mark.parametrize("how", ["gone", "empty"])
@pytest.mark.parametrize("suffix", [".dat", ".atr", ".hea"])
def test_a_missing_or_empty_file_is_counted(command: Command, data: Path, how: str, suffix: str) -> None:
    path = data / "mitdb" / f"201{suffix}"
    path.unlink()
    if how == "empty":
        path.write_bytes(b"")
    assert told_of(command, "--data", str(data))["mitdb"] == (
        "3 of 48 records, 2 people, 1 with a file missing or empty"
    )


def test_headers_alone_are_no_recordings(command: Command, data: Path) -> None:
    for path in data.rglob("*.dat"):
        path.unlink()
    found = told_of(command, "--data", str(data))["mitdb"]
    assert found.startswith("3 of 48 records, 2 people, none readable (100: no samples")


def test_a_listing_that_leaves_its_folder_is_refused_by_name(command: Command, data: Path) -> None:
    (data / "mitdb" / "RECORDS").write_text("../mitdb/100\n", encoding="ascii")
    assert "'../mitdb/100' is no record below that folder" in told_of(command, "--data", str(data))["mitdb"]


def test_an_empty_listing_is_told(command: Command, data: Path) -> None:
    (data / "mitdb" / "RECORDS").write_text("\n", encoding="ascii")
    assert "no record in" in told_of(command, "--data", str(data))["mitdb"]


def test_for_people_it_prints_versions_devices_and_the_store(command: Command, folder: Path) -> None:
    told = command("doctor", "--store", "my[red]store")
    assert told.code == 0
    for topic in ("versions", "cores", "devices", "store", "data"):
        assert f"\n{topic}\n" in f"\n{told.out}"
    assert "my[red]store" in told.out
    assert f"  {'numpy':<12} {np.__version__}\n" in told.out
    assert not (folder / "my[red]store").exists()
