"""Reads windows of raster files onto the grid of a request, each file opened once per run and thread."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tools.hub.cube import Block

IDLE_FILES = 200
"""Open files kept for the next block of a run."""
EXACT = ("uint8", "int8", "uint16", "int16", "float32")
"""Types whose values, no-data among them, float32 holds exactly."""


@dataclass(frozen=True)
class Source:
    """One raster file that holds one band of one date."""

    path: Path
    nodata: float | None
    """No-data value where the file names none."""


@dataclass(frozen=True)
class OpenFile:
    """An open raster with what would be slow to ask again."""

    raster: Any
    crs: str | None
    nodata: float | None


class Files:
    """The files of one run: a handle serves one thread at a time, and is kept for the next block."""

    def __init__(self) -> None:
        self._idle: OrderedDict[int, tuple[Path, OpenFile]] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> "Files":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._shrink(0)

    def __reduce__(self) -> tuple[type["Files"], tuple[()]]:
        """Give another process files of its own: handles cannot travel."""
        return Files, ()

    @contextmanager
    def use(self, path: Path) -> Iterator[OpenFile]:
        """Lend an open file to this thread."""
        file = self._take(path) or _open(path)
        try:
            yield file
        finally:
            with self._lock:
                self._idle[id(file)] = (path, file)
            self._shrink(0 if self._closed else IDLE_FILES)

    def _take(self, path: Path) -> OpenFile | None:
        with self._lock:
            found = next((key for key, (name, _) in self._idle.items() if name == path), None)
            return self._idle.pop(found)[1] if found is not None else None

    def _shrink(self, size: int) -> None:
        with self._lock:
            closing = [self._idle.popitem(last=False)[1] for _ in range(len(self._idle) - size)]
        for _, file in closing:
            file.raster.close()


def _open(path: Path) -> OpenFile:
    import rasterio

    # The hub's files have no side files: GDAL need not list the folder for each.
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
        raster = rasterio.open(path)
    return OpenFile(raster, None if raster.crs is None else raster.crs.to_string(), raster.nodata)


def read_into(files: Files, source: Source, crs: str, x: Block, y: Block, target: Block) -> None:
    """Fill `target` (float32) with the pixels that these centres fall into; outside the file and no-data give NaN."""
    with files.use(source.path) as file:
        nodata = source.nodata if file.nodata is None else file.nodata
        if file.crs is not None and file.crs != crs:
            target[...] = _warped(file.raster, crs, x, y, nodata)
            return
        transform = file.raster.transform
        columns = np.floor((x - transform.c) / transform.a + 1e-9).astype(int)
        rows = np.floor((y - transform.f) / transform.e + 1e-9).astype(int)
        _gather(file.raster, rows, columns, nodata, target)


def _warped(raster: Any, crs: str, x: Block, y: Block, nodata: float | None) -> Block:
    from rasterio.vrt import WarpedVRT

    transform, width, height = _vrt_grid(x, y)
    with WarpedVRT(raster, crs=crs, transform=transform, width=width, height=height,
                   nodata=nodata, src_nodata=nodata) as warped:  # fmt: skip
        values = warped.read(1)
        result: Block = values.astype(np.float32)
        if nodata is None:
            result[warped.read_masks(1) == 0] = np.nan
        elif not np.isnan(nodata):
            result[values == nodata] = np.nan
        return result


def _vrt_grid(x: Block, y: Block) -> tuple[Any, int, int]:
    from affine import Affine

    width = (x[-1] - x[0]) / (len(x) - 1) if len(x) > 1 else 1.0
    height = (y[0] - y[-1]) / (len(y) - 1) if len(y) > 1 else width
    return Affine(width, 0, x[0] - width / 2, 0, -height, y[0] + height / 2), len(x), len(y)


def _gather(raster: Any, rows: Block, columns: Block, nodata: float | None, target: Block) -> None:
    from rasterio.windows import Window

    some_rows, some_columns = _inside(rows, raster.height), _inside(columns, raster.width)
    inner = target[some_rows, some_columns]
    if inner.shape != target.shape:
        target.fill(np.nan)
    if not inner.size:
        return
    rows, columns = rows[some_rows], columns[some_columns]
    height, width = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
    window = Window(int(columns[0]), int(rows[0]), width, height)
    if inner.shape == (height, width) and raster.dtypes[0] in EXACT:
        raster.read(1, window=window, out=inner)
        _set_missing(inner, inner, nodata)
        return
    values = raster.read(1, window=window)
    stored: Block = values.astype(np.float32)
    _set_missing(stored, values, nodata)
    if inner.shape != (height, width):
        # Columns first: whole rows are then copied, which is far faster than picking pixel by pixel.
        stored = stored.take(columns - columns[0], axis=1).take(rows - rows[0], axis=0)
    inner[...] = stored


def _inside(positions: Block, size: int) -> slice:
    """Find the run of positions that lie in the file; they only ascend, or only descend."""
    found = np.flatnonzero((positions >= 0) & (positions < size))
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)


def _set_missing(target: Block, values: Block, nodata: float | None) -> None:
    if nodata is None or np.isnan(nodata):
        return
    missing = values == nodata
    if missing.any():
        np.copyto(target, np.nan, where=missing)
