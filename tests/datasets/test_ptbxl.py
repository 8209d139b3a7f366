import subprocess
import sys
from pathlib import Path

import pytest
from wfdb_folder import edit, write

from agile_bench.api import Refusal, UnusableRecord
from agile_bench.datasets.ptbxl import Ptbxl

LEADS = ("I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")
HEAD = "ecg_id,patient_id,age,sex,report,recording_date,scp_codes"
NORMAL = "\"{'NORM': 100.0, 'SR': 0.0}\""
LINES = (
    f"1,15709.0,56.0,1,sinusrhythmus,1984-11-09 09:17:34,{NORMAL}",
    f'2,13243,19.0,0,"zwei\nZeilen, ein Komma",1984-11-14 12:55:37,{NORMAL}',
    "3,15709.0,57.0,1,,1985-01-02 08:00:00,\"{'IMI': 80.0}\"",
    f"10,15709.0,56.0,1,,1984-11-09 08:00:00,{NORMAL}",
)


def put(root: Path, number: int, rate: int) -> str:
    folder = f"records{rate}/00000"
    name = f"{number:05d}_{'lr' if rate == 100 else 'hr'}"
    write(root / folder, name, LEADS, "16", n=1000, annotations=())
    return f"{folder}/{name}"


def table(root: Path, *lines: str) -> None:
    (root / "ptbxl_database.csv").write_text("\n".join((HEAD, *lines)) + "\n", encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "ptb-xl"
    names = [put(folder, number, 100) for number in (1, 2, 3)] + [put(folder, number, 500) for number in (1, 10)]
    table(folder, *LINES)
    (folder / "RECORDS").write_text("\n".join(names) + "\n")
    return folder


def listed(root: Path, **settings: object) -> list[tuple[str, str, str]]:
    return [(e.record, e.subject, e.session) for e in Ptbxl(**settings).records(root)]


def test_records_are_listed_once_by_person_and_time_at_the_rate_that_is_here(root):
    assert listed(root) == [
        ("records100/00000/00002_lr", "13243", "1984-11-14"),
        ("records500/00000/00010_hr", "15709", "1984-11-09"),
        ("records100/00000/00001_lr", "15709", "1984-11-09"),
        ("records100/00000/00003_lr", "15709", "1985-01-02"),
    ]
    assert [name[:10] for name, *_ in listed(root, rate=500)] == [
        "records100",
        "records500",
        "records500",
        "records100",
    ]


def test_without_a_records_file_the_headers_are_listed(root):
    before = listed(root)
    (root / "RECORDS").unlink()
    assert listed(root) == before


def test_a_listed_record_that_is_not_here_is_left_out(root):
    (root / "records100/00000/00001_lr.hea").unlink()
    (root / "records100/00000/00002_lr.hea").unlink()
    assert [name for name, *_ in listed(root)][:2] == ["records500/00000/00010_hr", "records500/00000/00001_hr"]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("56.0,1", ("F", 56.0)),
        ("19,0", ("M", 19.0)),
        ("89.0,0.0", ("M", 89.0)),
        ("300.0,1.0", ("F", None)),
        ("300,1", ("F", None)),
        (",", (None, None)),
        ("-1,2", (None, None)),
    ],
)
def test_sex_and_age_come_from_the_table_and_300_years_are_no_age(root, told, expected):
    table(root, f"1,15709,{told},,1984-11-09 09:17:34,{{}}")
    recording = Ptbxl().read(root, "records100/00000/00001_lr")
    assert (recording.sex, recording.age) == expected
    assert recording.diagnosis == ()


def test_lead_i_is_the_default_and_statements_are_the_diagnosis(root):
    recording = Ptbxl().read(root, "records100/00000/00001_lr")
    assert recording.leads == LEADS
    assert Ptbxl().lead == "I"
    assert recording.diagnosis == ("NORM", "SR")
    assert Ptbxl().read(root, "records100/00000/00003_lr").diagnosis == ("IMI",)
    assert Ptbxl.healthy == {"NORM"}
    assert recording.rpeaks is None


def test_a_table_that_changed_is_read_again(root):
    assert Ptbxl().read(root, "records100/00000/00001_lr").age == 56.0
    table(root, LINES[0].replace("56.0", "6.0"))
    assert Ptbxl().read(root, "records100/00000/00001_lr").age == 6.0


def test_files_are_those_of_the_record_and_the_table(root):
    names = [path.relative_to(root).as_posix() for path in Ptbxl().files(root, "records100/00000/00001_lr")]
    assert names == [*(f"records100/00000/00001_lr.{s}" for s in ("hea", "dat")), "ptbxl_database.csv"]


def test_listing_imports_nothing_heavy(root):
    code = (
        "import sys; from pathlib import Path; from agile_bench.datasets.ptbxl import Ptbxl;"
        "print(len(Ptbxl().records(Path(sys.argv[1]))));"
        "print(sorted({'wfdb', 'scipy', 'pandas', 'torch', 'sleepecg'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines() == ["4", "[]"]


def test_a_missing_folder_or_table_is_refused_with_what_is_expected(root, tmp_path):
    with pytest.raises(Refusal, match=r"no folder .*records100 or records500"):
        Ptbxl().records(tmp_path / "nowhere")
    (root / "ptbxl_database.csv").unlink()
    with pytest.raises(Refusal, match=r"ptbxl_database\.csv cannot be read"):
        Ptbxl().records(root)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ecg_id,age\n1,3\n", "no column patient_id, sex, recording_date, scp_codes"),
        (f"{HEAD}\none,1,3,0,,,\n", "one"),
        (f"{HEAD}\n{LINES[0]}\n", "no line about record"),
        ("", "no column ecg_id"),
    ],
)
def test_a_table_that_does_not_tell_of_the_records_is_refused(root, text, why):
    (root / "ptbxl_database.csv").write_text(text)
    with pytest.raises(Refusal, match=why):
        Ptbxl().records(root)


@pytest.mark.parametrize("name", ["../records100/00000/00001_lr", "/etc/00001_lr", "records100//00001_lr"])
def test_a_records_line_that_leaves_the_folder_is_refused(root, name):
    (root / "RECORDS").write_text(f"{name}\n")
    with pytest.raises(Refusal, match="is no record below that folder"):
        Ptbxl().records(root)


def test_a_record_that_cannot_be_read_says_why(root):
    with pytest.raises(UnusableRecord) as caught:
        Ptbxl().read(root, "records100/00000/00077_lr")
    assert caught.value.kind == "not in the table"
    (root / "records100/00000/00002_lr.dat").write_bytes(b"")
    with pytest.raises(UnusableRecord) as caught:
        Ptbxl().read(root, "records100/00000/00002_lr")
    assert caught.value.kind == "no samples"
    edit(root / "records100/00000/00003_lr.hea", "00003_lr.dat", "../00000/00001_lr.dat")
    with pytest.raises(UnusableRecord) as caught:
        Ptbxl().read(root, "records100/00000/00003_lr")
    assert caught.value.kind == "path leaves the data folder"
