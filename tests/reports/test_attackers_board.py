"""The board of every attacker: one line for each method and attacker, its figures at each level in percent."""

from __future__ import annotations

from report_runs import attack, board, column, control, row, slugs

LEVELS = ("ignorant", "informed")
POSITIVE = {"role": "control", "control": "positive", "anonymizer": "", "knowledge": "unprotected"}


def found(anonymizer: str, plugin: str, eers, rank1: float = 0.5, **changes):
    return [
        r
        for level, eer in zip(LEVELS, eers, strict=True)
        for r in (
            attack(anonymizer, eer, plugin=plugin, knowledge=level, **changes),
            attack(anonymizer, rank1, metric="rank-1", plugin=plugin, knowledge=level, **changes),
        )
    ]


def test_a_line_tells_an_attacker_at_every_level_and_the_strongest_comes_first(tmp_path):
    rows = [
        *found("g", "svd", (0.2, 0.1)),
        *found("g", "cnn1d", (0.4, 0.05), rank1=0.9),
        *found("f", "svd", (0.3, 0.3)),
        *control("positive", 0.02, 0.97),
    ]
    table = board(tmp_path, rows, "attackers")
    assert [(line[0].line, line[1].line) for line in table.rows] == [("f", "svd"), ("g", "cnn1d"), ("g", "svd")]
    assert column(table, "unprotected") == ["2.0 / 97.0", "-", "2.0 / 97.0"]
    assert column(table, "ignorant") == ["30.0 / 50.0", "40.0 / 90.0", "20.0 / 50.0"]
    assert column(table, "informed") == ["30.0 / 50.0", "5.0 / 90.0", "10.0 / 50.0"]


def test_seeds_and_keys_are_averaged_and_front_ends_are_attackers_of_their_own(tmp_path):
    rows = [
        *found("g", "svd", (0.2, 0.1)),
        *found("g", "svd", (0.4, 0.3), seed=1),
        *found("g", "svd", (0.3, 0.2), front_end="average"),
    ]
    table = board(tmp_path, rows, "attackers")
    assert column(table, "attacker") == ["svd", "svd+average"]
    assert column(table, "informed") == ["20.0 / 50.0", "20.0 / 50.0"]


def test_a_failed_cell_says_so_and_beats_and_anchors_are_left_out(tmp_path):
    rows = [
        *found("g", "svd", (0.2, 0.1)),
        *found("g", "cnn1d", (0.3, 0.4), status="failed"),
        *found("g", "template", (0.01, 0.01), level="beat"),
        *found("constant", "svd", (0.5, 0.5), role="anchor"),
    ]
    table = board(tmp_path, rows, "attackers")
    assert column(table, "attacker") == ["svd", "cnn1d"]
    assert column(table, "informed") == ["10.0 / 50.0", "- failed"]


def test_a_network_that_learned_little_is_marked(tmp_path):
    rows = [
        *found("g", "svd", (0.2, 0.1)),
        *found("g", "cnn1d", (0.2, 0.4)),
        row(**POSITIVE, plugin="cnn1d", metric="train-accuracy", value=0.9),
        row(anonymizer="g", plugin="cnn1d", knowledge="informed", metric="train-accuracy", value=0.1),
        row(anonymizer="g", plugin="cnn1d", knowledge="informed", metric="train-chance", value=0.01),
    ]
    table = board(tmp_path, rows, "attackers")
    assert column(table, "informed") == ["10.0 / 50.0", "40.0 / 50.0¶"]
    assert any(note.startswith("¶") for note in table.notes)


def test_one_attacker_needs_no_board(tmp_path):
    assert "attackers" not in slugs(tmp_path, [*found("g", "svd", (0.2, 0.1)), *found("f", "svd", (0.2, 0.1))])
