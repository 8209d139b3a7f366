"""Seconds and peak memory of a whole run in a fresh store, and of the same run with nothing left to do.

Memory is the sum of PSS over the main process and its children, sampled five times a second: pages that processes
share count once. The bare interpreter that imports torch once is measured beside it as a yardstick.

    python benchmarks/perf/run_cost.py quick
    python benchmarks/perf/run_cost.py real --data recordings/
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil


def pss(root: psutil.Process) -> float:
    """MiB of a process and all its descendants."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total / 2**20


def cost(command: list[str]) -> tuple[float, float, int]:
    """Seconds, peak MiB and exit status of a command."""
    start = time.perf_counter()
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    watched, peak = psutil.Process(running.pid), 0.0
    while running.poll() is None:
        try:
            peak = max(peak, pss(watched))
        except psutil.NoSuchProcess:
            break
        time.sleep(0.2)
    return time.perf_counter() - start, peak, running.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", nargs="?", default="quick")
    parser.add_argument("--data", default=None)
    parser.add_argument("--workers", default="2")
    given = parser.parse_args()
    _, base_mib, _ = cost([sys.executable, "-c", "import torch, time; time.sleep(1)"])
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "agile_bench", "run", given.suite, "--workers", given.workers]
        command += ["--store", f"{place}/store", "--out", f"{place}/run"]
        command += ["--data", given.data] if given.data else []
        for name in ("fresh", "again"):
            seconds, mib, status = cost(command)
            print(f"{name:>6}: {seconds:7.1f} s  {mib:6.0f} MiB PSS  {mib / base_mib:4.1f} x torch  exit {status}")
            digest = Path(place, "run", "results.parquet").read_bytes()
            if name == "fresh":
                first = digest
        print(f"  same bytes: {first == digest}")


if __name__ == "__main__":
    main()
