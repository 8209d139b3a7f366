"""Loss curves of the attackers of a run, by cell, gallery and epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agile_bench.engine.columns import ATTACKER, METHOD, PLACE, Cell, blank

AXES = (*PLACE, "seed", "key", "role", "control", *METHOD, "knowledge", *ATTACKER)
"""Columns that say whose curve it is; as in the results frame."""
CURVES = ("train_loss", "held_out_loss")
"""What an attacker's state may tell of its training."""
LONGEST = 10_000
"""Epochs of a curve that are kept."""


def told_curves(state: Mapping[str, Any]) -> dict[str, list[float]]:
    """The curves that an attacker's state tells, as JSON values."""
    return {n: [float(x) for x in state[n].ravel()[:LONGEST]] for n in CURVES if n in state}


def curve_rows(cell: Cell, meta: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One row per gallery and epoch.

    Parameters
    ----------
    cell : Cell
    meta : mapping
        What its measures tell: ``training`` holds the curves of each gallery's attacker.
    """
    axes = blank() | cell.axes
    axes["subjects"] = meta["people"]
    for number, told in enumerate(meta.get("training", ())):
        held_out = told.get("held_out_loss", [])
        for epoch, loss in enumerate(told.get("train_loss", ())):
            row = {name: axes[name] for name in AXES} | {"pool": number, "epoch": epoch + 1, "loss": loss}
            yield row | {"held_out_loss": held_out[epoch] if epoch < len(held_out) else math.nan}


def write_curves(rows: Sequence[dict[str, Any]], path: str) -> None:
    """Write the curves as parquet with an explicit schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {name: pa.int64() if isinstance(blank()[name], int) else pa.string() for name in AXES}
    kinds |= {"pool": pa.int64(), "epoch": pa.int64(), "loss": pa.float64(), "held_out_loss": pa.float64()}
    table = pa.table({name: [row[name] for row in rows] for name in kinds}, schema=pa.schema(list(kinds.items())))
    pq.write_table(table, path)
