"""What the picture costs real beats. Set AGILE_BENCH_DATA to the folder that holds mitdb/."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from agile_bench.api import UnusableRecord
from agile_bench.datasets.mitdb import Mitdb
from agile_bench.nn.raster import rasterise as differentiable
from agile_bench.signals.beats import cut
from agile_bench.signals.digitise import digitise
from agile_bench.signals.raster import out_of_range, rasterise

EVERY = 10


@pytest.fixture(scope="module")
def beats() -> np.ndarray:
    """Every tenth MLII beat of MIT-BIH, mV."""
    data = os.environ.get("AGILE_BENCH_DATA")
    if not data or not (Path(data) / "mitdb").is_dir():
        pytest.skip("AGILE_BENCH_DATA names no folder that holds mitdb")
    signals = []
    for entry in Mitdb().records(Path(data) / "mitdb"):
        try:
            signals.append(cut(Mitdb().read(Path(data) / "mitdb", entry.record), "MLII").signal[::EVERY])
        except UnusableRecord:  # two records have no MLII
            continue
    return np.concatenate(signals)


def test_a_beat_in_range_is_read_back_to_a_fraction_of_a_row(beats):
    share = out_of_range(beats)
    held = beats[(beats.max(axis=1) <= 3) & (beats.min(axis=1) >= -2)]
    assert len(held) > 9_000
    assert len(held) == round(len(beats) * (1 - share))
    rmse = 1000 * np.sqrt(np.mean((digitise(rasterise(held)) - held) ** 2, axis=1))
    print(f"{len(beats)} beats, {share:.1%} out of range; RMSE median {np.median(rmse):.1f} uV, ", end="")
    print(f"95th percentile {np.percentile(rmse, 95):.1f} uV")
    assert 0.01 < share < 0.10
    assert np.median(rmse) <= 16
    assert np.percentile(rmse, 95) <= 22


def test_both_rasterisers_agree_on_real_beats_in_and_out_of_range(beats):
    some = beats[::5]
    assert out_of_range(some) > 0
    worst = max(
        float(np.abs(differentiable(torch.from_numpy(part)).numpy() - rasterise(part) / 255).max())
        for part in np.array_split(some, 10)
    )
    print(f"they differ by at most {255 * worst:.2f} / 255")
    assert worst <= 1 / 255
