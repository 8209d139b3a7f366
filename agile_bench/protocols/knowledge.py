"""What the attacker knows: the (pool, gallery, probe) triple of each level.

After VoicePrivacy (Tomashenko et al. 2022) and Srivastava et al. (2020). More knowledge may come with a worse gallery,
so privacy at a level is that of the strongest attacker of any level up to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Source = Literal["original", "own", "defender"]
"""Beats as recorded; released by an instance the attacker fitted; released by the defender's own instance."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """One level.

    Parameters
    ----------
    name : str
    pool : Source
        What the attacker trains on.
    galleries : tuple of Source
        What it may enrol; of several it takes the one that serves it on development data.
    probe : Source
    """

    name: str
    pool: Source
    galleries: tuple[Source, ...]
    probe: Source

    @property
    def protected(self) -> bool:
        """Whether an anonymizer stands in the way at all."""
        return self.probe != "original"


LEVELS: dict[str, Knowledge] = {
    level.name: level
    for level in (
        Knowledge("unprotected", "original", ("original",), "original"),
        Knowledge("ignorant", "original", ("original",), "defender"),
        Knowledge("lazy-informed", "original", ("defender",), "defender"),
        Knowledge("semi-informed", "own", ("defender",), "defender"),
        Knowledge("informed", "defender", ("defender", "original"), "defender"),
    )
}
"""All levels, least knowledge first."""


def up_to(name: str) -> tuple[str, ...]:
    """The levels whose attackers count when privacy at this level is stated."""
    names = tuple(LEVELS)
    return names[: names.index(name) + 1]
