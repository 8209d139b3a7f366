"""Time of reading and cutting MIT-BIH beside wfdb alone, on one core.

Ours: signals, annotations, quality, filter, R-peaks, windows and labels of every record. Theirs:
`wfdb.rdrecord` and `wfdb.rdann` of the same files. The two take turns record by record, so that a busy
machine slows both alike.

    python benchmarks/perf/read_mitdb.py --data DATA
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core: before numpy is imported

from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

import wfdb

from agile_bench.datasets.mitdb import Mitdb
from agile_bench.signals.beats import cut

LIMIT = 2.5


def ours(root: Path, record: str) -> None:
    recording = Mitdb().read(root, record)
    cut(recording, "MLII" if "MLII" in recording.leads else recording.leads[0])


def theirs(root: Path, record: str) -> None:
    wfdb.rdrecord(str(root / record))
    wfdb.rdann(str(root / record), "atr")


def seconds(work: Callable[[Path, str], None], root: Path, record: str) -> float:
    start = perf_counter()
    work(root, record)
    return perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("AGILE_BENCH_DATA"), help="folder of mitdb/")
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    if asked.data is None:
        parser.error("--data or AGILE_BENCH_DATA must name the folder that holds mitdb/")
    root = Path(asked.data) / "mitdb"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    records = [entry.record for entry in Mitdb().records(root)]
    ours(root, records[0])  # imports and first calls are not timed
    theirs(root, records[0])
    totals = []
    for _ in range(asked.repeats):
        pairs = [(seconds(ours, root, record), seconds(theirs, root, record)) for record in records]
        totals.append(tuple(map(sum, zip(*pairs, strict=True))))
    mine, wfdb_alone = (median(column) for column in zip(*totals, strict=True))
    ratio = mine / wfdb_alone
    print(f"{len(records)} records, {asked.repeats} repeats, medians")
    print(f"read and cut  {mine:6.2f} s")
    print(f"wfdb alone    {wfdb_alone:6.2f} s")
    print(f"ratio         {ratio:6.2f}   (limit {LIMIT})")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
