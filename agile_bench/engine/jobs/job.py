"""What a job is handed, and how beats are handed on to plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from agile_bench.api import BEAT_FIELDS, Array, Beats, Context, Plugin, Slot, State, seed_of
from agile_bench.contract import freeze
from agile_bench.engine.store import Shelf

Result = tuple[dict[str, Array], dict[str, Any]]
"""Arrays and JSON values of an artefact."""

RESOLUTION_MV = 1e-4
"""Beats and releases are rounded to this, a tenth of a microvolt, far below any amplifier's noise: what a method might
write into the digits below would reach nobody who is given a file."""

COLUMNS = ("subject", "session", "time", "label", "sex", "age", "rr_before", "rr_after")


@dataclass(frozen=True, slots=True)
class Job:
    """One artefact to make.

    Parameters
    ----------
    spec : dict
        What to make, as hashed.
    inputs : dict of lists of addresses
    plugins : dict of Plugin
        By the role in which the job needs them.
    store : Shelf
    device : str
    report : callable
        Where progress goes.
    root : Path or None
        Folder of the dataset's files.
    slot : callable or None
        Makes room for a training's checkpoint.
    """

    spec: Mapping[str, Any]
    inputs: Mapping[str, list[str]]
    plugins: Mapping[str, Plugin]
    store: Shelf
    device: str
    report: Callable[[int, int], None]
    root: Path | None = None
    slot: Callable[[], Slot] | None = None

    def at(self, *label: str | int, **more: Any) -> Context:
        """The context of a call, its randomness under (seed axes, label), of which the plugin sees a digest only."""
        place = f"{seed_of(*self.spec['seeds'], *label):016x}"
        return Context(label=(place,), device=self.device, report=self.report, slot=self.slot, **more)

    def context_seed(self) -> int:
        """Seed of the resampling behind intervals."""
        return self.at("intervals").seed_of()

    def arrays(self, name: str, names: Iterable[str] | None = None) -> dict[str, Array]:
        """Arrays of the single input of this name."""
        (address,) = self.inputs[name]
        return self.store.arrays(address, names)

    def states(self, name: str) -> list[State]:
        """Learnt states of all inputs of this name, read-only."""
        return [freeze(self.store.arrays(address)) for address in self.inputs[name]]


@dataclass(frozen=True, slots=True)
class Cohort:
    """Beats of a dataset with all that is known of them; the integer codes are the engine's own.

    `ids` gives an opaque name to every record code, the same in every run: randomness is keyed by it.
    """

    columns: dict[str, Array]
    ids: dict[int, str]

    @classmethod
    def join(cls, job: Job) -> Cohort:
        """All beats of the dataset, from the shards of input ``cuts``."""
        parts = [job.store.arrays(address) for address in job.inputs["cuts"]]
        ids = {}
        for address in job.inputs["cuts"]:
            ids.update({r["index"]: r["id"] for r in job.store.meta(address)["records"]})
        return cls({k: np.concatenate([p[k] for p in parts]) for k in parts[0]}, ids)

    @classmethod
    def load(cls, job: Job, name: str = "split", *, signal: bool = True) -> Cohort:
        """The beats that a split uses; its rows index them."""
        (address,) = job.inputs[name]
        wanted = [f"beats/{c}" for c in ("record", *COLUMNS, *(["signal"] if signal else []))]
        given = job.store.arrays(address, wanted)
        ids = {int(k): v for k, v in job.store.meta(address)["ids"].items()}
        return cls({k.removeprefix("beats/"): v for k, v in given.items()}, ids)

    def pack(self, roles: dict[str, Array], row_roles: frozenset[str]) -> Result:
        """The used beats beside the roles, whose rows (`row_roles`) are renumbered to index them."""
        used = np.unique(np.concatenate([roles[name] for name in sorted(row_roles)]))
        out = {name: np.searchsorted(used, v) if name in row_roles else v for name, v in roles.items()}
        out |= {f"beats/{name}": v[used] for name, v in self.columns.items()}
        records = np.unique(self.columns["record"][used]).tolist()
        return out, {"ids": {str(r): self.ids[r] for r in records}}

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def hand_out(self, rows: Array, declared: frozenset[str], subject: Array | None = None) -> Beats:
        """Beats of these rows as a plugin gets them: opaque codes, only declared fields, read-only.

        Parameters
        ----------
        rows : (n,) int array
            Beats of one record are consecutive.
        declared : frozenset of str
            Names of `BEAT_FIELDS`.
        subject : (n,) int array or None
            Opaque person codes where the role allows them.
        """
        given: dict[str, Array] = {}
        for name in sorted(declared):
            for column in BEAT_FIELDS[name]:
                if column == "subject":
                    if subject is not None:
                        given[column] = subject.astype(np.int32)
                elif column == "session":
                    given[column] = renumber(self[column][rows])
                else:
                    given[column] = self[column][rows]
        given["signal"] = self["signal"][rows]
        given["record"] = renumber(self["record"][rows])
        return Beats(**freeze(given))


def resolved(signal: Array) -> Array:
    """A signal (n, 200) float32 in mV on the grid of `RESOLUTION_MV`."""
    steps = np.round(signal.astype(np.float64) / RESOLUTION_MV) + 0.0  # a zero has no sign to hide a bit in
    rounded: Array = (steps * RESOLUTION_MV).astype(np.float32)
    return rounded


def renumber(codes: Array) -> Array:
    """Codes 0, 1, ... in order of first appearance, int32: what they were before cannot be told."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first))
    numbered: Array = rank[inverse.reshape(-1)]
    return numbered


def as_released(beats: Beats, given: dict[str, Array]) -> Beats:
    """The beats as a release shows them: its signal, and its RR intervals where it gives new ones and they are seen."""
    released = beats.with_signal(freeze(given)["signal"])
    if beats.rr_before is None or "rr_before" not in given:
        return released
    return replace(released, rr_before=given["rr_before"], rr_after=given["rr_after"])
