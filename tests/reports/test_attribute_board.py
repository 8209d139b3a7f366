"""The board about sex and age, and that boards about identity know nothing of it."""

from __future__ import annotations

import io

import pytest
from report_runs import NAN, attack, column, control, row, strongest, write_run
from rich.console import Console

from agile_bench.reports.attributes import attribute_board, every_board
from agile_bench.reports.boards import boards
from agile_bench.reports.frame import Row, load
from agile_bench.reports.terminal import print_run

PLACE = {"dataset": "ptbxl", "protocol": "subject-folds", "subjects": 303, "level": "subject", "gallery": "", "n": 303}


def guess(metric: str, value: float, **changes) -> Row:
    return row(**(PLACE | {"metric": metric, "value": value, "plugin": metric[:3], **changes}))


def shown(metric: str, value: float, name: str, **changes) -> Row:
    fixed = {"role": "control", "control": name, "anonymizer": "", "knowledge": "unprotected"}
    return guess(metric, value, **(fixed | changes))


SEX = [
    shown("sex-auroc", 0.744, "positive", low=0.684, high=0.796),
    shown("sex-auroc", 0.5, "permuted"),
    guess("sex-auroc", 0.7, low=0.65, high=0.75),
    guess("sex-auroc", 0.72, knowledge="semi-informed"),
    guess("sex-auroc", 0.5, anonymizer="constant", role="anchor"),
    guess("sex-balanced-accuracy", 0.6),
]
AGE = [
    shown("age-mae", 12.29, "positive"),
    shown("age-mae-median", 17.39, "positive"),
    shown("age-mae", 17.3, "permuted"),
    guess("age-mae", 16.04, low=15.0, high=17.0),
    guess("age-mae-median", 17.39, low=16.2, high=18.6),
    guess("age-r2", 0.1),
]


def test_every_method_has_a_row_and_every_level_a_column() -> None:
    table = attribute_board([*SEX, *AGE])
    assert table.title == "Sex and age · ptbxl · subject-folds"
    titles = [c.title for c in table.columns]
    assert titles == [
        *("attacker", "anonymizer", "unprotected", "ignorant", "semi-informed", "knowing nothing", "people"),
    ]
    lines = [[cell.line for cell in line] for line in table.rows]
    assert lines == [
        ["age: MAE, years", "none", "12.3", "-", "-", "17.4", "303"],
        ["age: MAE, years", "none, shuffled", "17.3", "-", "-", "-", "303"],
        ["age: MAE, years", "gaussian", "-", "16.0 [15.0, 17.0]", "-", "17.4", "303"],
        ["sex: AUROC", "none", "0.74 [0.68, 0.80]", "-", "-", "0.50", "303"],
        ["sex: AUROC", "none, shuffled", "0.50", "-", "-", "0.50", "303"],
        ["sex: AUROC", "constant (anchor)", "-", "0.50", "-", "0.50", "303"],
        ["sex: AUROC", "gaussian", "-", "0.70 [0.65, 0.75]", "0.72", "0.50", "303"],
    ]


def test_repeats_are_averaged_and_what_does_not_stand_says_why() -> None:
    rows = [guess("sex-auroc", value, seed=seed) for seed, value in enumerate((0.6, 0.7))]
    rows.append(guess("sex-auroc", 0.9, anonymizer="g", status="invalid", reason="did not learn"))
    rows.append(guess("sex-auroc", NAN, anonymizer="h", status="not-computable", reason="39 men", n=0))
    table = attribute_board(rows)
    assert "mean of 2 seeds" in table.caption
    by_name = dict(zip(column(table, "anonymizer"), column(table, "ignorant"), strict=True))
    assert (by_name["gaussian"], by_name["g"], by_name["h"]) == ("0.65", "- invalid", "- not-computable")
    assert column(table, "remarks")[2:] == ["did not learn", "-", "39 men"]


def test_boards_about_identity_are_what_they_are_without(tmp_path) -> None:
    identity = [*strongest("gaussian", 0.2), attack("gaussian", 0.2), *control("positive", 0.01, 0.9)]
    alone = load(write_run(tmp_path / "alone", identity))
    both = load(write_run(tmp_path / "both", [*identity, *SEX, *AGE]))
    tables = every_board(both)
    assert [repr(t) for t in tables if t.board != "attributes"] == [
        repr(t) for t in boards(alone)
    ]  # nan differs from nan
    slugs = [t.board for t in tables]
    assert slugs.index("attributes") == slugs.index("controls") - 1
    assert repr(every_board(alone)) == repr(boards(alone))


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_shows_it(tmp_path, width: int) -> None:
    console = Console(width=width, file=io.StringIO())
    print_run(load(write_run(tmp_path, [*SEX, *AGE])), console)
    text = console.file.getvalue()
    assert "Sex and age · ptbxl · subject-folds" in text
    assert "EER" not in text
    assert max(map(len, text.splitlines())) <= width
