"""The hub's archive: STAC collections and items in one SQLite file, searched by box, time and property."""

import base64
import binascii
import json
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from knowledge.errors import ClmsError
from tools.errors import ToolInputError
from tools.schema import Bbox

Json = dict[str, Any]
TEMPORARY = ".tmp"
"""Folder in the hub's folder for files in the making."""
_LEFTOVER_AGE_S = 86_400
Matcher = Callable[[Json], bool]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS collections (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS items (
    row INTEGER PRIMARY KEY, collection TEXT NOT NULL REFERENCES collections(id), id TEXT NOT NULL,
    t0 TEXT NOT NULL, t1 TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (collection, id));
CREATE INDEX IF NOT EXISTS items_time ON items (collection, t0, id);
CREATE INDEX IF NOT EXISTS items_t0 ON items (t0, id);
CREATE VIRTUAL TABLE IF NOT EXISTS boxes USING rtree (row, west, east, south, north);
"""


class PageTokenError(ToolInputError):
    """A paging token was not made by this archive for this search."""


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
    matches: Matcher | None = field(default=None, compare=False)
    """A last check in Python, for example a CQL2 expression."""


@dataclass(frozen=True)
class Page:
    """One page of a search."""

    items: tuple[Json, ...]
    next_token: str | None


def utc_text(moment: str | date | datetime) -> str:
    """Write a moment as UTC text of fixed width, so that text order is time order."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError as error:
            raise ToolInputError(
                f"{moment!r} is not a date or time.", hint="Write it as 2019-05-02 or 2019-05-02T10:00:00Z."
            ) from error
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Archive:
    """Reads and writes the archive under one folder.

    Asset hrefs are kept relative to the folder, so it can be moved; `asset_path` resolves them.
    """

    def __init__(self, hub_dir: Path) -> None:
        self.hub_dir = hub_dir
        hub_dir.mkdir(parents=True, exist_ok=True)
        with closing(self._connect()) as database:
            database.executescript(_SCHEMA)

    def collections(self) -> list[Json]:
        """List all collections by id."""
        with closing(self._connect()) as database:
            return [json.loads(body) for (body,) in database.execute("SELECT body FROM collections ORDER BY id")]

    def collection(self, collection_id: str) -> Json | None:
        """Give one collection, or None when there is none of this id."""
        with closing(self._connect()) as database:
            row = database.execute("SELECT body FROM collections WHERE id = ?", (collection_id,)).fetchone()
        return json.loads(row[0]) if row else None

    def items(
        self,
        collection_id: str,
        bbox: Bbox | None = None,
        start: str | date | None = None,
        end: str | date | None = None,
    ) -> list[Json]:
        """List a collection's items that touch the box and the half-open period [start, end), oldest first."""
        query = Query(
            collections=[collection_id],
            bbox=bbox,
            start=None if start is None else utc_text(start),
            end=None if end is None else utc_text(end),
            end_excluded=True,
            sort=[("datetime", False)],
        )
        return list(self.every(query))

    def every(self, query: Query) -> Iterator[Json]:
        """Give all items that match, one after another."""
        return (item for item, _ in self._rows(query, None))

    def item(self, collection_id: str, item_id: str) -> Json | None:
        """Give one item, or None when there is none of this id."""
        page = self.search(Query(collections=[collection_id], ids=[item_id]), limit=1)
        return page.items[0] if page.items else None

    def search(self, query: Query, *, limit: int, token: str | None = None) -> Page:
        """Give one page of matching items and the token of the next one."""
        found: list[Json] = []
        last_key: list[Any] = []
        for item, key in self._rows(query, token):
            if len(found) == limit:
                return Page(tuple(found), _encode_token(last_key))
            found.append(item)
            last_key = key
        return Page(tuple(found), None)

    def asset_path(self, item: Json, asset_key: str) -> Path:
        """Give the local file of an asset; raises when it is unknown, remote, or outside the hub's folder."""
        asset = item.get("assets", {}).get(asset_key)
        if asset is None:
            raise ClmsError(f"Item {item.get('id')!r} has no asset {asset_key!r}.", hint="Look at the item's assets.")
        root = self.hub_dir.resolve()
        path: Path = (root / asset["href"]).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            raise ClmsError(f"Asset {asset_key!r} of item {item.get('id')!r} has no file in the hub.")
        return path

    @contextmanager
    def temporary_folder(self, purpose: str) -> Iterator[Path]:
        """Lend a folder on the archive's own disk; it is removed afterwards."""
        parent = self.hub_dir / TEMPORARY
        parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{purpose}-", dir=parent) as name:
            yield Path(name)

    def remove_leftovers(self) -> None:
        """Remove temporary folders that a killed process left behind: those older than a day."""
        for folder in (self.hub_dir / TEMPORARY).glob("*"):
            if time.time() - folder.stat().st_mtime > _LEFTOVER_AGE_S:
                shutil.rmtree(folder, ignore_errors=True)

    def state(self) -> str:
        """Give a text that changes whenever something is put into the archive."""
        stat = (self.hub_dir / "archive.sqlite").stat()
        return f"{stat.st_mtime_ns}-{stat.st_size}"

    def put_collection(self, collection: Json) -> None:
        """Add a collection, or replace the one of the same id; its items stay."""
        self.put([collection], [])

    def put_items(self, items: Iterable[Json]) -> None:
        """Add items, replacing those of the same collection and id; all or none."""
        self.put([], items)

    def put(self, collections: Iterable[Json], items: Iterable[Json]) -> None:
        """Add or replace collections and items in one transaction."""
        with closing(self._connect()) as database, database:
            for collection in collections:
                database.execute(
                    "INSERT INTO collections VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
                    (collection["id"], json.dumps(collection)),
                )
            for item in items:
                _put_item(database, item)

    def _connect(self) -> sqlite3.Connection:
        # One short connection a call: SQLite connections do not cross the threads that FastAPI answers from.
        database = sqlite3.connect(self.hub_dir / "archive.sqlite", timeout=30)
        database.execute("PRAGMA foreign_keys = ON")
        return database

    def _rows(self, query: Query, token: str | None) -> Iterator[tuple[Json, list[Any]]]:
        order = _order(query.sort)
        where, values = _conditions(query)
        if token is not None:
            condition, keys = _after(order, _decode_token(token, len(order)))
            where.append(condition)
            values.extend(keys)
        columns = ", ".join(expression for expression, _ in order)
        ordering = ", ".join(f"{i + 2} {'DESC' if down else 'ASC'}" for i, (_, down) in enumerate(order))
        sql = f"SELECT body, {columns} FROM items WHERE {' AND '.join(where) or '1'} ORDER BY {ordering}"
        exact = _exact_check(query)
        with closing(self._connect()) as database:
            for body, *key in database.execute(sql, values):
                item = json.loads(body)
                if exact(item):
                    yield item, key


def _put_item(database: sqlite3.Connection, item: Json) -> None:
    properties = item["properties"]
    start = utc_text(properties.get("start_datetime") or properties["datetime"])
    end = utc_text(properties.get("end_datetime") or properties["datetime"])
    (row,) = database.execute(
        "INSERT INTO items (collection, id, t0, t1, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT (collection, id)"
        " DO UPDATE SET t0 = excluded.t0, t1 = excluded.t1, body = excluded.body RETURNING row",
        (item["collection"], item["id"], start, end, json.dumps(item)),
    ).fetchone()
    west, south, east, north = item["bbox"]
    database.execute("INSERT OR REPLACE INTO boxes VALUES (?, ?, ?, ?, ?)", (row, west, east, south, north))


def _conditions(query: Query) -> tuple[list[str], list[Any]]:
    where: list[str] = []
    values: list[Any] = []
    for column, wanted in (("collection", query.collections), ("id", query.ids)):
        if wanted:
            where.append(f"{column} IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(list(wanted)))
    if query.start is not None:
        where.append("t1 >= ?")
        values.append(query.start)
    if query.end is not None:
        where.append("t0 < ?" if query.end_excluded else "t0 <= ?")
        values.append(query.end)
    boxes = _split_at_antimeridian(_search_box(query))
    if boxes:
        one = "(west <= ? AND east >= ? AND south <= ? AND north >= ?)"
        where.append(f"row IN (SELECT row FROM boxes WHERE {' OR '.join([one] * len(boxes))})")
        for west, south, east, north in boxes:
            values.extend((east, west, north, south))
    return where, values


def _anything(_: Json) -> bool:
    return True


def _search_box(query: Query) -> Bbox | None:
    if query.geometry is None:
        return query.bbox
    from shapely.geometry import shape

    west, south, east, north = shape(query.geometry).bounds
    return (west, south, east, north)


def _split_at_antimeridian(box: Bbox | None) -> list[Bbox]:
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
        wanted = shapely.union_all([shapely.box(*box) for box in _split_at_antimeridian(query.bbox)])
    shapely.prepare(wanted)

    def check(item: Json) -> bool:
        return bool(wanted.intersects(shape(item["geometry"]))) and (query.matches is None or query.matches(item))

    return check


def _order(sort: Sequence[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """Give SQL expressions and directions; collection and id last make the order total, as keyset paging needs."""
    columns = {"datetime": "t0", "id": "id", "collection": "collection"}
    order: list[tuple[str, bool]] = []
    for name, down in sort or [("datetime", True)]:
        plain = name.removeprefix("properties.")
        if plain in columns:
            order.append((columns[plain], down))
        elif all(letter.isalnum() or letter in "_:-" for letter in plain):
            order.append((f"coalesce(json_extract(body, '$.properties.\"{plain}\"'), '')", down))
        else:
            raise ToolInputError(f"Cannot sort by {name!r}.", hint="Sort by datetime, id, collection or a property.")
    return [*order, ("collection", False), ("id", False)]


def _after(order: Sequence[tuple[str, bool]], key: Sequence[Any]) -> tuple[str, list[Any]]:
    """Give the condition that a row comes after the key in this order."""
    parts: list[str] = []
    values: list[Any] = []
    for i, (expression, down) in enumerate(order):
        equal = [f"{earlier} = ?" for earlier, _ in order[:i]]
        parts.append("(" + " AND ".join([*equal, f"{expression} {'<' if down else '>'} ?"]) + ")")
        values.extend([*key[:i], key[i]])
    return "(" + " OR ".join(parts) + ")", values


def _encode_token(key: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode().rstrip("=")


def _decode_token(token: str, length: int) -> list[Any]:
    try:
        key = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (binascii.Error, ValueError) as error:
        raise PageTokenError("The paging token is broken.", hint="Follow the 'next' link as it is.") from error
    if not isinstance(key, list) or len(key) != length or not all(isinstance(k, str | int | float) for k in key):
        raise PageTokenError("The paging token does not fit this search.", hint="Follow the 'next' link as it is.")
    return key
