"""Boards as files: ``leaderboards.md`` to read, ``leaderboards.csv`` to compute with; same run, same bytes."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from agile_bench.reports.attributes import every_board
from agile_bench.reports.escape import csv_cell, markdown
from agile_bench.reports.frame import Run
from agile_bench.reports.tables import NOTHING, Cell, Table
from agile_bench.reports.terminal import summary_line

__all__ = ["as_csv", "as_markdown", "write_text"]

FIELDS = (
    *("board", "dataset", "protocol", "cohort", "people", "row", "column", "better"),
    *("text", "value", "low", "high"),
)
"""Columns of ``leaderboards.csv``: one line per cell of every board."""


def write_text(run: Run, folder: Path) -> list[Path]:
    """Write ``leaderboards.md`` and ``leaderboards.csv``.

    What is in them depends on the figures alone, not on what came from the store.

    Parameters
    ----------
    run : Run
    folder : path
        Made if it is not there; normally the run folder.

    Returns
    -------
    list of Path
        The files written.
    """
    tables = every_board(run)
    title = f"# Leaderboards · suite {markdown(run.summary.suite)}\n\n{summary_line(run.summary)}\n"
    texts = {
        "leaderboards.md": title + "".join(as_markdown(t) for t in tables),
        "leaderboards.csv": as_csv(tables),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return [folder / name for name in texts]


def as_markdown(table: Table) -> str:
    """Write one board as a section with a GitHub-flavoured table."""
    lines = [f"## {markdown(table.title)}", ""]
    if table.caption:
        lines += [markdown(table.caption), ""]
    lines.append(_md_row([column.heading() for column in table.columns]))
    lines.append("|" + "|".join(" ---: " if column.kind == "number" else " --- " for column in table.columns) + "|")
    lines += [_md_row([cell.line for cell in row]) for row in table.rows]
    if table.notes:
        lines += ["", *(f"- {markdown(note)}" for note in table.notes)]
    return "\n" + "\n".join(lines) + "\n"


def _md_row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(markdown(text) for text in texts) + " |"


def as_csv(tables: Sequence[Table]) -> str:
    """Write all boards as one table, a line per cell; numbers in the unit of the column, empty for none."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIELDS)
    for table in tables:
        place = (table.board, table.place.dataset, table.place.protocol, table.place.cohort)
        people = str(table.place.subjects or "")
        for number, row in enumerate(table.rows, 1):
            for column, cell in zip(table.columns, row, strict=True):
                texts = (*place, people, str(number), column.title, column.better, _word(cell))
                writer.writerow([*map(csv_cell, texts), *map(_number, (cell.value, cell.low, cell.high))])
    return out.getvalue()


def _word(cell: Cell) -> str:
    """Take a text without the dash that stands for no figure."""
    return cell.line.removeprefix(NOTHING).strip() if cell.line.split(" ")[0] == NOTHING else cell.line


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.9g}"
