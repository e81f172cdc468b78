"""Reads windows of cloud-optimised GeoTIFFs over HTTP: the header, then only the tiles that the window touches."""

import errno
import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.errors import BackendUnavailable
from tools.hub.files import Grid, check_written
from tools.hub.http_ranges import RangeClient, RemoteRefused
from tools.schema import Bbox

HEADER_BYTES = 16_384
MAX_HEADER_BYTES = 64_000_000
GAP_BYTES = 65_536
"""Tiles that lie closer together in the file are asked for at once."""
BATCH_BYTES = 8_000_000
"""Bytes asked for at once, so that memory stays bounded."""
DECODED_BYTES = 64_000_000
"""Bytes of pixels decoded at once: a file of few bytes may unpack to very many."""
CACHE_MB = 64
"""What GDAL may keep in memory; the first file that a process opens settles it."""
MAX_TILE_PIXELS = 4096 * 4096
MAX_WINDOW_PIXELS = 200_000_000
_MARGIN = 8
"""GDAL notes the length of a tile right before it."""
_NAME = "remote.tif"


@dataclass(frozen=True)
class PixelWindow:
    """Whole pixels of a raster."""

    column: int
    row: int
    width: int
    height: int

    @property
    def pixels(self) -> int:
        """How many pixels."""
        return self.width * self.height

    def holds(self, other: "PixelWindow") -> bool:
        """Tell whether another window lies inside."""
        return self.joined(other) == self

    def joined(self, other: "PixelWindow") -> "PixelWindow":
        """Give the smallest window around both."""
        column, row = min(self.column, other.column), min(self.row, other.row)
        right = max(self.column + self.width, other.column + other.width)
        bottom = max(self.row + self.height, other.row + other.height)
        return PixelWindow(column, row, right - column, bottom - row)


def window_of(grid: Grid, box: Bbox) -> PixelWindow | None:
    """Give the pixels of a raster that a box in degrees touches; None when there are none."""
    from rasterio._err import CPLE_BaseError
    from rasterio.warp import transform_bounds

    a, _, c, _, e, f = grid.transform
    # The same way in which a request to the hub finds its box, so that no pixel of it is missing.
    try:
        west, south, east, north = transform_bounds("EPSG:4326", grid.crs, *box, densify_pts=21)
    except CPLE_BaseError:  # the box lies where this projection has no place for it
        return None
    edges = ((west - c) / a, (east - c) / a, (north - f) / e, (south - f) / e)
    if not all(map(math.isfinite, edges)):
        return None
    left, right = max(math.floor(edges[0]), 0), min(math.ceil(edges[1]), grid.width)
    top, bottom = max(math.floor(edges[2]), 0), min(math.ceil(edges[3]), grid.height)
    return PixelWindow(left, top, right - left, bottom - top) if right > left and bottom > top else None


def part_of(grid: Grid, window: PixelWindow) -> Grid:
    """Give the grid of a window: the same pixels, fewer of them."""
    a, b, c, d, e, f = grid.transform
    transform = (a, b, c + a * window.column, d, e, f + e * window.row)
    return Grid(grid.crs, transform, window.height, window.width)


class RemoteCog:
    """An open remote raster of one band."""

    def __init__(self, raster: Any, file: "_RemoteFile", grid: Grid) -> None:
        self._raster, self._file = raster, file
        self.grid = grid
        self.data_type: str = raster.dtypes[0]
        self.nodata: float | None = raster.nodata
        self.version = file.version

    def transfer_bytes(self, window: PixelWindow) -> int:
        """Give the bytes that reading a window takes, the header left aside."""
        return sum(length for _, tiles in self._batches(window) for _, length in _runs(tiles))

    def stored_bytes(self, window: PixelWindow) -> int:
        """Estimate the bytes that the pixels of a window take, by the tiles they lie in."""
        tiles = [size for row in self._tile_rows(window) for _, size in self._tiles(row, window)]
        height, width = self._tile_shape
        rows, columns = self._tile_rows(window), self._tile_columns(window)
        return round(sum(tiles) * window.pixels / (len(rows) * len(columns) * height * width))

    def save(self, window: PixelWindow, path: Path) -> None:
        """Write the stored values of a window to a GeoTIFF, some tiles at a time.

        Raises:
            RemoteRefused: the window is too large, or the file is damaged.
            BackendUnavailable: the server does not answer, or the file breaks off.
            OSError: the disk is full.
        """
        import rasterio
        from affine import Affine
        from rasterio.windows import Window

        if window.pixels > MAX_WINDOW_PIXELS:
            raise RemoteRefused(f"The window has {window.pixels:,} pixels; {MAX_WINDOW_PIXELS:,} at most.")
        profile = {
            "driver": "GTiff", "height": window.height, "width": window.width, "count": 1, "dtype": self.data_type,
            "crs": self.grid.crs, "transform": Affine(*part_of(self.grid, window).transform), "nodata": self.nodata,
            "tiled": True, "compress": "deflate", "zlevel": 1, "BIGTIFF": "IF_SAFER",
        }  # fmt: skip
        with rasterio.open(path, "w", **profile) as file:
            for part, tiles in self._batches(window):
                with _reader_failures(self._file):
                    self._file.keep(_runs(tiles))
                    values = self._raster.read(1, window=Window(part.column, part.row, part.width, part.height))
                left, top = part.column - window.column, part.row - window.row
                with _writer_failures(path):
                    file.write(values, 1, window=Window(left, top, part.width, part.height))
        check_written(path)

    def _batches(self, window: PixelWindow) -> Iterator[tuple[PixelWindow, list[tuple[int, int]]]]:
        """Cut a window along its tiles into parts of bounded size, stored and decoded, each with its tiles."""
        part, tiles = None, list[tuple[int, int]]()
        for piece, more in self._pieces(window):
            joined = part.joined(piece) if part else piece
            # A piece narrower than the window has none beside it that could be joined to a rectangle.
            fits = piece.width == window.width and joined.pixels <= self._pixels_at_once
            if part and (not fits or sum(size for _, size in tiles) >= BATCH_BYTES):
                yield part, tiles
                part, tiles = None, []
            part, tiles = part.joined(piece) if part else piece, [*tiles, *more]
        if part:
            yield part, tiles

    def _pieces(self, window: PixelWindow) -> Iterator[tuple[PixelWindow, list[tuple[int, int]]]]:
        """Give each row of tiles, cut between tiles where it is too long to be decoded at once."""
        height, width = self._tile_shape
        columns = self._tile_columns(window)
        across = max(self._pixels_at_once // (height * width), 1)
        for row in self._tile_rows(window):
            top, bottom = max(row * height, window.row), min((row + 1) * height, window.row + window.height)
            for first in range(columns.start, columns.stop, across):
                last = min(first + across, columns.stop)
                left, right = max(first * width, window.column), min(last * width, window.column + window.width)
                piece = PixelWindow(left, top, right - left, bottom - top)
                yield piece, self._tiles(row, piece)

    @property
    def _pixels_at_once(self) -> int:
        import numpy as np

        return DECODED_BYTES // np.dtype(self.data_type).itemsize

    @property
    def _tile_shape(self) -> tuple[int, int]:
        height, width = self._raster.block_shapes[0]
        return int(height), int(width)

    def _tile_rows(self, window: PixelWindow) -> range:
        height = self._tile_shape[0]
        return range(window.row // height, (window.row + window.height - 1) // height + 1)

    def _tile_columns(self, window: PixelWindow) -> range:
        width = self._tile_shape[1]
        return range(window.column // width, (window.column + window.width - 1) // width + 1)

    def _tiles(self, row: int, window: PixelWindow) -> list[tuple[int, int]]:
        """Give where the tiles of one row lie in the file, and how long they are; empty tiles are not stored."""
        found = []
        for column in self._tile_columns(window):
            told = [self._raster.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", 1) for what in ("OFFSET", "SIZE")]
            if all(told):
                found.append((int(told[0]), int(told[1])))
        return found


@contextmanager
def open_remote(client: RangeClient, url: str) -> Iterator[RemoteCog]:
    """Open a remote GeoTIFF of one band.

    Raises:
        RemoteRefused: a file that may not be read, or is no GeoTIFF of one band on a north-up grid.
        BackendUnavailable: the server does not answer, or the file breaks off.
    """
    import rasterio

    file = _RemoteFile(client, url)
    file.load_header()
    # No look at files beside it, and one driver: another format could point GDAL at other files or hosts.
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO", GDAL_CACHEMAX=CACHE_MB):
        with _reader_failures(file):
            raster = rasterio.open(_NAME, driver="GTiff", opener=file.opener)
        with raster:
            yield RemoteCog(raster, file, _checked_grid(raster))


def _checked_grid(raster: Any) -> Grid:
    if raster.count != 1:
        raise RemoteRefused(f"The file holds {raster.count} bands.", "Files of one band are copied.")
    if raster.dtypes[0].startswith("complex"):
        raise RemoteRefused("The file holds complex numbers.", "Such files are not copied.")
    a, b, c, d, e, f = tuple(raster.transform)[:6]
    if raster.crs is None or b or d or a <= 0 or e >= 0:
        raise RemoteRefused("The file does not lie on a north-up grid.", "Such files are not copied.")
    if math.prod(raster.block_shapes[0]) > MAX_TILE_PIXELS:
        raise RemoteRefused("The file is not cut into tiles.", "Cloud-optimised GeoTIFFs are copied.")
    code = raster.crs.to_epsg()
    return Grid(f"EPSG:{code}" if code else raster.crs.to_wkt(), (a, b, c, d, e, f), raster.height, raster.width)


def _runs(tiles: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join tiles that lie close together to runs (start, length)."""
    runs: list[tuple[int, int]] = []
    for offset, size in sorted(tiles):
        start, end = max(offset - _MARGIN, 0), offset + size + _MARGIN
        if runs and start - sum(runs[-1]) <= GAP_BYTES and end - runs[-1][0] <= 2 * BATCH_BYTES:
            runs[-1] = (runs[-1][0], max(end, sum(runs[-1])) - runs[-1][0])
        else:
            runs.append((start, end - start))
    return runs


@contextmanager
def _reader_failures(file: "_RemoteFile") -> Iterator[None]:
    """Tell why a read failed: GDAL only knows that it did."""
    from rasterio.errors import RasterioError

    try:
        yield
    except RasterioError as error:
        if file.failure is not None:
            raise file.failure from error
        raise RemoteRefused("The file is no whole GeoTIFF.", "Tell whoever publishes it.") from error


@contextmanager
def _writer_failures(path: Path) -> Iterator[None]:
    """Tell a failed write as what it is: the disk's, not the source's."""
    from rasterio.errors import RasterioError

    try:
        yield
    except RasterioError as error:
        raise OSError(errno.ENOSPC, "The file could not be written whole", path.name) from error


class _RemoteFile(io.RawIOBase):
    """What GDAL reads from: the header and the runs asked for before, the rest one by one.

    An exception cannot pass through GDAL: a failed read gives no bytes, and `failure` says why.
    """

    def __init__(self, client: RangeClient, url: str) -> None:
        self._client, self._url = client, url
        self._position = 0
        self._header = b""
        self._parts: list[tuple[int, bytes]] = []
        self._extra = 0
        self.size = 0
        self.version = ""
        self.failure: RemoteRefused | BackendUnavailable | None = None

    def load_header(self) -> None:
        """Read the beginning, which tells where the tiles lie."""
        part = self._client.read(self._url, 0, HEADER_BYTES)
        self._header, self.size, self.version = part.data, part.size, part.version

    def keep(self, runs: Sequence[tuple[int, int]]) -> None:
        """Fetch runs of bytes and keep them until the next ones are asked for."""
        self._parts = [(start, self._fetch(start, length)) for start, length in runs if start < self.size]

    def opener(self, path: str, mode: str = "rb") -> "_RemoteFile":
        """Give this file under its one name."""
        if path != _NAME:
            raise FileNotFoundError(path)
        return self

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read from anywhere."""
        return True

    def tell(self) -> int:
        """Give the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Give the next bytes."""
        wanted = max(self.size - self._position, 0)
        if 0 <= size < wanted:
            wanted = size
        data = self._held(self._position, wanted)
        if data is None:
            data = self._more(self._position, wanted)
        self._position += len(data)
        return data

    def _held(self, start: int, length: int) -> bytes | None:
        for first, data in ((0, self._header), *self._parts):
            if first <= start and start + length <= first + len(data):
                return data[start - first : start - first + length]
        return None

    def _more(self, start: int, length: int) -> bytes:
        """Fetch what nobody foresaw: a long header, mostly; its bytes are kept for the next read."""
        if self.failure is not None:
            return b""
        try:
            self._extra += max(length, HEADER_BYTES)
            if self._extra > MAX_HEADER_BYTES:
                raise RemoteRefused("The header of the file is too long.", "Tell whoever publishes it.")
            data = self._fetch(start, max(length, HEADER_BYTES))
        except (RemoteRefused, BackendUnavailable) as failure:
            self.failure = failure
            return b""
        self._parts.append((start, data))
        return data[:length]

    def _fetch(self, start: int, length: int) -> bytes:
        part = self._client.read(self._url, start, length)
        if (part.version, part.size) != (self.version, self.size):
            raise BackendUnavailable("The file changed while it was read.", "Run the same command again.")
        return part.data
