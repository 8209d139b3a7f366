"""An informed attacker takes the front-end that serves its held-out beats, and may see its beats as recorded."""

from pathlib import Path

import numpy as np
import pytest
from small_runs import TEMPLATE_FILE, Run, plugin_file, run_here, small

from agile_bench.api import Refusal

RECORD_MEAN = '''
import numpy as np
from agile_bench.api import FrontEnd

class RecordMean(FrontEnd):
    """Every beat becomes the mean of its record's: fresh noise averages out."""

    def apply(self, state, beats, ctx):
        mean = np.stack([beats.signal[beats.record == r].mean(axis=0) for r in beats.record])
        return beats.with_signal(mean.astype("float32"))
'''
WRECK = '''
from agile_bench.api import FrontEnd

class Wreck(FrontEnd):
    """Nothing is left of a beat."""

    def apply(self, state, beats, ctx):
        return beats.with_signal(beats.signal * 0)
'''
LOOKS_BACK = '''
import numpy as np
from agile_bench.api import Attacker, NotComputable

class LooksBack(Attacker):
    """Learns from its pool as it was recorded, where it may."""

    def fit(self, pool, ctx):
        try:
            original = ctx.original(pool)
        except NotComputable:
            return {"moved": np.array(-1.0)}
        assert original.record is pool.record
        return {"moved": np.array(np.abs(original.signal - pool.signal).max(), "f8")}

    def embed(self, state, beats, ctx):
        return beats.signal.astype("f8")
'''
EXPOSED = '''
import numpy as np
from agile_bench.api import Anonymizer, Release

class Exposed(Anonymizer):
    """Noise in four samples, which it names."""
    exposes = {"subspace": ("key",)}

    def fit(self, train, ctx, clinical=None):
        return {"key": np.eye(200)[:, :4]}

    def release(self, state, beats, ctx):
        noise = ctx.rng("noise").standard_normal((len(beats), 4)) @ state["key"].T
        return Release(signal=(beats.signal + noise).astype("float32"))
'''
FILES = (
    TEMPLATE_FILE,
    plugin_file("record-mean", "RecordMean", RECORD_MEAN),
    plugin_file("wreck", "Wreck", WRECK),
    plugin_file("looks-back", "LooksBack", LOOKS_BACK),
)
NOISE = {"name": "gaussian", "snr_db": -10.0}


def run_of(folder: Path, *front_ends: str) -> Run:
    suite = small(
        anonymizers=(NOISE,),
        attackers=("plain", "looks-back"),
        knowledge=("unprotected", "ignorant", "semi-informed", "informed"),
        front_ends=front_ends,
        screen="plain",
    )
    return run_here(suite, folder, FILES)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def chosen(store: Path) -> Run:
    return run_of(store, "wreck", "record-mean")


def choices(run: Run) -> list[dict[str, object]]:
    return [run.store.meta(a) for a, task in run.plan.tasks.items() if task.kind == "choice"]


def test_the_front_end_is_the_one_behind_which_held_out_beats_are_recognised_best(chosen: Run) -> None:
    (choice,) = choices(chosen)
    assert choice["front_end"] == "record-mean"
    recognised = choice["recognised"]
    assert isinstance(recognised, dict)
    assert recognised["record-mean"] > recognised[""] > recognised["wreck"]


def test_every_informed_attacker_stands_behind_it_and_its_rows_say_so(chosen: Run) -> None:
    methods = [r for r in chosen.rows if r["role"] == "method"]
    assert {r["front_end"] for r in methods if r["knowledge"] == "informed"} == {"record-mean"}
    assert {r["front_end"] for r in methods if r["knowledge"] != "informed"} == {""}
    assert {r["status"] for r in methods if r["metric"] == "eer"} == {"ok"}, (
        "judged by the controls without a front-end"
    )


def test_front_ends_change_no_figure_of_other_levels(chosen: Run, store: Path) -> None:
    def others(run: Run) -> list[str]:
        told = (r for r in run.rows if r["role"] in ("control", "method") and r["knowledge"] != "informed")
        return [repr(sorted(r.items())) for r in told]

    plain = run_of(store)
    assert others(plain) == others(chosen)
    assert not choices(plain)


def test_it_serves_the_probes_too(chosen: Run, store: Path) -> None:
    def rank1(run: Run) -> float:
        (row,) = (
            r
            for r in run.rows
            if (r["role"], r["plugin"], r["knowledge"], r["metric"], r["level"])
            == ("method", "plain", "informed", "rank-1", "beat")
        )
        return float(row["value"])

    assert rank1(chosen) > rank1(run_of(store))


def test_where_none_helps_none_is_taken(store: Path) -> None:
    run = run_of(store, "wreck")
    assert [c["front_end"] for c in choices(run)] == [""]
    assert {r["front_end"] for r in run.rows} == {""}


def test_an_attacker_with_an_anonymizer_sees_its_pool_as_recorded_and_no_other_does(chosen: Run) -> None:
    moved = {}
    for address, task in chosen.plan.tasks.items():
        if task.kind == "attacker" and task.uses["attacker"].name == "looks-back":
            holds = "anonymizer" in task.uses
            moved.setdefault(holds, []).append(float(chosen.store.arrays(address)["attacker/moved"]))
    assert set(moved[False]) == {-1.0}
    assert all(value > 0.01 for value in moved[True])
    assert np.isfinite(moved[True]).all()


def test_a_front_end_that_needs_what_the_anonymizer_does_not_expose_is_not_tried(store: Path) -> None:
    run = run_of(store, "try-donors", "record-mean")
    (choice,) = choices(run)
    recognised = choice["recognised"]
    assert isinstance(recognised, dict)
    assert set(recognised) == {"", "record-mean"}


def test_a_front_end_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="Unknown front-end 'low-pas'"):
        run_of(tmp_path, "low-pas")


def test_an_attacker_asked_only_behind_a_front_end_that_needs_the_anonymizer_is_judged_by_its_own_controls(tmp_path):
    """Without beats that the front-end could undo, the controls are those of the attacker alone."""
    suite = small(
        anonymizers=({"name": "exposed"},), attackers=("plain+project-out",), knowledge=("unprotected", "informed")
    )
    run = run_here(suite, tmp_path, [*FILES, plugin_file("exposed", "Exposed", EXPOSED)])
    figures = {
        (r["role"], r["control"], r["front_end"], r["status"])
        for r in run.rows
        if r["metric"] == "rank-1" and r["level"] == "record" and r["plugin"] == "plain"
    }
    assert ("method", "", "project-out", "ok") in figures
    assert ("control", "positive", "", "ok") in figures
    assert ("control", "permuted", "", "ok") in figures
    assert not [r for r in run.rows if r["role"] == "method" and not r["front_end"]]


def test_an_attacker_asked_with_and_without_a_front_end_has_its_controls_once(tmp_path):
    suite = small(anonymizers=(NOISE,), attackers=("plain", "plain+record-mean"), knowledge=("unprotected", "ignorant"))
    run = run_here(suite, tmp_path, FILES)
    record = [
        (r["front_end"], r["control"])
        for r in run.rows
        if r["control"] and r["metric"] == "rank-1" and r["level"] == "record" and r["plugin"] == "plain"
    ]
    assert sorted(record) == sorted((f, c) for f in ("", "record-mean") for c in ("positive", "permuted"))
