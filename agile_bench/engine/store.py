"""The store: the only place where artefacts are written and read.

An artefact is a folder named by its address: ``data.safetensors`` (arrays), ``meta.json`` and ``manifest.json`` (the
hashed parts in clear, seconds, checksums). It is written to a temporary folder, synced, and renamed into place last, so
a kill at any moment leaves either all of it or nothing. Loading one never runs code. The default place is the user's
cache folder with mode 0700: it holds real ECGs.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from agile_bench.api import Array, Refusal
from agile_bench.engine.keys import address as address_of
from agile_bench.engine.keys import canonical_json, file_digest

STALE_SECONDS = 24 * 3600.0
"""Age at which a forgotten temporary folder is swept away."""
TRAINING = "training"
"""Folder of the checkpoints of trainings that are under way."""
ABANDONED_SECONDS = 14 * 24 * 3600.0
"""Age at which the checkpoints of a job that never came back are swept away."""


class TornArtefact(Exception):
    """An artefact is missing, torn or altered; carries its address, so that it can be planned again."""

    def __init__(self, address: str, why: str) -> None:
        super().__init__(f"artefact {address[:12]}: {why}")
        self.address = address


def default_place() -> Path:
    """``$AGILE_BENCH_STORE``, else ``agile-bench`` in the user's cache folder."""
    if place := os.environ.get("AGILE_BENCH_STORE"):
        return Path(place)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agile-bench"


class Shelf:
    """Artefacts to read, each in a folder named by its address.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def folder(self, address: str) -> Path:
        """Where an artefact stands or would stand."""
        return self.root / address

    def manifest(self, address: str) -> dict[str, Any]:
        """The manifest of an artefact whose every byte is as it was written.

        Raises
        ------
        TornArtefact
            If it is missing, torn or altered.
        """
        folder = self.folder(address)
        try:
            text = (folder / "manifest.json").read_bytes()
            manifest: dict[str, Any] = json.loads(text)
            manifest.pop("self")
            if _manifest_text(manifest) != text:
                raise TornArtefact(address, "its manifest was altered")
            if address_of(manifest["parts"]) != address:
                raise TornArtefact(address, "its manifest belongs to another address")
            for name, digest in manifest["files"].items():
                if file_digest(folder / name) != digest:
                    raise TornArtefact(address, f"{name} was altered")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise TornArtefact(address, f"{type(error).__name__}") from None
        return manifest

    def stands(self, address: str) -> bool:
        """Whether the artefact is there and sound."""
        try:
            self.manifest(address)
        except TornArtefact:
            return False
        return True

    def seconds(self, address: str) -> float | None:
        """What the artefact took to make, as its manifest says; None where there is none. Verifies nothing."""
        try:
            return float(json.loads((self.folder(address) / "manifest.json").read_bytes())["seconds"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def arrays(self, address: str, names: Iterable[str] | None = None) -> dict[str, Array]:
        """Arrays of an artefact, by name in sorted order; all of them, or only some.

        Raises
        ------
        TornArtefact
            If they cannot be read.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.folder(address) / "data.safetensors", framework="numpy") as file:
                return {name: file.get_tensor(name) for name in sorted(names or file.keys())}
        except (OSError, SafetensorError) as error:
            raise TornArtefact(address, type(error).__name__) from None

    def meta(self, address: str) -> dict[str, Any]:
        """The JSON part of an artefact.

        Raises
        ------
        TornArtefact
            If it cannot be read.
        """
        try:
            meta: dict[str, Any] = json.loads((self.folder(address) / "meta.json").read_bytes())
        except (OSError, ValueError) as error:
            raise TornArtefact(address, type(error).__name__) from None
        return meta


class Store(Shelf):
    """Artefacts by address, to read and to write.

    Parameters
    ----------
    root : Path
        Created with mode 0700 if missing.

    Raises
    ------
    Refusal
        If the place cannot be written.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            (self.root / "tmp").mkdir(exist_ok=True)
            writable = os.access(self.root, os.W_OK) and os.access(self.root / "tmp", os.W_OK)
            reason = "" if writable else "it is read-only"
        except OSError as error:
            reason = error.strerror or str(error)
        if reason:
            raise Refusal(f"store {root}: {reason}; name a folder that can be written with --store")

    def folder(self, address: str) -> Path:
        """Where an artefact stands or would stand."""
        return self.root / address[:2] / address

    def sweep(self) -> None:
        """Remove temporary folders and checkpoints that a killed run left behind long ago."""
        _sweep(self.root / "tmp", STALE_SECONDS)
        _sweep(self.root / TRAINING, ABANDONED_SECONDS)

    def write(
        self,
        address: str,
        parts: dict[str, Any],
        arrays: dict[str, Array],
        meta: dict[str, Any],
        seconds: float,
    ) -> None:
        """Put an artefact in place, whole or not at all.

        Parameters
        ----------
        address : str
            Must be the address of `parts`.
        arrays : dict of arrays
            Any shape; stored contiguous.
        meta : dict
            JSON values.
        seconds : float
            Time it took; kept in the manifest, never part of a result.
        """
        tmp = self.root / "tmp" / f"{address[:16]}-{uuid.uuid4().hex}"
        tmp.mkdir()
        try:
            self._fill(tmp, parts, arrays, meta, seconds)
            self._place(tmp, address)
        finally:
            shutil.rmtree(tmp, ignore_errors=True)

    @staticmethod
    def _fill(tmp: Path, parts: dict[str, Any], arrays: dict[str, Array], meta: dict[str, Any], seconds: float) -> None:
        from safetensors.numpy import save

        # safetensors writes wrong values for non-contiguous arrays without a word
        data = save({k: _contiguous(arrays[k]) for k in sorted(arrays)})
        texts = {"data.safetensors": data, "meta.json": canonical_json(meta).encode()}
        for name, content in texts.items():
            write_synced(tmp / name, content)
        manifest: dict[str, Any] = {
            "parts": parts,
            "files": {name: sha256(content).hexdigest() for name, content in texts.items()},
            "seconds": round(float(seconds), 3),
        }
        write_synced(tmp / "manifest.json", _manifest_text(manifest))

    def _place(self, tmp: Path, address: str) -> None:
        target = self.folder(address)
        target.parent.mkdir(exist_ok=True)
        for _ in range(3):
            try:
                os.rename(tmp, target)
                return
            except OSError:
                if self.stands(address):
                    return  # another process was first, with the same bytes
                self.discard(address)
        raise OSError(f"artefact {address[:12]} cannot be put in place")

    def discard(self, address: str) -> None:
        """Move a torn artefact out of the way."""
        aside = self.root / "tmp" / f"torn-{uuid.uuid4().hex}"
        try:
            os.rename(self.folder(address), aside)
        except FileNotFoundError:
            return
        shutil.rmtree(aside, ignore_errors=True)


def _manifest_text(manifest: dict[str, Any]) -> bytes:
    """The manifest as it is written, its own digest in it."""
    whole = manifest | {"self": sha256(canonical_json(manifest).encode()).hexdigest()}
    return json.dumps(whole, sort_keys=True, indent=1).encode()


def _contiguous(array: Array) -> Array:
    return array if array.ndim == 0 else np.ascontiguousarray(array)


def write_synced(path: Path, content: bytes) -> None:
    """Write a file whose bytes are on the disk when this returns."""
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sweep(place: Path, seconds: float) -> None:
    """Remove folders that nobody has touched for so long."""
    for left in place.iterdir() if place.is_dir() else ():
        try:
            if time.time() - left.stat().st_mtime > seconds:
                shutil.rmtree(left, ignore_errors=True)
        except FileNotFoundError:
            continue
