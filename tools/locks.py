"""Locks between runs, here or in another process; the lock of a killed process is gone with it."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

LOOK_S = 0.1
"""Seconds between two looks whether a lock is free."""


class LockHeld(Exception):
    """Another run holds the lock."""


def take_lock(path: Path) -> sqlite3.Connection | None:
    """Take a lock, which is held until it is closed; None where nothing can be written.

    Raises:
        LockHeld: Another run holds it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(path, timeout=0, isolation_level=None)
    except (OSError, sqlite3.Error):
        return None
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        lock.close()
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise LockHeld from error
        return None
    return lock


@contextmanager
def one_at_a_time(path: Path, *, told: Callable[[], None], stop_if_asked: Callable[[], None]) -> Iterator[None]:
    """Wait until no other run holds a lock, and hold it; where none can be written, go on without one.

    Args:
        path: File of the lock; it is removed when the block ends well.
        told: Called once when there is something to wait for.
        stop_if_asked: Called again and again while waiting; raises to give up.
    """
    lock, waits = None, True
    while waits:
        try:
            lock, waits = take_lock(path), False
        except LockHeld:
            told()
            told = stop_if_asked
            time.sleep(LOOK_S)
    if lock is None:
        yield
        return
    with closing(lock):
        yield
        with suppress(OSError):  # Whoever waits for it looks first whether the work is done.
            path.unlink()
