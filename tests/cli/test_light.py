"""What needs no computing loads no library for it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import environment, process

HEAVY = (
    "torch",
    "torchvision",
    "timm",
    "sklearn",
    "pandas",
    "distributed",
    "dask",
    "numba",
    "sleepecg",
    "wfdb",
    "scipy",
)
SCIPY = tuple(f"scipy.{part}" for part in ("special", "signal", "stats", "optimize", "linalg", "interpolate"))

PROBE = """
import json, sys
sys.argv = ["agile-bench", *sys.argv[1:]]
from agile_bench.cli.main import entry
try:
    entry()
except SystemExit as end:
    code = end.code or 0
print(json.dumps([code, sorted(sys.modules)]))
"""


def heavy_after(folder: Path, *arguments: str) -> set[str]:
    """Heavy libraries, and parts of scipy, that are loaded when a command has done its work."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    code, loaded = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stdout + done.stderr
    return set(loaded) & {*HEAVY, *SCIPY}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["list"],
        ["list", "--json"],
        ["info", "cnn1d"],
        ["info", "synthetic"],
        ["info", "quick"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_loaded(finished: Path, arguments: list[str]) -> None:
    assert heavy_after(finished, *arguments) == set()


@pytest.mark.parametrize("more", [["--dry-run"], ["--out", "again"]], ids=" ".join)
def test_a_run_with_nothing_to_do_starts_no_cluster_and_loads_no_torch(finished: Path, more: list[str]) -> None:
    """Two exceptions: quantile functions for the interval of the strongest attacker, and what pyarrow imports."""
    assert heavy_after(finished, "run", "tiny.toml", *more) <= {"scipy", "scipy.special", "pandas"}


def test_the_probe_sees_what_a_plugin_file_imports_at_its_top(finished: Path) -> None:
    text = "import scipy.signal\nfrom agile_bench.api import FrontEnd\nclass Heavy(FrontEnd):\n    '''Heavy.'''\n"
    (finished / "heavy.py").write_text(text, encoding="utf-8")
    assert {"scipy", "scipy.signal"} <= heavy_after(finished, "list", "--plugin", "heavy.py:Heavy")


def test_a_run_with_nothing_to_do_is_quick_and_changes_no_byte(finished: Path) -> None:
    before = (finished / "out" / "results.parquet").read_bytes()
    start = time.monotonic()
    told = process(finished, "run", "tiny.toml", "--out", "again")
    assert time.monotonic() - start < 5
    assert told.code == 0
    assert "0 artefacts computed" in told.out
    assert told.err == ""
    assert (finished / "again" / "results.parquet").read_bytes() == before
