"""All boards of a run, and the combined one that puts privacy and use side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from agile_bench.reports.checks import cohorts_board, controls_board, failures_board, knowledge_board
from agile_bench.reports.escape import printable
from agile_bench.reports.fidelity import (
    fidelity_boards,
    metric_cell,
    of_dataset,
    use_standings,
)
from agile_bench.reports.figures import (
    Method,
    Roles,
    Standing,
    grouped,
    method_of,
    place_of,
    plug_of,
    ranking,
    repeats,
)
from agile_bench.reports.frame import Row, Run
from agile_bench.reports.privacy import (
    NAME,
    RANK,
    chance,
    counts_board,
    eer_board,
    joined,
    kl_board,
    least_kl,
    marks,
    named,
    pinnacle,
    ranked_methods,
)
from agile_bench.reports.reference import reference_board
from agile_bench.reports.tables import NOTHING, Cell, Column, Place, Table, without_empty

__all__ = ["boards", "combined_board"]

V = TypeVar("V")

USE = {"accuracy": Column("diagnosis %", "higher", "diag. %"), "prdn": Column("PRDN %", "lower")}
"""What of use stands in the combined board."""


def boards(run: Run) -> list[Table]:
    """All boards of a run, the most telling first; empty ones are left out.

    Parameters
    ----------
    run : Run
        What `agile_bench.reports.load` gave.

    Returns
    -------
    list of Table
        Combined (largest number of people of each dataset and protocol), privacy by EER, by number of people,
        by KL, fidelity by evaluator, published figures, controls, levels of knowledge, recordings, failures.
    """
    roles = Roles(run.rows)
    cells = [r for r in run.rows if r.role in ("method", "anchor")]
    attacks, use = [r for r in cells if r.knowledge], [r for r in cells if not r.knowledge]
    tops = [r for r in run.rows if r.role == "strongest"]
    by_place = grouped(attacks, place_of), grouped(tops, place_of)
    places = sorted({*by_place[0], *by_place[1]})
    here = {p: (by_place[0].get(p, []), by_place[1].get(p, [])) for p in places}
    series: dict[tuple[str, str, str], list[Place]] = {}
    for p in places:
        series.setdefault((p.dataset, p.protocol, p.cohort), []).append(p)
    made = [
        *(combined_board(ps[-1], *here[ps[-1]], use, roles) for ps in series.values()),
        *(eer_board(p, *here[p], roles) for p in places),
        *(counts_board(ps, tops) for ps in series.values()),
        *(kl_board(p, here[p][0], roles) for p in places),
        *fidelity_boards(use, roles),
        reference_board(run.reference, run.rows),
        controls_board(run.rows, roles),
        knowledge_board(attacks),
        cohorts_board(run.cohorts),
        failures_board(run.failures),
    ]
    tables = [t for t in made if t is not None and t.rows]
    several = len({r.cohort for r in cells}) > 1
    return [_with_cohort(t) if several and t.place.cohort else t for t in tables]


def _with_cohort(table: Table) -> Table:
    return replace(table, title=f"{table.title} · {printable(table.place.cohort)}")


def combined_board(
    place: Place, attacks: Sequence[Row], tops: Sequence[Row], use: Sequence[Row], roles: Roles
) -> Table:
    """Privacy and use of every method at one place, ranked by the EER of its strongest attacker."""
    beside = of_dataset(use, place)
    standing = ranked_methods(attacks, tops, roles)
    of_use = use_standings(beside, roles)
    standing = {m: s + _same(of_use, m, Standing()) for m, s in standing.items()}
    eer, rank1 = (pinnacle(standing, tops, metric) for metric in ("eer", "rank-1"))
    attacked, evaluated = grouped(attacks, method_of), grouped(beside, method_of)
    wanted = [m for m in USE if any(r.metric == m for r in beside)]
    lines = []
    for method, rank in ranking(standing, {m: f.value for m, (f, _) in eer.items()}):
        stand = standing[method]
        used = _same(evaluated, method, [])
        lines.append(
            (
                rank,
                named(method, stand),
                eer[method][0].cell(100),
                rank1[method][0].cell(100),
                Cell(eer[method][1] or NOTHING),
                least_kl(attacked.get(method, []), roles).cell(digits=2, interval=False),
                *(metric_cell(_one_evaluator(used, m), m, interval=False) for m in wanted),
                Cell(f"{stand.done}\nof {stand.total}", stand.done),
            )
        )
    columns = (
        RANK,
        NAME,
        Column("EER %", "higher"),
        Column("rank-1 %", "lower"),
        Column("strongest attacker", short="attacker", kind="word"),
        Column("KL", "higher"),
        *(USE[m] for m in wanted),
        Column("cells"),
    )
    caption = joined("strongest attacker of any knowledge, record level", chance(place), repeats(tops))
    columns, rows = without_empty(columns, lines, 5)
    return Table("combined", place, f"Privacy and use · {place}", caption, columns, rows, marks(standing))


def _same(by_method: Mapping[Method, V], method: Method, default: V) -> V:
    """Pick what belongs to the method; where use was measured on another fit of it, that one."""
    others = (v for m, v in sorted(by_method.items()) if m[:2] == method[:2])
    return by_method[method] if method in by_method else next(others, default)


def _one_evaluator(rows: Sequence[Row], metric: str) -> list[Row]:
    """Pick the first place and evaluator, by name, that measured the metric; all rows where none did."""
    spots = grouped(rows, lambda r: (place_of(r), plug_of(r)))
    having = sorted(spot for spot, mine in spots.items() if any(r.metric == metric for r in mine))
    return spots[having[0]] if having else list(rows)
