import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agile_bench.api import Refusal
from agile_bench.engine.keys import address
from agile_bench.engine.store import STALE_SECONDS, Store, TornArtefact, default_place

PARTS = {"kind": "made", "spec": {"seed": 0}}
PLACE = address(PARTS)
A = np.arange(12, dtype=np.float32).reshape(3, 4)


def put(store: Store, arrays: dict[str, np.ndarray] | None = None, meta: dict[str, object] | None = None) -> Path:
    store.write(PLACE, PARTS, {"a": A} if arrays is None else arrays, meta or {"n": 3}, 0.25)
    return store.folder(PLACE)


@pytest.mark.parametrize(
    "array",
    [
        A.T,
        A[::-1],
        A[:, ::2],
        A[1:, 1:],
        np.broadcast_to(A[0], (5, 4)),
        np.asfortranarray(A),
        np.array(2.5),
        np.array(True),
        np.empty((0, 200), np.float32),
        A.astype(">f8"),
        np.array([1, -2], np.int8),
        np.array([2**63], np.uint64),
    ],
    ids=lambda a: f"{a.dtype.str}{a.shape}{a.strides}",
)
def test_an_array_comes_back_with_its_values_shape_and_kind(store: Store, array: np.ndarray) -> None:
    put(store, {"x": array})
    back = store.arrays(PLACE)["x"]
    assert back.shape == array.shape
    assert back.dtype == array.dtype.newbyteorder("=")
    assert np.array_equal(back, array)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int32, np.uint8, np.bool_]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    )
)
def test_any_array_comes_back_bit_by_bit(store: Store, array: np.ndarray) -> None:
    store.discard(PLACE)
    put(store, {"x": array})
    back = store.arrays(PLACE)["x"]
    assert (back.shape, back.dtype, back.tobytes()) == (array.shape, array.dtype, array.tobytes())


def test_names_come_back_sorted_and_some_can_be_asked_for(store: Store) -> None:
    put(store, {name: A for name in ("b", "c/2", "a", "c/1")}, {"z": [1, None, "é"]})
    assert list(store.arrays(PLACE)) == ["a", "b", "c/1", "c/2"]
    assert list(store.arrays(PLACE, ["c/2", "a"])) == ["a", "c/2"]
    assert store.meta(PLACE) == {"z": [1, None, "é"]}
    assert store.manifest(PLACE)["seconds"] == 0.25


def test_equal_content_has_equal_bytes_whatever_the_order_and_the_time(tmp_path: Path) -> None:
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    one.write(PLACE, PARTS, {"a": A, "b": A.T}, {"n": 1, "m": 2}, 1.0)
    two.write(PLACE, PARTS, {"b": A.T, "a": A}, {"m": 2, "n": 1}, 2.0)
    for name in ("data.safetensors", "meta.json"):
        assert (one.folder(PLACE) / name).read_bytes() == (two.folder(PLACE) / name).read_bytes()


@pytest.mark.parametrize("name", ["data.safetensors", "meta.json", "manifest.json"])
def test_one_altered_byte_anywhere_is_noticed(store: Store, name: str) -> None:
    path = put(store, {"a": A[:2]}) / name
    content = path.read_bytes()
    assert store.stands(PLACE)
    for position in range(len(content)):
        # a bit, the case of a letter, one white space for another, the highest bit
        for mask in (0x01, 0x20, 0x2A, 0x07, 0x80):
            altered = bytearray(content)
            altered[position] ^= mask
            path.write_bytes(altered)
            assert not store.stands(PLACE), (position, mask)
    path.write_bytes(content)
    assert store.stands(PLACE)


@pytest.mark.parametrize("name", ["data.safetensors", "meta.json", "manifest.json"])
def test_a_torn_or_missing_file_is_noticed(store: Store, name: str) -> None:
    path = put(store) / name
    content = path.read_bytes()
    for torn in (content[:-1], content + b" ", b"", b"3", b"[]", b"\xff"):
        path.write_bytes(torn)
        assert not store.stands(PLACE), torn
    path.unlink()
    with pytest.raises(TornArtefact, match=PLACE[:12]) as raised:
        store.manifest(PLACE)
    assert raised.value.address == PLACE


def test_reading_what_is_torn_names_the_artefact(store: Store) -> None:
    folder = put(store)
    (folder / "data.safetensors").write_bytes(b"\x08")
    (folder / "meta.json").write_bytes(b"{")
    for read in (store.arrays, store.meta):
        with pytest.raises(TornArtefact) as raised:
            read(PLACE)
        assert raised.value.address == PLACE


def test_a_sound_artefact_at_another_address_does_not_stand_there(store: Store) -> None:
    other = store.folder("0" * 64)
    other.parent.mkdir()
    put(store).rename(other)
    assert not store.stands("0" * 64)


def test_writing_twice_keeps_the_sound_one_and_replaces_the_torn_one(store: Store) -> None:
    folder = put(store)
    inode = folder.stat().st_ino
    put(store)
    assert folder.stat().st_ino == inode
    (folder / "meta.json").write_bytes(b"{}")
    put(store)
    assert store.stands(PLACE)
    assert list((store.root / "tmp").iterdir()) == []


def test_a_failed_write_leaves_nothing(store: Store) -> None:
    with pytest.raises(TypeError, match="n: a set"):
        put(store, meta={"n": {1}})
    assert not store.folder(PLACE).exists()
    assert list((store.root / "tmp").iterdir()) == []


RACE = """
import sys
from pathlib import Path
import numpy as np
from agile_bench.engine.keys import address
from agile_bench.engine.store import Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for i in range(60):
    parts = {"i": i}
    store.write(address(parts), parts, {"a": np.full(50, i)}, {"i": i}, 0.0)
"""


def test_four_processes_that_write_the_same_addresses_leave_sound_artefacts(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path / "s")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    for racer in racers:
        racer.communicate(timeout=120)
        assert racer.returncode == 0
    store = Store(tmp_path / "s")
    for i in range(60):
        assert (store.arrays(address({"i": i}))["a"] == i).all()
        assert store.stands(address({"i": i}))
    assert list((store.root / "tmp").iterdir()) == []


def test_temporary_folders_are_swept_by_age(store: Store) -> None:
    old, young = store.root / "tmp" / "old", store.root / "tmp" / "young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "data.safetensors").write_bytes(b"x")
    past = time.time() - STALE_SECONDS - 60
    os.utime(old, (past, past))
    store.sweep()
    assert [p.name for p in (store.root / "tmp").iterdir()] == ["young"]


def test_a_new_store_is_for_its_user_alone(tmp_path: Path) -> None:
    assert Store(tmp_path / "s").root.stat().st_mode & 0o777 == 0o700


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(Refusal, match="--store"):
            Store(place)
    there = Store(tmp_path / "s").root
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # whoever runs the tests may be allowed everything
    with pytest.raises(Refusal, match=r"read-only.*--store"):
        Store(there)


def test_the_default_place_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGILE_BENCH_STORE", "/there")
    assert default_place() == Path("/there")
    monkeypatch.delenv("AGILE_BENCH_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert default_place() == Path("/cache/agile-bench")


def test_the_manifest_states_the_hashed_parts_in_clear(store: Store) -> None:
    manifest = json.loads((put(store) / "manifest.json").read_text())
    assert manifest["parts"] == PARTS
    assert set(manifest["files"]) == {"data.safetensors", "meta.json"}
