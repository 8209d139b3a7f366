"""The board about sex and age, and the boards of a run that may hold both it and figures about identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agile_bench.protocols.knowledge import LEVELS
from agile_bench.reports.boards import boards
from agile_bench.reports.escape import printable
from agile_bench.reports.figures import Plug, Roles, grouped, mean, method_of, plug_of, repeats
from agile_bench.reports.frame import Row, Run
from agile_bench.reports.tables import NOTHING, Cell, Column, Place, Table, label, without_empty

__all__ = ["attribute_board", "every_board"]

PREFIXES = ("sex-", "age-")
HEADLINES = {"sex-auroc": ("AUROC", 2), "age-mae": ("MAE, years", 1)}
"""What is shown of each target, and its digits."""
CHANCE = Cell("0.50", 0.5)
LAST = frozenset({"controls", "controls-known", "floors", "knowledge", "splits", "cohorts", "failures"})
"""Boards about the run itself, before which the one about sex and age stands."""
SHORT = {"unprotected": "unpro-\ntected", "ignorant": "igno-\nrant", "semi-informed": "semi", "informed": "in-\nformed"}
NOTES = (
    "unprotected: no anonymizer, and with the pool's people shuffled; ignorant: learnt from recordings; semi-informed: "
    "from releases of an instance of its own; informed: from releases of the defender's",
    "knowing nothing: an AUROC of 0.5, or the MAE of always naming the pool's median age; a private release is there",
)


def every_board(run: Run) -> list[Table]:
    """All boards of a run: `boards` of what is about identity and use, and one a dataset about sex and age.

    Parameters
    ----------
    run : Run
        What `agile_bench.reports.frame.load` gave.
    """
    about = [row for row in run.rows if about_attributes(row)]
    tables = boards(replace(run, rows=tuple(row for row in run.rows if not about_attributes(row))))
    place = next((i for i, table in enumerate(tables) if table.board in LAST), len(tables))
    found = [attribute_board(rows) for _, rows in sorted(grouped(about, lambda r: r.dataset).items())]
    return [*tables[:place], *found, *tables[place:]]


def about_attributes(row: Row) -> bool:
    """Whether a row is about sex or age."""
    return row.metric.startswith(PREFIXES)


def attribute_board(rows: Sequence[Row]) -> Table:
    """How well sex and age are guessed on one dataset: each anonymizer under every attacker, by level of knowledge.

    Parameters
    ----------
    rows : sequence of Row
        Of one dataset, about sex and age.
    """
    roles = Roles(rows)
    levels = [level for level in LEVELS if any(r.knowledge == level for r in rows)]
    lines = []
    for plug, mine in sorted(grouped(rows, plug_of).items()):
        shown = grouped((r for r in mine if r.role != "control"), method_of)
        for name, what in (("positive", "none"), ("permuted", "none, shuffled")):
            lines.append(_line(plug, Cell(what), [r for r in mine if r.control == name], levels))
        for method in sorted(shown, key=lambda m: (not roles.anchors(m), m)):
            mark = "\n(anchor)" if roles.anchors(method) else ""
            named = Cell(f"{label(method.anonymizer, method.settings)}{mark}")
            lines.append(_line(plug, named, shown[method], levels))
    columns = (
        *(Column(title, kind="text") for title in ("attacker", "anonymizer")),
        *(Column(level, short=SHORT.get(level, "")) for level in levels),
        Column("knowing nothing", short="knowing\nnothing"),
        Column("people"),
        Column("remarks", kind="text"),
    )
    columns, made = without_empty(columns, lines, len(columns) - 1)
    place = Place(rows[0].dataset, rows[0].protocol, rows[0].cohort)
    said = ("every person guessed once, by an attacker that learnt from others", repeats(rows))
    title = f"Sex and age · {place}"
    return Table("attributes", place, title, " · ".join(filter(None, said)), columns, made, NOTES)


def _line(plug: Plug, what: Cell, rows: Sequence[Row], levels: Sequence[str]) -> tuple[Cell, ...]:
    headline = next((m for m in HEADLINES if any(r.metric == m for r in rows)), "")
    title, digits = HEADLINES.get(headline, (NOTHING, 1))
    told = [r for r in rows if r.metric == headline]
    there = {r.knowledge for r in told}
    medians = [replace(r, status="ok") for r in rows if r.metric == "age-mae-median"]  # holds whatever the attacker did
    people = max((r.n for r in told), default=0)
    return (
        Cell(f"{plug.label}:\n{title}"),
        what,
        *(
            mean([r for r in told if r.knowledge == level]).cell(digits=digits) if level in there else Cell()
            for level in levels
        ),
        CHANCE if headline == "sex-auroc" else mean(medians).cell(digits=1, interval=False),
        Cell(str(people), people) if people else Cell(),
        Cell("; ".join(sorted({printable(r.reason) for r in told if r.reason})) or NOTHING),
    )
