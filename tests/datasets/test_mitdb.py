from pathlib import Path

import numpy as np
import pytest
from wfdb_folder import edit, write

from agile_bench.api import Refusal, UnusableRecord
from agile_bench.datasets.mitdb import Mitdb


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "mitdb"
    for name in ("100", "201", "202"):
        write(folder, name)
    (folder / "RECORDS").write_text("100\n201\n202\n")
    return folder


def kind_of(root: Path, record: str = "100") -> str:
    with pytest.raises(UnusableRecord) as caught:
        Mitdb().read(root, record)
    return caught.value.kind


def test_201_and_202_are_one_person_and_the_others_one_each(root):
    entries = Mitdb().records(root)
    assert [(e.record, e.subject) for e in entries] == [("100", "100"), ("201", "201"), ("202", "201")]


def test_without_a_records_file_the_headers_are_listed(root):
    (root / "RECORDS").unlink()
    assert [e.record for e in Mitdb().records(root)] == ["100", "201", "202"]


def test_samples_are_millivolts_and_lead_names_are_the_headers_own(root):
    digital = write(root, "100", leads=("V5", "MLII"))
    recording = Mitdb().read(root, "100")
    assert recording.leads == ("V5", "MLII")
    assert recording.fs == 360
    assert np.allclose(recording.signal, (digital - 1024) / 200)


def test_missing_samples_are_nan(root):
    for fmt, missing in (("212", -2048), ("16", -32768)):
        digital = write(root, "100", fmt=fmt)
        samples = np.fromfile(root / "100.dat", "<i2" if fmt == "16" else "u1")
        if fmt == "16":
            samples[0] = missing
        else:  # twelve bits: the low eight in the first byte, the high four in the low half of the second
            samples[0], samples[1] = 0x00, (samples[1] & 0xF0) | 0x8
        samples.tofile(root / "100.dat")
        signal = Mitdb().read(root, "100").signal
        assert np.isnan(signal[0, 0])
        assert np.isnan(signal).sum() == 1
        assert np.allclose(signal[1:], (digital[1:] - 1024) / 200)


def test_only_beats_are_references(root):
    recording = Mitdb().read(root, "100")
    assert recording.rpeaks is not None
    assert recording.rpeaks.tolist() == [400, 700]
    assert recording.symbols is not None
    assert recording.symbols.tolist() == ["N", "V"]
    assert recording.skip == ()


def test_flutter_is_skipped_to_its_end_or_to_that_of_the_record(root):
    marks = ((300, "["), (350, "!"), (500, "]"), (900, "N"), (2000, "["), (2100, "!"))
    write(root, "100", annotations=marks)
    recording = Mitdb().read(root, "100")
    assert recording.skip == ((300, 501), (2000, 3000))
    assert recording.rpeaks is not None
    assert recording.rpeaks.tolist() == [900]


@pytest.mark.parametrize(
    ("comment", "sex", "age"),
    [("69 M 1085 1629 x1", "M", 69), ("-1 F 742 654 x1", "F", None), ("89 X", None, 89), ("", None, None)],
)
def test_sex_and_age_come_from_the_first_comment(root, comment, sex, age):
    write(root, "100", comments=(comment, "Aldomet, Inderal"))
    recording = Mitdb().read(root, "100")
    assert (recording.sex, recording.age) == (sex, age)


def test_files_are_those_of_the_record_that_exist(root):
    (root / "100.atr").unlink()
    assert [path.name for path in Mitdb().files(root, "100")] == ["100.hea", "100.dat"]


def test_the_published_split_leaves_out_paced_records_and_shares_none():
    train, test = Mitdb().diagnostic_split()
    assert len(train) == len(test) == 22
    assert not train & test
    assert not (train | test) & {"102", "104", "107", "217"}


@pytest.mark.parametrize("missing", ["folder", "root"])
def test_a_missing_folder_is_refused_with_what_is_expected(tmp_path, missing):
    with pytest.raises(Refusal, match="48 records"):
        Mitdb().records(tmp_path / "mitdb" if missing == "folder" else None)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(Refusal, match="no record in"):
        Mitdb().records(tmp_path)


@pytest.mark.parametrize("name", ["../100", "/etc/passwd", "a/../../100", "file::http:", "1\x1b[31m", "a b", ".."])
def test_a_records_line_that_is_no_name_below_the_folder_is_refused(root, name):
    (root / "RECORDS").write_text(f"100\n{name}\n")
    with pytest.raises(Refusal, match="is no record below that folder"):
        Mitdb().records(root)


def test_a_record_that_is_a_link_out_of_the_folder_is_refused(root, tmp_path):
    write(tmp_path / "elsewhere", "300")
    (root / "300.hea").symlink_to(tmp_path / "elsewhere" / "300.hea")
    (root / "RECORDS").write_text("300\n")
    with pytest.raises(Refusal, match="'300'"):
        Mitdb().records(root)
    assert kind_of(root, "300") == "path leaves the data folder"
    assert Mitdb().files(root, "300") == []


@pytest.mark.parametrize("named", ["../100.dat", "/etc/passwd", "sub/../../100.dat"])
def test_a_header_that_names_samples_outside_is_unusable_before_anything_opens_them(root, named, monkeypatch):
    edit(root / "100.hea", "100.dat", named)
    monkeypatch.setattr("wfdb.rdrecord", lambda *a, **k: pytest.fail("opened"))
    monkeypatch.setattr("wfdb.rdheader", lambda *a, **k: pytest.fail("opened"))
    assert kind_of(root) == "path leaves the data folder"


@pytest.mark.parametrize("suffix", ["dat", "atr", "hea"])
def test_a_file_that_is_a_link_out_of_the_folder_is_not_followed(root, tmp_path, suffix):
    write(tmp_path / "elsewhere", "100")
    (root / f"100.{suffix}").unlink()
    (root / f"100.{suffix}").symlink_to(tmp_path / "elsewhere" / f"100.{suffix}")
    assert kind_of(root) == "path leaves the data folder"


def test_a_link_within_the_folder_is_followed(root):
    (root / "100.dat").rename(root / "kept.dat")
    (root / "100.dat").symlink_to(root / "kept.dat")
    assert len(Mitdb().read(root, "100").signal) == 3000


@pytest.mark.parametrize(("suffix", "kind"), [("hea", "no header"), ("dat", "no samples"), ("atr", "no annotations")])
def test_a_missing_file_makes_the_record_unusable(root, suffix, kind):
    (root / f"100.{suffix}").unlink()
    assert kind_of(root) == kind


def test_an_empty_or_shortened_dat_is_told_apart(root):
    whole = (root / "100.dat").read_bytes()
    (root / "100.dat").write_bytes(whole[:-1])
    assert kind_of(root) == "truncated"
    (root / "100.dat").write_bytes(b"")
    assert kind_of(root) == "no samples"


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("100 2 360 3000", "100", "broken header"),
        ("100 2 360 3000", "100 3 360 3000", "broken header"),
        ("100 2 360 3000", "100 2 0 3000", "broken header"),
        ("100 2 360 3000", "100 2 360", "broken header"),
        ("100 2 360 3000", "100/2 2 360 3000", "broken header"),
        ("100 2 360 3000", "100 2 360 99999999999999", "truncated"),
        ("200.0(1024)/mV", "1e400(1024)/mV", "broken header"),
        ("200.0(1024)/mV", "e(1024)/mV", "broken header"),
        ("200.0(1024)/mV", "200.0(1024)/mmHg", "unsupported format"),
        ("100.dat 212", "100.dat 310", "unsupported format"),
        ("100.dat 212", "100.dat 999", "unsupported format"),
        ("100.dat 212", "100.dat 212x2", "unsupported format"),
        ("100.dat 212", "other.dat 212", "unsupported format"),
    ],
)
def test_a_header_that_cannot_be_trusted_is_unusable(root, old, new, kind):
    edit(root / "100.hea", old, new)
    assert kind_of(root) == kind


@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe" * 50, b"# only a comment\r\n"])
def test_a_header_of_garbage_is_unusable(root, content):
    (root / "100.hea").write_bytes(content)
    assert kind_of(root) in {"broken header", "path leaves the data folder"}


def test_annotations_beyond_the_signal_are_unusable(root):
    write(root, "100", annotations=((100, "N"), (5000, "N")))
    assert kind_of(root) == "broken annotations"


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"", "no annotations"), (b"\x01", "broken annotations"), (b"\xff" * 40, "broken annotations")],
)
def test_garbage_for_annotations_is_unusable(root, content, kind):
    (root / "100.atr").write_bytes(content)
    assert kind_of(root) == kind
