"""The privacy board by KL of Eq. 6, with the companions that keep it from being misread."""

from __future__ import annotations

import math
from collections.abc import Sequence

from agile_bench.reports.figures import (
    Figure,
    Plug,
    Roles,
    barred,
    chance_of_rank1,
    grouped,
    headline,
    lowest,
    mean,
    method_of,
    plug_of,
    repeats,
    standings,
)
from agile_bench.reports.frame import Row
from agile_bench.reports.privacy import NAME, RANK, joined, marks, named
from agile_bench.reports.ranking import ranking
from agile_bench.reports.tables import Cell, Column, Place, Table, without_empty

__all__ = ["kl_board", "least_kl"]

COMPANIONS: dict[str, tuple[Column, float, int]] = {
    "kl-reverse": (Column("reverse KL", short="reverse"), 1, 2),
    "js": (Column("JS", "higher"), 1, 2),
    "posterior-entropy": (Column("H / ln N", "higher", "H /\nln N"), 1, 2),
    "p-true": (Column("P(true) %", "lower", "P(true)"), 100, 1),
    "kl-ceiling": (Column("ceiling"), 1, 2),
    "kl-at-bound": (Column("at bound %", short="at\nbound"), 100, 1),
}
"""Column, scale and digits of what stands beside KL."""
EXPLAINED = (
    "right of the attackers, by the attacker disturbed least: after full erasure H / ln N is 1, P(true) 1/N, KL at the "
    "ceiling; at bound: share of probes whose KL is set by the clip alone"
)


def least_kl(rows: Sequence[Row], roles: Roles) -> Figure:
    """Find the KL of Eq. 6 of one method under the attacker that it disturbs least."""
    return lowest(headline([r for r in rows if r.metric == "kl-eq6" and roles.judges(r)]))[0]


def kl_board(place: Place, attacks: Sequence[Row], roles: Roles) -> Table | None:
    """Show privacy by KL of Eq. 6 under each attacker, and its companions; nothing where no cell has it."""
    rows = [r for r in attacks if r.knowledge == "ignorant" and roles.judges(r)]
    if not any(r.metric == "kl-eq6" for r in rows):
        return None
    standing = standings(rows, roles)
    attackers = sorted({plug_of(r) for r in rows})
    by_method = grouped(rows, method_of)
    lines = []
    for method, rank in ranking(standing, {m: least_kl(mine, roles).value for m, mine in by_method.items()}):
        mine = by_method[method]
        cells = [_kl([r for r in mine if plug_of(r) == who]) for who in attackers]
        lines.append((rank, named(method, standing[method]), *cells, *_companions(mine)))
    titles = (
        RANK,
        NAME,
        *(Column(who.line, "higher", who.label) for who in attackers),
        *(column for column, _, _ in COMPANIONS.values()),
    )
    columns, made = without_empty(titles, lines, 2 + len(attackers))
    people = 1 / chance_of_rank1(attacks, place.subjects)
    full = "" if math.isnan(people) else f"full erasure: at most ln {people:.0f} = {math.log(people):.2f}"
    caption = joined("nats from the clean posterior", "ignorant attacker", full, repeats(rows))
    notes = (
        "ranked by the attacker disturbed least; what lies above ln N is misdirection, not more privacy",
        *([EXPLAINED] if len(columns) > 2 + len(attackers) else []),
        *marks(standing),
    )
    return Table("privacy-kl", place, f"Privacy by KL (Eq. 6) · {place}", caption, columns, made, notes)


def _kl(rows: Sequence[Row]) -> Cell:
    figure = mean(headline([r for r in rows if r.metric == "kl-eq6"]))
    return figure.cell(digits=2) if figure.value == figure.value else Figure(word=barred(rows)).cell()


def _companions(rows: Sequence[Row]) -> list[Cell]:
    who = _least_disturbed(rows)
    mine = [r for r in rows if plug_of(r) == who]
    return [
        mean(headline([r for r in mine if r.metric == metric])).cell(scale, digits, interval=False)
        for metric, (_, scale, digits) in COMPANIONS.items()
    ]


def _least_disturbed(rows: Sequence[Row]) -> Plug | None:
    means = {
        plug: mean(mine).value
        for plug, mine in grouped(headline([r for r in rows if r.metric == "kl-eq6"]), plug_of).items()
    }
    found = [(value, plug) for plug, value in means.items() if value == value]
    return min(found)[1] if found else None
