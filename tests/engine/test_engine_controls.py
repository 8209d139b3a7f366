"""Controls in a run: releases of known effect, and what becomes of attackers that do not take them as they must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_plugins import COUNTED, COUNTS_FILE, row_of, rows_of, task_of, tasks_of, told
from small_runs import TEMPLATE_FILE, Run, plugin_file, run_here, small

from agile_bench.api import Array
from agile_bench.engine.columns import Row
from agile_bench.metrics.distortion import distortions
from agile_bench.metrics.moments import moments

PEOPLE = 12
COHORT = {
    "name": "synthetic",
    "protocols": ("same-day",),
    "settings": {"people": PEOPLE, "seconds": 12.0, "sessions": 1},
}
LEVELS = ("ignorant", "lazy-informed", "semi-informed", "informed")
SPIKES = ("spike=0.003", "spike=0.01", "spike=0.03", "spike=0.1")
DOSES = ("dose=0", "dose=0.25", "dose=0.5", "dose=0.75")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Run:
    suite = small(
        anonymizers=("passthrough", {"name": "gaussian", "snr_db": -16.0}),
        attackers=("plain", "random-guess"),
        knowledge=LEVELS,
        controls="full",
        datasets=(COHORT,),
    )
    run = run_here(suite, tmp_path_factory.mktemp("full"))
    assert run.executor.failures == {}
    return run


def figure(run: Run, control: str, knowledge: str, metric: str = "rank-1") -> float:
    """A record-level figure of the plain attacker at a control."""
    row = row_of(
        run.rows,
        role="control",
        control=control,
        knowledge=knowledge,
        plugin="plain",
        metric=metric,
        level="record",
    )
    assert row["status"] == "ok"
    return float(row["value"])


def controls_of(run: Run, plugin: str) -> set[tuple[str, str, str]]:
    return {(r["control"], r["knowledge"], r["anonymizer"]) for r in rows_of(run.rows, role="control", plugin=plugin)}


def test_every_control_is_there_at_its_levels_beside_methods_only_and_for_real_attackers_only(full: Run) -> None:
    basic = {("positive", "unprotected", ""), ("permuted", "unprotected", "")}
    known = {(name, level, "") for name in ("constant", "scramble") for level in ("ignorant", "semi-informed")}
    known |= {("pseudo-identities", level, "") for level in ("ignorant", "lazy-informed")}
    known |= {(spike, "semi-informed", "") for spike in SPIKES}
    beside = {("matched-noise", level, "gaussian") for level in ("ignorant", "semi-informed")}
    beside |= {(dose, "ignorant", "gaussian") for dose in DOSES}
    beside |= {("perturbation-only", "semi-informed", "gaussian")}
    assert controls_of(full, "plain") == basic | known | beside
    assert controls_of(full, "random-guess") == basic


def test_what_stands_beside_a_method_is_met_at_the_levels_that_are_asked(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    suite = small(anonymizers=("gaussian",), knowledge=("semi-informed",), controls="full")
    run = run_here(suite, tmp_path_factory.mktemp("semi"))
    beside = {c for c in controls_of(run, "plain") if c[2]}
    assert beside == {
        ("matched-noise", "semi-informed", "gaussian"),
        ("perturbation-only", "semi-informed", "gaussian"),
    }
    plain = run_here(small(), tmp_path_factory.mktemp("plain"))
    assert controls_of(plain, "plain") == {("positive", "unprotected", ""), ("permuted", "unprotected", "")}


@pytest.mark.parametrize("knowledge", ["ignorant", "semi-informed"])
def test_equal_beats_tell_nothing_at_all(full: Run, knowledge: str) -> None:
    expected = {"eer": 0.5, "eer-folded": 0.5, "auc": 0.5, "rank-1": 1 / PEOPLE, "linkability": 0.0}
    found = {metric: figure(full, "constant", knowledge, metric) for metric in expected}
    assert found == pytest.approx(expected, abs=1e-15)
    assert (found["eer"], found["auc"], found["linkability"]) == (0.5, 0.5, 0.0)


def test_one_and_the_same_beat_is_shown_in_every_role(full: Run) -> None:
    shown = [full.store.arrays(t.address)["signal"] for t in tasks_of(full, "variant", control="constant")]
    assert len(shown) >= 3
    assert len({row.tobytes() for signal in shown for row in signal}) == 1


def test_a_fixed_scramble_hides_from_who_does_not_retrain_and_from_nobody_else(full: Run) -> None:
    assert figure(full, "scramble", "semi-informed") == figure(full, "positive", "unprotected") > 0.8
    assert figure(full, "scramble", "ignorant") < 0.3


def test_swapped_people_are_missed_by_who_enrols_originals_and_found_by_who_enrols_releases(full: Run) -> None:
    assert figure(full, "pseudo-identities", "ignorant") <= 1 / PEOPLE
    assert figure(full, "pseudo-identities", "lazy-informed") >= figure(full, "positive", "unprotected") - 0.1


def test_permuted_names_are_recognised_by_chance(full: Run) -> None:
    row = row_of(full.rows, role="control", control="permuted", plugin="plain", metric="rank-1", level="record")
    assert row["low"] <= 1 / PEOPLE <= row["high"]
    assert row["value"] <= 0.25


def test_the_largest_spike_is_found_and_a_larger_one_is_no_harder_to_find(full: Run) -> None:
    found = [figure(full, spike, "semi-informed", "auc") for spike in SPIKES]
    assert figure(full, SPIKES[-1], "semi-informed") == 1.0
    assert found == sorted(found)
    assert figure(full, "constant", "semi-informed", "auc") < found[0]


# -- beside a method ---------------------------------------------------------------------------------------------------


def numbers(rows: list[Row]) -> dict[tuple[str, str], tuple[str, ...]]:
    names = ("value", "low", "high", "n", "n_genuine", "n_impostor", "fta", "beats_per_probe", "status", "reason")
    return {(row["metric"], row["level"]): tuple(repr(row[n]) for n in names) for row in rows}


def test_no_dose_is_the_original_bit_for_bit(full: Run) -> None:
    rows = rows_of(full.rows, role="control", plugin="plain")
    none, clean = (numbers(rows_of(rows, control=name)) for name in ("dose=0", "positive"))
    assert len(clean) > 20
    assert none == clean
    before, after = (scores_of(full, control) for control in ("positive", "dose=0"))
    assert before.keys() == after.keys()
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)


def scores_of(run: Run, control: str) -> dict[str, Array]:
    """What the plain attacker scored at a control that it meets once."""
    cells = [c for c in run.plan.cells if c.axes.get("control") == control and c.axes["plugin"] == "plain"]
    (address,) = run.plan.tasks[cells[0].measures].inputs["scores"]
    return run.store.arrays(address)


def test_more_of_a_release_hides_more(full: Run) -> None:
    found = [figure(full, dose, "ignorant", "auc") for dose in DOSES]
    whole = row_of(
        full.rows,
        role="method",
        plugin="plain",
        anonymizer="gaussian",
        knowledge="ignorant",
        metric="auc",
        level="record",
    )
    assert found == sorted(found, reverse=True)
    assert found[0] > whole["value"] + 0.1
    assert found[-1] > whole["value"]


def probes(run: Run, role: str = "0.probe", **spec: object) -> tuple[Array, Array, Array, Array]:
    """A role's beats: original, as a variant shows them, as the release does that it is made from; their records."""
    task = task_of(run, "variant", role=role, **spec)
    split = run.store.arrays(task.inputs["split"][0])
    shown, given = (run.store.arrays(a)["signal"] for a in (task.address, *task.inputs["release"]))
    rows = split[role]
    return split["beats/signal"][rows], shown, given, split["beats/record"][rows]


def prdn(original: Array, shown: Array, record: Array) -> Array:
    return distortions(moments(original, shown, record))["prdn"]


def test_matched_noise_is_as_far_from_the_original_as_the_release_in_every_record_and_another_noise(full: Run) -> None:
    original, shown, given, record = probes(full, control="matched-noise")
    assert len(np.unique(record)) == PEOPLE
    assert prdn(original, shown, record) == pytest.approx(prdn(original, given, record), rel=1e-4)
    between = np.corrcoef((shown - original).ravel(), (given - original).ravel())[0, 1]
    assert abs(between) < 0.05


@pytest.mark.parametrize("amount", [0.0, 0.25, 0.5, 0.75])
def test_a_dose_is_that_share_of_the_methods_own_distortion(full: Run, amount: float) -> None:
    original, shown, given, record = probes(full, control="dose", amount=amount)
    assert prdn(original, shown, record) == pytest.approx(amount * prdn(original, given, record), rel=1e-3, abs=1e-12)


@pytest.mark.parametrize("role", ["0.pool", "0.gallery", "0.probe"])
def test_the_perturbation_alone_is_the_release_less_the_original_in_the_rhythm_of_nobody(full: Run, role: str) -> None:
    original, shown, given, _ = probes(full, control="perturbation-only", role=role)
    assert shown == pytest.approx(given - original, abs=1e-4)
    assert np.abs(shown).max() > 0.1
    (task,) = tasks_of(full, "variant", control="perturbation-only", role=role)
    rhythm = full.store.arrays(task.address)
    assert np.ptp(rhythm["rr_before"]) == np.ptp(rhythm["rr_after"]) == 0


def test_the_pools_perturbation_is_of_the_attackers_own_instance(full: Run) -> None:
    made_by = {}
    for role in ("0.pool", "0.gallery", "0.probe"):
        (task,) = tasks_of(full, "variant", control="perturbation-only", role=role)
        release = full.plan.tasks[task.inputs["release"][0]]
        made_by[role] = {full.plan.tasks[a].parts["spec"]["who"] for a in release.inputs["fitted"]}
    assert made_by == {"0.pool": {"attacker"}, "0.gallery": {"defender"}, "0.probe": {"defender"}}


def test_noise_that_knows_nobody_says_nothing_alone(full: Run) -> None:
    row = row_of(
        full.rows, role="control", control="perturbation-only", plugin="plain", metric="rank-1", level="record"
    )
    assert row["status"] == "ok"
    assert row["low"] <= 1 / PEOPLE <= row["high"]


OWN = '''
import numpy as np
from agile_bench.api import Anonymizer, Release

class Own(Anonymizer):
    """A small wave of the person's own; of size 0 it adds nothing."""
    stochastic = False
    reads = frozenset({"subject"})
    size: float = 0.05

    def release(self, state, beats, ctx):
        wave = np.random.default_rng(int(beats.subject[0])).standard_normal(200)
        return Release(signal=(beats.signal + self.size * wave).astype("float32"))
'''


@pytest.mark.parametrize(("size", "finds"), [(0.05, True), (0.0, False)])
def test_a_wave_of_the_persons_own_is_a_biometric_and_never_an_attackers_figure(
    tmp_path: Path, size: float, finds: bool
) -> None:
    suite = small(
        anonymizers=({"name": "own", "size": size},),
        knowledge=("semi-informed",),
        controls="full",
        datasets=(COHORT,),
    )
    run = run_here(suite, tmp_path, (plugin_file("own", "Own", OWN), TEMPLATE_FILE))
    assert run.executor.failures == {}
    alone = figure(run, "perturbation-only", "semi-informed")
    assert alone == pytest.approx(1.0 if finds else 1 / PEOPLE)
    (top,) = (r for r in rows_of(run.rows, role="strongest") if r["metric"] == "rank-1")
    method = row_of(run.rows, role="method", knowledge="semi-informed", metric="rank-1", level="record")
    assert top["value"] == method["value"]
    assert all(c["b"].get("control") != "perturbation-only" for c in run.frame.comparisons)


# -- screening of front-ends -------------------------------------------------------------------------------------------


def test_attackers_share_the_choices_of_their_front_ends(tmp_path: Path) -> None:
    suite = small(
        attackers=("plain", "svd"), knowledge=("informed",), front_ends=("average", "median"), datasets=(COHORT,)
    )
    run = run_here(suite, tmp_path)
    anonymizers = 2
    assert len(tasks_of(run, "choice")) == anonymizers
    chosen = {
        t.uses["attacker"].name: t.inputs.get("choice") for t in tasks_of(run, "attacker") if "choice" in t.inputs
    }
    assert chosen.keys() == {"plain", "svd"}


# -- attackers that fail a control -------------------------------------------------------------------------------------

COUNTED_COHORT = {
    "name": "counted",
    "protocols": ("same-day",),
    "settings": {"people": PEOPLE, "seconds": 50.0, "sessions": 1},
}


def counting(controls: str, folder: Path) -> Run:
    suite = small(attackers=("counts", "plain"), knowledge=("ignorant",), controls=controls, datasets=(COUNTED_COHORT,))
    return run_here(suite, folder, (COUNTED, COUNTS_FILE, TEMPLATE_FILE))


def test_who_tells_equal_beats_apart_is_invalid_wherever_it_was_used(tmp_path_factory: pytest.TempPathFactory) -> None:
    run = counting("full", tmp_path_factory.mktemp("counting"))
    asked = [r for r in run.rows if r["role"] in ("method", "anchor") and r["knowledge"] and r["level"] == "record"]
    computed = [r for r in asked if r["status"] != "not-computable"]
    assert {r["status"] for r in computed if r["plugin"] == "counts"} == {"invalid"}
    assert all(r["reason"].startswith("tells equal beats apart: rank-1 ") for r in computed if r["plugin"] == "counts")
    assert {r["status"] for r in computed if r["plugin"] == "plain"} == {"ok"}
    marked = row_of(
        run.rows, plugin="counts", control="constant", knowledge="ignorant", metric="rank-1", level="record"
    )
    assert (marked["status"], marked["reason"][:23]) == ("ok", "tells equal beats apart")
    assert {r["plugin"] for r in rows_of(run.rows, role="strongest")} == {"plain"}


def test_the_basic_controls_alone_do_not_find_it_out(tmp_path_factory: pytest.TempPathFactory) -> None:
    run = counting("standard", tmp_path_factory.mktemp("standard"))
    ours = [r for r in run.rows if r["plugin"] == "counts" and r["role"] == "method" and r["metric"] == "rank-1"]
    assert {r["status"] for r in ours} == {"ok"}


def test_full_controls_change_no_number_of_who_passes_them(full: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    suite = small(
        anonymizers=("passthrough", {"name": "gaussian", "snr_db": -16.0}),
        attackers=("plain", "random-guess"),
        knowledge=LEVELS,
        datasets=(COHORT,),
    )
    few, many = told(run_here(suite, full.store).rows), told(full.rows)
    assert len(few) > 100
    assert {key: many[key] for key in few} == few
