"""The MIT-BIH Arrhythmia Database in its PhysioNet layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from agile_bench.api import Array, Dataset, RecordEntry, Recording, Refusal
from agile_bench.datasets._wfdb import (
    comments,
    number,
    read_annotations,
    read_signals,
    record_files,
    record_names,
)
from agile_bench.signals.labels import is_beat

_EXPECTED = "the PhysioNet folder mitdb 1.0.0 with RECORDS and 48 records (.hea, .dat, .atr)"
_SAME_PERSON = {"202": "201"}
"""Two records of one tape."""
_DS1 = "101 106 108 109 112 114 115 116 118 119 122 124 201 203 205 207 208 209 215 220 223 230"
_DS2 = "100 103 105 111 113 117 121 123 200 202 210 212 213 214 219 221 222 228 231 232 233 234"


class Mitdb(Dataset):
    """Half an hour of two leads of 47 people, every beat classified by hand.

    One recording a person (201 and 202 are of one), so only splits within a record are possible. Leads differ
    between records and are chosen by name: 102 and 104 have no MLII. Ventricular flutter (207) is left out.
    """

    title: ClassVar[str] = "MIT-BIH Arrhythmia Database 1.0.0"
    source: ClassVar[str] = (
        "Moody GB, Mark RG. The impact of the MIT-BIH Arrhythmia Database. IEEE Eng Med Biol 20(3):45-50, "
        "2001. doi:10.13026/C2F305"
    )
    licence: ClassVar[str] = "ODC-By 1.0"
    redistributable: ClassVar[bool] = True
    folder: ClassVar[str | None] = "mitdb"
    expected_records: ClassVar[int | None] = 48
    protocols: ClassVar[tuple[str, ...]] = ("within-record",)
    labelled: ClassVar[bool] = True

    lead: str = Field(default="MLII", description="name of the lead to use: MLII, V1, V2, V4 or V5")

    def records(self, root: Path | None) -> Sequence[RecordEntry]:
        """All records; raises `Refusal` where the folder is missing or RECORDS leads out of it."""
        names = record_names(root, "*.hea", _EXPECTED)
        people = [_SAME_PERSON.get(name, name) for name in names]
        return [RecordEntry(name, person, person) for name, person in zip(names, people, strict=True)]

    def files(self, root: Path | None, record: str) -> Sequence[Path]:
        """Header, samples and annotations."""
        return record_files(root, record, (".hea", ".dat", ".atr"))

    def read(self, root: Path | None, record: str) -> Recording:
        """Read one record; raises `UnusableRecord` where it is incomplete or broken."""
        if root is None:
            raise Refusal(f"mitdb needs a folder; expected {_EXPECTED}")
        signals = read_signals(root, record)
        sample, symbol = read_annotations(root, record, len(signals.signal))
        beat = is_beat(symbol)
        sex, age = _person(comments(root / f"{record}.hea"))
        return Recording(
            leads=signals.leads,
            signal=signals.signal,
            fs=signals.fs,
            rpeaks=sample[beat],
            symbols=symbol[beat],
            skip=_flutter(sample, symbol, len(signals.signal)),
            sex=sex,
            age=age,
        )

    def diagnostic_split(self) -> tuple[frozenset[str], frozenset[str]]:
        """DS1 to train, DS2 to test (de Chazal, O'Dwyer and Reilly 2004); paced records in neither."""
        return frozenset(_DS1.split()), frozenset(_DS2.split())


def _flutter(sample: Array, symbol: Array, end: int) -> tuple[tuple[int, int], ...]:
    """Stretches from ``[`` to ``]``, to the end of the record where the last one stays open."""
    starts = sample[symbol == "["]
    stops = np.append(sample[symbol == "]"] + 1, end)
    return tuple((int(start), int(stops[stops > start][0])) for start in starts)


def _person(lines: list[str]) -> tuple[Literal["M", "F"] | None, float | None]:
    """Sex and age from the first comment, ``69 M ...``; None where unknown."""
    age, sex, *_ = [*(lines[0] if lines else "").split(), "", ""]
    return ("M" if sex == "M" else "F" if sex == "F" else None), number(age)
