"""Process graphs as nested processes: no node names, no order of what commutes; "*" in a reference fits anything."""

from pathlib import Path
from typing import Any

import yaml

from knowledge.errors import SourceInvalid

FOLDER = Path(__file__).parent / "references"
COMMUTES = frozenset({"add", "multiply", "and", "or", "eq", "neq"})
CHAINS = frozenset({"add", "multiply", "and", "or"})

Nested = Any
"""`{process_id: {argument: Nested}}`, a list of such, a plain value, or `{from_parameter: name}`."""


def nested(graph: dict[str, Any]) -> Nested:
    """Write a flat graph as the process of its result node, with what it takes in the place of node names.

    Raises:
        StopIteration: No node is the result.
    """

    def value(one: Any) -> Nested:
        if isinstance(one, list):
            return [value(part) for part in one]
        if not isinstance(one, dict):
            return one
        if "from_node" in one:
            return node(str(one["from_node"]))
        if "process_graph" in one:
            return nested(one["process_graph"])
        return {name: value(part) for name, part in one.items()}

    def node(name: str) -> Nested:
        arguments = {key: value(one) for key, one in graph[name]["arguments"].items() if one is not None}
        return ordered(graph[name]["process_id"], arguments)

    return node(next(name for name, one in graph.items() if one.get("result")))


def ordered(process_id: str, arguments: dict[str, Any]) -> Nested:
    """Put what commutes in one order, and chains of it in one list."""
    if process_id not in COMMUTES:
        return {process_id: arguments}
    parts: list[Nested] = []
    for part in (arguments["x"], arguments["y"]):
        inner = part.get(process_id) if isinstance(part, dict) and process_id in CHAINS else None
        parts += inner if isinstance(inner, list) else [part]
    return {process_id: sorted(parts, key=repr)}


def matches(wanted: Nested, found: Nested) -> bool:
    """Tell whether a nested graph is the one of a reference."""
    if wanted == "*":
        return True
    if isinstance(wanted, dict) and isinstance(found, dict):
        return wanted.keys() == found.keys() and all(matches(one, found[name]) for name, one in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(matches, wanted, found))
    return bool(wanted == found)


def read_reference(name: str) -> Nested:
    """Read a reference of `evals/references`.

    Raises:
        SourceInvalid: There is none of this name, or it cannot be read.
    """
    try:
        return _sorted(yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))["result"])
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise SourceInvalid(f"The graph {name} cannot be read: {error}.", "See evals/README.md.") from error


def _sorted(one: Any) -> Nested:
    """Put lists under what commutes in the same order as `ordered` does."""
    if isinstance(one, list):
        return [_sorted(part) for part in one]
    if not isinstance(one, dict):
        return one
    parts = {name: _sorted(part) for name, part in one.items()}
    return {name: sorted(part, key=repr) if name in COMMUTES else part for name, part in parts.items()}
