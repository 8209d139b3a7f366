"""Sex and age in a run: who learns from whom, what is shown to whom, and when the figures stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_plugins import row_of, rows_of, task_of, tasks_of, told
from small_runs import TEMPLATE_FILE, Run, plugin_file, run_here, small

from agile_bench.api import Refusal
from agile_bench.engine.attribute_verdicts import PROTOCOL
from agile_bench.engine.rescore import rescore
from agile_bench.engine.run import Outcome, write_run
from agile_bench.engine.suite import Suite

CROWD = '''
from dataclasses import replace

import numpy as np
from pydantic import Field

from agile_bench.datasets.synthetic import Synthetic


class Crowd(Synthetic):
    """Every second person is a woman and has a late wave; the older, the larger the beats."""

    unknown: int = Field(default=0, description="so many people, from the first on, of unknown sex")
    women: int = Field(default=1000, description="at most so many women")
    oldest: int = Field(default=90, description="years of the oldest")

    def read(self, root, record):
        found = super().read(root, record)
        person = int(record[1:7])
        female = person % 2 == 1 and person // 2 < self.women
        age = 20.0 + (37 * person) % (self.oldest - 19)
        signal = found.signal.copy()
        place = np.arange(len(signal)) / found.fs
        for peak in found.rpeaks:
            signal[:, 0] += 0.5 * female * np.exp(-0.5 * ((place - peak / found.fs - 0.4) / 0.02) ** 2)
        signal = signal * np.exp((age - 55) / 40)
        sex = None if person <= self.unknown else "F" if female else "M"
        return replace(found, signal=signal, sex=sex, age=age)
'''
ATTACKERS = '''
import numpy as np

from agile_bench.api import AttributeAttacker


def size(beats):
    return np.ptp(beats.signal, axis=1).astype(np.float64)


def late(beats):
    return beats.signal[:, 170:185].mean(axis=1).astype(np.float64) / size(beats)


class Late(AttributeAttacker):
    """Sex by the late wave."""

    target = "sex"
    learns = frozenset({"sex"})

    def fit(self, pool, ctx):
        assert pool.subject is None and pool.age is None and (pool.sex >= 0).all()
        x = late(pool)
        return {"ends": np.array([x[pool.sex == s].mean() for s in (0, 1)])}

    def predict(self, state, probes, ctx):
        assert probes.subject is None and probes.age is None and probes.sex is None and probes.label is None
        man, woman = state["ends"]
        slope = np.clip((woman - man) * 1e3, -200, 200)
        return 1 / (1 + np.exp(-slope * (late(probes) - (man + woman) / 2)))


class Large(AttributeAttacker):
    """Age by the size of beats."""

    target = "age"
    learns = frozenset({"age"})

    def fit(self, pool, ctx):
        x, age = np.log(size(pool)), pool.age.astype(np.float64)
        slope = np.mean((x - x.mean()) * (age - age.mean())) / (np.var(x) + 1e-9)
        return {"line": np.array([slope, age.mean() - slope * x.mean()])}

    def predict(self, state, probes, ctx):
        return np.polyval(state["line"], np.log(size(probes)))


class Dull(Late):
    """Calls everybody a bit of both."""

    def predict(self, state, probes, ctx):
        return np.full(len(probes), 0.5)


class Knows(Late):
    """Needs no teaching."""

    def predict(self, state, probes, ctx):
        return (late(probes) > 0.1).astype(float)


class Boasts(Late):
    """More than certain."""

    def predict(self, state, probes, ctx):
        return np.full(len(probes), 1.5)
'''
NAMES = ("Late", "Large", "Dull", "Knows", "Boasts")
FILES = (
    TEMPLATE_FILE,
    plugin_file("crowd", "Crowd", CROWD),
    *(plugin_file(name.lower(), name, ATTACKERS) for name in NAMES),
)
LEVELS = ("unprotected", "ignorant", "lazy-informed", "semi-informed", "informed")
SETTINGS = {"people": 44, "seconds": 10.0, "sessions": 1}


def suite(*attackers: str, anonymizers: Any = ("passthrough",), levels: Any = ("ignorant",), **changes: Any) -> Suite:
    settings = SETTINGS | changes.pop("settings", {})
    dataset = {"name": "crowd", "protocols": ("same-day",), "settings": settings}
    asked = {"attackers": attackers, "anonymizers": anonymizers, "knowledge": levels, "datasets": (dataset,)}
    return small(**asked | changes)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attributes")


@pytest.fixture(scope="module")
def full(store: Path) -> Run:
    asked = suite("late", "large", anonymizers=("passthrough", "constant", "gaussian"), levels=LEVELS)
    run = run_here(asked, store, FILES)
    assert run.executor.failures == {}
    return run


def control(run: Run, name: str, plugin: str, metric: str) -> dict[str, Any]:
    return row_of(run.rows, role="control", control=name, plugin=plugin, metric=metric)


def test_cues_are_found_unprotected_and_not_when_the_pool_is_shuffled(full: Run) -> None:
    assert control(full, "positive", "late", "sex-auroc")["value"] > 0.9
    assert control(full, "positive", "late", "sex-balanced-accuracy")["value"] > 0.85
    median = control(full, "positive", "large", "age-mae-median")["value"]
    assert control(full, "positive", "large", "age-mae")["high"] < median
    assert control(full, "positive", "large", "age-r2")["value"] > 0.2
    assert control(full, "permuted", "late", "sex-auroc")["low"] < 0.5
    assert control(full, "permuted", "large", "age-mae")["high"] > median


def test_every_level_but_the_one_that_needs_a_gallery_has_a_cell_of_each_method(full: Run) -> None:
    found = {(r["anonymizer"], r["knowledge"], r["plugin"]) for r in full.rows if r["role"] in ("method", "anchor")}
    levels = ("ignorant", "semi-informed", "informed")
    assert found == {
        (a, level, plugin)
        for a in ("passthrough", "constant", "gaussian")
        for level in levels
        for plugin in ("late", "large")
    }
    assert {r["status"] for r in full.rows} == {"ok"}
    assert {(r["protocol"], r["level"], r["subjects"]) for r in full.rows} == {(PROTOCOL, "subject", 44)}
    pools = {r["knowledge"]: (r["pool"], r["gallery"], r["probe"]) for r in full.rows}
    assert pools["semi-informed"] == ("released (own)", "", "released")
    assert pools["unprotected"] == ("original", "", "original")


def test_what_changes_nothing_protects_nothing_and_one_beat_for_all_is_chance(full: Run) -> None:
    for level in ("ignorant", "semi-informed", "informed"):
        for plugin, metric in (("late", "sex-auroc"), ("large", "age-mae")):
            same, none = (
                row_of(full.rows, anonymizer=a, knowledge=level, plugin=plugin, metric=metric)
                for a in ("passthrough", "constant")
            )
            assert same["value"] == control(full, "positive", plugin, metric)["value"]
            assert none["value"] == 0.5 if metric == "sex-auroc" else none["high"] > 20
    directions = {r["metric"]: r["higher_is_better"] for r in full.rows}
    assert directions["age-mae"]
    assert not directions["sex-auroc"]


def test_nobody_is_in_a_pool_and_its_probes_and_everybody_is_probed_once(full: Run) -> None:
    split = task_of(full, "attribute-split").address
    arrays = full.store.arrays(split)
    people = [
        [set(arrays["beats/subject"][arrays[f"{fold}.{role}"]].tolist()) for role in ("pool", "probe")]
        for fold in range(5)
    ]
    assert all(not pool & probe for pool, probe in people)
    assert sorted(p for _, probe in people for p in probe) == list(range(44))
    for task in (*tasks_of(full, "attribute-fit"), *tasks_of(full, "guesses")):
        assert task.inputs["split"] == [split]


def test_who_fits_whose_instance_and_under_which_key(full: Run) -> None:
    fitted = tasks_of(full, "fitted")
    rows = {(t.parts["spec"]["who"], t.parts["spec"]["rows"]) for t in fitted}
    assert rows == {(who, f"{fold}.pool") for who in ("defender", "attacker") for fold in range(5)}
    keys = {(t.parts["spec"]["role"].partition(".")[2], t.parts["spec"]["key"]) for t in tasks_of(full, "release")}
    assert keys == {("probe", "key-0"), ("pool", "attacker")}


def test_the_defender_may_be_fitted_on_those_whom_it_releases(store: Path) -> None:
    run = run_here(suite("late", fitted_on="same-people", levels=("semi-informed",)), store, FILES)
    rows = {(t.parts["spec"]["who"], t.parts["spec"]["rows"]) for t in tasks_of(run, "fitted")}
    assert rows == {(who, f"{f}.{r}") for who, r in (("defender", "probe"), ("attacker", "pool")) for f in range(5)}


def test_the_permuted_pool_has_the_same_sexes_one_to_a_person_dealt_out_anew(full: Run) -> None:
    fits = [t for t in tasks_of(full, "attribute-fit", fold=0) if "pool_release" not in t.inputs]
    by_kind = {
        t.parts["spec"]["permuted"]: full.store.arrays(t.address) for t in fits if t.uses["attacker"].name == "late"
    }
    truth, dealt = (
        {p: set(a["pool_truth"][a["pool_person"] == p]) for p in a["pool_person"]}
        for a in (by_kind[False], by_kind[True])
    )
    assert all(len(sexes) == 1 for sexes in dealt.values())
    assert sum(s == {1.0} for s in truth.values()) == sum(s == {1.0} for s in dealt.values())
    assert truth != dealt


def test_figures_are_made_again_from_the_run_folder(full: Run, tmp_path: Path) -> None:
    write_run(tmp_path, full.plan, full.store, Outcome(full.frame, {}, len(full.plan.cells), 0, 0), "cpu")
    again = rescore(tmp_path)
    assert again.differences == []
    assert again.figures == len(full.rows)


def test_a_front_end_stands_before_pool_and_probes(store: Path, full: Run) -> None:
    run = run_here(suite("late+average"), store, FILES)
    row = row_of(run.rows, role="anchor", metric="sex-auroc")
    assert (row["plugin"], row["front_end"], row["status"]) == ("late", "average", "ok")
    before, behind = (r.store.arrays(tasks_of(r, "guesses", fold=0)[0].address)["guess"] for r in (full, run))
    assert not np.array_equal(before, behind)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"attackers": ("late+project-out",)}, r"late\+project-out: project-out exploits an anonymizer"),
        (
            {"attackers": ("plain",), "screen": "late", "front_ends": ("average",), "knowledge": ("informed",)},
            "screen: 'late' recognises nobody",
        ),
    ],
)
def test_what_cannot_be_combined_is_refused(store: Path, changes: dict[str, Any], why: str) -> None:
    with pytest.raises(Refusal, match=why):
        run_here(suite(**changes), store, FILES)


def test_identity_figures_are_what_they_are_without(store: Path) -> None:
    alone = run_here(suite("plain", settings={"people": 40}), store, FILES)
    beside = run_here(suite("plain", "late", settings={"people": 40}), store, FILES)
    identity = [r for r in beside.rows if r["protocol"] != PROTOCOL]
    assert told(identity) == told(alone.rows)
    assert len(identity) < len(beside.rows)
    assert beside.frame.comparisons == alone.frame.comparisons


# -- when figures stand ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plugin", "why"),
    [
        ("dull", r"did not learn: sex-auroc 0\.5 \[.*\], knowing nothing 0\.5"),
        ("knows", "guesses people whose sex it was never told: sex-auroc"),
    ],
)
def test_an_attacker_that_fails_a_control_is_evidence_of_nothing(store: Path, plugin: str, why: str) -> None:
    run = run_here(suite(plugin, "late"), store, FILES)
    marked = rows_of(run.rows, plugin=plugin, role="anchor")
    assert {r["status"] for r in marked} == {"invalid"}
    assert all(re.match(why, r["reason"]) for r in marked)
    assert {r["status"] for r in rows_of(run.rows, plugin="late")} == {"ok"}


def test_a_probability_above_one_fails_its_cells(store: Path) -> None:
    run = run_here(suite("boasts"), store, FILES)
    assert {r["status"] for r in run.rows} == {"failed"}
    assert {(r["metric"], r["level"]) for r in run.rows} == {("sex-auroc", "subject")}
    assert all("outside of [0, 1]" in r["reason"] for r in run.rows)


@pytest.mark.parametrize(
    ("settings", "plugins", "why"),
    [
        (
            {"people": 12},
            ("late", "large"),
            "the sex of 12 people is known, 40 are needed; the age of 12 people is known",
        ),
        ({"unknown": 6}, ("late",), "the sex of 38 people is known, 40 are needed"),
        ({"women": 5}, ("late",), "5 women and 39 men, 10 of each are needed"),
        (
            {"oldest": 50},
            ("large",),
            r"\d+ people below 40, \d+ of 40-59, 0 of 60-79, 0 from 80 on; 10 in each of 3 bands",
        ),
    ],
)
def test_people_that_cannot_support_a_claim_are_not_computable(
    store: Path, settings: dict[str, Any], plugins: tuple[str, ...], why: str
) -> None:
    run = run_here(suite("late", "large", settings=settings), store, FILES)
    for plugin in ("late", "large"):
        rows = rows_of(run.rows, plugin=plugin)
        if plugin in plugins:
            assert {r["status"] for r in rows} == {"not-computable"}
            assert all(re.search(why, r["reason"]) for r in rows)
        else:
            assert {r["status"] for r in rows} == {"ok"}


def test_people_of_unknown_sex_are_left_out_and_keep_their_age(store: Path) -> None:
    run = run_here(suite("late", "large", settings={"unknown": 3}), store, FILES)
    assert control(run, "positive", "late", "sex-auroc")["n"] == 41
    assert control(run, "positive", "large", "age-mae")["n"] == 44


def test_seeds_draw_other_folds(store: Path) -> None:
    run = run_here(suite("late", seeds=(0, 1)), store, FILES)
    values = [r["value"] for r in rows_of(run.rows, control="positive", metric="sex-auroc")]
    assert len(values) == 2
    assert len(tasks_of(run, "attribute-split")) == 2
    first, second = (run.store.arrays(t.address) for t in tasks_of(run, "attribute-split"))
    people = [set(a["beats/subject"][a["0.probe"]].tolist()) for a in (first, second)]
    assert people[0] != people[1]
