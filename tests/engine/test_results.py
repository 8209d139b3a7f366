"""Validity: what the controls of an attacker make of its figures."""

from typing import Any

import pytest

from agile_bench.engine.results import verdict


def control(low: float, people: int = 20, galleries: int = 1) -> dict[str, dict[str, Any]]:
    """A record-level rank-1 row with one probe a person."""
    enrolled = people // galleries
    pairs = {"n_genuine": people, "n_impostor": people * (enrolled - 1)}
    return {"rank-1": {"value": low, "low": low, "high": 1.0, "subjects": people} | pairs}


def test_an_attacker_that_learns_and_is_not_fooled_is_valid() -> None:
    assert verdict({"positive": control(0.8), "permuted": control(0.02)}) == ""


def test_a_control_that_is_missing_is_said() -> None:
    assert "positive" in verdict({})
    assert "permuted" in verdict({"positive": control(0.8)})


@pytest.mark.parametrize("low", [0.0, 0.05, 0.1])
def test_recognition_at_up_to_twice_chance_is_no_learning(low: float) -> None:
    assert verdict({"positive": control(low), "permuted": control(0.0)}).startswith("did not learn")


def test_an_attacker_that_finds_people_under_shuffled_names_is_caught() -> None:
    assert "permuted" in verdict({"positive": control(0.9), "permuted": control(0.3)})


def test_chance_is_one_in_a_gallery_where_people_are_spread_over_two() -> None:
    # 20 people in two galleries of 10: chance is 10 %, so 15 % is not well above it
    assert "chance 10.0%" in verdict({"positive": control(0.15, galleries=2), "permuted": control(0.0, galleries=2)})
    assert verdict({"positive": control(0.15), "permuted": control(0.0)}) == ""
