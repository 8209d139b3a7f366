"""``agile-bench list``: all that can be named in a run."""

from __future__ import annotations

import inspect
import json
from typing import Annotated

import typer

from agile_bench.cli.text import printable
from agile_bench.registry import KINDS, BrokenPlugin, PluginFile, Registry


def list_(
    kind: Annotated[str | None, typer.Argument(help="One kind only, such as anonymizer.")] = None,
    plugin: Annotated[list[str] | None, typer.Option("--plugin", help="A plugin file, FILE.py:Class.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List datasets, anonymizers, attackers, front-ends, evaluators and suites.

    Example: [bold]agile-bench list anonymizer[/bold]
    """
    from agile_bench.api import Refusal
    from agile_bench.engine.suite import load_suite, suite_names
    from agile_bench.registry import unknown

    kinds = (*KINDS, "suite")
    if kind is not None and kind not in kinds:
        raise Refusal(unknown("kind", kind, kinds))
    registry = Registry([PluginFile.parse(p) for p in plugin or ()])
    found: dict[str, dict[str, str]] = {k: {n: _summary(registry, k, n) for n in registry.names(k)} for k in KINDS}
    found["suite"] = {name: load_suite(name).title for name in suite_names()}
    if broken := dict(registry.broken):
        found["broken"] = broken
    if kind is not None:
        found = {kind: found[kind]}
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    width = max((len(name) for group in found.values() for name in group), default=0)
    for group, entries in found.items():
        typer.echo(f"{group}s" if group != "broken" else "broken")
        for name, summary in entries.items():
            typer.echo(f"  {printable(name):<{width}}  {printable(summary)}")
        if not entries:
            typer.echo("  none yet")


def _summary(registry: Registry, kind: str, name: str) -> str:
    try:
        cls = registry.load(kind, name)
    except BrokenPlugin as error:
        return f"unavailable: {error}"
    where = registry.origin(kind, name).where
    first = (inspect.getdoc(cls) or "").partition("\n")[0]
    return first if where == "built in" else f"{first} ({where})"
