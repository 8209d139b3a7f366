"""Checkpoints of trainings that are under way, beside the artefacts: what a killed job left, the next one goes on from.

They are no artefacts: nothing is made from one but the job that left it, whose address names their folder.
"""

from __future__ import annotations

import os
import shutil
import uuid
from hashlib import sha256
from pathlib import Path

from agile_bench.api import State
from agile_bench.engine.store import TRAINING, write_synced

DIGEST = 32


class Checkpoints:
    """The checkpoints of one job, one slot for each of its trainings in the order in which they begin.

    Parameters
    ----------
    root : Path
        The store.
    address : str
        Of the artefact that the job makes.
    """

    def __init__(self, root: Path, address: str) -> None:
        self.folder = root / TRAINING / address
        self.begun = 0

    def slot(self) -> FileSlot:
        """Room for the next training's checkpoint."""
        self.begun += 1
        return FileSlot(self.folder / f"{self.begun}.checkpoint")

    def clear(self) -> None:
        """Forget all of them: the artefact stands."""
        shutil.rmtree(self.folder, ignore_errors=True)


class FileSlot:
    """A state in a file that begins with the digest of the rest; a torn or altered one is as good as none.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> State | None:
        """What was saved last."""
        from safetensors.numpy import load

        try:
            content = self.path.read_bytes()
        except OSError:
            return None
        if sha256(content[DIGEST:]).digest() != content[:DIGEST]:
            return None
        state: State = load(content[DIGEST:])
        return state

    def save(self, state: State) -> None:
        """Replace what was saved last, whole or not at all."""
        from safetensors.numpy import save

        content = save(state)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(f".{uuid.uuid4().hex}")
        write_synced(new, sha256(content).digest() + content)
        os.replace(new, self.path)
