"""Boards of the controls: whether an attacker's figures can stand at all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from agile_bench.reports.escape import printable
from agile_bench.reports.figures import (
    Figure,
    Method,
    Plug,
    Roles,
    chance_of_rank1,
    grouped,
    headline,
    level_order,
    lowest,
    mean,
    method_of,
    place_of,
    plug_of,
    worst,
)
from agile_bench.reports.frame import Row
from agile_bench.reports.graded import WELL_ABOVE
from agile_bench.reports.tables import NOTHING, Cell, Column, Place, Table, cell, label, without_empty

__all__ = ["controls_board", "known_board", "perturbation_board"]

ALWAYS = ("positive", "permuted")
TOLD = ("eer", "rank-1", "")
KNOWN: dict[tuple[str, str], str] = {
    ("constant", "ignorant"): "one beat for all",
    ("constant", "semi-informed"): "one beat for all, retrained",
    ("scramble", "ignorant"): "fixed scramble",
    ("scramble", "semi-informed"): "fixed scramble, retrained",
    ("pseudo-identities", "ignorant"): "people swapped",
    ("pseudo-identities", "lazy-informed"): "people swapped, all released",
}
"""Releases of known effect and the level of the attacker, with what the column is called."""
SHORT = ("one\nbeat", "one\nbeat\nretr.", "scram-\nble", "scram-\nble\nretr.", "swap", "swap\nrel.")
MUST = (
    "one beat for all: chance; scramble and swap: chance for the ignorant attacker, found by one who retrained or "
    "enrolled releases",
    "figures of the ignorant attacker there only show that looking private to it is no evidence",
)
PERTURBATION = "perturbation-only"
"""The control that shows released minus original beats, in every role."""


class _Judged(NamedTuple):
    place: Place
    plug: Plug


def _judged(row: Row) -> _Judged:
    return _Judged(place_of(row), plug_of(row)._replace(front_end=""))


def _of_attackers(rows: Iterable[Row], roles: Roles) -> dict[_Judged, list[Row]]:
    """Group the controls that judge attackers; those beside a method, and those of evaluators, do not."""
    names = {*ALWAYS, *(name for name, _ in KNOWN)}
    return grouped((r for r in rows if r.role == "control" and r.control in names and roles.judges(r)), _judged)


def controls_board(rows: Sequence[Row], roles: Roles) -> Table:
    """Show what each attacker reaches on unprotected and permuted identities, and whether it is valid.

    An attacker is valid at a place where both these controls are there, all controls gave what they must, and no cell
    of it was found invalid; if only some levels of knowledge have invalid cells they are named.
    """
    controls = _of_attackers(rows, roles)
    attacked = grouped((r for r in rows if r.role in ("method", "anchor") and r.knowledge), _judged)
    lines = [_line(who, mine, attacked.get(who, [])) for who, mine in sorted(controls.items())]
    columns = (
        *_where(),
        *(Column(f"{kind} {m} %", short=f"{kind}\n{m}") for kind in ALWAYS for m in ("EER", "rank-1")),
        Column("chance %", short="chance"),
        Column("verdict", kind="text"),
    )
    caption = "positive: unprotected data, must beat chance; permuted: shuffled identities, must fall to chance"
    return Table("controls", Place(), "Controls", caption, *_one_cohort(columns, lines, controls))


def known_board(rows: Sequence[Row], roles: Roles) -> Table:
    """Show the rank-1 of each attacker under releases of known effect, and what it got wrong there."""
    controls = _of_attackers((r for r in rows if r.control not in ALWAYS), roles)
    lines = [_known_line(who, mine) for who, mine in sorted(controls.items())]
    columns = (
        *_where(),
        *(Column(f"{title} %", short=short) for title, short in zip(KNOWN.values(), SHORT, strict=True)),
        Column("chance %", short="chance"),
        Column("verdict", kind="text"),
    )
    columns, made = _one_cohort(columns, lines, controls)
    columns, made = without_empty(columns, made, len(columns) - len(KNOWN) - 2)
    caption = "rank-1 % under releases whose effect on identity is known"
    return Table("controls-known", Place(), "Controls of known effect", caption, columns, made, MUST)


def perturbation_board(place: Place, rows: Iterable[Row], roles: Roles) -> Table:
    """Show what the perturbation of every method alone says of the person, by the attacker of the lowest EER.

    Parameters
    ----------
    place : Place
    rows : iterable of Row
        All of the place.
    roles : Roles
    """
    alone = [r for r in rows if r.role == "control" and r.control == PERTURBATION and roles.judges(r)]
    lines = [_alone_line(place, method, mine) for method, mine in sorted(grouped(alone, method_of).items())]
    columns = (
        Column("anonymizer", kind="text"),
        Column("EER %"),
        Column("rank-1 %"),
        Column("attacker", kind="word"),
        Column("chance %", short="chance"),
        Column("the perturbation alone says", short="alone\nsays", kind="text"),
    )
    caption = "what the perturbation alone says of the person: pool, gallery and probes are released minus original"
    notes = (
        "an oracle: nobody who is given releases has it, so it ranks no method and is no attacker's figure",
        "who it is: the lower end of rank-1 exceeds twice chance",
    )
    title = f"Perturbation alone · {place}"
    return Table("perturbation", place, title, caption, columns, tuple(lines), notes)


def _alone_line(place: Place, method: Method, rows: Sequence[Row]) -> tuple[Cell, ...]:
    eer, plug = lowest(headline([r for r in rows if r.metric == "eer"]))
    rank1 = _figure([r for r in rows if plug in (None, plug_of(r))], "rank-1")
    chance = chance_of_rank1(rows, place.subjects)
    told = "who it is" if rank1.low > WELL_ABOVE * chance else "nothing shown"
    return (
        Cell(label(method.anonymizer, method.settings)),
        eer.cell(100),
        rank1.cell(100),
        Cell(plug.label if plug else NOTHING),
        cell(chance, scale=100),
        Cell(NOTHING if math.isnan(rank1.value) else told),
    )


def _where() -> tuple[Column, ...]:
    return (
        Column("where", kind="text"),
        Column("cohort", kind="text"),
        Column("people"),
        Column("attacker", kind="word"),
    )


def _who(who: _Judged) -> tuple[Cell, ...]:
    place, plug = who
    return (
        Cell(printable(f"{place.dataset} · {place.protocol}")),
        Cell(printable(place.cohort)),
        Cell(str(place.subjects), place.subjects),
        Cell(plug.label),
    )


def _one_cohort(
    columns: Sequence[Column], lines: Sequence[tuple[Cell, ...]], controls: Iterable[_Judged]
) -> tuple[tuple[Column, ...], tuple[tuple[Cell, ...], ...]]:
    """Leave the cohort out where there is only one."""
    if len({who.place.cohort for who in controls}) > 1:
        return tuple(columns), tuple(lines)
    return (columns[0], *columns[2:]), tuple((line[0], *line[2:]) for line in lines)


def _figure(rows: Sequence[Row], metric: str) -> Figure:
    return mean(headline([r for r in rows if r.metric == metric]))


def _wrong(rows: Iterable[Row]) -> list[str]:
    """Say what controls did not give as they must; remarks on other figures than EER and rank-1 do not count."""
    told = (r for r in rows if r.metric in TOLD and r.reason and r.status in ("ok", "invalid"))
    return sorted({printable(r.reason) for r in told})


def _states(rows: Iterable[Row]) -> list[str]:
    """List the states of what is shown: a failed cell has no metric, a rate that cannot be had spoils nothing."""
    return [r.status for r in rows if r.metric in TOLD]


def _chance(who: _Judged, rows: Sequence[Row]) -> Cell:
    return cell(chance_of_rank1(rows, who.place.subjects), scale=100)


def _line(who: _Judged, rows: Sequence[Row], attacked: Sequence[Row]) -> tuple[Cell, ...]:
    by_kind = grouped(rows, lambda r: r.control)
    figures = [
        _figure(by_kind.get(kind, []), metric).cell(100, interval=False)
        for kind in ALWAYS
        for metric in ("eer", "rank-1")
    ]
    missing = any(kind not in by_kind for kind in ALWAYS)
    levels = {r.knowledge for r in attacked}
    barred = {r.knowledge for r in attacked if r.status == "invalid"}
    wrong = bool(barred) or bool(_wrong(rows))
    word = worst([*_states(rows), *["missing"] * missing, *["invalid"] * wrong])
    if word == "invalid" and barred and barred != levels:
        word = f"invalid at {', '.join(sorted(map(printable, barred), key=level_order))}"
    return (*_who(who), *figures, _chance(who, rows), Cell(word or "valid"))


def _known_line(who: _Judged, rows: Sequence[Row]) -> tuple[Cell, ...]:
    by_known = grouped(rows, lambda r: (r.control, r.knowledge))
    figures = [_figure(by_known.get(known, []), "rank-1").cell(100, interval=False) for known in KNOWN]
    word = worst(_states(rows))
    verdict = "; ".join(_wrong(rows)) or (f"{NOTHING}\n{word}" if word else "as it must")
    return (*_who(who), *figures, _chance(who, rows), Cell(verdict))
