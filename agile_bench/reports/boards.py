"""All boards of a run, and the combined one that puts privacy and use side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from agile_bench.reports.advice import advice_board
from agile_bench.reports.attack import attack_board
from agile_bench.reports.attackers import attackers_board
from agile_bench.reports.checks import cohorts_board, failures_board, knowledge_board, splits_board
from agile_bench.reports.controls import controls_board, known_board, perturbation_board
from agile_bench.reports.escape import printable
from agile_bench.reports.fidelity import (
    directions_of,
    fidelity_boards,
    frozen,
    metric_cell,
    of_dataset,
    use_standings,
)
from agile_bench.reports.figures import (
    Roles,
    Standing,
    grouped,
    method_of,
    place_of,
    placed,
    plug_of,
    repeats,
    same_method,
    spread,
)
from agile_bench.reports.floors import excess_board, floors_board
from agile_bench.reports.frame import Row, Run
from agile_bench.reports.graded import dose_board, doses, noise_board, spike_board
from agile_bench.reports.kl import kl_board, least_kl
from agile_bench.reports.privacy import (
    NAME,
    RANK,
    Beside,
    chance,
    counts_board,
    eer_board,
    joined,
    marks,
    named,
    pinnacle,
    ranked_methods,
)
from agile_bench.reports.ranking import ranking
from agile_bench.reports.reference import reference_board
from agile_bench.reports.tables import NOTHING, Cell, Column, Place, Table, without_empty

__all__ = ["boards", "combined_board"]

USE = {"accuracy": Column("diagnosis %", "higher", "diag.\n%"), "prdn": Column("PRDN %", "lower", "PRDN\n%")}
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
        Combined (largest number of people of each dataset and protocol), red flags, privacy by EER, by number of
        people, the strongest attacker, every attacker, KL, what is kept and beyond, noise, doses, perturbations alone,
        spikes, fidelity by evaluator, published figures, controls, floors, levels of knowledge, splits, recordings,
        failures.
    """
    run = replace(run, rows=tuple(placed(run.rows)))
    roles = Roles(run.rows)
    cells = [r for r in run.rows if r.role in ("method", "anchor")]
    attacks, use = [r for r in cells if r.knowledge], [r for r in cells if not r.knowledge]
    clean = [r for r in run.rows if r.role == "control" and r.control == "clean"]
    tops = [r for r in run.rows if r.role == "strongest"]
    by_place = grouped(attacks, place_of), grouped(tops, place_of)
    places = sorted({*by_place[0], *by_place[1]})
    here = {p: (by_place[0].get(p, []), by_place[1].get(p, [])) for p in places}
    everything = grouped(run.rows, place_of)
    beside = {p: Beside(p, everything[p], run.comparisons) for p in places}
    series: dict[tuple[str, str, str], list[Place]] = {}
    for p in places:
        series.setdefault((p.dataset, p.protocol, p.cohort), []).append(p)
    made = [
        *(combined_board(ps[-1], *here[ps[-1]], use, roles, beside[ps[-1]]) for ps in series.values()),
        advice_board(run, {p: of_dataset(use, p) for p in places}, roles),
        *(eer_board(p, *here[p], roles, beside[p]) for p in places),
        *(counts_board(ps, tops) for ps in series.values()),
        *(attack_board(p, *here[p], roles, beside[p].pairs) for p in places),
        *(attackers_board(p, everything[p], roles, beside[p].untaught) for p in places),
        *(kl_board(p, here[p][0], roles) for p in places),
        *(excess_board(p, everything[p], roles) for p in places),
        *_graded(everything, roles, beside),
        *fidelity_boards(use, clean, roles),
        reference_board(run.reference, run.rows),
        controls_board(run.rows, roles),
        known_board(run.rows, roles),
        floors_board(run.rows),
        knowledge_board(attacks),
        splits_board(run.splits),
        cohorts_board(run.cohorts),
        failures_board(run.failures),
    ]
    several = {False: len({r.cohort for r in attacks}) > 1, True: len({r.cohort for r in use}) > 1}
    tables = [t for t in made if t is not None and t.rows]
    return [
        _with_cohort(t) if several[t.board.startswith("fidelity-")] or t.place.cohort != "all" else t for t in tables
    ]


def _graded(everything: Mapping[Place, Sequence[Row]], roles: Roles, beside: Mapping[Place, Beside]) -> list[Table]:
    found: list[Table] = []
    for place, extra in beside.items():
        rows = everything[place]
        found += (noise_board(place, rows, roles, extra.pairs), dose_board(place, doses(rows, roles)))
        found += (perturbation_board(place, rows, roles), spike_board(place, rows, roles))
    return found


def _with_cohort(table: Table) -> Table:
    cohort = printable(table.place.cohort)
    return replace(table, title=f"{table.title} · {cohort}") if cohort else table


def combined_board(
    place: Place, attacks: Sequence[Row], tops: Sequence[Row], use: Sequence[Row], roles: Roles, extra: Beside
) -> Table:
    """Privacy and use of every method at one place, ranked by the EER of its strongest attacker."""
    beside = of_dataset(use, place)
    standing = ranked_methods(attacks, tops, roles)
    of_use = use_standings(beside, roles)
    standing = {m: s + same_method(of_use, m, Standing()) for m, s in standing.items()}
    eer, rank1 = (pinnacle(standing, tops, metric) for metric in ("eer", "rank-1"))
    attacked, evaluated = grouped(attacks, method_of), grouped(frozen(beside), method_of)
    wanted = [m for m in USE if m in directions_of(beside)]
    lines = []
    for method, rank in ranking(standing, {m: f.value for m, (f, _) in eer.items()}, tied=extra.pairs.tied):
        stand = standing[method]
        used = same_method(evaluated, method, [])
        lines.append(
            (
                rank,
                named(method, stand),
                eer[method][0].cell(100),
                rank1[method][0].cell(100),
                Cell(eer[method][1] or NOTHING),
                *extra.cells(method),
                least_kl(attacked.get(method, []), roles).cell(digits=2, interval=False),
                *(metric_cell(_one_evaluator(used, m), m, interval=False) for m in wanted),
                Cell(f"{stand.done}\nof {stand.total}", stand.done),
            )
        )
    titles = (
        RANK,
        NAME,
        Column("EER %", "higher"),
        Column("rank-1 %", "lower", "rank-1\n%"),
        Column("strongest attacker", short="attacker", kind="word"),
        *extra.columns,
        Column("KL", "higher"),
        *(USE[m] for m in wanted),
        Column("cells"),
    )
    said = ("strongest attacker of any knowledge, record level", chance(place, attacks), repeats(tops))
    columns, rows = without_empty(titles, lines, 5)
    notes = (*extra.notes(columns), *marks(standing))
    title = f"Privacy and use · {place}"
    return Table("combined", place, title, joined(*said, spread(tops, roles)), columns, rows, notes)


def _one_evaluator(rows: Sequence[Row], metric: str) -> list[Row]:
    """Pick the first place and evaluator, by name, that measured the metric; all rows where none did."""
    spots = grouped(rows, lambda r: (place_of(r), plug_of(r)))
    having = sorted(spot for spot, mine in spots.items() if any(r.metric == metric for r in mine))
    return spots[having[0]] if having else list(rows)
