"""Red flags: each is raised by figures that deserve it, and by no others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_runs import all_compared, attack, board, compared, kept, realistic, row, slugs, strongest, use

MILD, HARD = '{"snr_db": 20}', '{"snr_db": 0}'


def flags(tmp_path, rows, flag: str, **changes) -> list[str]:
    if "advice" not in slugs(tmp_path, rows, **changes):
        return []
    table = board(tmp_path, rows, "advice", **changes)
    return [text.line for name, text in table.rows if name.line == flag]


def wide(eer: float, half: float = 0.02) -> dict[str, float]:
    return {"low": eer - half, "high": eer + half}


def settings(hard: float, mild: float, half: float = 0.02, prdn: tuple[float, float] = (60.0, 20.0), **changes):
    """A method at two settings, the first of them with more distortion unless said otherwise."""
    rows = []
    for setting, eer, distortion in ((HARD, hard, prdn[0]), (MILD, mild, prdn[1])):
        rows += [attack("g", eer, settings=setting), *strongest("g", eer, settings=setting, **wide(eer, half))]
        rows.append(use("g", "prdn", distortion, settings=setting, plugin="waveform", level="record", **changes))
    return rows


def test_more_distortion_and_less_privacy_is_a_flag(tmp_path):
    (text,) = flags(tmp_path, settings(hard=0.1, mild=0.3), "distortion")
    assert text == (
        "ecgiddb · same-day · 89 people: g snr_db=0 distorts more than g snr_db=20 (PRDN 60.0 % against 20.0 %), "
        "yet its EER is lower (10.0 % against 30.0 %)."
    )


@pytest.mark.parametrize(
    "rows",
    [
        settings(hard=0.3, mild=0.1),
        settings(hard=0.1, mild=0.3, half=0.15),
        settings(hard=0.1, mild=0.3, prdn=(20.0, 20.0)),
        settings(hard=0.1, mild=0.3, dataset="mitdb"),
        settings(hard=0.2, mild=0.2),
    ],
    ids=["more privacy", "within the intervals", "equal distortion", "of another dataset", "equal privacy"],
)
def test_distortion_that_pays_or_may_pay_is_none(tmp_path, rows):
    assert flags(tmp_path, rows, "distortion") == []


def test_two_anonymizers_are_not_held_against_each_other(tmp_path):
    rows = []
    for name, eer, prdn in (("a", 0.1, 60.0), ("b", 0.3, 20.0)):
        rows += [attack(name, eer), *strongest(name, eer, **wide(eer)), use(name, "prdn", prdn, plugin="waveform")]
    assert flags(tmp_path, rows, "distortion") == []


@pytest.mark.parametrize(("half", "count"), [(0.05, 1), (0.3, 0)])
def test_a_paired_comparison_decides_where_there_is_one(tmp_path, half, count):
    """The single intervals overlap in the first case and not in the second; paired ones say the opposite."""
    rows = settings(hard=0.1, mild=0.3, half=0.15 if count else 0.02)
    ends = [{"anonymizer": "g", "settings": s, "fitted_on": "other-people"} for s in (HARD, MILD)]
    pair = compared("", "", -0.2, half) | {"a": ends[0], "b": ends[1]}
    assert len(flags(tmp_path, rows, "distortion", comparisons=[pair])) == count


def network(eer: float, level: str = "informed", accuracy: float = 0.9, name: str = "g", **changes):
    at = {"anonymizer": name, "knowledge": level, "plugin": "cnn1d", **changes}
    return [
        row(**at, metric="eer", value=eer, **wide(eer)),
        row(**at, metric="train-accuracy", value=accuracy),
        row(**at, metric="train-chance", value=0.05),
    ]


def originals(accuracy: float):
    """Training accuracy of the positive control."""
    at = {"role": "control", "control": "positive", "anonymizer": "", "knowledge": "unprotected", "plugin": "cnn1d"}
    return [row(**at, metric="train-accuracy", value=accuracy)]


def template(eer: float, level: str = "informed", **changes):
    return [attack("g", eer, knowledge=level, **{**wide(eer), **changes})]


def test_a_template_that_beats_the_network_is_a_flag(tmp_path):
    (text,) = flags(tmp_path, [*network(0.3), *template(0.1)], "template")
    assert text.startswith(
        "ecgiddb · same-day · 89 people: against g, svd beats the network cnn1d at informed (EER 10.0 % against 30.0 %)"
    )


@pytest.mark.parametrize(
    "rows",
    [
        [*network(0.1), *template(0.3)],
        [*network(0.3), *template(0.28)],
        [*network(0.3), *template(0.1, "ignorant")],
        [*network(0.3), *network(0.1, plugin="siamese"), *template(0.1)],
        [*network(0.3), *template(0.1, status="invalid")],
        [*template(0.1), *template(0.3, plugin="rr")],
        [*network(0.3), *template(0.1, level="beat")],
    ],
    ids=["weaker", "within", "another level", "a better network", "invalid", "no network", "other probes"],
)
def test_a_template_that_does_not_is_none(tmp_path, rows):
    assert flags(tmp_path, rows, "template") == []


@pytest.mark.parametrize(("accuracy", "count"), [(0.09, 1), (0.1, 0), (0.9, 0)])
def test_a_retrained_network_must_name_its_training_beats_twice_as_often_as_chance(tmp_path, accuracy, count):
    found = flags(tmp_path, network(0.4, "semi-informed", accuracy), "training")
    assert len(found) == count
    if count:
        assert "cnn1d did not learn from releases of g (it names 9.0 % of its own training beats" in found[0]
        assert found[0].endswith("its figure is no evidence of privacy.")


@pytest.mark.parametrize(("accuracy", "count"), [(0.4, 1), (0.5, 0)])
def test_a_retrained_network_must_fit_releases_half_as_well_as_originals(tmp_path, accuracy, count):
    """Skill is accuracy beyond chance: of originals (0.88 - 0.05) / 0.95, of releases at 0.4 less than half of it."""
    rows = [*originals(0.88), *network(0.4, "informed", accuracy)]
    found = flags(tmp_path, rows, "training")
    assert len(found) == count
    if count:
        assert "cnn1d learned little from releases of g (it names 40.0 % of its own training beats" in found[0]
        assert "of originals 88.0 %" in found[0]


@pytest.mark.parametrize(
    ("accuracy", "eer", "anchored", "marked"),
    [(0.05, 0.1, False, True), (0.4, 0.1, False, True), (0.8, 0.1, False, False), (0.05, 0.3, False, False),
     (0.05, 0.1, True, False)],
    ids=["at chance", "little", "learned", "not the strongest", "an anchor"],
)  # fmt: skip
def test_a_board_marks_a_strongest_attacker_that_learned_little(tmp_path, accuracy, eer, anchored, marked):
    name, role = ("c", "anchor") if anchored else ("g", "method")
    nets = network(eer, "informed", accuracy, name)
    rows = [replace(r, role=role) for r in (*nets, attack(name, 0.2, knowledge="informed"))]
    who = "cnn1d" if eer < 0.2 else "svd"
    rows += [*originals(0.88), *network(0.3, "unprotected"), *template(0.2)]
    table = board(tmp_path, [*rows, *strongest(name, min(eer, 0.2), plugin=who)])
    line = table.rows[[r[1].line for r in table.rows].index(name)]
    told = line[[c.title for c in table.columns].index("informed")].line, line[4].line
    mark = "¶" if marked else ""
    assert told[0].endswith(f" {who}{mark}")
    assert told[1] == f"{who} @ informed{mark}"
    assert any(note.startswith("¶") for note in table.notes) == marked


def test_a_network_trained_on_originals_is_judged_by_its_controls_instead(tmp_path):
    assert flags(tmp_path, network(0.4, "ignorant", 0.01), "training") == []


@pytest.mark.parametrize(("accuracy", "count"), [(0.84, 1), (0.95, 0)])
def test_a_network_that_tells_pairs_apart_is_judged_by_their_chance(tmp_path, accuracy, count):
    rows = [r for r in network(0.4, "semi-informed", accuracy) if r.metric != "train-chance"]
    rows.append(attack("g", 5 / 6, metric="train-chance", knowledge="semi-informed", plugin="cnn1d"))
    assert len(flags(tmp_path, rows, "training")) == count


@pytest.mark.parametrize(("probes", "count"), [(70.0, 1), (25.0, 0)])
def test_a_method_that_spares_the_records_of_evaluators_is_named(tmp_path, probes, count):
    rows = settings(hard=0.3, mild=0.1)
    rows.append(attack("g", probes, metric="probe-prdn", settings=MILD))
    found = flags(tmp_path, rows, "spared")
    assert len(found) == count
    assert all("g snr_db=20 moves the probes farther" in text and "70.0 % against 20.0 %" in text for text in found)


def test_nothing_can_be_learned_from_an_anchor(tmp_path):
    rows = [*network(0.5, "informed", 0.05, "constant", role="anchor"), *network(0.2)]
    assert flags(tmp_path, rows, "training") == []


@pytest.mark.parametrize(("less", "more"), [("ignorant", "semi-informed"), ("semi-informed", "informed")])
def test_an_attacker_that_knows_more_and_finds_less_is_a_flag(tmp_path, less, more):
    (text,) = flags(tmp_path, [*template(0.1, less), *template(0.3, more)], "knowledge")
    assert f"svd is weaker at {more} than at {less} (EER 30.0 % against 10.0 %)" in text


@pytest.mark.parametrize(
    "rows",
    [
        [*template(0.3, "ignorant"), *template(0.1, "semi-informed")],
        [*template(0.1, "ignorant"), *template(0.13, "semi-informed")],
        [*template(0.1, "ignorant"), *template(0.3, "lazy-informed")],
        [*template(0.1, "ignorant"), *template(0.3, "semi-informed", plugin="cnn1d")],
        [*template(0.1, "ignorant"), *template(0.3, "semi-informed", low=float("nan"))],
    ],
    ids=["finds more", "within the intervals", "another gallery", "another attacker", "no interval"],
)
def test_more_knowledge_that_does_not_hurt_is_none(tmp_path, rows):
    assert flags(tmp_path, rows, "knowledge") == []


def dosed(*eers: float, half: float = 0.02):
    rows = [
        attack("g", eer, role="control", control=f"dose={0.25 * i:g}", **wide(eer, half)) for i, eer in enumerate(eers)
    ]
    return [*rows, attack("g", 0.4, **wide(0.4, half))]


def test_a_dose_after_which_the_eer_falls_is_a_flag(tmp_path):
    (text,) = flags(tmp_path, dosed(0.05, 0.3, 0.1, 0.35), "dose")
    assert text.endswith("under g, the EER of svd falls from 30.0 % at dose 0.25 to 10.0 % at 0.5.")
    (text,) = flags(tmp_path / "2", dosed(0.05, 0.3, 0.45, 0.6), "dose")
    assert "60.0 % at dose 0.75 to 40.0 % at 1" in text


@pytest.mark.parametrize("rows", [dosed(0.05, 0.1, 0.2, 0.35), dosed(0.05, 0.3, 0.1, 0.35, half=0.12)])
def test_doses_that_rise_within_the_intervals_are_none(tmp_path, rows):
    assert flags(tmp_path, rows, "dose") == []


def test_what_is_kept_undeclared_is_a_flag_once_per_method_and_thing(tmp_path):
    rows = [attack("g", 0.2), *(kept("g", "rr", "undeclared", seed=s) for s in (0, 1)), kept("g", "label", "declared")]
    (text,) = flags(tmp_path, [*rows, kept("g", "amplitude", "not kept")], "keeps")
    assert text == ("ecgiddb · same-day · 89 people: g keeps rr without saying so (correlation of rr: 0.99).")


def test_what_is_declared_or_gone_is_none(tmp_path):
    rows = [attack("g", 0.2), kept("g", "rr", "declared"), kept("g", "label", "not kept")]
    assert flags(tmp_path, rows, "keeps") == []


def test_a_run_without_flags_has_no_such_board(tmp_path):
    assert "advice" not in slugs(tmp_path, [attack("g", 0.2), *strongest("g", 0.2)])


def test_flags_follow_the_combined_boards(tmp_path):
    told = slugs(tmp_path, realistic(), comparisons=all_compared())
    assert told[: told.index("advice")] == ["combined"] * told.index("advice")
    assert told[0] == "combined"


def test_another_cohort_is_named(tmp_path):
    rows = [*template(0.1, "ignorant", cohort="healthy"), *template(0.3, "semi-informed", cohort="healthy")]
    (text,) = flags(tmp_path, rows, "knowledge")
    assert text.startswith("ecgiddb · same-day · 89 people · healthy: ")
