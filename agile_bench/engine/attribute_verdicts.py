"""When figures about sex and age can stand: what an attacker must and must not do at its controls."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from agile_bench.engine.columns import ATTACKER, PLACE, Row

PROTOCOL = "subject-folds"
"""What stands in the frame's column ``protocol`` of all figures about sex and age."""
HEADLINE = {"sex": "sex-auroc", "age": "age-mae"}
"""The figure that tells how well a target is guessed."""
BASELINE: dict[str, float | str] = {"sex-auroc": 0.5, "age-mae": "age-mae-median"}
"""What one who knows nothing gets: a number, or the metric that holds it."""
BLAME = {"positive": "did not learn", "permuted": "guesses people whose {} it was never told"}

Found = dict[str, dict[str, Row]]
"""Rows of the controls by control and metric."""


def judge(rows: Iterable[Row]) -> None:
    """Mark the figures of attackers that failed a control: they are evidence of nothing."""
    rows = [row for row in rows if row["protocol"] == PROTOCOL]
    controls: dict[tuple[Any, ...], Found] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if row["role"] == "control":
            controls[_meeting(row)][row["control"]][row["metric"]] = row
    reasons = {meeting: next(_reasons(found), "") for meeting, found in controls.items()}
    for row in rows:
        if row["role"] != "control" and row["status"] == "ok":
            reason = reasons.get(_meeting(row), "the positive control is missing")
            if reason:
                row["status"], row["reason"] = "invalid", reason


def _meeting(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in (*PLACE, "seed", *ATTACKER))


def _reasons(found: Found) -> Iterator[str]:
    """What an attacker did wrong at its controls, each marked with it; nothing if its figures can stand."""
    for control, must in (("positive", True), ("permuted", False)):
        of_metric = found.get(control, {})
        headline = next((of_metric[m] for m in HEADLINE.values() if m in of_metric), None)
        if headline is None or headline["status"] != "ok" or math.isnan(headline["low"]):
            yield f"the {control} control is missing"
            continue
        baseline = BASELINE[headline["metric"]]
        level = float(of_metric[baseline]["value"]) if isinstance(baseline, str) else baseline
        if beats(headline, level) != must:
            target = next(t for t, metric in HEADLINE.items() if metric == headline["metric"])
            told = (
                f"{headline['value']:.3g} [{headline['low']:.3g}, {headline['high']:.3g}], knowing nothing {level:.3g}"
            )
            reason = f"{BLAME[control].format(target)}: {headline['metric']} {told}"
            for row in of_metric.values():
                row["reason"] = row["reason"] or reason
            yield reason


def beats(headline: Row, level: float) -> bool:
    """Whether the whole interval is better for the attacker than what one who knows nothing gets."""
    return bool(headline["high"] < level if headline["metric"] == "age-mae" else headline["low"] > level)
