"""Front-ends that use what the anonymizer is undo the releases that they are made for, and say where they cannot."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from agile_bench.attackers.frontends.project_out import ProjectOut
from agile_bench.attackers.frontends.try_donors import TryDonors
from agile_bench.attackers.frontends.unet import Unet
from hypothesis import given
from hypothesis import strategies as st
from small_runs import plugin_file, run_here, small

from agile_bench.api import Anonymizer, Beats, Context, Instance, NotComputable, seed_of
from agile_bench.contract import check_array, check_state, freeze, only, untouched_randomness
from agile_bench.nn.beats import DRAWS
from agile_bench.nn.state import pack, unpack
from agile_bench.nn.unet import UNet1d
from agile_bench.testing import made_beats

TAUGHT = Unet(epochs=2, width=4)
EVERY = (ProjectOut(), TryDonors(), TAUGHT)


class Exposing(Anonymizer):
    """Says what its state holds."""

    exposes = {"donors": ("donors",), "subspace": ("key",)}  # noqa: RUF012


class Silent(Anonymizer):
    """Holds the same and says nothing."""

    stochastic = False


def donors_of(n=30, seed=5):
    """Beats of people who are in no cohort."""
    rng = np.random.default_rng(seed)
    t = np.arange(200) - 80
    waves = [
        a * np.exp(-((t / w) ** 2)) + b * np.exp(-(((t - c) / 15) ** 2)) + e * np.exp(-(((t + 40) / 8) ** 2))
        for a, w, b, c, e in rng.uniform([0.6, 3, 0.1, 50, 0], [1.6, 6, 0.5, 80, 0.2], (n, 5))
    ]
    return np.asarray(waves)


def cohort(people=30, beats=8, seed=0):
    """People whose records differ from their mean by little, one record each."""
    rng = np.random.default_rng(seed)
    signal = np.repeat(donors_of(people, seed=6), beats, axis=0) + 0.02 * rng.standard_normal((people * beats, 200))
    record = np.repeat(np.arange(people), beats).astype(np.int32)
    return Beats(**freeze({"signal": signal.astype(np.float32), "record": record}))


def knowing(beats, release, *states, plugin=None):
    """What an informed attacker is given; `release` is of (signal, record, generator)."""

    def oracle(asked, draw):
        assert asked.signal is pool.signal
        return mixed(beats, release, draw)

    def recorded(asked):
        assert asked.signal is pool.signal
        return beats

    pool = mixed(beats, release, "pool")
    instances = tuple(Instance(plugin or Exposing(), freeze(dict(state))) for state in states)
    return pool, Context(label=("test",), oracle=oracle, recorded=recorded, instances=instances)


def mixed(beats, release, draw):
    rng = np.random.default_rng(seed_of("test", draw))
    signal = release(beats.signal.astype(np.float64), beats.record, rng)
    return beats.with_signal(freeze({"signal": signal.astype(np.float32)})["signal"])


def mix(donors, weight):
    def release(signal, record, rng):
        drawn = donors[rng.integers(len(donors), size=record.max() + 1)]
        return (1 - weight) * signal + weight * drawn[record]

    return release


def unchanged(signal, record, rng):
    return signal


def rms(a, b):
    return float(np.sqrt(np.mean((a - b) ** 2)))


# -- the contract ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("front_end", EVERY, ids=lambda f: type(f).__name__)
def test_keeps_the_contract(front_end):
    beats = cohort()
    donors = donors_of()
    pool, ctx = knowing(beats, mix(donors, 0.8), {"donors": donors, "key": np.linalg.qr(donors[:4].T)[0]})
    with untouched_randomness():
        fits = [freeze(check_state(front_end.fit(only(pool, front_end.learns), ctx), "fit")) for _ in range(2)]
        assert {k: v.tobytes() for k, v in fits[0].items()} == {k: v.tobytes() for k, v in fits[1].items()}
        bare = Context(label=("apply",))  # the engine hands no anonymizer when a front-end is applied to new draws
        passed = front_end.apply(fits[0], pool, bare)
        check_array(passed.signal, (len(pool), 200), "the signal behind the front-end")
        assert passed.record is pool.record
        one = front_end.apply(fits[0], pool.take(np.arange(1)), bare)
        assert np.isfinite(one.signal).all()
        assert front_end.apply(fits[0], pool.take(np.arange(0)), bare).signal.shape == (0, 200)


@pytest.mark.parametrize("front_end", EVERY, ids=lambda f: type(f).__name__)
def test_without_an_anonymizer_there_is_nothing_to_compute(front_end):
    with pytest.raises(NotComputable, match="no anonymizer at this level"):
        front_end.fit(made_beats(), Context())


@pytest.mark.parametrize("front_end", [ProjectOut(), TryDonors()], ids=lambda f: type(f).__name__)
def test_an_anonymizer_that_exposes_nothing_is_named_as_the_reason(front_end):
    pool, ctx = knowing(cohort(), unchanged, {"donors": donors_of()}, plugin=Silent())
    with pytest.raises(NotComputable, match="exposes no"):
        front_end.fit(pool, ctx)


@pytest.mark.parametrize("front_end", EVERY, ids=lambda f: type(f).__name__)
def test_the_order_of_records_does_not_matter(front_end):
    beats = cohort()
    donors = donors_of()
    pool, ctx = knowing(beats, mix(donors, 0.8), {"donors": donors, "key": donors[:4]})
    state = front_end.fit(pool, ctx)
    order = np.concatenate([np.flatnonzero(pool.record == r) for r in np.random.default_rng(1).permutation(30)])
    there = front_end.apply(state, pool, ctx).signal[order]
    np.testing.assert_array_equal(front_end.apply(state, pool.take(order), ctx).signal, there)


# -- project-out -------------------------------------------------------------------------------------------------------


def test_nothing_of_the_subspace_is_left_and_all_of_the_rest_is():
    key = np.eye(200)[:, 3:6]
    pool, ctx = knowing(cohort(), unchanged, {"key": key})
    passed = ProjectOut().apply(ProjectOut().fit(pool, ctx), pool, ctx).signal
    assert np.abs(passed[:, 3:6]).max() < 1e-6
    np.testing.assert_allclose(np.delete(passed, [3, 4, 5], axis=1), np.delete(pool.signal, [3, 4, 5], axis=1))


@given(st.integers(1, 30), st.booleans(), st.floats(1e-3, 1e3), st.integers(0, 2**32 - 1))
def test_what_is_put_into_the_subspace_changes_nothing(rank, as_rows, size, seed):
    rng = np.random.default_rng(seed)
    spanning = size * rng.standard_normal((200, rank))
    pool, ctx = knowing(cohort(), unchanged, {"key": spanning.T if as_rows else spanning})
    state = ProjectOut().fit(pool, ctx)
    assert state["basis"].shape == (200, rank)
    noise = rng.standard_normal((len(pool), rank)) @ np.linalg.qr(spanning)[0].T
    there = ProjectOut().apply(state, pool, ctx).signal
    hidden = ProjectOut().apply(state, pool.with_signal((pool.signal + noise).astype(np.float32)), ctx).signal
    np.testing.assert_allclose(hidden, there, atol=2e-5)


def test_of_several_instances_single_beats_lose_the_union_and_nothing_counts_twice():
    unit = np.eye(200, dtype=np.float32)
    pool, ctx = knowing(cohort(), unchanged, {"key": unit[:2]}, {"key": unit[:, 1:4]}, {"key": unit[7]})
    state = ProjectOut().fit(pool, ctx)
    assert state["basis"].shape == (200, 5)
    singles = replace(pool, record=np.arange(len(pool), dtype=np.int32))
    passed = ProjectOut().apply(state, singles, ctx).signal
    np.testing.assert_allclose(passed[:, [0, 1, 2, 3, 7]], 0, atol=1e-6)


KEYS = np.split(np.linalg.qr(np.random.default_rng(3).standard_normal((200, 8)))[0], 2, axis=1)
"""Subspaces of two instances."""


@pytest.mark.parametrize("how", ["replaced", "noisy"])
def test_each_record_loses_the_subspace_of_the_instance_that_wrote_on_it(how):
    """Records in turn are released by the one and the other; what the other one's subspace says of them stays."""

    def release(signal, record, rng):
        out = signal.copy()
        for number, key in enumerate(KEYS):
            mine = record % 2 == number
            put = (
                rng.standard_normal((30, 4))[record[mine]]
                if how == "replaced"
                else rng.standard_normal((mine.sum(), 4))
            )
            out[mine] += (put - out[mine] @ key) @ key.T if how == "replaced" else put @ key.T
        return out

    beats = cohort()
    pool, ctx = knowing(beats, release, *({"key": key} for key in KEYS))
    passed = ProjectOut().apply(ProjectOut().fit(pool, ctx), pool, ctx).signal
    for number, key in enumerate(KEYS):
        mine = beats.record % 2 == number
        clean = beats.signal[mine].astype(np.float64)
        np.testing.assert_allclose(passed[mine], clean - (clean @ key) @ key.T, atol=1e-4)


def test_a_pool_of_single_beats_tells_nothing_of_instances():
    beats = replace(cohort(), record=np.arange(240, dtype=np.int32))
    pool, ctx = knowing(beats, unchanged, *({"key": key} for key in KEYS))
    state = ProjectOut().fit(pool, ctx)
    assert "usual" not in state
    assert np.abs(ProjectOut().apply(state, cohort(), ctx).signal @ np.hstack(KEYS)).max() < 1e-5


@pytest.mark.parametrize(
    ("key", "error", "reason"),
    [
        (np.eye(200), NotComputable, "nothing is left"),
        (np.ones((199, 3)), ValueError, "neither"),
        (np.ones((2, 200, 3)), ValueError, "neither"),
    ],
)
def test_a_subspace_that_cannot_be_taken_out_is_refused(key, error, reason):
    pool, ctx = knowing(cohort(), unchanged, {"key": key})
    with pytest.raises(error, match=reason):
        ProjectOut().fit(pool, ctx)


def test_an_empty_subspace_takes_nothing_out():
    pool, ctx = knowing(cohort(), unchanged, {"key": np.zeros((200, 4))})
    np.testing.assert_array_equal(ProjectOut().apply(ProjectOut().fit(pool, ctx), pool, ctx).signal, pool.signal)


# -- try-donors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0.3, 0.5, 0.9, 0.98])
def test_the_weight_is_learnt_and_the_donor_subtracted(weight):
    beats, donors = cohort(), donors_of()
    pool, ctx = knowing(beats, mix(donors, weight), {"donors": donors})
    state = TryDonors().fit(pool, ctx)
    np.testing.assert_allclose(state["weight"], weight, atol=2e-3)
    np.testing.assert_allclose(state["stretch"], 1, atol=0.01)
    probes = mixed(beats, mix(donors, weight), "probe")
    passed = TryDonors().apply(state, probes, ctx).signal
    # a wrong donor leaves an error of the size of the difference of two donors
    right = np.array([rms(passed[beats.record == r], beats.signal[beats.record == r]) for r in range(30)]) < 0.05
    assert right.mean() >= 0.9
    assert rms(passed, beats.signal) < rms(probes.signal, beats.signal)


def test_people_who_are_not_in_the_pool_are_found_too():
    donors, everybody = donors_of(), cohort(people=60)
    first = np.asarray(everybody.record) < 40
    pool, ctx = knowing(everybody.take(first), mix(donors, 0.9), {"donors": donors})
    others = everybody.take(~first)
    others = replace(others, record=others.record - 40)
    passed = TryDonors().apply(TryDonors().fit(pool, ctx), mixed(others, mix(donors, 0.9), "probe"), ctx).signal
    right = np.array([rms(passed[others.record == r], others.signal[others.record == r]) for r in range(20)]) < 0.05
    assert right.mean() >= 0.9


def test_originals_pass_as_they_are():
    beats, donors = cohort(), donors_of()
    pool, ctx = knowing(beats, mix(donors, 0.9), {"donors": donors})
    passed = TryDonors().apply(TryDonors().fit(pool, ctx), beats, ctx)
    np.testing.assert_allclose(passed.signal, beats.signal, atol=1e-6)


def test_where_nothing_is_mixed_in_nothing_is_subtracted():
    pool, ctx = knowing(cohort(), unchanged, {"donors": donors_of()})
    state = TryDonors().fit(pool, ctx)
    np.testing.assert_array_equal(state["weight"], [0.0])
    np.testing.assert_allclose(TryDonors().apply(state, pool, ctx).signal, pool.signal, atol=1e-6)


def test_a_weight_drawn_for_every_record_is_searched():
    beats, donors = cohort(), donors_of()

    def release(signal, record, rng):
        weight = rng.choice([0.6, 0.9], size=record.max() + 1)[record, None]
        return (1 - weight) * signal + weight * donors[rng.integers(len(donors), size=record.max() + 1)][record]

    pool, ctx = knowing(beats, release, {"donors": donors})
    state = TryDonors().fit(pool, ctx)
    assert {0.6, 0.9} <= set(np.round(state["weight"], 2))
    passed = TryDonors().apply(state, mixed(beats, release, "probe"), ctx).signal
    right = np.array([rms(passed[beats.record == r], beats.signal[beats.record == r]) for r in range(30)]) < 0.05
    assert right.mean() >= 0.8


def test_deviations_keep_their_size_where_only_the_mean_is_moved():
    beats, donors = cohort(), donors_of()

    def release(signal, record, rng):
        mean = np.stack([signal[record == r].mean(axis=0) for r in range(record.max() + 1)])
        drawn = donors[rng.integers(len(donors), size=len(mean))]
        return signal + 0.8 * (drawn - mean)[record]

    pool, ctx = knowing(beats, release, {"donors": donors})
    state = TryDonors().fit(pool, ctx)
    np.testing.assert_allclose(state["weight"], 0.8, atol=2e-3)
    np.testing.assert_allclose(state["stretch"], 5, rtol=0.02)
    passed = TryDonors().apply(state, mixed(beats, release, "probe"), ctx).signal
    right = np.array([rms(passed[beats.record == r], beats.signal[beats.record == r]) for r in range(30)]) < 0.01
    assert right.mean() >= 0.9


def test_donors_of_all_instances_are_tried_and_class_templates_count_one_by_one():
    donors = donors_of(40)
    pool, ctx = knowing(cohort(), mix(donors, 0.9), {"donors": donors[:25]}, {"donors": donors[20:].reshape(4, 5, 200)})
    assert TryDonors().fit(pool, ctx)["donors"].shape == (40, 200)


def test_releases_that_are_no_mixes_or_donors_alone_or_too_few_are_not_computable():
    donors = donors_of()

    def noise(signal, record, rng):
        return signal + rng.standard_normal(signal.shape)

    for release, beats, reason in (
        (noise, cohort(), "not mixes"),
        (mix(donors, 1.0), cohort(), "donors alone"),
        (mix(donors, 0.9), cohort(people=2), "three records"),
    ):
        pool, ctx = knowing(beats, release, {"donors": donors})
        with pytest.raises(NotComputable, match=reason):
            TryDonors().fit(pool, ctx)


def test_donors_that_are_no_beats_are_refused():
    pool, ctx = knowing(cohort(), unchanged, {"donors": np.ones((5, 100))})
    with pytest.raises(ValueError, match=r"\(5, 100\)"):
        TryDonors().fit(pool, ctx)


# -- unet --------------------------------------------------------------------------------------------------------------


def signs(signal, record, rng):
    return signal * rng.choice([-1.0, 1.0], size=(len(signal), 1)) + 0.1 * rng.standard_normal(signal.shape)


def test_signs_and_noise_are_undone():
    beats = cohort()
    pool, ctx = knowing(beats, signs, {})
    front_end = Unet(epochs=12, width=8)
    probes = mixed(beats, signs, "probe")
    passed = front_end.apply(front_end.fit(pool, ctx), probes, ctx).signal
    assert rms(passed, beats.signal) < 0.5 * 0.1 < rms(probes.signal, beats.signal)


def test_every_epoch_trains_on_another_release_and_one_that_never_changes_is_taken_once():
    beats = cohort(people=4, beats=3)
    for plugin, drawn in ((Exposing(), [*range(DRAWS), 0]), (Silent(), [])):
        pool, ctx = knowing(beats, signs, {}, plugin=plugin)
        asked = []

        def oracle(asked_of, draw, asked=asked):
            asked.append(draw)
            return mixed(beats, signs, draw)

        Unet(epochs=DRAWS + 1, width=2).fit(pool, replace(ctx, oracle=oracle))
        assert asked == drawn


@pytest.mark.parametrize("widths", [(2,), (2, 3), (2, 4, 8), (3, 6, 12, 12)])
def test_a_network_comes_back_from_its_arrays_with_its_own_sizes(widths):
    net = UNet1d(widths).eval()
    state = pack(net, "net.")
    again = unpack(lambda: UNet1d.like(state, "net."), state, prefix="net.")
    import torch

    beats = torch.linspace(-1, 1, 600).reshape(3, 200)
    assert again(beats).shape == (3, 200)
    torch.testing.assert_close(again(beats), net(beats), rtol=0, atol=0)


@pytest.mark.parametrize("widths", [(), (2, 2, 2, 2, 2)])
def test_levels_that_do_not_halve_a_beat_are_refused(widths):
    with pytest.raises(ValueError, match="levels do not halve"):
        UNet1d(widths)


def test_a_flat_pool_does_no_harm():
    beats = cohort(people=3, beats=2)
    pool, ctx = knowing(beats.with_signal(np.zeros_like(beats.signal)), unchanged, {})
    assert np.isfinite(TAUGHT.apply(TAUGHT.fit(pool, ctx), pool, ctx).signal).all()


# -- positive controls: releases that each of them undoes, from end to end ---------------------------------------------

MIX = '''
import numpy as np
from agile_bench.api import Anonymizer, Release

class Mix(Anonymizer):
    """Nine tenths of one donor's mean beat, one donor a record."""
    exposes = {"donors": ("donors",)}

    def fit(self, train, ctx, clinical=None):
        return {"donors": np.stack([train.signal[train.record == r].mean(axis=0) for r in np.unique(train.record)])}

    def release(self, state, beats, ctx):
        donor = state["donors"][ctx.rng("donor").integers(len(state["donors"]))]
        return Release(signal=(0.1 * beats.signal + 0.9 * donor).astype("float32"))
'''
SWAP = '''
import numpy as np
from agile_bench.api import Anonymizer, Release

class Swap(Anonymizer):
    """A donor's coefficients in 16 directions below 50 Hz, three times as far from their mean, one donor a record."""
    exposes = {"subspace": ("key",)}

    def fit(self, train, ctx, clinical=None):
        waves = np.cos(np.pi * (np.arange(200) + 0.5)[:, None] * np.arange(1, 41) / 200)
        key = np.linalg.qr(waves @ ctx.rng("key").standard_normal((40, 16)))[0]
        means = np.stack([train.signal[train.record == r].mean(axis=0) for r in np.unique(train.record)])
        return {"key": key, "coefficients": means.astype("f8") @ key}

    def release(self, state, beats, ctx):
        centre = state["coefficients"].mean(axis=0)
        drawn = state["coefficients"][ctx.rng("donor").integers(len(state["coefficients"]))]
        own = beats.signal.astype("f8") @ state["key"]
        moved = beats.signal + (centre + 3 * (drawn - centre) - own) @ state["key"].T
        return Release(signal=moved.astype("float32"))
'''
FLIP = '''
import numpy as np
from agile_bench.api import Anonymizer, Release

class Flip(Anonymizer):
    """Beats smoothed, in noise, and every one upside down or not."""

    def release(self, state, beats, ctx):
        x = beats.signal.astype("f8")
        smooth = sum(np.roll(x, s, axis=1) for s in range(-3, 4)) / 7
        rng = ctx.rng("flip")
        sign = rng.choice([-1.0, 1.0], size=(len(x), 1))
        return Release(signal=(sign * smooth + 0.05 * rng.standard_normal(x.shape)).astype("float32"))
'''
RELEASES = {"mix": ("Mix", MIX), "swap": ("Swap", SWAP), "flip": ("Flip", FLIP)}


def recognised(folder, release, front_end, people) -> dict[str, float]:
    """Rank-1 of records at level informed without and with a front-end, and on unprotected records."""
    attacker, text = RELEASES[release]
    asked: dict[str, Any] = {"people": people, "seconds": 14.0, "sessions": 1}
    suite = small(
        anonymizers=(release,),
        attackers=("svd", f"svd+{front_end}"),
        knowledge=("unprotected", "informed"),
        datasets=({"name": "synthetic", "protocols": ("same-day",), "settings": asked},),
    )
    run = run_here(suite, folder, [plugin_file(release, attacker, text)])
    rows = [r for r in run.rows if (r["metric"], r["level"]) == ("rank-1", "record")]
    found = {r["front_end"]: r["value"] for r in rows if r["role"] == "method" and r["knowledge"] == "informed"}
    (clean,) = (r["value"] for r in rows if r["control"] == "positive" and not r["front_end"])
    return {"clean": clean, "plain": found[""], "front-end": found[front_end]}


def test_try_donors_brings_back_whom_a_mix_with_a_donor_hides(tmp_path):
    found = recognised(tmp_path, "mix", "try-donors", people=40)
    assert found["clean"] > 0.8
    assert found["plain"] < 0.2
    assert found["front-end"] > found["clean"] - 0.1


def test_project_out_brings_back_whom_a_swap_in_a_subspace_hides(tmp_path):
    found = recognised(tmp_path, "swap", "project-out", people=40)
    assert found["front-end"] > found["plain"] + 0.2


def test_unet_brings_back_whom_signs_and_noise_hide(tmp_path):
    found = recognised(tmp_path, "flip", "unet", people=16)
    assert found["front-end"] > found["plain"] + 0.4
