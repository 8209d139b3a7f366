"""The child process that computes: reads jobs as JSON lines, writes progress and results as JSON lines.

Arrays go through the store. A plugin may print, crash or exit here: it costs its own job and nothing else.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from agile_bench.api import Plugin
from agile_bench.contract import untouched_randomness
from agile_bench.engine.artefacts import MODULES
from agile_bench.engine.checkpoints import Checkpoints
from agile_bench.engine.failure import from_exception
from agile_bench.engine.jobs.job import Job
from agile_bench.engine.store import Store, TornArtefact
from agile_bench.registry import PluginFile, Registry, forget_files

FUNCTIONS = {
    "cuts": "cuts",
    "split": "identity_split",
    "use-split": "use_split",
    "fitted": "fitted",
    "release": "release",
    "variant": "variant",
    "attacker": "attacker",
    "scores": "scores",
    "choice": "choice",
    "evaluator": "evaluator",
    "predictions": "predictions",
    "attack-measures": "attack_measures",
    "use-measures": "use_measures",
    "attribute-split": "attribute_split",
    "attribute-fit": "attribute_fit",
    "guesses": "guesses",
    "attribute-measures": "attribute_measures",
}
PROGRESS_SECONDS = 0.2
"""Least time between two progress lines."""


class Worker:
    """Carries out jobs one after the other."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.registry = Registry()
        self.last = 0.0

    def say(self, message: dict[str, Any]) -> None:
        """One line to the parent."""
        self.out.write(json.dumps(message) + "\n")

    def progress(self, done: int, total: int) -> None:
        """Tell the parent, not too often."""
        now = time.monotonic()
        if now - self.last >= PROGRESS_SECONDS:
            self.last = now
            self.say({"progress": [done, total]})

    def carry_out(self, message: dict[str, Any]) -> dict[str, Any]:
        """Make one artefact; what goes wrong is an answer too."""
        plugin = "+".join(use["name"] for use in message["uses"].values())
        start = time.perf_counter()
        try:
            store = Store(Path(message["store"]))
            checkpoints = Checkpoints(store.root, message["address"])
            job = Job(
                spec=message["parts"]["spec"],
                inputs=message["inputs"],
                plugins=self.plugins(message),
                store=store,
                device=message["device"],
                report=self.progress,
                root=Path(message["root"]) if message["root"] else None,
                slot=checkpoints.slot,
            )
            kind = message["parts"]["kind"]
            make = getattr(importlib.import_module(MODULES[kind]), FUNCTIONS[kind])
            if job.device != "cpu":
                from agile_bench.nn.seeding import deterministic

                deterministic()
            with untouched_randomness():
                arrays, meta = make(job)
            seconds = time.perf_counter() - start
            store.write(message["address"], message["parts"], arrays, meta, seconds)
            checkpoints.clear()
        except TornArtefact as error:
            return {"torn": error.address}
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is the cell's reason
            private = [entry[1] for entry in message["parts"]["spec"].get("entries", ())]
            private += [message["root"]] if message["root"] else []
            return {"failed": from_exception(error, message["parts"]["kind"], plugin, private).to_json()}
        return {"done": time.perf_counter() - start}

    def plugins(self, message: dict[str, Any]) -> dict[str, Plugin]:
        """The job's plugins, made from their settings; a plugin file is run anew, so it remembers no earlier job."""
        forget_files()
        registry = Registry([PluginFile(**file) for file in message["files"]]) if message["files"] else self.registry
        return {role: registry.make(u["kind"], u["name"], u["settings"]) for role, u in message["uses"].items()}


def main() -> None:
    """Serve until the parent closes the pipe or dies."""
    jobs: queue.Queue[dict[str, Any]] = queue.Queue()
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # a plugin's print cannot garble the protocol

    def feed() -> None:
        for line in sys.stdin.buffer:
            jobs.put(json.loads(line))
        os._exit(1)  # the parent is gone, however it died

    threading.Thread(target=feed, daemon=True).start()
    worker = Worker(out)
    while True:
        worker.say(worker.carry_out(jobs.get()))


if __name__ == "__main__":
    main()
