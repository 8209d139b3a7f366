from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agile_bench.api import Array, Context, NotComputable, RecordEntry
from agile_bench.protocols.splits import (
    MIN_ENROL,
    MIN_GUARD_SECONDS,
    PROTOCOLS,
    Block,
    Split,
    Table,
    check,
    eligible,
    halves,
    hold_out,
    shuffle_records,
    split,
    thin,
    within_record,
)

CTX = Context(label=("made", "protocol", 0))
ROLES = ("gallery", "calibration", "probe")


def table_of(people: list[list[list[int]]], seconds: float = 30.0) -> Table:
    """A table from the number of beats of every record of every session of every person."""
    rows: list[tuple[int, int, int, float]] = []
    ends: list[float] = []
    session = 0
    for person, sessions in enumerate(people):
        for records in sessions:
            for beats in records:
                times = (np.arange(beats) + 0.5) * seconds / max(1, beats)
                rows += [(person, len(ends), session, float(t)) for t in times]
                ends.append(seconds)
            session += 1
    subject, record, sessions_, time = (np.asarray(c) for c in zip(*rows, strict=True))
    return Table(subject, record, sessions_, time.astype(np.float64), np.asarray(ends))


def regular(people: int, sessions: int = 2, records: int = 2, beats: int = 20) -> Table:
    return table_of([[[beats] * records] * sessions] * people)


def draw(table: Table, protocol: str = "all-but-last", people: int | None = None, **changes: Any) -> Split:
    asked = {"pool": "closed-set", "fitted_on": "other-people", "beats_per_record": 10, "ctx": CTX} | changes
    return split(table, protocol, people, **asked)


TABLES = st.lists(
    st.lists(st.lists(st.integers(0, 24), min_size=1, max_size=3), min_size=1, max_size=3), min_size=4, max_size=10
).filter(lambda people: sum(n for p in people for s in p for n in s) > 0)

ASKED = st.fixed_dictionaries(
    {
        "protocol": st.sampled_from(sorted(PROTOCOLS)),
        "pool": st.sampled_from(["closed-set", "subject-disjoint"]),
        "fitted_on": st.sampled_from(["other-people", "same-people"]),
        "beats_per_record": st.integers(5, 30),
    }
)


# -- what every split promises -----------------------------------------------------------------------------------------


def people_of(table: Table, rows: Array) -> set[int]:
    return set(table.subject[rows].tolist())


def assert_codes(table: Table, rows: Array, codes: Array, k: int) -> None:
    """Codes 0..k-1, one for one with people."""
    pairs = set(zip(table.subject[rows].tolist(), codes.tolist(), strict=True))
    assert len(pairs) == len({p for p, _ in pairs}) == len({c for _, c in pairs})
    assert {c for _, c in pairs} <= set(range(k))


def assert_grouped(table: Table, rows: Array) -> None:
    """Rows of a record stand together, in time order."""
    edges = np.flatnonzero(np.diff(table.record[rows])) + 1
    stretches = np.split(rows, edges)
    assert len({int(table.record[s[0]]) for s in stretches}) == len(stretches)
    assert all((np.diff(table.time[s]) > 0).all() for s in stretches)


def assert_block(table: Table, block: Block, drawn: Split, pool: str) -> None:
    together = np.concatenate([getattr(block, r) for r in ROLES])
    assert len(set(together.tolist())) == len(together)
    assert not set(block.pool.tolist()) & {*block.probe.tolist(), *block.calibration.tolist()}
    k = len(block.fold)
    for role in ROLES:
        rows = getattr(block, role)
        assert_codes(table, rows, getattr(block, f"{role}_subject"), k)
        assert_grouped(table, rows)
    assert people_of(table, block.gallery) == people_of(table, block.probe)
    assert len(people_of(table, block.gallery)) == k
    name = dict(zip(table.subject[block.gallery].tolist(), block.gallery_subject.tolist(), strict=True))
    for role in ("calibration", "probe"):
        rows, codes = getattr(block, role), getattr(block, f"{role}_subject")
        assert all(name[p] == c for p, c in zip(table.subject[rows].tolist(), codes.tolist(), strict=True))
    assert_codes(table, block.pool, block.pool_subject, len(block.pool_fold))
    assert_grouped(table, block.pool)
    if pool == "subject-disjoint":
        assert not people_of(table, block.pool) & people_of(table, together)
    else:
        assert set(block.pool.tolist()) == set(block.gallery.tolist())


@settings(max_examples=150)
@given(people=TABLES, asked=ASKED, seconds=st.floats(10, 120))
def test_a_split_keeps_its_promises_on_any_table(people: Any, asked: dict[str, Any], seconds: float) -> None:
    table = table_of(people, seconds)
    try:
        drawn = draw(table, **asked)
    except NotComputable:
        assume(False)
    groups = [people_of(table, block.gallery) for block in drawn.blocks]
    assert len(drawn.blocks) == (2 if asked["pool"] == "subject-disjoint" else 1)
    assert sum(map(len, groups)) == len(set().union(*groups)) == drawn.people
    for block in drawn.blocks:
        assert_block(table, block, drawn, asked["pool"])
        for rows in (block.gallery, block.calibration, block.probe):
            counts = np.unique(table.record[rows], return_counts=True)[1]
            assert (counts <= asked["beats_per_record"]).all()
        assert (np.bincount(block.gallery_subject) >= MIN_ENROL).all()
        if asked["fitted_on"] == "same-people":
            assert len(drawn.fits) == 1
            assert not block.fold.any()
            assert people_of(table, drawn.fits[0]) >= people_of(table, block.gallery)
            assert not set(drawn.fits[0].tolist()) & set(block.probe.tolist())
            continue
        assert len(drawn.fits) == 2
        for role in ("gallery", "pool"):
            fold = block.fold if role == "gallery" else block.pool_fold
            instance = fold[getattr(block, f"{role}_subject")]
            for i in (0, 1):
                released = getattr(block, role)[instance == i]
                assert not people_of(table, released) & people_of(table, drawn.fits[i])


@settings(max_examples=60)
@given(people=TABLES, seconds=st.floats(10, 120), share=st.integers(5, 30))
def test_within_a_record_a_guard_gap_lies_between_what_is_enrolled_and_what_is_probed(
    people: Any, seconds: float, share: int
) -> None:
    table = table_of(people, seconds)
    enrol, probe = within_record(table)
    assume(len(enrol) and len(probe))
    for record in np.unique(table.record[probe]):
        mine = enrol[table.record[enrol] == record]
        if len(mine):
            gap = table.time[probe[table.record[probe] == record]].min() - table.time[mine].max()
            assert gap >= MIN_GUARD_SECONDS - 1e-9


def test_the_parts_of_a_record_are_those_of_the_literature() -> None:
    for seconds, first, last in ((20.0, 9.0, 11.0), (1800.0, 720.0, 1080.0)):
        table = table_of([[[200]]] * 4, seconds)
        enrol, probe = within_record(table)
        assert table.time[enrol].max() < first <= table.time[enrol].max() + seconds / 200
        assert table.time[probe].min() - seconds / 200 <= last < table.time[probe].min()


def test_a_record_too_short_for_a_guard_gap_is_not_split() -> None:
    table = table_of([[[50]]] * 4, 19.0)
    assert [len(rows) for rows in within_record(table)] == [0, 0]


# -- which records ---------------------------------------------------------------------------------------------------


def records_of(protocol: str, people: list[list[list[int]]], person: int) -> tuple[list[int], list[int]]:
    table = table_of(people)
    return tuple(  # type: ignore[return-value]
        sorted(set(table.record[rows[table.subject[rows] == person]].tolist())) for rows in PROTOCOLS[protocol](table)
    )


def test_each_protocol_takes_the_records_it_names() -> None:
    # person 0: records 0 | 1 2 3 | 4 5 on three days; person 1: record 6 alone; person 2: records 7 8 on one day
    people = [[[5], [5, 5, 5], [5, 5]], [[5]], [[5, 5]]]
    assert [records_of("same-day", people, p) for p in (0, 1, 2)] == [([1], [2]), ([], []), ([7], [8])]
    assert [records_of("cross-day", people, p) for p in (0, 1, 2)] == [([0], [4]), ([], []), ([], [])]
    assert [records_of("all-but-last", people, p) for p in (0, 1, 2)] == [([0, 1, 2, 3, 4], [5]), ([], []), ([7], [8])]
    entries = [
        RecordEntry(f"{p}/{d}/{r}", str(p), str(d))
        for p, days in enumerate(people)
        for d, day in enumerate(days)
        for r in range(len(day))
    ]
    counts = {protocol: eligible(entries, protocol) for protocol in PROTOCOLS}
    assert counts == {"within-record": 3, "same-day": 2, "cross-day": 1, "all-but-last": 2}


@settings(max_examples=60)
@given(people=TABLES.filter(lambda people: all(n > 0 for p in people for s in p for n in s)))
def test_the_listing_tells_how_many_people_a_protocol_can_use(people: Any) -> None:
    table = table_of(people)
    entries = [
        RecordEntry(f"{p}/{d}/{r}", str(p), str(d))
        for p, days in enumerate(people)
        for d, day in enumerate(days)
        for r in range(len(day))
    ]
    for protocol in ("same-day", "cross-day", "all-but-last"):
        enrol, probe = PROTOCOLS[protocol](table)
        assert len(people_of(table, enrol) & people_of(table, probe)) == eligible(entries, protocol)


def test_people_with_one_day_leave_cross_day() -> None:
    two_days, one_day = [[10], [10]], [[10, 10]]
    table = table_of([two_days, one_day] * 5)
    drawn = draw(table, "cross-day")
    assert people_of(table, drawn.blocks[0].gallery) == {0, 2, 4, 6, 8}


# -- drawing ----------------------------------------------------------------------------------------------------------


def test_twenty_people_are_inside_forty_and_keep_their_fold() -> None:
    table = regular(45)

    def fold_by_person(people: int) -> dict[int, int]:
        (block,) = draw(table, people=people).blocks
        person = table.subject[block.gallery].tolist()
        return dict(zip(person, block.fold[block.gallery_subject].tolist(), strict=True))

    twenty, forty = fold_by_person(20), fold_by_person(40)
    assert len(twenty) == 20
    assert len(forty) == 40
    assert twenty.items() <= forty.items()
    assert sorted(np.bincount(list(twenty.values()))) == [10, 10]


def same(one: Split, two: Split) -> bool:
    arrays = [
        (getattr(a, n), getattr(b, n))
        for a, b in zip(one.blocks, two.blocks, strict=True)
        for n in Block.__dataclass_fields__
    ]
    return all(np.array_equal(a, b) for a, b in (*arrays, *zip(one.fits, two.fits, strict=True)))


def test_one_seed_gives_one_split_and_another_seed_another() -> None:
    table = regular(12)
    assert same(draw(table), draw(table))
    assert not same(draw(table), draw(table, ctx=Context(label=("made", "protocol", 1))))


@pytest.mark.parametrize("pool", ["closed-set", "subject-disjoint"])
@pytest.mark.parametrize("fitted_on", ["other-people", "same-people"])
def test_codes_and_the_order_of_records_say_nothing(pool: str, fitted_on: str) -> None:
    table = regular(80)
    drawn = draw(table, pool=pool, fitted_on=fitted_on)
    lookups = []
    for block in drawn.blocks:
        for role in ("gallery", "pool"):
            rows, codes = getattr(block, role), getattr(block, f"{role}_subject")
            by_person = [int(codes[table.subject[rows] == p][0]) for p in sorted(people_of(table, rows))]
            assert abs(np.corrcoef(by_person, np.arange(len(by_person)))[0, 1]) < 0.5
            lookups.append(tuple(by_person))
    assert len(set(lookups)) == len(lookups)
    orders = [rows for block in drawn.blocks for rows in (block.gallery, block.probe, block.pool)] + list(drawn.fits)
    for rows in orders:
        record = table.record[rows]
        people = table.subject[rows[np.sort(np.unique(record, return_index=True)[1])]]
        assert abs(np.corrcoef(people, np.arange(len(people)))[0, 1]) < 0.5
        if len(people) > len(set(people.tolist())):  # several records a person: they do not stand together
            assert np.count_nonzero(np.diff(people)) > len(set(people.tolist()))
    order = {role: table.subject[getattr(drawn.blocks[0], role)] for role in ("calibration", "probe")}
    first = [list(dict.fromkeys(people.tolist())) for people in order.values()]
    assert first[0] != first[1]


def test_more_people_than_can_be_used_or_fewer_than_four_are_not_computable() -> None:
    with pytest.raises(NotComputable, match="9 people asked, 8 have enough usable beats"):
        draw(regular(8), people=9)
    with pytest.raises(NotComputable, match="3 people can be used, at least 4"):
        draw(regular(3))
    few_beats = table_of([[[3, 20]]] * 2 + [[[20, 20]]] * 5)
    assert draw(few_beats, "all-but-last").people == 7
    too_few = table_of([[[2, 20]]] * 2 + [[[20, 20]]] * 5)
    assert draw(too_few, "all-but-last").people == 5
    with pytest.raises(NotComputable):
        draw(regular(8, sessions=1), "cross-day")


def test_the_calibration_beats_are_the_last_fifth_of_every_enrolment_record() -> None:
    table = regular(6, beats=20)
    (block,) = draw(table, "all-but-last", beats_per_record=20).blocks
    for record in np.unique(table.record[block.gallery]):
        kept = table.time[block.gallery[table.record[block.gallery] == record]]
        held = table.time[block.calibration[table.record[block.calibration] == record]]
        assert (len(kept), len(held)) == (16, 4)
        assert kept.max() < held.min()
    gallery, calibration = hold_out(table, np.arange(4))
    assert (gallery.tolist(), calibration.tolist()) == ([0, 1, 2, 3], [])


def test_thinning_is_even_and_keeps_both_ends() -> None:
    table = table_of([[[100, 3]]])
    assert thin(table, np.arange(103), 5).tolist() == [0, 25, 50, 74, 99, 100, 101, 102]
    assert thin(table, np.arange(0), 5).tolist() == []


@given(beats=st.integers(1, 200), most=st.integers(2, 50))
def test_thinning_takes_what_was_asked_at_steps_that_differ_by_one_at_most(beats: int, most: int) -> None:
    kept = thin(table_of([[[beats]]]), np.arange(beats), most)
    assert len(kept) == min(beats, most)
    steps = np.diff(kept)
    assert len(steps) == 0 or steps.max() - steps.min() <= 1


def test_evaluators_learn_from_one_half_of_the_people_and_meet_the_other() -> None:
    table = regular(9)
    train, test = halves(table, 5, CTX)
    assert people_of(table, train) | people_of(table, test) == set(range(9))
    assert not people_of(table, train) & people_of(table, test)
    assert len(people_of(table, train)) == 4
    assert (np.unique(table.record[train], return_counts=True)[1] == 5).all()
    with pytest.raises(NotComputable, match="at least 2 people"):
        halves(regular(1), 5, CTX)


def test_shuffling_moves_whole_records() -> None:
    table = regular(6)
    rows = thin(table, np.arange(len(table)), 4)
    moved = shuffle_records(table, rows, CTX, "role")
    assert sorted(moved.tolist()) == rows.tolist()
    assert moved.tolist() != rows.tolist()
    assert_grouped(table, moved)


# -- the check can fail ------------------------------------------------------------------------------------------------


def broken(drawn: Split, **changes: Any) -> Split:
    return replace(drawn, blocks=(replace(drawn.blocks[0], **changes), *drawn.blocks[1:]))


def test_the_check_refuses_every_kind_of_broken_split() -> None:
    table = regular(8)
    drawn = draw(table, pool="subject-disjoint")
    block = drawn.blocks[0]
    check(table, drawn, "subject-disjoint", "other-people")

    def refused(given: Split, why: str, pool: str = "subject-disjoint") -> None:
        with pytest.raises(AssertionError, match=why):
            check(table, given, pool, "other-people")

    for role in ("calibration", "probe"):
        rows = getattr(block, role).copy()
        rows[0] = block.gallery[0]
        refused(broken(drawn, **{role: rows}), "two of gallery, calibration and probe")
    twice = block.gallery.copy()
    twice[0] = twice[1]
    refused(broken(drawn, gallery=twice), "two of gallery, calibration and probe")
    for role in ("calibration", "probe"):
        pool = block.pool.copy()
        pool[0] = getattr(block, role)[0]
        refused(broken(drawn, pool=pool), "pool holds a beat", "closed-set")
    refused(broken(drawn, pool=block.gallery), "an enrolled person is in the pool")
    other = np.where(block.probe_subject == 0, 1, block.probe_subject)
    refused(broken(drawn, probe_subject=other), "enrolled and not probed")
    refused(broken(drawn, fold=1 - block.fold), "instance fitted on them")
    refused(replace(drawn, fits=drawn.fits[::-1]), "instance fitted on them")


def test_a_split_is_checked_before_it_is_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agile_bench.protocols.splits.hold_out", lambda table, enrol: (enrol, enrol))
    with pytest.raises(AssertionError, match="two of gallery, calibration and probe"):
        draw(regular(8))
