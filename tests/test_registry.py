import importlib
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import agile_bench.attackers
import pytest
from small_runs import TEMPLATE, TEMPLATE_FILE, plugin_file

from agile_bench.api import Attacker, Refusal
from agile_bench.registry import KINDS, BrokenPlugin, PluginFile, Registry, load_file, plugin_name

NAMES_OF_OURS = {
    "dataset": {"synthetic", "mitdb", "ecgiddb", "ptbxl"},
    "anonymizer": {"passthrough", "constant", "gaussian"},
    "attacker": {"random-guess", "svd", "sex", "age"},
}


def installed(monkeypatch: pytest.MonkeyPatch, folder: Path, **modules: str) -> None:
    """Entry points `NAME = NAME:Plugin` of modules with these texts."""
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    found = [EntryPoint(name, f"{name}:Plugin", "agile_bench.plugins") for name in modules]
    monkeypatch.setattr("agile_bench.registry.entry_points", lambda group: found)


def test_our_own_plugins_are_listed_by_the_names_of_their_files_without_importing_them() -> None:
    registry = Registry()
    before = set(sys.modules)
    for kind, some in NAMES_OF_OURS.items():
        names = registry.names(kind)
        assert some <= set(names)
        assert names == sorted(names)
        assert not any("_" in name for name in names)
    assert not [m for m in set(sys.modules) - before if m.startswith("agile_bench.")]
    assert registry.origin("attacker", "random-guess").where == "built in"


def test_every_plugin_of_ours_can_be_loaded_and_made() -> None:
    registry = Registry()
    for kind in KINDS:
        for name in registry.names(kind):
            plugin = registry.make(kind, name, {})
            assert type(plugin).__module__.rpartition(".")[2] == name.replace("-", "_")


def test_an_unknown_name_is_told_with_the_nearest_and_all_that_there_are() -> None:
    with pytest.raises(Refusal, match=r"Unknown anonymizer 'gausian'\. Did you mean 'gaussian'\? Known: .*passthrough"):
        Registry().load("anonymizer", "gausian")
    with pytest.raises(Refusal, match=r"Unknown anonymizer 'svd'\. Known"):
        Registry().load("anonymizer", "svd")


def test_a_wrong_setting_is_told_with_its_path_and_what_is_allowed() -> None:
    registry = Registry()
    with pytest.raises(
        Refusal, match=r"anonymizer gaussian: unknown key 'snr_bd'\. Did you mean 'snr_db'\? Allowed: .*band"
    ):
        registry.make("anonymizer", "gaussian", {"snr_bd": 1})
    with pytest.raises(Refusal, match=r"gaussian: band: .*'white' or 'ecg' \(got 'pink'\)"):
        registry.make("anonymizer", "gaussian", {"band": "pink"})
    with pytest.raises(Refusal, match="snr_db: Input should be a finite number"):
        registry.make("anonymizer", "gaussian", {"snr_db": float("nan")})


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_file_becomes_a_plugin_of_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "my_own.py").write_text(TEMPLATE)
    file = PluginFile.parse(f"{tmp_path}/my_own.py:Template")
    assert (file.name, file.attribute) == ("my-own", "Template")
    registry = Registry([file])
    assert "my-own" in registry.names("attacker")
    assert "svd" in registry.names("attacker")
    assert isinstance(registry.make("attacker", "my-own", {"reduce": "mean-embedding"}), Attacker)
    assert registry.origin("attacker", "my-own").where == "my_own.py"


@pytest.mark.parametrize("argument", ["x.py", "x.txt:A", ":A", "x.py:", "x.py:A.b", "x.py:A b", "x.pyc:A"])
def test_a_plugin_argument_of_another_form_is_refused(argument: str) -> None:
    with pytest.raises(Refusal, match=r"expected FILE\.py:Class"):
        PluginFile.parse(argument)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="cannot be read"):
        PluginFile.parse(f"{tmp_path}/none.py:A")
    (tmp_path / "odd.py").write_bytes(b"\xff\xfe")
    with pytest.raises(Refusal, match="not UTF-8 text"):
        PluginFile.parse(f"{tmp_path}/odd.py:A")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("import nothing_of_that_name", "ModuleNotFoundError.*nothing_of_that_name"),
        ("from .sibling import x", "ImportError: attempted relative import"),
        ("def f(:", "SyntaxError"),
        ("x = 1", r"svd\.py defines no 'Mine'"),
        ("Mine = 3", "no subclass"),
        ("class Mine: pass", "no subclass"),
        ("from agile_bench.api import Plugin\nclass Mine(Plugin): pass", "Mine is none of dataset, anonymizer"),
    ],
)
def test_a_broken_file_is_refused_and_never_replaced_by_one_of_ours_of_its_name(text: str, told: str) -> None:
    registry = Registry([plugin_file("svd", "Mine", text)])
    with pytest.raises(BrokenPlugin, match=told):
        registry.load("attacker", "svd")


def test_two_plugins_of_one_kind_and_name_are_refused_and_of_two_kinds_are_not() -> None:
    with pytest.raises(Refusal, match=r"two plugins are called 'svd' \(attacker\): built in and svd\.py"):
        Registry([plugin_file("svd", "Template", TEMPLATE)]).names("attacker")
    with pytest.raises(Refusal, match=r"'plain' \(attacker\): plain\.py and plain\.py"):
        Registry([TEMPLATE_FILE, plugin_file("plain", "Template", TEMPLATE + "#\n")]).load("attacker", "plain")
    assert "gaussian" in Registry([plugin_file("gaussian", "Template", TEMPLATE)]).names("attacker")


def test_a_file_is_executed_once_in_a_module_that_dataclasses_can_look_up() -> None:
    typed = "from dataclasses import dataclass\nfrom typing import ClassVar\n"
    text = TEMPLATE + typed + "@dataclass\nclass Kept:\n    x: 'ClassVar[int]' = 3\n"
    file = plugin_file("plain", "Template", text)
    assert load_file(file) is load_file(PluginFile("other", "Kept", text))
    assert load_file(file).__name__ in sys.modules
    with pytest.raises(ZeroDivisionError):
        load_file(plugin_file("bad", "X", "1 / 0"))
    assert not [m for m in sys.modules.values() if getattr(m, "__name__", "").endswith("bad")]


# -- installed packages ------------------------------------------------------------------------------------------------


def test_a_plugin_of_an_installed_package_is_found_by_its_entry_point(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed(monkeypatch, tmp_path, strangers_method=TEMPLATE.replace("Template", "Plugin"))
    registry = Registry()
    assert "strangers-method" in registry.names("attacker")
    assert isinstance(registry.make("attacker", "strangers-method", {}), Attacker)
    assert registry.origin("attacker", "strangers-method").where == "strangers_method:Plugin"
    assert registry.load("anonymizer", "gaussian")


def test_a_broken_installed_plugin_is_listed_as_broken_and_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed(monkeypatch, tmp_path, strangers_ruin="raise OSError('half installed')")
    registry = Registry()
    assert registry.load("anonymizer", "gaussian")
    assert "strangers-ruin" not in registry.names("attacker")
    assert registry.broken == {
        "strangers-ruin": "plugin 'strangers-ruin' (strangers_ruin:Plugin): OSError: half installed"
    }
    with pytest.raises(BrokenPlugin, match="half installed"):
        registry.load("attacker", "strangers-ruin")


def test_an_installed_plugin_with_the_name_of_one_of_ours_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed(monkeypatch, tmp_path, svd=TEMPLATE.replace("Template", "Plugin"))
    with pytest.raises(Refusal, match=r"two plugins are called 'svd' \(attacker\): built in and svd:Plugin"):
        Registry().load("attacker", "svd")


# -- our own folders ---------------------------------------------------------------------------------------------------


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files stand among our attackers."""
    monkeypatch.setattr(agile_bench.attackers, "__path__", [*agile_bench.attackers.__path__, str(tmp_path)])
    monkeypatch.setattr(agile_bench.attackers.__spec__, "submodule_search_locations", agile_bench.attackers.__path__)
    importlib.invalidate_caches()
    return tmp_path


def test_a_new_file_is_there_at_once_and_one_with_an_underscore_in_front_is_not(added: Path) -> None:
    (added / "fresh_one.py").write_text(TEMPLATE)
    (added / "_helper.py").write_text("")
    registry = Registry()
    assert "fresh-one" in registry.names("attacker")
    assert not any("helper" in name for name in registry.names("attacker"))
    assert isinstance(registry.make("attacker", "fresh-one", {}), Attacker)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("ruin_a", "raise ValueError('half written')", "attacker 'ruin-a': ValueError: half written"),
        ("ruin_b", "", "defines 0 plugins, expected one"),
        ("ruin_c", TEMPLATE + "\nclass Second(Template):\n    pass\n", "defines 2 plugins, expected one"),
        ("ruin_d", "from agile_bench.api import Attacker\n", "defines 0 plugins"),
    ],
)
def test_a_broken_file_of_ours_says_why_when_it_is_loaded(added: Path, name: str, text: str, told: str) -> None:
    (added / f"{name}.py").write_text(text)
    registry = Registry()
    assert plugin_name(name) in registry.names("attacker")
    with pytest.raises(BrokenPlugin, match=told):
        registry.load("attacker", plugin_name(name))
    assert registry.load("attacker", "svd")
