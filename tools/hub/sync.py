"""Copies windows of remote scenes into the hub: each file whole or not at all, each scene when it has all its files."""

import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tools.errors import BackendUnavailable, ToolInputError
from tools.hub.archive import COPIES, TEMPORARY, Archive
from tools.hub.copied_items import Meaning, hub_collection, hub_item
from tools.hub.copies import CopiedItem, Copies, Copy, sha256_of
from tools.hub.files import Grid, copy_as_cog
from tools.hub.http_ranges import RangeClient, RemoteRefused
from tools.hub.new_files import StorageError
from tools.hub.remote_cog import PixelWindow, open_remote, window_of
from tools.hub.source_items import SourceAsset
from tools.hub.sync_plan import ItemPlan, SyncPlan
from tools.scene_items import clean
from tools.schema import Bbox
from tools.words import counted, megabytes

FAILURES_IN_A_ROW = 3
"""Scenes that may fail one after another before the rest is left for another day."""
_PURPOSE = "sync"


@dataclass(frozen=True)
class SyncReport:
    """What a sync did."""

    copied: int
    """Scenes that have at least one new file."""
    files: int
    kept: int
    """Scenes that were there already."""
    repaired: int
    """Damaged copies that were copied again."""
    received_bytes: int
    stored_bytes: int
    """Size of all copies in the hub."""
    evicted: tuple[CopiedItem, ...]
    failures: tuple[str, ...]
    stopped: str
    """Why it ended before the last scene; empty when it did not."""
    full: bool
    """True when it ended because the limit on room was reached."""


class _Full(Exception):
    """No room is left under the limit, and nothing may go."""


@dataclass
class _Run:
    """One sync under way."""

    plan: SyncPlan
    archive: Archive
    client: RangeClient
    copies: Copies
    meanings: dict[str, Meaning]
    received_before: int
    full: bool = False
    copied: int = 0
    files: int = 0
    kept: int = 0
    repaired: int = 0
    evicted: list[CopiedItem] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def received(self) -> int:
        """Bytes read since the run began."""
        return self.client.received - self.received_before


def run_sync(
    archive: Archive, client: RangeClient, plan: SyncPlan, on_progress: Callable[[str], None] = lambda _: None
) -> SyncReport:
    """Copy what a plan misses; a scene that fails is told and left for the next run.

    Raises:
        StorageError: the disk is full, or another sync is copying. What is there stays whole.
    """
    copies = Copies(archive.hub_dir)
    run = _Run(plan, archive, client, copies, dict(plan.meanings), client.received)
    _check_disk(archive.hub_dir, plan.new_bytes)
    with copies.alone():
        _remove_leftovers(archive)
        stopped = _copy_all(run, on_progress)
    return SyncReport(
        run.copied,
        run.files,
        run.kept,
        run.repaired,
        run.received,
        copies.total_bytes(),
        tuple(run.evicted),
        tuple(run.failures),
        stopped,
        run.full,
    )


def _copy_all(run: _Run, on_progress: Callable[[str], None]) -> str:
    """Copy scene by scene; gives why it stopped early, or an empty text."""
    from rasterio.errors import RasterioError

    in_a_row = 0
    for number, one in enumerate(run.plan.items, start=1):
        try:
            _copy_item(run, one)
            in_a_row = 0
        except _Full:
            run.full = True
            return f"the limit of {megabytes(run.plan.request.max_bytes or 0)} is reached"
        except (RemoteRefused, BackendUnavailable, ToolInputError) as error:
            in_a_row += _note_failure(run, one, str(error))
        except (OSError, sqlite3.OperationalError) as error:
            raise StorageError(
                f"The disk did not take a copy: {getattr(error, 'strerror', '') or error}.",
                hint=f"{counted(run.copied, 'scene')} copied before stay. Make room and run the same command again.",
            ) from error
        except (
            AttributeError,
            LookupError,
            ValueError,
            TypeError,
            ArithmeticError,
            RuntimeError,
            RasterioError,
        ) as error:
            # What a source publishes can be wrong in ways nobody foresees: that is the scene's failure alone.
            in_a_row += _note_failure(run, one, f"It cannot be read as a scene ({type(error).__name__}).")
        if in_a_row == FAILURES_IN_A_ROW:
            return f"{in_a_row} scenes failed one after another"
        if one.missing:
            on_progress(
                f"{number} of {counted(len(run.plan.items), 'scene')}; {megabytes(run.received)} read "
                f"of about {megabytes(run.plan.transfer_bytes)}"
            )
    return ""


def _note_failure(run: _Run, one: ItemPlan, reason: str) -> int:
    run.failures.append(f"{clean(str(one.item['id']))}: {reason}")
    return 1


def _copy_item(run: _Run, one: ItemPlan) -> None:
    """Copy the missing files of a scene, then make it known to the hub."""
    item_id, hub_id = str(one.item["id"]), run.plan.request.hub_id
    new = 0
    for asset in one.missing:
        before = run.copies.of_item(hub_id, item_id).get(asset.key)
        new += _copy_file(run, item_id, asset, before)
    copies = run.copies.of_item(hub_id, item_id)
    if copies:
        _make_known(run, one, copies)
    run.files += new
    run.copied += bool(new)
    run.kept += not new and bool(copies)
    run.repaired += one.damaged


def _make_known(run: _Run, one: ItemPlan, copies: dict[str, Copy]) -> None:
    plan, archive = run.plan, run.archive
    known = archive.item(plan.request.hub_id, str(one.item["id"]))
    told = {key: asset.get("file:checksum") for key, asset in (known or {}).get("assets", {}).items()}
    if told == {key: copy.checksum for key, copy in copies.items()}:
        return
    item = hub_item(one.item, plan.request.hub_id, copies, run.meanings, plan.source_url)
    existing = archive.collection(plan.request.hub_id)
    archive.put([hub_collection(existing, plan.collection, item, run.meanings, plan.source_url)], [item])
    paths = {archive.hub_dir / copy.path for copy in copies.values()}
    for path in {path.parent for path in paths}:
        for file in set(path.iterdir()) - paths:  # replaced by a larger window, or left by a killed process
            file.unlink(missing_ok=True)


def _copy_file(run: _Run, item_id: str, asset: SourceAsset, before: Copy | None) -> bool:
    """Copy the window of one file, joined with the window that was copied before; False when no pixel lies there."""
    ask = run.plan.request
    with run.archive.temporary_folder(_PURPOSE) as folder:
        plain, made = folder / "plain.tif", folder / "window.tif"
        with open_remote(run.client, asset.href) as cog:
            window = _window(cog.grid, ask.place.bbox, before, asset)
            if window is None:
                return False
            cog.save(window, plain)
        copy_as_cog(plain, made, decimals=cog.data_type.startswith("float"))
        digest = sha256_of(made)
        # A name by content: what a known item refers to is never written over.
        path = f"{ask.hub_id}/{COPIES}/{_folder_name(item_id)}/{_file_name(asset.key, digest)}"
        copy = Copy(
            ask.hub_id, item_id, asset.key, path, asset.href, cog.grid, window,
            cog.data_type, cog.nodata, made.stat().st_size, digest,
        )  # fmt: skip
        _make_room(run, copy.size - (before.size if before else 0))
        target = run.archive.hub_dir / path
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(made, target)
    run.copies.put(copy)
    return True


def _window(grid: Grid, box: Bbox, before: Copy | None, asset: SourceAsset) -> PixelWindow | None:
    """Give the window to copy: that of the place, and what earlier syncs of other places copied of the same file."""
    window = window_of(grid, box)
    if window is None or before is None or (before.source, before.href) != (grid, asset.href):
        return window
    return window.joined(before.window)


def _make_room(run: _Run, size: int) -> None:
    """Remove copies that were not used for the longest time until a new one fits; never one of this request."""
    limit = run.plan.request.max_bytes
    if limit is None:
        return
    wanted = {str(one.item["id"]) for one in run.plan.items}
    candidates = run.copies.items()
    total = sum(one.size for one in candidates) + size
    for one in candidates:
        if total <= limit:
            return
        if one.collection != run.plan.request.hub_id or one.item not in wanted:
            run.copies.remove_item(run.archive, one.collection, one.item)
            run.evicted.append(one)
            total -= one.size
    if total > limit:
        raise _Full


def _check_disk(hub_dir: Path, size: int) -> None:
    free = shutil.disk_usage(hub_dir).free
    if size > free:
        raise StorageError(
            f"The copies take about {megabytes(size)}; the disk has {megabytes(free)} left.",
            hint="Nothing was copied. Make room, or ask for fewer bands, a shorter period or less cloud.",
        )


def _remove_leftovers(archive: Archive) -> None:
    """Remove what a killed sync was writing; no other one is running."""
    for folder in (archive.hub_dir / TEMPORARY).glob(f"{_PURPOSE}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _folder_name(item_id: str) -> str:
    return f"{_safe(item_id)}-{hashlib.sha256(item_id.encode()).hexdigest()[:8]}"


def _file_name(key: str, digest: str) -> str:
    return f"{_safe(key)}-{hashlib.sha256(f'{key} {digest}'.encode()).hexdigest()[:12]}.tif"


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)[:60]
