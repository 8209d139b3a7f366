"""Boards of the controls: what attackers must and must not find, graded doses and traces, noise, floors."""

from __future__ import annotations

import pytest
from report_runs import (
    NAN,
    attack,
    board,
    column,
    compared,
    control,
    excess,
    kept,
    row,
    slugs,
    strongest,
    use,
)

from agile_bench.reports.controls import perturbation_board
from agile_bench.reports.figures import Roles, place_of

BOTH = [*control("positive", 0.06, 0.95), *control("permuted", 0.49, 0.02)]


def test_controls_are_shown_against_chance_with_a_verdict(tmp_path):
    rows = [*BOTH, attack("g", 0.4), attack("g", 0.4, plugin="half"), attack("g", 0.4, plugin="weak", status="invalid")]
    rows += [*control("positive", 0.4, 0.05, plugin="weak"), *control("permuted", 0.5, 0.01, plugin="weak")]
    rows += control("positive", 0.4, 0.05, plugin="half")
    table = board(tmp_path, rows, "controls")
    assert column(table, "attacker") == ["half", "svd", "weak"]
    assert column(table, "verdict") == ["missing", "valid", "invalid"]
    assert column(table, "positive rank-1 %") == ["5.0", "95.0", "5.0"]
    assert column(table, "permuted EER %") == ["-", "49.0", "50.0"]
    assert column(table, "chance %") == ["1.1", "1.1", "1.1"]


def test_chance_is_one_in_the_gallery_as_the_pairs_tell(tmp_path):
    """Two galleries of 10 and 10 of 20 people: one of ten, not one of twenty."""
    rows = [*control("positive", 0.1, 0.9, subjects=20, n_genuine=20, n_impostor=180), attack("g", 0.1, subjects=20)]
    assert column(board(tmp_path, rows, "controls"), "chance %") == ["10.0"]
    top = strongest("g", 0.1, subjects=20, n_genuine=20, n_impostor=180)
    halves = attack("g", 0.1, subjects=20, n_genuine=20, n_impostor=180)
    assert "rank-1 10.0 (1/10)" in board(tmp_path / "2", [halves, *top]).caption
    uneven = attack("g", 0.1, subjects=21, n_genuine=21, n_impostor=201)
    assert "rank-1 9.5" in board(tmp_path / "3", [uneven]).caption
    assert "(1/" not in board(tmp_path / "3", [uneven]).caption


def test_levels_that_alone_are_invalid_are_named(tmp_path):
    rows = [*BOTH, attack("g", 0.4), attack("g", 0.4, knowledge="informed", status="invalid")]
    rows.append(attack("g", 0.4, knowledge="semi-informed", status="invalid"))
    assert column(board(tmp_path, rows, "controls"), "verdict") == ["invalid at semi-informed, informed"]


def known(**rank1: float):
    levels = {"constant": "semi-informed", "scramble": "semi-informed", "pseudo": "lazy-informed"}
    names = {"pseudo": "pseudo-identities"}
    return [r for n, v in rank1.items() for r in control(names.get(n, n), 0.4, v, knowledge=levels[n])]


def test_releases_of_known_effect_have_a_board(tmp_path):
    rows = [*BOTH, *known(constant=0.011, scramble=0.9, pseudo=0.8), attack("g", 0.4)]
    rows += control("scramble", 0.5, 0.02, knowledge="ignorant")
    table = board(tmp_path, rows, "controls-known")
    assert column(table, "one beat for all, retrained %") == ["1.1"]
    assert column(table, "fixed scramble %") == ["2.0"]
    assert column(table, "fixed scramble, retrained %") == ["90.0"]
    assert column(table, "people swapped, all released %") == ["80.0"]
    assert column(table, "verdict") == ["as it must"]
    assert "people swapped %" not in [c.title for c in table.columns]


def test_a_control_that_went_wrong_says_how_and_bars_the_attacker(tmp_path):
    wrong = "tells equal beats apart: rank-1 12.0 % [8.0 %, 16.0 %]"
    broken = control("constant", 0.4, 0.12, knowledge="ignorant", reason=wrong)
    table = board(tmp_path, [*BOTH, *broken, attack("g", 0.4)], "controls-known")
    assert column(table, "verdict") == [wrong]
    table = board(tmp_path, [*BOTH, *broken, attack("g", 0.4)], "controls")
    assert column(table, "verdict") == ["invalid"]


def test_remarks_and_missing_rates_of_a_control_are_no_fault(tmp_path):
    thin = row(role="control", control="positive", metric="tmr-at-fmr-1e-2", anonymizer="", reason="thin: few")
    none = row(
        **{"role": "control", "control": "positive", "metric": "tmr-at-fmr-1e-3", "anonymizer": "", "value": NAN},
        **{"status": "not-computable", "reason": "too few"},
    )
    assert column(board(tmp_path, [*BOTH, thin, none, attack("g", 0.4)], "controls"), "verdict") == ["valid"]


def test_without_full_controls_their_boards_are_not_there(tmp_path):
    told = slugs(tmp_path, [*BOTH, attack("g", 0.4)])
    assert "controls" in told
    assert not {"controls-known", "doses", "spikes", "noise", "floors", "excess"} & set(told)


def test_the_clean_row_of_an_evaluator_is_no_control_of_an_attacker(tmp_path):
    rows = [*BOTH, attack("g", 0.4), use("g", "accuracy", 0.9)]
    rows.append(use("", "accuracy", 0.95, role="control", control="clean", pool="original"))
    assert column(board(tmp_path, rows, "controls"), "attacker") == ["svd"]


def dosed(eers: dict[float, float], half: float = 0.01, **changes):
    return [
        attack("g", eer, role="control", control=f"dose={dose:g}", low=eer - half, high=eer + half, **changes)
        for dose, eer in eers.items()
    ]


def test_doses_end_with_the_release_itself(tmp_path):
    rows = [*dosed({0: 0.05, 0.25: 0.1, 0.5: 0.2, 0.75: 0.25}), attack("g", 0.3, low=0.28, high=0.32)]
    rows += [attack("g", 0.9, key=1), attack("g", 0.8, knowledge="informed"), attack("g", 0.2, plugin="other")]
    table = board(tmp_path, rows, "doses")
    assert [c.title for c in table.columns] == ["anonymizer", "attacker", "0", "0.25", "0.5", "0.75", "1", "rises"]
    assert [c.line for c in table.rows[0]] == [
        *("g", "svd", "5.0 [4.0, 6.0]", "10.0 [9.0, 11.0]", "20.0 [19.0, 21.0]", "25.0 [24.0, 26.0]"),
        *("30.0 [28.0, 32.0]", "yes"),
    ]
    assert len(table.rows) == 1


@pytest.mark.parametrize(("half", "told"), [(0.01, "no"), (0.06, "yes")])
def test_a_fall_counts_if_it_exceeds_the_intervals(tmp_path, half, told):
    rows = [*dosed({0: 0.05, 0.25: 0.2, 0.5: 0.1, 0.75: 0.25}, half), attack("g", 0.3, low=0.28, high=0.32)]
    assert column(board(tmp_path, rows, "doses"), "rises") == [told]


def test_a_control_with_a_dose_that_is_no_number_is_passed_over(tmp_path):
    rows = [attack("g", 0.1, role="control", control=f"dose={x}") for x in ("nan", "much", "", "inf")]
    assert "doses" not in slugs(tmp_path, [*rows, attack("g", 0.3)])


def spiked(ends: dict[float, tuple[float, float]], **changes):
    fixed = {"anonymizer": "", "knowledge": "semi-informed", "metric": "rank-1", "role": "control", **changes}
    return [row(**fixed, control=f"spike={e:g}", value=v, low=low, high=1.0) for e, (v, low) in ends.items()]


def test_the_detection_limit_is_the_least_energy_well_above_chance(tmp_path):
    """Chance is 1/50: a lower end of 0.04 is twice chance, not above it."""
    ends = {0.003: (0.02, 0.0), 0.01: (0.06, 0.04), 0.03: (0.2, 0.041), 0.1: (0.9, 0.8)}
    rows = [*spiked(ends, subjects=50), attack("g", 0.3, subjects=50), attack("g", 0.3, subjects=50, plugin="blind")]
    rows += spiked(dict.fromkeys(ends, (0.02, 0.0)), subjects=50, plugin="blind")
    table = board(tmp_path, rows, "spikes")
    assert column(table, "attacker") == ["blind", "svd"]
    assert column(table, "limit mV") == ["> 0.1", "0.03"]
    assert column(table, "0.03 mV") == ["2.0 [0.0, 100.0]", "20.0 [4.1, 100.0]"]
    assert column(table, "chance %") == ["2.0", "2.0"]


def test_a_limit_below_the_least_energy_says_so(tmp_path):
    rows = [*spiked({0.003: (0.9, 0.8), 0.01: (0.95, 0.9)}), attack("g", 0.3)]
    assert column(board(tmp_path, rows, "spikes"), "limit mV") == ["<= 0.003"]


def test_noise_stands_beside_the_release_level_by_level(tmp_path):
    rows = [attack("g", 0.3), attack("g", 0.2, plugin="cnn1d"), attack("g", 0.1, plugin="never-met-noise")]
    for plugin, eer in (("svd", 0.25), ("cnn1d", 0.35)):
        rows += control("matched-noise", eer, 0.5, anonymizer="g", plugin=plugin, knowledge="ignorant")
    table = board(tmp_path, rows, "noise", comparisons=[compared("g", "matched-noise", -0.05, 0.02, p_holm=0.0004)])
    assert [c.line for c in table.rows[0]] == [*("g", "20.0 cnn1d", "25.0 svd", "-5.0 [-7.0, -3.0]", "< 0.001", "no")]


def floor(kept_alone: str, eer: float, rank1: float, **changes):
    fixed = {"role": "floor", "control": kept_alone, "anonymizer": "", "knowledge": "unprotected", **changes}
    return [row(metric="eer", value=eer, **fixed), row(metric="rank-1", value=rank1, low=0.0, high=0.5, **fixed)]


def test_floors_stand_from_one_attribute_to_all(tmp_path):
    rows = floor("label+rr", 0.3, 0.2, plugin="labels+intervals")
    rows += [*floor("rr", 0.35, 0.15, plugin="intervals"), *floor("label", 0.45, 0.05, plugin="labels")]
    table = board(tmp_path, [*rows, attack("g", 0.1)], "floors")
    assert column(table, "kept") == ["label", "rr", "label+rr"]
    assert column(table, "by") == ["labels", "intervals", "labels+intervals"]
    assert column(table, "EER %") == ["45.0", "35.0", "30.0"]
    assert column(table, "rank-1 %")[0] == "5.0 [0.0, 50.0]"
    assert column(table, "chance %") == ["1.1"] * 3


def test_the_excess_says_whether_identity_beyond_the_kept_was_shown(tmp_path):
    rows = [attack(name, 0.3) for name in "abc"]
    rows += [excess("a", 0.2, 0.1, 0.3), excess("a", 0.05, 0.01, 0.1, metric="excess-eer")]
    rows += [excess("b", 0.05, -0.05, 0.15, control=""), kept("b", "rr", "not kept"), kept("a", "rr", "declared")]
    rows += [kept("a", "amplitude", "undeclared"), excess("c", 0.3, NAN, NAN)]
    table = board(tmp_path, rows, "excess")
    assert column(table, "anonymizer") == ["b", "a§", "c"]
    assert column(table, "rank") == ["1", "2", "3"]
    assert column(table, "floor") == ["chance", "rr", "rr"]
    assert column(table, "keeps rr") == ["no", "declared", "-"]
    assert column(table, "keeps amplitude") == ["-", "undeclared", "-"]
    assert column(table, "identity beyond") == ["not shown", "shown", "-"]
    assert column(table, "excess EER %") == ["-", "5.0 [1.0, 10.0]", "-"]
    assert "rr by correlation of rr" in table.caption


def test_a_thing_kept_undeclared_under_one_seed_is_undeclared(tmp_path):
    rows = [attack("a", 0.3), excess("a", 0.2, 0.1, 0.3), kept("a", "rr", "not kept", seed=1)]
    rows.append(kept("a", "rr", "undeclared", seed=2))
    assert column(board(tmp_path, rows, "excess"), "keeps rr") == ["undeclared"]


@pytest.mark.parametrize("slug", ["combined", "privacy-eer", "fidelity-diagnosis"])
def test_who_keeps_more_than_it_says_is_marked_in_the_tables(tmp_path, slug):
    rows = [attack("a", 0.3), attack("b", 0.2), *strongest("a", 0.3), *strongest("b", 0.2)]
    rows += [kept("a", "rr", "undeclared"), kept("a", "label", "undeclared", seed=3), kept("b", "rr", "declared")]
    rows += [use("a", "accuracy", 0.9), use("b", "accuracy", 0.8)]
    table = board(tmp_path, rows, slug)
    assert column(table, "anonymizer") == ["a§", "b"]
    assert "§ keeps more than it says: label, rr (a)" in table.notes


def alone(anonymizer: str, eer: float, rank1: float, low: float, **changes):
    fixed = {"anonymizer": anonymizer, "knowledge": "semi-informed", "low": low, "high": 1.0, **changes}
    return control("perturbation-only", eer, rank1, **fixed)


def perturbations(rows):
    place = place_of(rows[0])
    return perturbation_board(place, rows, Roles(rows))


def test_what_the_perturbation_alone_says_stands_in_words_by_its_best_attacker():
    """Chance is 1/50: a lower end of 0.04 is twice chance, not above it."""
    rows = [attack(name, 0.3, subjects=50, plugin=plugin) for name in "abc" for plugin in ("svd", "cnn1d")]
    rows += alone("b", 0.1, 0.8, 0.041, subjects=50) + alone("b", 0.05, 0.7, 0.05, subjects=50, plugin="cnn1d")
    rows += alone("a", 0.5, 0.06, 0.04, subjects=50)
    table = perturbations(rows)
    assert column(table, "anonymizer") == ["a", "b"]
    assert column(table, "attacker") == ["svd", "cnn1d"]
    assert [column(table, "EER %")[1][:3], column(table, "rank-1 %")[1][:4]] == ["5.0", "70.0"]
    assert column(table, "the perturbation alone says") == ["nothing shown", "who it is"]
    assert column(table, "chance %") == ["2.0", "2.0"]
    assert "of the person" in table.caption
    assert "oracle" in table.notes[0]


def test_a_perturbation_that_could_not_be_judged_says_nothing():
    failed = {"status": "failed", "value": NAN}
    rows = [attack("a", 0.3)]
    rows += [
        row(**{"role": "control", "control": "perturbation-only", "anonymizer": "a", "metric": m, **failed})
        for m in ("eer", "rank-1")
    ]
    table = perturbations(rows)
    assert [c.line for c in table.rows[0]][1:3] == ["- failed", "- failed"]
    assert column(table, "the perturbation alone says") == ["-"]


def test_the_perturbation_alone_ranks_nobody_and_spoils_no_attacker(tmp_path):
    rows = [*BOTH, attack("g", 0.4), *strongest("g", 0.4)]
    told = {
        slug: [[c.line for c in r] for r in board(tmp_path, rows, slug).rows]
        for slug in ("combined", "controls", "privacy-eer")
    }
    more = [*rows, *alone("g", 0.01, 1.0, 0.9)]
    again = {slug: [[c.line for c in r] for r in board(tmp_path / "2", more, slug).rows] for slug in told}
    assert again == told
