"""`subtract` undoes releases that are functions of the beat, leaves alone what it cannot explain, and says no more."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agile_bench.attackers.frontends.subtract import Subtract
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import TEMPLATE_FILE, plugin_file, run_here, small

from agile_bench.api import Anonymizer, Array, Beats, Context, Instance, NotComputable, Release
from agile_bench.contract import check_array, check_state, freeze, only, untouched_randomness
from agile_bench.testing import made_beats

Change = Callable[[Array], Array]
T = np.arange(200)
WAVE = 0.2 * np.sin(T / 9)
DONOR = np.exp(-(((T - 80) / 6.0) ** 2)) + 0.3 * np.exp(-(((T - 150) / 15.0) ** 2))


class Fixed(Anonymizer):
    """A change of the beats that `CHANGES` names; the state holds its number."""

    stochastic = False

    def release(self, state: dict[str, Array], beats: Beats, ctx: Context) -> Release:
        return Release(signal=CHANGES[int(state["number"])](beats.signal.astype(float)).astype(np.float32))


class Drawn(Fixed):
    """The same, and says that every key gives another one."""

    stochastic = True


class Told(Fixed):
    """The same, and reads what a probe does not show."""

    reads = frozenset({"subject"})


def smooth(signal: Array) -> Array:
    return np.apply_along_axis(np.convolve, 1, signal, [0.1, 0.2, 0.4, 0.2, 0.1], mode="same")


def mean_moved(signal: Array) -> Array:
    return signal + 0.8 * (DONOR - signal.mean(axis=0))


CHANGES: list[Change] = [
    lambda x: -x[:, ::-1],
    lambda x: 0.1 * x + 0.9 * DONOR,
    lambda x: 3 * x,
    lambda x: x + WAVE,
    mean_moved,
    np.tanh,
    smooth,
    lambda x: x + 0.3 * np.sign(np.sin(1e5 * x.cumsum(axis=1))),
    lambda x: np.tile(DONOR, (len(x), 1)),
    lambda x: x,
]
NAMES = ["scramble", "mix", "gain", "wave", "mean", "bent", "filter", "chaos", "constant", "nothing"]


def number(name: str) -> int:
    return NAMES.index(name)


def cohort(people: int = 8, beats: int = 6, seed: int = 0) -> Beats:
    """People whose beats differ, one record each."""
    rng = np.random.default_rng(seed)
    a, w, c = rng.uniform([0.6, 4, 50], [1.6, 8, 80], (people, 3)).T[:, :, None]
    signal = a * np.exp(-(((T - 80) / w) ** 2)) + 0.3 * a * np.exp(-(((T - 80 - c) / 15) ** 2))
    signal = np.repeat(signal, beats, axis=0) + 0.02 * smooth(rng.standard_normal((people * beats, 200)))
    signal = np.round(signal, 4)
    record = np.repeat(np.arange(people), beats).astype(np.int32)
    return Beats(**freeze({"signal": signal.astype(np.float32), "record": record}))


def released(beats: Beats, change: Change) -> Beats:
    """What the change makes of each record, on the grid on which beats are handed over."""
    signal = np.empty(beats.signal.shape)
    for code in np.unique(beats.record):
        signal[beats.record == code] = change(beats.signal[beats.record == code].astype(float))
    return beats.with_signal(freeze({"signal": np.round(signal, 4).astype(np.float32)})["signal"])


def knowing(beats: Beats, pool: Beats, *plugins: tuple[Anonymizer, str]) -> Context:
    held = tuple(Instance(p, freeze({"number": np.array(number(name))})) for p, name in plugins)
    return Context(label=("t",), oracle=lambda asked, draw: pool, recorded=lambda asked: beats, instances=held)


def through(name: str, *, plugin: Anonymizer | None = None, steps: int = 12) -> tuple[Beats, Beats, Array, Any]:
    """Beats, their release, and what is made of it."""
    beats = cohort()
    pool = released(beats, CHANGES[number(name)])
    ctx = knowing(beats, pool, (plugin or Fixed(), name))
    front_end = Subtract(steps=steps)
    state = freeze(check_state(front_end.fit(pool, ctx), "fit"))
    return beats, pool, front_end.apply(state, pool, ctx).signal, state


def rms(a: Array, b: Array) -> float:
    return float(np.sqrt(np.mean(np.square(a.astype(float) - b))))


# -- releases that are known functions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "error"),
    [("scramble", 1e-4), ("mix", 1e-3), ("gain", 1e-4), ("wave", 1e-4), ("mean", 1e-3), ("bent", 2e-3)],
)
def test_what_can_be_solved_is_undone(name: str, error: float) -> None:
    beats, pool, found, state = through(name)
    assert state["solves"]
    assert rms(pool.signal, beats.signal) > 0.05
    assert rms(found, beats.signal) < error


def test_a_filter_is_undone_as_far_as_anything_is_left() -> None:
    beats, pool, found, _ = through("filter")
    assert rms(found, beats.signal) < 0.5 * rms(pool.signal, beats.signal)


def test_more_steps_leave_no_more() -> None:
    errors = [rms(through("bent", steps=steps)[2], through("bent")[0].signal) for steps in (1, 3, 12)]
    assert errors[0] > errors[1] > errors[2]


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(0.2, 4), shift=st.floats(-0.5, 0.5), seed=st.integers(0, 1000))
def test_any_stretch_and_shift_is_undone(scale: float, shift: float, seed: int) -> None:
    beats = cohort(people=3, beats=2, seed=seed)
    CHANGES.append(lambda x: scale * x + shift * WAVE)
    NAMES.append("drawn")
    try:
        pool = released(beats, CHANGES[-1])
        ctx = knowing(beats, pool, (Fixed(), "drawn"))
        found = Subtract().apply(Subtract().fit(pool, ctx), pool, ctx).signal
    finally:
        CHANGES.pop(), NAMES.pop()
    assert rms(found, beats.signal) < 1e-3


@pytest.mark.parametrize("held", [("bent", "gain"), ("gain", "bent"), ("constant", "gain")])
def test_of_several_instances_the_one_that_explains_a_record_is_undone(held: tuple[str, str]) -> None:
    """No beat is bent to more than 1 mV, and three times a beat is."""
    beats = cohort()
    pool = released(beats, CHANGES[number("gain")])
    ctx = knowing(beats, pool, *((Fixed(), name) for name in held))
    found = Subtract().apply(Subtract().fit(pool, ctx), pool, ctx).signal
    assert rms(found, beats.signal) < 1e-4


# -- what is left alone ------------------------------------------------------------------------------------------------


def test_signs_that_change_with_the_least_noise_are_not_solved_and_do_no_harm() -> None:
    beats, pool, found, state = through("chaos")
    assert not state["solves"]
    assert rms(found, pool.signal) < 0.05
    assert rms(found, beats.signal) <= rms(pool.signal, beats.signal)


def test_where_nothing_is_changed_nothing_is_subtracted() -> None:
    beats, _, found, state = through("nothing")
    np.testing.assert_array_equal(state["wave"], 0)
    np.testing.assert_allclose(found, beats.signal, atol=1e-6)


def test_one_beat_for_all_stays_one_beat_for_all() -> None:
    _, _, found, _ = through("constant")
    assert np.ptp(found, axis=0).max() < 1e-6


@pytest.mark.parametrize("plugin", [Drawn(), Told()], ids=lambda p: type(p).__name__)
def test_what_cannot_be_computed_anew_loses_the_common_wave_alone(plugin: Anonymizer) -> None:
    beats, _, found, state = through("wave", plugin=plugin)
    assert not state["solves"]
    np.testing.assert_allclose(state["wave"], WAVE, atol=1e-4)
    assert rms(found, beats.signal) < 1e-3
    beats, pool, found, state = through("scramble", plugin=plugin)
    np.testing.assert_allclose(found, pool.signal - state["wave"], atol=1e-6)


# -- the common wave ---------------------------------------------------------------------------------------------------


def wave_of(beats: Beats, change: Change) -> Array:
    pool = beats.with_signal(change(beats.signal.astype(float)).astype(np.float32))
    wave: Array = Subtract().fit(pool, knowing(beats, pool, (Drawn(), "nothing")))["wave"]
    return wave


@settings(max_examples=20, deadline=None)
@given(size=st.floats(0.05, 1), noise=st.floats(0, 0.2), seed=st.integers(0, 1000))
def test_a_wave_in_noise_is_found(size: float, noise: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    beats = cohort(people=30)
    wave = wave_of(beats, lambda x: x + size * WAVE / 0.2 + noise * rng.standard_normal(x.shape))
    assert rms(wave, size * WAVE / 0.2) < 0.15 * size + noise / 8 + 1e-4


def test_noise_has_nothing_in_common() -> None:
    """Each weight is below the share that one of 180 beats has; the half of them is exactly 0."""
    sizes = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sizes.append(rms(wave_of(cohort(people=30), lambda x, r=rng: x + r.standard_normal(x.shape)), np.zeros(200)))
    assert max(sizes) < 0.03
    assert sizes.count(0.0) >= 3


def test_of_a_single_record_a_wave_cannot_be_told() -> None:
    beats = cohort(people=1)
    np.testing.assert_array_equal(wave_of(beats, lambda x: x + WAVE), 0)


# -- the contract ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["scramble", "chaos", "bent"])
def test_keeps_the_contract_of_subtract(name: str) -> None:
    beats = cohort()
    pool = released(beats, CHANGES[number(name)])
    ctx = knowing(beats, pool, (Fixed(), name))
    front_end = Subtract()
    with untouched_randomness():
        fits = [freeze(check_state(front_end.fit(only(pool, front_end.learns), ctx), "fit")) for _ in range(2)]
        assert {k: v.tobytes() for k, v in fits[0].items()} == {k: v.tobytes() for k, v in fits[1].items()}
        for place in (ctx, Context(label=("apply",))):
            passed = front_end.apply(fits[0], pool, place)
            check_array(passed.signal, (len(pool), 200), "the signal behind the front-end")
            assert passed.signal.dtype == np.float32
            assert passed.record is pool.record
            assert front_end.apply(fits[0], pool.take(np.arange(0)), place).signal.shape == (0, 200)
            one = front_end.apply(fits[0], pool.take(np.arange(1)), place)
            assert np.isfinite(one.signal).all()


@pytest.mark.parametrize("name", ["mix", "bent", "mean"])
def test_a_record_is_solved_alike_whatever_else_is_there(name: str) -> None:
    beats = cohort()
    pool = released(beats, CHANGES[number(name)])
    ctx = knowing(beats, pool, (Fixed(), name))
    state = Subtract().fit(pool, ctx)
    whole = Subtract().apply(state, pool, ctx).signal
    order = np.concatenate([np.flatnonzero(pool.record == r) for r in np.random.default_rng(1).permutation(8)])
    np.testing.assert_array_equal(Subtract().apply(state, pool.take(order), ctx).signal, whole[order])
    alone = Subtract().apply(state, pool.take(pool.record == 3), ctx).signal
    np.testing.assert_array_equal(alone, whole[pool.record == 3])


def test_without_an_anonymizer_there_is_nothing_to_subtract() -> None:
    with pytest.raises(NotComputable, match="no anonymizer at this level"):
        Subtract().fit(made_beats(), Context())


# -- from end to end ---------------------------------------------------------------------------------------------------

LOUD = '''
import numpy as np
from agile_bench.api import Anonymizer, Release

class Loud(Anonymizer):
    """What a beat has of one random wave, two hundred times as loud."""
    stochastic = False

    def fit(self, train, ctx, clinical=None):
        wave = ctx.rng("wave").standard_normal(200)
        return {"wave": (wave / np.linalg.norm(wave)).astype("f4")}

    def release(self, state, beats, ctx):
        loud = 200 * (beats.signal.astype("f8") @ state["wave"])[:, None] * state["wave"]
        return Release(signal=(beats.signal + loud).astype("f4"))
'''


def test_subtract_brings_back_whom_a_function_of_the_beat_hides(tmp_path: Any) -> None:
    suite = small(
        anonymizers=("loud",),
        attackers=("plain", "plain+subtract"),
        knowledge=("unprotected", "semi-informed", "informed"),
        datasets=(
            {
                "name": "synthetic",
                "protocols": ("same-day",),
                "settings": {"people": 16, "seconds": 12.0, "sessions": 1},
            },
        ),
    )
    run = run_here(suite, tmp_path, [plugin_file("loud", "Loud", LOUD), TEMPLATE_FILE])
    rows = [r for r in run.rows if (r["metric"], r["level"]) == ("rank-1", "beat")]
    found = {(r["knowledge"], r["front_end"]): r["value"] for r in rows if r["role"] == "method"}
    (clean,) = (r["value"] for r in rows if r["control"] == "positive" and not r["front_end"])
    assert clean > 0.5
    assert found["informed", ""] < clean - 0.15
    assert found["informed", "subtract"] > clean - 0.05
    # the attacker's own instance makes another wave loud
    assert found["semi-informed", "subtract"] < clean - 0.15
