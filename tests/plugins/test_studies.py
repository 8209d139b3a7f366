"""The plugins of `benchmarks/studies` are what the studies take them for, and every suite there can be planned."""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from agile_bench.anonymizers.gaussian import Gaussian
from agile_bench.attackers.cnn1d import Cnn1d
from agile_bench.attackers.frontends.lowpass import Lowpass
from hypothesis import given
from hypothesis import strategies as st
from small_runs import run_here, small

from agile_bench.api import Context, NotComputable
from agile_bench.contract import freeze, only
from agile_bench.engine.suite import load_suite
from agile_bench.registry import PluginFile, Registry, load_file
from agile_bench.testing import check_plugin, made_beats

STUDIES = Path(__file__).resolve().parents[2] / "benchmarks" / "studies"
SUITES = sorted(STUDIES.glob("*.toml"))


def plugin_of(name, attribute):
    return PluginFile.parse(f"{STUDIES / name}.py:{attribute}")


def class_of(name, attribute):
    return getattr(load_file(plugin_of(name, attribute)), attribute)


Fgsm, Network = class_of("fgsm", "Fgsm"), class_of("fgsm", "Network")
DonorMix, DonorSubspace = class_of("donor_mix", "DonorMix"), class_of("donor_subspace", "DonorSubspace")
MeanSwap, TurnedNoise = class_of("mean_swap", "MeanSwap"), class_of("turned_noise", "TurnedNoise")
SmoothedNoise, MeanBeat = class_of("smoothed_noise", "SmoothedNoise"), class_of("mean_beat", "MeanBeat")
BEATS = made_beats()
KEY = Context(label=("key",))


@pytest.fixture(scope="module")
def taught():
    return freeze(Fgsm(seed=0).fit(only(BEATS, Fgsm.learns), Context(label=("fit",))))


def in_sd(moved, beats=BEATS):
    """Largest move of each beat, in its standard deviations."""
    return np.abs(moved.astype(np.float64)).max(axis=1) / beats.signal.astype(np.float64).std(axis=1)


def records_in_order(beats, order):
    return beats.take(np.concatenate([np.flatnonzero(beats.record == code) for code in order]))


# -- the contract ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "plugin",
    [
        Fgsm(),
        Fgsm(away_from="random", steps=3, seed=0),
        Fgsm(gives="perturbation", away_from="constant"),
        Network(),
        DonorMix(),
        DonorSubspace(r=4),
        DonorSubspace(r=4, directions="random", gain=3.0),
        MeanSwap(),
        TurnedNoise(),
        SmoothedNoise(),
        MeanBeat(),
    ],
    ids=lambda p: type(p).__name__,
)
def test_keeps_the_contract(plugin):
    check_plugin(plugin)


# -- suites ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SUITES, ids=lambda p: p.stem)
def test_a_suite_names_plugins_and_settings_that_exist_and_says_how_it_is_run(path):
    told = "".join(line.lstrip("#") for line in path.read_text("utf-8").splitlines() if line.startswith("#"))
    assert re.search(rf"agile-bench run benchmarks/studies/{path.name} --data", told)
    files = [PluginFile.parse(f"{STUDIES / name}:{cls}") for name, cls in re.findall(r"studies/(\w+\.py):(\w+)", told)]
    registry, suite = Registry(files), load_suite(str(path))
    for ask in suite.anonymizers:
        registry.make("anonymizer", ask.name, ask.settings)
    for ask in suite.attackers:
        name, *front_ends = ask.name.split("+")
        registry.make("attacker", name, ask.settings)
        for front_end in front_ends:
            registry.make("front-end", front_end, {})


def test_every_study_plugin_is_in_a_suite():
    used = {ask["name"] if isinstance(ask, dict) else ask for s in SUITES for ask in _asks(s)}
    assert {p.stem.replace("_", "-") for p in STUDIES.glob("*.py")} <= used


def _asks(path):
    given = tomllib.loads(path.read_text("utf-8"))
    return [*given["anonymizers"], *given["attackers"]]


# -- fgsm --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 10])
@pytest.mark.parametrize("away_from", ["guess", "random", "constant"])
def test_no_sample_moves_by_more_than_the_budget(taught, steps, away_from):
    plugin = Fgsm(eps_sd=0.3, steps=steps, away_from=away_from)
    released = plugin.release(taught, BEATS, KEY).signal
    moved = in_sd(released.astype(np.float64) - BEATS.signal)
    assert moved.max() < 0.3 + 1e-4
    assert moved.min() > 0.3 - 1e-4  # and every beat has a sample that goes all the way


def test_the_perturbation_is_the_release_without_the_beat(taught):
    released = Fgsm().release(taught, BEATS, KEY).signal
    alone = Fgsm(gives="perturbation").release(taught, BEATS, KEY).signal
    np.testing.assert_allclose(alone, released - BEATS.signal, atol=1e-6)


def test_one_step_goes_by_the_sign_of_the_gradient(taught):
    """Against a finite difference of the loss along a random direction's samples."""
    beat = BEATS.take(np.arange(1))
    state = {k.removeprefix("net."): v for k, v in taught.items()}
    net = Cnn1d()._network(len(np.unique(BEATS.subject)))
    net.load_state_dict({k: torch.tensor(v) for k, v in state.items()})
    net.eval().double().requires_grad_(False)

    def loss(signal):
        signal = torch.tensor(signal)
        z = (signal - signal.mean()) / signal.std(correction=0)
        logits = net(z[None, None])
        return float(torch.nn.functional.cross_entropy(logits, torch.tensor([guess])))

    clean = beat.signal[0].astype(np.float64)
    z = torch.tensor((clean - clean.mean()) / clean.std())
    guess = int(net(z[None, None]).argmax())
    moved = Fgsm(gives="perturbation").release(taught, beat, KEY).signal[0]
    slope = np.array([loss(clean + 1e-6 * row) - loss(clean - 1e-6 * row) for row in np.eye(200)])
    clear = np.abs(slope) > 0.05 * np.abs(slope).max()
    assert clear.sum() > 30
    assert (np.sign(moved[clear]) == np.sign(slope[clear])).mean() > 0.98
    assert loss(clean + moved) > loss(clean)


def test_more_steps_go_farther_up_the_loss_within_the_same_budget(taught):
    """The network that is attacked finds fewer people in what many small steps made."""
    attacker = Network(seed=0)
    pool = only(BEATS, Network.learns)
    enrolled = attacker.enrol(taught, pool, KEY)

    def own(steps):
        probes = BEATS.with_signal(Fgsm(eps_sd=0.1, steps=steps).release(taught, BEATS, KEY).signal)
        return attacker.score(taught, enrolled, probes, KEY)[np.arange(len(BEATS)), BEATS.subject].mean()

    clean = attacker.score(taught, enrolled, BEATS, KEY)[np.arange(len(BEATS)), BEATS.subject].mean()
    assert own(10) < own(1) < clean


@given(st.permutations(range(12)), st.permutations(range(6)))
def test_beats_are_put_in_one_order_whatever_their_order_and_codes(order, names):
    in_order = load_file(plugin_of("fgsm", "Fgsm"))._in_order
    shown = records_in_order(BEATS, order)
    renamed = replace(shown, subject=np.asarray(names, np.int32)[shown.subject])
    one, other = in_order(only(BEATS, Fgsm.learns)), in_order(only(renamed, Fgsm.learns))
    for name in ("signal", "record", "subject"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_the_attacker_is_the_attacked_network_bit_for_bit_and_another_seed_is_not(taught):
    """Records in another order, people under other codes, another place of the run: as the engine hands them out."""
    shown = records_in_order(BEATS, np.random.default_rng(0).permutation(12))
    pool = replace(only(shown, Network.learns), subject=5 - shown.subject)
    same, other = (Network(seed=seed).fit(pool, Context(label=("attack",))) for seed in (0, 1))
    assert all(same[name].tobytes() == array.tobytes() for name, array in taught.items())
    assert any(other[name].tobytes() != array.tobytes() for name, array in taught.items())


def test_without_a_seed_every_instance_has_weights_of_its_own(taught):
    given = only(BEATS, Fgsm.learns)
    mine, theirs = (Fgsm().fit(given, Context(label=(who,))) for who in ("attacker", "defender"))
    assert any(mine[name].tobytes() != theirs[name].tobytes() for name in mine)
    assert mine.keys() == taught.keys()


def test_a_gradient_passes_through_the_release(taught):
    signal = torch.tensor(BEATS.signal[:3], requires_grad=True)
    Fgsm().forward(taught, signal, KEY).sum().backward()
    np.testing.assert_array_equal(signal.grad.numpy(), 1.0)


def test_a_flat_beat_stays_flat(taught):
    flat = BEATS.with_signal(np.zeros_like(BEATS.signal))
    np.testing.assert_array_equal(Fgsm(steps=2).release(taught, flat, KEY).signal, 0.0)


# -- donors ------------------------------------------------------------------------------------------------------------


@given(st.floats(0, 1))
def test_a_mix_is_so_much_of_one_donor(weight):
    plugin = DonorMix(weight=weight)
    state = plugin.fit(only(BEATS, frozenset()), KEY)
    mine = BEATS.take(BEATS.record == 3)
    released = plugin.release(state, mine, KEY).signal
    fits = [np.abs(released - (1 - weight) * mine.signal - weight * d).max() for d in state["donors"]]
    assert min(fits) < 1e-5


def test_donors_are_the_mean_beats_of_records_and_keys_draw_among_them_all():
    state = DonorMix().fit(BEATS, KEY)
    np.testing.assert_allclose(state["donors"][3], BEATS.signal[BEATS.record == 3].mean(axis=0), atol=1e-6)
    mine = BEATS.take(BEATS.record == 0)
    drawn = {DonorMix(weight=1).release(state, mine, Context(label=(k,))).signal.tobytes() for k in range(200)}
    assert len(drawn) == len(state["donors"]) == 12


def test_a_swap_takes_the_coordinates_of_one_donor_and_leaves_the_rest():
    plugin = DonorSubspace(r=4)
    state = plugin.fit(only(BEATS, DonorSubspace.learns), KEY)
    base = state["subspace"]
    np.testing.assert_allclose(base.T @ base, np.eye(4), atol=1e-9)
    mine = BEATS.take(BEATS.record == 3)
    released = plugin.release(state, mine, KEY).signal.astype(np.float64)
    inside = released @ base
    assert min(np.abs(inside - d).max() for d in state["coordinates"]) < 1e-5
    np.testing.assert_allclose(released - inside @ base.T, mine.signal - (mine.signal @ base) @ base.T, atol=1e-5)


def test_directions_hold_all_by_which_the_people_differ():
    plugin = DonorSubspace(r=5)
    state = plugin.fit(only(BEATS, DonorSubspace.learns), KEY)
    means = np.stack([BEATS.signal[BEATS.subject == s].mean(axis=0, dtype=np.float64) for s in range(6)])
    apart = means - means.mean(axis=0)
    np.testing.assert_allclose(apart @ state["subspace"] @ state["subspace"].T, apart, atol=1e-6)
    with pytest.raises(NotComputable, match="6 people span at most 5"):
        DonorSubspace(r=6).fit(only(BEATS, DonorSubspace.learns), KEY)


def test_random_directions_are_slow_orthonormal_and_each_instance_has_its_own():
    plugin = DonorSubspace(r=16, directions="random", gain=3.0)
    given = only(BEATS, DonorSubspace.learns)
    state, other = (plugin.fit(given, Context(label=(who,))) for who in "ab")
    base = state["subspace"]
    np.testing.assert_allclose(base.T @ base, np.eye(16), atol=1e-9)
    spectrum = np.abs(np.fft.rfft(base, axis=0))
    assert spectrum[40:].max() < 1e-9 < spectrum[1:40].min()  # 1.25 Hz apart, so that the 40th is 50 Hz
    assert np.linalg.svd(base.T @ other["subspace"], compute_uv=False).min() < 0.9
    mine = BEATS.take(BEATS.record == 3)
    inside = plugin.release(state, mine, KEY).signal @ base
    assert min(np.abs(inside - 3 * d).max() for d in state["coordinates"]) < 1e-4
    with pytest.raises(NotComputable, match="40 frequencies lie below 50"):
        DonorSubspace(r=41, directions="random").fit(given, KEY)


@given(st.floats(0, 1))
def test_a_swap_of_means_moves_all_beats_of_a_record_alike(weight):
    plugin = MeanSwap(weight=weight)
    state = plugin.fit(only(BEATS, frozenset()), KEY)
    mine = BEATS.take(BEATS.record == 3)
    moved = plugin.release(state, mine, KEY).signal - mine.signal
    assert np.ptp(moved, axis=0).max() < 1e-5
    own = mine.signal.mean(axis=0)
    assert min(np.abs(moved[0] - weight * (d - own)).max() for d in state["donors"]) < 1e-5


# -- noise and one wave ------------------------------------------------------------------------------------------------


def test_smoothed_noise_is_gaussian_behind_lowpass():
    mine = BEATS.take(BEATS.record == 3)
    noisy = mine.with_signal(Gaussian(snr_db=0).release({}, mine, KEY).signal)
    expected = Lowpass().apply({}, noisy, KEY).signal
    np.testing.assert_allclose(SmoothedNoise().release({}, mine, KEY).signal, expected, atol=1e-5)


def test_turned_noise_is_the_smoothed_beat_either_way_up_and_noise_of_the_size_asked_for():
    mine = BEATS.take(BEATS.record == 3)
    smooth = Lowpass(cutoff_hz=12).apply({}, mine, KEY).signal.astype(np.float64)
    quiet = TurnedNoise(snr_db=80).release({}, mine, KEY).signal
    sign = np.sign((quiet * smooth).sum(axis=1))
    assert set(sign) == {-1.0, 1.0}
    np.testing.assert_allclose(sign[:, None] * quiet, smooth, atol=1e-3)
    noise = TurnedNoise(snr_db=5).release({}, mine, KEY).signal - sign[:, None] * smooth
    power = (smooth - smooth.mean(axis=1, keepdims=True)).var()
    assert 10 * np.log10(power / noise.var()) == pytest.approx(5, abs=0.5)


def test_from_one_wave_a_network_learns_nothing_and_the_row_says_so(tmp_path):
    suite = small(
        anonymizers=("mean-beat", "passthrough"),
        attackers=({"name": "cnn1d", "epochs": 4},),
        knowledge=("unprotected", "informed"),
        fitted_on="same-people",
    )
    run = run_here(suite, tmp_path, [plugin_of("mean_beat", "MeanBeat")])
    told = {
        (row["anonymizer"], row["metric"]): row["value"]
        for row in run.rows
        if row["role"] in ("method", "anchor") and row["metric"] in ("train-accuracy", "train-chance")
    }
    chance = told["mean-beat", "train-chance"]
    assert chance == pytest.approx(1 / 6)
    assert told["mean-beat", "train-accuracy"] < 2 * chance < told["passthrough", "train-accuracy"]
