"""Boards of graded controls: smaller doses of a release, a known trace of a person, noise of the release's size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from agile_bench.reports.escape import printable
from agile_bench.reports.figures import (
    Figure,
    Method,
    Plug,
    Roles,
    Standing,
    chance_of_rank1,
    grouped,
    headline,
    lowest,
    mean,
    method_of,
    place_of,
    plug_of,
)
from agile_bench.reports.frame import Row
from agile_bench.reports.privacy import NAME, joined, named
from agile_bench.reports.ranking import NOISE, Pairs
from agile_bench.reports.tables import NOTHING, Cell, Column, Place, Table, cell, shown

__all__ = ["amounts", "dose_board", "doses", "falls", "noise_board", "spike_board"]

WELL_ABOVE = 2.0
"""An attacker finds people where the lower end of its rank-1 exceeds this many times chance."""


def amounts(rows: Iterable[Row], name: str) -> dict[float, list[Row]]:
    """Group the rows of a graded control by its amount, least first: those of ``dose=0.5`` by 0.5."""
    found: dict[float, list[Row]] = {}
    for row in rows:
        kind, _, told = row.control.partition("=")
        try:
            amount = float(told) if kind == name else math.nan
        except ValueError:
            continue
        if math.isfinite(amount):
            found.setdefault(amount, []).append(row)
    return dict(sorted(found.items()))


def doses(rows: Iterable[Row], roles: Roles) -> dict[tuple[Place, Method, Plug], dict[float, Figure]]:
    """EER by dose for each place, method and attacker that has doses; dose 1 is the release itself, under one key."""
    eer = [r for r in rows if r.metric == "eer" and r.knowledge == "ignorant" and roles.judges(r)]
    spots = grouped(
        (r for r in eer if r.role == "control" or (r.role in ("method", "anchor") and r.key == 0)),
        lambda r: (place_of(r), method_of(r), plug_of(r)),
    )
    found = {}
    for spot, mine in sorted(spots.items()):
        by_dose = amounts((r for r in mine if r.role == "control"), "dose")
        if by_dose:
            by_dose[1.0] = [r for r in mine if r.role != "control"]
            found[spot] = {dose: mean(headline(figures)) for dose, figures in by_dose.items()}
    return found


def falls(figures: Mapping[float, Figure]) -> tuple[float, float] | None:
    """Find the two doses between which the EER falls most, if by more than the intervals; None if it never does."""
    fallen = [
        (after.value - before.value, less, more)
        for less, before in figures.items()
        for more, after in figures.items()
        if less < more and after.high < before.low
    ]
    return min(fallen)[1:] if fallen else None


def dose_board(place: Place, found: Mapping[tuple[Place, Method, Plug], Mapping[float, Figure]]) -> Table:
    """Show EER by dose of every method under each attacker of a place; `found` is what `doses` gave."""
    here = {spot: figures for spot, figures in found.items() if spot[0] == place}
    columns = sorted({dose for figures in here.values() for dose in figures})
    lines = tuple(
        (
            named(method, Standing()),
            Cell(plug.label),
            *(figures.get(dose, Figure()).cell(100) for dose in columns),
            Cell("no" if falls(figures) else "yes"),
        )
        for (_, method, plug), figures in here.items()
    )
    titles = (
        NAME,
        Column("attacker", kind="word"),
        *(Column(f"{dose:g}", "higher" if dose == 1 else "") for dose in columns),
        Column("rises", kind="word"),
    )
    caption = "EER % of the ignorant attacker on the way from the original beat (0) to the released one (1)"
    notes = ("rises: no where the EER falls between two doses by more than the intervals",)
    return Table("doses", place, f"Dose and response · {place}", caption, titles, lines, notes)


def spike_board(place: Place, rows: Iterable[Row], roles: Roles) -> Table:
    """Show rank-1 by the energy of a person's trace in beats otherwise alike, and where each attacker begins to see it.

    An attacker's detection limit is the least energy from which the lower end of its rank-1 exceeds twice chance.
    """
    rank1 = [r for r in rows if r.role == "control" and r.metric == "rank-1" and roles.judges(r)]
    columns = list(amounts(rank1, "spike"))
    lines = []
    for plug, figures in sorted(grouped(rank1, plug_of).items()):
        by_energy = amounts(figures, "spike")
        if not by_energy:
            continue
        chance = chance_of_rank1((r for level in by_energy.values() for r in level), place.subjects)
        shown_at = {energy: mean(headline(same)) for energy, same in by_energy.items()}
        seen = [energy for energy, f in shown_at.items() if f.low > WELL_ABOVE * chance]
        limit = f"{'<= ' if seen[0] == min(shown_at) else ''}{seen[0]:g}" if seen else f"> {max(shown_at):g}"
        lines.append(
            (
                Cell(plug.label),
                *(shown_at.get(energy, Figure()).cell(100) for energy in columns),
                cell(chance, scale=100),
                Cell(limit, seen[0] if seen else math.nan),
            )
        )
    titles = (
        Column("attacker", kind="word"),
        *(Column(f"{energy:g} mV") for energy in columns),
        Column("chance %", short="chance"),
        Column("limit mV"),
    )
    caption = (
        "rank-1 % by the RMS of a person's own pattern on beats that are the same for all; attacker retrained on it"
    )
    notes = ("limit: the least energy whose rank-1 is above twice chance; what is fainter may leak unseen",)
    return Table("spikes", place, f"Detection limit · {place}", caption, titles, tuple(lines), notes)


def noise_board(place: Place, rows: Iterable[Row], roles: Roles, pairs: Pairs) -> Table:
    """Show every method's EER beside that under noise of the same size, by the lowest attacker of each level.

    Parameters
    ----------
    place : Place
    rows : iterable of Row
        All of the place.
    roles : Roles
    pairs : Pairs
        Comparisons of the place.
    """
    eer = [r for r in rows if r.metric == "eer" and roles.judges(r)]
    noisy = grouped((r for r in eer if r.role == "control" and r.control == NOISE), method_of)
    levels = [lv for lv in ("ignorant", "semi-informed") if any(r.knowledge == lv for m in noisy.values() for r in m)]
    lines = []
    for method, noise in sorted(noisy.items()):
        met = {(r.knowledge, plug_of(r)) for r in noise}
        own = [r for r in eer if r.role == "method" and method_of(r) == method]
        own = [r for r in own if (r.knowledge, plug_of(r)) in met and r.key == 0]
        lines.append(
            (
                named(method, Standing()),
                *(_lowest(side, level) for level in levels for side in (own, noise)),
                *_difference(pairs, method),
            )
        )
    titles = (
        NAME,
        *(
            Column(f"{who} {printable(level)}", short=f"{who}\n{level.partition('-')[0]}")
            for level in levels
            for who in ("method", "noise")
        ),
        Column("difference"),
        Column("p"),
        Column("beats noise", short="beats\nnoise", kind="word"),
    )
    caption = joined("EER % under the release and under white noise of the same error", "lowest attacker of each level")
    notes = ("difference: of the strongest attackers that met both, paired over people; p adjusted after Holm",)
    return Table("noise", place, f"Against noise of the same size · {place}", caption, titles, tuple(lines), notes)


def _lowest(rows: Sequence[Row], level: str) -> Cell:
    figure, plug = lowest(headline([r for r in rows if r.knowledge == level]))
    return figure.cell(100, who=plug.label if plug else "", interval=False)


def _difference(pairs: Pairs, method: Method) -> tuple[Cell, Cell, Cell]:
    found = pairs.noise(method)
    beats = Cell(pairs.beats_noise(method) or "not shown")
    if found is None:
        return Cell(), Cell(), beats
    p = Cell("< 0.001" if found.p_holm < 0.001 else shown(found.p_holm, digits=3) or NOTHING, found.p_holm)
    return cell(found.difference, found.low, found.high, scale=100), p, beats
