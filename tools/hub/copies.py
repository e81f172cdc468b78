"""Remembers which files of the hub are copies from elsewhere: whole or not, how large, when last used."""

import hashlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.hub.archive import Archive
from tools.hub.files import Grid
from tools.hub.new_files import StorageError
from tools.hub.remote_cog import PixelWindow

SHA256_MULTIHASH = "1220"
"""What the STAC file extension puts before the digits of a SHA-256: its code and its length."""
_SCHEMA = """CREATE TABLE IF NOT EXISTS copies (
    collection TEXT NOT NULL, item TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (collection, item, key))"""
_CHUNK = 1_048_576


@dataclass(frozen=True)
class Copy:
    """One copied window of one file."""

    collection: str
    item: str
    key: str
    path: str
    """Relative to the hub's folder."""
    href: str
    """Where it came from."""
    source: Grid
    """The pixels of the whole source file."""
    window: PixelWindow
    """Which of them were copied."""
    data_type: str
    nodata: float | None
    size: int
    sha256: str

    @property
    def checksum(self) -> str:
        """The multihash of the STAC file extension."""
        return SHA256_MULTIHASH + self.sha256


@dataclass(frozen=True)
class CopiedItem:
    """All copies of one item."""

    collection: str
    item: str
    size: int
    used: float
    """When one of its files was last used, in seconds since 1970."""


class Copies:
    """The list of copies, in one SQLite file beside the archive."""

    def __init__(self, hub_dir: Path) -> None:
        self._hub_dir = hub_dir
        hub_dir.mkdir(parents=True, exist_ok=True)
        with closing(self._connect()) as database, database:
            database.execute(_SCHEMA)

    def of_item(self, collection: str, item: str) -> dict[str, Copy]:
        """Give the copies of an item by asset key."""
        sql = "SELECT body FROM copies WHERE collection = ? AND item = ?"
        with closing(self._connect()) as database:
            found = [_read(body) for (body,) in database.execute(sql, (collection, item))]
        return {copy.key: copy for copy in found}

    def put(self, copy: Copy) -> None:
        """Remember a copy; its file is in its place already."""
        row = (copy.collection, copy.item, copy.key, json.dumps(asdict(copy)))
        with closing(self._connect()) as database, database:
            database.execute("INSERT OR REPLACE INTO copies VALUES (?, ?, ?, ?)", row)

    def items(self) -> list[CopiedItem]:
        """List all copied items, the one that was not used for the longest time first."""
        groups: dict[tuple[str, str], list[Copy]] = defaultdict(list)
        with closing(self._connect()) as database:
            for (body,) in database.execute("SELECT body FROM copies"):
                copy = _read(body)
                groups[copy.collection, copy.item].append(copy)
        found = [
            CopiedItem(collection, item, sum(one.size for one in copies), max(self._used(one) for one in copies))
            for (collection, item), copies in groups.items()
        ]
        return sorted(found, key=lambda one: (one.used, one.item))

    def total_bytes(self) -> int:
        """Give the size of all copies."""
        return sum(one.size for one in self.items())

    def is_whole(self, copy: Copy) -> bool:
        """Tell whether a copy's file is there as it was written; this is no use of it."""
        path = self._hub_dir / copy.path
        try:
            return path.stat().st_size == copy.size and sha256_of(path) == copy.sha256
        except OSError:
            return False

    def remove_item(self, archive: Archive, collection: str, item: str) -> None:
        """Remove a copied item: first from the archive, so that nobody is sent to files that go."""
        copies = self.of_item(collection, item)
        archive.remove_items(collection, [item])
        for copy in copies.values():
            (self._hub_dir / copy.path).unlink(missing_ok=True)
        for folder in {(self._hub_dir / copy.path).parent for copy in copies.values()}:
            with suppress(OSError):  # something else lies there
                folder.rmdir()
        with closing(self._connect()) as database, database:
            database.execute("DELETE FROM copies WHERE collection = ? AND item = ?", (collection, item))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one process at a time copy; the lock of a killed one is gone with it.

        Raises:
            StorageError: another process copies.
        """
        with closing(sqlite3.connect(self._hub_dir / "syncing.sqlite", timeout=0, isolation_level=None)) as lock:
            try:
                lock.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                raise StorageError("Another sync is copying into this hub.", hint="Wait until it is done.") from error
            yield

    def _used(self, copy: Copy) -> float:
        try:
            return (self._hub_dir / copy.path).stat().st_mtime
        except OSError:
            return 0.0

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._hub_dir / "copies.sqlite", timeout=30)


def sha256_of(path: Path) -> str:
    """Give the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _read(body: str) -> Copy:
    told = json.loads(body)
    source = told.pop("source")
    grid = Grid(source["crs"], tuple(source["transform"]), source["height"], source["width"])
    return Copy(**(told | {"source": grid, "window": PixelWindow(**told["window"])}))
