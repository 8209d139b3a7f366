"""The differentiable rasteriser: the same pictures as the fast one, and their exact gradient."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import agile_bench.nn.raster
from agile_bench.nn.raster import rasterise
from agile_bench.signals.digitise import ROW_MV
from agile_bench.signals.raster import rasterise as fast

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def smooth_beats(n, seed=0, scale=1.0):
    """Beats like real ones in slope: noise of a few neighbouring samples, mV."""
    rng = np.random.default_rng(seed)
    kernel = np.hanning(13) / np.hanning(13).sum()
    noise = rng.standard_normal((n, 212))
    return np.stack([np.convolve(row, kernel, "valid") for row in noise]) * scale + 0.5


def losses(signal, weight):
    """Weighted ink of each beat."""
    return (rasterise(signal) * weight).sum(dim=(1, 2))


def gradient(signal, weight):
    signal = torch.as_tensor(signal).clone().requires_grad_()
    (found,) = torch.autograd.grad(losses(signal, weight).sum(), signal)
    return found


def at_rows(rows):
    return torch.as_tensor(3 - ROW_MV * np.asarray(rows, np.float64))[None]


@given(arrays(np.float32, (3, 200), elements=st.floats(-4, 5, width=32)))
def test_both_rasterisers_agree_everywhere(signal):
    assert np.abs(rasterise(torch.from_numpy(signal)).numpy() - fast(signal) / 255).max() < 0.52 / 255


def test_they_agree_in_every_block_and_ink_lies_between_0_and_1():
    signal = smooth_beats(50, scale=3).astype(np.float32)
    assert len(signal) > 2 * agile_bench.nn.raster._BLOCK
    picture = rasterise(torch.from_numpy(signal))
    assert picture.dtype == torch.float32
    assert picture.min() == 0
    assert picture.max() == 1
    assert np.abs(picture.numpy() - fast(signal) / 255).max() < 0.52 / 255


@pytest.mark.parametrize(("scale", "outside"), [(0.2, 0), (1.0, 0), (5.0, 25)])
def test_the_gradient_is_that_of_finite_differences(scale, outside):
    signal = torch.from_numpy(smooth_beats(1, scale=scale))
    assert ((signal > 3) | (signal < -2)).sum() >= outside
    weight = torch.from_numpy(np.random.default_rng(1).standard_normal((200, 200)))
    step = 1e-7 * torch.eye(200, dtype=torch.float64)
    slope = (losses(signal + step, weight) - losses(signal - step, weight)) / 2e-7
    found = gradient(signal, weight)[0]
    assert found.abs().max() > 10
    torch.testing.assert_close(found, slope, rtol=1e-5, atol=1e-4)


def test_torch_finds_the_jacobian_right_too():
    signal = torch.from_numpy(smooth_beats(2, seed=3)[:, :40]).requires_grad_()
    assert torch.autograd.gradcheck(rasterise, signal, eps=1e-7, atol=1e-4, fast_mode=True)


def test_the_gradient_of_a_monotone_slope_by_hand():
    # Samples at rows 10 j + 1/4: column 9 runs from 85.25 to 95.25, column 10 from there to 105.25. Row 98 lies more
    # than a row from 96.25 and 94.25, where their tents stand: column 9 is empty there, column 10 full. Row 97 is 3/4
    # from 96.25: the tent is 1/4, half of it each for samples 9 and 10, and 1 mV up is 1 / ROW_MV rows less.
    rows = 10 * np.arange(20) + 0.25
    weight = torch.zeros(200, 20, dtype=torch.float64)
    weight[98] = 1
    assert gradient(at_rows(rows), weight).abs().max() == 0
    weight[97] = 1
    expected = torch.zeros(1, 20, dtype=torch.float64)
    expected[0, 9:11] = -0.125 / ROW_MV
    torch.testing.assert_close(gradient(at_rows(rows), weight), expected)


def test_a_level_line_shares_its_ties_and_moves_as_one():
    # Weight r on row r makes the loss 2 y a column (a line of two rows): moving all by 1 mV moves it by -2 / ROW_MV.
    weight = torch.arange(200, dtype=torch.float64)[:, None].expand(200, 200)
    found = gradient(at_rows(np.full(200, 77.3)), weight)
    torch.testing.assert_close(found.sum(), torch.tensor(-2 * 200 / ROW_MV, dtype=torch.float64))
    torch.testing.assert_close(found[0, 1:-1], torch.full((198,), -2 / ROW_MV, dtype=torch.float64))


def test_samples_out_of_range_get_no_gradient():
    signal = torch.full((2, 200), 0.3)
    signal[0, 90:100], signal[1, 90:100] = 4.0, -3.0
    found = gradient(signal, torch.from_numpy(np.random.default_rng(0).standard_normal((200, 200))).float())
    assert (found[:, 90:100] == 0).all()
    assert (found[:, [89, 100]] != 0).all()


def test_a_step_along_the_gradient_raises_a_loss_of_the_picture():
    signal = torch.from_numpy(smooth_beats(4)).float()
    target = rasterise(signal.flip(1))
    moved = signal.clone().requires_grad_()
    loss = ((rasterise(moved) - target) ** 2).mean()
    (slope,) = torch.autograd.grad(loss, moved)
    raised = ((rasterise(signal + 0.002 * slope.sign()) - target) ** 2).mean()
    assert raised > loss


def test_half_precision_and_autocast_are_drawn_in_float32():
    signal = torch.from_numpy(smooth_beats(2)).half().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        picture = rasterise(signal)
    assert picture.dtype == torch.float32
    torch.testing.assert_close(picture, rasterise(signal.float()), rtol=0, atol=0)
    picture.mean().backward()
    assert signal.grad.dtype == torch.float16
    assert rasterise(signal.double()).dtype == torch.float64


def test_backward_keeps_no_picture():
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        rasterise(torch.zeros(5, 200, requires_grad=True))
    assert kept
    assert max(kept) == 5 * 200


def test_a_gap_stays_in_its_neighbourhood_and_backward_survives_it():
    signal = torch.full((1, 200), 0.5)
    signal[0, 50] = torch.nan
    signal.requires_grad_()
    picture = rasterise(signal)
    assert set(picture.isnan().any(dim=1).nonzero()[:, 1].tolist()) == {49, 50, 51}
    picture.sum().backward()
    assert signal.grad[0, 60:].isfinite().all()


def test_no_beat_gives_no_picture():
    assert rasterise(torch.zeros(0, 200)).shape == (0, 200, 200)


@needs_cuda
def test_cuda_draws_the_same_under_autocast():
    signal = torch.from_numpy(smooth_beats(300)).float()
    weight = torch.from_numpy(np.random.default_rng(0).standard_normal((200, 200))).float()
    with torch.autocast("cuda", dtype=torch.float16):
        picture = rasterise(signal.cuda())
    assert picture.dtype == torch.float32
    torch.testing.assert_close(picture.cpu(), rasterise(signal), rtol=0, atol=1e-4)
    torch.testing.assert_close(
        gradient(signal.cuda(), weight.cuda()).cpu(), gradient(signal, weight), rtol=1e-3, atol=0.1
    )
