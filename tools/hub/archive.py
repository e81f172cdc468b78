"""The hub's archive: STAC collections and items in one SQLite file, searched by box, time and property."""

import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from knowledge.errors import ClmsError
from tools.errors import ToolInputError
from tools.hub.item_search import Query, days, matching
from tools.schema import Bbox

Json = dict[str, Any]
TEMPORARY = ".tmp"
"""Folder in the hub's folder for files in the making."""
COPIES = "copies"
"""Folder in a collection's folder for files that `hub sync` copied, one folder an item."""
_LEFTOVER_AGE_S = 86_400

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS collections (id TEXT PRIMARY KEY, body TEXT NOT NULL)",
    # `cloud` has no type: a number, or an empty text where it is not known. `moment` is the property datetime.
    """CREATE TABLE IF NOT EXISTS items (
        row INTEGER PRIMARY KEY, collection TEXT NOT NULL REFERENCES collections(id), id TEXT NOT NULL,
        t0 TEXT NOT NULL, t1 TEXT NOT NULL, moment TEXT, cloud NOT NULL, UNIQUE (collection, id))""",
    "CREATE INDEX IF NOT EXISTS items_time ON items (collection, t0, id, t1, cloud)",
    "CREATE INDEX IF NOT EXISTS items_t0 ON items (t0, collection, id, t1, cloud)",
    "CREATE INDEX IF NOT EXISTS items_cloud ON items (collection, cloud, id, t0, t1)",
    "CREATE INDEX IF NOT EXISTS items_id ON items (id)",
    # Apart from the rows that are searched, so that these stay small.
    "CREATE TABLE IF NOT EXISTS bodies (row INTEGER PRIMARY KEY, body TEXT NOT NULL)",
    "CREATE VIRTUAL TABLE IF NOT EXISTS places USING rtree (row, west, east, south, north, t0, t1)",
    """CREATE VIRTUAL TABLE IF NOT EXISTS texts USING fts5 (
        id UNINDEXED, text, tokenize = 'unicode61 remove_diacritics 2')""",
)
_LAYOUT = 2
"""Number of this layout; an archive of the first one is rewritten when it is opened."""


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
        with closing(self._connect()) as database, database:
            if _layout(database) != _LAYOUT:
                database.execute("BEGIN IMMEDIATE")
                _lay_out(database)

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
        with closing(self._connect()) as database:
            yield from (item for item, _ in matching(database, query))

    def collections_about(self, terms: Sequence[str]) -> list[Json]:
        """List the collections whose texts hold all words of any of the terms, the best match first."""
        phrases = [
            " ".join('"' + word.replace('"', '""') + '"' for word in term.replace("\0", " ").split()) for term in terms
        ]
        wanted = " OR ".join(f"({phrase})" for phrase in phrases if phrase)
        if not wanted:
            return []
        sql = "SELECT body FROM texts JOIN collections ON collections.id = texts.id WHERE texts MATCH ? ORDER BY rank"
        with closing(self._connect()) as database:
            return [json.loads(body) for (body,) in database.execute(sql, (wanted,))]

    def item(self, collection_id: str, item_id: str) -> Json | None:
        """Give one item, or None when there is none of this id."""
        page = self.search(Query(collections=[collection_id], ids=[item_id]), limit=1)
        return page.items[0] if page.items else None

    def search(self, query: Query, *, limit: int, token: str | None = None) -> Page:
        """Give one page of matching items and the token of the next one."""
        found: list[Json] = []
        next_token: Callable[[], str] = str
        with closing(self._connect()) as database:
            for item, after in matching(database, query, token=token, batch=limit + 1):
                if len(found) == limit:
                    return Page(tuple(found), next_token())
                found.append(item)
                next_token = after
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
        _note_use(path)
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
                _put_collection(database, collection)
            for item in items:
                _put_item(database, item)

    def remove_items(self, collection_id: str, item_ids: Iterable[str]) -> None:
        """Forget items, and their collection when it holds no other; their files stay."""
        with closing(self._connect()) as database, database:
            for item_id in item_ids:
                found = "SELECT row FROM items WHERE collection = ? AND id = ?"
                for row in database.execute(found, (collection_id, item_id)).fetchall():
                    for table in ("bodies", "places", "items"):
                        database.execute(f"DELETE FROM {table} WHERE row = ?", row)
            if not database.execute("SELECT 1 FROM items WHERE collection = ? LIMIT 1", (collection_id,)).fetchone():
                database.execute("DELETE FROM texts WHERE id = ?", (collection_id,))
                database.execute("DELETE FROM collections WHERE id = ?", (collection_id,))

    def _connect(self) -> sqlite3.Connection:
        # One short connection a call: SQLite connections do not cross the threads that FastAPI answers from.
        database = sqlite3.connect(self.hub_dir / "archive.sqlite", timeout=30)
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("PRAGMA cache_size = -65536")  # 64 MB: many items go in several times as fast
        return database


def _note_use(path: Path) -> None:
    """Keep in the file's time when a copy was last used; its content has no other use for it."""
    if path.parent.parent.name == COPIES:
        with suppress(OSError):  # a hub on a read-only disk works too
            os.utime(path)


def _layout(database: sqlite3.Connection) -> int:
    (number,) = database.execute("PRAGMA user_version").fetchone()
    return int(number)


def _lay_out(database: sqlite3.Connection) -> None:
    if _layout(database) == _LAYOUT:  # another process was faster
        return
    collections, items = _take_first_layout(database)
    for statement in _SCHEMA:
        database.execute(statement)
    for collection in collections:
        _put_collection(database, collection)
    for item in items:
        _put_item(database, item)
    database.execute(f"PRAGMA user_version = {_LAYOUT}")


def _take_first_layout(database: sqlite3.Connection) -> tuple[list[Json], list[Json]]:
    """Take everything out of an archive whose items and bodies were one table, and drop its tables."""
    columns = {name for _, name, *_ in database.execute("PRAGMA table_info(items)")}
    if "body" not in columns:
        return [], []
    collections, items = (
        [json.loads(body) for (body,) in database.execute(f"SELECT body FROM {table}")]
        for table in ("collections", "items")
    )
    for table in ("items", "boxes"):
        database.execute(f"DROP TABLE {table}")
    return collections, items


def _put_collection(database: sqlite3.Connection, collection: Json) -> None:
    database.execute(
        "INSERT INTO collections VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
        (collection["id"], json.dumps(collection)),
    )
    words = [collection.get(key, "") for key in ("id", "title", "description")] + collection.get("keywords", [])
    database.execute("DELETE FROM texts WHERE id = ?", (collection["id"],))
    database.execute("INSERT INTO texts VALUES (?, ?)", (collection["id"], "\n".join(str(word) for word in words)))


def _put_item(database: sqlite3.Connection, item: Json) -> None:
    properties = item["properties"]
    start = utc_text(properties.get("start_datetime") or properties["datetime"])
    end = utc_text(properties.get("end_datetime") or properties["datetime"])
    moment = utc_text(properties["datetime"]) if properties.get("datetime") else None
    cloud = properties.get("eo:cloud_cover")
    known = isinstance(cloud, int | float) and not isinstance(cloud, bool)
    (row,) = database.execute(
        "INSERT INTO items (collection, id, t0, t1, moment, cloud) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (collection, id) DO UPDATE"
        " SET t0 = excluded.t0, t1 = excluded.t1, moment = excluded.moment, cloud = excluded.cloud"
        " RETURNING row",
        (item["collection"], item["id"], start, end, moment, cloud if known else ""),
    ).fetchone()
    database.execute("INSERT OR REPLACE INTO bodies VALUES (?, ?)", (row, json.dumps(item)))
    west, south, east, north = item["bbox"]
    box = (row, west, east, south, north, days(start), days(end))
    database.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?, ?, ?, ?)", box)
