"""What the tests of packaging and of outside plugins share; slow things are made once a session."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from strangers import PLUGINS, SUITE, agile_bench, examples, install_package, plugin_options

from agile_bench.datasets.synthetic import Synthetic


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with six people's recordings of one day as CSV, two each."""
    root = tmp_path_factory.mktemp("recordings")
    (root / "csv").mkdir()
    made = Synthetic(people=6, sessions=1, seconds=10)
    for entry in made.records():
        recording = made.read(None, entry.record)
        name = f"{entry.subject}_{entry.session}_{entry.record.rpartition('/')[2]}.csv"
        np.savetxt(root / "csv" / name, recording.signal, fmt="%.4f", delimiter=",", header="I", comments="")
    return root


@pytest.fixture(scope="session")
def by_files(tmp_path_factory: pytest.TempPathFactory, recordings: Path) -> Path:
    """A folder with the examples of the page as files, in which the suite was run with all of them; see `out`."""
    place = tmp_path_factory.mktemp("by-files")
    for name, text in examples().items():
        (place / name).write_text(text, encoding="utf-8")
    (place / "strangers.toml").write_text(SUITE, encoding="utf-8")
    arguments = ("run", "strangers.toml", "--data", recordings, "--out", "out", *plugin_options())
    told = agile_bench(place, *arguments)
    assert told.code == 0, told.out + told.err
    (place / "said.txt").write_text(told.out, encoding="utf-8")
    return place


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which a package with the examples was installed; two more of its entry points are broken."""
    place = tmp_path_factory.mktemp("package")
    modules = {f"{file}.py": examples()[f"{file}.py"] for file in PLUGINS}
    entries = {file: f"ecg_of_others.{file}:{attribute}" for file, (_, attribute) in PLUGINS.items()}
    modules["exits.py"] = "import sys\n\nsys.exit(3)\n"
    entries |= {"gone": "ecg_of_others.gone:Gone", "exits": "ecg_of_others.exits:Exits"}
    install_package(place, place / "installed", "ecg_of_others", modules, entries)
    return place / "installed"
