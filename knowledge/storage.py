"""Opens the search index's database, and lets one process write at a time while others know that something changed."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from knowledge.errors import IndexMissing, IngestBusy

INDEX = "the search index"
DEMO = "the demo archive"
LOCKS = {INDEX: "ingest.lock", DEMO: "demo.lock"}
BUSY_TIMEOUT_S = 30.0
"""How long to wait for another process that is writing."""
PATIENCE_S = 10.0
"""How long a writer waits for readers that are opening what was written."""
BUILD_PATIENCE_S = 600.0
"""How long a start waits for another process that is making what both need."""
ASKED_EVERY_S = 0.2
COUNTED_WITHIN_S = 2.0


def open_index(path: Path, *, isolation_level: Literal["DEFERRED"] | None = "DEFERRED") -> sqlite3.Connection:
    """Open a database that other processes may be writing to.

    Args:
        path: The database file; made when missing.
        isolation_level: As in `sqlite3.connect`; None leaves transactions to the caller.
    """
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=isolation_level)


@contextmanager
def only_writer(
    index_dir: Path,
    *,
    what: str = INDEX,
    patience_s: float | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Hold a lock, and count the writing before and after; the lock falls with the process, however it ends.

    Args:
        index_dir: Folder of the index.
        what: What is written, in words; each has a lock of its own.
        patience_s: How long to wait for another process; None for as long as opening the index may take.
        on_wait: Told once, in a sentence, that another process is waited for.

    Raises:
        IngestBusy: another process holds it for longer.
    """
    patience_s = PATIENCE_S if patience_s is None else patience_s
    with closing(_open_lock(index_dir, what)) as lock:
        _seize(lock, what, patience_s, on_wait)
        _count(lock)  # a run that is killed later has been counted: what it wrote is looked for too
        lock.execute("COMMIT")
        _seize(lock, what, patience_s, on_wait)
        try:
            yield
        finally:
            _count(lock)
            lock.execute("COMMIT")


def writings(index_dir: Path) -> int:
    """Count how often the index has been written so far, by whichever process."""
    with closing(_open_lock(index_dir)) as lock:
        lock.execute(f"PRAGMA busy_timeout = {COUNTED_WITHIN_S * 1000:.0f}")  # another may be counting right now
        return _number(lock)


@contextmanager
def no_writer(index_dir: Path) -> Iterator[bool]:
    """Keep writers waiting; gives whether there was none, and waits for none."""
    with closing(_open_lock(index_dir)) as lock:
        free = _try(lock)
        yield free
        if free:
            lock.execute("ROLLBACK")


def _open_lock(index_dir: Path, what: str = INDEX) -> sqlite3.Connection:
    if not index_dir.is_dir():
        raise IndexMissing("The search index has not been built yet.", hint="Run `clms-assistant ingest`.")
    return sqlite3.connect(index_dir / LOCKS[what], timeout=0, isolation_level=None)


def _seize(lock: sqlite3.Connection, what: str, patience_s: float, on_wait: Callable[[str], None] | None) -> None:
    until = time.monotonic() + patience_s
    while not _try(lock):
        if time.monotonic() > until:
            raise IngestBusy(f"Another command is writing {what}.", "Wait until it has ended.")
        if on_wait is not None:
            on_wait(f"Another command is writing {what}; waiting for it")
            on_wait = None
        time.sleep(ASKED_EVERY_S)


def _try(lock: sqlite3.Connection) -> bool:
    """Take the write lock; others can still read the number of writings."""
    try:
        lock.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _number(lock: sqlite3.Connection) -> int:
    return int(lock.execute("PRAGMA user_version").fetchone()[0])


def _count(lock: sqlite3.Connection) -> None:
    lock.execute(f"PRAGMA user_version = {_number(lock) + 1}")
