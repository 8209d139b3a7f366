"""Privacy boards of one place: by EER of the strongest attacker, and over subject counts."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from agile_bench.reports.escape import printable
from agile_bench.reports.figures import (
    Figure,
    Method,
    Plug,
    Roles,
    Standing,
    attacker_at,
    chance_of_rank1,
    grouped,
    headline,
    level_order,
    lowest,
    mean,
    method_of,
    place_of,
    repeats,
    spread,
    standings,
    strongest,
    worst,
)
from agile_bench.reports.frame import Comparison, Row
from agile_bench.reports.learning import UNTAUGHT, UNTAUGHT_NOTE, untaught
from agile_bench.reports.ranking import NOISE, Pairs, ranking
from agile_bench.reports.tables import NOTHING, Cell, Column, Place, Table, label, shown, without_empty

__all__ = [
    "NAME",
    "RANK",
    "Beside",
    "chance",
    "counts_board",
    "eer_board",
    "joined",
    "marks",
    "named",
    "pinnacle",
    "ranked_methods",
]

RANK = Column("rank", short="#", kind="word")
NAME = Column("anonymizer", kind="text")
SHORT = {"ignorant": "igno-\nrant", "lazy-informed": "lazy", "semi-informed": "semi", "informed": "in-\nformed"}
MARKS = {"†": "† is told whose beats it releases", "‡": "‡ was fitted on the people it releases"}
EXCESS = Column("excess %", "lower", "excess\n%")
BEATS_NOISE = Column("beats noise", short="beats\nnoise", kind="word")
EXCESS_NOTE = "excess: rank-1 beyond what the kept attributes alone give away, in % of what is left above that"
NOISE_NOTE = "beats noise: whether its EER is above that under white noise of the same size, over the same people"
SHARED = "methods whose difference from the first of their group is not shown share its rank"


def named(method: Method, standing: Standing) -> Cell:
    """Show the name of a method with its settings and marks."""
    name, *settings = label(method.anonymizer, method.settings).split("\n")
    return Cell("\n".join([name + standing.marks, *settings]))


def marks(standing: Mapping[Method, Standing]) -> tuple[str, ...]:
    """Explain the marks in the names, if there are any."""
    told = [text for mark, text in MARKS.items() if any(mark in s.marks for s in standing.values())]
    more = [
        f"{', '.join(map(printable, s.undeclared))} ({label(m.anonymizer, m.settings).replace(chr(10), ' ')})"
        for m, s in sorted(standing.items(), key=lambda item: item[0])
        if s.undeclared
    ]
    return tuple([*told, f"§ keeps more than it says: {'; '.join(more)}"] if more else told)


def joined(*parts: str) -> str:
    """Join the parts of a caption that say something."""
    return " · ".join(p for p in parts if p)


def chance(place: Place, rows: Sequence[Row] = ()) -> str:
    """Say what guessing reaches: ``chance: EER 50.0, rank-1 1.1 (1/89)``."""
    share = chance_of_rank1(rows, place.subjects)
    if math.isnan(share):
        return "chance: EER 50.0"
    fraction = f" (1/{round(1 / share)})" if math.isclose(1 / share, round(1 / share)) else ""
    return f"chance: EER 50.0, rank-1 {shown(share, 100)}{fraction}"


class Beside:
    """What stands beside the privacy figures of a place: identity beyond what is kept, noise of the same size, doubts.

    Parameters
    ----------
    place : Place
    rows : sequence of Row
        All of the place.
    comparisons : sequence of Comparison
        Of the whole run.
    """

    columns = (EXCESS, BEATS_NOISE)

    def __init__(self, place: Place, rows: Sequence[Row], comparisons: Sequence[Comparison]) -> None:
        self.pairs = Pairs(comparisons, place)
        self.untaught = untaught(rows)
        self._excess = grouped((r for r in rows if r.role == "excess" and r.metric == "excess-rank-1"), method_of)
        self._noisy = {method_of(r) for r in rows if r.role == "control" and r.control == NOISE}

    def cells(self, method: Method) -> tuple[Cell, Cell]:
        """The two cells of a method, empty where nothing was measured."""
        excess = mean(self._excess.get(method, []))
        beats = self.pairs.beats_noise(method) or ("not shown" if method in self._noisy else NOTHING)
        return excess.cell(100), Cell(beats.replace(" ", "\n"))

    def notes(self, columns: Sequence[Column]) -> tuple[str, ...]:
        """Explain what is there of the two columns, and ranks that are shared."""
        told = [text for column, text in ((EXCESS, EXCESS_NOTE), (BEATS_NOISE, NOISE_NOTE)) if column in columns]
        return tuple([*told, SHARED] if self.pairs else told)


def ranked_methods(attacks: Sequence[Row], tops: Sequence[Row], roles: Roles) -> dict[Method, Standing]:
    """Find the standing of all methods of a place, also where only the strongest attacker is known."""
    standing = standings(attacks, roles)
    for method in sorted({method_of(r) for r in tops} - set(standing)):
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


def eer_board(place: Place, attacks: Sequence[Row], tops: Sequence[Row], roles: Roles, beside: Beside) -> Table:
    """Show privacy by EER with rank-1: the strongest attacker at all and the strongest at each level."""
    standing = ranked_methods(attacks, tops, roles)
    eer, rank1 = (pinnacle(standing, tops, metric) for metric in ("eer", "rank-1"))
    judged = [r for r in attacks if r.metric in ("eer", "") and roles.judges(r)]
    levels = sorted({r.knowledge for r in attacks} - {"unprotected"}, key=level_order)
    tops_doubted = {(m, attacker_at(plug, level)) for m, plug, level in beside.untaught}
    lines = []
    for method, rank in ranking(standing, {m: f.value for m, (f, _) in eer.items()}, tied=beside.pairs.tied):
        mine = [r for r in judged if method_of(r) == method]
        figure, who = eer[method]
        lines.append(
            (
                rank,
                named(method, standing[method]),
                figure.cell(100),
                rank1[method][0].cell(100),
                Cell((who or NOTHING) + (UNTAUGHT if (method, who) in tops_doubted else "")),
                *beside.cells(method),
                *(_at_level([r for r in mine if r.knowledge == level], beside.untaught) for level in levels),
            )
        )
    titles = (
        RANK,
        NAME,
        Column("EER %", "higher"),
        Column("rank-1 %", "lower", "rank-1\n%"),
        Column("strongest attacker", short="attacker", kind="word"),
        *beside.columns,
        *(Column(printable(level), short=SHORT.get(level, "")) for level in levels),
    )
    said = (_record_level(attacks), chance(place, attacks), _unprotected(judged), repeats(tops), spread(tops, roles))
    columns, made = without_empty(titles, lines, 5)
    told = [UNTAUGHT_NOTE] if any(c.text.endswith(UNTAUGHT) for line in made for c in line) else []
    notes = ("by level: lowest EER % there and whose it is", *told, *beside.notes(columns), *marks(standing))
    return Table("privacy-eer", place, f"Privacy by EER · {place}", joined(*said), columns, made, notes)


def _record_level(rows: Sequence[Row]) -> str:
    beats = [r.beats_per_probe for r in rows if r.metric == "eer" and r.level == "record" and r.beats_per_probe > 0]
    if not beats:
        return "record level"
    low, high = shown(min(beats)), shown(max(beats))
    return f"record level, {low if low == high else f'{low} to {high}'} beats a probe"


def _unprotected(rows: Sequence[Row]) -> str:
    """Say what the strongest attacker reaches with nothing in its way: the lower end of the EER."""
    figure, plug = lowest(headline([r for r in rows if r.knowledge == "unprotected"]))
    return f"unprotected: EER {shown(figure.value, 100)} ({plug.line})" if plug else ""


def _at_level(rows: Sequence[Row], doubted: Collection[tuple[Method, Plug, str]]) -> Cell:
    figure, plug = lowest(headline([r for r in rows if r.metric == "eer" and r.status == "ok"]))
    if plug is None:
        return Figure(word=worst(r.status for r in rows)).cell()
    mark = UNTAUGHT if (method_of(rows[0]), plug, rows[0].knowledge) in doubted else ""
    return figure.cell(100, who=plug.label + mark, interval=False)


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
    chances = [
        chance_of_rank1((r for (p, _), mine in by_spot.items() if p == place for r in mine), place.subjects)
        for place in places
    ]
    caption = "EER % ↑ / rank-1 % ↓ of the strongest attacker; chance of rank-1: " + ", ".join(
        shown(c, 100) for c in chances if not math.isnan(c)
    )
    return Table("privacy-counts", largest, title, caption, *without_empty(columns, lines, 1))


def _pair(rows: Sequence[Row]) -> Cell:
    eer, rank1 = (strongest(rows, metric)[0] for metric in ("eer", "rank-1"))
    if math.isnan(eer.value):
        return Figure(word=eer.word).cell()
    return Cell(f"{shown(eer.value, 100)} / {shown(rank1.value, 100)}", eer.value * 100)
