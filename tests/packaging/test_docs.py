"""The page on writing plugins is true: its examples keep the contract, and its commands run."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import sys
import tomllib
import types
from pathlib import Path

import numpy as np
import pytest
from strangers import PLUGINS, ROOT, agile_bench, blocks, examples, plugin_options

from agile_bench.api import Dataset, Refusal, UnusableRecord
from agile_bench.registry import GROUP
from agile_bench.signals.beats import cut
from agile_bench.testing import check_plugin

TESTED = "test_neighbour.py"


def load(file: str) -> types.ModuleType:
    """Execute an example of the page as a module."""
    module = types.ModuleType(file.removesuffix(".py"))
    exec(compile(examples()[file], file, "exec"), module.__dict__)
    return module


def test_the_page_has_one_example_of_every_kind() -> None:
    assert set(examples()) == {*(f"{file}.py" for file in PLUGINS), TESTED}


@pytest.mark.parametrize("file", [file for file, (kind, _) in PLUGINS.items() if kind != "dataset"])
def test_an_example_keeps_the_contract(file: str) -> None:
    check_plugin(getattr(load(f"{file}.py"), PLUGINS[file][1])())


def test_the_example_of_a_test_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "neighbour", load("neighbour.py"))
    load(TESTED).test_neighbour_keeps_the_contract()


def test_the_dataset_reads_what_it_lists(recordings: Path) -> None:
    dataset = load("csv_folder.py").CsvFolder()
    assert isinstance(dataset, Dataset)
    root = recordings / "csv"
    entries = dataset.records(root)
    assert len(entries) == 12
    assert len({entry.subject for entry in entries}) == 6
    for entry in entries:
        assert all(path.is_file() for path in dataset.files(root, entry.record))
        recording = dataset.read(root, entry.record)
        assert recording.signal.shape == (2500, 1)
        assert len(cut(recording, dataset.lead)) >= 5


def test_the_dataset_refuses_an_empty_folder_and_a_broken_file(tmp_path: Path) -> None:
    dataset = load("csv_folder.py").CsvFolder()
    with pytest.raises(Refusal, match="no recordings"):
        dataset.records(tmp_path)
    np.savetxt(tmp_path / "a_1_1.csv", np.ones((5, 2)), delimiter=",", header="I", comments="")
    with pytest.raises(UnusableRecord, match="broken file"):
        dataset.read(tmp_path, "a_1_1")


def commands(page: Path) -> list[list[str]]:
    """The commands of a page that run this program, in order."""
    lines = [line for block in blocks("sh", page) for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("agile-bench ")]


def test_every_command_of_the_page_plans_a_run(by_files: Path, recordings: Path) -> None:
    (by_files / "recordings").symlink_to(recordings)
    found = commands(ROOT / "docs" / "plugins.md")
    assert len(found) == len(PLUGINS)
    for command in found:
        assert command[0] == "run"
        told = agile_bench(by_files, *command, "--dry-run")
        assert told.code == 0, told.err
        assert "to compute" in told.out


def test_the_entry_point_of_the_page_is_the_one_that_is_looked_up() -> None:
    (text,) = blocks("toml")
    assert tomllib.loads(text)["project"]["entry-points"][GROUP] == {"neighbour": "my_package.neighbour:Neighbour"}


def test_examples_in_our_packages_are_true_too() -> None:
    """The folders' own introductions hold an example each; it is found by its indentation."""
    kinds = {"anonymizers": "Gain", "attackers": "Nearest", "attackers/frontends": "Smooth"}
    for folder, name in kinds.items():
        text = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text(encoding="utf-8")))
        assert text is not None
        code = "\n".join(line[4:] for line in text.splitlines() if not line.strip() or line.startswith("    "))
        module = types.ModuleType(name)
        exec(compile(code, folder, "exec"), module.__dict__)
        check_plugin(getattr(module, name)())


def test_links_of_the_pages_lead_somewhere() -> None:
    pages = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    for page in pages:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_modules_named_by_the_page_exist() -> None:
    text = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    for name in set(re.findall(r"`(agile_bench\.[a-z_.]+)`", text)) - {"agile_bench.plugins"}:
        assert importlib.util.find_spec(name) is not None, name
    for path in set(re.findall(r"`((?:agile_bench|anonymizers|attackers)/[a-z_./]*)`", text)):
        assert (ROOT / path).exists(), path


def test_all_options_of_the_examples_are_used() -> None:
    used = {word for command in commands(ROOT / "docs" / "plugins.md") for word in command}
    assert set(plugin_options()) <= used
