"""The command line as a stranger meets it: in this process where nothing is computed, in one of its own otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TINY = """
anonymizers = ["passthrough", "gaussian"]
attackers = ["svd"]
evaluators = ["waveform"]
knowledge = ["unprotected", "ignorant"]

[[datasets]]
name = "synthetic"
protocols = ["same-day"]
settings = { people = 8, sessions = 1, seconds = 10.0 }
"""
"""A suite that takes seconds."""


@dataclass(frozen=True)
class Told:
    """What a command said, and its exit status."""

    code: int
    out: str
    err: str


Command = Callable[..., Told]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """What a process of the command line is started with."""
    kept = {k: v for k, v in os.environ.items() if k not in ("AGILE_BENCH_DATA", "FORCE_COLOR", "NO_COLOR")}
    place = {"AGILE_BENCH_STORE": str(folder / "store"), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    return {**kept, **place, **more}


def process(folder: Path, *arguments: str) -> Told:
    """Run the command line in a process of its own, not on a terminal."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "agile_bench", *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Told(done.returncode, done.stdout, done.stderr)
