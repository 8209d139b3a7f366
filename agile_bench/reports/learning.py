"""Which networks of a run did not learn what they were trained on, as their own training beats tell."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from agile_bench.reports.figures import Figure, Method, Plug, Roles, grouped, mean, method_of, place_of, plug_of
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


def lessons(attacks: Iterable[Row]) -> list[Lesson]:
    """All networks that were retrained on releases and say how well they know their training beats.

    Parameters
    ----------
    attacks : iterable of Row
        Of attackers on methods.
    """
    told = grouped(
        (r for r in attacks if r.metric in TOLD),
        lambda r: (place_of(r), method_of(r), plug_of(r), r.knowledge),
    )
    figures = {
        spot: {metric: mean([r for r in rows if r.metric == metric]) for metric in TOLD} for spot, rows in told.items()
    }
    found = []
    for place, method, plug, level in sorted(figures):
        if level in RETRAINED:
            accuracy, chance = (figures[place, method, plug, level][metric] for metric in TOLD)
            before = figures.get((place, method, plug, "ignorant"), {}).get("train-accuracy", Figure())
            found.append(Lesson(place, method, plug, level, accuracy, chance, before))
    return found


def untaught(attacks: Iterable[Row], roles: Roles) -> frozenset[tuple[Method, Plug, str]]:
    """Networks that learned little from the releases of a method, with the level of knowledge; anchors have none."""
    poor = (x for x in lessons(attacks) if not (roles.anchors(x.method) or (x.learned and x.fitted)))
    return frozenset((x.method, x.plug, x.level) for x in poor)
