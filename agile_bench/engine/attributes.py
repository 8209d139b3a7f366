"""The cells of one attacker of sex or age on one dataset: methods at every level of knowledge, and two controls."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from agile_bench.api import Anonymizer, AttributeAttacker, FrontEnd, Refusal
from agile_bench.engine.artefacts import Seeds, Source, Use
from agile_bench.engine.attribute_verdicts import HEADLINE, PROTOCOL
from agile_bench.protocols.folds import FOLDS
from agile_bench.protocols.knowledge import LEVELS

if TYPE_CHECKING:
    from agile_bench.engine.plan import Planner

MET = ("ignorant", "semi-informed", "informed")
"""Levels of knowledge: nobody is enrolled, so ``lazy-informed``, which differs in its gallery alone, is none here."""
WORDS = {"original": "original", "own": "released (own)", "defender": "released"}


class Guess:
    """The tasks and cells of one attacker on one dataset.

    Parameters
    ----------
    planner : Planner
    source : Source
    seed : int
    uses : dict of Use
        The attacker, and its front-ends.

    Raises
    ------
    Refusal
        If a front-end needs what an anonymizer exposes, which attackers of sex and age are not given.
    """

    def __init__(self, planner: Planner, source: Source, seed: int, uses: dict[str, Use]) -> None:
        self.planner, self.tasks, self.source, self.uses = planner, planner.tasks, source, uses
        attacker = uses["attacker"]
        assert isinstance(attacker.plugin, AttributeAttacker)
        self.target = attacker.plugin.target
        for use in uses.values():
            if isinstance(use.plugin, FrontEnd) and use.plugin.exploits:
                raise Refusal(
                    f"{attacker.name}+{use.name}: {use.name} exploits an anonymizer, which {attacker.name} lacks"
                )
        self.release_seeds: Seeds = [source.use.name, PROTOCOL, seed]
        self.seeds: Seeds = [*self.release_seeds, attacker.name]
        self.split = self.tasks.add(
            "attribute-split",
            {"beats_per_record": planner.suite.beats_per_record},
            {"cuts": source.shards},
            {},
            f"{source.use.name}: folds of people",
            seeds=self.release_seeds,
        )
        self.label = "+".join(u.name for u in uses.values())
        self.axes = {
            **{"dataset": source.use.name, "protocol": PROTOCOL, "cohort": "all", "subjects": 0, "seed": seed},
            **{"plugin": attacker.name, "plugin_settings": attacker.changed},
            "front_end": "+".join(u.name for k, u in uses.items() if k != "attacker"),
            **{"metric": HEADLINE[self.target], "level": "subject"},
        }

    def cells(self, anonymizers: Sequence[Use], levels: Sequence[str]) -> None:
        """The controls, and one cell per anonymizer, key and level."""
        for name in ("positive", "permuted"):
            permuted = name == "permuted"
            guesses = [self._guesses("unprotected", None, 0, fold, permuted=permuted) for fold in range(FOLDS)]
            self._cell(guesses, "unprotected", {"role": "control", "control": name, "key": 0})
        for anonymizer, key, level in product(anonymizers, range(self.planner.suite.keys), levels):
            if level in MET:
                guesses = [self._guesses(level, anonymizer, key, fold) for fold in range(FOLDS)]
                more = {"role": "anchor" if anonymizer.anchor else "method", "key": key}
                self._cell(guesses, level, more | self.planner.method_axes(anonymizer), anonymizer)

    def _cell(self, guesses: list[str], level: str, axes: dict[str, Any], anonymizer: Use | None = None) -> None:
        known = LEVELS[level]
        measures = self.tasks.add(
            "attribute-measures",
            {"target": self.target, "permuted": axes.get("control") == "permuted"},
            {"guesses": guesses},
            {},
            "measure",
            seeds=self.release_seeds[:2],
        )
        keeps = ""
        if anonymizer is not None:
            assert isinstance(anonymizer.plugin, Anonymizer)
            keeps = "+".join(sorted(anonymizer.plugin.keeps))
        told = {"knowledge": level, "pool": WORDS[known.pool], "probe": WORDS[known.probe]}
        self.planner.cell(measures, self.axes | told | axes, keeps)

    def _guesses(self, level: str, anonymizer: Use | None, key: int, fold: int, *, permuted: bool = False) -> str:
        """What the attacker says of one fold's people, learning from those of all others."""
        known = LEVELS[level]
        inputs: dict[str, list[str]] = {"split": [self.split]}
        pool = dict(inputs)
        if anonymizer is not None:
            defender = self._fitted(anonymizer, fold, "defender")
            inputs["probe_release"] = [self._release(anonymizer, defender, f"{fold}.probe", f"key-{key}")]
            if known.pool != "original":
                holds = defender if known.pool == "defender" else self._fitted(anonymizer, fold, "attacker")
                pool["pool_release"] = [self._release(anonymizer, holds, f"{fold}.pool", "attacker")]
        spec = {"fold": fold}
        fit = self.tasks.add(
            "attribute-fit", spec | {"permuted": permuted}, pool, self.uses, f"{self.label}: fit", seeds=self.seeds
        )
        return self.tasks.add(
            "guesses", spec, inputs | {"attacker": [fit]}, self.uses, f"{self.label}: guess", seeds=self.seeds
        )

    def _fitted(self, anonymizer: Use, fold: int, who: str) -> str:
        """An instance of the defender or the attacker, fitted on the other folds or on those whom it releases."""
        same = self.planner.suite.fitted_on == "same-people" and who == "defender"
        rows = f"{fold}.{'probe' if same else 'pool'}"
        return self.planner.fitted(anonymizer, self.source, self.split, rows, who, self.release_seeds)

    def _release(self, anonymizer: Use, fitted: str, role: str, key: str) -> str:
        return self.tasks.release(anonymizer, self.split, [fitted], role, key, self.release_seeds)
