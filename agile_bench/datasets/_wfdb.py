"""Databases in the folder layout and file formats of PhysioNet (WFDB), read from the local disk only.

Every path is checked before anything opens it: a RECORDS file or a header comes with the data, and must not
lead out of the folder that the user named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agile_bench.api import Array, Refusal, UnusableRecord

_NAME = re.compile(r"[\w-]+(/[\w-]+)*", re.ASCII)
"""A record name as WFDB allows it, with folders: no dot or colon, so neither ``..`` nor an address."""
_FORMATS = {"212": (1.5, -2048), "16": (2.0, -32768)}
"""Bytes of a sample and the value that marks a missing one, by storage format."""
_BROKEN = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError)
"""What wfdb raises over a file that breaks its format."""


@dataclass(frozen=True, slots=True)
class Signals:
    """The signals of one record.

    Parameters
    ----------
    leads : tuple of str
        Names of the columns.
    signal : (n, n_leads) float64 array
        Millivolts, nan where the file marks a sample as missing; each column contiguous.
    fs : float
        Hz.
    """

    leads: tuple[str, ...]
    signal: Array
    fs: float


def record_names(root: Path | None, pattern: str, expected: str) -> list[str]:
    """List the records of a database as RECORDS has them, or by their headers if there is no RECORDS.

    Parameters
    ----------
    root : Path or None
        The folder of the database.
    pattern : str
        Glob of the headers below `root`.
    expected : str
        What the folder should hold, for the message.

    Raises
    ------
    Refusal
        If the folder is missing or empty, or RECORDS names something outside of it.
    """
    if root is None or not root.is_dir():
        raise Refusal(f"no folder {root if root else '(--data is not set)'}; expected {expected}")
    listing = root / "RECORDS"
    if listing.is_file():
        lines = listing.read_text("ascii", "replace").splitlines()
        names = [line.strip() for line in lines if line.strip()]
    else:
        names = [path.relative_to(root).with_suffix("").as_posix() for path in sorted(root.glob(pattern))]
    if not names:
        raise Refusal(f"no record in {root}; expected {expected}")
    for name in names:
        if not _NAME.fullmatch(name) or not _inside(root, root / f"{name}.hea"):
            raise Refusal(f"{listing}: {name!r} is no record below that folder; expected {expected}")
    return list(dict.fromkeys(names))


def record_files(root: Path | None, record: str, suffixes: Iterable[str]) -> list[Path]:
    """Those files of a record that exist and lie below `root`."""
    if root is None:
        return []
    paths = [root / f"{record}{suffix}" for suffix in suffixes]
    return [path for path in paths if path.is_file() and _inside(root, path)]


def comments(path: Path) -> list[str]:
    """Read the comment lines of a header, without their ``#``; none where it cannot be read."""
    try:
        lines = path.read_text("ascii", "replace").splitlines()
    except OSError:
        return []
    return [line.strip(" \t#") for line in lines if line.startswith("#")]


def read_signals(root: Path, record: str) -> Signals:
    """Read all leads of a record whose samples lie in ``<record>.dat``.

    Raises
    ------
    UnusableRecord
        ``no header``, ``path leaves the data folder``, ``broken header``, ``unsupported format``,
        ``no samples`` or ``truncated``.
    """
    import wfdb

    stem = root / record
    _check_paths(root, stem)
    try:
        header: Any = wfdb.rdheader(str(stem.absolute()))
        wanted = _check_header(header, stem.name)
    except _BROKEN as error:
        raise UnusableRecord("broken header", str(error)) from error
    dat = stem.with_name(f"{stem.name}.dat")
    held = dat.stat().st_size if dat.is_file() else 0
    if held == 0:
        raise UnusableRecord("no samples", f"{dat.name} is missing or empty")
    if held < wanted:
        raise UnusableRecord("truncated", f"{dat.name} holds {held} of {wanted} bytes")
    try:
        digital: Array = wfdb.rdrecord(str(stem.absolute()), physical=False, return_res=16).d_signal
        return Signals(tuple(header.sig_name), _millivolts(header, digital), float(header.fs))
    except _BROKEN as error:
        raise UnusableRecord("truncated", str(error)) from error


def read_annotations(root: Path, record: str, n_samples: int) -> tuple[Array, Array]:
    """Read the reference annotations ``<record>.atr``.

    Returns
    -------
    sample : (k,) int64 array
        Positions, never decreasing.
    symbol : (k,) str array

    Raises
    ------
    UnusableRecord
        ``no annotations``, ``path leaves the data folder`` or ``broken annotations``.
    """
    import wfdb

    path = root / f"{record}.atr"
    _check_inside(root, path)
    if not path.is_file() or path.stat().st_size == 0:
        raise UnusableRecord("no annotations", f"{path.name} is missing or empty")
    try:
        found: Any = wfdb.rdann(str((root / record).absolute()), "atr")
        sample, symbol = np.asarray(found.sample, np.int64), np.asarray(found.symbol, np.str_)
    except _BROKEN as error:
        raise UnusableRecord("broken annotations", str(error)) from error
    if np.any(np.diff(sample) < 0) or np.any((sample < 0) | (sample >= n_samples)):
        raise UnusableRecord("broken annotations", "positions are out of order or outside of the signal")
    return sample, symbol


def _inside(root: Path, path: Path) -> bool:
    """Whether a path, links followed, lies below `root`."""
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (ValueError, OSError, RuntimeError):  # a NUL in the name, a link that leads to itself
        return False


def _check_inside(root: Path, path: Path) -> None:
    if not _inside(root, path):
        raise UnusableRecord("path leaves the data folder", path.name)


def _check_paths(root: Path, stem: Path) -> None:
    """Refuse a record whose header, or a file that its header names, lies outside of `root`."""
    header = stem.with_name(f"{stem.name}.hea")
    _check_inside(root, header)
    if not header.is_file():
        raise UnusableRecord("no header", f"{header.name} is missing")
    try:
        lines = header.read_text("ascii", "replace").splitlines()
    except OSError as error:
        raise UnusableRecord("no header", str(error)) from error
    specification = [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    for words in specification[1:]:
        named = Path(words[0])
        if named.is_absolute() or ".." in named.parts:
            raise UnusableRecord("path leaves the data folder", repr(words[0]))
        _check_inside(root, stem.parent / named)


def _check_header(header: Any, name: str) -> int:
    """Check what the conversion relies on; returns the bytes that the samples must take.

    Raises
    ------
    UnusableRecord
        If the header asks for something that is not read here.
    ValueError
        If the header makes no sense.
    """
    if hasattr(header, "seg_name") or not header.sig_len or not header.n_sig or not header.fs:
        raise ValueError("it states no samples, signals or sampling rate, or has several segments")
    if {len(header.sig_name), len(header.fmt), len(header.file_name)} != {header.n_sig}:
        raise ValueError(f"it announces {header.n_sig} signals and describes {len(header.sig_name)}")
    if not np.isfinite(header.adc_gain).all():
        raise ValueError("a gain is no finite number")
    plain = all(
        file == f"{name}.dat" and form in _FORMATS and frame == 1 and not offset and unit == "mV"
        for file, form, frame, offset, unit in zip(
            header.file_name,
            header.fmt,
            header.samps_per_frame,
            header.byte_offset,
            header.units,
            strict=True,
        )
    )
    if not plain or len(set(header.fmt)) != 1:
        allowed = f"all signals in {name}.dat, in mV, one sample a frame, format {' or '.join(_FORMATS)}"
        raise UnusableRecord("unsupported format", f"allowed: {allowed}")
    return int(np.ceil(header.sig_len * header.n_sig * _FORMATS[header.fmt[0]][0]))


def _millivolts(header: Any, digital: Array) -> Array:
    """Physical values; wfdb's own conversion takes twice as long as reading the file."""
    signal = np.empty(digital.shape, np.float64, order="F")
    for lead, (gain, baseline) in enumerate(zip(header.adc_gain, header.baseline, strict=True)):
        np.subtract(digital[:, lead], baseline, out=signal[:, lead], dtype=np.float64)
        signal[:, lead] /= gain
    missing = digital == _FORMATS[header.fmt[0]][1]
    if missing.any():
        signal[missing] = np.nan
    return signal


def number(text: str) -> float | None:
    """Read a positive number; None for anything else (-1 and words mean unknown)."""
    return float(text) if re.fullmatch(r"\d{1,3}(\.\d+)?", text) and float(text) > 0 else None


def words_of(lines: Sequence[str], key: str) -> str:
    """Find the value of the first comment line ``key: value``; empty where there is none."""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(f"{key}:")), "")
