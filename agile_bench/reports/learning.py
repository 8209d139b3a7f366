"""Which networks of a run did not learn what they were trained on, as their own training beats tell."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from agile_bench.reports.figures import Figure, Method, Plug, grouped, mean, method_of, place_of, plug_of
from agile_bench.reports.frame import Row
from agile_bench.reports.tables import Place

__all__ = ["UNTAUGHT", "UNTAUGHT_NOTE", "Lesson", "lessons", "untaught"]

LEARNED = 2.0
"""A network has learned if it names its own training beats this many times as often as chance, or where chance is high
half of the way from there to certainty."""
FITTED = 0.5
"""A network is badly fitted to releases if it has less than this share of the skill it has on originals."""
UNTAUGHT = "¶"
UNTAUGHT_NOTE = "¶ a network that learned little from the releases: no evidence of privacy (see the red flags)"
RETRAINED = ("semi-informed", "informed")
TOLD = ("train-accuracy", "train-chance")


class Lesson(NamedTuple):
    """A network that was retrained on releases, and how often it names the beats that it was trained on, in [0, 1].

    `originals` is the same of the network trained on originals; nan where there is none.
    """

    place: Place
    method: Method
    plug: Plug
    level: str
    accuracy: Figure
    chance: Figure
    originals: Figure

    @property
    def learned(self) -> bool:
        """Whether it is better than chance at all."""
        return self.accuracy.value >= min(LEARNED * self.chance.value, (1 + self.chance.value) / 2)

    @property
    def fitted(self) -> bool:
        """Whether it has at least half of the skill, which is accuracy beyond chance, that it has on originals."""
        skill, full = ((f.value - self.chance.value) / (1 - self.chance.value) for f in (self.accuracy, self.originals))
        return math.isnan(full) or skill >= FITTED * full


def lessons(rows: Iterable[Row]) -> list[Lesson]:
    """All networks that were retrained on releases of methods, and how well they know their training beats.

    Parameters
    ----------
    rows : iterable of Row
        Attackers on methods, and their positive controls, which were trained on originals.
    """
    told = [r for r in rows if r.metric in TOLD]
    clean = grouped((r for r in told if r.control == "positive"), lambda r: (place_of(r), plug_of(r)))
    retrained = grouped(
        (r for r in told if r.role == "method" and r.knowledge in RETRAINED),
        lambda r: (place_of(r), method_of(r), plug_of(r), r.knowledge),
    )
    found = []
    for (place, method, plug, level), mine in sorted(retrained.items(), key=lambda item: item[0]):
        accuracy, chance = (mean([r for r in mine if r.metric == metric]) for metric in TOLD)
        originals = mean([r for r in clean.get((place, plug), []) if r.metric == "train-accuracy"])
        found.append(Lesson(place, method, plug, level, accuracy, chance, originals))
    return found


def untaught(rows: Iterable[Row]) -> frozenset[tuple[Method, Plug, str]]:
    """Networks that learned little from the releases of a method, with the level of knowledge; `rows` of one place."""
    return frozenset((x.method, x.plug, x.level) for x in lessons(rows) if not (x.learned and x.fitted))
