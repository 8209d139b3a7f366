"""The boards about the run itself: what the attackers knew, splits, recordings and failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agile_bench.reports.escape import printable
from agile_bench.reports.figures import grouped, level_order
from agile_bench.reports.frame import Cohort, Failure, Row, SplitTold
from agile_bench.reports.tables import NOTHING, Cell, Column, Place, Table, label, shown, without_empty

__all__ = ["cohorts_board", "failures_board", "knowledge_board", "splits_board"]

RUN = Place()
COUNTS = {
    "people": Column("people"),
    "enrolled": Column("enrolled", short="enr."),
    "unknown": Column("unknown", short="unkn."),
    "left_out": Column("left out", short="left\nout"),
    "outside_cohort": Column("outside cohort", short="outside\ncohort"),
    "too_few_beats": Column("too few beats", short="few\nbeats"),
    "records_enrolled": Column("records enrolled", short="records\nenr."),
    "records_probed": Column("records probed", short="records\nprobed"),
    "beats_gallery": Column("beats gallery", short="beats\ngallery"),
    "beats_calibration": Column("beats calibration", short="beats\ncalib."),
    "beats_probe": Column("beats probe", short="beats\nprobe"),
    "beats_pool": Column("beats pool", short="beats\npool"),
    "least_gap_s": Column("least gap s", short="gap s"),
}
"""What a split tells of itself, in the order of the columns; what is not named here follows under its own name."""
PROMISES = "promises"


def _text(title: str) -> Column:
    return Column(title, kind="text")


def knowledge_board(attacks: Sequence[Row]) -> Table:
    """Show what the attacker trained on, enrolled and probed at each level, as the rows say."""
    by_level = grouped((r for r in attacks if r.status == "ok"), lambda r: r.knowledge)
    lines = []
    for level, rows in sorted(by_level.items(), key=lambda item: level_order(item[0])):
        sources = (sorted({printable(getattr(r, role)) for r in rows}) for role in ("pool", "gallery", "probe"))
        lines.append((Cell(printable(level)), *(Cell(" or ".join(filter(None, s))) for s in sources)))
    columns = tuple(_text(t) for t in ("level", "pool", "gallery", "probe"))
    caption = "what the attacker trains on, enrols and is shown; more knowledge includes all before it"
    return Table("knowledge", RUN, "Levels of knowledge", caption, columns, tuple(lines))


def splits_board(splits: Sequence[SplitTold]) -> Table:
    """Show who took part in every split, with how many records and beats; its promises are in the notes."""
    ordered = sorted(splits, key=lambda s: (s.dataset, s.protocol, s.cohort, s.seed, str(sorted(s.counts.items()))))
    more = sorted({name for s in splits for name in s.counts} - {*COUNTS, PROMISES})
    lines = [
        (
            *(Cell(printable(text)) for text in (s.dataset, s.protocol, s.cohort)),
            Cell(str(s.seed), s.seed),
            *(_count(s.counts.get(name)) for name in (*COUNTS, *more)),
        )
        for s in ordered
    ]
    titles = (
        *(_text(t) for t in ("dataset", "protocol", "cohort")),
        Column("seed"),
        *COUNTS.values(),
        *(Column(printable(name)) for name in more),
    )
    columns, made = without_empty(titles, lines, 4)
    caption = "who was enrolled and probed; left out: people without the records that the protocol needs"
    return Table("splits", RUN, "Splits", caption, columns, made, _promises(ordered))


def _promises(splits: Sequence[SplitTold]) -> tuple[str, ...]:
    """Say what all splits promise, then what those of a protocol and cohort promise beyond that."""
    given = [(s, str(s.counts.get(PROMISES, "")).split("; ")) for s in splits]
    common = [p for p in (given[0][1] if given else []) if p and all(p in promises for _, promises in given)]
    more = {
        f"{s.protocol}, {s.cohort}": "; ".join(p for p in promises if p and p not in common) for s, promises in given
    }
    notes = [f"promised and checked in every split: {'; '.join(common)}"] if common else []
    return tuple(printable(note) for note in (*notes, *(f"{who}: {text}" for who, text in more.items() if text)))


def _count(value: int | float | str | None) -> Cell:
    if value is None:
        return Cell()
    if isinstance(value, str):
        return Cell(printable(value) or NOTHING)
    return Cell(shown(value) if isinstance(value, float) else str(value), value)


def cohorts_board(cohorts: Sequence[Cohort]) -> Table:
    """Show what was taken from each dataset and what was left out, counted by reason."""
    lines = tuple(
        (
            Cell(printable(c.dataset)),
            *(Cell(str(n), n) for n in (c.subjects, c.records, c.beats)),
            Cell(_reasons(c.skipped)),
            Cell(_reasons(c.dropped)),
        )
        for c in sorted(cohorts, key=lambda c: (c.dataset, c.subjects, c.records, c.beats))
    )
    columns = (
        _text("dataset"),
        *(Column(t) for t in ("people", "records", "beats")),
        _text("records skipped"),
        _text("beats dropped"),
    )
    return Table("cohorts", RUN, "Recordings", "", columns, lines)


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{printable(reason)} {n}" for reason, n in counts.items() if n) or "none"


def failures_board(failures: Sequence[Failure]) -> Table:
    """List every failure with its reason and the number of cells that it cost."""
    lines = tuple(
        (
            Cell(printable(f.stage)),
            Cell(label(f.plugin, f.settings)),
            Cell(str(f.cells), f.cells),
            Cell(printable(f.reason.strip())),
        )
        for f in sorted(failures, key=lambda f: (f.stage, f.plugin, f.settings, f.reason))
    )
    columns = (_text("stage"), _text("plugin"), Column("cells"), _text("reason"))
    return Table("failures", RUN, "Failures", "tracebacks: failures.json", columns, lines)
