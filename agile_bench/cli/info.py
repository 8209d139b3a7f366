"""``agile-bench info NAME``: what a plugin is, its settings, and what it keeps and reads."""

from __future__ import annotations

import inspect
import json
from typing import Annotated, Any

import typer

from agile_bench.api import Anonymizer, Dataset, Evaluator, Plugin, Refusal
from agile_bench.cli.text import printable
from agile_bench.registry import KINDS, PluginFile, Registry, unknown


def info(
    name: Annotated[str, typer.Argument(help="Name of a plugin or suite.")],
    plugin: Annotated[list[str] | None, typer.Option("--plugin", help="A plugin file, FILE.py:Class.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Explain one plugin: settings with units and bounds, source, what it keeps, reads and is weak against.

    Example: [bold]agile-bench info gaussian[/bold]
    """
    from agile_bench.engine.suite import load_suite, suite_names, to_toml

    registry = Registry([PluginFile.parse(p) for p in plugin or ()])
    kinds = [kind for kind in KINDS if name in registry.names(kind)]
    if not kinds and name in suite_names():
        typer.echo(to_toml(load_suite(name)), nl=False)
        return
    if not kinds and name in registry.broken:
        raise Refusal(registry.broken[name])
    if not kinds:
        every = sorted({n for kind in KINDS for n in registry.names(kind)} | set(suite_names()))
        raise Refusal(unknown("plugin", name, every))
    told = [describe(registry.load(kind, name), kind, name, registry.origin(kind, name).where) for kind in kinds]
    if as_json:
        typer.echo(json.dumps(told if len(told) > 1 else told[0], indent=1))
        return
    for entry in told:
        _print(entry)


def describe(cls: type[Plugin], kind: str, name: str, where: str) -> dict[str, Any]:
    """Everything that a plugin says of itself, as plain values."""
    facts: dict[str, Any] = {"source": cls.source, "learns": sorted(cls.learns), "reads": sorted(cls.reads)}
    if issubclass(cls, Anonymizer):
        facts |= {
            "keeps": sorted(cls.keeps),
            "guarantee": cls.guarantee,
            "stochastic": cls.stochastic,
            "mixes subjects": cls.mixes_subjects,
            "exposes": {k: list(v) for k, v in cls.exposes.items()},
            "reconstruction": cls.reconstruction,
            "weakness": cls.weakness,
        }
    if issubclass(cls, Evaluator):
        facts["yields"] = {k: f"{v.kind}, {v.unit}" if v.unit else v.kind for k, v in cls.yields.items()}
    if issubclass(cls, Dataset):
        facts |= {
            "title": cls.title,
            "licence": cls.licence,
            "folder": cls.folder,
            "protocols": list(cls.protocols),
            "labelled": cls.labelled,
            "beats may be shown": cls.redistributable,
        }
    settings = [
        {
            "name": key,
            "default": field.default,
            "allowed": _allowed(field),
            "description": field.description or "",
        }
        for key, field in cls.model_fields.items()
    ]
    text = inspect.getdoc(cls) or ""
    return {"name": name, "kind": kind, "where": where, "text": text, "facts": facts, "settings": settings}


def _allowed(field: Any) -> str:
    bounds = []
    for bound in field.metadata:
        for mark, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<")):
            if hasattr(bound, mark):
                bounds.append(f"{sign} {getattr(bound, mark)}")
    kind = getattr(field.annotation, "__name__", None)
    if kind in (None, "Literal", "Optional", "Union", "UnionType"):
        kind = str(field.annotation).replace("typing.", "")
    return ", ".join([str(kind), *bounds])


def _print(entry: dict[str, Any]) -> None:
    typer.echo(f"{printable(entry['name'])} ({entry['kind']}, {printable(entry['where'])})\n")
    typer.echo("\n".join(f"  {printable(line)}".rstrip() for line in entry["text"].splitlines()))
    typer.echo("")
    for key, value in entry["facts"].items():
        shown = _shown(value)
        if shown:
            typer.echo(f"  {key:<18} {printable(shown)}")
    if entry["settings"]:
        typer.echo("\n  settings")
        for s in entry["settings"]:
            typer.echo(f"    {s['name']} = {s['default']!r}   ({printable(s['allowed'])})")
            if s["description"]:
                typer.echo(f"        {printable(s['description'])}")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value) if value else "nothing"
    if isinstance(value, dict):
        return "; ".join(f"{k}: {', '.join(v) if isinstance(v, list) else v}" for k, v in value.items())
    return "" if value is None else str(value)
