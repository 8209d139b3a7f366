"""What no attacker can work with: every one of them gives scores, or says in one line what it needs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from every_plugin import ATTACKERS, FLOORS, Known, attacker, identity_attackers
from made_releases import scores_of, taught

from agile_bench.api import Array, Beats, NotComputable
from agile_bench.contract import freeze
from agile_bench.registry import Registry
from agile_bench.testing import made_beats

KNOWN = ATTACKERS | FLOORS | {name: Known() for name in identity_attackers(Registry())[2]}
NETWORKS = [name for name, row in ATTACKERS.items() if row.network]


@dataclass(frozen=True)
class Parts:
    """What an attacker is handed: six people, one record of eight beats each in the gallery, which is the pool."""

    pool: Beats
    gallery: Beats
    probes: Beats


def good() -> Parts:
    made = made_beats(people=6, records=2, beats=8)
    gallery, probes = (made.take(made.record % 2 == half) for half in (0, 1))
    return Parts(gallery, gallery, probes)


def of_person(beats: Beats, *codes: int) -> Beats:
    return beats.take(np.isin(np.asarray(beats.subject), codes))


def first_of_records(beats: Beats, *records: int) -> Beats:
    """The beats without all but the first of these records; of all records where none is named."""
    short = np.isin(beats.record, records) if records else np.ones(len(beats), bool)
    first = np.diff(beats.record, prepend=-1) != 0
    return beats.take(~short | first)


def untold(beats: Beats) -> Beats:
    """Beats of unknown class and without RR intervals."""
    nothing = np.full(len(beats), np.nan, np.float32)
    unknown = np.full(len(beats), -1, np.int8)
    return replace(beats, **freeze({"label": unknown, "rr_before": nothing, "rr_after": nothing.copy()}))


def flat(beats: Beats) -> Beats:
    return beats.with_signal(freeze({"signal": np.zeros_like(beats.signal)})["signal"])


def huge(beats: Beats) -> Beats:
    return beats.with_signal(freeze({"signal": beats.signal * np.float32(1e6)})["signal"])


POOR: dict[str, Callable[[Parts], Parts]] = {
    "a pool of one person": lambda p: replace(p, pool=of_person(p.pool, 2)),
    "a gallery of one person": lambda p: replace(p, gallery=of_person(p.gallery, 0), probes=of_person(p.probes, 0)),
    "somebody with one beat in the pool": lambda p: replace(p, pool=first_of_records(p.pool, 4)),
    "somebody with one beat in the gallery": lambda p: replace(p, gallery=first_of_records(p.gallery, 4)),
    "one beat a person in the pool": lambda p: replace(p, pool=first_of_records(p.pool)),
    "one beat a person in the gallery": lambda p: replace(p, gallery=first_of_records(p.gallery)),
    "a probe record of one beat": lambda p: replace(p, probes=first_of_records(p.probes, 5)),
    "probe records of one beat": lambda p: replace(p, probes=first_of_records(p.probes)),
    "one probe": lambda p: replace(p, probes=p.probes.take(np.arange(1))),
    "a pool that tells neither classes nor intervals": lambda p: replace(p, pool=untold(p.pool)),
    "a gallery that tells neither classes nor intervals": lambda p: replace(p, gallery=untold(p.gallery)),
    "probes that tell neither classes nor intervals": lambda p: replace(p, probes=untold(p.probes)),
    "flat beats in the pool": lambda p: replace(p, pool=flat(p.pool)),
    "flat beats in the gallery": lambda p: replace(p, gallery=flat(p.gallery)),
    "flat probes": lambda p: replace(p, probes=flat(p.probes)),
    "beats of a thousand volts": lambda p: Parts(huge(p.pool), huge(p.gallery), huge(p.probes)),
}


def briefly(name: str) -> dict[str, int]:
    """Settings of a short training."""
    fields = Registry().load("attacker", name).model_fields
    return {k: v for k, v in {"epochs": 2, "pair_epochs": 2, "positives": 20}.items() if k in fields}


def scores_or_reason(name: str, parts: Parts, **settings: object) -> Array | str:
    plugin = attacker(name, **settings)
    try:
        return scores_of(plugin, taught(plugin, parts.pool), parts.gallery, parts.probes)
    except NotComputable as reason:
        return str(reason)


def told(reason: str) -> str:
    """A reason that stands on one line of a table and says what is allowed."""
    assert "\n" not in reason
    assert 20 < len(reason) < 160
    assert re.search(r"\d|has an|has a", reason), reason
    return reason


@pytest.mark.parametrize("case", POOR)
@pytest.mark.parametrize("name", KNOWN)
def test_poor_input_is_scored_or_refused_as_it_should(name: str, case: str) -> None:
    found = scores_or_reason(name, POOR[case](good()), **briefly(name))
    expected = KNOWN[name].declines.get(case)
    if expected is None:
        assert not isinstance(found, str), found
    else:
        assert isinstance(found, str)
        assert expected in told(found)


@pytest.mark.parametrize("name", KNOWN)
def test_all_that_an_attacker_may_decline_is_tried(name: str) -> None:
    assert KNOWN[name].declines.keys() <= POOR.keys()


@pytest.mark.parametrize(
    ("settings", "case", "needs"),
    [
        (
            {"rule": "subspace"},
            "somebody with one beat in the gallery",
            "need 8 enrolled beats a person, somebody has 1",
        ),
        ({"rule": "subspace"}, "a gallery of one person", ""),
        ({"rule": "wccn"}, "one beat a person in the pool", ""),
        ({"rule": "mahalanobis"}, "one beat a person in the pool", ""),
        ({"rule": "mahalanobis"}, "a pool of one person", ""),
        ({"rule": "cosine"}, "a gallery of one person", ""),
    ],
    ids=str,
)
def test_other_rules_of_svd_on_poor_input(settings: dict[str, str], case: str, needs: str) -> None:
    found = scores_or_reason("svd", POOR[case](good()), **settings)
    if needs:
        assert isinstance(found, str)
        assert needs in told(found)
    else:
        assert not isinstance(found, str), found


# -- a training that fails ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_a_loss_that_is_not_finite_is_told_with_its_epoch_and_learning_rate(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def diverge(optimizer: torch.optim.Optimizer) -> None:
        for group in optimizer.param_groups:
            for weights in group["params"]:
                weights.data.fill_(torch.nan)

    monkeypatch.setattr(torch.optim.AdamW, "step", diverge)
    found = scores_or_reason(name, good(), **briefly(name), learning_rate=0.004)
    assert isinstance(found, str)
    assert re.search(r"not finite in epoch [12] of 2 at learning rate 0\.004", told(found))
