"""Through the picture and back: little is lost, what the picture cannot hold is."""

import numpy as np
import pytest
from agile_bench.attackers.frontends.redigitise import BLOCK, Redigitise
from pydantic import ValidationError

from agile_bench.api import Beats, Context
from agile_bench.signals.digitise import ROW_MV, digitise
from agile_bench.signals.raster import rasterise
from agile_bench.testing import check_plugin, made_beats


def through(signal, **settings):
    beats = Beats(signal=np.asarray(signal, np.float32), record=np.zeros(len(signal), np.int32))
    return Redigitise(**settings).apply({}, beats, Context()).signal


@pytest.mark.parametrize("threshold", [1, 100, 223])
def test_the_contract_holds(threshold):
    check_plugin(Redigitise(threshold=threshold))


def test_every_beat_is_drawn_and_read_also_across_blocks():
    beats = made_beats(people=8, records=3, beats=12)
    assert BLOCK < len(beats) < 2 * BLOCK
    passed = Redigitise().apply({}, beats, Context())
    np.testing.assert_array_equal(passed.signal, digitise(rasterise(beats.signal)))
    np.testing.assert_array_equal(passed.record, beats.record)
    assert 0 < np.sqrt(np.mean((passed.signal - beats.signal) ** 2)) < 1.5 * ROW_MV


def test_a_level_line_moves_by_less_than_a_third_of_a_row():
    level = np.linspace(-1.9, 2.9, 997)
    lines = np.repeat(level[:, None], 200, axis=1)
    assert np.abs(through(lines) - lines).max() < ROW_MV / 3
    assert np.abs(through(lines, threshold=1) - lines).max() < ROW_MV / 100


def test_what_the_picture_cannot_hold_ends_at_its_border():
    read = through(np.repeat([[5.0], [-4.0]], 200, axis=1))
    # Ink 1 on the border row and 1/2 on the next: a third of a row inwards.
    np.testing.assert_allclose(read[0], 3.0 - ROW_MV / 3, atol=ROW_MV / 100)
    np.testing.assert_allclose(read[1], -2.0 + ROW_MV / 3, atol=ROW_MV / 100)


def test_no_beats_give_no_beats():
    assert through(np.zeros((0, 200))).shape == (0, 200)


@pytest.mark.parametrize("threshold", [0, 224, 1.5])
def test_thresholds_that_wipe_off_the_line_or_nothing_are_refused(threshold):
    with pytest.raises(ValidationError, match="threshold"):
        Redigitise(threshold=threshold)
