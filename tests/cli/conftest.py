"""Fixtures of the command line's tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from command_line import TINY, Command, Told, process

from agile_bench.cli.main import entry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to work in, with the suite `tiny.toml`."""
    (tmp_path / "tiny.toml").write_text(TINY, encoding="utf-8")
    return tmp_path


@pytest.fixture
def command(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in this process."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("AGILE_BENCH_DATA", raising=False)
    monkeypatch.setenv("AGILE_BENCH_STORE", str(folder / "store"))

    def call(*arguments: str) -> Told:
        monkeypatch.setattr(sys, "argv", ["agile-bench", *arguments])
        with pytest.raises(SystemExit) as end:
            entry()
        said = capsys.readouterr()
        assert end.value.code in (None, 0, 1, 2)
        return Told(int(end.value.code or 0), said.out, said.err)

    return call


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tiny suite was run, once for all tests; its figures are in `out`."""
    place = tmp_path_factory.mktemp("finished")
    (place / "tiny.toml").write_text(TINY, encoding="utf-8")
    told = process(place, "run", "tiny.toml", "--workers", "1", "--out", "out")
    assert told.code == 0, told.out + told.err
    return place
