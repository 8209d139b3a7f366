"""The project's own papers agree with each other and with what they describe."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml
from strangers import ROOT


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """The project's table in pyproject.toml."""
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def test_the_licence_is_the_one_that_is_stated(project: dict[str, Any]) -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert project["license"] == "Apache-2.0"
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert all(f"\n   {number}. " in text for number in range(1, 10))
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_citation_is_complete_and_of_this_version(project: dict[str, Any]) -> None:
    told = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(told)
    assert told["cff-version"] == "1.2.0"
    assert told["type"] == "software"
    assert told["title"].startswith(project["name"])
    assert (told["version"], told["license"]) == (project["version"], project["license"])
    assert all(set(author) <= {"name", "family-names", "given-names", "orcid"} for author in told["authors"])


def test_contributing_names_targets_and_files_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"`make ([a-z]+)`", text)
    assert {"test", "check"} <= set(targets)
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for path in re.findall(r"`([\w./-]+(?:/|\.md|\.py))`", text):
        assert (ROOT / path).exists(), path
    assert (ROOT / ".ci" / "run").is_file()


def test_contributing_fits_on_a_page_and_says_how_to_add_a_plugin_in_five_steps() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    section = text.partition("## Add a plugin in five steps")[2].partition("\n## ")[0]
    assert re.findall(r"^(\d)\. ", section, re.MULTILINE) == ["1", "2", "3", "4", "5"]
    for heading in ("Set up", "What a reviewer looks at", "Tests", "The Numbers rule"):
        assert f"\n## {heading}\n" in text


def test_the_changelog_keeps_the_numbers_rule() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        assert "\n### Numbers\n" in section, section.partition("\n")[0]
