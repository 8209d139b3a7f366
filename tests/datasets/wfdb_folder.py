"""Small WFDB records for tests, written into a temporary folder."""

from pathlib import Path

import numpy as np
import wfdb


def write(
    folder: Path,
    name: str,
    leads: tuple[str, ...] = ("MLII", "V1"),
    fmt: str = "212",
    n: int = 3000,
    comments: tuple[str, ...] = ("69 M 1085 1629 x1",),
    annotations: tuple[tuple[int, str], ...] = ((100, "+"), (400, "N"), (700, "V")),
) -> np.ndarray:
    """Write ``name.hea`` (CR LF line ends), ``name.dat`` and ``name.atr``; returns the digital samples."""
    folder.mkdir(parents=True, exist_ok=True)
    digital = np.random.default_rng(3).integers(900, 1200, (n, len(leads)))
    wfdb.wrsamp(
        name,
        fs=360,
        units=["mV"] * len(leads),
        sig_name=list(leads),
        d_signal=digital,
        fmt=[fmt] * len(leads),
        adc_gain=[200.0] * len(leads),
        baseline=[1024] * len(leads),
        comments=list(comments),
        write_dir=str(folder),
    )
    header = folder / f"{name}.hea"
    header.write_bytes(b"\r\n".join(header.read_bytes().splitlines()) + b"\r\n")
    if annotations:
        samples, symbols = zip(*annotations, strict=True)
        wfdb.wrann(name, "atr", np.array(samples), np.array(symbols), write_dir=str(folder))
    return digital


def edit(path: Path, old: str, new: str) -> None:
    """Replace text in a header."""
    text = path.read_bytes().decode("ascii")
    assert old in text
    path.write_bytes(text.replace(old, new).encode("ascii"))
