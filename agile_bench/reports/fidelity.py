"""Fidelity boards: what a release is still good for, per evaluator and place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agile_bench.reports.escape import printable
from agile_bench.reports.figures import (
    Figure,
    Method,
    Plug,
    Roles,
    Standing,
    barred,
    grouped,
    headline,
    mean,
    method_of,
    place_of,
    plug_of,
    repeats,
    standings,
)
from agile_bench.reports.frame import Row
from agile_bench.reports.privacy import NAME, RANK, joined, marks, named
from agile_bench.reports.ranking import ranking
from agile_bench.reports.tables import Cell, Column, Place, Table, without_empty

__all__ = ["directions_of", "fidelity_boards", "frozen", "metric_cell", "metric_column", "of_dataset", "use_standings"]

METRICS: dict[str, tuple[str, str, float, int]] = {
    "accuracy": ("accuracy %", "acc. %", 100, 1),
    "balanced-accuracy": ("balanced accuracy %", "bal.\nacc. %", 100, 1),
    "macro-f1": ("macro-F1 %", "F1 %", 100, 1),
    "ce-eq6": ("CE nats", "CE", 1, 2),
    "agreement": ("agreement %", "agree %", 100, 1),
    "majority": ("majority %", "maj. %", 100, 1),
    "auroc": ("AUROC", "", 1, 3),
    "ece": ("ECE", "", 1, 3),
    "brier": ("Brier", "", 1, 3),
    "prdn": ("PRDN %", "", 1, 1),
    "prdn-p90": ("PRDN % of the worst tenth", "PRDN p90", 1, 1),
    "rmse-mv": ("RMSE mV", "", 1, 3),
    "snr-db": ("SNR dB", "", 1, 1),
    "pearson-r": ("r", "", 1, 3),
    "r-displacement-ms": ("R displacement ms", "R shift ms", 1, 1),
    "qrs-error-ms": ("QRS error ms", "QRS\nms", 1, 1),
    "pr-error-ms": ("PR error ms", "PR\nms", 1, 1),
    "qt-error-ms": ("QT error ms", "QT\nms", 1, 1),
    "qtc-error-ms": ("QTc error ms", "QTc\nms", 1, 1),
    "st-error-mv": ("ST error mV", "ST\nmV", 1, 3),
    "undelineated": ("undelineated %", "undel. %", 100, 1),
    "heart-rate-error-bpm": ("heart rate error bpm", "HR\nbpm", 1, 2),
    "sdnn-error-ms": ("SDNN error ms", "SDNN\nms", 1, 1),
    "rmssd-error-ms": ("RMSSD error ms", "RMSSD\nms", 1, 1),
}
"""Title, short title, scale and digits of the metrics of use, in the order of their columns."""
CLASSES = {
    f"{rate}-{name}": Column(f"{title} {name.upper()} %", "higher", f"{title}\n{name.upper()}")
    for rate, title in (("se", "Se"), ("pp", "+P"))
    for name in "nsvf"
}
"""Sensitivity and positive predictive value of the AAMI classes of beats."""
CALIBRATION = ("auroc", "ece", "brier")
LEADING = ("balanced-accuracy", "prdn", "qt-error-ms", "heart-rate-error-bpm")
"""What ranks: accuracy would not do, since nine beats of ten are normal."""
NO_INTERVAL = frozenset({"majority"})
FLOOR, ERROR = "-floor-", "-error-"
"""An evaluator's own noise on a metric, such as ``qrs-floor-ms``, stands in a line of its own."""
TWICE = "retrained: the network learned from releases; in all other columns it learned from originals and is frozen"


@dataclass(frozen=True, slots=True)
class _Spot:
    """What one evaluator found at one place: rows of methods, and of the originals."""

    place: Place
    plug: Plug
    rows: Sequence[Row]
    clean: Sequence[Row]
    roles: Roles

    @property
    def ordered(self) -> list[tuple[Method, Cell, Standing]]:
        """Methods with rank and standing, by the leading metric of the network fitted on originals."""
        directions = directions_of(self.rows)
        leading = self.leading
        by_method = grouped(frozen(self.rows), method_of)
        standing = standings(self.rows, self.roles)
        values = {m: metric_cell(by_method.get(m, []), leading).value for m in standing}
        return [(m, rank, standing[m]) for m, rank in ranking(standing, values, directions.get(leading, True))]

    @property
    def leading(self) -> str:
        """The metric that ranks."""
        directions = directions_of(self.rows)
        main = [m for m in directions if m not in CLASSES and FLOOR not in m]
        return next((m for m in (*LEADING, *sorted(main, key=_order)) if m in directions), "")

    def table(
        self, kind: str, titles: Sequence[Column], lines: Sequence[tuple[Cell, ...]], keep: int, *notes: str
    ) -> Table:
        """A board of this evaluator."""
        by = f"ranked by {metric_column(self.leading, True).title.removesuffix(' %')}" if self.leading else ""
        evaluator = self.plug.line
        about = {"": "", "calibration": ", calibration", "classes": ", by class of beat"}[kind]
        columns, made = without_empty(titles, lines, keep)
        return Table(
            f"fidelity-{printable(self.plug.plugin)}{f'-{kind}' if kind else ''}",
            self.place,
            f"Fidelity by {evaluator}{about} · {self.place}",
            joined(by, repeats(self.rows)),
            columns,
            made,
            tuple(note for note in notes if note),
        )


def metric_column(metric: str, higher: bool, retrained: bool = False) -> Column:
    """Make the column of a metric of use; one that is not ours is shown by its own name."""
    title, short, *_ = METRICS.get(metric, (printable(metric), ""))
    better = Column(title, "" if metric in NO_INTERVAL else "higher" if higher else "lower", short)
    return Column(f"{title} retrained", better.better, f"{short or title}\nretr.") if retrained else better


def metric_cell(rows: Sequence[Row], metric: str, interval: bool = True) -> Cell:
    """Average a metric over seeds and keys among the rows of one method and evaluator, else say why not."""
    _, _, scale, digits = METRICS.get(metric, ("", "", 100.0, 1) if metric in CLASSES else ("", "", 1.0, 3))
    figure = mean(headline([r for r in rows if r.metric == metric]))
    if figure.value != figure.value and not figure.word:
        figure = Figure(word=barred(rows))
    return figure.cell(scale, digits, interval=interval and metric not in NO_INTERVAL)


def frozen(rows: Iterable[Row]) -> list[Row]:
    """Keep what does not come from a network retrained on releases."""
    return [r for r in rows if r.pool != "released"]


def fidelity_boards(use: Sequence[Row], clean: Sequence[Row], roles: Roles) -> list[Table]:
    """Make the boards of every place and evaluator, by dataset.

    Parameters
    ----------
    use : sequence of Row
        Of methods and anchors.
    clean : sequence of Row
        Of evaluators on the original beats.
    roles : Roles

    Returns
    -------
    list of Table
        Each evaluator's main board; for one that diagnoses also its calibration and its figures by class of beat.
    """
    spots = grouped(use, lambda r: (place_of(r), plug_of(r)))
    originals = grouped(clean, lambda r: (place_of(r), plug_of(r)))
    found = []
    for (place, plug), rows in sorted(spots.items()):
        spot = _Spot(place, plug, rows, originals.get((place, plug), []), roles)
        metrics = sorted(directions_of(rows), key=_order)
        main = [m for m in metrics if m not in (*CLASSES, *CALIBRATION) and FLOOR not in m]
        calibration = [m for m in metrics if m in CALIBRATION]
        found.append(_board(spot, main or calibration, ""))
        found += [_board(spot, calibration, "calibration")] if main and calibration else []
        found += [_classes_board(spot)] if any(m in CLASSES for m in metrics) else []
    return found


def directions_of(rows: Sequence[Row]) -> dict[str, bool]:
    """Tell for every metric that was measured whether high is good; a failed cell's is asked only if all failed."""
    named = [r for r in rows if r.metric]
    return {r.metric: r.higher_is_better for r in [r for r in named if r.status != "failed"] or named}


def _order(metric: str) -> tuple[int, str]:
    return (list(METRICS).index(metric) if metric in METRICS else len(METRICS)), metric


def _board(spot: _Spot, metrics: Sequence[str], kind: str) -> Table:
    """Methods by metric, the network fitted on originals and the one retrained on releases side by side."""
    directions = directions_of(spot.rows)
    plain, retrained = (
        grouped(side, method_of) for side in (frozen(spot.rows), [r for r in spot.rows if r.pool == "released"])
    )
    twice = {r.metric for r in spot.rows if r.pool == "released"} - NO_INTERVAL
    shown = [(m, again) for m in metrics for again in (False, True) if m in twice or not again]
    lines: list[tuple[Cell, ...]] = []
    if spot.clean:
        lines.append(_originals([Cell() if again else metric_cell(spot.clean, m) for m, again in shown]))
    ordered = spot.ordered
    lines += [
        (
            rank,
            named(method, standing),
            *(metric_cell((retrained if again else plain).get(method, []), m) for m, again in shown),
        )
        for method, rank, standing in ordered
    ]
    floor = _floor_line(spot.rows, shown)
    lines += [floor] if floor else []
    titles = (RANK, NAME, *(metric_column(m, directions[m], again) for m, again in shown))
    return spot.table(
        kind,
        titles,
        lines,
        2,
        TWICE if twice else "",
        "majority: always the commonest true class" if "majority" in metrics else "",
        "errors are of records that could be delineated in both" if "undelineated" in metrics else "",
        *_refused(spot.rows, metrics),
        *marks({m: s for m, _, s in ordered}),
    )


def _refused(rows: Sequence[Row], metrics: Sequence[str]) -> list[str]:
    """Say once per reason why a figure cannot be had."""
    reasons = grouped(
        (r for r in rows if r.status == "not-computable" and r.reason and r.metric in metrics), lambda r: r.reason
    )
    titles = {
        reason: [metric_column(m, True).title for m in metrics if m in {r.metric for r in mine}]
        for reason, mine in sorted(reasons.items())
    }
    return [f"not computable: {', '.join(named)}: {printable(reason)}" for reason, named in titles.items()]


def _originals(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    return (Cell("anchor"), Cell("originals"), *cells)


def _floor_line(rows: Sequence[Row], shown: Sequence[tuple[str, bool]]) -> tuple[Cell, ...] | None:
    """Show the evaluator's own noise, which is that of the originals, so the same for every method."""
    floors = {m.replace(FLOOR, ERROR): [r for r in rows if r.metric == m] for m in directions_of(rows) if FLOOR in m}
    if not floors:
        return None
    cells = (
        Cell() if again or metric not in floors else _floor_cell(floors[metric], metric) for metric, again in shown
    )
    return (Cell("anchor"), Cell("floor of the evaluator"), *cells)


def _floor_cell(rows: Sequence[Row], metric: str) -> Cell:
    _, _, scale, digits = METRICS.get(metric, ("", "", 1.0, 3))
    return mean(headline(rows)).cell(scale, digits)


def _classes_board(spot: _Spot) -> Table:
    """Sensitivity and positive predictive value of every class of beats, a line per method and network."""
    lines: list[tuple[Cell, ...]] = []
    if spot.clean:
        lines.append(_originals((Cell("originals"), *_class_cells(spot.clean))))
    ordered = spot.ordered
    for method, rank, standing in ordered:
        mine = grouped((r for r in spot.rows if method_of(r) == method), lambda r: r.pool == "released")
        lines += [
            (rank, named(method, standing), Cell("releases" if again else "originals"), *_class_cells(mine[again]))
            for again in sorted(mine)
        ]
    titles = (RANK, NAME, Column("trained on", short="trained\non", kind="word"), *CLASSES.values())
    note = "Se: share of a class's beats that are called so; +P: share of such calls that are right"
    return spot.table("classes", titles, lines, 3, note, *marks({m: s for m, _, s in ordered}))


def _class_cells(rows: Sequence[Row]) -> list[Cell]:
    return [metric_cell(rows, metric) for metric in CLASSES]


def of_dataset(use: Sequence[Row], place: Place) -> list[Row]:
    """Pick the rows of use that stand beside a privacy board: its dataset, its cohort if there, most people.

    Where use was measured on another cohort, that is everybody's before the one without the people of both sides.
    """
    rows = [r for r in use if r.dataset == place.dataset]
    for cohort in (place.cohort, "all"):
        if any(r.cohort == cohort for r in rows):
            rows = [r for r in rows if r.cohort == cohort]
            break
    most = max((r.subjects for r in rows), default=0)
    return [r for r in rows if r.subjects == most]


def use_standings(rows: Sequence[Row], roles: Roles) -> dict[Method, Standing]:
    """Add up the standing of every method over all protocols of use."""
    total: Mapping[Method, Standing] = {}
    for mine in grouped(rows, place_of).values():
        found = standings(mine, roles)
        total = {m: total.get(m, Standing()) + found.get(m, Standing()) for m in {**total, **found}}
    return dict(total)
