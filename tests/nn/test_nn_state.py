"""Modules as plain arrays, and what the small networks and the linear discriminants promise."""

import numpy as np
import pytest
import torch
from torch import nn

from agile_bench.api import Beats, Context, NotComputable
from agile_bench.contract import check_state, freeze
from agile_bench.nn.beats import DRAWS, other_draws, z_score
from agile_bench.nn.conv1d import ConvClassifier, ConvEncoder, shifted
from agile_bench.nn.lda import fit_lda, log_posterior
from agile_bench.nn.state import pack, unpack


def classifier():
    torch.manual_seed(0)
    return ConvClassifier(ConvEncoder(2, (3, 5, 7), size=6, extra=4, dropout=0.5), classes=5)


def test_a_module_comes_back_from_its_arrays_with_sizes_read_from_them():
    net = classifier()
    net(torch.randn(8, 2, 200), torch.randn(8, 4))
    state = freeze(check_state(pack(net, "net."), "pack"))
    assert state["net.encoder.norm.num_batches_tracked"].dtype.kind == "i"
    assert state["net.encoder.norm.num_batches_tracked"] == 1
    again = unpack(lambda: ConvClassifier.like(state, "net."), {**state, "other": np.zeros(3)}, prefix="net.")
    x, rr = torch.randn(4, 2, 200), torch.randn(4, 4)
    assert not again.training
    assert torch.equal(net.eval()(x, rr), again(x, rr))


def test_packed_arrays_are_copies():
    net = nn.Linear(2, 2)
    state = pack(net)
    kept = state["weight"].copy()
    with torch.no_grad():
        net.weight += 1
    np.testing.assert_array_equal(state["weight"], kept)


def test_bfloat16_is_packed_as_float32():
    assert pack(nn.Linear(2, 2).to(torch.bfloat16))["weight"].dtype == np.float32


def test_arrays_of_another_network_are_refused():
    with pytest.raises(ValueError, match="does not fit Linear"):
        unpack(lambda: nn.Linear(3, 2), pack(nn.Linear(2, 2)))
    with pytest.raises(ValueError, match="does not fit Linear"):
        unpack(lambda: nn.Linear(2, 2), {})


def test_shifting_moves_a_peak_by_no_more_than_asked():
    torch.manual_seed(0)
    signal = torch.zeros(200, 1, 200)
    signal[:, 0, 80] = 1
    moved = shifted(signal, 2).argmax(dim=2).ravel() - 80
    assert sorted(set(moved.tolist())) == [-2, -1, 0, 1, 2]


def test_z_score_by_hand_and_of_a_flat_beat():
    beats = np.array([[1.0, 3.0], [5.0, 5.0]], np.float32)
    np.testing.assert_array_equal(z_score(beats), [[-1, 1], [0, 0]])


def test_other_draws_put_releases_of_the_same_rows_behind_the_beats():
    beats = Beats(signal=np.zeros((3, 200), np.float32), record=np.arange(3), subject=np.array([2, 0, 1], np.int32))

    def oracle(given, draw):
        assert given is beats
        return beats.with_signal(beats.signal + draw)

    assert other_draws(beats, Context()) is beats
    more = other_draws(beats, Context(oracle=oracle))
    np.testing.assert_array_equal(more.signal[:, 0], np.repeat(np.arange(DRAWS), 3))
    np.testing.assert_array_equal(more.subject, np.tile([2, 0, 1], DRAWS))


def test_discriminants_of_two_known_gaussians():
    # Means (-1, 0) and (1, 0), unit covariance: the log-odds at (x, y) are 2 x.
    rng = np.random.default_rng(0)
    subject = np.repeat([0, 1], 20_000)
    x = rng.standard_normal((40_000, 2)) + np.array([[-1, 0], [1, 0]])[subject]
    posterior = log_posterior(fit_lda(x, subject), np.array([[0.0, 3.0], [0.5, -1.0]]))
    np.testing.assert_allclose(posterior[:, 1] - posterior[:, 0], [0, 1], atol=0.15)
    np.testing.assert_allclose(np.exp(posterior).sum(axis=1), 1, atol=1e-5)


def test_people_whose_beats_never_vary_are_told_apart():
    x = np.repeat(np.eye(3), 4, axis=0)
    posterior = log_posterior(fit_lda(x, np.repeat(np.arange(3), 4)), np.eye(3))
    np.testing.assert_array_equal(posterior.argmax(axis=1), [0, 1, 2])
    assert np.isfinite(posterior).all()


def test_beats_that_are_all_alike_give_equal_scores():
    x = np.full((6, 3), 0.1) + 1e-9 * np.random.default_rng(0).standard_normal((6, 3))
    posterior = log_posterior(fit_lda(x, np.array([0, 0, 0, 1, 1, 1])), np.random.default_rng(1).normal(size=(4, 3)))
    assert len(np.unique(posterior)) == 1


def test_one_person_cannot_be_discriminated():
    with pytest.raises(NotComputable, match="at least 2"):
        fit_lda(np.zeros((3, 2)), np.zeros(3, int))
