"""Beats drawn per second on one core, by our two rasterisers and by matplotlib; and what the picture costs a beat.

matplotlib's Agg draws 200 x 200 pixels with figure, axes and line reused, two ways: a draw of the figure (the usual
way), and the line alone onto a cleared buffer (the least that it can do). Zero-filling the array of pictures bounds
what any rasteriser can reach. All take turns, so that a busy machine slows them alike; medians are told.

    python benchmarks/perf/raster.py
    python benchmarks/perf/raster.py --data recordings/
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core: before numpy is imported

import importlib.util
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch

from agile_bench.api import Array, UnusableRecord
from agile_bench.datasets.mitdb import Mitdb
from agile_bench.nn.raster import rasterise as differentiable
from agile_bench.signals.beats import cut
from agile_bench.signals.digitise import BOTTOM_MV, ROW_MV, TOP_MV, digitise
from agile_bench.signals.raster import out_of_range, rasterise
from agile_bench.testing import made_beats

BEATS = 256
LIMIT = 12.0
"""Least ratio of numba to Agg's draw of the figure."""
MEDIAN_UV, P95_UV = 16.0, 22.0


def agg_ways() -> dict[str, Callable[[Array], Array]]:
    """Two ways to draw beats with matplotlib, none where it is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        print("matplotlib is not installed: no comparison with it\n")
        return {}
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 2), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.5, 199.5), ylim=(BOTTOM_MV - ROW_MV / 2, TOP_MV + ROW_MV / 2))
    axes.set_axis_off()
    (line,) = axes.plot(np.arange(200), np.zeros(200), color="black")
    canvas.draw()
    renderer: Any = canvas.get_renderer()

    def line_alone() -> None:
        renderer.clear()
        line.draw(renderer)

    def with_step(step: Callable[[], None]) -> Callable[[Array], Array]:
        def draw(signal: Array) -> Array:
            picture = np.empty((len(signal), 200, 200), np.uint8)
            for beat, values in enumerate(signal):
                line.set_ydata(values)
                step()
                np.subtract(255, np.asarray(canvas.buffer_rgba())[:, :, 0], out=picture[beat])
            return picture

        return draw

    return {"matplotlib Agg, figure": with_step(canvas.draw), "matplotlib Agg, line alone": with_step(line_alone)}


def zero_fill(signal: Array) -> Array:
    picture = np.empty((len(signal), 200, 200), np.uint8)
    picture.fill(0)
    return picture


def torch_forward(signal: Array) -> Any:
    return differentiable(torch.from_numpy(signal))


def torch_both(signal: Array) -> Any:
    tensor = torch.from_numpy(signal).requires_grad_()
    picture = differentiable(tensor)
    picture.backward(torch.ones_like(picture))
    return tensor.grad


def speeds(signal: Array, repeats: int) -> dict[str, float]:
    """Median beats per second of every way to draw."""
    ways: dict[str, Callable[[Array], Any]] = {
        "numba": rasterise,
        "torch": torch_forward,
        "torch, and back": torch_both,
        **agg_ways(),
        "zero-fill": zero_fill,
    }
    for draw in ways.values():
        draw(signal)  # compiling and first calls are not timed
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, draw in ways.items():
            start = perf_counter()
            draw(signal)
            taken[name].append(perf_counter() - start)
    return {name: len(signal) / median(seconds) for name, seconds in taken.items()}


def mitdb_beats(root: Path) -> Array:
    """All MLII beats, (n, 200) mV."""
    signals = []
    for entry in Mitdb().records(root):
        try:
            signals.append(cut(Mitdb().read(root, entry.record), "MLII").signal)
        except UnusableRecord:  # two records have no MLII
            continue
    return np.concatenate(signals)


def round_trip(signal: Array) -> bool:
    """Print what drawing and reading back costs beats in range, and whether that is within the limits."""
    held = signal[(signal.max(axis=1) <= TOP_MV) & (signal.min(axis=1) >= BOTTOM_MV)]
    rmse = np.concatenate(
        [
            1000 * np.sqrt(np.mean((digitise(rasterise(part)) - part) ** 2, axis=1))
            for part in np.array_split(held, max(1, len(held) // BEATS))
        ]
    )
    middle, high = np.percentile(rmse, [50, 95])
    print(f"\nMIT-BIH, {len(signal)} beats of MLII: {out_of_range(signal):.2%} out of range ({len(held)} in range)")
    print(f"drawn and read back, RMSE: median {middle:.1f} uV (limit {MEDIAN_UV:g}), ", end="")
    print(f"95th percentile {high:.1f} uV (limit {P95_UV:g}), worst {rmse.max():.1f} uV")
    return bool(middle <= MEDIAN_UV and high <= P95_UV)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("AGILE_BENCH_DATA") or None
    parser.add_argument("--data", type=Path, default=data, help="folder of mitdb/")
    parser.add_argument("--repeats", type=int, default=9)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    signal = mitdb_beats(Path(asked.data) / "mitdb") if asked.data else made_beats(people=11).signal
    some = signal[:: max(1, len(signal) // BEATS)][:BEATS].copy()
    found = speeds(some, asked.repeats)
    print(f"{len(some)} {'MIT-BIH' if asked.data else 'made-up'} beats, one core, medians of {asked.repeats}")
    for name, rate in found.items():
        print(f"{name:27} {rate:10.0f} beats/s   numba is {found['numba'] / rate:6.2f} x")
    good = found["numba"] >= LIMIT * found.get("matplotlib Agg, figure", 0)
    print(f"numba to Agg must be {LIMIT:g} x; numba reaches {found['numba'] / found['zero-fill']:.0%} of zero-filling")
    if asked.data:
        good &= round_trip(signal)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
