"""The one training loop: repeatable, unaware of the rest of the process, and loud when it diverges."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from agile_bench.api import Context
from agile_bench.nn.seeding import seeded
from agile_bench.nn.train import fit, predict

CTX = Context(label=("test",))


def two_clusters(n=60):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    x = (rng.standard_normal((n, 4)) * 0.3 + np.where(y, 1, -1)[:, None]).astype(np.float32)
    x.flags.writeable = False
    return x, y


def network(ctx=CTX):
    with seeded(ctx, "init"):
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))


def train(ctx=CTX, *, batch=16, epochs=8, **more):
    x, y = two_clusters()
    net = network(ctx)
    history = fit(net, nn.CrossEntropyLoss(), (x,), y, ctx, epochs=epochs, batch=batch, lr=0.02, **more)
    return net, history


def weights(net):
    return np.concatenate([p.detach().numpy().ravel() for p in net.parameters()])


def test_learns_two_clusters_and_says_so():
    net, history = train()
    x, y = two_clusters()
    assert history.accuracy > 0.95
    assert history.loss[-1] < history.loss[0]
    assert (predict(net, (x,), CTX).argmax(1) == y).mean() == 1.0


def test_labels_without_meaning_leave_the_training_accuracy_near_chance():
    x = np.zeros((60, 4), np.float32)
    history = fit(network(), nn.CrossEntropyLoss(), (x,), np.arange(60) % 2, CTX, epochs=3, batch=16, lr=0.01)
    assert 0.2 < history.accuracy < 0.8


def test_one_label_gives_one_network_whatever_ran_before_and_leaves_global_randomness_alone():
    first, _ = train()
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    second, _ = train()
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(weights(first), weights(second))
    other, _ = train(Context(label=("another",)))
    assert not np.array_equal(weights(first), weights(other))


def test_seeded_blocks_depend_on_their_label():
    with seeded(CTX, "a"):
        first = torch.randn(3)
    with seeded(CTX, "a"):
        again = torch.randn(3)
    with seeded(CTX, "b"):
        other = torch.randn(3)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_loss_that_is_nan_names_epoch_and_learning_rate():
    with pytest.raises(FloatingPointError, match=r"epoch 1 of 8 at learning rate 0\.02"):
        train(augment=lambda inputs: [inputs[0] * float("nan")])


def test_no_example_is_refused():
    with pytest.raises(ValueError, match="no example"):
        fit(network(), nn.CrossEntropyLoss(), (np.zeros((0, 4), np.float32),), np.zeros(0, np.int64), CTX,
            epochs=1, batch=4, lr=0.1)  # fmt: skip


def test_fresh_inputs_are_asked_for_once_an_epoch_and_used():
    x, _ = two_clusters()
    asked = []

    def fresh(epoch):
        asked.append(epoch)
        return (np.full_like(x, np.nan) if epoch == 2 else x,)

    with pytest.raises(FloatingPointError, match="epoch 3 of 8"):
        train(fresh=fresh)
    assert asked == [0, 1, 2]


def test_progress_counts_epochs():
    told = []
    train(Context(label=("test",), report=lambda done, total: told.append((done, total))), epochs=3)
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_no_step_is_left_with_a_single_example():
    # Batch normalisation refuses one example; 33 examples in steps of 32 are 17 and 16.
    x = np.random.default_rng(0).standard_normal((33, 4)).astype(np.float32)
    with seeded(CTX, "init"):
        net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    history = fit(net, nn.CrossEntropyLoss(), (x,), np.arange(33) % 2, CTX, epochs=2, batch=32, lr=0.01)
    assert np.isfinite(history.loss).all()


def test_regression_has_no_accuracy():
    x, y = two_clusters()
    net = network()
    history = fit(net, nn.MSELoss(), (x,), np.eye(2, dtype=np.float32)[y], CTX, epochs=2, batch=16, lr=0.01)
    assert np.isnan(history.accuracy)


@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 40))
def test_a_rows_output_does_not_depend_on_how_many_others_there_are(count):
    x = np.random.default_rng(1).standard_normal((40, 4)).astype(np.float32)
    net = network()
    np.testing.assert_array_equal(predict(net, (x[:count],), CTX, block=16), predict(net, (x,), CTX, block=16)[:count])


def test_predicting_switches_dropout_off():
    x, _ = two_clusters()
    net = network().train()
    np.testing.assert_array_equal(predict(net, (x,), CTX), predict(net.train(), (x,), CTX))
