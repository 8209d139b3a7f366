"""The boards about the run itself: controls, what the attackers knew, cohorts and failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agile_bench.reports.escape import printable
from agile_bench.reports.figures import ORDER, Plug, Roles, grouped, headline, mean, place_of, plug_of, worst
from agile_bench.reports.frame import Cohort, Failure, Row
from agile_bench.reports.tables import Cell, Column, Place, Table, cell, label

__all__ = ["cohorts_board", "controls_board", "failures_board", "knowledge_board"]

RUN = Place()
CONTROLS = ("positive", "permuted")


class _Judged(NamedTuple):
    place: Place
    plug: Plug


def _text(title: str) -> Column:
    return Column(title, kind="text")


def _judged(row: Row) -> _Judged:
    return _Judged(place_of(row), plug_of(row)._replace(front_end=""))


def controls_board(rows: Sequence[Row], roles: Roles) -> Table:
    """Show what each attacker reaches on unprotected and permuted identities, and whether it is valid.

    An attacker is valid at a place where all its controls are there and ok and no cell of it was found invalid.
    """
    controls = grouped((r for r in rows if r.role == "control" and roles.judges(r)), _judged)
    barred = {_judged(r) for r in rows if r.status == "invalid"}
    lines = tuple(_control_line(who, mine, who in barred) for who, mine in sorted(controls.items()))
    columns = (
        _text("where"),
        _text("cohort"),
        Column("people"),
        Column("attacker", kind="word"),
        *(Column(f"{kind} {m} %", short=f"{kind}\n{m}") for kind in CONTROLS for m in ("EER", "rank-1")),
        Column("chance %", short="chance"),
        Column("verdict", kind="word"),
    )
    if len({who.place.cohort for who in controls}) < 2:
        columns, lines = (columns[0], *columns[2:]), tuple((line[0], *line[2:]) for line in lines)
    caption = "positive: unprotected data, must beat chance; permuted: shuffled identities, must fall to chance"
    return Table("controls", RUN, "Controls", caption, columns, lines)


def _control_line(who: _Judged, rows: Sequence[Row], barred: bool) -> tuple[Cell, ...]:
    by_kind = grouped(rows, lambda r: r.reason.partition(":")[0].strip())
    figures = [
        mean([r for r in headline(by_kind.get(kind, [])) if r.metric == metric]).cell(100, interval=False)
        for kind in CONTROLS
        for metric in ("eer", "rank-1")
    ]
    missing = any(kind not in by_kind for kind in CONTROLS)
    word = worst([*(r.status for r in rows), *["missing"] * missing, *["invalid"] * barred])
    place, plug = who
    return (
        Cell(printable(f"{place.dataset} · {place.protocol}")),
        Cell(printable(place.cohort)),
        Cell(str(place.subjects), place.subjects),
        Cell(plug.label),
        *figures,
        cell(1 / place.subjects, scale=100) if place.subjects else Cell(),
        Cell(word or "valid"),
    )


def knowledge_board(attacks: Sequence[Row]) -> Table:
    """Show what the attacker trained on, enrolled and probed at each level, as the rows say."""
    by_level = grouped((r for r in attacks if r.status == "ok"), lambda r: r.knowledge)
    lines = []
    for level, rows in sorted(by_level.items(), key=lambda item: (ORDER.get(item[0], len(ORDER)), item[0])):
        sources = (sorted({printable(getattr(r, role)) for r in rows}) for role in ("pool", "gallery", "probe"))
        lines.append((Cell(printable(level)), *(Cell(" or ".join(filter(None, s))) for s in sources)))
    columns = tuple(_text(t) for t in ("level", "pool", "gallery", "probe"))
    caption = "what the attacker trains on, enrols and is shown; more knowledge includes all before it"
    return Table("knowledge", RUN, "Levels of knowledge", caption, columns, tuple(lines))


def cohorts_board(cohorts: Sequence[Cohort]) -> Table:
    """Show what was taken from each dataset and what was left out, counted by reason."""
    lines = tuple(
        (
            Cell(printable(c.dataset)),
            *(Cell(str(n), n) for n in (c.subjects, c.records, c.beats)),
            Cell(_reasons(c.skipped)),
            Cell(_reasons(c.dropped)),
        )
        for c in sorted(cohorts, key=lambda c: (c.dataset, c.subjects, c.records, c.beats))
    )
    columns = (
        _text("dataset"),
        *(Column(t) for t in ("people", "records", "beats")),
        _text("records skipped"),
        _text("beats dropped"),
    )
    return Table("cohorts", RUN, "Recordings", "", columns, lines)


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{printable(reason)} {n}" for reason, n in counts.items() if n) or "none"


def failures_board(failures: Sequence[Failure]) -> Table:
    """List every failure with its reason and the number of cells that it cost."""
    lines = tuple(
        (
            Cell(printable(f.stage)),
            Cell(label(f.plugin, f.settings)),
            Cell(str(f.cells), f.cells),
            Cell(printable(f.reason.strip())),
        )
        for f in sorted(failures, key=lambda f: (f.stage, f.plugin, f.settings, f.reason))
    )
    columns = (_text("stage"), _text("plugin"), Column("cells"), _text("reason"))
    return Table("failures", RUN, "Failures", "tracebacks: failures.json", columns, lines)
