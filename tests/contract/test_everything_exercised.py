"""No identity attacker and no front-end is registered without tests that show it sound."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest
from every_plugin import ATTACKERS, FLOORS, FRONT_ENDS, identity_attackers
from small_runs import TEMPLATE_FILE, plugin_file

from agile_bench.registry import Registry

PLUGINS = Path(__file__).parents[1] / "plugins"
FRONT_END = '''
from agile_bench.api import FrontEnd

class Nothing(FrontEnd):
    """Changes nothing."""

    def apply(self, state, beats, ctx):
        return beats
'''
FLOOR = '''
from agile_bench.api import Attacker

class Floor(Attacker):
    """Looks at nothing but the rhythm."""

    floor = frozenset({"rr"})
'''
ANCHOR = FLOOR.replace("Floor", "Anchor").replace('floor = frozenset({"rr"})', "anchor = True")


def unexercised(registry: Registry) -> dict[str, str]:
    """Plugins without expectations, and expectations without a plugin."""
    attackers, floors, _ = identity_attackers(registry)
    known: tuple[tuple[Collection[str], Collection[str]], ...] = (
        (attackers, ATTACKERS),
        (floors, FLOORS),
        (registry.names("front-end"), FRONT_ENDS),
    )
    found: dict[str, str] = {}
    for there, expected in known:
        found |= {
            name: "nothing is expected of it: give it a row in tests/every_plugin.py" for name in {*there} - {*expected}
        }
        found |= {name: "expected in tests/every_plugin.py, and not registered" for name in {*expected} - {*there}}
    return found


UNCHANGED = {*unexercised(Registry())}


def newly(registry: Registry) -> set[str]:
    """What is named because of a change alone, whatever else there is."""
    return {*unexercised(registry)} - UNCHANGED


def test_every_identity_attacker_and_front_end_is_exercised() -> None:
    assert unexercised(Registry()) == {}


@pytest.mark.parametrize(("attribute", "text"), [("Nothing", FRONT_END), ("Floor", FLOOR)])
def test_a_plugin_that_is_added_without_tests_is_named(attribute: str, text: str) -> None:
    assert newly(Registry([plugin_file("new-one", attribute, text)])) == {"new-one"}


def test_an_attacker_that_is_added_without_tests_is_named_and_an_anchor_need_not_be() -> None:
    files = [TEMPLATE_FILE, plugin_file("end-of-all-tables", "Anchor", ANCHOR)]
    assert newly(Registry(files)) == {TEMPLATE_FILE.name}


def test_a_plugin_that_is_taken_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for table, name in ((ATTACKERS, "svd"), (FLOORS, "labels"), (FRONT_ENDS, "median")):
        monkeypatch.setitem(table, f"{name}-of-old", table[name])
    assert newly(Registry()) == {"svd-of-old", "labels-of-old", "median-of-old"}


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_a_front_end_is_tried_on_a_release_here_or_in_a_test_that_exists(name: str) -> None:
    row = FRONT_ENDS[name]
    assert bool(row.release) != bool(row.elsewhere)
    if row.elsewhere:
        file, _, test = row.elsewhere.partition("::")
        assert f"def {test}(" in (PLUGINS / file).read_text(encoding="utf-8")
