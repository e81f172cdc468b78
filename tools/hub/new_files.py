"""Room for files that are being added: whole or not at all, whenever the process is killed."""

import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath

from knowledge.errors import ClmsError
from tools.hub.archive import Archive
from tools.hub.item_search import Query

_PREFIX = "add-"
_WAIT_S = 600.0


class StorageError(ClmsError):
    """The disk refused, or somebody else is adding files."""


@contextmanager
def new_files(archive: Archive, collection_id: str) -> Iterator[Path]:
    """Lend a new folder for files of a collection.

    Nothing refers to the folder until the caller puts items that do, in one transaction. When the caller fails the
    folder goes; when the process is killed, it goes before the next files are added.
    """
    with _alone(archive.hub_dir):
        remove_orphans(archive)
        folder = archive.hub_dir / collection_id / f"{_PREFIX}{uuid.uuid4().hex[:12]}"
        try:
            folder.mkdir(parents=True)
            yield folder
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            text = f"The files could not be written into the hub: {error.strerror or error}."
            raise StorageError(text, hint="Nothing was added. Make room on the disk and try again.") from error
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def remove_orphans(archive: Archive) -> None:
    """Remove added folders that no item refers to: what a killed process left."""
    folders = {path.relative_to(archive.hub_dir).as_posix(): path for path in archive.hub_dir.glob(f"*/{_PREFIX}*")}
    if not folders:
        return
    for item in archive.every(Query(collections=sorted({PurePosixPath(name).parts[0] for name in folders}))):
        for asset in item.get("assets", {}).values():
            folders.pop("/".join(PurePosixPath(asset["href"]).parts[:2]), None)
    for path in folders.values():
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _alone(hub_dir: Path) -> Iterator[None]:
    """Let one process at a time add files; the lock of a killed one is gone with it."""
    with closing(sqlite3.connect(hub_dir / "adding.sqlite", timeout=_WAIT_S, isolation_level=None)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise StorageError(
                "Other files are being added to the hub.", hint="Try again when that is done."
            ) from error
        yield
