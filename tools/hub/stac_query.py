"""Reads the parameters of a STAC search, from the query string or a JSON body, into an archive query."""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from tools.errors import ToolInputError
from tools.hub.archive import Json, utc_text
from tools.hub.cql_sql import Split, split
from tools.hub.item_search import Matcher, Query, split_at_antimeridian
from tools.hub.stac_fields import Fields, read_fields
from tools.schema import Bbox

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000

_LONGEST_FILTER, _DEEPEST_FILTER, _MOST_COMPARISONS = 5_000, 50, 500
"""As text: with each at its most, half of a thread's usual 8 MiB of stack is enough for the parser."""
_SIGNS = re.compile(r"(?:[-+]\s*){20}")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.IGNORECASE | re.ASCII)
_MOMENT_HINT = "Write 2019-05-01T00:00:00Z/2019-05-31T23:59:59Z, or one such moment."
_LISTS = ("collections", "ids")
_QUERY_OPERATORS = {"eq": "=", "neq": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">=", "in": "in"}
_QUERY_PATTERNS = {"startsWith": "{}%", "endsWith": "%{}", "contains": "%{}%"}


@dataclass(frozen=True)
class Search:
    """A checked search: what, how many, and from where on."""

    query: Query
    limit: int
    token: str | None
    fields: Fields | None = None


def from_query_string(parameters: Mapping[str, str]) -> Search:
    """Read a search from a GET request, where lists are comma-separated and objects are JSON text."""
    # An empty `fields` is a request of its own: the shortest item.
    body: Json = {key: value for key, value in parameters.items() if value != "" or key == "fields"}
    for key in _LISTS:
        if key in body:
            body[key] = body[key].split(",")
    if "bbox" in body:
        body["bbox"] = body["bbox"].split(",")
    if "sortby" in body:
        # A plus sign in a URL arrives as a space.
        fields = [part.strip() for part in body["sortby"].split(",")]
        body["sortby"] = [
            {"field": f.lstrip("+-"), "direction": "desc" if f.startswith("-") else "asc"} for f in fields
        ]
    for key in ("intersects", "query"):
        if key in body:
            body[key] = _json(key, body[key])
    if "filter" in body and body.get("filter-lang", "cql2-text") == "cql2-json":
        body["filter"] = _json("filter", body["filter"])
    return from_body(body)


@dataclass(frozen=True)
class CollectionSearch:
    """A checked search for collections."""

    terms: tuple[str, ...] | None
    """Free text: one of these must match; None: all match."""
    bbox: Bbox | None
    start: str | None
    end: str | None
    limit: int | None

    def accepts(self, collection: Json) -> bool:
        """Tell whether the extent of a collection meets the box and the period."""
        extent = collection.get("extent", {})
        boxes = extent.get("spatial", {}).get("bbox", [])
        periods = extent.get("temporal", {}).get("interval", [])
        return (self.bbox is None or any(_overlap(self.bbox, box) for box in boxes)) and (
            (self.start is None and self.end is None) or any(self._meets(first, last) for first, last in periods)
        )

    def _meets(self, first: str | None, last: str | None) -> bool:
        starts_before = first is None or self.end is None or utc_text(first) <= self.end
        return starts_before and (last is None or self.start is None or utc_text(last) >= self.start)


def _overlap(one: Bbox, box: Sequence[float]) -> bool:
    west, south, east, north = box[:4] if len(box) == 4 else (*box[:2], *box[3:5])
    inside = south <= one[3] and north >= one[1]
    return inside and any(west <= part[2] and east >= part[0] for part in split_at_antimeridian(one))


def collection_search(parameters: Mapping[str, str]) -> CollectionSearch:
    """Read a search for collections from a query string."""
    start, end = _interval(parameters.get("datetime"))
    text = parameters.get("q")
    bbox = parameters.get("bbox")
    return CollectionSearch(
        None if text is None else tuple(term for term in text.split(",") if term.strip()),
        _bbox(bbox.split(",") if bbox else None),
        start,
        end,
        _limit(parameters["limit"]) if "limit" in parameters else None,
    )


def from_body(body: Mapping[str, Any]) -> Search:
    """Read a search from the JSON body of a POST request."""
    if body.get("bbox") and body.get("intersects"):
        raise ToolInputError("A search takes bbox or intersects, not both.", hint="Leave one of them out.")
    start, end = _interval(body.get("datetime"))
    parts, matches = _filter(body.get("filter"), body.get("query"))
    query = Query(
        collections=_strings("collections", body.get("collections")),
        ids=_strings("ids", body.get("ids")),
        bbox=_bbox(body.get("bbox")),
        geometry=_geometry(body.get("intersects")),
        start=start,
        end=end,
        sort=_sort(body.get("sortby")),
        cloud=parts.cloud,
        conditions=parts.conditions,
        matches=matches,
    )
    token = body.get("token")
    limit, fields = _limit(body.get("limit")), read_fields(body["fields"]) if "fields" in body else None
    return Search(query, limit, None if token is None else str(token), fields)


def _json(key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ToolInputError(f"{key} is not JSON.") from error


def _strings(key: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise ToolInputError(f"{key} must be a list of texts.")
    return tuple(value)


def _limit(value: Any) -> int:
    if value is None:
        return DEFAULT_LIMIT
    try:
        limit = int(value)
    except (TypeError, ValueError) as error:
        raise ToolInputError(f"limit must be a whole number, not {value!r}.") from error
    if limit < 1:
        raise ToolInputError("limit must be 1 or more.")
    return min(limit, MAX_LIMIT)


def _bbox(value: Any) -> Bbox | None:
    if not value:
        return None
    try:
        numbers = [float(part) for part in value]
    except (TypeError, ValueError) as error:
        raise ToolInputError("bbox must be a list of numbers.") from error
    if len(numbers) == 6:
        numbers = [*numbers[:2], *numbers[3:5]]
    if len(numbers) != 4:
        raise ToolInputError("bbox must have 4 or 6 numbers.", hint="Write it as west,south,east,north in degrees.")
    west, south, east, north = numbers
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise ToolInputError(
            "bbox is outside the world or upside down.", hint="Write west,south,east,north in degrees."
        )
    return (west, south, east, north)


def _geometry(value: Any) -> Json | None:
    if value is None:
        return None
    import shapely

    try:
        geometry = shapely.from_geojson(json.dumps(value))
    except shapely.errors.GEOSException as error:
        raise ToolInputError("intersects is not a GeoJSON geometry.") from error
    if geometry is None or geometry.is_empty:
        raise ToolInputError("intersects must be a geometry with coordinates.")
    return dict(shapely.geometry.mapping(geometry if geometry.is_valid else shapely.make_valid(geometry)))


def _interval(value: Any) -> tuple[str | None, str | None]:
    """Read `moment`, `start/end`, `../end` or `start/..`, with moments of RFC 3339, as the standard wants them."""
    if value in (None, ""):
        return None, None
    parts = str(value).split("/")
    if len(parts) > 2:
        raise ToolInputError(f"{value!r} is not a period.", hint=_MOMENT_HINT)
    start, end = (None if text in ("", "..") else _moment(text) for text in (parts[0], parts[-1]))
    if start is None and end is None:
        raise ToolInputError("A period needs at least one end.", hint="Write 2019-05-01T00:00:00Z/.. for an open end.")
    if start is not None and end is not None and start > end:
        raise ToolInputError(f"The period {value} ends before it starts.")
    return start, end


def _moment(text: str) -> str:
    if not _RFC_3339.fullmatch(text):
        raise ToolInputError(f"{text!r} is no date with a time and a zone.", hint=_MOMENT_HINT)
    return utc_text(text.upper())


def _sort(value: Any) -> tuple[tuple[str, bool], ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(part, dict) and "field" in part for part in value):
        raise ToolInputError("sortby must be a list of {field, direction}.")
    return tuple((str(part["field"]), part.get("direction", "asc") == "desc") for part in value)


def _filter(cql: Any, query: Any) -> tuple[Split, Matcher | None]:
    """Part a CQL2 filter and a `query` object into what the database checks and a check of the rest in Python."""
    terms = [cql] if cql is not None else []
    if query is not None:
        terms.extend(_query_terms(query))
    if not terms:
        return Split(), None
    import cql2

    parts = Split()
    try:
        for term in terms:
            split((_read_text(term) if isinstance(term, str) else _parsed(term)).to_json(), parts)
        rest = [_parsed(tree) for tree in parts.rest]
    except (cql2.ParseError, ValueError, TypeError, RecursionError) as error:
        raise ToolInputError("The filter is not valid CQL2.", hint='For example: "eo:cloud_cover" < 20') from error

    def matches(item: Json) -> bool:
        try:
            return all(bool(expression.matches(item)) for expression in rest)
        except (ValueError, TypeError) as error:
            raise ToolInputError("The filter is not valid CQL2.", hint=str(error)) from error
        except Exception as error:
            # cql2 raises a bare Exception where the item lacks the property: null in CQL2, and null does not match.
            if type(error) is not Exception:
                raise
            return False

    return parts, matches if rest else None


def _read_text(text: str) -> Any:
    """Read CQL2 text; where it nests deeply, the parser would run out of stack and end the process."""
    import cql2

    depths = itertools.accumulate((letter == "(") - (letter == ")") for letter in text)
    compared = sum(map(text.count, "<=>"))  # also inside quotes: only the parser knows where those end
    deep = max(depths, default=0) > _DEEPEST_FILTER or compared > _MOST_COMPARISONS
    if len(text) > _LONGEST_FILTER or deep or _SIGNS.search(text):
        raise ToolInputError(
            "The filter is too long or nests too deeply.",
            hint=f"At most {_LONGEST_FILTER:,} letters as text, parentheses {_DEEPEST_FILTER} deep, "
            f"{_MOST_COMPARISONS} of the signs < = >.",
        )
    return cql2.parse_text(text)


def _parsed(tree: Any) -> Any:
    import cql2

    return cql2.parse_json(json.dumps(tree))


def _query_terms(query: Any) -> list[Json]:
    if not isinstance(query, dict) or not all(isinstance(tests, dict) for tests in query.values()):
        raise ToolInputError("query must be an object of {property: {operator: value}}.")
    terms: list[Json] = []
    for name, tests in query.items():
        terms.extend(_query_term(name, operator, value) for operator, value in tests.items())
    return terms


def _query_term(name: str, operator: str, value: Any) -> Json:
    """Write one test of the query extension as CQL2, where texts are compared by patterns."""
    if operator in _QUERY_PATTERNS and isinstance(value, str):
        escaped = "".join(f"\\{letter}" if letter in "\\%_" else letter for letter in value)
        return {"op": "like", "args": [{"property": name}, _QUERY_PATTERNS[operator].format(escaped)]}
    if operator not in _QUERY_OPERATORS:
        known = ", ".join([*_QUERY_OPERATORS, *_QUERY_PATTERNS])
        raise ToolInputError(
            f"query does not know the operator {operator!r} with {value!r}.",
            hint=f"Known: {known}; the last three compare texts.",
        )
    term = {"op": _QUERY_OPERATORS[operator], "args": [{"property": name}, value]}
    numbers = _as_numbers(value)
    if numbers is None:
        return term
    return {"op": "or", "args": [term, {"op": _QUERY_OPERATORS[operator], "args": [{"property": name}, numbers]}]}


def _as_numbers(value: Any) -> Any:
    """Read a number that was written as a text, as clients that build queries from a form do; None: it is none."""
    if isinstance(value, list):
        read = [_as_numbers(part) for part in value]
        return None if None in read or not read else read
    try:
        number = float(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return number if number is not None and isfinite(number) else None
