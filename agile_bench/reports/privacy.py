"""Privacy boards of one place: by EER of the strongest attacker, by KL of Eq. 6, and over subject counts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from agile_bench.reports.escape import printable
from agile_bench.reports.figures import (
    ORDER,
    Figure,
    Method,
    Roles,
    Standing,
    grouped,
    headline,
    lowest,
    mean,
    method_of,
    place_of,
    plug_of,
    ranking,
    repeats,
    standings,
    strongest,
    worst,
)
from agile_bench.reports.frame import Row
from agile_bench.reports.tables import NOTHING, Cell, Column, Place, Table, label, shown, without_empty

__all__ = [
    "NAME",
    "RANK",
    "counts_board",
    "eer_board",
    "joined",
    "kl_board",
    "least_kl",
    "marks",
    "named",
    "pinnacle",
]

RANK = Column("rank", short="#", kind="word")
NAME = Column("anonymizer", kind="text")
SHORT = {"lazy-informed": "lazy", "semi-informed": "semi"}
MARKS = {"†": "† is told whose beats it releases", "‡": "‡ was fitted on the people it releases"}


def named(method: Method, standing: Standing) -> Cell:
    """Show the name of a method with its settings and marks."""
    name, *settings = label(method.anonymizer, method.settings).split("\n")
    return Cell("\n".join([name + standing.marks, *settings]))


def marks(standing: dict[Method, Standing]) -> tuple[str, ...]:
    """Explain the marks in the names, if there are any."""
    return tuple(text for mark, text in MARKS.items() if any(mark in s.marks for s in standing.values()))


def joined(*parts: str) -> str:
    """Join the parts of a caption that say something."""
    return " · ".join(p for p in parts if p)


def chance(place: Place) -> str:
    """Say what guessing reaches: ``chance: EER 50.0, rank-1 1.1 (1/89)``."""
    n = place.subjects
    return f"chance: EER 50.0, rank-1 {shown(1 / n, 100)} (1/{n})" if n else "chance: EER 50.0"


def ranked_methods(attacks: Sequence[Row], tops: Sequence[Row], roles: Roles) -> dict[Method, Standing]:
    """Find the standing of all methods of a place, also where only the strongest attacker is known."""
    standing = standings(attacks, roles)
    for method in {method_of(r) for r in tops} - set(standing):
        standing[method] = Standing(anchor=roles.anchors(method), word="" if roles.anchors(method) else "missing")
    return standing


def pinnacle(standing: dict[Method, Standing], tops: Sequence[Row], metric: str) -> dict[Method, tuple[Figure, str]]:
    """Find the figure of every method's strongest attacker and who it was, else the word of its standing."""
    by_method = grouped(tops, method_of)
    found = {}
    for method, stand in standing.items():
        figure, who = strongest(by_method.get(method, []), metric)
        if math.isnan(figure.value) and not figure.word:
            figure = Figure(word=stand.word)
        found[method] = figure, who
    return found


def eer_board(place: Place, attacks: Sequence[Row], tops: Sequence[Row], roles: Roles) -> Table:
    """Show privacy by EER with rank-1: the strongest attacker at all and the strongest at each level."""
    standing = ranked_methods(attacks, tops, roles)
    eer, rank1 = (pinnacle(standing, tops, metric) for metric in ("eer", "rank-1"))
    judged = [r for r in attacks if r.metric in ("eer", "") and roles.judges(r)]
    levels = sorted({r.knowledge for r in attacks} - {"unprotected"}, key=lambda k: (ORDER.get(k, len(ORDER)), k))
    lines = []
    for method, rank in ranking(standing, {m: f.value for m, (f, _) in eer.items()}):
        mine = [r for r in judged if method_of(r) == method]
        lines.append(
            (
                rank,
                named(method, standing[method]),
                eer[method][0].cell(100),
                rank1[method][0].cell(100),
                Cell(eer[method][1] or NOTHING),
                *(_at_level([r for r in mine if r.knowledge == level]) for level in levels),
            )
        )
    columns = (
        RANK,
        NAME,
        Column("EER %", "higher"),
        Column("rank-1 %", "lower"),
        Column("strongest attacker", short="attacker", kind="word"),
        *(Column(printable(level), short=SHORT.get(level, "")) for level in levels),
    )
    caption = joined(_record_level(attacks), chance(place), _unprotected(judged), repeats(tops))
    notes = ("by level: lowest EER % there and whose it is", *marks(standing))
    return Table("privacy-eer", place, f"Privacy by EER · {place}", caption, columns, tuple(lines), notes)


def _record_level(rows: Sequence[Row]) -> str:
    beats = [r.beats_per_probe for r in rows if r.metric == "eer" and r.level == "record" and r.beats_per_probe > 0]
    if not beats:
        return "record level"
    low, high = shown(min(beats)), shown(max(beats))
    return f"record level, {low if low == high else f'{low} to {high}'} beats a probe"


def _unprotected(rows: Sequence[Row]) -> str:
    """Say what the strongest attacker reaches with nothing in its way: the lower end of the EER."""
    figure, who = lowest(headline([r for r in rows if r.knowledge == "unprotected"]))
    return f"unprotected: EER {shown(figure.value, 100)} ({who.replace(chr(10), ' ')})" if who else ""


def _at_level(rows: Sequence[Row]) -> Cell:
    figure, who = lowest(headline([r for r in rows if r.metric == "eer" and r.status == "ok"]))
    return figure.cell(100, who=who, interval=False) if who else Figure(word=worst(r.status for r in rows)).cell()


def least_kl(rows: Sequence[Row], roles: Roles) -> Figure:
    """Find the KL of Eq. 6 of one method under the attacker that it disturbs least."""
    return lowest(headline([r for r in rows if r.metric == "kl-eq6" and roles.judges(r)]))[0]


def kl_board(place: Place, attacks: Sequence[Row], roles: Roles) -> Table | None:
    """Show privacy by KL of Eq. 6 under each attacker; nothing where no cell has it."""
    rows = [r for r in attacks if r.knowledge == "ignorant" and roles.judges(r)]
    if not any(r.metric == "kl-eq6" for r in rows):
        return None
    standing = standings(rows, roles)
    attackers = sorted({plug_of(r) for r in rows})
    by_method = grouped(rows, method_of)
    lines = []
    for method, rank in ranking(standing, {m: least_kl(mine, roles).value for m, mine in by_method.items()}):
        cells = [_kl([r for r in by_method[method] if plug_of(r) == who]) for who in attackers]
        lines.append((rank, named(method, standing[method]), *cells))
    columns = (RANK, NAME, *(Column(who.label.replace("\n", " "), "higher") for who in attackers))
    full = f"full erasure: at most ln {place.subjects} = {math.log(place.subjects):.2f}" if place.subjects else ""
    caption = joined("nats from the clean posterior", "ignorant attacker", full, repeats(rows))
    notes = (
        "ranked by the attacker disturbed least; what lies above ln N is misdirection, not more privacy",
        *marks(standing),
    )
    return Table("privacy-kl", place, f"Privacy by KL (Eq. 6) · {place}", caption, columns, tuple(lines), notes)


def _kl(rows: Sequence[Row]) -> Cell:
    figure = mean(headline([r for r in rows if r.metric == "kl-eq6"]))
    return figure.cell(digits=2) if figure.value == figure.value else Figure(word=worst(r.status for r in rows)).cell()


def counts_board(places: Sequence[Place], tops: Sequence[Row]) -> Table | None:
    """Show EER and rank-1 of the strongest attacker by number of people; nothing where there is only one.

    Parameters
    ----------
    places : sequence of Place
        One dataset, protocol and cohort at increasing numbers of people.
    tops : sequence of Row
        Rows with the role ``strongest``.
    """
    if len(places) < 2:
        return None
    by_spot = grouped(tops, lambda r: (place_of(r), method_of(r)))
    methods = {method for place, method in by_spot if place in places}
    last = {m: strongest(by_spot.get((places[-1], m), []), "eer")[0].value for m in methods}
    order = sorted(methods, key=lambda m: (math.isnan(last[m]), -last[m] if last[m] == last[m] else 0.0, m))
    lines = tuple((named(m, Standing()), *(_pair(by_spot.get((place, m), [])) for place in places)) for m in order)
    columns = (NAME, *(Column(str(place.subjects)) for place in places))
    largest = places[-1]
    title = f"Privacy by number of people · {printable(largest.dataset)} · {printable(largest.protocol)}"
    caption = "EER % ↑ / rank-1 % ↓ of the strongest attacker; chance of rank-1: " + ", ".join(
        shown(1 / p.subjects, 100) for p in places if p.subjects
    )
    return Table("privacy-counts", largest, title, caption, *without_empty(columns, lines, 1))


def _pair(rows: Sequence[Row]) -> Cell:
    eer, rank1 = (strongest(rows, metric)[0] for metric in ("eer", "rank-1"))
    if math.isnan(eer.value):
        return Figure(word=eer.word).cell()
    return Cell(f"{shown(eer.value, 100)} / {shown(rank1.value, 100)}", eer.value * 100)
