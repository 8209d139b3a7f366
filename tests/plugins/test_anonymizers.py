"""The anonymizers do what their settings say."""

from __future__ import annotations

import numpy as np
import pytest
from agile_bench.anonymizers.constant import Constant
from agile_bench.anonymizers.gaussian import Gaussian
from agile_bench.anonymizers.passthrough import Passthrough
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agile_bench.api import BEAT_RATE, BEAT_SAMPLES, R_COLUMN, Anonymizer, Array, Beats, Context
from agile_bench.testing import check_plugin, made_beats


def one_record(beats: int = 400, seed: int = 0) -> Beats:
    """One long record of one made-up person."""
    full = made_beats(people=1, records=1, beats=beats, seed=seed)
    return Beats(signal=full.signal, record=full.record)


def released(method: Anonymizer, beats: Beats, *label: str | int) -> Array:
    """What a method gives out under the key of a label."""
    signal = method.release({}, beats, Context(label=("test", *label))).signal
    assert signal is not None
    assert signal.dtype == np.float32
    assert signal.shape == beats.signal.shape
    return signal


def noise_of(method: Anonymizer, beats: Beats, *label: str | int) -> Array:
    """What a method added, (n, 200) float64."""
    noise: Array = released(method, beats, *label).astype(np.float64) - beats.signal
    return noise


def ac_power(x: Array) -> float:
    """Mean power of the rows about their means."""
    return float(np.mean((x - x.mean(axis=1, keepdims=True)) ** 2))


@pytest.mark.parametrize(
    "method",
    [Passthrough(), Constant(), Gaussian(), Gaussian(band="ecg"), Gaussian(sd_mv=0.3), Gaussian(sd_mv=0.3, band="ecg")],
    ids=lambda m: f"{type(m).__name__}{m.model_dump(exclude_defaults=True)}",
)
def test_every_setting_keeps_the_contract(method: Anonymizer) -> None:
    check_plugin(method)


# -- gaussian ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("band", ["white", "ecg"])
@pytest.mark.parametrize("snr_db", [-20.0, 0.0, 5.0, 20.0])
def test_gaussian_reaches_its_signal_to_noise_ratio(band: str, snr_db: float) -> None:
    beats = one_record()
    noise = noise_of(Gaussian(snr_db=snr_db, band=band), beats)
    found = 10 * np.log10(ac_power(beats.signal.astype(np.float64)) / np.mean(noise**2))
    assert found == pytest.approx(snr_db, abs=0.2)


@pytest.mark.parametrize("band", ["white", "ecg"])
@pytest.mark.parametrize("sd_mv", [0.01, 0.5])
def test_gaussian_reaches_its_standard_deviation_whatever_the_ratio(band: str, sd_mv: float) -> None:
    beats = one_record()
    noise = noise_of(Gaussian(sd_mv=sd_mv, band=band), beats)
    assert noise.std() == pytest.approx(sd_mv, rel=0.02)
    assert np.array_equal(noise, noise_of(Gaussian(sd_mv=sd_mv, snr_db=-20, band=band), beats))


def test_noise_in_the_ecg_band_has_no_power_outside_of_it_and_is_flat_inside() -> None:
    power = np.mean(np.abs(np.fft.rfft(noise_of(Gaussian(sd_mv=0.5, band="ecg"), one_record()), axis=1)) ** 2, axis=0)
    hz = np.fft.rfftfreq(BEAT_SAMPLES, 1 / BEAT_RATE)
    inside = (hz >= 0.5) & (hz <= 40)
    assert power[~inside].max() < 1e-9 * power[inside].mean()
    assert power[inside].min() > 0.7 * power[inside].mean()


def test_white_noise_is_as_strong_above_the_ecg_band_as_in_it() -> None:
    power = np.mean(np.abs(np.fft.rfft(noise_of(Gaussian(sd_mv=0.5), one_record()), axis=1)) ** 2, axis=0)
    hz = np.fft.rfftfreq(BEAT_SAMPLES, 1 / BEAT_RATE)
    assert power[hz > 40].mean() == pytest.approx(power[(hz > 0.5) & (hz <= 40)].mean(), rel=0.05)


@pytest.mark.parametrize("band", ["white", "ecg"])
def test_keys_give_unrelated_noise_and_one_key_gives_it_again(band: str) -> None:
    beats, method = one_record(), Gaussian(band=band)
    a, b = noise_of(method, beats, "a"), noise_of(method, beats, "b")
    assert np.array_equal(a, noise_of(method, beats, "a"))
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.03


@pytest.mark.parametrize("band", ["white", "ecg"])
def test_every_beat_of_a_record_gets_noise_of_its_own(band: str) -> None:
    noise = noise_of(Gaussian(sd_mv=0.5, band=band), one_record())
    related = np.corrcoef(noise[:60])
    np.fill_diagonal(related, 0)
    assert np.abs(related).max() < 0.7
    assert abs(related.mean()) < 0.01


@pytest.mark.parametrize("band", ["white", "ecg"])
def test_no_noise_changes_no_bit(band: str) -> None:
    beats = one_record()
    assert released(Gaussian(sd_mv=0, band=band), beats).tobytes() == beats.signal.tobytes()


@pytest.mark.parametrize("band", ["white", "ecg"])
def test_a_flat_record_has_no_power_and_gets_no_noise(band: str) -> None:
    flat = one_record(5).with_signal(np.full((5, BEAT_SAMPLES), 0.25, np.float32))
    assert np.array_equal(released(Gaussian(band=band), flat), flat.signal)


@given(factor=st.floats(0.1, 4), offset=st.floats(-2, 2), seed=st.integers(0, 20))
def test_the_ratio_knows_neither_unit_nor_offset(factor: float, offset: float, seed: int) -> None:
    beats = one_record(10, seed)
    scaled = beats.with_signal((beats.signal * factor + offset).astype(np.float32))
    noise, scaled_noise = noise_of(Gaussian(), beats, seed), noise_of(Gaussian(), scaled, seed)
    assert scaled_noise == pytest.approx(noise * factor, abs=1e-5 * max(1.0, factor))


@pytest.mark.parametrize(
    "settings",
    [{"snr_db": 81}, {"snr_db": -41}, {"snr_db": float("nan")}, {"sd_mv": -0.1}, {"sd_mv": 11}, {"band": "pink"}],
    ids=str,
)
def test_settings_out_of_bounds_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Gaussian(**settings)


# -- anchors -----------------------------------------------------------------------------------------------------------


def test_constant_is_one_beat_whoever_is_released_under_whatever_key() -> None:
    method = Constant()
    everybody = np.concatenate([released(method, one_record(7, seed), seed) for seed in range(3)])
    assert len(np.unique(everybody, axis=0)) == 1
    assert method.fit(one_record(), Context()) == {}
    assert not method.stochastic


def test_the_constant_beat_looks_like_one() -> None:
    (beat,) = released(Constant(), one_record(1))
    assert beat.argmax() == R_COLUMN
    assert 0.9 < beat[R_COLUMN] < 1.1
    p, t = beat[: R_COLUMN - 15].max(), beat[R_COLUMN + 25 :].max()
    assert 0.05 < p < t < 0.5
    assert abs(beat[0]) < 0.01
    assert abs(beat[-1]) < 0.01


@given(seed=st.integers(0, 50))
def test_passthrough_changes_no_bit(seed: int) -> None:
    beats = one_record(4, seed)
    assert released(Passthrough(), beats, seed).tobytes() == beats.signal.tobytes()


def test_anchors_are_marked_and_the_noise_is_not() -> None:
    assert Passthrough().anchor
    assert Constant().anchor
    assert not Gaussian().anchor
    assert {"label", "rr", "amplitude", "shape"} == Passthrough.keeps == Gaussian.keeps
    assert Constant.keeps == {"rr"}
