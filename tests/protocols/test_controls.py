import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agile_bench.api import R_COLUMN, Array, Context, NotComputable
from agile_bench.protocols.controls import (
    blend,
    constant,
    matched_noise,
    perturbation,
    scramble,
    spike,
    stand_ins,
    swapped,
)

CTX = Context(label=("made", "controls", 0))
OTHER = Context(label=("made", "controls", 1))


def beats(n: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(0, 0.3, (n, 200)).astype(np.float32)


def noise_of(code: int) -> np.random.Generator:
    return CTX.rng("noise", code)


# -- constant and scramble ---------------------------------------------------------------------------------------------


def test_the_constant_beat_has_the_same_bits_in_every_row() -> None:
    shown = constant(50)
    assert shown.dtype == np.float32
    assert len({row.tobytes() for row in shown}) == 1
    assert shown[0].tobytes() == constant(1)[0].tobytes()
    assert shown[0].argmax() == R_COLUMN
    assert 0.5 < shown[0].max() < 1.5
    assert np.abs(shown[0, [0, -1]]).max() < 0.01
    assert constant(0).shape == (0, 200)


def test_a_scramble_turns_time_and_sign_and_undoes_itself() -> None:
    signal = beats(7)
    shown = scramble(signal)
    assert shown.dtype == np.float32
    assert shown[3, 0] == -signal[3, 199]
    assert shown[3, R_COLUMN] == -signal[3, 119]
    assert scramble(shown).tobytes() == signal.tobytes()
    assert scramble(signal[4:5]).tobytes() == shown[4:5].tobytes()


# -- people in each other's place --------------------------------------------------------------------------------------


@given(codes=st.lists(st.integers(0, 10**6), min_size=2, max_size=40, unique=True), seed=st.integers(0, 50))
def test_everybody_stands_in_for_somebody_else(codes: list[int], seed: int) -> None:
    people, ctx = np.array(codes), Context(label=("made", seed))
    chosen = stand_ins(people, ctx)
    assert sorted(chosen.tolist()) == sorted(codes)
    assert (chosen != people).all()
    back = people[::-1]
    assert stand_ins(back, ctx).tolist() == chosen[::-1].tolist()


def test_who_stands_in_for_whom_is_drawn_from_the_seed() -> None:
    people = np.arange(30)
    assert stand_ins(people, CTX).tolist() == stand_ins(people, CTX).tolist()
    assert stand_ins(people, CTX).tolist() != stand_ins(people, OTHER).tolist()
    assert stand_ins(np.array([4, 9]), CTX).tolist() == [9, 4]
    with pytest.raises(NotComputable, match="there is 1"):
        stand_ins(np.array([3]), CTX)


def test_a_person_shows_the_records_of_the_stand_in_in_turn() -> None:
    # person 1: records 10 (3 beats) and 11 (1); person 2: record 20 (2); person 3: records 30 (1), 31 (2), 32 (1)
    record = np.array([20, 20, 11, 10, 10, 10, 32, 31, 31, 30])
    person = record // 10
    rows = np.arange(100, 110)
    shown = swapped(rows, person, record, {1: 2, 2: 3, 3: 1})
    assert shown.tolist() == [
        *(109, 109),  # the one beat of 30, twice
        100,  # the second record of 1 shows the only one of 2
        *(100, 101, 100),
        103,  # the third record of 3 shows the first of 1 again
        *(102, 102),
        103,
    ]
    assert swapped(rows, person, record, {1: 1, 2: 2, 3: 3}).tolist() == rows.tolist()
    assert swapped(rows[:0], person[:0], record[:0], {}).tolist() == []


@given(data=st.data(), seed=st.integers(0, 100))
def test_a_record_shows_one_record_of_the_stand_in_whatever_the_order_of_records(
    data: st.DataObject, seed: int
) -> None:
    lengths = data.draw(st.lists(st.integers(1, 6), min_size=6, max_size=12))
    owner = np.arange(len(lengths)) % 3
    record = np.repeat(np.arange(len(lengths)), lengths)
    person, rows = owner[record], np.arange(len(record)) * 7
    of_row = dict(zip(rows.tolist(), record.tolist(), strict=True))
    other = dict(enumerate(stand_ins(np.arange(3), Context(label=(seed,))).tolist()))
    shown = swapped(rows, person, record, other)
    for code in range(len(lengths)):
        sources = {of_row[r] for r in shown[record == code].tolist()}
        assert len(sources) == 1
        assert owner[sources.pop()] == other[int(owner[code])]
    moved = np.concatenate([np.flatnonzero(record == c) for c in data.draw(st.permutations(range(len(lengths))))])
    assert swapped(rows[moved], person[moved], record[moved], other).tolist() == shown[moved].tolist()


def test_a_stand_in_without_beats_in_the_role_is_told() -> None:
    with pytest.raises(NotComputable, match="no beat in this role"):
        swapped(np.arange(2), np.array([1, 1]), np.array([5, 5]), {1: 2})


# -- noise of the same size --------------------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 1000), size=st.floats(0.001, 10), lengths=st.lists(st.integers(1, 8), min_size=1, max_size=5)
)
def test_noise_has_the_error_of_the_release_in_every_record(seed: int, size: float, lengths: list[int]) -> None:
    record = np.repeat(np.arange(len(lengths)), lengths)
    original = beats(len(record), seed)
    released = (original + size * (1 + record[:, None]) * beats(len(record), seed + 1)).astype(np.float32)
    noisy = matched_noise(original, released, record, noise_of)
    assert noisy.dtype == np.float32
    for code in range(len(lengths)):
        mine = record == code
        clean = original[mine].astype(np.float64)
        wanted, found = (np.square(x[mine] - clean).sum() for x in (released, noisy))
        assert found == pytest.approx(wanted, rel=1e-4 if size < 0.1 else 1e-6)
        assert abs(np.corrcoef((noisy[mine] - clean).ravel(), (released[mine] - clean).ravel())[0, 1]) < 0.4


def test_noise_is_white_normal_and_keyed_by_the_record() -> None:
    original, record = beats(60), np.repeat([3, 8, 5], 20)
    released = np.zeros_like(original)
    noisy = matched_noise(original, released, record, noise_of)
    error = (noisy - original.astype(np.float64))[record == 8].ravel()
    assert abs(np.corrcoef(error[1:], error[:-1])[0, 1]) < 0.05
    assert np.mean(np.abs(error) < error.std()) == pytest.approx(0.683, abs=0.03)
    assert matched_noise(original, released, record, noise_of).tobytes() == noisy.tobytes()
    alone, moved = record == 8, np.concatenate([np.flatnonzero(record == c) for c in (5, 3, 8)])
    assert matched_noise(original[alone], released[alone], record[alone], noise_of).tobytes() == noisy[alone].tobytes()
    swapped_round = matched_noise(original[moved], released[moved], record[moved], noise_of)
    assert swapped_round.tobytes() == noisy[moved].tobytes()


def test_no_error_is_matched_by_no_noise_and_an_error_too_small_to_show_is_finite() -> None:
    original, record = beats(4), np.array([0, 0, 1, 1])
    released = original.copy()
    released[2:] += 0.1
    noisy = matched_noise(original, released, record, noise_of)
    assert noisy[:2].tobytes() == original[:2].tobytes()
    assert not np.array_equal(noisy[2:], original[2:])
    flat = np.full((1, 200), 1.0, np.float32)
    nearly = flat.copy()
    nearly[0, 0] = np.nextafter(np.float32(1), np.float32(2))
    assert np.isfinite(matched_noise(flat, nearly, np.zeros(1, int), noise_of)).all()


# -- doses -------------------------------------------------------------------------------------------------------------


def test_both_ends_of_a_dose_are_bit_for_bit() -> None:
    original, released = beats(5), beats(5, 1)
    original[0, :3] = (-0.0, np.float32(1e-40), np.float32(3e38))
    assert blend(original, released, 0.0).tobytes() == original.tobytes()
    assert blend(original, released, 1.0).tobytes() == released.tobytes()
    assert blend(original, released, 0).tobytes() == original.tobytes()


@given(amount=st.floats(0, 1))
def test_a_dose_is_that_share_of_the_way(amount: float) -> None:
    original, released = beats(3), beats(3, 1)
    mixed = blend(original, released, amount)
    assert mixed.dtype == np.float32
    way = np.linalg.norm(mixed - original.astype(np.float64)) / np.linalg.norm(released - original.astype(np.float64))
    assert way == pytest.approx(amount, abs=1e-6)
    assert blend(released, original, 1 - amount) == pytest.approx(mixed, abs=1e-6)


@pytest.mark.parametrize("amount", [-0.1, 1.1, float("nan")])
def test_a_dose_beyond_the_ends_is_refused(amount: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        blend(beats(1), beats(1), amount)


# -- the perturbation alone --------------------------------------------------------------------------------------------


def found_by_nearest(alone: Array, person: Array) -> float:
    """Rank-1 of the second half of each person's rows against the mean of the first, by least distance."""
    people = np.unique(person)
    gallery = np.stack([alone[person == p][:4].mean(axis=0) for p in people])
    probes = np.stack([alone[person == p][4:].mean(axis=0) for p in people])
    distance = np.square(probes[:, None] - gallery).sum(axis=2)
    return float(np.mean(distance.argmin(axis=1) == np.arange(len(people))))


def test_what_a_release_adds_is_all_that_is_left() -> None:
    original = beats(2)
    added = np.zeros((2, 200), np.float32)
    added[0, 3], added[1, 199] = 0.25, -0.5
    shown = perturbation(original, original + added)
    assert shown.dtype == np.float32
    assert shown == pytest.approx(added, abs=1e-6)
    assert not perturbation(original, original).any()


@given(size=st.floats(0.001, 1), seed=st.integers(0, 1000))
def test_a_wave_of_the_persons_own_is_found_whatever_the_beats(size: float, seed: int) -> None:
    person = np.repeat(np.arange(20), 8)
    waves = beats(20, seed)
    original = beats(160, seed + 1)
    shown = perturbation(original, original + np.float32(size) * waves[person])
    assert found_by_nearest(shown, person) == 1.0


def test_noise_that_knows_nobody_finds_nobody() -> None:
    """Twenty times twenty guesses of one in twenty: 20 expected, 40 are 4.6 standard deviations above."""
    person = np.repeat(np.arange(20), 8)
    found = 0.0
    for seed in range(20):
        original = beats(20, seed)[person]  # so like themselves that any trace of the beat would tell
        found += 20 * found_by_nearest(perturbation(original, original + beats(160, seed + 100)), person)
    assert found < 40


# -- spikes ------------------------------------------------------------------------------------------------------------


@given(rms=st.floats(0.001, 1.0), seed=st.integers(0, 100))
def test_a_spike_is_smooth_without_a_mean_and_of_the_size_asked(rms: float, seed: int) -> None:
    person = np.array([4, 900, 4, 17])
    added = spike(np.zeros((4, 200)), person, rms, Context(label=(seed,))).astype(np.float64)
    assert np.sqrt(np.mean(added**2, axis=1)) == pytest.approx(np.full(4, rms), rel=1e-6)
    assert np.abs(added.mean(axis=1)).max() < 1e-6 * rms
    power = np.abs(np.fft.rfft(added, axis=1)) ** 2
    assert power[:, 9:].sum() < 1e-9 * power.sum()
    assert (added[0] == added[2]).all()
    assert abs(np.corrcoef(added[0], added[1])[0, 1]) < 0.99


def test_a_spike_depends_on_the_person_and_the_seed_alone() -> None:
    signal, person = constant(6), np.array([0, 1, 2, 0, 1, 2])
    shown = spike(signal, person, 0.03, CTX)
    assert shown.dtype == np.float32
    assert shown[:3].tobytes() == shown[3:].tobytes()
    assert len({row.tobytes() for row in shown}) == 3
    assert spike(signal[[4]], person[[4]], 0.03, CTX).tobytes() == shown[[4]].tobytes()
    assert spike(signal, person[::-1], 0.03, CTX).tobytes() == shown[::-1].tobytes()
    assert spike(signal, person, 0.03, OTHER).tobytes() != shown.tobytes()
    larger = spike(signal, person, 0.06, CTX).astype(np.float64)
    assert larger - signal == pytest.approx(2 * (shown - signal.astype(np.float64)), abs=1e-6)


def test_a_spike_of_nothing_changes_nothing_and_a_negative_one_is_refused() -> None:
    signal = beats(3)
    assert spike(signal, np.arange(3), 0.0, CTX).tobytes() == signal.tobytes()
    with pytest.raises(ValueError, match="0 mV or more"):
        spike(signal, np.arange(3), -0.1, CTX)


def test_inputs_are_left_as_they_were() -> None:
    original, released, record = beats(4), beats(4, 1), np.array([0, 0, 1, 1])
    for given_ in (original, released):
        given_.flags.writeable = False
    for shown in (
        scramble(original),
        matched_noise(original, released, record, noise_of),
        blend(original, released, 0.0),
        blend(original, released, 1.0),
        perturbation(original, released),
        spike(original, record, 0.0, CTX),
    ):
        assert shown.flags.writeable
        assert not np.shares_memory(shown, original)
        assert not np.shares_memory(shown, released)
