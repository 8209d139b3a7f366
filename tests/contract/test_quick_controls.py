"""Every identity attacker recognises people of the synthetic dataset, and nobody once names are shuffled."""

from __future__ import annotations

import numpy as np
import pytest
from every_plugin import ATTACKERS, FLOORS
from judged_controls import Cell, Rate, holm, permuted, positive
from small_runs import plugin_file, run_here, small

NAMES = (*ATTACKERS, *FLOORS)
PEOPLE = 16
CLASSED = '''
from dataclasses import replace

import numpy as np

from agile_bench.api import seed_of
from agile_bench.datasets.synthetic import Synthetic


class Classed(Synthetic):
    """Beats are called what chance has it, at shares that are the person's own."""

    def read(self, root, record):
        found = super().read(root, record)
        share = np.random.default_rng(seed_of("shares", record.split("/")[0])).dirichlet(np.ones(4) / 2)
        rng = np.random.default_rng(seed_of("symbols", record))
        return replace(found, symbols=rng.choice(np.array(["N", "A", "V", "F"]), len(found.symbols), p=share))
'''
COHORT = {
    "name": "classed",
    "protocols": ("same-day",),
    "settings": {"people": PEOPLE, "seconds": 24.0, "sessions": 1},
}


@pytest.fixture(scope="module")
def controls(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[Cell, Rate], dict[Cell, Rate]]:
    suite = small(
        anonymizers=("passthrough",),
        attackers=tuple({"name": name, **(ATTACKERS | FLOORS)[name].quick} for name in NAMES),
        knowledge=("unprotected",),
        datasets=(COHORT,),
    )
    run = run_here(suite, tmp_path_factory.mktemp("controls"), [plugin_file("classed", "Classed", CLASSED)])
    assert run.executor.failures == {}
    return positive(run.rows), permuted(run.rows)


def test_every_attacker_recognises_unprotected_people(controls: tuple[dict[Cell, Rate], dict[Cell, Rate]]) -> None:
    p = holm({cell: rate.beats_chance() for cell, rate in controls[0].items()})
    assert {name for _, name in p} == {*NAMES}
    assert max(p.values()) < 1e-3


def test_no_attacker_recognises_people_whose_names_were_shuffled(
    controls: tuple[dict[Cell, Rate], dict[Cell, Rate]],
) -> None:
    p = holm({cell: rate.looks_better_than_chance() for cell, rate in controls[1].items()})
    assert {name for _, name in p} == {*NAMES}
    assert min(p.values()) > 0.05


# -- the tests against chance ------------------------------------------------------------------------------------------


def test_a_rate_is_tested_as_binomials_are_by_hand() -> None:
    # 2 of 3 at chance 1/4: 3 * (1/16) * (3/4) + 1/64 = 10/64
    assert Rate(2 / 3, 0, 1, 3, 4).beats_chance() == pytest.approx(10 / 64)
    # a tie that counts half is no hit for the one, and one for the other
    assert Rate(0.5, 0, 1, 3, 4).beats_chance() == pytest.approx(1 - 27 / 64)
    assert Rate(0.5, 0, 1, 3, 4).looks_better_than_chance() == pytest.approx(10 / 64)


def test_holm_by_hand() -> None:
    p = {("d", "a"): 0.01, ("d", "b"): 0.04, ("d", "c"): 0.03}
    adjusted = holm(p)
    np.testing.assert_allclose([adjusted[cell] for cell in p], [0.03, 0.06, 0.06])
    assert holm({}) == {}
