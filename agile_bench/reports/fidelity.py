"""Fidelity boards: what a release is still good for, one board per evaluator and place."""

from __future__ import annotations

from collections.abc import Sequence

from agile_bench.reports.escape import printable
from agile_bench.reports.figures import (
    Figure,
    Method,
    Plug,
    Roles,
    Standing,
    grouped,
    headline,
    mean,
    method_of,
    place_of,
    plug_of,
    ranking,
    repeats,
    standings,
    worst,
)
from agile_bench.reports.frame import Row
from agile_bench.reports.privacy import NAME, RANK, joined, marks, named
from agile_bench.reports.tables import Cell, Column, Place, Table

__all__ = ["fidelity_boards", "metric_cell", "metric_column", "of_dataset", "use_standings"]

METRICS: dict[str, tuple[str, str, float, int]] = {
    "accuracy": ("accuracy %", "acc. %", 100, 1),
    "balanced-accuracy": ("balanced accuracy %", "bal. acc. %", 100, 1),
    "macro-f1": ("macro-F1 %", "F1 %", 100, 1),
    "ce-eq6": ("CE nats", "", 1, 2),
    "majority": ("majority %", "maj. %", 100, 1),
    "prdn": ("PRDN %", "", 1, 1),
    "rmse-mv": ("RMSE mV", "", 1, 3),
    "snr-db": ("SNR dB", "", 1, 1),
    "pearson-r": ("r", "", 1, 3),
    "r-displacement-ms": ("R displacement ms", "R shift ms", 1, 1),
}
"""Title, short title, scale and digits of the metrics of use, in the order of their columns."""
LEADING = ("balanced-accuracy", "prdn")
"""What ranks: accuracy would not do, since nine beats of ten are normal."""
NO_INTERVAL = frozenset({"majority"})


def metric_column(metric: str, higher: bool) -> Column:
    """Make the column of a metric of use; one that is not ours is shown by its own name."""
    title, short, *_ = METRICS.get(metric, (printable(metric), ""))
    return Column(title, "" if metric in NO_INTERVAL else "higher" if higher else "lower", short)


def metric_cell(rows: Sequence[Row], metric: str, interval: bool = True) -> Cell:
    """Average a metric over seeds and keys among the rows of one method and evaluator, else say why not."""
    _, _, scale, digits = METRICS.get(metric, ("", "", 1.0, 3))
    figure = mean(headline([r for r in rows if r.metric == metric]))
    if figure.value != figure.value and not figure.word:
        figure = Figure(word=worst(r.status for r in rows))
    return figure.cell(scale, digits, interval=interval and metric not in NO_INTERVAL)


def fidelity_boards(use: Sequence[Row], roles: Roles) -> list[Table]:
    """Make one board per place and evaluator, by dataset."""
    spots = grouped(use, lambda r: (place_of(r), plug_of(r)))
    return [_board(place, plug, rows, roles) for (place, plug), rows in sorted(spots.items())]


def _board(place: Place, plug: Plug, rows: Sequence[Row], roles: Roles) -> Table:
    directions = {r.metric: r.higher_is_better for r in rows if r.metric}
    metrics = sorted(directions, key=lambda m: (list(METRICS).index(m) if m in METRICS else len(METRICS), m))
    leading = next((m for m in (*LEADING, *metrics) if m in directions), "")
    standing = standings(rows, roles)
    by_method = grouped(rows, method_of)
    values = {m: metric_cell(mine, leading).value for m, mine in by_method.items()}
    lines = [
        (rank, named(method, standing[method]), *(metric_cell(by_method[method], m) for m in metrics))
        for method, rank in ranking(standing, values, directions.get(leading, True))
    ]
    columns = (RANK, NAME, *(metric_column(m, directions[m]) for m in metrics))
    by = f"ranked by {metric_column(leading, True).title.removesuffix(' %')}" if leading else ""
    title = f"Fidelity by {plug.label.replace(chr(10), ' ')} · {place}"
    note = ("majority: always the commonest true class",) if "majority" in directions else ()
    notes = (*note, *marks(standing))
    return Table(
        f"fidelity-{printable(plug.plugin)}",
        place,
        title,
        joined(by, repeats(rows)),
        columns,
        tuple(lines),
        notes,
    )


def of_dataset(use: Sequence[Row], place: Place) -> list[Row]:
    """Pick the rows of use that stand beside a privacy board: its dataset, its cohort if there, most people."""
    rows = [r for r in use if r.dataset == place.dataset]
    rows = [r for r in rows if r.cohort == place.cohort] or rows
    most = max((r.subjects for r in rows), default=0)
    return [r for r in rows if r.subjects == most]


def use_standings(rows: Sequence[Row], roles: Roles) -> dict[Method, Standing]:
    """Add up the standing of every method over all protocols of use."""
    total: dict[Method, Standing] = {}
    for mine in grouped(rows, place_of).values():
        for method, standing in standings(mine, roles).items():
            total[method] = total.get(method, Standing()) + standing
    return total
