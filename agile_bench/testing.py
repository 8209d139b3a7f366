"""The contract as executable checks, for our own plugins and for other people's.

In a package of your own::

    from agile_bench.testing import check_plugin

    def test_mine_keeps_the_contract():
        check_plugin(MyAttacker())

Every check raises `BrokenContract` or AssertionError with the clause that was broken. All run on made-up beats, on a
CPU, in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from agile_bench.api import (
    BEAT_FIELDS,
    BEAT_SAMPLES,
    R_COLUMN,
    Anonymizer,
    Array,
    Attacker,
    AttributeAttacker,
    Beats,
    Context,
    Evaluator,
    FrontEnd,
    Instance,
    NotComputable,
    Plugin,
    Release,
    State,
)
from agile_bench.contract import check_array, check_release, check_state, freeze, only, untouched_randomness

__all__ = ["check_plugin", "made_beats"]

FLOORS = frozenset({"label", "rr"})
"""What a floor attacker may be the floor of: of all that a release can keep, what `Beats` has a field for."""


def made_beats(people: int = 6, records: int = 2, beats: int = 12, seed: int = 0) -> Beats:
    """Beats of made-up people who differ clearly, every field filled, records consecutive and in time order."""
    rng = np.random.default_rng(seed)
    t = np.arange(BEAT_SAMPLES) - R_COLUMN
    shapes = np.random.default_rng(1).uniform([0.6, 3, 0.1, 50, 8], [1.6, 6, 0.5, 80, 18], (people, 5))
    rows, labels = [], []
    for person in range(people):
        r, width, wave, centre, spread = shapes[person]
        for _ in range(records):
            for number in range(beats):
                label = 2 if number % 6 == 5 else int(number % 6 == 3)
                wide = width * (3 if label == 2 else 1)
                beat = r * np.exp(-((t / wide) ** 2)) + wave * np.exp(-(((t - centre) / spread) ** 2))
                rows.append(beat + 0.02 * rng.standard_normal(BEAT_SAMPLES))
                labels.append(label)
    n = len(rows)
    subject = np.repeat(np.arange(people), records * beats).astype(np.int32)
    record = np.repeat(np.arange(people * records), beats).astype(np.int32)
    rr = rng.uniform(0.7, 1.0, n).astype(np.float32)
    return Beats(
        **freeze(
            {
                "signal": np.asarray(rows, np.float32),
                "record": record,
                "subject": subject,
                "session": record.copy(),
                "label": np.asarray(labels, np.int8),
                "sex": (subject % 2).astype(np.int8),
                "age": (30 + 5 * subject).astype(np.float32),
                "rr_before": rr,
                "rr_after": np.roll(rr, -1),
            }
        )
    )


def check_plugin(plugin: Plugin) -> None:
    """Run every check that applies to a plugin.

    Raises
    ------
    BrokenContract, AssertionError
        With the broken clause.
    TypeError
        For a plugin of no known kind.
    """
    unknown = (plugin.learns | plugin.reads) - BEAT_FIELDS.keys()
    assert not unknown, f"learns and reads name {sorted(unknown)}; there are {sorted(BEAT_FIELDS)}"
    assert (type(plugin).__doc__ or "").strip(), "a plugin says in its docstring what it is"
    with untouched_randomness():
        for kind, check in _CHECKS.items():
            if isinstance(plugin, kind):
                check(plugin)
                return
    raise TypeError(f"{type(plugin).__name__} is of no kind that can be checked on made-up beats")


def _context(*label: str | int, **more: Any) -> Context:
    return Context(label=("check", *label), **more)


def _with_signal(beats: Beats, signal: Array) -> Beats:
    return beats.with_signal(freeze({"signal": signal})["signal"])


def _anonymizer(plugin: Anonymizer) -> None:
    beats = made_beats()
    state = check_state(plugin.fit(only(beats, plugin.learns), _context("fit")), "fit")
    freeze(state)
    record = only(beats.take(beats.record == 3), plugin.reads)

    def once(key: str, given: Beats) -> dict[str, Array]:
        return check_release(plugin.release(state, given, _context("release", key)), len(given))

    first = once("a", record)
    for name, array in first.items():
        assert array.tobytes() == once("a", record)[name].tobytes(), f"the same key gave another {name}"
    if plugin.stochastic:
        other = once("b", record)
        assert any(first[k].tobytes() != other[k].tobytes() for k in first), "stochastic, but two keys gave equal bytes"
    once("a", only(record.take(np.arange(1)), plugin.reads))


def _attacker(plugin: Attacker) -> None:
    beats = made_beats(people=6, records=3)
    if plugin.floor:
        _floor_declared(plugin)
        beats = _with_habits(beats)
    pool = only(beats.take(beats.record % 3 == 0), plugin.learns | {"subject"})
    chosen = (beats.record % 3 == 1) & (np.asarray(beats.subject) < 5)
    gallery = only(beats.take(chosen), plugin.learns | {"subject"})
    probes_full = beats.take((beats.record % 3 == 2) & (np.asarray(beats.subject) < 5))
    probes = only(probes_full, plugin.reads - {"subject"})
    scores = _fitted_scores(plugin, pool, gallery, probes)
    again = _fitted_scores(plugin, pool, gallery, probes)
    assert np.array_equal(scores, again), "fitting twice gave other scores"
    truth = np.asarray(probes_full.subject)
    if plugin.unit == "record":
        truth = truth[np.unique(probes_full.record, return_index=True)[1]]
    if not plugin.anchor:
        found = (scores.argmax(axis=1) == truth) & ~np.isneginf(scores).all(axis=1)
        hit = float(np.mean(found))
        assert hit > 0.5, f"people who differ clearly are recognised in {hit:.0%} of cases, chance is 20 %"
    if plugin.floor:
        blank = (_with_signal(part, np.zeros_like(part.signal)) for part in (pool, gallery, probes))
        unseen = _fitted_scores(plugin, next(blank), next(blank), next(blank))
        assert np.array_equal(scores, unseen), "a floor attacker does not look at the signal"
    _constant_beats(plugin, pool, gallery, probes)


def _floor_declared(plugin: Attacker) -> None:
    """What a floor attacker says of itself."""
    unknown = plugin.floor - FLOORS
    assert not unknown, f"floor names {sorted(unknown)}; there are {sorted(FLOORS)}"
    assert plugin.unit == "record", "a floor attacker has the unit record"
    for name, fields in (("learns", plugin.learns), ("reads", plugin.reads)):
        missing = plugin.floor - fields
        assert not missing, f"{name} lacks {sorted(missing)}, which floor names"
    more = plugin.reads - plugin.floor
    assert not more, f"reads names {sorted(more)}: a floor attacker uses what floor names, alone"


def _with_habits(beats: Beats) -> Beats:
    """The same beats with a rhythm and a mix of classes that differ clearly by person; one shape for all."""
    subject = np.asarray(beats.subject)
    jitter = 0.01 * np.random.default_rng(2).standard_normal(len(beats))
    before = (0.6 * 1.12**subject * np.exp(jitter)).astype(np.float32)
    after = np.roll(before, -1)
    starts = np.unique(beats.record, return_index=True)[1]
    before[starts], after[starts - 1] = np.nan, np.nan
    habits = {
        "signal": np.tile(beats.signal[0], (len(beats), 1)),
        "label": np.where(np.arange(len(beats)) % 2 == 1, subject % 5, 0).astype(np.int8),
        "rr_before": before,
        "rr_after": after,
    }
    return replace(beats, **freeze(habits))


def _constant_beats(plugin: Attacker, pool: Beats, gallery: Beats, probes: Beats) -> None:
    """One beat, of one class and at one rate, for everybody must neither crash an attacker nor tell people apart."""

    def flat(beats: Beats) -> Beats:
        same = {
            "signal": pool.signal[0],
            "label": np.int8(0),
            "rr_before": np.float32(0.8),
            "rr_after": np.float32(0.8),
        }
        there = {k: v for k, v in same.items() if getattr(beats, k) is not None}
        made = {k: np.ascontiguousarray(np.broadcast_to(v, getattr(beats, k).shape)) for k, v in there.items()}
        return replace(beats, **freeze(made))

    try:
        scores = _fitted_scores(plugin, flat(pool), flat(gallery), flat(probes), " on equal beats")
    except NotComputable:
        return
    if plugin.anchor:
        return
    lost = np.isneginf(scores)
    finite = np.where(lost, 0.0, scores)
    spread = np.ptp(finite, axis=0).max()
    alike = (lost == lost[:1]).all() and spread < 1e-5 * max(1.0, float(np.abs(finite).max()))
    assert alike, "equal probes are scored differently"


def _fitted_scores(plugin: Attacker, pool: Beats, gallery: Beats, probes: Beats, given: str = "") -> Array:
    """Scores of the probes against five people; a probe of -inf for everybody was not acquired, and may be."""
    state = freeze(check_state(plugin.fit(pool, _context("fit")), f"fit{given}"))
    enrolled = freeze(check_state(plugin.enrol(state, gallery, _context("enrol")), "enrol"))
    rows = len(probes) if plugin.unit == "beat" else len(np.unique(probes.record))
    scores = plugin.score(state, enrolled, probes, _context("score"))
    return check_array(scores, (rows, 5), "score", lost_allowed=True)


def _evaluator(plugin: Evaluator) -> None:
    beats = made_beats(people=8)
    train = only(beats.take(np.asarray(beats.subject) < 4), plugin.learns - {"subject"})
    test = only(beats.take(np.asarray(beats.subject) >= 4), plugin.reads - {"subject"})
    state = freeze(check_state(plugin.fit(train, _context("fit")), "fit"))
    for released in (test, _with_signal(test, np.zeros_like(test.signal))):
        found = plugin.evaluate(state, test, released, _context("evaluate"))
        assert set(found) == set(plugin.yields), f"evaluate returned {sorted(found)}, not {sorted(plugin.yields)}"
        for name, declared in plugin.yields.items():
            n = len(np.unique(test.record)) if declared.kind == "per-record" else len(test)
            tail = {"class-scores": (5,), "waveform": (BEAT_SAMPLES,)}.get(declared.kind, ())
            check_array(found[name], (n, *tail), name, nan_allowed=declared.kind.startswith("per-"))


class _Mixing(Anonymizer):
    """Four fifths of one donor in every record; exposes its donors and a subspace, for front-ends that use them."""

    exposes: ClassVar[Mapping[str, tuple[str, ...]]] = {"donors": ("donors",), "subspace": ("subspace",)}

    def release(self, state: State, beats: Beats, ctx: Context) -> Release:
        """One fifth of each beat, and a donor."""
        records, code = np.unique(beats.record, return_inverse=True)
        drawn = ctx.rng("donors").integers(len(state["donors"]), size=len(records))
        return Release(signal=(0.2 * beats.signal + 0.8 * state["donors"][drawn[code]]).astype(np.float32))


def _front_end(plugin: FrontEnd) -> None:
    """With an anonymizer that tells nothing, unless it says that it cannot use one, and with one that tells all."""
    beats = made_beats()
    with suppress(NotComputable):  # it may need what this one does not tell
        _front_end_learns(plugin, beats, _context("front-end", instances=(Instance(Anonymizer(), {}),)))
    others = made_beats(people=8, seed=9).signal[::24].astype(np.float64)
    state = freeze({"donors": others, "subspace": np.ascontiguousarray(np.linalg.qr(others[:3].T)[0])})
    mixing = _Mixing()

    def released(given: Beats, draw: int) -> Beats:
        release = mixing.release(state, beats, _context("release", draw))
        assert release.signal is not None
        return _with_signal(given, release.signal)

    pool = released(beats, 0)
    ctx = _context(
        "front-end",
        oracle=released,
        recorded=lambda given: _with_signal(given, beats.signal),
        instances=(Instance(mixing, state),),
    )
    _front_end_learns(plugin, pool, ctx)


def _front_end_learns(plugin: FrontEnd, pool: Beats, ctx: Context) -> None:
    state = freeze(check_state(plugin.fit(only(pool, plugin.learns), ctx), "fit"))
    given = only(pool, plugin.reads - {"subject"})
    # where it is applied it may hold no anonymizer: what it needs is in its state
    passed = plugin.apply(state, given, _context("front-end", "apply"))
    check_array(passed.signal, (len(given), BEAT_SAMPLES), "the signal behind the front-end")
    assert np.array_equal(passed.record, given.record), "a front-end changes the signal and nothing else"


def _attribute_attacker(plugin: AttributeAttacker) -> None:
    """It learns what shows clearly in beats, of people whom it then meets for the first time."""
    assert plugin.target in plugin.learns, f"an attacker of {plugin.target} learns it"
    beats = _with_sex_and_age(made_beats(people=30))
    met = np.asarray(beats.subject) >= 20
    pool, probes = only(beats.take(~met), plugin.learns), only(beats.take(met), plugin.reads & {"rr"})
    guess = _guesses(plugin, pool, probes)
    assert np.array_equal(guess, _guesses(plugin, pool, probes)), "fitting twice gave other guesses"
    if plugin.target == "sex":
        assert guess.min() >= 0 <= 1 - guess.max(), "predict gives a probability of female, in [0, 1]"
    truth = np.asarray(getattr(beats, plugin.target))[met]
    alike = float(np.corrcoef(guess, truth)[0, 1]) if np.ptp(guess) > 0 else 0.0
    assert alike > 0.5, f"{plugin.target} that shows clearly and its guess correlate by {alike:.2f}"
    flat = [_with_signal(part, np.tile(beats.signal[0], (len(part), 1))) for part in (pool, probes)]
    for learnt in (pool, flat[0]):
        spread = float(np.ptp(_guesses(plugin, learnt, only(flat[1], frozenset()))))
        assert spread <= 1e-5 * max(1.0, float(np.abs(truth).max())), "equal probes are guessed differently"


def _guesses(plugin: AttributeAttacker, pool: Beats, probes: Beats) -> Array:
    state = freeze(check_state(plugin.fit(pool, _context("fit")), "fit"))
    return check_array(plugin.predict(state, probes, _context("predict")), (len(probes),), "predict")


def _with_sex_and_age(beats: Beats) -> Beats:
    """The same beats with a late wave that only women have, and an early one that grows with age."""
    subject = np.asarray(beats.subject)
    t = np.arange(BEAT_SAMPLES) - R_COLUMN
    late, early = (np.exp(-(((t - centre) / 6) ** 2)) for centre in (95, -50))
    age = (20 + 7 * subject % 61).astype(np.float32)
    shown = 0.4 * late * np.asarray(beats.sex)[:, None] + 0.01 * early * age[:, None]
    return replace(beats, **freeze({"signal": (beats.signal + shown).astype(np.float32), "age": age}))


_CHECKS: dict[type[Plugin], Callable[[Any], None]] = {
    Anonymizer: _anonymizer,
    Attacker: _attacker,
    Evaluator: _evaluator,
    FrontEnd: _front_end,
    AttributeAttacker: _attribute_attacker,
}
