"""The board of every attacker: what each of them finds at each level of knowledge."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from agile_bench.reports.escape import printable
from agile_bench.reports.figures import (
    Figure,
    Method,
    Plug,
    Roles,
    grouped,
    level_order,
    mean,
    method_of,
    plug_of,
    repeats,
)
from agile_bench.reports.frame import Row
from agile_bench.reports.learning import UNTAUGHT, UNTAUGHT_NOTE
from agile_bench.reports.privacy import NAME, chance, joined
from agile_bench.reports.tables import Cell, Column, Place, Table, label, shown

__all__ = ["attackers_board"]

FIGURES = ("eer", "rank-1")


def attackers_board(
    place: Place, rows: Sequence[Row], roles: Roles, doubted: Collection[tuple[Method, Plug, str]]
) -> Table | None:
    """Show EER and rank-1 of every attacker on every method, unprotected and at each level of knowledge.

    Parameters
    ----------
    place : Place
    rows : sequence of Row
        All of the place.
    roles : Roles
    doubted : collection of (Method, Plug, str)
        Networks that learned little from releases, as `learning.untaught` finds them.

    Returns
    -------
    Table or None
        A line for each method and attacker, the attacker with the lowest EER anywhere first; None where a method has
        met fewer than two.
    """
    told = [r for r in rows if r.level == "record" and r.metric in FIGURES and roles.judges(r)]
    clean = grouped((r for r in told if r.role == "control" and r.control == "positive"), plug_of)
    attacks = [r for r in told if r.role == "method" and r.knowledge]
    levels = sorted({r.knowledge for r in attacks}, key=level_order)
    lines = []
    for method, mine in sorted(grouped(attacks, method_of).items()):
        by_plug = grouped(mine, plug_of)
        for plug in sorted(by_plug, key=lambda p: _least(by_plug[p])):
            found = [_pair(clean.get(plug, []))]
            for level in levels:
                mark = UNTAUGHT if (method, plug, level) in doubted else ""
                found.append(_pair([r for r in by_plug[plug] if r.knowledge == level], mark))
            lines.append((Cell(label(method.anonymizer, method.settings)), Cell(plug.label), *found))
    if len({plug for _, plug, *_ in lines}) < 2:
        return None
    columns = (NAME, Column("attacker", kind="text"), Column("unprotected"), *(Column(printable(k)) for k in levels))
    caption = joined("EER % ↑ / rank-1 % ↓, record level", chance(place, attacks), repeats(attacks))
    notes = (UNTAUGHT_NOTE,) if any(c.text.endswith(UNTAUGHT) for line in lines for c in line) else ()
    return Table("attackers", place, f"Every attacker · {place}", caption, columns, tuple(lines), notes)


def _least(rows: Sequence[Row]) -> tuple[float, Plug]:
    values = [
        mean(mine).value for mine in grouped((r for r in rows if r.metric == "eer"), lambda r: r.knowledge).values()
    ]
    return min((v for v in values if not math.isnan(v)), default=math.inf), plug_of(rows[0])


def _pair(rows: Sequence[Row], mark: str = "") -> Cell:
    eer, rank1 = (mean([r for r in rows if r.metric == metric]) for metric in FIGURES)
    if math.isnan(eer.value):
        return Figure(word=eer.word).cell()
    return Cell(f"{shown(eer.value, 100)} / {shown(rank1.value, 100)}{mark}", eer.value * 100)
