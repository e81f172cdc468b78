"""Opens the search index's database: one way for all who read or write it."""

import sqlite3
from pathlib import Path
from typing import Literal

BUSY_TIMEOUT_S = 30.0
"""How long to wait for another process that is writing."""


def open_index(path: Path, *, isolation_level: Literal["DEFERRED"] | None = "DEFERRED") -> sqlite3.Connection:
    """Open a database that other processes may be writing to.

    Args:
        path: The database file; made when missing.
        isolation_level: As in `sqlite3.connect`; None leaves transactions to the caller.
    """
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=isolation_level)
