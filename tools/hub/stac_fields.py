"""The Fields extension of the STAC API: leave out of items what a client did not ask for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.errors import ToolInputError
from tools.hub.archive import Json

ALWAYS = ("type", "stac_version", "id", "collection")
"""Short texts without which nobody can tell what an item is."""
DEFAULTS = (*ALWAYS, "geometry", "bbox", "links", "assets", "properties.datetime")
"""What an item keeps when `fields` is there, but names nothing to include."""


@dataclass(frozen=True)
class Fields:
    """Paths into an item, such as `properties.eo:cloud_cover`, to keep and to leave out.

    Of two that contradict each other the longer path counts, and of equal ones `include`.
    """

    include: tuple[str, ...] | None = None
    """None: not said, so all that is not excluded; empty: the defaults."""
    exclude: tuple[str, ...] = ()

    def of(self, item: Json) -> Json:
        """Give the part of an item that was asked for; a path that the item lacks is no error."""
        if self.include is None and self.exclude:
            kept = item
        else:
            kept = _picked(item, (*ALWAYS, *self.include) if self.include else DEFAULTS)
        for path in self.exclude:
            if path not in ALWAYS and not any(_leads_to(path, included) for included in self.include or ()):
                kept = _without(kept, path.split("."))
        return kept


def read_fields(value: Any) -> Fields:
    """Read `fields` of a request: `id,-geometry`, or an object with `include` and `exclude`.

    Raises:
        ToolInputError: It is neither.

    """
    if isinstance(value, str):
        names = [part.strip() for part in value.split(",") if part.strip(" +-")]
        include = tuple(name.lstrip("+") for name in names if not name.startswith("-"))
        return Fields(include or None, tuple(name[1:] for name in names if name.startswith("-")))
    if not isinstance(value, Mapping):
        raise ToolInputError("fields must be an object of include and exclude, each a list of names.")
    return Fields(_names(value, "include") if "include" in value else None, _names(value, "exclude"))


def _names(value: Mapping[str, Any], key: str) -> tuple[str, ...]:
    found = value.get(key) or ()
    if isinstance(found, str) or not isinstance(found, Sequence) or not all(isinstance(name, str) for name in found):
        raise ToolInputError(
            f"fields.{key} must be a list of names.", hint='For example ["id", "properties.datetime"].'
        )
    return tuple(found)


def _leads_to(path: str, included: str) -> bool:
    return included == path or included.startswith(f"{path}.")


def _picked(item: Json, paths: Sequence[str]) -> Json:
    kept: Json = {}
    for path in paths:
        source, target = item, kept
        *parents, last = path.split(".")
        for name in parents:
            source = source.get(name)  # type: ignore[assignment]
            if not isinstance(source, dict):
                break
            target = target.setdefault(name, {})
        else:
            if last in source:
                target[last] = source[last]
    return kept


def _without(item: Json, path: Sequence[str]) -> Json:
    """Copy an item less one path; what is kept is shared with the original."""
    name, *rest = path
    inner = item.get(name)
    if not rest:
        return {key: value for key, value in item.items() if key != name}
    return {**item, name: _without(inner, rest)} if isinstance(inner, dict) else item
