"""MIT-BIH and ECG-ID as published. Set AGILE_BENCH_DATA to the folder that holds mitdb/ and ecgiddb/."""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from agile_bench.api import AAMI, Dataset, Recording, UnusableRecord
from agile_bench.datasets.ecgiddb import Ecgiddb
from agile_bench.datasets.mitdb import Mitdb
from agile_bench.signals.beats import MATCH_SECONDS, Cut, cut
from agile_bench.signals.filters import bandpass
from agile_bench.signals.labels import aami
from agile_bench.signals.quality import bridge, usable
from agile_bench.signals.rpeaks import align, detect, match

PACED = {"102", "104", "107", "217"}
BLANKED = {  # samples at the start that hold a constant
    **dict.fromkeys(("Person_15/rec_1", "Person_44/rec_1", "Person_83/rec_1"), 1024),
    **dict.fromkeys(("Person_13/rec_2", "Person_24/rec_5", "Person_25/rec_4", "Person_26/rec_3"), 2048),
    **dict.fromkeys(("Person_27/rec_3", "Person_28/rec_4", "Person_32/rec_6", "Person_72/rec_3"), 2048),
}
WILD = {  # stretches far beyond what a heart gives
    "Person_76/rec_2": (8620, 10_000),
    "Person_88/rec_1": (9562, 10_000),
    "Person_47/rec_2": (6609, 6706),
}


def folder(name: str) -> Path:
    data = os.environ.get("AGILE_BENCH_DATA")
    if not data or not (Path(data) / name).is_dir():
        pytest.skip(f"AGILE_BENCH_DATA names no folder that holds {name}")
    return Path(data) / name


def everything(dataset: Dataset, root: Path) -> dict[str, Recording]:
    return {entry.record: dataset.read(root, entry.record) for entry in dataset.records(root)}


def cut_all(recordings: Mapping[str, Recording], lead: str) -> tuple[dict[str, Cut], Counter[str]]:
    cuts, refused = {}, Counter[str]()
    for record, recording in recordings.items():
        try:
            cuts[record] = cut(recording, lead)
        except UnusableRecord as error:
            refused[error.kind] += 1
    return cuts, refused


@pytest.fixture(scope="module")
def mitdb() -> dict[str, Recording]:
    return everything(Mitdb(), folder("mitdb"))


@pytest.fixture(scope="module")
def ecgiddb() -> dict[str, Recording]:
    return everything(Ecgiddb(), folder("ecgiddb"))


def test_mitdb_is_complete(mitdb):
    entries = Mitdb().records(folder("mitdb"))
    with_lead = [entry for entry in entries if "MLII" in mitdb[entry.record].leads]
    assert len(entries) == 48 == Mitdb.expected_records
    assert len({entry.subject for entry in entries}) == 47
    assert len(with_lead) == 46
    assert len({entry.subject for entry in with_lead}) == 45
    assert sum(len(r.rpeaks) for r in mitdb.values() if r.rpeaks is not None) == 109_494
    assert [record for record, r in mitdb.items() if r.skip] == ["207"]
    assert [record for record, r in mitdb.items() if r.age is None] == ["103", "219"]
    sexes = Counter(mitdb[record].sex for record in mitdb if record != "202")
    assert sexes == {"M": 25, "F": 22}


def test_ecgiddb_is_complete(ecgiddb):
    entries = Ecgiddb().records(folder("ecgiddb"))
    records = Counter(entry.subject for entry in entries)
    days = Counter(subject for subject, _ in {(entry.subject, entry.session) for entry in entries})
    assert len(entries) == 310 == Ecgiddb.expected_records
    assert len(records) == 90
    assert sum(n >= 2 for n in records.values()) == 89
    assert sum(n >= 2 for n in days.values()) == 20
    people = {entry.subject: ecgiddb[entry.record].sex for entry in entries}
    assert Counter(people.values()) == {"M": 44, "F": 46}
    assert all(recording.signal.shape == (10_000, 2) for recording in ecgiddb.values())


def test_every_file_of_both_is_listed():
    for dataset, root in ((Mitdb(), folder("mitdb")), (Ecgiddb(), folder("ecgiddb"))):
        assert {len(dataset.files(root, entry.record)) for entry in dataset.records(root)} == {3}


def test_classes_of_the_published_diagnostic_split(mitdb):
    expected = ((45_866, 944, 3_788, 415, 8), (44_259, 1_837, 3_221, 388, 7))
    for name, records, counts in zip(("DS1", "DS2"), Mitdb().diagnostic_split(), expected, strict=True):
        codes = np.concatenate([aami(mitdb[record].symbols) for record in records])
        found = np.bincount(codes, minlength=len(AAMI))
        print(name, dict(zip(AAMI, found.tolist(), strict=True)))
        # Papers differ by a few beats at the edges of records and around the escapes.
        assert np.abs(found - counts).max() <= 5


def test_rpeaks_agree_with_the_reference(mitdb):
    hits = found = wanted = 0
    for record, recording in mitdb.items():
        if record in PACED:
            continue
        lead = recording.signal[:, recording.leads.index("MLII")]
        good = usable(lead, recording.fs)
        flutter = np.zeros(len(lead), bool)
        for start, stop in recording.skip:
            flutter[start:stop] = True
        filtered = bandpass(bridge(lead, good & ~flutter), recording.fs)
        peaks = align(filtered, detect(filtered, recording.fs), recording.fs)
        peaks, reference = peaks[~flutter[peaks]], recording.rpeaks[~flutter[recording.rpeaks]]
        hits += len(match(peaks, reference, MATCH_SECONDS * recording.fs)[0])
        found, wanted = found + len(peaks), wanted + len(reference)
    sensitivity, predictivity = hits / wanted, hits / found
    print(f"Se {100 * sensitivity:.2f} %, +P {100 * predictivity:.2f} % of {wanted} beats")
    assert sensitivity >= 0.990
    assert predictivity >= 0.988


def test_beats_of_mitdb(mitdb):
    cuts, refused = cut_all(mitdb, "MLII")
    beats = sum(map(len, cuts.values()))
    dropped = sum((Counter(c.dropped) for c in cuts.values()), Counter[str]())
    labelled = sum(int((c.label >= 0).sum()) for c in cuts.values())
    print(f"{beats} beats of {len(cuts)} records, {labelled} labelled, dropped {dict(dropped)}, {dict(refused)}")
    assert refused == {"lead missing": 2}
    assert beats > 104_000
    assert labelled / beats > 0.985
    assert dropped.total() < 500
    assert all(np.isfinite(c.signal).all() for c in cuts.values())


def test_beats_of_ecgiddb(ecgiddb):
    cuts, refused = cut_all(ecgiddb, "ECG I")
    fewest = min(map(len, cuts.values()))
    print(f"{sum(map(len, cuts.values()))} beats of {len(cuts)} records, at least {fewest} a record")
    assert not refused
    assert fewest >= 10
    assert all(np.isfinite(c.signal).all() for c in cuts.values())


def test_no_beat_meets_a_blanked_start_or_a_wild_stretch(ecgiddb):
    stretches = {**{record: (0, stop) for record, stop in BLANKED.items()}, **WILD}
    for record, (start, stop) in stretches.items():
        out = cut(ecgiddb[record], "ECG I")
        begins, ends = (out.time - 0.32) * 500, (out.time + 0.476) * 500
        assert not ((ends >= start) & (begins < stop)).any(), record
        assert np.abs(out.signal).max() < 5, record  # the stretches themselves go to 150 mV


def test_skipped_flutter_yields_no_beat(mitdb):
    out = cut(mitdb["207"], "MLII")
    for start, stop in mitdb["207"].skip:
        assert not (((out.time + 0.476) * 360 >= start) & ((out.time - 0.32) * 360 < stop)).any()


def test_a_person_is_cut_at_the_same_wave_in_every_record(ecgiddb):
    signs: dict[str, set[float]] = {}
    for record, recording in ecgiddb.items():
        sign = float(np.sign(np.median(cut(recording, "ECG I").signal[:, 80])))
        signs.setdefault(record.partition("/")[0], set()).add(sign)
    print("people with both polarities:", sum(len(both) > 1 for both in signs.values()))
    assert sum(len(both) > 1 for both in signs.values()) <= 1
