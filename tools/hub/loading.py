"""Loads collections of the archive as cubes: finds the items, lays the grid, reads COG windows block by block."""

import math
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tools.hub.archive import Archive
from tools.hub.cube import Block, Callback, Cube, crs_text, parse_date, reprojected_bounds
from tools.hub.openeo_errors import OpenEOError
from tools.hub.processes_vector import geojson_crs, geometries_of
from tools.hub.watch import Run, Watch

Json = dict[str, Any]
Bounds = tuple[float, float, float, float]
BLOCK_VALUES = 24_000_000
"""Values in one block over all dates and bands: bounds the memory of a thread to some hundreds of MB."""
COG_TILE = 512


@dataclass(frozen=True)
class Limits:
    """What one request may load."""

    items: int = 2_000
    values: int = 400_000_000
    """Pixels times bands times dates."""


@dataclass(frozen=True)
class Grid:
    """The pixels of a request: north-up, centres inside the requested box."""

    crs: str
    left: float
    top: float
    width_m: float
    height_m: float
    columns: int
    rows: int

    def x(self) -> Block:
        """Give the centres of the columns."""
        return self.left + (np.arange(self.columns) + 0.5) * self.width_m

    def y(self) -> Block:
        """Give the centres of the rows, north first."""
        return self.top - (np.arange(self.rows) + 0.5) * self.height_m


@dataclass(frozen=True)
class Source:
    """One raster file that holds one band of one date."""

    path: Path
    nodata: float | None


class Loader:
    """The process `load_collection` over one archive."""

    def __init__(self, archive: Archive, limits: Limits, area: Json | None = None, watch: Watch | None = None) -> None:
        self._archive = archive
        self._limits = limits
        self._area = area
        """Geometries used later in the graph: the extent of a cube that is loaded without one."""
        self._watch = watch or Watch(Run())
        self.values = 0

    def load_collection(
        self,
        id: str,  # noqa: A002  # openEO's parameter name
        spatial_extent: Json | None = None,
        temporal_extent: Sequence[str | None] | None = None,
        bands: Sequence[str] | None = None,
        properties: Mapping[str, Callback] | None = None,
    ) -> Cube:
        """Load a collection; no-data becomes NaN, stored values stay unscaled."""
        collection = self._archive.collection(id)
        if collection is None or collection.get("clms:kind") == "vector":
            raise OpenEOError("CollectionNotFound", f"The collection '{id}' does not exist.")
        extent = spatial_extent or self._area
        start, end = _period(temporal_extent)
        items = self._archive.items(id, _degrees(extent), start, end)
        items = [item for item in items if _accepts(item, properties or {})]
        names = _band_names(collection, bands)
        items = [item for item in items if any(name in item["assets"] for name in names)]
        if not items:
            raise OpenEOError("NoDataAvailable", f"Collection '{id}' has no data for the given extents.")
        if len(items) > self._limits.items:
            raise OpenEOError(
                "ProcessGraphComplexity", f"{len(items)} items are asked for; {self._limits.items} at most."
            )
        grid = _grid(
            self._archive.asset_path(items[0], _first_asset(items[0], names)), self._paths(items[0], names), extent
        )
        dates = _by_date(items)
        self._count(grid, len(dates) * len(names))
        nodata = {b["name"]: b.get("nodata") for b in collection.get("summaries", {}).get("bands", [])}
        sources = [
            [[Source(self._archive.asset_path(i, name), nodata.get(name)) for i in group if name in i["assets"]]
             for name in names] for group in dates.values()
        ]  # fmt: skip
        array = _lazy(grid, sources, list(dates), names, self._watch)
        return Cube(array.assign_attrs(common_names=_common_names(collection), resolution=grid.width_m), grid.crs)

    def _paths(self, item: Json, names: list[str]) -> list[Path]:
        return [self._archive.asset_path(item, name) for name in names if name in item["assets"]]

    def _count(self, grid: Grid, layers: int) -> None:
        self.values += grid.columns * grid.rows * layers
        if self.values > self._limits.values:
            message = f"{self.values:,} values (pixels × bands × dates) are asked for; {self._limits.values:,} at most."
            raise OpenEOError("ProcessGraphComplexity", message, hint="Ask for a smaller area or a shorter period.")


def _first_asset(item: Json, names: list[str]) -> str:
    return next(name for name in names if name in item["assets"])


def _period(extent: Sequence[str | None] | None) -> tuple[str | None, str | None]:
    if extent is None:
        return None, None
    if len(extent) != 2:
        raise OpenEOError("ProcessParameterInvalid", "A temporal extent is a start and an end.")
    start, end = extent
    if start is not None and end is not None and parse_date(end) <= parse_date(start):
        raise OpenEOError("TemporalExtentEmpty", "The temporal extent is empty: the end must lie after the start.")
    return start, end


def _extent_box(extent: Json) -> tuple[Bounds, str]:
    if "west" in extent:
        edges = [extent.get(name) for name in ("west", "south", "east", "north")]
        if not all(isinstance(edge, int | float) and math.isfinite(edge) for edge in edges):
            raise OpenEOError("ProcessParameterInvalid", "west, south, east and north must be four finite numbers.")
        return tuple(edges), crs_text(extent.get("crs"))  # type: ignore[return-value]  # checked above
    from shapely.geometry import shape
    from shapely.ops import unary_union

    bounds = unary_union([shape(geometry) for geometry in geometries_of(extent)]).bounds
    return tuple(bounds), geojson_crs(extent)


def _degrees(extent: Json | None) -> Bounds | None:
    if extent is None:
        return None
    box, crs = _extent_box(extent)
    return reprojected_bounds(box, crs, "EPSG:4326")  # type: ignore[return-value]  # four numbers


def _accepts(item: Json, properties: Mapping[str, Callback]) -> bool:
    known = item["properties"]
    return all(name in known and check(value=known[name]) is True for name, check in properties.items())


def _common_names(collection: Json) -> dict[str, str]:
    known = collection.get("summaries", {}).get("bands", [])
    return {b["common_name"]: b["name"] for b in known if b.get("common_name")}


def _band_names(collection: Json, bands: Sequence[str] | None) -> list[str]:
    known = [b for d in collection.get("cube:dimensions", {}).values() if d["type"] == "bands" for b in d["values"]]
    common = _common_names(collection)
    wanted = [common.get(b, b) if b not in known else b for b in bands] if bands else known
    missing = [b for b in wanted if b not in known]
    if missing:
        raise OpenEOError("ProcessParameterInvalid", f"Bands {missing} are not in the collection; it has {known}.")
    return wanted


def _by_date(items: list[Json]) -> dict[str, list[Json]]:
    groups: dict[str, list[Json]] = defaultdict(list)
    for item in items:
        properties = item["properties"]
        groups[(properties.get("datetime") or properties["start_datetime"])[:10]].append(item)
    return dict(sorted(groups.items()))


def _grid(first: Path, paths: list[Path], extent: Json | None) -> Grid:
    """Lay the grid: CRS of the first item, its finest resolution, the pixels whose centres lie in the extent."""
    import rasterio

    finest = None
    for path in paths or [first]:
        with rasterio.open(path) as raster:
            if finest is None or raster.res[0] < finest[1][0]:
                finest = raster.transform, raster.res, raster.crs.to_string(), tuple(raster.bounds)
    if finest is None:
        raise OpenEOError("NoDataAvailable", "The item holds no raster.")
    transform, (width, height), crs, bounds = finest
    if extent is not None:
        box, source = _extent_box(extent)
        bounds = reprojected_bounds(box, source, crs)
    west, south, east, north = bounds
    # The first centre at or after an edge; the tolerance absorbs rounding of edges that lie on centres.
    column = int(np.ceil((west - transform.c) / width - 0.5 - 1e-6))
    row = int(np.ceil((transform.f - north) / height - 0.5 - 1e-6))
    columns = int(np.floor((east - transform.c) / width - 0.5 + 1e-6)) - column + 1
    rows = int(np.floor((transform.f - south) / height - 0.5 + 1e-6)) - row + 1
    if columns < 1 or rows < 1:
        raise OpenEOError("NoDataAvailable", "No pixel centre lies in the spatial extent.")
    return Grid(crs, transform.c + column * width, transform.f - row * height, width, height, columns, rows)


def _lazy(
    grid: Grid, sources: list[list[list[Source]]], dates: list[str], bands: list[str], watch: Watch
) -> xr.DataArray:
    import dask.array

    # dask has no types for it.
    map_blocks: Callable[..., Any] = dask.array.map_blocks
    layers = max(len(dates) * len(bands), 1)
    rows = max(BLOCK_VALUES // (layers * grid.columns) // COG_TILE, 1) * COG_TILE
    heights = [min(rows, grid.rows - top) for top in range(0, grid.rows, rows)]
    watch.expect(len(heights) * layers)

    def read(block_info: Any = None) -> Block:
        (_, _, (top, bottom), _) = block_info[None]["array-location"]
        return _read_block(grid, sources, top, bottom - top, watch)

    chunks = ((len(dates),), (len(bands),), tuple(heights), (grid.columns,))
    array = map_blocks(read, dtype=np.float32, chunks=chunks, name=f"read-{uuid.uuid4().hex}")
    times = np.array(dates, dtype="datetime64[ns]")
    coordinates = {"t": times, "bands": bands, "y": grid.y(), "x": grid.x()}
    return xr.DataArray(array, dims=["t", "bands", "y", "x"], coords=coordinates)


def _read_block(grid: Grid, sources: list[list[list[Source]]], top: int, count: int, watch: Watch) -> Block:
    block = np.full((len(sources), len(sources[0]), count, grid.columns), np.nan, np.float32)
    y = grid.y()[top : top + count]
    x = grid.x()
    for date_index, by_band in enumerate(sources):
        for band_index, files in enumerate(by_band):
            watch.step()
            target = block[date_index, band_index]
            # Several tiles of one day: the first valid pixel wins.
            for position, source in enumerate(files):
                values = read_nearest(source, grid.crs, x, y)
                np.copyto(target, values, where=np.isnan(target) if position else True)
    return block


def read_nearest(source: Source, crs: str, x: Block, y: Block) -> Block:
    """Read the pixels that these centres fall into; outside the file and no-data give NaN."""
    import rasterio
    from rasterio.vrt import WarpedVRT

    with rasterio.open(source.path) as raster:
        nodata = source.nodata if raster.nodata is None else raster.nodata
        if raster.crs is not None and raster.crs.to_string() != crs:
            transform, width, height = _vrt_grid(x, y)
            with WarpedVRT(raster, crs=crs, transform=transform, width=width, height=height,
                           nodata=nodata, src_nodata=nodata) as warped:  # fmt: skip
                return _valid(warped.read(1), nodata, warped.read_masks(1) if nodata is None else None)
        columns = np.floor((x - raster.transform.c) / raster.transform.a + 1e-9).astype(int)
        rows = np.floor((y - raster.transform.f) / raster.transform.e + 1e-9).astype(int)
        return _gather(raster, rows, columns, nodata)


def _gather(raster: Any, rows: Block, columns: Block, nodata: float | None) -> Block:
    from rasterio.windows import Window

    inside_rows = np.flatnonzero((rows >= 0) & (rows < raster.height))
    inside_columns = np.flatnonzero((columns >= 0) & (columns < raster.width))
    if not len(inside_rows) or not len(inside_columns):
        return np.full((len(rows), len(columns)), np.nan, np.float32)
    some_rows, some_columns = rows[inside_rows], columns[inside_columns]
    top, left = int(some_rows[0]), int(some_columns[0])
    height, width = int(some_rows[-1]) - top + 1, int(some_columns[-1]) - left + 1
    values = _valid(raster.read(1, window=Window(left, top, width, height)), nodata, None)
    if (height, width) != (len(some_rows), len(some_columns)):
        values = values[np.ix_(some_rows - top, some_columns - left)]
    if values.shape == (len(rows), len(columns)):
        return values
    full = np.full((len(rows), len(columns)), np.nan, np.float32)
    full[np.ix_(inside_rows, inside_columns)] = values
    return full


def _vrt_grid(x: Block, y: Block) -> tuple[Any, int, int]:
    from affine import Affine

    width = (x[-1] - x[0]) / (len(x) - 1) if len(x) > 1 else 1.0
    height = (y[0] - y[-1]) / (len(y) - 1) if len(y) > 1 else width
    return Affine(width, 0, x[0] - width / 2, 0, -height, y[0] + height / 2), len(x), len(y)


def _valid(values: Block, nodata: float | None, mask: Block | None) -> Block:
    result = values.astype(np.float32)
    if nodata is not None and not np.isnan(nodata):
        result[values == nodata] = np.nan
    if mask is not None:
        result[mask == 0] = np.nan
    return result
