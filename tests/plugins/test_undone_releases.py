"""Every front-end undoes a release that it is made for: people whom it hides are found again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest
from every_plugin import FRONT_ENDS, attacker
from made_releases import BEATS, PEOPLE, RECORDS, Release, halves, people, shown, truth

from agile_bench.api import BEAT_SAMPLES, Anonymizer, Array, Beats, Context, FrontEnd, Instance, State
from agile_bench.api import Release as Released
from agile_bench.contract import freeze
from agile_bench.metrics.scores import quantise, rank_k
from agile_bench.registry import Registry

DONORS = 150
WEIGHT = 0.9
DIRECTIONS = 16


def noise(size: float) -> Array:
    """Noise of this size in mV, drawn anew for every beat."""
    return size * np.random.default_rng(3).standard_normal((PEOPLE * RECORDS * BEATS, BEAT_SAMPLES))


def white_noise(beats: Beats) -> Beats:
    return shown(beats, beats.signal + noise(0.3))


def fast_noise(beats: Beats) -> Beats:
    """Nothing below 50 Hz."""
    spectrum = np.fft.rfft(noise(0.5), axis=1)
    spectrum[:, : BEAT_SAMPLES * 50 // 250] = 0
    return shown(beats, beats.signal + np.fft.irfft(spectrum, BEAT_SAMPLES, axis=1))


def specks(beats: Beats) -> Beats:
    """One sample of ten is anything between -4 and 4 mV."""
    rng = np.random.default_rng(3)
    speck = rng.random(beats.signal.shape) < 0.1
    return shown(beats, np.where(speck, rng.uniform(-4, 4, speck.shape), beats.signal))


def late_t_waves(beats: Beats) -> Beats:
    """What follows the QRS complex comes up to 60 ms early or late, beat by beat."""
    at = np.arange(BEAT_SAMPLES)
    late = np.random.default_rng(3).uniform(-15, 15, len(beats))[:, None] / (1 + np.exp(-(at - 105) / 4))
    return shown(beats, np.stack([np.interp(at - by, at, beat) for by, beat in zip(late, beats.signal, strict=True)]))


def another_mean(beats: Beats) -> Beats:
    """Two beats of three are a wave of the record; the third is that wave and the person's own mean beat."""
    rng = np.random.default_rng(3)
    wave = np.cumsum(rng.standard_normal((PEOPLE * RECORDS, BEAT_SAMPLES)), axis=1)[beats.record] / 5
    own = np.where(np.arange(len(beats))[:, None] % 3 == 0, beats.signal, 0)
    return shown(beats, wave + own + noise(0.02))


def unchanged(beats: Beats) -> Beats:
    return beats


# -- releases of anonymizers that tell what they hold ------------------------------------------------------------------


class Telling(Anonymizer):
    """Says what its state holds, and can be asked for what it makes of any beat."""

    exposes = {"donors": ("donors",), "subspace": ("key",)}  # noqa: RUF012 - as plugins declare it
    stochastic = False

    def release(self, state: State, beats: Beats, ctx: Context) -> Released:
        return Released(signal=wander(beats.signal).astype(np.float32))


def donors() -> Array:
    """Mean beats of people whom no cohort has."""
    rng = np.random.default_rng(9)
    t = np.arange(BEAT_SAMPLES) - 80
    drawn = rng.uniform([0.6, 3, 0.1, 50, 0], [1.6, 6, 0.5, 80, 0.2], (DONORS, 5))
    return np.stack(
        [
            r * np.exp(-((t / w) ** 2)) + s * np.exp(-(((t - c) / 15) ** 2)) + p * np.exp(-(((t + 40) / 8) ** 2))
            for r, w, s, c, p in drawn
        ]
    )


def key() -> Array:
    """Directions below 50 Hz, (200, 16)."""
    waves = np.cos(np.pi * (np.arange(BEAT_SAMPLES) + 0.5)[:, None] * np.arange(1, 41) / BEAT_SAMPLES)
    found: Array = np.linalg.qr(waves @ np.random.default_rng(7).standard_normal((40, DIRECTIONS)))[0]
    return found


def donor_mixed_in(beats: Beats, draw: int = 0) -> Beats:
    drawn = np.random.default_rng(100 + draw).integers(DONORS, size=PEOPLE * RECORDS)
    return shown(beats, (1 - WEIGHT) * beats.signal + WEIGHT * donors()[drawn[beats.record]])


def directions_exchanged(beats: Beats, draw: int = 0) -> Beats:
    """Each record's part in the key is that of a donor, three times as far from their mean."""
    drawn = np.random.default_rng(100 + draw).integers(DONORS, size=PEOPLE * RECORDS)
    theirs = donors() @ key()
    theirs += 2 * (theirs - theirs.mean(axis=0))
    moved = theirs[drawn[beats.record]] - beats.signal.astype(np.float64) @ key()
    return shown(beats, beats.signal + moved @ key().T)


def known_to_the_attacker(release: Callable[[Beats, int], Beats], pool: Beats) -> Context:
    """What an informed attacker is given who holds a released pool."""
    original = halves(people())[0]

    def again(handed: Beats, draw: int) -> Beats:
        assert handed is pool
        return release(original, 1 + draw)

    state: State = freeze({"donors": donors(), "key": key()})
    instances = (Instance(Telling(), state),)
    return Context(label=("test",), oracle=again, recorded=lambda handed: original, instances=instances)


def wander(signal: Array) -> Array:
    """The slowest two waves of each beat, 20 times as large."""
    slow = np.cos(np.pi * (np.arange(BEAT_SAMPLES) + 0.5)[:, None] * [1, 2] / BEAT_SAMPLES) * np.sqrt(2 / BEAT_SAMPLES)
    x = signal.astype(np.float64)
    found: Array = x + 19 * (x @ slow) @ slow.T
    return found


def wander_magnified(beats: Beats, draw: int = 0) -> Beats:
    return shown(beats, wander(beats.signal))


@dataclass(frozen=True)
class Hides:
    """A release, the rank-1 that it leaves at most, and the least behind a front-end that undoes it."""

    release: Release
    most: float
    least: float
    attacker: str = "template"
    by: str = "record"
    white_box: Callable[[Beats, int], Beats] | None = field(default=None, repr=False)


HIDES = {
    "nothing": Hides(unchanged, 1, 0.95, by="beat"),
    "white noise": Hides(white_noise, 0.5, 0.65),
    "fast noise": Hides(fast_noise, 0.5, 0.9),
    "specks": Hides(specks, 0.6, 0.95),
    "late T-waves": Hides(late_t_waves, 0.85, 0.9, by="beat"),
    "another mean beat a record": Hides(another_mean, 0.2, 0.6, "svd"),
    "slow waves 20 times as large": Hides(wander_magnified, 0.6, 0.95, by="beat", white_box=wander_magnified),
    # the clean rate is 1
    "16 directions exchanged": Hides(directions_exchanged, 0.55, 1, "svd", white_box=directions_exchanged),
    "nine tenths of one of 150 donors": Hides(donor_mixed_in, 0.35, 1, "svd", white_box=donor_mixed_in),
}


def recognised(front_end: FrontEnd | None, hides: Hides) -> float:
    """Rank-1 of beats or records behind the front-end, which pool, gallery and probes pass through."""
    ctx = Context(label=("test",))
    gallery, probes = halves(hides.release(people()))
    if front_end is not None:
        informed = known_to_the_attacker(hides.white_box, gallery) if hides.white_box else ctx
        state = freeze(front_end.fit(gallery, informed))
        gallery, probes = (front_end.apply(state, part, informed) for part in (gallery, probes))
    plugin = attacker(hides.attacker)
    state = plugin.fit(gallery, ctx)
    scores = quantise(plugin.score(state, plugin.enrol(state, gallery, ctx), probes, ctx))
    if hides.by == "beat":
        return rank_k(scores, np.asarray(probes.subject), 1)
    return rank_k(scores.reshape(-1, BEATS, PEOPLE).mean(axis=1), truth(probes), 1)


@cache
def hidden(release: str) -> float:
    return recognised(None, HIDES[release])


@pytest.mark.parametrize("name", [name for name, row in FRONT_ENDS.items() if row.release])
def test_people_whom_a_release_hides_are_found_behind_the_front_end(name: str) -> None:
    row = FRONT_ENDS[name]
    front_end = Registry().make("front-end", name, dict(row.quick))
    assert isinstance(front_end, FrontEnd)
    assert hidden(row.release) <= HIDES[row.release].most
    assert recognised(front_end, HIDES[row.release]) >= HIDES[row.release].least
