"""Text that came from files and plugins, made safe for a terminal."""

from __future__ import annotations

import sys

from agile_bench.reports.escape import printable

__all__ = ["printable", "stderr"]


def stderr(line: str) -> None:
    """One line for a person, beside the output proper."""
    print(f"agile-bench: {printable(line)}", file=sys.stderr)
