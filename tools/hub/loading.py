"""Loads collections of the archive as cubes: finds the items, lays the grid, reads COG windows block by block."""

import itertools
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
from tools.hub.limits import Limits
from tools.hub.openeo_errors import OpenEOError
from tools.hub.processes_vector import geojson_crs, geometries_of
from tools.hub.reading import Files, Source, read_into
from tools.hub.watch import Run, Watch

Json = dict[str, Any]
Bounds = tuple[float, float, float, float]


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
    first: tuple[int, int] = (0, 0)
    """Row and column of the file that the first ones are."""
    tile: tuple[int, int] = (1, 1)
    """Rows and columns of one tile of the file."""

    def x(self) -> Block:
        """Give the centres of the columns."""
        return self.left + (np.arange(self.columns) + 0.5) * self.width_m

    def y(self) -> Block:
        """Give the centres of the rows, north first."""
        return self.top - (np.arange(self.rows) + 0.5) * self.height_m


class Loader:
    """The process `load_collection` over one archive."""

    def __init__(self, archive: Archive, files: Files, limits: Limits, watch: Watch | None = None) -> None:
        self._archive = archive
        self._files = files
        self._limits = limits
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
        start, end = _period(temporal_extent)
        items = self._archive.items(id, _degrees(spatial_extent), start, end)
        items = [item for item in items if _accepts(item, properties or {})]
        names = _band_names(collection, bands)
        items = [item for item in items if any(name in item["assets"] for name in names)]
        if not items:
            raise OpenEOError("NoDataAvailable", f"Collection '{id}' has no data for the given extents.")
        if len(items) > self._limits.items:
            raise OpenEOError(
                "ProcessGraphComplexity", f"{len(items)} items are asked for; {self._limits.items} at most."
            )
        grid = _grid(self._files, self._paths(items[0], names), spatial_extent)
        dates = _by_date(items)
        self._count(grid, len(dates) * len(names))
        nodata = {b["name"]: _number(b.get("nodata")) for b in collection.get("summaries", {}).get("bands", [])}
        sources = [
            [[Source(self._archive.asset_path(i, name), nodata.get(name)) for i in group if name in i["assets"]]
             for name in names] for group in dates.values()
        ]  # fmt: skip
        array = self._lazy(grid, sources, list(dates), names)
        return Cube(array.assign_attrs(common_names=_common_names(collection), resolution=grid.width_m), grid.crs)

    def _lazy(self, grid: Grid, sources: list[list[list[Source]]], dates: list[str], bands: list[str]) -> xr.DataArray:
        import dask.array

        # dask has no types for it.
        map_blocks: Callable[..., Any] = dask.array.map_blocks
        layers = len(dates) * len(bands)
        heights, widths = block_sizes(grid, self._limits.block_values // layers)
        self._watch.expect(len(heights) * len(widths) * layers)
        files, watch = self._files, self._watch

        def read(block_info: Any = None) -> Block:
            _, _, rows, columns = (slice(*edges) for edges in block_info[None]["array-location"])
            return _read_block(files, grid, sources, grid.x()[columns], grid.y()[rows], watch)

        chunks = ((len(dates),), (len(bands),), heights, widths)
        array = map_blocks(read, dtype=np.float32, chunks=chunks, name=f"read-{uuid.uuid4().hex}")
        times = np.array(dates, dtype="datetime64[ns]")
        coordinates = {"t": times, "bands": bands, "y": grid.y(), "x": grid.x()}
        return xr.DataArray(array, dims=["t", "bands", "y", "x"], coords=coordinates)

    def _paths(self, item: Json, names: list[str]) -> list[Path]:
        return [self._archive.asset_path(item, name) for name in names if name in item["assets"]]

    def _count(self, grid: Grid, layers: int) -> None:
        self.values += grid.columns * grid.rows * layers
        if self.values > self._limits.values:
            message = f"{self.values:,} values (pixels × bands × dates) are asked for; {self._limits.values:,} at most."
            raise OpenEOError("ProcessGraphComplexity", message, hint="Ask for a smaller area or a shorter period.")


def _number(nodata: Any) -> float | None:
    """Read a no-data value of the metadata, where NaN is the text `nan`."""
    return None if nodata is None else float(nodata)


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
        edges: list[Any] = [extent.get(name) for name in ("west", "south", "east", "north")]
        if not all(isinstance(edge, int | float) and math.isfinite(edge) for edge in edges):
            raise OpenEOError("ProcessParameterInvalid", "west, south, east and north must be four finite numbers.")
        if edges[0] > edges[2] or edges[1] > edges[3]:
            text = "west must not lie east of east, nor south north of north; ask twice for both sides of 180 degrees."
            raise OpenEOError("ProcessParameterInvalid", text)
        return (edges[0], edges[1], edges[2], edges[3]), crs_text(extent.get("crs"))
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


def _grid(files: Files, paths: list[Path], extent: Json | None) -> Grid:
    """Lay the grid: CRS of the first item, its finest resolution, the pixels whose centres lie in the extent."""
    finest, tile = None, (1, 1)
    for path in paths:
        with files.use(path) as file:
            raster = file.raster
            if file.crs is not None and (finest is None or raster.res[0] < finest[1][0]):
                finest = raster.transform, raster.res, file.crs, tuple(raster.bounds)
                tile = raster.block_shapes[0]
    if finest is None:
        raise OpenEOError("NoDataAvailable", "The item holds no raster that says where its pixels lie.")
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
    left, top = transform.c + column * width, transform.f - row * height
    return Grid(crs, left, top, width, height, columns, rows, (row, column), tile)


def block_sizes(grid: Grid, cells: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Cut rows and columns into blocks of at most so many cells.

    The cuts lie between tiles where a tile fits into a block, so that none is decoded twice.
    """
    tall, wide = grid.tile
    whole_rows = cells >= tall * grid.columns
    width = grid.columns if whole_rows else max(cells // tall // wide * wide, min(cells, wide), 1)
    height = max(cells // width, 1)
    return (
        _pieces(grid.rows, height // tall * tall or height, grid.first[0]),
        (grid.columns,) if whole_rows else _pieces(grid.columns, width, grid.first[1]),
    )


def _pieces(count: int, step: int, first: int) -> tuple[int, ...]:
    edges = [0, *range(step - first % step, count, step), count]
    return tuple(end - start for start, end in itertools.pairwise(edges))


def _read_block(files: Files, grid: Grid, sources: list[list[list[Source]]], x: Block, y: Block, watch: Watch) -> Block:
    block = np.empty((len(sources), len(sources[0]), len(y), len(x)), np.float32)
    for date_index, by_band in enumerate(sources):
        for band_index, found in enumerate(by_band):
            watch.step()
            _read_layer(files, found, grid.crs, x, y, block[date_index, band_index])
    return block


def _read_layer(files: Files, sources: list[Source], crs: str, x: Block, y: Block, target: Block) -> None:
    """Read one date and band; where several tiles hold a pixel the first valid one wins."""
    if not sources:
        target.fill(np.nan)
        return
    read_into(files, sources[0], crs, x, y, target)
    for source in sources[1:]:
        missing = np.isnan(target)
        if not missing.any():
            return
        other = np.empty_like(target)
        read_into(files, source, crs, x, y, other)
        np.copyto(target, other, where=missing)
