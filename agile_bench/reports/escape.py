"""Text of files and plugins made harmless for each place where it is shown.

A name, setting or reason may hold anything; it is shown as the text it is. On the terminal every string goes
through `rich.text.Text`, which knows no markup, so only control characters are left to care for.
"""

from __future__ import annotations

import re

__all__ = ["csv_cell", "markdown", "printable"]

_MARKDOWN = re.compile(r"[\\`*_{}\[\]|~#!$]|:(?=//)|(?<=www)\.|@(?=\w)", re.IGNORECASE)
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def printable(text: str) -> str:
    """Put a text in one line: control, bidirectional and invisible characters become their escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def markdown(text: str) -> str:
    """Escape a text for a Markdown cell or paragraph: no markup, HTML, link or line break."""
    text = "".join(_HTML.get(c, c) for c in printable(text))
    return _MARKDOWN.sub(lambda hit: "\\" + hit[0], text)


def csv_cell(text: str) -> str:
    """Keep spreadsheets from taking a text, unless it is a number, for a formula: an apostrophe goes first."""
    text = printable(text)
    return "'" + text if text.startswith(("=", "+", "-", "@")) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
