"""A training that is killed within a run goes on from its checkpoint, and its curves reach the run folder."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
from small_runs import Bench, small

from agile_bench.engine.suite import to_toml

TRAINED = '''
import os, signal
from pathlib import Path

import numpy as np

from agile_bench.api import Attacker


class Trained(Attacker):
    """A linear network that is killed once, in its fourth epoch; every epoch is written down."""

    def fit(self, pool, ctx):
        from torch import nn
        from agile_bench.nn import checkpoint
        from agile_bench.nn.seeding import seeded
        from agile_bench.nn.state import pack
        from agile_bench.nn.train import fit

        checkpoint.SECONDS = -1.0
        code = np.unique(pool.subject, return_inverse=True)[1].astype(np.int64)

        def fresh(epoch):
            with open("epochs", "a") as log:
                log.write(f"{epoch} ")
            if epoch == 3 and Path("fatal").exists():
                Path("fatal").unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            return (pool.signal,)

        with seeded(ctx, "init"):
            net = nn.Linear(200, int(code.max()) + 1)
        history = fit(net, nn.CrossEntropyLoss(), (pool.signal,), code, ctx, epochs=6, batch=32, lr=0.01, fresh=fresh)
        return pack(net, "net.") | history.told(1 / (code.max() + 1))

    def embed(self, state, beats, ctx):
        return beats.signal.astype("float64") @ state["net.weight"].T
'''
ARGUMENTS = ("small.toml", "--plugin", "trained.py:Trained", "--workers", "1", "--store", "store", "--out", "out")


def bench_at(folder: Path) -> Bench:
    bench = Bench(folder)
    bench.write("trained.py", TRAINED)
    bench.write("small.toml", to_toml(small(anonymizers=("passthrough",), attackers=("trained",))))
    return bench


def test_what_is_killed_in_the_middle_of_a_training_goes_on_there(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    undisturbed, disturbed = bench_at(tmp_path / "a"), bench_at(tmp_path / "b")
    assert undisturbed.run(*ARGUMENTS).returncode == 0
    (disturbed.folder / "fatal").touch()
    first = disturbed.run(*ARGUMENTS)
    assert first.returncode == 1
    assert "SIGKILL" in first.stdout + first.stderr
    assert list((disturbed.folder / "store" / "training").iterdir())
    assert disturbed.run(*ARGUMENTS).returncode == 0
    assert not list((disturbed.folder / "store" / "training").iterdir())
    runs = (disturbed.folder / "epochs").read_text().split()
    assert sorted(runs) == sorted([*(undisturbed.folder / "epochs").read_text().split(), "3"])
    for name in ("results.parquet", "training.parquet"):
        assert (disturbed.folder / "out" / name).read_bytes() == (undisturbed.folder / "out" / name).read_bytes()
    curves = pq.read_table(undisturbed.folder / "out" / "training.parquet").to_pylist()
    one = [r for r in curves if r["control"] == "positive"]
    assert [r["epoch"] for r in one] == [1, 2, 3, 4, 5, 6]
    assert one[-1]["loss"] < one[0]["loss"]
