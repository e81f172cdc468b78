"""Computes cubes within a bounded memory: on one pool of threads, and large ones into a file instead of memory."""

import mmap
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tools.hub.limits import Limits

_WHERE: ContextVar["_Scratch"] = ContextVar("scratch")


@dataclass(frozen=True)
class _Scratch:
    """Where large cubes of one run go."""

    folder: Path
    largest_bytes: int


@contextmanager
def scratch(folder: Path, limits: Limits) -> Iterator[None]:
    """Let what this thread computes go into files of this folder where it is large."""
    from rasterio.env import set_gdal_config

    set_gdal_config("GDAL_CACHEMAX", limits.file_cache_bytes)  # else a twentieth of the machine's memory
    token = _WHERE.set(_Scratch(folder, limits.result_bytes))
    try:
        yield
    finally:
        _WHERE.reset(token)


@cache
def _threads() -> ThreadPoolExecutor:
    """Give the threads of all runs: with some for each run, memory would grow with runs times cores."""
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="openeo-block")


def computed(data: xr.DataArray) -> xr.DataArray:
    """Compute an array; a large one lies in a file that is gone with the array.

    Raises:
        OSError: The disk has no room for it.

    """
    if not data.chunks:
        return data
    where = _WHERE.get(None)
    if where is None or data.nbytes <= where.largest_bytes:
        ready: xr.DataArray = data.compute(pool=_threads())
        return ready
    return data.copy(data=_in_file(data.data, where.folder))


def on_planes(data: xr.DataArray) -> xr.DataArray:
    """Cut an array into whole planes of y and x; a large one is computed first, for each plane needs all blocks."""
    import dask.array

    chunks = {dim: -1 if dim in ("y", "x") else 1 for dim in data.dims}
    where = _WHERE.get(None)
    if not data.chunks or where is None or data.nbytes <= where.largest_bytes:
        return data.chunk(chunks) if data.chunks else data
    from_array: Any = dask.array.from_array  # dask has no types for it
    return data.copy(data=from_array(computed(data).data, chunks=tuple(chunks.values()), name=False))


def _in_file(array: Any, folder: Path) -> Any:
    import tempfile

    import dask.array

    with tempfile.TemporaryFile(dir=folder) as file:
        # Room is taken first: a mapped file that outgrows the disk ends the process.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, array.nbytes)
        target = np.memmap(file, array.dtype, "r+" if hasattr(os, "posix_fallocate") else "w+", shape=array.shape)
    store: Any = dask.array.store  # dask has no types for it
    store(array, _Forgetting(target), lock=False, pool=_threads())
    return target


class _Forgetting:
    """A mapped file whose pages leave memory once written."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __setitem__(self, where: Any, block: Any) -> None:
        self._target[where] = block
        if hasattr(mmap, "MADV_DONTNEED"):
            self._target._mmap.madvise(mmap.MADV_DONTNEED)
