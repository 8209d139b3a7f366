"""Boards on a terminal: readable from 80 columns on, colours only where there is a screen."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.segment import Segments
from rich.table import Table as Grid
from rich.text import Text

from agile_bench.reports.attributes import every_board
from agile_bench.reports.escape import printable
from agile_bench.reports.frame import Run, Summary
from agile_bench.reports.tables import NOTHING, Cell, Table

__all__ = ["print_run", "print_table", "summary_line"]

GAP = 2
TEXT_WIDTH = 12
"""What wrapped text gets at least."""
WORD_WIDTH = 24
"""How long a word of wrapped text may be that is kept whole where there is room."""
PLAIN = str.maketrans({"↑": "^", "↓": "v", "·": "|", "×": "x", "†": "+", "‡": "++", "§": "!", "¶": "?"})
WIDE, NARROW, TIGHT = range(3)
"""Cells in one line; broken where they may be; intervals broken too."""
_INTERVAL = re.compile(r"^\[(\S+), (\S+)\]$", re.MULTILINE)


def summary_line(summary: Summary) -> str:
    """Say ``23 of 24 cells done, 1 failed, 0 invalid, 2 not computable``."""
    return (
        f"{summary.done} of {summary.cells} cells done, {summary.failed} failed, {summary.invalid} invalid, "
        f"{summary.not_computable} not computable"
    )


def print_run(run: Run, console: Console | None = None) -> None:
    """Print the state of a run and all its boards.

    Parameters
    ----------
    run : Run
    console : rich.console.Console or None
        Where to; standard output if not given.
    """
    console = console or Console()
    s = run.summary
    _say(
        console,
        summary_line(s),
        "bold red" if s.failed else "bold yellow" if s.done < s.cells else "bold green",
    )
    made = f"{s.computed_artefacts} artefacts computed, {s.cached_artefacts} from the store"
    _say(console, f"suite {printable(s.suite)} · {made}", "dim")
    for table in every_board(run):
        console.print()
        print_table(table, console)


def print_table(table: Table, console: Console) -> None:
    """Print one board; where it would not fit, cells take two or three lines and headings their short form.

    A screen too narrow even for that gets lines longer than it is: better wrapped than cut.
    """
    _say(console, table.title, "bold cyan")
    if table.caption:
        _say(console, table.caption, "dim")
    form = next((f for f in (WIDE, NARROW) if _width(table, f) <= console.width), TIGHT)
    least, wide = _width(table, form), _width(table, form, whole_words=True)
    width = console.width if least <= console.width else wide
    room = wide <= width
    grid = Grid(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0), header_style="bold")
    for i, column in enumerate(table.columns):
        justify: JustifyMethod = "right" if column.kind == "number" else "left"
        heading = _text(column.heading(short=form != WIDE), console)
        whole = _longest_word(_texts(table, i, form)) if room and column.kind == "text" else None
        grid.add_column(heading, justify=justify, no_wrap=column.kind != "text", overflow="fold", min_width=whole)
    for row in table.rows:
        grid.add_row(*(_cell(c, form, console) for c in row), style=_style(table, row))
    segments = console.render(grid, console.options.update(width=width, height=None))
    console.print(Segments(segments), crop=False, end="")
    for note in table.notes:
        _say(console, note, "dim")


def _width(table: Table, form: int, whole_words: bool = False) -> int:
    """Measure what a table needs with every cell in one line, or at least, with cells broken."""
    total = GAP * (len(table.columns) - 1)
    for i, column in enumerate(table.columns):
        texts = _texts(table, i, form)
        natural = max(cell_len(line) for text in texts for line in text.split("\n"))
        least = max(TEXT_WIDTH, _longest_word(texts) if whole_words else 0)
        total += min(natural, least) if form != WIDE and column.kind == "text" else natural
    return total


def _texts(table: Table, column: int, form: int) -> list[str]:
    heading = table.columns[column].heading(form != WIDE)
    return [heading, *(_shape(row[column], form) for row in table.rows)]


def _longest_word(texts: Sequence[str]) -> int:
    return max((n for text in texts for word in text.split() if (n := cell_len(word)) <= WORD_WIDTH), default=0)


def _shape(cell: Cell, form: int) -> str:
    if form == WIDE:
        return cell.line
    return cell.text if form == NARROW else _INTERVAL.sub("[\\1,\n\\2]", cell.text)


def _cell(cell: Cell, form: int, console: Console) -> Text:
    first, *rest = _shape(cell, form).split("\n")
    text = _text(first, console)
    for line in rest:
        text.append("\n").append(_text(line, console).plain, style="dim")
    return text


def _style(table: Table, row: tuple[Cell, ...]) -> str:
    if table.columns[0].title != "rank":
        return ""
    rank = row[0].text
    return "dim" if rank == "anchor" else "yellow" if rank.startswith(NOTHING) else "bold" if rank == "1" else ""


def _say(console: Console, line: str, style: str) -> None:
    console.print(_text(line, console), style=style, highlight=False)


def _text(line: str, console: Console) -> Text:
    """Take a line as it is, no markup in it, in characters that the screen can show."""
    try:
        line.encode(console.encoding)
    except UnicodeEncodeError:
        line = line.translate(PLAIN).encode(console.encoding, "backslashreplace").decode(console.encoding)
    return Text(line)
