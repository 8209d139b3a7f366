"""The wheel holds what it should and nothing else, and behaves like the editable install."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import sys
import sysconfig
import tomllib
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from strangers import ROOT, agile_bench, pip, process

MAPPED = ("anonymizers", "attackers", "benchmarks")
LEFT_BEHIND = (".*", "build", "dist", "*.egg-info", "__pycache__", "runs")
TINY = """
anonymizers = ["passthrough", "gaussian"]
attackers = ["random-guess", "svd"]
evaluators = ["waveform"]
knowledge = ["unprotected", "semi-informed"]

[[datasets]]
name = "synthetic"
protocols = ["same-day"]
settings = { people = 6, sessions = 1, seconds = 10.0 }
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the project without what earlier builds left."""
    place = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, place / "copy", ignore=shutil.ignore_patterns(*LEFT_BEHIND))
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", place / "dist", place / "copy")
    told = process(place, *build)
    assert told.code == 0, told.out + told.err
    (found,) = (place / "dist").iterdir()
    return found


@pytest.fixture(scope="session")
def names(wheel: Path) -> set[str]:
    """Every file in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """A fresh environment with the wheel in it; other libraries it borrows from the one that runs the tests."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False)
    pip(place, "--python", place / "bin" / "python", "install", "--quiet", "--no-deps", wheel)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(place)}))
    lent = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (own / "lent.pth").write_text("".join(f"{path}\n" for path in sorted(lent)), encoding="utf-8")
    return place


def sources() -> dict[str, Path]:
    """The Python files that the wheel should hold, by their name in it."""
    found = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "agile_bench").rglob("*.py")}
    for folder in MAPPED:
        paths = (ROOT / folder).glob("*.py") if folder == "benchmarks" else (ROOT / folder).rglob("*.py")
        found |= {f"agile_bench/{path.relative_to(ROOT).as_posix()}": path for path in paths}
    return found


def test_the_wheel_holds_one_name(names: set[str]) -> None:
    (information,) = {name.partition("/")[0] for name in names} - {"agile_bench"}
    assert re.fullmatch(r"agile_bench-[\w.]+\.dist-info", information)


def test_the_wheel_holds_every_source_file_and_no_other(names: set[str]) -> None:
    """Packages are listed by hand in pyproject.toml; one that was forgotten is missing here."""
    assert {name for name in names if name.endswith(".py")} == set(sources())


def test_the_wheel_holds_suites_and_the_mark_of_types_and_nothing_else(names: set[str]) -> None:
    suites = {f"agile_bench/benchmarks/{path.name}" for path in (ROOT / "benchmarks").glob("*.toml")}
    reference = {f"agile_bench/benchmarks/reference/{p.name}" for p in (ROOT / "benchmarks/reference").glob("*.json")}
    assert len(suites) >= 3
    other = {name for name in names if not name.endswith(".py") and ".dist-info/" not in name}
    assert other == suites | reference | {"agile_bench/py.typed"}


def test_what_pip_reads_of_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        told = Parser().parsestr(archive.read(metadata).decode())
        entries = configparser.ConfigParser()
        entries.read_string(archive.read(metadata.replace("METADATA", "entry_points.txt")).decode())
        licence = archive.read(metadata.replace("METADATA", "licenses/LICENSE"))
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert told["License-Expression"] == "Apache-2.0"
    assert told["Requires-Python"] == ">=3.11"
    assert dict(entries["console_scripts"]) == {"agile-bench": "agile_bench.cli.main:entry"}
    needed = [line for line in told.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert len(needed) > 10
    for line in needed:
        assert re.fullmatch(r"[\w-]+(\[\w+\])?>=[\d.]+", line), f"{line}: a lower bound and nothing else"


def test_the_environment_runs_the_wheel_and_not_the_checkout(installed: Path, tmp_path: Path) -> None:
    code = (
        "import agile_bench.attackers.frontends as f, agile_bench.anonymizers.gaussian as g, agile_bench as a, numpy\n"
        "print(a.__file__, f.__file__, g.__file__, numpy.__file__, sep='\\n')"
    )
    told = process(tmp_path, installed / "bin" / "python", "-c", code)
    *ours, numpy = told.out.split()
    assert len(ours) == 3
    assert all(Path(path).is_relative_to(installed) for path in ours), ours
    assert not Path(numpy).is_relative_to(installed)


def test_wheel_and_editable_install_list_the_same(installed: Path, tmp_path: Path) -> None:
    told = process(tmp_path, installed / "bin" / "agile-bench", "list", "--json")
    assert told.code == 0, told.err
    assert told == agile_bench(tmp_path, "list", "--json")
    assert "svd" in json.loads(told.out)["attacker"]
    assert told == process(ROOT, installed / "bin" / "agile-bench", "list", "--json")


def test_wheel_and_editable_install_give_the_same_figures(installed: Path, tmp_path: Path) -> None:
    for name in ("wheel", "editable"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tiny.toml").write_text(TINY, encoding="utf-8")
    arguments = ("run", "tiny.toml", "--workers", "1", "--out", "out")
    of_wheel = process(tmp_path / "wheel", installed / "bin" / "agile-bench", *arguments)
    of_checkout = agile_bench(tmp_path / "editable", *arguments)
    assert of_wheel.code == of_checkout.code == 0, of_wheel.out + of_wheel.err + of_checkout.out + of_checkout.err
    assert of_wheel.out == of_checkout.out
    for name in ("results.parquet", "leaderboards.md", "leaderboards.csv", "suite.toml"):
        assert (tmp_path / "wheel/out" / name).read_bytes() == (tmp_path / "editable/out" / name).read_bytes(), name
    told = process(tmp_path / "editable", installed / "bin" / "agile-bench", "run", "tiny.toml", "--dry-run", "--json")
    assert all(task["stands"] for task in json.loads(told.out)["tasks"]), "the wheel has other addresses"


def test_the_wheel_knows_no_commit(installed: Path, tmp_path: Path) -> None:
    code = "from agile_bench.engine.run import environment; import json; print(json.dumps(environment('cpu')))"
    told = process(tmp_path, installed / "bin" / "python", "-c", code)
    found = json.loads(told.out)
    assert found["commit"] is None
    assert found["agile-bench"] == tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert str(installed) not in told.out


@pytest.mark.parametrize("name", [*MAPPED, "attackers.frontends", "anonymizers.gaussian"])
def test_a_folder_of_the_checkout_cannot_be_imported_by_itself(name: str) -> None:
    told = process(ROOT, sys.executable, "-c", f"import {name}")
    assert told.code == 1
    top = name.partition(".")[0]
    assert f"ImportError: import agile_bench.{top}, not {top}" in told.err
