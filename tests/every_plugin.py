"""What every registered attacker and front-end is known to do; a plugin without its row here is not exercised.

`tests/contract/test_everything_exercised.py` compares the tables with the registry, both ways. Anchors have no row:
they look at no beat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agile_bench.api import Attacker
from agile_bench.registry import Registry


@dataclass(frozen=True)
class Known:
    """What an identity attacker does on cohorts made for it.

    Parameters
    ----------
    quick : mapping
        Settings under which it learns a small cohort within seconds.
    clean : float
        Least rank-1 among twelve unprotected people of the synthetic dataset.
    finds : mapping
        Least rank-1 where all beats are alike but for a mark that says whose they are, by the mark (a key of `LEAKS` in
        tests/plugins/test_planted_leaks.py) or for ``any``; everybody is found where nothing is said, and 0 is chance.
    why : str
        Why it finds no more.
    network : bool
        Whether it has a loss that may cease to be finite.
    declines : mapping
        What it says in place of scores, by the input (a key of `POOR` in tests/plugins/test_bad_input.py).
    """

    quick: Mapping[str, Any] = field(default_factory=dict)
    clean: float = 0.9
    finds: Mapping[str, float] = field(default_factory=dict)
    why: str = ""
    network: bool = False
    declines: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Undoes:
    """What a front-end does to a release that it is made for.

    Parameters
    ----------
    quick : mapping
        Settings.
    release : str
        A key of `HIDES` in tests/plugins/test_undone_releases.py: behind the front-end people are found again.
    elsewhere : str
        In place of `release`: the test that shows it, ``file.py::name`` in tests/plugins.
    """

    quick: Mapping[str, Any] = field(default_factory=dict)
    release: str = ""
    elsewhere: str = ""


TEACHES = {"a pool of one person": "at least 2 people in the pool"}
DISCRIMINATES = {"a gallery of one person": "at least 2 enrolled people"}

ATTACKERS: dict[str, Known] = {
    "svd": Known(declines=DISCRIMINATES),
    "template": Known(),
    "cov": Known(
        clean=0.5,  # it needs more beats than these records have
        finds={"any": 0},
        why="it looks at deviations from the record's median beat, and the mark is in the median",
        declines=DISCRIMINATES
        | {
            "one beat a person in the gallery": "needs 6 beats, the longest enrolled record has 1",
        },
    ),
    "cnn1d": Known({"epochs": 15, "width": 8}, network=True, declines=TEACHES | DISCRIMINATES),
    "cnn": Known({"epochs": 4}, network=True, declines=TEACHES | DISCRIMINATES),
    "siamese": Known(
        {"epochs": 4, "pair_epochs": 20, "positives": 100},
        clean=0.8,
        network=True,
        declines=TEACHES | {"one beat a person in the pool": "a person with at least 2 beats in the pool"},
    ),
    "set": Known(
        {"epochs": 20, "width": 8},
        finds={"one sample": 0.4},
        why="it reads each beat's own noise as well, and learns that of the few records that it is taught on by heart",
        network=True,
        declines=TEACHES
        | DISCRIMINATES
        | {
            "one beat a person in the pool": "records of at least 2 beats, of at least 2 people in the pool",
            "one beat a person in the gallery": "records of at least 2 beats, the gallery has none",
        },
    ),
    "deep-ecg": Known({"epochs": 12}, network=True, declines=TEACHES | DISCRIMINATES),
    "embedder": Known({"trunk": "xresnet1d", "epochs": 10, "dim": 16}, network=True, declines=TEACHES | DISCRIMINATES),
}
FLOORS: dict[str, Known] = {
    "intervals": Known(
        declines={
            "a pool that tells neither classes nor intervals": (
                "no beat of the pool has an RR interval before and after it"
            ),
            "a gallery that tells neither classes nor intervals": (
                "no beat of the gallery has an RR interval before and after it"
            ),
        }
    ),
    "labels": Known(
        declines={
            "a gallery that tells neither classes nor intervals": "no beat of the gallery has a known class",
        }
    ),
}
FRONT_ENDS: dict[str, Undoes] = {
    "align": Undoes({"to": "record"}, "late T-waves"),
    "average": Undoes({"k": 10}, "white noise"),
    "deviations": Undoes({}, "another mean beat a record"),
    "eigen": Undoes({}, "white noise"),
    "lowpass": Undoes({}, "fast noise"),
    "median": Undoes({}, "specks"),
    "project-out": Undoes({}, "16 directions exchanged"),
    "redigitise": Undoes({}, "nothing"),
    "subtract": Undoes({}, "slow waves 20 times as large"),
    "try-donors": Undoes({}, "nine tenths of one of 150 donors"),
    "unet": Undoes(elsewhere="test_white_box_frontends.py::test_unet_brings_back_whom_signs_and_noise_hide"),
    "wavelet": Undoes({}, "white noise"),
}


def attacker(name: str, **more: Any) -> Attacker:
    """The attacker under its quick settings, with these in their place."""
    known = (ATTACKERS | FLOORS).get(name, Known())
    made = Registry().make("attacker", name, {**known.quick, **more})
    assert isinstance(made, Attacker)
    return made


def identity_attackers(registry: Registry) -> tuple[set[str], set[str], set[str]]:
    """Names of the attackers of identity that learn from beats, of the floors, and of the anchors."""
    found: tuple[set[str], set[str], set[str]] = (set(), set(), set())
    for name in registry.names("attacker"):
        kind = registry.load("attacker", name)
        if issubclass(kind, Attacker):
            found[2 if kind.anchor else 1 if kind.floor else 0].add(name)
    return found
