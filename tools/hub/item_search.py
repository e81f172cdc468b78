"""The SQL of an item search: which index leads, in which order, and from which row on."""

import base64
import binascii
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Literal

from tools.errors import ToolInputError
from tools.schema import Bbox

Json = dict[str, Any]
Matcher = Callable[[Json], bool]
Leader = Literal["places", "cloud", "order"]
"""The index that a search goes along."""
SELECTIVE = 5_000
"""Rows that place and time, or cloud cover, may leave for their index to lead; else the sort order leads."""
_BATCH = 200
_WORLD: Bbox = (-1e9, -1e9, 1e9, 1e9)


class PageTokenError(ToolInputError):
    """A paging token was not made by this archive for this search."""


@dataclass(frozen=True)
class Condition:
    """A condition in SQL over the tables `items` and `bodies`."""

    sql: str
    values: tuple[Any, ...] = ()
    reads_body: bool = False


@dataclass(frozen=True)
class Query:
    """What a search asks for; empty means everything."""

    collections: Sequence[str] = ()
    ids: Sequence[str] = ()
    bbox: Bbox | None = None
    geometry: Json | None = None
    start: str | None = None
    end: str | None = None
    end_excluded: bool = False
    """True for half-open periods, as openEO has them; STAC includes both ends."""
    sort: Sequence[tuple[str, bool]] = ()
    """Property name and whether it descends; the newest come first when empty."""
    cloud: Sequence[tuple[str, float]] = ()
    """Comparisons with the cloud cover, for example ("<", 20.0); an item without one does not match."""
    conditions: Sequence[Condition] = ()
    """Other conditions that the database checks."""
    matches: Matcher | None = field(default=None, compare=False)
    """A last check in Python, for what the database cannot say."""


@dataclass(frozen=True)
class Key:
    """One part of the sort order."""

    sql: str
    descending: bool
    reads_body: bool = False


def matching(
    database: sqlite3.Connection, query: Query, *, token: str | None = None, batch: int = _BATCH
) -> Iterator[tuple[Json, Callable[[], str]]]:
    """Give matching items in order, each with what makes the token of the page after it."""
    order = _order(query.sort)
    after: Sequence[Any] | None = None if token is None else _decode_token(token, len(order))
    near = _near(database, query)
    leader = _leader(database, query) if near is None else "places"
    source, conditions = _source(near, leader), _conditions(query, leader)
    exact = _exact_check(query)
    while True:
        rows = _rows(database, source, conditions, order, after, batch)
        bodies = dict(
            database.execute(
                "SELECT row, body FROM bodies WHERE row IN (SELECT value FROM json_each(?))",
                (json.dumps([row for row, *_ in rows]),),
            )
        )
        for row, *key in rows:
            item = json.loads(bodies[row])
            if exact(item):
                yield item, partial(_encode_token, key)
        if len(rows) < batch:
            return
        after, batch = rows[-1][1:], min(batch * 2, 4 * SELECTIVE)


def _rows(
    database: sqlite3.Connection,
    source: Condition,
    conditions: Sequence[Condition],
    order: Sequence[Key],
    after: Sequence[Any] | None,
    limit: int,
) -> list[tuple[Any, ...]]:
    parts = [*conditions, *([] if after is None else [_after(order, after)])]
    needs_body = any(part.reads_body for part in parts) or any(key.reads_body for key in order)
    joined = " CROSS JOIN bodies ON bodies.row = items.row" if needs_body else ""
    where = " AND ".join(part.sql for part in parts) or "1"
    columns = ", ".join(key.sql for key in order)
    ordering = ", ".join(f"{n + 2} {'DESC' if key.descending else 'ASC'}" for n, key in enumerate(order))
    sql = f"SELECT items.row, {columns} FROM {source.sql}{joined} WHERE {where} ORDER BY {ordering} LIMIT {limit:d}"
    values = [*source.values, *(value for part in parts for value in part.values)]
    return database.execute(sql, values).fetchall()


def _near(database: sqlite3.Connection, query: Query) -> list[int] | None:
    """Give the rows whose box and period may match, where these are few; else None."""
    places = _places(query)
    if places is None:
        return None
    rows = [row for (row,) in database.execute(f"{places.sql} LIMIT {SELECTIVE + 1}", places.values)]
    return rows if len(rows) <= SELECTIVE else None


def _leader(database: sqlite3.Connection, query: Query) -> Leader:
    """Choose what leads where place and time do not: cloud cover, if it leaves few rows, or the order of the result."""
    if query.cloud and len(query.collections) == 1 and not query.ids:
        tests = _cloud_tests(query, "cloud")
        sql = f"SELECT 1 FROM items INDEXED BY items_cloud WHERE collection = ? AND {tests.sql}"
        if _few(database, Condition(sql, (query.collections[0], *tests.values))):
            return "cloud"
    return "order"


def _source(near: list[int] | None, leader: Leader) -> Condition:
    if near is not None:
        return Condition("json_each(?) AS found CROSS JOIN items ON items.row = found.value", (json.dumps(near),))
    return Condition("items INDEXED BY items_cloud" if leader == "cloud" else "items")


def _few(database: sqlite3.Connection, rows: Condition) -> bool:
    (count,) = database.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM ({rows.sql}) LIMIT {SELECTIVE + 1})", rows.values
    ).fetchone()
    return bool(count <= SELECTIVE)


def _places(query: Query) -> Condition | None:
    """Give the rows whose box and period may match, from the R*Tree."""
    box = _search_box(query)
    if box is None and query.start is None and query.end is None:
        return None
    start, end = _period(query)
    values: list[Any] = []
    one = "SELECT row FROM places WHERE west <= ? AND east >= ? AND south <= ? AND north >= ? AND t0 <= ? AND t1 >= ?"
    boxes = split_at_antimeridian(box) or [_WORLD]
    for west, south, east, north in boxes:
        values.extend((east, west, north, south, end, start))
    return Condition(" UNION ".join([one] * len(boxes)), tuple(values))


def _period(query: Query) -> tuple[float, float]:
    return (-1e9 if query.start is None else days(query.start), 1e9 if query.end is None else days(query.end))


def days(moment: str) -> float:
    """Give a moment as days since 1970."""
    return datetime.fromisoformat(moment).timestamp() / 86400


def _conditions(query: Query, leader: Leader) -> list[Condition]:
    found: list[Condition] = []
    for column, wanted in (("collection", query.collections), ("id", query.ids)):
        if len(wanted) == 1:
            found.append(Condition(f"items.{column} = ?", (wanted[0],)))
        elif wanted:
            found.append(Condition(f"items.{column} IN (SELECT value FROM json_each(?))", (json.dumps(list(wanted)),)))
    if query.start is not None:
        found.append(Condition("items.t1 >= ?", (query.start,)))
    if query.end is not None:
        found.append(Condition("items.t0 < ?" if query.end_excluded else "items.t0 <= ?", (query.end,)))
    box = _search_box(query)
    if box is not None and leader != "places":
        boxes = split_at_antimeridian(box)
        one = "p.west <= ? AND p.east >= ? AND p.south <= ? AND p.north >= ?"
        touching = " OR ".join([one] * len(boxes))
        values = tuple(edge for west, south, east, north in boxes for edge in (east, west, north, south))
        found.append(Condition(f"EXISTS (SELECT 1 FROM places AS p WHERE p.row = items.row AND ({touching}))", values))
    if query.cloud:
        # The plus keeps SQLite from an index that leaves too many rows to sort.
        sorted_by_cloud = any("cloud_cover" in name for name, _ in query.sort[:1])
        found.append(_cloud_tests(query, "items.cloud" if leader == "cloud" or sorted_by_cloud else "+items.cloud"))
    return [*found, *query.conditions]


def _cloud_tests(query: Query, column: str) -> Condition:
    # An unknown cloud cover is stored as an empty text, which SQLite puts after all numbers.
    tests = [f"{column} {operator} ?" for operator, _ in query.cloud]
    return Condition(" AND ".join([*tests, f"{column} < ''"]), tuple(value for _, value in query.cloud))


def _anything(_: Json) -> bool:
    return True


def _search_box(query: Query) -> Bbox | None:
    if query.geometry is None:
        return query.bbox
    from shapely.geometry import shape

    west, south, east, north = shape(query.geometry).bounds
    return (west, south, east, north)


def split_at_antimeridian(box: Bbox | None) -> list[Bbox]:
    """Give a box that crosses the antimeridian as two."""
    if box is None:
        return []
    west, south, east, north = box
    return [box] if west <= east else [(west, south, 180.0, north), (-180.0, south, east, north)]


def _exact_check(query: Query) -> Matcher:
    """Check the true shapes: the R*Tree keeps only boxes, rounded outwards to 32 bits."""
    if query.bbox is None and query.geometry is None:
        return query.matches or _anything
    import shapely
    from shapely.geometry import shape

    if query.geometry is not None:
        wanted = shape(query.geometry)
    else:
        wanted = shapely.union_all([shapely.box(*box) for box in split_at_antimeridian(query.bbox)])
    shapely.prepare(wanted)

    def check(item: Json) -> bool:
        return bool(wanted.intersects(shape(item["geometry"]))) and (query.matches is None or query.matches(item))

    return check


def property_sql(name: str) -> str:
    """Give the SQL of an item's property; refuses names that would not be safe in a path."""
    if not name or not all(letter.isalnum() or letter in "_:-." for letter in name):
        raise ToolInputError(f"{name!r} is not the name of a property.", hint="For example: eo:cloud_cover.")
    return f"json_extract(bodies.body, '$.properties.\"{name}\"')"


def _order(sort: Sequence[tuple[str, bool]]) -> list[Key]:
    """Give the sort order; collection and id last make it total, as keyset paging needs."""
    columns = {"datetime": "t0", "id": "id", "collection": "collection", "eo:cloud_cover": "cloud"}
    order: list[Key] = []
    for name, down in sort or [("datetime", True)]:
        plain = name.removeprefix("properties.")
        if plain in columns:
            order.append(Key(f"items.{columns[plain]}", down))
        else:
            order.append(Key(f"coalesce({property_sql(plain)}, '')", down, reads_body=True))
    return [*order, Key("items.collection", False), Key("items.id", False)]


def _after(order: Sequence[Key], key: Sequence[Any]) -> Condition:
    """Give the condition that a row comes after the key in this order."""
    parts: list[str] = []
    values: list[Any] = [key[0]]
    for i, part in enumerate(order):
        equal = [f"{earlier.sql} = ?" for earlier in order[:i]]
        parts.append("(" + " AND ".join([*equal, f"{part.sql} {'<' if part.descending else '>'} ?"]) + ")")
        values.extend([*key[:i], key[i]])
    # The first test alone lets the index start at the right place.
    first = f"{order[0].sql} {'<=' if order[0].descending else '>='} ?"
    return Condition(f"{first} AND ({' OR '.join(parts)})", tuple(values), any(part.reads_body for part in order))


def _encode_token(key: Sequence[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(list(key)).encode()).decode().rstrip("=")


def _decode_token(token: str, length: int) -> list[Any]:
    try:
        key = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (binascii.Error, ValueError) as error:
        raise PageTokenError("The paging token is broken.", hint="Follow the 'next' link as it is.") from error
    if not isinstance(key, list) or len(key) != length or not all(isinstance(k, str | int | float) for k in key):
        raise PageTokenError("The paging token does not fit this search.", hint="Follow the 'next' link as it is.")
    return key
