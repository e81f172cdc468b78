"""Tells failures of the disk under the data folder in words a user can act on."""

import errno
import sqlite3
from pathlib import Path

from knowledge.errors import ClmsError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EIO, errno.ENOENT})
_FULL_WORDS = ("disk is full", "no space left")
_UNWRITABLE_WORDS = ("unable to open database file", "readonly database", "read-only", "disk i/o error")


class DataFolderUnusable(ClmsError):
    """The data folder cannot be written: no space, no right, or no folder."""


def storage_failure(error: BaseException, data_dir: Path) -> DataFolderUnusable | None:
    """Give the expected failure behind an error; None when the disk under the data folder has no part in it."""
    full = DataFolderUnusable(f"The disk under {data_dir} is full.", "Free some space there and try again.")
    unwritable = DataFolderUnusable(
        f"The data folder {data_dir} cannot be written.",
        "Check that it is a folder you may write to, or set CLMS_DATA_DIR to another one.",
    )
    words = str(error).lower()
    if isinstance(error, OSError) and error.errno in _FULL:
        return full
    if isinstance(error, OSError) and error.errno in _UNWRITABLE and str(error.filename).startswith(str(data_dir)):
        return unwritable
    # Chroma keeps SQLite behind an error of its own.
    if isinstance(error, sqlite3.Error) or type(error).__module__.startswith("chromadb"):
        if any(text in words for text in _FULL_WORDS):
            return full
        if any(text in words for text in _UNWRITABLE_WORDS):
            return unwritable
    return None
