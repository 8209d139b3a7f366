"""Text that came from files and plugins, made safe for a terminal."""

from __future__ import annotations

import sys


def printable(text: str) -> str:
    """The text with control and escape characters spelt out, on one line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def stderr(line: str) -> None:
    """One line for a person, beside the output proper."""
    print(f"agile-bench: {printable(line)}", file=sys.stderr)
