"""The anchor of chance."""

import numpy as np
from agile_bench.attackers.random_guess import RandomGuess

from agile_bench.api import Context
from agile_bench.testing import check_plugin, made_beats


def test_keeps_the_contract():
    check_plugin(RandomGuess())


def test_scores_do_not_depend_on_the_beats_but_on_the_place():
    beats = made_beats(people=4)
    ctx = Context(label=("here",))
    guess = RandomGuess()
    enrolled = guess.enrol({}, beats, ctx)
    first = guess.score({}, enrolled, beats, ctx)
    assert first.shape == (len(beats), 4)
    np.testing.assert_array_equal(first, guess.score({}, enrolled, beats.with_signal(-beats.signal), ctx))
    assert not np.array_equal(first, guess.score({}, enrolled, beats, Context(label=("there",))))


def test_people_are_recognised_at_chance():
    beats = made_beats(people=5, records=2, beats=400)
    guess, ctx = RandomGuess(), Context()
    scores = guess.score({}, guess.enrol({}, beats, ctx), beats, ctx)
    assert abs(np.mean(scores.argmax(axis=1) == beats.subject) - 0.2) < 4 * np.sqrt(0.2 * 0.8 / len(beats))
