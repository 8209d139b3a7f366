from dataclasses import replace

import numpy as np
import pytest
from heart import recording

from agile_bench.api import Recording, UnusableRecord
from agile_bench.signals.beats import cut
from agile_bench.signals.filters import bandpass


@pytest.mark.parametrize("fs", [80.0, 100.0, 250.0, 257.0, 360.0, 500.0, 1000.0])
def test_beats_are_sampled_from_the_filtered_lead_with_the_peak_in_column_80(fs):
    made, beats = recording(fs)
    out = cut(made, "II")
    assert out.signal.shape == (len(out), 200)
    assert out.signal.dtype == np.float32
    assert len(out) >= len(beats) - 2
    filtered = bandpass(made.signal[:, 0], fs)
    assert np.allclose(out.signal[:, 80], filtered[np.round(out.time * fs).astype(int)], atol=1e-5)
    assert (out.signal.argmax(axis=1) - 80 <= 250 / fs).all()


@pytest.mark.parametrize("fs", [250.0, 500.0])
def test_a_rate_that_250_divides_needs_no_interpolation(fs):
    made, _ = recording(fs)
    out = cut(made, "II")
    filtered = bandpass(made.signal[:, 0], fs)
    peak = round(out.time[5] * fs)
    step = int(fs / 250)
    assert np.allclose(out.signal[5], filtered[peak - 80 * step : peak + 120 * step : step], atol=1e-5)


def test_interpolation_reproduces_a_wave_between_the_samples():
    fs = 360.0
    made, _ = recording(fs)
    t = np.arange(len(made.signal)) / fs
    wave = 0.3 * np.sin(2 * np.pi * 12 * t)
    plain, waved = cut(made, "II"), cut(replace(made, signal=made.signal + 1e-3 * wave[:, None]), "II")
    same = np.isin(waved.time, plain.time)
    added = (waved.signal[same] - plain.signal[np.isin(plain.time, waved.time)]) * 1e3
    where = waved.time[same][:, None] + (np.arange(200) - 80) / 250
    assert np.abs(added - 0.3 * np.sin(2 * np.pi * 12 * where))[2:-2].max() < 0.01


def test_times_and_intervals_are_those_of_the_heart():
    made, beats = recording()
    out = cut(made, "II")
    assert np.abs(out.time - beats[: len(out)]).max() < 0.005
    assert np.allclose(out.rr_before[1:], 0.83, atol=0.006)
    assert np.isnan(out.rr_before[0])
    assert np.isnan(out.rr_after[-1]) or out.dropped["edge"] > 0
    assert out.rr_before.dtype == out.rr_after.dtype == np.float32
    assert np.array_equal(out.rr_before[1:], out.rr_after[:-1])


def test_a_beat_dropped_at_the_edge_still_bounds_an_interval():
    made, beats = recording()
    start = round((beats[1] - 0.1) * 360)
    out = cut(replace(made, signal=made.signal[start:]), "II")
    assert out.dropped == {"edge": 2, "unusable": 0}
    assert out.rr_before[0] == pytest.approx(0.83, abs=0.006)


@pytest.mark.parametrize("how", ["nan", "flat", "wild", "skip"])
def test_no_beat_or_interval_crosses_what_cannot_be_used(how):
    made, _ = recording()
    x, start, stop = made.signal.copy(), 3600, 4320
    if how == "skip":
        made = replace(made, skip=((start, stop),))
    else:
        x[start:stop] = {"nan": np.nan, "flat": 0.1, "wild": 80.0}[how]
    out = cut(replace(made, signal=x), "II")
    assert np.isfinite(out.signal).all()
    assert np.abs(out.signal).max() < 1.5
    assert not ((out.time > start / 360 - 0.48) & (out.time < stop / 360 + 0.32)).any()
    behind = out.time > stop / 360
    assert behind.any()
    assert np.isfinite(out.rr_before[behind][1:]).all()
    assert np.nanmin((out.time - out.rr_before)[behind]) > stop / 360
    assert np.nanmax((out.time + out.rr_after)[~behind]) < start / 360
    assert np.nanmax(out.rr_before) < 0.85


def test_a_blanked_start_yields_no_beat_and_spoils_none():
    made, _ = recording(500.0, 20.0)
    x = made.signal.copy()
    x[:2048] = -0.005
    whole, blanked = cut(made, "II"), cut(replace(made, signal=x), "II")
    assert blanked.time.min() > 2048 / 500
    later = whole.signal[np.isin(whole.time, blanked.time)]
    assert np.abs(later - blanked.signal)[2:].max() < 0.05


def test_labels_come_from_the_nearest_reference_beat_within_150_ms():
    made, beats = recording()
    at = np.round(beats * 360).astype(int)
    at[3] += 50  # 139 ms
    at[4] += 60  # 167 ms
    symbols = np.array(["N"] * len(at))
    symbols[[2, 3, 4]] = "V"
    out = cut(replace(made, rpeaks=at, symbols=symbols), "II")
    assert out.label[:7].tolist() == [0, 0, 2, 2, -1, 0, 0]
    assert out.label.dtype == np.int8


def test_without_reference_no_beat_has_a_label():
    made, _ = recording()
    assert set(cut(made, "II").label.tolist()) == {-1}


def test_cutting_does_not_depend_on_the_reference_annotations():
    made, _ = recording()
    noted = replace(made, rpeaks=np.array([100, 200]), symbols=np.array(["N", "V"]))
    assert np.array_equal(cut(made, "II").signal, cut(noted, "II").signal)


def test_the_recording_is_left_alone():
    made, _ = recording()
    made.signal[:1000] = np.nan
    before = made.signal.copy()
    made.signal.flags.writeable = False
    cut(made, "II")
    assert np.array_equal(made.signal, before, equal_nan=True)


def lead_of(x: np.ndarray, fs: float = 360.0) -> Recording:
    return Recording(leads=("II", "V1"), signal=np.stack([x, x], axis=1), fs=fs)


BAD = {
    "not finite": lead_of(np.full(9000, np.nan)),
    "flat": lead_of(np.full(9000, 5.115)),
    "no usable stretch": lead_of(np.repeat([0.1, np.nan, 0.3], 3000)),
    "no beats": lead_of(np.random.default_rng(0).normal(size=500)),
    "sampled too slowly": lead_of(np.random.default_rng(0).normal(size=500), fs=50.0),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_lead_without_beats_is_unusable_and_says_why(kind):
    with pytest.raises(UnusableRecord) as caught:
        cut(BAD[kind], "II")
    assert caught.value.kind == kind


def test_a_missing_lead_is_told_with_those_there_are():
    with pytest.raises(UnusableRecord, match="no 'MLII'; there are: II, V1") as caught:
        cut(BAD["flat"], "MLII")
    assert caught.value.kind == "lead missing"


def test_too_few_beats_are_told_with_their_number():
    made, beats = recording()
    with pytest.raises(UnusableRecord, match="3 are needed") as caught:
        cut(replace(made, signal=made.signal[: round((beats[2] + 0.6) * 360)], skip=((0, 180),)), "II")
    assert caught.value.kind == "too few beats"
