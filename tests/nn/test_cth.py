"""The CTH network: shapes, what its losses look at, and the way from and to a state."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from agile_bench.api import Context
from agile_bench.contract import check_state
from agile_bench.nn.cth import CLASSES, Cth, joint_loss
from agile_bench.nn.seeding import seeded
from agile_bench.nn.state import pack, unpack
from agile_bench.nn.train import fit
from agile_bench.testing import made_beats

CTX = Context(label=("test",))


def network(people=6, **sizes):
    with seeded(CTX, "init"):
        return Cth(people, **sizes).eval()


def signals(people=6):
    beats = made_beats(people=people)
    return torch.tensor(beats.signal), torch.tensor(np.asarray(beats.subject)).long()


def test_features_and_heads_have_their_shapes():
    net, (signal, _) = network(), signals()
    features = net.encoder(signal)
    assert features.shape == (len(signal), 64)
    who, what = net.heads(features)
    assert who.shape == (len(signal), 6)
    assert what.shape == (len(signal), CLASSES)
    torch.testing.assert_close(net(signal), torch.cat([who, what], dim=1))


@pytest.mark.parametrize(("dim", "depth"), [(64, 1), (32, 2)])
def test_a_state_tells_the_sizes_and_gives_the_same_network_back(dim, depth):
    net = network(5, dim=dim, depth=depth)
    state = check_state(pack(net, "net."), "fit")
    again = unpack(lambda: Cth.like(state, "net."), state, prefix="net.")
    signal, _ = signals()
    torch.testing.assert_close(again(signal), net(signal), rtol=1e-5, atol=1e-5)


def test_the_gradient_of_both_heads_reaches_the_signal():
    net, (signal, _) = network(), signals()
    for logits in net.heads(net.encoder(signal.requires_grad_())):
        (gradient,) = torch.autograd.grad(logits.square().sum(), signal, retain_graph=True)
        assert torch.isfinite(gradient).all()
        assert (gradient.abs().amax(dim=1) > 0).all()


def test_where_a_wave_lies_matters():
    """The tokens carry their place, so that moving a wave changes the features by far more than rounding."""
    net = network()
    t = torch.arange(200.0)
    early, late = (torch.exp(-(((t - at) / 8) ** 2))[None] for at in (60, 130))
    assert (net.encoder(early) - net.encoder(late)).norm() > 1e-3


def test_joint_loss_is_the_sum_of_both_means_over_known_targets():
    logits = torch.randn(4, 3 + CLASSES, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[0, -1], [2, 1], [-1, 3], [-1, -1]])
    bio = functional.cross_entropy(logits[:2, :3], torch.tensor([0, 2]))
    med = functional.cross_entropy(logits[1:3, 3:], torch.tensor([1, 3]))
    torch.testing.assert_close(joint_loss(logits, targets), bio + med)


def test_a_batch_that_knows_nothing_of_a_head_gives_it_no_gradient_and_no_nan():
    logits = torch.zeros(2, 3 + CLASSES, requires_grad=True)
    loss = joint_loss(logits, torch.tensor([[0, -1], [1, -1]]))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss.item() == pytest.approx(np.log(3), rel=1e-6)
    assert not gradient[:, 3:].any()


def test_learns_people_who_differ_clearly():
    net, (signal, person) = network(), signals()
    targets = torch.stack([person, torch.full_like(person, -1)], dim=1).numpy()
    fit(net, joint_loss, (signal.numpy(),), targets, CTX, epochs=12, batch=32, lr=3e-3)
    with torch.no_grad():
        hit = (net(signal)[:, :-CLASSES].argmax(1) == person).float().mean()
    assert hit > 0.9
