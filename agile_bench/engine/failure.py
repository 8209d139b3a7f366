"""A failure is a result: what failed, why, and where, without a personal path in it."""

from __future__ import annotations

import signal
import sysconfig
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from agile_bench.api import NotComputable

Status = Literal["failed", "not-computable"]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an artefact could not be made.

    Parameters
    ----------
    stage : str
        Kind of the artefact.
    plugin : str
        Names of the plugins at work, empty where the engine itself failed.
    reason : str
        One line.
    traceback : str
        With package-relative paths; empty where there is none.
    status : str
        ``failed``, or ``not-computable`` where the plugin itself declined.
    """

    stage: str
    plugin: str
    reason: str
    traceback: str = ""
    status: Status = "failed"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def from_exception(error: BaseException, stage: str, plugin: str, private: Sequence[str] = ()) -> Failure:
    """The failure that an exception is; words in `private` (record names, folders of recordings) are blotted out."""

    def clean(text: str) -> str:
        for word in sorted(private, key=len, reverse=True):
            text = text.replace(word, "...")
        return relative_paths(text)

    if isinstance(error, NotComputable):
        return Failure(stage, plugin, clean(str(error)), status="not-computable")
    reason = f"{type(error).__name__}: {error}".splitlines()[0]
    return Failure(stage, plugin, clean(reason), clean("".join(traceback.format_exception(error))))


def relative_paths(text: str) -> str:
    """The text with the folders of this installation and of the user cut off every path."""
    package = Path(__file__).resolve().parents[2]
    roots = [
        sysconfig.get_paths()["purelib"],
        sysconfig.get_paths()["stdlib"],
        str(package),
        str(Path.home()),
    ]
    for root in sorted(roots, key=len, reverse=True):
        text = text.replace(f"{root}/", "")
    return text


def from_exit(code: int, stage: str, plugin: str) -> Failure:
    """The failure of a child process that ended in the middle of a job."""
    if code < 0:
        name = {int(s): s.name for s in signal.Signals}.get(-code, f"signal {-code}")
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return Failure(stage, plugin, f"its process was killed by {name}{hint}")
    return Failure(stage, plugin, f"its process exited with status {code}")


def because_of(first: Failure, stage: str) -> Failure:
    """The failure of what needs something that failed, said once however long the chain is."""
    if first.reason.startswith("needs "):
        return Failure(stage, first.plugin, first.reason, status=first.status)
    who = f" of {first.plugin}" if first.plugin else ""
    return Failure(stage, first.plugin, f"needs {first.stage}{who}: {first.reason}", status=first.status)
