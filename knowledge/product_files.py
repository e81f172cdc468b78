"""Reads the YAML of the catalogue strictly, and says in plain words what is wrong with a file."""

import difflib
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ValidationError

from knowledge.errors import SourceInvalid

MOST_TOLD = 3
"""Faults of one file that are told at once."""
KINDS = {
    "tuple_type": "must be a list, like [a, b]",
    "string_type": "must be text; put it in quotes",
    "missing": "is missing",
    "dict_type": "must be a mapping of names to values",
    "model_type": "must be a mapping of names to values",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
}
"""What is said of the commonest faults; others are told in the words of the checker."""

if TYPE_CHECKING:
    _SafeLoader = yaml.SafeLoader
else:  # the one written in C where it was built
    _SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _StrictLoader(_SafeLoader):
    """A safe loader that refuses a key given twice, which YAML readers otherwise drop without a word."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add(key.value)
        super().flatten_mapping(node)


def read_mapping(text: str, name: str) -> dict[str, Any]:
    """Read YAML that holds a mapping; `name` is used in the error.

    Raises:
        SourceInvalid: it is no YAML, or holds something else.
    """
    try:
        data = yaml.load(text, Loader=_StrictLoader)  # noqa: S506  # a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise SourceInvalid(f"{name}{where}: not valid YAML, {error.problem}.", "Check brackets and quotes.") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise SourceInvalid(f"{name} is not valid YAML.", hint="Is it a text file?") from error
    if not isinstance(data, dict):
        raise SourceInvalid(f"{name} does not hold a mapping.", hint="Begin with `id: …`.")
    return data


def faults(error: ValidationError, model: type[BaseModel]) -> str:
    """Say in words which fields of a product, edition or legend are wrong, and what was probably meant."""
    found = [_fault(dict(one), model) for one in error.errors(include_url=False)]
    more = f" and {len(found) - MOST_TOLD} more" if len(found) > MOST_TOLD else ""
    return "; ".join(found[:MOST_TOLD]) + more


def _fault(one: dict[str, Any], model: type[BaseModel]) -> str:
    field = ".".join(str(part) for part in one["loc"])
    if one["type"] != "extra_forbidden":
        return f"`{field}` {KINDS.get(one['type']) or one['msg'][:1].lower() + one['msg'][1:]}"
    near = difflib.get_close_matches(field, model.model_fields, n=1) if len(one["loc"]) == 1 else []
    return f"there is no field `{field}`" + (f" (did you mean `{near[0]}`?)" if near else "")
