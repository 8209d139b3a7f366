"""Help, versions, and how fast they are there."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Command, environment

from agile_bench import __version__

VERBS = ("run", "list", "info", "doctor")


def test_help_names_every_verb_under_a_heading(command: Command) -> None:
    told = command("--help")
    assert told.code == 0
    assert "Start here" in told.out
    for verb in VERBS:
        assert f"│ {verb} " in told.out


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_verb_has_help_with_an_example(command: Command, verb: str, flag: str) -> None:
    told = command(verb, flag)
    assert told.code == 0
    text = " ".join(told.out.split())
    assert "Example: " in text or "Examples: " in text
    assert f"agile-bench {verb}" in text.partition("Example")[2]
    assert "[bold]" not in text


def test_without_a_verb_the_help_is_shown_and_nothing_was_done(command: Command) -> None:
    told = command()
    assert told.code == 2
    assert "agile-bench [OPTIONS] COMMAND" in told.out + told.err
    assert "Traceback" not in told.err


def test_version(command: Command) -> None:
    told = command("--version")
    assert (told.code, told.out) == (0, f"agile-bench {__version__}\n")


def test_help_is_there_at_once(folder: Path) -> None:
    """Half a second is the aim; twice that is the alarm. Processor time, for a busy machine is nobody's fault."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "agile_bench", "--help"],
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 1.0
