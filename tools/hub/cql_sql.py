"""Turns CQL2 filters into SQL where the database can answer them; the rest is left for a check in Python."""

from dataclasses import dataclass, field
from typing import Any

from tools.errors import ToolInputError
from tools.hub.archive import utc_text
from tools.hub.item_search import Condition, property_sql

Json = dict[str, Any]
COMPARISONS = {"=": "=", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_SWAPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_JSON_TYPES = {"number": "'integer', 'real'", "text": "'text'", "truth": "'true', 'false'"}


class NotInSqlError(Exception):
    """A part of a filter that has no SQL here."""


@dataclass
class Split:
    """A filter in three parts, all of which must hold."""

    cloud: list[tuple[str, float]] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    rest: list[Json | bool] = field(default_factory=list)


def split(tree: Json | bool, into: Split) -> Split:
    """Sort the parts of a conjunction by who can check them."""
    if isinstance(tree, bool):
        into.rest.append(tree)
        return into
    if not isinstance(tree, dict):
        raise TypeError("a condition is an object or a truth value")
    if tree.get("op") == "and":
        for part in tree["args"]:
            split(part, into)
        return into
    cloud = _cloud_test(tree)
    if cloud is not None:
        into.cloud.append(cloud)
        return into
    try:
        into.conditions.append(_translated(tree))
    except NotInSqlError:
        into.rest.append(tree)
    return into


def _cloud_test(tree: Json) -> tuple[str, float] | None:
    """Read a comparison of the cloud cover with a number, written either way round."""
    operator, args = str(tree.get("op")), tree.get("args")
    if operator not in COMPARISONS or not isinstance(args, list) or len(args) != 2:
        return None
    if _name(args[0]) == "eo:cloud_cover" and _kind(args[1]) == "number":
        return operator, float(args[1])
    if _name(args[1]) == "eo:cloud_cover" and _kind(args[0]) == "number":
        return _SWAPPED.get(operator, operator), float(args[0])
    return None


def _name(node: Any) -> str | None:
    name = node.get("property") if isinstance(node, dict) else None
    return name.removeprefix("properties.") if isinstance(name, str) else None


def _kind(node: Any) -> str | None:
    """Tell what a literal is."""
    if isinstance(node, bool):
        return "truth"
    if isinstance(node, int | float):
        return "number"
    if isinstance(node, str):
        return "text"
    return "time" if isinstance(node, dict) and set(node) & {"timestamp", "date"} else None


def _translated(tree: Any) -> Condition:
    if not isinstance(tree, dict) or not isinstance(tree.get("args"), list):
        raise NotInSqlError
    operator, args = tree.get("op"), tree["args"]
    if operator in ("and", "or"):
        return _joined(f" {operator.upper()} ", [_translated(part) for part in args])
    if operator == "not" and len(args) == 1:
        inner = _translated(args[0])
        return Condition(f"NOT ({inner.sql})", inner.values, inner.reads_body)
    if operator in COMPARISONS and len(args) == 2:
        return _comparison(operator, *args)
    return _predicate(operator, args)


def _predicate(operator: Any, args: list[Any]) -> Condition:
    if operator == "isNull" and len(args) == 1:
        return _property(_name(args[0]), None, "{} IS NULL", ())
    if operator == "between" and len(args) == 3:
        return _test(args[0], args[1:], "{} BETWEEN ? AND ?")
    if operator == "in" and len(args) == 2 and isinstance(args[1], list) and args[1]:
        return _test(args[0], args[1], "{} IN (" + ", ".join("?" * len(args[1])) + ")")
    if operator == "like" and len(args) == 2 and isinstance(args[1], str):
        return _property(_name(args[0]), "text", "{} GLOB ?", (_glob(args[1]),))
    raise NotInSqlError


def _joined(word: str, parts: list[Condition]) -> Condition:
    sql = word.join(f"({part.sql})" for part in parts)
    values = tuple(value for part in parts for value in part.values)
    return Condition(f"({sql})", values, any(part.reads_body for part in parts))


def _comparison(operator: str, left: Any, right: Any) -> Condition:
    if _name(left) is None:
        left, right, operator = right, left, _SWAPPED.get(operator, operator)
    return _test(left, [right], f"{{}} {COMPARISONS[operator]} ?")


def _test(node: Any, literals: list[Any], template: str) -> Condition:
    kinds = {_kind(literal) for literal in literals}
    if len(kinds) != 1 or None in kinds:  # another property, or a computation
        raise NotInSqlError
    return _property(_name(node), kinds.pop(), template, tuple(literals))


def _property(name: str | None, kind: str | None, template: str, literals: tuple[Any, ...]) -> Condition:
    """Write a test of a property; one of another type, or that is missing, is null as CQL2 has it."""
    if name in ("id", "collection"):
        if kind not in (None, "text"):
            raise NotInSqlError
        return Condition(template.format(f"items.{name}"), literals)
    if name == "datetime":
        return Condition(template.format("items.moment"), tuple(_moment(literal) for literal in literals))
    if name == "eo:cloud_cover" and kind in (None, "number"):
        return Condition(template.format("nullif(items.cloud, '')"), literals)
    if name is None or (kind is not None and kind not in _JSON_TYPES):
        raise NotInSqlError
    try:
        value = property_sql(name)
    except ToolInputError as error:
        raise NotInSqlError from error
    if kind is not None:
        typed = value.replace("json_extract", "json_type", 1)
        value = f"CASE WHEN {typed} IN ({_JSON_TYPES[kind]}) THEN {value} END"
    return Condition(template.format(value), literals, reads_body=True)


def _moment(literal: Any) -> str:
    text = next(iter(literal.values())) if isinstance(literal, dict) else literal
    try:
        return utc_text(text)
    except (ToolInputError, TypeError) as error:
        raise NotInSqlError from error


def _glob(pattern: str) -> str:
    """Write a LIKE pattern, which is sensitive to case in CQL2, as SQLite's GLOB."""
    written, letters = [], iter(pattern)
    for letter in letters:
        if letter == "\\":
            letter = next(letters, "\\")  # noqa: PLW2901  # the escaped one stands for itself
            written.append(f"[{letter}]" if letter in "*?[" else letter)
        elif letter in "%_":
            written.append("*" if letter == "%" else "?")
        else:
            written.append(f"[{letter}]" if letter in "*?[" else letter)
    return "".join(written)
