"""Who is enrolled, who is probed, who may be trained on.

A protocol turns a table of beats into enrolment and probe rows for every person it can use; `split` then draws people,
names them by opaque codes, holds out the calibration beats, chooses the pool and assigns anonymizer folds. A split
asserts what it promises. All draws derive from the axes that may vary, so that 20 people are inside 40.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from agile_bench.api import Array, Context, NotComputable, RecordEntry

CALIBRATION_SHARE = 0.2
"""Last part of every enrolment record, held out of fitting: calibrates posteriors and serves as development beats."""
MIN_ENROL = 3
"""Fewest enrolment beats of a person, after the calibration beats are gone."""
MIN_GUARD_SECONDS = 2.0
"""Least gap between the enrolled and the probed part of one record."""


@dataclass(frozen=True, slots=True)
class Table:
    """One row per beat of a dataset: integer codes of person, record and session, seconds into the record.

    `ends` holds each record's length in seconds. Records are numbered in the order in which they were recorded.
    """

    subject: Array
    record: Array
    session: Array
    time: Array
    ends: Array

    def __len__(self) -> int:
        return len(self.subject)


Rows = tuple[Array, Array]
"""Enrolment and probe rows."""


def within_record(table: Table) -> Rows:
    """First part of every record -> last, with a guard gap: 0-45 % -> 55-100 % (0-40 -> 60-100 from a minute on)."""
    length = table.ends[table.record]
    share = np.where(length >= 60, 0.4, 0.45)
    enrol, probe = table.time < share * length, table.time > (1 - share) * length
    long_enough = (1 - 2 * share) * length >= MIN_GUARD_SECONDS - 1e-9  # 20 s leave 2 s, but for rounding
    return np.flatnonzero(enrol & long_enough), np.flatnonzero(probe & long_enough)


def same_day(table: Table) -> Rows:
    """First record -> second record of the first day on which a person has two."""
    enrol, probe = [], []
    for records, sessions in _people(table):
        for day in _in_order(sessions):
            of_day = records[sessions == day]
            if len(of_day) >= 2:
                enrol.append(of_day[0])
                probe.append(of_day[1])
                break
    return _rows_of(table, enrol), _rows_of(table, probe)


def cross_day(table: Table) -> Rows:
    """All records of the first day -> the first record of the last day; people with one day leave.

    One probe record a person, so that nobody with many visits dominates the pooled figures.
    """
    enrol: list[int] = []
    probe: list[int] = []
    for records, sessions in _people(table):
        days = _in_order(sessions)
        if len(days) >= 2:
            enrol.extend(records[sessions == days[0]])
            probe.append(records[sessions == days[-1]][0])
    return _rows_of(table, enrol), _rows_of(table, probe)


def all_but_last(table: Table) -> Rows:
    """Every record but the last -> the last."""
    enrol: list[int] = []
    probe: list[int] = []
    for records, _ in _people(table):
        if len(records) >= 2:
            enrol.extend(records[:-1])
            probe.append(records[-1])
    return _rows_of(table, enrol), _rows_of(table, probe)


PROTOCOLS: dict[str, Callable[[Table], Rows]] = {
    "within-record": within_record,
    "same-day": same_day,
    "cross-day": cross_day,
    "all-but-last": all_but_last,
}


def eligible(entries: Sequence[RecordEntry], protocol: str) -> int:
    """How many people of a listing have the records that a protocol needs."""
    per_person: dict[str, list[str]] = {}
    for entry in entries:
        per_person.setdefault(entry.subject, []).append(entry.session)
    fits: dict[str, Callable[[list[str]], bool]] = {
        "within-record": lambda days: True,
        "same-day": lambda days: len(set(days)) < len(days),
        "cross-day": lambda days: len(set(days)) > 1,
        "all-but-last": lambda days: len(days) > 1,
    }
    return sum(fits[protocol](days) for days in per_person.values())


@dataclass(frozen=True, slots=True)
class Block:
    """One gallery with its probes, and the pool of the attacker that meets it. Rows index the table.

    `*_subject` of gallery, calibration and probe are gallery codes 0..k-1; `pool_subject` are codes of their own.
    `fold` says, per gallery code, which anonymizer instance releases the person; `pool_fold` per pool code.
    """

    gallery: Array
    gallery_subject: Array
    calibration: Array
    calibration_subject: Array
    probe: Array
    probe_subject: Array
    pool: Array
    pool_subject: Array
    fold: Array
    pool_fold: Array


@dataclass(frozen=True, slots=True)
class Split:
    """Blocks (one, or two when the pool is of other people) and the rows that fit each anonymizer instance."""

    people: int
    blocks: tuple[Block, ...]
    fits: tuple[Array, ...]


def split(
    table: Table,
    protocol: str,
    people: int | None,
    *,
    pool: str,
    fitted_on: str,
    beats_per_record: int,
    ctx: Context,
) -> Split:
    """Draw a split.

    Parameters
    ----------
    table : Table
    protocol : str
        A key of `PROTOCOLS`.
    people : int or None
        How many people, drawn so that smaller counts are inside larger ones; None: all that can be used.
    pool : {"closed-set", "subject-disjoint"}
    fitted_on : {"other-people", "same-people"}
        Whom the anonymizer is fitted on.
    beats_per_record : int
        Most beats of one record in one role, evenly spaced.
    ctx : Context
        Its label holds dataset, protocol and seed, not the number of people.

    Raises
    ------
    NotComputable
        If fewer people can be used than asked, or fewer than four.
    """
    enrol, probe = PROTOCOLS[protocol](table)
    enrol, probe = thin(table, enrol, beats_per_record), thin(table, probe, beats_per_record)
    gallery, calibration = hold_out(table, enrol)
    chosen = _draw(table, gallery, probe, people, ctx)
    half = np.zeros(int(table.subject.max()) + 1, np.int64)
    half[chosen] = np.arange(len(chosen)) % 2
    groups = [chosen[half[chosen] == f] for f in (0, 1)] if pool == "subject-disjoint" else [chosen]
    blocks = []
    for number, group in enumerate(groups):
        trainers = np.setdiff1d(chosen, group) if pool == "subject-disjoint" else group
        pool_rows = gallery if pool == "closed-set" else _all_roles(gallery, calibration, probe)
        blocks.append(
            _block(table, (gallery, calibration, probe, pool_rows), group, trainers, half, fitted_on, ctx, number)
        )
    fits = _fits(table, (gallery, calibration, probe), chosen, half, fitted_on)
    fits = tuple(shuffle_records(table, rows, ctx, "fit", i) for i, rows in enumerate(fits))
    drawn = Split(len(chosen), tuple(blocks), fits)
    check(table, drawn, pool, fitted_on)
    return drawn


def thin(table: Table, rows: Array, most: int) -> Array:
    """At most `most` rows of each record, evenly spaced in time."""
    kept = []
    for record in np.unique(table.record[rows]):
        mine = rows[table.record[rows] == record]
        if len(mine) > most:
            mine = mine[np.linspace(0, len(mine) - 1, most).round().astype(np.int64)]
        kept.append(mine)
    return np.concatenate(kept) if kept else rows


def hold_out(table: Table, enrol: Array) -> Rows:
    """Enrolment rows without the last share of each record, and that share."""
    gallery, calibration = [], []
    for record in np.unique(table.record[enrol]):
        mine = enrol[table.record[enrol] == record]
        cut = len(mine) - int(CALIBRATION_SHARE * len(mine))
        gallery.append(mine[:cut])
        calibration.append(mine[cut:])
    if not gallery:
        return enrol, enrol
    return np.concatenate(gallery), np.concatenate(calibration)


def check(table: Table, drawn: Split, pool: str, fitted_on: str) -> None:
    """Assert what a split promises: no beat in two roles, nobody released by an instance that was fitted on them.

    Raises
    ------
    AssertionError
        Naming the broken promise.
    """
    for block in drawn.blocks:
        roles = (block.gallery, block.calibration, block.probe)
        together = np.concatenate(roles)
        if len(np.unique(together)) != len(together):
            raise AssertionError("a beat is in two of gallery, calibration and probe")
        if len(np.intersect1d(block.pool, np.concatenate((block.calibration, block.probe)))):
            raise AssertionError("the pool holds a beat of the calibration or probe side")
        if set(block.probe_subject) != set(range(len(block.fold))):
            raise AssertionError("someone is enrolled and not probed, or probed and not enrolled")
        if pool == "subject-disjoint" and len(np.intersect1d(table.subject[block.pool], table.subject[block.gallery])):
            raise AssertionError("an enrolled person is in the pool")
        if fitted_on == "other-people":
            for code, instance in enumerate(block.fold):
                person = table.subject[block.gallery[block.gallery_subject == code][0]]
                if person in table.subject[drawn.fits[instance]]:
                    raise AssertionError("a person is released by an instance fitted on them")


def halves(table: Table, beats_per_record: int, ctx: Context) -> Rows:
    """Train and test rows for evaluators: half of the people each."""
    people = np.unique(table.subject)
    if len(people) < 2:
        raise NotComputable(f"an evaluator needs at least 2 people, there is {len(people)}")
    order = ctx.rng("people").permutation(people)
    train = np.isin(table.subject, order[: len(order) // 2])
    rows = np.arange(len(table))
    return thin(table, rows[train], beats_per_record), thin(table, rows[~train], beats_per_record)


def shuffle_records(table: Table, rows: Array, ctx: Context, *label: str | int) -> Array:
    """Rows with the records in an order that says nothing, beats of a record in time order."""
    records = ctx.rng("order", *label).permutation(np.unique(table.record[rows]))
    place = np.empty(len(table.ends), np.int64)
    place[records] = np.arange(len(records))
    ordered: Array = rows[np.lexsort((table.time[rows], place[table.record[rows]]))]
    return ordered


def _draw(table: Table, gallery: Array, probe: Array, people: int | None, ctx: Context) -> Array:
    enough = np.bincount(table.subject[gallery], minlength=1) >= MIN_ENROL
    usable = np.intersect1d(np.flatnonzero(enough), table.subject[probe])
    asked = len(usable) if people is None else people
    if asked > len(usable):
        raise NotComputable(f"{asked} people asked, {len(usable)} have enough usable beats")
    if asked < 4:
        raise NotComputable(f"{asked} people can be used, at least 4 are needed")
    order: Array = ctx.rng("people").permutation(usable)
    return order[:asked]


def _block(
    table: Table,
    rows: tuple[Array, Array, Array, Array],
    group: Array,
    trainers: Array,
    half: Array,
    fitted_on: str,
    ctx: Context,
    number: int,
) -> Block:
    gallery, calibration, probe, pool = rows
    codes = _codes(group, ctx, "gallery", number)
    pool_codes = _codes(trainers, ctx, "pool", number)
    placed = {}
    for role, mine, who in (
        ("gallery", gallery, group),
        ("calibration", calibration, group),
        ("probe", probe, group),
        ("pool", pool, trainers),
    ):
        placed[role] = shuffle_records(table, mine[np.isin(table.subject[mine], who)], ctx, role, number)
    instance = (1 - half) if fitted_on == "other-people" else np.zeros_like(half)
    return Block(
        gallery=placed["gallery"],
        gallery_subject=codes[table.subject[placed["gallery"]]],
        calibration=placed["calibration"],
        calibration_subject=codes[table.subject[placed["calibration"]]],
        probe=placed["probe"],
        probe_subject=codes[table.subject[placed["probe"]]],
        pool=placed["pool"],
        pool_subject=pool_codes[table.subject[placed["pool"]]],
        fold=instance[group[np.argsort(codes[group])]],
        pool_fold=instance[trainers[np.argsort(pool_codes[trainers])]],
    )


def _codes(people: Array, ctx: Context, role: str, number: int) -> Array:
    """Opaque codes by person; a lookup array, -1 for everybody else."""
    codes = np.full(int(people.max()) + 1, -1, np.int64)
    codes[people] = ctx.rng("codes", role, number).permutation(len(people))
    return codes


def _fits(table: Table, roles: tuple[Array, ...], chosen: Array, half: Array, fitted_on: str) -> tuple[Array, ...]:
    """Rows that fit each anonymizer instance; of the enrolled people only their gallery beats."""
    if fitted_on == "same-people":
        gallery = roles[0]
        return (gallery[np.isin(table.subject[gallery], chosen)],)
    rows = _all_roles(*roles)
    rows = rows[np.isin(table.subject[rows], chosen)]
    return tuple(rows[half[table.subject[rows]] == f] for f in (0, 1))


def _all_roles(*roles: Array) -> Array:
    return np.unique(np.concatenate(roles))


def _people(table: Table) -> list[Rows]:
    """For every person, their records in order of recording and the session of each."""
    records, first = np.unique(table.record, return_index=True)
    subjects, sessions = table.subject[first], table.session[first]
    return [(records[subjects == p], sessions[subjects == p]) for p in np.unique(subjects)]


def _in_order(sessions: Array) -> Array:
    """Distinct sessions in order of first appearance."""
    distinct, first = np.unique(sessions, return_index=True)
    ordered: Array = distinct[np.argsort(first)]
    return ordered


def _rows_of(table: Table, records: Sequence[int]) -> Array:
    return np.flatnonzero(np.isin(table.record, np.asarray(records, np.int64)))
