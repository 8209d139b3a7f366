"""The cells of one attacker on one split: methods at every level of knowledge, controls, floors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from agile_bench.api import Anonymizer, Attacker
from agile_bench.engine.artefacts import Control, Seeds, Source, Use
from agile_bench.protocols.knowledge import LEVELS

if TYPE_CHECKING:
    from agile_bench.engine.plan import Planner

KNOWN = tuple(
    (Control(name), level)
    for name, levels in {
        "constant": ("ignorant", "semi-informed"),
        "scramble": ("ignorant", "semi-informed"),
        "pseudo-identities": ("ignorant", "lazy-informed"),
    }.items()
    for level in levels
)
"""Releases of known effect, and the levels at which each attacker meets them under full controls."""
SPIKES = (0.003, 0.01, 0.03, 0.1)
"""RMS in mV of what is added to a noisy beat that is the same for everybody: where an attacker begins to see it."""
DOSES = (0.0, 0.25, 0.5, 0.75)
"""Share of the way from the original beat to the released one."""


@dataclass(frozen=True, slots=True)
class Protection:
    """What stands between the recordings and the attacker: an anonymizer, a control's known release, or both."""

    anonymizer: Use | None = None
    control: Control | None = None


@dataclass(frozen=True, slots=True)
class Spot:
    """Where attackers meet people: one split of a dataset."""

    source: Source
    protocol: str
    cohort: str
    people: int | None
    seed: int
    choices: dict[tuple[str, str, int, int], str] = field(default_factory=dict, compare=False, repr=False)
    """Choices of a front-end that are planned here, by anonymizer, its settings, key and block: all attackers share
    them."""

    @property
    def axes(self) -> dict[str, Any]:
        """Columns of the results frame."""
        return {
            "dataset": self.source.use.name,
            "protocol": self.protocol,
            "cohort": self.cohort,
            "subjects": self.people or 0,
            "seed": self.seed,
        }


class Attack:
    """The tasks and cells of one attacker on one split.

    Parameters
    ----------
    planner : Planner
    spot : Spot
    uses : dict of Use
        The attacker, and its front-ends.
    tries : bool
        Whether it tries the suite's front-ends where it is informed; the attacker that screens them does not.
    """

    def __init__(self, planner: Planner, spot: Spot, uses: dict[str, Use], *, tries: bool = True) -> None:
        self.planner, self.tasks, self.spot, self.uses, self.tries = planner, planner.tasks, spot, uses, tries
        self.split = self.tasks.split(spot.source, spot.protocol, spot.cohort, spot.people, spot.seed)
        self.name = uses["attacker"].name
        assert isinstance(uses["attacker"].plugin, Attacker)
        self.plugin = uses["attacker"].plugin
        self.release_seeds: Seeds = [spot.source.use.name, spot.protocol, spot.seed]
        self.seeds: Seeds = [*self.release_seeds, self.name]
        self.blocks = 2 if planner.suite.pool == "subject-disjoint" else 1
        self.label = "+".join(u.name for u in uses.values())
        self.axes = spot.axes | {
            "plugin": self.name,
            "plugin_settings": uses["attacker"].changed,
            "front_end": "+".join(u.name for k, u in uses.items() if k != "attacker"),
        }

    # -- cells -----------------------------------------------------------------------------------------------------

    def cells(self, anonymizers: Sequence[Use], levels: Sequence[str]) -> None:
        """The controls, and one cell per anonymizer, key and level."""
        nothing = Protection()
        clean = self.scores("unprotected", nothing, 0)
        self.control("positive", "unprotected", clean)
        self.control("permuted", "unprotected", self.scores("unprotected", nothing, 0, permuted=True))
        full = self.planner.suite.controls == "full" and not self.plugin.anchor
        if full:
            spikes = [(Control("spike", rms), "semi-informed") for rms in SPIKES]
            for known, level in (*KNOWN, *spikes):
                self.control(str(known), level, self.scores(level, Protection(control=known), 0))
        for anonymizer in anonymizers:
            for key, level in product(range(self.planner.suite.keys), levels):
                self.method(anonymizer, key, level, clean)
            if full and not anonymizer.anchor:
                self.beside(anonymizer, levels)

    def method(self, anonymizer: Use, key: int, level: str, clean: list[str]) -> None:
        """The cell of a method at a level."""
        scores = self.scores(level, Protection(anonymizer), key)
        anchor = anonymizer.anchor or self.plugin.anchor
        more = {"role": "anchor" if anchor else "method", "key": key, "knowledge": level}
        measures = self.measures(scores, clean if level == "ignorant" else None)
        self.cell(measures, more | _triple(level) | self.planner.method_axes(anonymizer), anonymizer)

    def beside(self, anonymizer: Use, levels: Sequence[str]) -> None:
        """What stands beside a method: noise of the same size, smaller doses of its release, what it adds alone."""
        asked = [(Control("matched-noise"), level) for level in ("ignorant", "semi-informed") if level in levels]
        asked += [(Control("dose", amount), "ignorant") for amount in DOSES if "ignorant" in levels]
        asked += [(Control("perturbation-only"), "semi-informed")] if "semi-informed" in levels else []
        for control, level in asked:
            scores = self.scores(level, Protection(anonymizer, control), 0)
            self.control(str(control), level, scores, anonymizer)

    def control(self, name: str, level: str, scores: list[str], anonymizer: Use | None = None) -> None:
        """The cell of a control."""
        axes = {"role": "control", "control": name, "knowledge": level, "key": 0} | _triple(level)
        if anonymizer is not None:
            axes |= self.planner.method_axes(anonymizer)
        self.cell(self.measures(scores, None), axes, anonymizer)

    def cell(self, measures: str, axes: dict[str, Any], anonymizer: Use | None = None) -> None:
        """A cell of this attacker."""
        keeps = ""
        if anonymizer is not None:
            assert isinstance(anonymizer.plugin, Anonymizer)
            keeps = "+".join(sorted(anonymizer.plugin.keeps))
        self.planner.cell(measures, self.axes | axes, keeps, guessed=self.plugin.anchor)

    # -- tasks -----------------------------------------------------------------------------------------------------

    def scores(self, level: str, protection: Protection, key: int, *, permuted: bool = False) -> list[str]:
        """Score matrices at a level, one per block."""
        return [self._scores(level, protection, key, block, permuted) for block in range(self.blocks)]

    def _scores(self, level: str, protection: Protection, key: int, block: int, permuted: bool) -> str:
        known = LEVELS[level]
        inputs: dict[str, list[str]] = {"split": [self.split]}
        pool_inputs = dict(inputs)
        uses = dict(self.uses)
        if protection != Protection():
            anonymizer = protection.anonymizer
            defender = self.defender(anonymizer)
            if known.pool != "original":
                holds = defender if known.pool == "defender" else self.own(anonymizer, block)
                if anonymizer is not None and protection.control is None:
                    uses["anonymizer"] = anonymizer
                    pool_inputs["instances"] = inputs["instances"] = holds
                pool_inputs["pool_release"] = [self.release(protection, holds, f"{block}.pool", "attacker")]
            for role in ("probe", "calibration"):
                inputs[f"{role}_release"] = [self.release(protection, defender, f"{block}.{role}", f"key-{key}")]
            if "defender" in known.galleries:
                role, other_key = f"{block}.gallery", f"gallery-key-{key}"
                inputs["gallery_release"] = [self.release(protection, defender, role, other_key)]
        if self.tries and level == "informed" and protection.control is None and not self.axes["front_end"]:
            tried = self.tried(protection, key, block)
            pool_inputs |= tried[0]
            inputs |= tried[0]
            uses |= tried[1]
        label = f"{self.label}: fit"
        fit = self.tasks.add("attacker", {"block": block}, pool_inputs, uses, label, seeds=self.seeds)
        spec = {"block": block, "galleries": list(known.galleries), "permuted": permuted}
        return self.tasks.add(
            "scores", spec, inputs | {"attacker": [fit]}, uses, f"{self.label}: score", seeds=self.seeds
        )

    def tried(self, protection: Protection, key: int, block: int) -> tuple[dict[str, list[str]], dict[str, Use]]:
        """The choice among the suite's front-ends by the cheap attacker, and the front-ends; nothing without any."""
        if protection.anonymizer is None:
            return {}, {}
        candidates, screen = self.planner.candidates(protection.anonymizer)
        if not candidates:
            return {}, {}
        place = (protection.anonymizer.name, protection.anonymizer.changed, key, block)
        if place not in self.spot.choices:
            self.spot.choices[place] = self.screened(screen, candidates, protection, key, block)
        return {"choice": [self.spot.choices[place]]}, {f"candidate.{name}": use for name, use in candidates.items()}

    def screened(self, screen: Use, candidates: dict[str, Use], protection: Protection, key: int, block: int) -> str:
        """The choice of the front-end behind which the cheap attacker is best, none among them."""
        scores = []
        for front_end in (None, *candidates.values()):
            uses = {"attacker": screen} | ({"front-end.0": front_end} if front_end else {})
            tries = Attack(self.planner, self.spot, uses, tries=False)
            scores.append(tries._scores("informed", protection, key, block, False))
        spec, label = {"front_ends": ["", *candidates]}, f"{screen.name}: front-end"
        return self.tasks.add("choice", spec, {"scores": scores}, {}, label, seeds=self.release_seeds)

    def defender(self, anonymizer: Use | None) -> list[str]:
        """The defender's instances: one per fold of people, or one fitted on the enrolled."""
        folds = 2 if self.planner.suite.fitted_on == "other-people" else 1
        return [self._fitted(anonymizer, f"fit.{i}", "defender") for i in range(folds)] if anonymizer else []

    def own(self, anonymizer: Use | None, block: int) -> list[str]:
        """The instance that the attacker fits on its own pool."""
        return [self._fitted(anonymizer, f"{block}.pool", "attacker")] if anonymizer else []

    def _fitted(self, anonymizer: Use, rows: str, who: str) -> str:
        return self.planner.fitted(anonymizer, self.spot.source, self.split, rows, who, self.release_seeds)

    def release(self, protection: Protection, fitted: list[str], role: str, key: str) -> str:
        """One role's beats as the attacker meets them."""
        given = None
        if protection.anonymizer is not None:
            given = self.tasks.release(protection.anonymizer, self.split, fitted, role, key, self.release_seeds)
        if protection.control is None:
            assert given is not None
            return given
        return self.tasks.variant(self.split, given, role, key, protection.control, self.release_seeds)

    def measures(self, scores: list[str], clean: list[str] | None) -> str:
        """Figures of the score matrices; with the clean ones beside them also KL."""
        return measures_of(self.planner, self.spot, {"scores": scores} | ({"clean": clean} if clean else {}))


def measures_of(planner: Planner, spot: Spot, inputs: dict[str, list[str]]) -> str:
    """The task of figures; its seed leaves the split's out, so that all seeds resample the same people."""
    seeds: Seeds = [spot.source.use.name, spot.protocol]
    return planner.tasks.add("attack-measures", {}, inputs, {}, "measure", seeds=seeds)


def floor_cells(planner: Planner, spot: Spot, attackers: Sequence[dict[str, Use]]) -> None:
    """What an attacker gets from what may be kept, alone: each floor attacker by itself, and several jointly.

    Each has the permuted control: a floor that knew people by something else would hide every excess above it.
    """
    found: dict[str, list[Attack]] = {}
    for uses in attackers:
        attack = Attack(planner, spot, uses)
        if "label" not in attack.plugin.floor or spot.source.dataset.labelled:
            found.setdefault("+".join(sorted(attack.plugin.floor)), []).append(attack)
            attack.control("permuted", "unprotected", attack.scores("unprotected", Protection(), 0, permuted=True))
    for kept, attacks in found.items():
        for attack in attacks:
            _floor_cell(planner, spot, kept, [attack])
    if len(found) > 1:
        kept = "+".join(sorted({name for names in found for name in names.split("+")}))
        for parts in product(*(found[name] for name in sorted(found))):
            _floor_cell(planner, spot, kept, parts)


def _floor_cell(planner: Planner, spot: Spot, kept: str, parts: Sequence[Attack]) -> None:
    scores = [part.scores("unprotected", Protection(), 0) for part in parts]
    inputs = {f"scores.{n}" if n else "scores": given for n, given in enumerate(scores)}
    axes = spot.axes | _triple("unprotected") | {"role": "floor", "control": kept, "knowledge": "unprotected", "key": 0}
    axes |= {"plugin": "+".join(part.name for part in parts)}
    axes |= {"plugin_settings": "+".join(filter(None, (str(part.axes["plugin_settings"]) for part in parts)))}
    planner.cell(measures_of(planner, spot, inputs), axes)


def _triple(level: str) -> dict[str, str]:
    """The (pool, gallery, probe) triple that is printed with every figure."""
    words = {"original": "original", "own": "released (own)", "defender": "released"}
    known = LEVELS[level]
    galleries = " or ".join(words[g] for g in known.galleries)
    return {"pool": words[known.pool], "gallery": galleries, "probe": words[known.probe]}
