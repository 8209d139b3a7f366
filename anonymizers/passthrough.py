"""The anchor of worst privacy and best use: nothing is changed."""

from typing import ClassVar

from agile_bench.api import Anonymizer, Beats, Context, Release, State


class Passthrough(Anonymizer):
    """Release every beat as it is."""

    keeps: ClassVar[frozenset[str]] = frozenset({"label", "rr", "amplitude", "shape"})
    stochastic: ClassVar[bool] = False
    anchor: ClassVar[bool] = True
    weakness: ClassVar[str] = "hides nothing"

    def release(self, state: State, beats: Beats, ctx: Context) -> Release:
        """The same beats."""
        return Release(signal=beats.signal)
