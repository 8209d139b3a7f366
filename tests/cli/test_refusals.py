"""What cannot be done is refused before anything runs: one line that says what is wrong, where, and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import TINY, Command, Told

from agile_bench.cli.run import _folder_name

HEAD = 'anonymizers = ["passthrough"]\nattackers = ["svd"]\n'
FILES = {
    "broken.toml": "keys = 1\nanonymizers = [,",
    "key.toml": HEAD.replace("attackers", "atackers") + '[[datasets]]\nname = "synthetic"\n',
    "inner.toml": HEAD + '[[datasets]]\nname = "synthetic"\nprotocol = ["same-day"]\n',
    "protocol.toml": HEAD + '[[datasets]]\nname = "synthetic"\nprotocols = ["sameday"]\n',
    "level.toml": HEAD + 'knowledge = ["ignorent"]\n[[datasets]]\nname = "synthetic"\n',
    "idle.toml": 'anonymizers = ["passthrough"]\n[[datasets]]\nname = "synthetic"\n',
    "name.toml": TINY.replace('"gaussian"', '"gausian"'),
    "setting.toml": TINY.replace('"gaussian"', '{ name = "gaussian", snr = 3 }'),
    "one_day.toml": HEAD + '[[datasets]]\nname = "one-day"\nprotocols = ["cross-day"]\n',
    "one_day.py": "from agile_bench.datasets.synthetic import Synthetic\n"
    "class OneDay(Synthetic):\n    '''One.'''\n    protocols = ('within-record', 'same-day')\n",
    "syntax.py": "class Mine(:\n",
    "raises.py": "import a_library_that_is_not_there\n",
    "exits.py": "import sys\nsys.exit(0)\n",
    "empty.py": "Mine = 3\n",
    "gaussian.py": "from agile_bench.api import Anonymizer\nclass Mine(Anonymizer):\n    '''Mine.'''\n",
    "kindless.py": "from agile_bench.api import Plugin\nclass Mine(Plugin):\n    '''Mine.'''\n",
    "a_file": "",
}

RUN = ("run", "tiny.toml")
REFUSED: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    # the command line itself
    (("rnu",), ("'rnu'", "'run'", "run, list, info, doctor")),
    (("run", "--storre", "x"), ("--storre", "--store", "run --help")),
    (("run", "tiny.toml", "more"), ("more", "run --help")),
    (("info",), ("name", "info --help")),
    ((*RUN, "--subjects", "many"), ("--subjects", "integer", "run --help")),
    ((*RUN, "--workers", "0"), ("--workers 0", "at least 1")),
    ((*RUN, "--json"), ("--json", "--dry-run")),
    (("list", "attackers"), ("'attackers'", "Did you mean 'attacker'?", "front-end")),
    (("info", "svt"), ("'svt'", "Did you mean 'svd'?", "quick")),
    # suites
    (("run", "quik"), ("suite 'quik'", "Did you mean 'quick'?", "real-full")),
    (("run", "none.toml"), ("none.toml", "must exist")),
    (("run", "broken.toml"), ("broken.toml", "line 2")),
    (("run", "key.toml"), ("suite key: unknown key 'atackers'", "Did you mean 'attackers'?")),
    (("run", "inner.toml"), ("suite inner: unknown key 'datasets.0.protocol'", "Did you mean 'protocols'?")),
    (("run", "protocol.toml"), ("datasets.0.protocols", "'sameday'", "Did you mean 'same-day'?", "cross-day")),
    (("run", "level.toml"), ("knowledge", "'ignorent'", "Did you mean 'ignorant'?", "semi-informed")),
    (("run", "idle.toml"), ("suite idle", "at least one attacker or evaluator")),
    (("run", "name.toml"), ("anonymizer 'gausian'", "Did you mean 'gaussian'?")),
    (("run", "setting.toml"), ("anonymizer gaussian: unknown key 'snr'", "Did you mean 'snr_db'?")),
    # names
    ((*RUN, "-d", "sinthetic"), ("dataset 'sinthetic'", "Did you mean 'synthetic'?", "mitdb")),
    ((*RUN, "-a", "gausian"), ("anonymizer 'gausian'", "Did you mean 'gaussian'?", "passthrough")),
    ((*RUN, "-a", ""), ("anonymizer ''", "passthrough")),
    ((*RUN, "-A", "svt"), ("attacker 'svt'", "Did you mean 'svd'?", "random-guess")),
    ((*RUN, "-A", "svd+nothing"), ("front-end 'nothing'",)),
    ((*RUN, "-A", "svd+"), ("front-end ''",)),
    ((*RUN, "-e", "waveforms"), ("evaluator 'waveforms'", "Did you mean 'waveform'?", "diagnosis")),
    ((*RUN, "-A", "sex+try-donors"), ("sex+try-donors", "exploits an anonymizer")),
    (("run", "one_day.toml", "--plugin", "one_day.py:OneDay"), ("'one-day'", "'cross-day'", "within-record, same-day")),
    # settings
    ((*RUN, "-a", "gaussian:snr_db"), ("gaussian:snr_db", "NAME:KEY=VALUE")),
    ((*RUN, "-a", "gaussian:snr=3"), ("gaussian", "'snr'", "Did you mean 'snr_db'?", "sd_mv")),
    ((*RUN, "-a", "gaussian:snr_db=81"), ("gaussian: snr_db", "80", "81")),
    ((*RUN, "-a", "gaussian:snr_db=loud"), ("gaussian: snr_db", "number", "'loud'")),
    ((*RUN, "-a", "gaussian:band=pink"), ("gaussian: band", "'white' or 'ecg'", "'pink'")),
    ((*RUN, "-A", "svd:k=0"), ("svd: k", "1")),
    ((*RUN, "--subjects", "9"), ("'synthetic', same-day", "9 subjects", "4 to 8")),
    ((*RUN, "--subjects", "3"), ("3 subjects", "at least 4")),
    # machines
    ((*RUN, "--device", "tpu"), ("'tpu'", "cpu, cuda and cuda:N")),
    ((*RUN, "--device", "cuda:one"), ("'cuda:one'", "cpu, cuda and cuda:N")),
    ((*RUN, "--device", "cuda:99"), ("'cuda:99'", "allowed: cpu")),
    # folders
    ((*RUN, "-d", "mitdb"), ("'mitdb'", "--data", "$AGILE_BENCH_DATA")),
    ((*RUN, "-d", "mitdb", "--data", "nowhere"), ("--data nowhere", "no such folder")),
    ((*RUN, "-d", "mitdb", "--data", "a_file"), ("--data a_file", "no such folder")),
    ((*RUN, "-d", "mitdb", "--data", "."), ("no folder mitdb", "RECORDS", ".hea, .dat, .atr")),
    ((*RUN, "-d", "ecgiddb", "--data", "."), ("no folder ecgiddb", "Person_01 to Person_90")),
    ((*RUN, "--out", "a_file"), ("--out a_file",)),
    ((*RUN, "--out", "a_file/below"), ("--out a_file/below", "can be written")),
    ((*RUN, "--store", "a_file"), ("store a_file", "--store")),
    ((*RUN, "--store", "a_file/below"), ("store a_file/below", "--store")),
    # plugin files
    ((*RUN, "--plugin", "syntax.py"), ("'syntax.py'", "FILE.py:Class")),
    ((*RUN, "--plugin", "a_file:Mine"), ("'a_file:Mine'", "FILE.py:Class")),
    ((*RUN, "--plugin", "none.py:Mine"), ("none.py", "cannot be read")),
    ((*RUN, "--plugin", "syntax.py:Mine"), ("syntax.py", "SyntaxError", "line 1")),
    ((*RUN, "--plugin", "raises.py:Mine"), ("raises.py", "a_library_that_is_not_there")),
    ((*RUN, "--plugin", "exits.py:Mine"), ("exits.py", "SystemExit")),
    ((*RUN, "--plugin", "empty.py:Yours"), ("empty.py", "'Yours'")),
    ((*RUN, "--plugin", "empty.py:Mine"), ("empty.py", "agile_bench.api.Plugin")),
    ((*RUN, "--plugin", "kindless.py:Mine"), ("anonymizer", "evaluator")),
    ((*RUN, "--plugin", "gaussian.py:Mine"), ("two plugins", "'gaussian'", "built in", "gaussian.py")),
    (("list", "--plugin", "syntax.py:Mine"), ("syntax.py", "SyntaxError")),
    (("info", "svd", "--plugin", "empty.py:Mine"), ("empty.py", "agile_bench.api.Plugin")),
]


def one_line(told: Told) -> str:
    """The line on which a refusal is told; fails if it is anything but a refusal."""
    assert told.code == 2
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert line.startswith("agile-bench: ")
    return line


@pytest.mark.parametrize(("arguments", "words"), REFUSED, ids=[" ".join(a) for a, _ in REFUSED])
def test_refused_in_one_line(
    command: Command, folder: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    line = one_line(command(*arguments))
    assert [word for word in words if word not in line] == [], line
    assert list(folder.rglob("manifest.json")) == []
    assert not (folder / "runs").exists()


def test_a_plugin_file_that_is_no_text_is_refused(command: Command, folder: Path) -> None:
    (folder / "picture.py").write_bytes(b"\x89PNG\xff\xfe")
    line = one_line(command("list", "--plugin", "picture.py:Mine"))
    assert "picture.py" in line
    assert "UTF-8" in line


def test_two_files_of_one_name_are_refused(command: Command, folder: Path) -> None:
    text = "from agile_bench.api import FrontEnd\nclass Mine(FrontEnd):\n    '''Mine.'''\n"
    for place in ("one", "other"):
        (folder / place).mkdir()
        (folder / place / "mine.py").write_text(text + f"# {place}\n", encoding="utf-8")
    line = one_line(command("list", "--plugin", "one/mine.py:Mine", "--plugin", "other/mine.py:Mine"))
    assert "two plugins are called 'mine' (front-end)" in line


def test_a_suite_file_cannot_choose_a_folder_outside_of_runs() -> None:
    assert _folder_name("real-full") == "real-full"
    for name in ("../up", "/etc", "..", ".", "", "a/../../b", "\x1b[31m", ".hidden"):
        given = Path("runs") / _folder_name(name)
        assert given.resolve().parent == Path("runs").resolve()
