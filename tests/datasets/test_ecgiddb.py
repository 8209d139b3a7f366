import subprocess
import sys
from pathlib import Path

import pytest
from wfdb_folder import edit, write

from agile_bench.api import Refusal, UnusableRecord
from agile_bench.datasets.ecgiddb import Ecgiddb

LEADS = ("ECG I", "ECG I filtered")


def put(root: Path, record: str, date: str = "07.12.2004", sex: str = "male", age: str = "25") -> None:
    person, _, name = record.partition("/")
    comments = (f"Age: {age}", f"Sex: {sex}", f"ECG date: {date}")
    write(root / person, name, LEADS, "16", comments=comments, annotations=((400, "N"), (500, "t")))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "ecgiddb"
    put(folder, "Person_01/rec_1")
    put(folder, "Person_01/rec_2", date="28.12.2004")
    put(folder, "Person_01/rec_10", date="15.03.2005")
    put(folder, "Person_02/rec_1", sex="female", age="61", date="28.12.2004")
    names = ("Person_01/rec_10", "Person_01/rec_1", "Person_01/rec_2", "Person_02/rec_1")
    (folder / "RECORDS").write_text("\n".join(names) + "\n")
    return folder


def test_records_are_named_by_person_and_listed_in_the_order_of_their_days(root):
    assert [(e.record, e.subject, e.session) for e in Ecgiddb().records(root)] == [
        ("Person_01/rec_1", "Person_01", "2004-12-07"),
        ("Person_01/rec_2", "Person_01", "2004-12-28"),
        ("Person_01/rec_10", "Person_01", "2005-03-15"),
        ("Person_02/rec_1", "Person_02", "2004-12-28"),
    ]


def test_records_of_one_day_are_listed_by_their_number(root):
    put(root, "Person_01/rec_10", date="28.12.2004")
    assert [e.record for e in Ecgiddb().records(root)][:3] == [
        "Person_01/rec_1",
        "Person_01/rec_2",
        "Person_01/rec_10",
    ]


def test_without_a_records_file_the_headers_are_listed(root):
    listed = Ecgiddb().records(root)
    (root / "RECORDS").unlink()
    assert Ecgiddb().records(root) == listed


def test_listing_imports_nothing_heavy(root):
    code = (
        "import sys; from pathlib import Path; from agile_bench.datasets.ecgiddb import Ecgiddb;"
        "from agile_bench.datasets.mitdb import Mitdb; print(len(Ecgiddb().records(Path(sys.argv[1]))));"
        "print(sorted({'wfdb', 'scipy', 'pandas', 'torch', 'sleepecg'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines() == ["4", "[]"]


def test_the_raw_lead_is_the_default_and_annotations_are_no_diagnosis(root):
    recording = Ecgiddb().read(root, "Person_01/rec_1")
    assert recording.leads == LEADS
    assert Ecgiddb().lead == "ECG I"
    assert recording.rpeaks is None
    assert recording.symbols is None
    assert not Ecgiddb.labelled


@pytest.mark.parametrize(
    ("sex", "age", "expected"),
    [("male", "25", ("M", 25.0)), ("female", "61", ("F", 61.0)), ("?", "-1", (None, None)), ("", "n/a", (None, None))],
)
def test_sex_and_age_come_from_the_header(root, sex, age, expected):
    put(root, "Person_01/rec_1", sex=sex, age=age)
    recording = Ecgiddb().read(root, "Person_01/rec_1")
    assert (recording.sex, recording.age) == expected


@pytest.mark.parametrize("date", ["", "yesterday", "2004-12-07", "7.12.04"])
def test_a_record_without_a_date_is_listed_and_unusable(root, date):
    put(root, "Person_02/rec_1", date=date)
    assert Ecgiddb().records(root)[-1].session == ""
    with pytest.raises(UnusableRecord, match="ECG date") as caught:
        Ecgiddb().read(root, "Person_02/rec_1")
    assert caught.value.kind == "broken header"


def test_a_listed_record_whose_files_are_missing_is_unusable_not_fatal(root):
    (root / "RECORDS").write_text("Person_01/rec_1\nPerson_09/rec_1\n")
    assert [e.record for e in Ecgiddb().records(root)] == ["Person_01/rec_1", "Person_09/rec_1"]
    with pytest.raises(UnusableRecord) as caught:
        Ecgiddb().read(root, "Person_09/rec_1")
    assert caught.value.kind == "no header"


def test_files_are_those_of_the_record(root):
    names = [path.relative_to(root).as_posix() for path in Ecgiddb().files(root, "Person_01/rec_1")]
    assert names == [f"Person_01/rec_1.{suffix}" for suffix in ("hea", "dat", "atr")]


def test_a_header_that_names_another_persons_samples_is_unusable(root):
    edit(root / "Person_01" / "rec_1.hea", "rec_1.dat", "../Person_02/rec_1.dat")
    with pytest.raises(UnusableRecord) as caught:
        Ecgiddb().read(root, "Person_01/rec_1")
    assert caught.value.kind == "path leaves the data folder"


@pytest.mark.parametrize("name", ["rec_1", "Person_01/../../rec_1", "/Person_01/rec_1", "Person_01//rec_1"])
def test_a_records_line_that_is_no_record_of_a_person_is_refused(root, name):
    (root / "RECORDS").write_text(f"{name}\n")
    with pytest.raises(Refusal, match="expected the PhysioNet folder ecgiddb"):
        Ecgiddb().records(root)


def test_a_missing_folder_is_refused_with_what_is_expected(tmp_path):
    with pytest.raises(Refusal, match="Person_01 to Person_90"):
        Ecgiddb().records(tmp_path / "ecgiddb")
