"""The ECG-ID Database in its PhysioNet layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from agile_bench.api import Dataset, RecordEntry, Recording, Refusal, UnusableRecord
from agile_bench.datasets._wfdb import comments, number, read_signals, record_files, record_names, words_of

_EXPECTED = "the PhysioNet folder ecgiddb 1.0.0 with RECORDS and Person_01 to Person_90 (.hea, .dat, .atr)"
_SEX: dict[str, Literal["M", "F"]] = {"male": "M", "female": "F"}


class Ecgiddb(Dataset):
    """Twenty seconds of lead I of 90 people, 310 records in all, 20 people on two or more days.

    Record names repeat in every person, so a record is named ``Person_01/rec_1``. The annotations are not
    used: their N marks an R-peak, not a normal beat, and they cover the first seconds of a record only.
    """

    title: ClassVar[str] = "ECG-ID Database 1.0.0"
    source: ClassVar[str] = (
        "Lugovaya TS. Biometric human identification based on electrocardiogram. Master's thesis, LETI, "
        "Saint Petersburg, 2005. doi:10.13026/C2J01F"
    )
    licence: ClassVar[str] = "ODC-By 1.0"
    redistributable: ClassVar[bool] = True
    folder: ClassVar[str | None] = "ecgiddb"
    expected_records: ClassVar[int | None] = 310
    protocols: ClassVar[tuple[str, ...]] = ("within-record", "same-day", "cross-day", "all-but-last")

    lead: str = Field(default="ECG I", description="name of the lead to use: 'ECG I' (raw) or 'ECG I filtered'")

    def records(self, root: Path | None) -> Sequence[RecordEntry]:
        """All records, a person's in order of date; raises `Refusal` where the folder is missing or wrong."""
        entries = []
        for name in record_names(root, "*/*.hea", _EXPECTED):
            person, _, record = name.partition("/")
            if not record:
                raise Refusal(f"{root}: record {name!r} lies in no person's folder; expected {_EXPECTED}")
            assert root is not None  # record_names refuses None
            entries.append(RecordEntry(name, person, _date(comments(root / f"{name}.hea"))))
        return sorted(entries, key=lambda entry: (entry.subject, entry.session, _order(entry.record)))

    def files(self, root: Path | None, record: str) -> Sequence[Path]:
        """Header, samples and annotations."""
        return record_files(root, record, (".hea", ".dat", ".atr"))

    def read(self, root: Path | None, record: str) -> Recording:
        """Read one record; raises `UnusableRecord` where it is incomplete or broken."""
        if root is None:
            raise Refusal(f"ecgiddb needs a folder; expected {_EXPECTED}")
        signals = read_signals(root, record)
        lines = comments(root / f"{record}.hea")
        if not _date(lines):
            raise UnusableRecord("broken header", "it has no line 'ECG date: dd.mm.yyyy'")
        return Recording(
            leads=signals.leads,
            signal=signals.signal,
            fs=signals.fs,
            sex=_SEX.get(words_of(lines, "Sex").lower()),
            age=number(words_of(lines, "Age")),
        )


def _date(lines: list[str]) -> str:
    """Read the recording day as yyyy-mm-dd; empty where the header does not tell it."""
    parts = words_of(lines, "ECG date").split(".")
    if [len(part) for part in parts] != [2, 2, 4] or not all(part.isdecimal() for part in parts):
        return ""
    return "-".join(reversed(parts))


def _order(record: str) -> tuple[int, str]:
    """Sort rec_10 behind rec_9."""
    tail = record.rpartition("_")[2]
    return (int(tail) if tail.isdecimal() else 0), record
