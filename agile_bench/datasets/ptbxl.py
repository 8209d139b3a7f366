"""PTB-XL in its PhysioNet layout, complete or in part."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from agile_bench.api import Dataset, RecordEntry, Recording, Refusal, UnusableRecord
from agile_bench.datasets._wfdb import number, read_signals, record_files, record_names

_TABLE = "ptbxl_database.csv"
_EXPECTED = f"the PhysioNet folder ptb-xl with {_TABLE} and records100 or records500 (.hea, .dat)"
_COLUMNS = ("ecg_id", "patient_id", "age", "sex", "recording_date", "scp_codes")
_SEX: dict[float, Literal["M", "F"]] = {0.0: "M", 1.0: "F"}
_OLDEST = 89.0
"""Years up to which an age is told; all above are published as 300."""
_STEM = re.compile(r"(\d+)_(?:lr|hr)", re.ASCII)
_CODE = re.compile(r"'([^']+)'\s*:")


@dataclass(frozen=True, slots=True)
class _Line:
    """What the table tells of one record."""

    person: str
    when: str
    sex: Literal["M", "F"] | None
    age: float | None
    statements: tuple[str, ...]


class Ptbxl(Dataset):
    """Ten seconds of twelve leads, 21,799 records of 18,869 patients; about one in ten has records of several days.

    Sex, age and diagnostic statements come from ``ptbxl_database.csv``, R-peaks from the detector that all datasets
    share. A record is listed once, at the rate asked for where that file is here and at the other rate where it is
    not, so a part of the database can be used. Ten seconds are too short for a split within the record. Lead I is the
    lead that a watch records and that ECG-ID has, so figures of the two can stand side by side.
    """

    title: ClassVar[str] = "PTB-XL 1.0.3"
    source: ClassVar[str] = (
        "Wagner P, Strodthoff N, Bousseljot R-D, et al. PTB-XL, a large publicly available electrocardiography "
        "dataset. Scientific Data 7:154, 2020. doi:10.13026/kfzx-aw45"
    )
    licence: ClassVar[str] = "CC BY 4.0"
    redistributable: ClassVar[bool] = True
    folder: ClassVar[str | None] = "ptb-xl"
    expected_records: ClassVar[int | None] = 21799
    protocols: ClassVar[tuple[str, ...]] = ("cross-day", "all-but-last")
    healthy: ClassVar[frozenset[str]] = frozenset({"NORM"})

    lead: str = Field(default="I", description="name of the lead to use: I, II, III, AVR, AVL, AVF or V1 to V6")
    rate: Literal[100, 500] = Field(
        default=100,
        description="Hz of the files that are read; a record that is here at the other rate only is read so",
    )

    def records(self, root: Path | None) -> Sequence[RecordEntry]:
        """All records that are here, a person's in order of time; raises `Refusal` where folder or table are wrong."""
        names = record_names(root, "records[15]00/*/*.hea", _EXPECTED)
        assert root is not None  # record_names refuses None
        table = _table(root)
        chosen: dict[int, str] = {}
        for name in names:
            number_of = _number(name)
            if number_of not in table:
                raise Refusal(f"{root / _TABLE}: no line about record {name!r}; expected {_EXPECTED}")
            if (number_of not in chosen or name.startswith(f"records{self.rate}/")) and (
                root / f"{name}.hea"
            ).is_file():
                chosen[number_of] = name
        if not chosen:
            raise Refusal(f"no record in {root}; expected {_EXPECTED}")
        ordered = sorted(chosen, key=lambda n: (table[n].person, table[n].when, n))
        return [RecordEntry(chosen[n], table[n].person, table[n].when.partition(" ")[0]) for n in ordered]

    def files(self, root: Path | None, record: str) -> Sequence[Path]:
        """Header, samples and the table of all records."""
        table = [] if root is None else [root / _TABLE]
        return [*record_files(root, record, (".hea", ".dat")), *(path for path in table if path.is_file())]

    def read(self, root: Path | None, record: str) -> Recording:
        """Read one record; raises `UnusableRecord` where it is incomplete or broken."""
        if root is None:
            raise Refusal(f"ptbxl needs a folder; expected {_EXPECTED}")
        line = _table(root).get(_number(record))
        if line is None:
            raise UnusableRecord("not in the table", f"{_TABLE} has no line about it")
        signals = read_signals(root, record)
        return Recording(
            leads=signals.leads,
            signal=signals.signal,
            fs=signals.fs,
            sex=line.sex,
            age=line.age,
            diagnosis=line.statements,
        )


def _number(record: str) -> int:
    """Read 17 from ``records100/00000/00017_lr``; -1 where the name has another form."""
    found = _STEM.fullmatch(record.rpartition("/")[2])
    return int(found[1]) if found else -1


def _table(root: Path) -> Mapping[int, _Line]:
    """Lines of the table by number of the record.

    Raises
    ------
    Refusal
        If the table is missing, is no such table, or a line of it cannot be understood.
    """
    path = root / _TABLE
    try:
        state = path.stat()
        return _lines(path, state.st_mtime_ns, state.st_size)
    except OSError:
        raise Refusal(f"{path} cannot be read; expected {_EXPECTED}") from None
    except (KeyError, ValueError) as error:
        raise Refusal(f"{path}: {error}; expected {_EXPECTED}") from None


@lru_cache(maxsize=2)
def _lines(path: Path, changed: int, size: int) -> Mapping[int, _Line]:
    """Read the table, once as long as its time and size stay: every record asks for its line."""
    with path.open(encoding="utf-8", errors="replace", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"it has no column {', '.join(missing)}")
        return {int(float(row["ecg_id"])): _line(row) for row in reader}


def _line(row: Mapping[str, str]) -> _Line:
    age = number(row["age"])
    return _Line(
        person=str(int(float(row["patient_id"]))),
        when=row["recording_date"],
        sex=_SEX.get(float(row["sex"])) if row["sex"] else None,
        age=age if age is not None and age <= _OLDEST else None,
        statements=tuple(_CODE.findall(row["scp_codes"])),
    )
