"""The board of red flags: what in a run's own figures speaks against taking one of them at its word.

After Athalye et al. (2018) and Carlini et al. (2019), whose signs of a broken evaluation are read here for
anonymization. Each flag is a plain sentence that names the rows it is about.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from agile_bench.reports.escape import printable
from agile_bench.reports.figures import (
    Figure,
    Method,
    Plug,
    Roles,
    grouped,
    headline,
    mean,
    method_of,
    place_of,
    plug_of,
    same_method,
    strongest,
)
from agile_bench.reports.frame import Comparison, Row, Run
from agile_bench.reports.graded import doses, falls
from agile_bench.reports.learning import lessons
from agile_bench.reports.ranking import Pairs
from agile_bench.reports.tables import Cell, Column, Place, Table, label, shown

__all__ = ["advice_board"]

MORE = (("ignorant", "semi-informed"), ("semi-informed", "informed"))
"""Levels of which the second knows more and must not find less; `lazy-informed` has another gallery but no training."""
SPARED = 1.5
"""A method spares the records of evaluators if it moves those of attackers this many times as far."""

Flags = Iterator[tuple[str, str]]


def advice_board(run: Run, use: Mapping[Place, Sequence[Row]], roles: Roles) -> Table:
    """List all red flags.

    Parameters
    ----------
    run : Run
    use : mapping
        Rows of use that stand beside each privacy place.
    roles : Roles
    """
    attacks = [r for r in run.rows if r.role in ("method", "anchor") and r.knowledge and roles.judges(r)]
    attacks = [r for r in attacks if not roles.anchors(method_of(r))]
    tops = [r for r in run.rows if r.role == "strongest" and not roles.anchors(method_of(r))]
    eer = _eer(attacks)
    found = [
        *_distortion(tops, use, run.comparisons),
        *_spared(attacks, use),
        *_template(eer, attacks),
        *_training(run.rows),
        *_knowledge(eer),
        *_dose(run.rows, roles),
        *_undeclared(run.rows),
    ]
    lines = tuple((Cell(flag), Cell(text)) for flag, text in found)
    columns = (Column("flag", kind="word"), Column("what speaks against the figures", kind="text"))
    caption = "signs that a figure is less than it seems; none of them alone proves it wrong"
    return Table("advice", Place(), "Red flags", caption, columns, lines)


Spot = tuple[Place, Method, Plug, str]


def _eer(rows: Iterable[Row]) -> dict[Spot, Figure]:
    """Mean EER at record level of every attacker on every method at every level of knowledge."""
    spots = grouped(
        (r for r in rows if r.metric == "eer" and r.level == "record" and r.status == "ok"),
        lambda r: (place_of(r), method_of(r), plug_of(r), r.knowledge),
    )
    figures = {spot: mean(mine) for spot, mine in sorted(spots.items())}
    return {spot: figure for spot, figure in figures.items() if not math.isnan(figure.value)}


def _apart(low: Figure, high: Figure) -> bool:
    """Whether the one is below the other by more than the intervals; never where one of them has none."""
    return low.high < high.low


def _name(method: Method) -> str:
    return label(method.anonymizer, method.settings).replace("\n", " ")


def _where(place: Place) -> str:
    return f"{place} · {printable(place.cohort)}" if place.cohort not in ("", "all") else str(place)


def _percent(figure: Figure) -> str:
    return f"{shown(figure.value, 100)} %"


def _distortion(tops: Sequence[Row], use: Mapping[Place, Sequence[Row]], comparisons: Sequence[Comparison]) -> Flags:
    """(a) More distortion and less privacy than another setting of the same anonymizer."""
    for place, rows in sorted(grouped(tops, place_of).items()):
        pairs = Pairs(comparisons, place)
        waveform = [r for r in use.get(place, ()) if r.metric == "prdn" and r.pool != "released"]
        measured = {m: mean(headline(mine)) for m, mine in grouped(waveform, method_of).items()}
        eer = {m: strongest(mine, "eer")[0] for m, mine in sorted(grouped(rows, method_of).items())}
        prdn = {m: same_method(measured, m, Figure()) for m in eer}
        for worse in eer:
            better = [m for m in eer if _costs_more(worse, m, prdn) and _less_private(worse, m, eer, pairs)]
            if better:
                other = max(better, key=lambda m: (eer[m].value, m))
                yield (
                    "distortion",
                    f"{_where(place)}: {_name(worse)} distorts more than {_name(other)} "
                    f"(PRDN {shown(prdn[worse].value)} % against {shown(prdn[other].value)} %), yet its EER is lower "
                    f"({_percent(eer[worse])} against {_percent(eer[other])}).",
                )


def _costs_more(worse: Method, other: Method, prdn: Mapping[Method, Figure]) -> bool:
    same = (worse.anonymizer, worse.fitted_on) == (other.anonymizer, other.fitted_on)
    return same and prdn[worse].value > prdn[other].value


def _less_private(worse: Method, other: Method, eer: Mapping[Method, Figure], pairs: Pairs) -> bool:
    """By more than the interval of the paired difference; without one by more than both intervals."""
    if not eer[worse].value < eer[other].value:
        return False
    tied = pairs.tied(worse, other)
    return _apart(eer[worse], eer[other]) if tied is None else not tied


def _spared(attacks: Sequence[Row], use: Mapping[Place, Sequence[Row]]) -> Flags:
    """(a') The records that are attacked are moved much farther than those that are evaluated."""
    moved = grouped((r for r in attacks if r.metric == "probe-prdn"), lambda r: (place_of(r), method_of(r)))
    for (place, method), rows in sorted(moved.items()):
        waveform = [r for r in use.get(place, ()) if r.metric == "prdn" and r.pool != "released"]
        measured = {m: mean(headline(mine)) for m, mine in grouped(waveform, method_of).items()}
        probed, evaluated = mean(rows), same_method(measured, method, Figure())
        if probed.value > SPARED * evaluated.value:
            yield (
                "spared",
                f"{_where(place)}: {_name(method)} moves the probes farther than the records it is judged useful on "
                f"(PRDN {shown(probed.value)} % against {shown(evaluated.value)} %): one of the two is not what is "
                "released.",
            )


def _template(eer: Mapping[Spot, Figure], attacks: Iterable[Row]) -> Flags:
    """(b) An attacker that trains no network beats the best one that does."""
    networks = {plug_of(r) for r in attacks if r.metric == "train-accuracy"}
    cells: dict[tuple[Place, Method, str], dict[Plug, Figure]] = {}
    for (place, method, plug, level), figure in eer.items():
        cells.setdefault((place, method, level), {})[plug] = figure
    for (place, method, level), figures in cells.items():
        nets, plain = ([p for p in sorted(figures) if (p in networks) == side] for side in (True, False))
        if not nets or not plain:
            continue
        net, simple = (min(side, key=lambda p: (figures[p].value, p)) for side in (nets, plain))
        if _apart(figures[simple], figures[net]):
            yield (
                "template",
                f"{_where(place)}: against {_name(method)}, {simple.line} beats the network {net.line} at "
                f"{printable(level)} (EER {_percent(figures[simple])} against {_percent(figures[net])}): the network "
                "leaves unused what a simpler attacker finds.",
            )


def _training(rows: Iterable[Row]) -> Flags:
    """(c) A retrained network that names its own training beats no better than chance, or far worse than originals."""
    for lesson in lessons(rows):
        name, who = _name(lesson.method), lesson.plug.line
        at = f"{_where(lesson.place)}: at {printable(lesson.level)}, {who}"
        beats = f"it names {_percent(lesson.accuracy)} of its own training beats"
        if not lesson.learned:
            yield (
                "training",
                f"{at} did not learn from releases of {name} ({beats}, chance {_percent(lesson.chance)}): its figure "
                "is no evidence of privacy.",
            )
        elif not lesson.fitted:
            yield (
                "training",
                f"{at} learned little from releases of {name} ({beats}, of originals {_percent(lesson.originals)}): a "
                "longer training may find more.",
            )


def _knowledge(eer: Mapping[Spot, Figure]) -> Flags:
    """(d) The same attacker finds less where it knows more."""
    for (place, method, plug, level), figure in eer.items():
        for less, more in MORE:
            other = eer.get((place, method, plug, less))
            if level == more and other is not None and _apart(other, figure):
                yield (
                    "knowledge",
                    f"{_where(place)}: against {_name(method)}, {plug.line} is weaker at {printable(more)} than at "
                    f"{printable(less)} (EER {_percent(figure)} against {_percent(other)}), although it knows more.",
                )


def _dose(rows: Iterable[Row], roles: Roles) -> Flags:
    """(e) More of a release gives less privacy on the way to it."""
    for (place, method, plug), figures in doses(rows, roles).items():
        fallen = falls(figures)
        if fallen is not None:
            less, more = fallen
            yield (
                "dose",
                f"{_where(place)}: under {_name(method)}, the EER of {plug.line} falls from "
                f"{_percent(figures[less])} at dose {less:g} to {_percent(figures[more])} at {more:g}.",
            )


def _undeclared(rows: Iterable[Row]) -> Flags:
    """(f) A release keeps what its anonymizer does not say that it keeps."""
    kept = grouped(
        (r for r in rows if r.role == "kept" and r.control == "undeclared"), lambda r: (method_of(r), r.metric)
    )
    for (method, metric), mine in sorted(kept.items()):
        first = min(mine, key=lambda r: (place_of(r), r.seed, r.key))
        yield (
            "keeps",
            f"{_where(place_of(first))}: {_name(method)} keeps {printable(metric.removeprefix('kept-'))} without "
            f"saying so ({printable(first.reason) or 'found in its release'}).",
        )
