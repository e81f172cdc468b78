"""Checks arguments that a process graph spells out against the published specification of the process."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from tools.hub.openeo_errors import invalid_parameter

_LOOKED_AT = 1000
"""Elements of a list that are looked at."""


def refuse_unlike(process_id: str, arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that are not of the kind that the specification names; references are known later."""
    for name, value in arguments.items():
        validator, kinds = _validators().get((process_id, name), (None, ""))
        shown = value[:_LOOKED_AT] if isinstance(value, list) else value
        if validator is not None and not _refers(shown) and not validator.is_valid(shown):
            raise invalid_parameter(process_id, name, f"{str(value)[:60]!r} is not of the kind {kinds}")


@cache
def _validators() -> Mapping[tuple[str, str], tuple[Any, str]]:
    from jsonschema import Draft7Validator
    from jsonschema.validators import extend

    from tools.hub.process_specs import process_specs

    # Equal ends of a period have an error of their own.
    draft = extend(Draft7Validator, {"uniqueItems": lambda *_: ()})
    found = {}
    for spec in process_specs():
        for one in spec["parameters"]:
            schemas = one["schema"] if isinstance(one["schema"], list) else [one["schema"]]
            kinds = dict.fromkeys(str(schema.get("subtype") or schema.get("type") or "any") for schema in schemas)
            nothing = [{"type": "null"}] if one.get("optional") else []
            found[spec["id"], one["name"]] = draft({"anyOf": [*schemas, *nothing]}), " or ".join(kinds)
    return found


def _refers(value: Any) -> bool:
    """Tell whether there is a reference to a node or a parameter inside a value."""
    if isinstance(value, list):
        return any(_refers(part) for part in value)
    if not isinstance(value, dict) or "process_graph" in value:
        return False
    return "from_node" in value or "from_parameter" in value or any(_refers(part) for part in value.values())
