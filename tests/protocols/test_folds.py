"""Subject-disjoint folds: who is in them, how even they are, and that they promise nothing they do not keep."""

import numpy as np
import pytest
from beat_tables import CTX, TABLES, people_of, regular, table_of
from hypothesis import given, settings
from hypothesis import strategies as st

from agile_bench.api import Context, NotComputable
from agile_bench.protocols import folds as module
from agile_bench.protocols.folds import FOLDS, assign, folds


@settings(deadline=None)
@given(people=TABLES, most=st.integers(1, 30), seed=st.integers(0, 5), data=st.data())
def test_everybody_is_probed_once_and_learnt_from_in_all_other_folds(people, most, seed, data):
    table = table_of(people)
    sex = np.array(data.draw(st.lists(st.sampled_from([-1, 0, 1]), min_size=len(people), max_size=len(people))))
    everybody = people_of(table, np.arange(len(table)))
    ctx = Context(label=("made", seed))
    if len(everybody) < FOLDS:
        with pytest.raises(NotComputable, match=f"{len(everybody)} people can be used"):
            folds(table, sex[table.subject], most, ctx)
        return
    drawn = folds(table, sex[table.subject], most, ctx)
    probed = [people_of(table, fold.probe) for fold in drawn]
    assert sorted(p for mine in probed for p in mine) == sorted(everybody)
    for fold, mine in zip(drawn, probed, strict=True):
        assert people_of(table, fold.pool) == everybody - mine
        assert np.unique(table.record[fold.probe], return_counts=True)[1].max() <= most
        for rows, codes in ((fold.pool, fold.pool_subject), (fold.probe, fold.probe_subject)):
            pairs = {(int(c), int(p)) for c, p in zip(codes, table.subject[rows], strict=True)}
            assert sorted(c for c, _ in pairs) == list(range(len(people_of(table, rows))))
            assert len({p for _, p in pairs}) == len(pairs)
            changes = np.flatnonzero(np.diff(table.record[rows]))
            assert len(changes) + 1 == len(np.unique(table.record[rows]))  # records are consecutive
    for code in (-1, 0, 1):
        counts = [sum(sex[p] == code for p in mine) for mine in probed]
        assert max(counts) - min(counts) <= 1


def test_equal_seeds_give_equal_folds_and_others_do_not():
    table = regular(20)
    sex = np.arange(20)[table.subject] % 2
    one, again, other = (folds(table, sex, 10, c) for c in (CTX, CTX, Context(label=("other",))))
    assert all(np.array_equal(a.probe, b.probe) for a, b in zip(one, again, strict=True))
    assert any(people_of(table, a.probe) != people_of(table, b.probe) for a, b in zip(one, other, strict=True))


def test_seven_men_and_five_women_are_dealt_out_in_turn():
    fold = assign(np.array([0] * 7 + [1] * 5), CTX)
    assert sorted(np.bincount(fold[:7], minlength=FOLDS)) == [1, 1, 1, 2, 2]
    assert np.bincount(fold[7:], minlength=FOLDS).tolist() == [1] * 5
    assert sorted(np.bincount(fold, minlength=FOLDS)) == [2, 2, 2, 3, 3]


def test_a_broken_promise_is_told(monkeypatch):
    table = regular(10)
    sex = np.arange(10)[table.subject] % 2
    monkeypatch.setattr(module, "assign", lambda of_people, ctx: np.arange(len(of_people)) // 2)
    folds(table, sex, 10, CTX)  # pairs of a man and a woman
    monkeypatch.setattr(
        module,
        "assign",
        lambda of_people, ctx: np.repeat(np.arange(5), 2)[np.argsort(np.argsort(of_people, kind="stable"))],
    )
    with pytest.raises(AssertionError, match="the sexes are spread evenly"):
        folds(table, sex, 10, CTX)
