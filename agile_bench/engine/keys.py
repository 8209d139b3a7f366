"""Addresses: the SHA-256 of everything that can change an artefact's bytes, and of nothing else.

Hashed are the kind of artefact, the settings, the source text that computes it (the import closure inside this
package; for an outside plugin its whole package, for a plugin file its text), the versions of the outside libraries in
that closure, cpu or cuda where torch is among them, `api.CONTRACT` in place of ``api``, the digest of the raw data and
the addresses of the inputs. Never a repr, a path or a date; what cannot be hashed is an error that names the key.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from agile_bench.api import CONTRACT
from agile_bench.registry import PACKAGES, Origin, package_folders

ROOT = "agile_bench"
DISTRIBUTIONS = {"sklearn": "scikit-learn"}
NOT_HASHED = frozenset({ROOT, f"{ROOT}.api", f"{ROOT}.engine.store"})
"""Where the closure stops: `CONTRACT` stands for the contracts, and how arrays are kept changes none of them."""


def canonical(value: Any, path: str = "") -> Any:
    """The value with exact JSON types only: tuples as lists, -0.0 as 0.0.

    Raises
    ------
    TypeError
        If something in it cannot be hashed; the message names its key path.
    """
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        if value != value or value in (float("inf"), float("-inf")):
            raise TypeError(f"{path or 'value'}: {value} cannot be part of an address")
        return value + 0.0
    if kind in (list, tuple):
        return [canonical(v, f"{path}[{i}]") for i, v in enumerate(value)]
    if kind is dict:
        for key in value:
            if type(key) is not str:
                raise TypeError(f"{path or 'value'}: the key {key!r} is not a string")
        return {k: canonical(v, f"{path}.{k}" if path else k) for k, v in value.items()}
    raise TypeError(f"{path or 'value'}: a {kind.__name__} cannot be part of an address")


def canonical_json(value: Any) -> str:
    """Canonical JSON text of a value."""
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def address(parts: dict[str, Any]) -> str:
    """The address of the artefact that these parts determine, 64 hexadecimal digits."""
    return sha256(canonical_json(parts).encode()).hexdigest()


@cache
def source_of_module(module: str, device: str) -> dict[str, Any]:
    """Digest of one of our modules with everything it reaches, and the library versions there."""
    path = _resolve(module)
    if path is None:
        raise TypeError(f"{module} has no source file")
    return _describe(*_closure(module, path), device)


def source_of_plugin(origin: Origin, device: str) -> dict[str, Any]:
    """Digest of a plugin's source: import closure, outside package, or file text."""
    if origin.module is not None:
        return source_of_module(origin.module, device)
    if origin.file is not None:
        tree = ast.parse(origin.file.text)
        files, libraries = _follow(tree, f"{ROOT}_file")
        files[origin.name] = sha256(origin.file.text.encode()).hexdigest()
        return _describe(files, libraries, device)
    assert origin.entry is not None
    return _describe(*_package(origin.entry.module.partition(".")[0]), device)


def _describe(files: dict[str, str], libraries: set[str], device: str) -> dict[str, Any]:
    known: dict[str, str] = {name: v for name in sorted(libraries) if (v := library_version(name)) is not None}
    described: dict[str, Any] = {
        "contract": CONTRACT,
        "files": sha256(canonical_json(files).encode()).hexdigest(),
        "libraries": known,
    }
    if "torch" in known:
        described["device"] = device.partition(":")[0]
    return described


@cache
def library_version(name: str) -> str | None:
    """Installed version of the distribution that holds a top-level module."""
    try:
        return version(DISTRIBUTIONS.get(name, name))
    except PackageNotFoundError:
        found = packages_distributions().get(name)
        return version(found[0]) if found else None


@cache
def _package(top: str) -> tuple[dict[str, str], set[str]]:
    """Every source file below a stranger's top-level package."""
    spec = find_spec(top)
    if spec is None or spec.origin is None:
        raise TypeError(f"{top} has no source")
    folders = [Path(p) for p in spec.submodule_search_locations or ()]
    paths = sorted(p for folder in folders for p in folder.rglob("*.py")) or [Path(spec.origin)]
    base = folders[0] if folders else Path(spec.origin).parent
    files: dict[str, str] = {}
    libraries: set[str] = set()
    for path in paths:
        ours, outside = _follow(ast.parse(path.read_bytes()), top)
        files |= ours
        libraries |= outside
        files[f"{top}/{path.relative_to(base).as_posix()}"] = file_digest(path)
    return files, libraries - {top}


@cache
def _closure(module: str, path: Path) -> tuple[dict[str, str], set[str]]:
    files = {module: file_digest(path)}
    libraries: set[str] = set()
    waiting = [(module, path)]
    while waiting:
        name, file = waiting.pop()
        for found in _imports(ast.parse(file.read_bytes()), name):
            if found.partition(".")[0] != ROOT:
                libraries.add(found.partition(".")[0])
                continue
            target = _resolve(found)
            if target is not None and found not in files and found not in NOT_HASHED:
                files[found] = file_digest(target)
                waiting.append((found, target))
    return files, {lib for lib in libraries if lib not in sys.stdlib_module_names}


def _follow(tree: ast.Module, name: str) -> tuple[dict[str, str], set[str]]:
    """Closure over what an outside source imports from us, and its other libraries."""
    files: dict[str, str] = {}
    libraries: set[str] = set()
    for found in _imports(tree, name):
        top = found.partition(".")[0]
        if top == ROOT:
            target = _resolve(found)
            if target is not None and found not in NOT_HASHED:
                ours, outside = _closure(found, target)
                files |= ours
                libraries |= outside
        elif top not in sys.stdlib_module_names:
            libraries.add(top)
    return files, libraries


def _imports(tree: ast.Module, module: str) -> Iterator[str]:
    """Dotted names that a source imports anywhere, functions included, type checking excluded."""
    for node in _live_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = module.rsplit(".", node.level)[0]
                base = f"{parent}.{base}" if base else parent
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names if base.partition(".")[0] == ROOT)


def _live_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        yield from _live_nodes(node)


@cache
def _resolve(name: str) -> Path | None:
    """Source file of one of our modules, by path: importing a parent would run it."""
    for package, folders in _folders().items():
        if name == package or name.startswith(f"{package}."):
            rest = name.removeprefix(package).lstrip(".").split(".")
            for folder in folders:
                base = folder.joinpath(*rest) if rest != [""] else folder
                for candidate in (base.with_suffix(".py"), base / "__init__.py"):
                    if candidate.is_file():
                        return candidate
    return None


@cache
def _folders() -> dict[str, list[Path]]:
    """Our packages and their folders, the longest name first."""
    names = sorted({*PACKAGES.values(), ROOT}, key=len, reverse=True)
    return {name: package_folders(name) for name in names}


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
