"""Dask dispatches, a child process computes.

A Dask worker is a thread that owns one long-lived child and exchanges JSON lines with it; arrays go through the store.
Dask's own worker processes lose neighbours or hang when a plugin kills its process. The engine keeps the graph and
submits a job when its inputs stand, at most one per worker thread, so a death costs one cell.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from agile_bench.api import Refusal
from agile_bench.engine.artefacts import MODULES, Task
from agile_bench.engine.failure import Failure, because_of, from_exit
from agile_bench.engine.plan import Plan
from agile_bench.engine.store import Store
from agile_bench.registry import PluginFile, Registry

ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    )
} | {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
"""One thread per task: bits must not depend on the number of threads, and workers must not fight for cores."""

TOPIC = "agile-bench"
TORN_RETRIES = 3

_children: set[subprocess.Popen[str]] = set()
_mine = threading.local()


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to a task: ``started``, ``progress``, ``done`` or ``failed``."""

    kind: str
    address: str
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    failure: Failure | None = None


# -- what runs inside a Dask worker ------------------------------------------------------------------------------------


def _child() -> subprocess.Popen[str]:
    child: subprocess.Popen[str] | None = getattr(_mine, "child", None)
    if child is None or child.poll() is not None:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "agile_bench.engine.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, **ONE_THREAD},
            start_new_session=True,  # the terminal's Ctrl-C reaches the main process only
        )
        _mine.child = child
        _children.add(child)
    return child


def compute(message: dict[str, Any]) -> dict[str, Any]:
    """Have this thread's child carry out one job; a child that dies is an answer."""
    from distributed import get_worker

    child = _child()
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(json.dumps(message) + "\n")
        for line in child.stdout:
            answer: dict[str, Any] = json.loads(line)
            if "progress" not in answer:
                return answer
            get_worker().log_event(TOPIC, {"address": message["address"], "progress": answer["progress"]})
    except (BrokenPipeError, ValueError):
        pass
    code = child.wait()
    _children.discard(child)
    plugin = "+".join(use["name"] for use in message["uses"].values())
    return {"failed": from_exit(code, message["parts"]["kind"], plugin).to_json()}


def kill_children() -> None:
    """Kill every child that this process started."""
    for child in list(_children):
        child.kill()
    for child in list(_children):
        child.wait()
        _children.discard(child)


def describe(store: str, plugins: list[tuple[str, str]], device: str) -> dict[str, Any]:
    """What a remote end must agree on: the store folder, and the source and libraries of all that will compute."""
    from agile_bench.engine.keys import address, source_of_module, source_of_plugin

    token = Path(store) / "token"
    registry = Registry()
    sources: dict[str, Any] = {m: source_of_module(m, device) for m in ("agile_bench.engine.child", *MODULES.values())}
    for kind, name in plugins:
        there = name in registry.names(kind)
        sources[f"{kind} {name}"] = source_of_plugin(registry.origin(kind, name), device) if there else None
    return {"store": token.read_text() if token.is_file() else None, "source": address(sources)}


# -- the main process --------------------------------------------------------------------------------------------------


@contextmanager
def dask_client(workers: int, scheduler: str | None) -> Any:
    """A Dask client: of an own cluster of threads, or of one that stands.

    Nothing of ours listens beyond loopback: the own cluster talks in process, and its web pages are switched off.
    """
    import dask
    from distributed import Client, LocalCluster

    quiet = {
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
        "distributed.logging.distributed": "error",
        "distributed.admin.tick.limit": "1h",
    }
    with dask.config.set(quiet):
        if scheduler is not None:
            try:
                client = Client(scheduler, timeout=10)  # type: ignore[no-untyped-call]
            except (OSError, ValueError) as error:
                raise Refusal(f"--scheduler {scheduler}: {error}") from None
            with client:
                yield client
            return
        with (
            LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=1,
                threads_per_worker=workers,
                processes=False,
                protocol="inproc://",
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address="127.0.0.1:0",
                silence_logs=50,
                memory_limit=0,
            ) as cluster,
            Client(cluster) as client,  # type: ignore[no-untyped-call]
        ):
            yield client


class Executor:
    """Runs the missing tasks of a plan.

    Parameters
    ----------
    plan : Plan
    store : Store
    device : str
    files : sequence of PluginFile
        Sent along with every job as text.
    on_event : callable
        Called in the calling thread.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        device: str,
        files: Iterable[PluginFile],
        on_event: Callable[[Event], None],
    ) -> None:
        self.plan, self.store, self.device, self.on_event = plan, store, device, on_event
        self.files = [{"name": f.name, "attribute": f.attribute, "text": f.text} for f in files]
        self.failures: dict[str, Failure] = {}
        self.computed: dict[str, float] = {}
        self._queue: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._torn: dict[str, int] = {}

    def run(self, missing: set[str], workers: int, scheduler: str | None, on_interrupt: Callable[[], None]) -> None:
        """Compute what is missing; failures are kept in `failures`, nothing stops the rest.

        On Ctrl-C the children are killed, `on_interrupt` is called and the process ends with status 130: winding
        Dask down would take longer than a person waits.
        """
        try:
            with dask_client(workers, scheduler) as client:
                if scheduler is not None:
                    self._agree(client, scheduler)
                client.subscribe_topic(TOPIC, lambda event: self._queue.put(("progress", event[1])))
                try:
                    self._loop(client, missing, max(1, sum(client.nthreads().values())))
                except KeyboardInterrupt:
                    self._stop(client, scheduler, on_interrupt)
                finally:
                    self._kill(client, scheduler)
        except KeyboardInterrupt:  # while the cluster was starting or closing
            self._stop(None, None, on_interrupt)

    def _stop(self, client: Any, scheduler: str | None, on_interrupt: Callable[[], None]) -> NoReturn:
        self._kill(client, scheduler)
        on_interrupt()
        os._exit(130)

    @staticmethod
    def _kill(client: Any, scheduler: str | None) -> None:
        if scheduler is not None:
            client.run(kill_children)
        kill_children()

    def _agree(self, client: Any, scheduler: str) -> None:
        """Refuse a cluster that has other source or another store, before the first job."""
        token = self.store.root / "token"
        if not token.exists():
            token.write_text(os.urandom(8).hex())
        sent = {f["name"] for f in self.files}
        uses = {(u.kind, u.name) for task in self.plan.tasks.values() for u in task.uses.values()}
        asked = (str(self.store.root), sorted(use for use in uses if use[1] not in sent), self.device)
        here = describe(*asked)
        try:
            there = {"the scheduler": client.run_on_scheduler(describe, *asked)}
            there |= client.run(describe, *asked)
        except Exception as error:  # noqa: BLE001 - a cluster without this package fails in its own ways
            raise Refusal(f"--scheduler {scheduler}: agile-bench cannot be imported there ({error})") from None
        for name, found in there.items():
            if found["store"] != here["store"]:
                raise Refusal(f"--scheduler {scheduler}: {name} does not see the store {self.store.root}")
            if found["source"] != here["source"]:
                raise Refusal(
                    f"--scheduler {scheduler}: {name} has another version of agile-bench, a plugin or a library"
                )

    def _loop(self, client: Any, missing: set[str], slots: int) -> None:
        waiting = {a: {i for inputs in self.plan.tasks[a].inputs.values() for i in inputs} & missing for a in missing}
        order = {address: n for n, address in enumerate(self.plan.tasks)}
        running: dict[str, Any] = {}
        while waiting or running:
            ready = sorted((a for a, needs in waiting.items() if not needs), key=order.__getitem__)
            for address in ready[: slots - len(running)]:
                del waiting[address]
                running[address] = self._submit(client, self.plan.tasks[address])
                self.on_event(Event("started", address))
            kind, payload = self._queue.get()
            if kind == "progress":
                self.on_event(Event("progress", payload["address"], *payload["progress"]))
                continue
            del running[payload["address"]]
            self._settle(payload["address"], payload["answer"], waiting, set(running))

    def _submit(self, client: Any, task: Task) -> Any:
        # The key is new each time: Dask must neither answer from memory nor mix runs that share a cluster.
        key = f"{task.kind}-{task.address[:16]}-{uuid.uuid4().hex}"
        future = client.submit(compute, self.message(task), key=key, pure=False, retries=0)
        future.add_done_callback(lambda f: self._queue.put(("answer", self._answer(task, f))))
        return future

    def message(self, task: Task) -> dict[str, Any]:
        """The job of making an artefact, as plain values."""
        return {
            "address": task.address,
            "parts": task.parts,
            "inputs": task.inputs,
            "uses": {r: {"kind": u.kind, "name": u.name, "settings": u.dump} for r, u in task.uses.items()},
            "root": str(task.root) if task.root else None,
            "store": str(self.store.root),
            "device": self.device,
            "files": self.files,
        }

    @staticmethod
    def _answer(task: Task, future: Any) -> dict[str, Any]:
        try:
            return {"address": task.address, "answer": future.result()}
        except Exception as error:  # noqa: BLE001 - the cluster lost the job
            failure = Failure(task.kind, "", f"the cluster lost it: {type(error).__name__}: {error}")
            return {"address": task.address, "answer": {"failed": failure.to_json()}}

    def _settle(self, address: str, answer: dict[str, Any], waiting: dict[str, set[str]], running: set[str]) -> None:
        if "torn" in answer and self._torn.get(address, 0) < TORN_RETRIES:
            self._torn[address] = self._torn.get(address, 0) + 1
            waiting[address] = self._again(answer["torn"], waiting, running)
            return
        if "done" in answer:
            self.computed[address] = answer["done"]
            for needs in waiting.values():
                needs.discard(address)
            self.on_event(Event("done", address, seconds=answer["done"]))
            return
        given = answer.get("failed") or {
            "stage": "store",
            "plugin": "",
            "reason": "an input is torn again and again",
        }
        self._fail(address, Failure(**given), waiting)

    def _again(self, torn: str, waiting: dict[str, set[str]], running: set[str]) -> set[str]:
        """What has to be waited for when an input turned out to be torn; several jobs may report the same one."""
        if torn in running or torn in waiting:
            return {torn}
        if self.store.stands(torn):
            return set()  # it was made again in the meantime
        self.store.discard(torn)
        waiting[torn] = set()
        return {torn}

    def _fail(self, address: str, failure: Failure, waiting: dict[str, set[str]]) -> None:
        self.failures[address] = failure
        self.on_event(Event("failed", address, failure=failure))
        for dependent in [a for a, needs in waiting.items() if address in needs]:
            if dependent in waiting:
                del waiting[dependent]
                self._fail(dependent, because_of(failure, self.plan.tasks[dependent].kind), waiting)
