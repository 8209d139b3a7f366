"""Diagnosis and waveform."""

from dataclasses import replace

import numpy as np
import pytest

from agile_bench.api import AAMI, BEAT_RATE, R_COLUMN, Beats, Context, NotComputable
from agile_bench.contract import check_state, freeze
from agile_bench.evaluators.diagnosis import Diagnosis
from agile_bench.evaluators.waveform import Waveform
from agile_bench.testing import check_plugin, made_beats

CTX = Context(label=("test",))
SMALL = Diagnosis(epochs=10, networks=1)
PICTURE = Diagnosis(input="picture", epochs=5)


def one_beat(column, height=1.0):
    t = np.arange(200)
    return (height * np.exp(-(((t - column) / 3.0) ** 2))).astype(np.float32)[None]


def beats_of(signal):
    return Beats(signal=signal, record=np.zeros(len(signal), np.int32))


def premature(people=6, seed=0):
    """Beats whose class shows in nothing but the RR interval: every fifth comes early and is of class S."""
    made = made_beats(people=people, beats=20, seed=seed)
    early = np.arange(len(made)) % 5 == 4
    rng = np.random.default_rng(seed)
    rr = np.where(early, 0.5, 0.8) + rng.normal(0, 0.02, len(made))
    return replace(made, label=early.astype(np.int8), rr_before=rr, rr_after=1.6 - rr)


@pytest.mark.parametrize("plugin", [SMALL, Diagnosis(epochs=2), PICTURE, Waveform()])
def test_keep_the_contract(plugin):
    check_plugin(plugin)


def test_wide_and_early_beats_are_diagnosed_in_other_people():
    beats = made_beats(people=8, beats=30)
    train, test = beats.take(np.asarray(beats.subject) < 4), beats.take(np.asarray(beats.subject) >= 4)
    state = freeze(check_state(SMALL.fit(train, CTX), "fit"))
    logits = SMALL.evaluate(state, test, test, CTX)["diagnosis"]
    wide = test.label == AAMI.index("V")
    assert np.mean((logits.argmax(axis=1) == AAMI.index("V")) == wide) > 0.9


def test_wide_beats_are_diagnosed_in_other_people_from_their_pictures():
    beats = made_beats(people=8, beats=30)
    train, test = beats.take(np.asarray(beats.subject) < 4), beats.take(np.asarray(beats.subject) >= 4)
    state = freeze(check_state(Diagnosis(input="picture", epochs=20).fit(train, CTX), "fit"))
    logits = PICTURE.evaluate(state, test, test, CTX)["diagnosis"]
    wide = test.label == AAMI.index("V")
    assert np.mean((logits.argmax(axis=1) == AAMI.index("V")) == wide) > 0.9


def test_on_pictures_rr_intervals_are_read_from_the_release_too():
    train, test = premature(seed=0), premature(seed=1)
    state = Diagnosis(input="picture", epochs=20).fit(train, CTX)
    found = PICTURE.evaluate(state, test, test, CTX)["diagnosis"].argmax(axis=1)
    assert np.mean(found == test.label) > 0.95
    steady = replace(test, rr_before=np.full(len(test), 0.8), rr_after=np.full(len(test), 0.8))
    assert (PICTURE.evaluate(state, test, steady, CTX)["diagnosis"].argmax(axis=1) == 0).mean() > 0.9


def test_pictures_are_read_by_fewer_networks_and_epochs_unless_told_otherwise():
    beats = made_beats(people=2, beats=4)
    told = []
    given = {"label": ("test",), "report": lambda done, total: told.append(total)}
    Diagnosis().fit(beats, Context(**given))
    assert told[-1] == 60
    Diagnosis(input="picture").fit(beats, Context(**given))
    assert told[-1] == 10


def test_on_pictures_equal_seeds_give_equal_bytes():
    beats = made_beats(people=2, beats=4)
    first, second = (PICTURE.fit(beats, CTX) for _ in range(2))
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_rr_intervals_are_read_from_the_release():
    train, test = premature(seed=0), premature(seed=1)
    state = Diagnosis(epochs=20, networks=1).fit(train, CTX)
    found = SMALL.evaluate(state, test, test, CTX)["diagnosis"].argmax(axis=1)
    assert np.mean(found == test.label) > 0.95
    steady = replace(test, rr_before=np.full(len(test), 0.8), rr_after=np.full(len(test), 0.8))
    assert (SMALL.evaluate(state, test, steady, CTX)["diagnosis"].argmax(axis=1) == 0).mean() > 0.9


def test_unknown_and_q_beats_are_not_learnt_and_never_answered():
    beats = made_beats()
    label = beats.label.copy()
    label[::4] = -1
    label[1::4] = AAMI.index("Q")
    state = SMALL.fit(replace(beats, label=label), CTX)
    assert (SMALL.evaluate(state, beats, beats, CTX)["diagnosis"].argmax(axis=1) != AAMI.index("Q")).all()


def test_missing_rr_intervals_count_as_the_usual_ones():
    beats = made_beats()
    state = SMALL.fit(beats, CTX)
    gone = np.full(len(beats), np.nan, np.float32)
    logits = SMALL.evaluate(state, beats, replace(beats, rr_before=gone, rr_after=gone), CTX)["diagnosis"]
    assert np.isfinite(logits).all()


def test_what_a_record_is_told_does_not_depend_on_the_other_records():
    beats = made_beats()
    state = SMALL.fit(beats, CTX)
    first = beats.take(beats.record == 0)
    alone = SMALL.evaluate(state, first, first, CTX)["diagnosis"]
    np.testing.assert_array_equal(alone, SMALL.evaluate(state, beats, beats, CTX)["diagnosis"][: len(first)])


def test_a_larger_prior_gives_more_such_answers():
    beats = made_beats()
    given = [
        SMALL.model_copy(update={"prior": (1 - v - 0.02, 0.01, v, 0.01)}).fit(beats, CTX)["0.head.bias"][2]
        for v in (0.1, 0.4)
    ]
    assert given[1] - given[0] == pytest.approx(np.log(4), rel=1e-4)


def test_one_class_alone_is_not_computable():
    beats = made_beats()
    with pytest.raises(NotComputable, match="fewer than 2"):
        SMALL.fit(replace(beats, label=np.zeros_like(beats.label)), CTX)


def test_waveform_hands_on_the_release_and_finds_no_displacement_in_itself():
    beats = made_beats()
    found = Waveform().evaluate({}, beats, beats, CTX)
    np.testing.assert_array_equal(found["waveform"], beats.signal)
    assert (found["r-displacement-ms"] == 0).all()


@pytest.mark.parametrize("height", [1.0, -0.7])
@pytest.mark.parametrize("moved", [-30, -5, 0, 12, 37])
def test_an_r_peak_that_moved_is_measured_in_milliseconds(moved, height):
    original, released = beats_of(one_beat(R_COLUMN, height)), beats_of(one_beat(R_COLUMN + moved, height))
    found = Waveform().evaluate({}, original, released, CTX)["r-displacement-ms"]
    np.testing.assert_array_equal(found, [abs(moved) * 1000 / BEAT_RATE])


def test_a_flat_release_has_no_r_peak():
    flat = beats_of(np.full((1, 200), 0.3, np.float32))
    assert np.isnan(Waveform().evaluate({}, beats_of(one_beat(80)), flat, CTX)["r-displacement-ms"]).all()
