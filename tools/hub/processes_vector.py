"""Processes that join rasters and geometries: statistics per polygon, clipping and masking by polygons."""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr

from tools.hub.cube import Block, Callback, Cube, VectorCube, crs_text
from tools.hub.openeo_errors import OpenEOError, invalid_parameter
from tools.hub.processes_arrays import Labelled
from tools.hub.scratch import computed

Json = dict[str, Any]
_PICKED_VALUES = 5_000_000


def geometries_of(geojson: Any) -> list[Json]:
    """List the geometries of any GeoJSON object."""
    if not isinstance(geojson, dict) or "type" not in geojson:
        raise OpenEOError("ProcessParameterInvalid", "Geometries must be a GeoJSON object.")
    from shapely.errors import ShapelyError
    from shapely.geometry import shape

    kind = geojson["type"]
    try:
        if kind == "FeatureCollection":
            found = [feature["geometry"] for feature in geojson["features"]]
        elif kind == "Feature":
            found = [geojson["geometry"]]
        else:
            found = list(geojson["geometries"]) if kind == "GeometryCollection" else [geojson]
        for geometry in found:
            shape(geometry)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, ShapelyError) as error:
        raise OpenEOError(
            "ProcessParameterInvalid", "The GeoJSON object has a geometry that cannot be read."
        ) from error
    return found


def geojson_crs(geojson: Json) -> str:
    """Give the CRS of a GeoJSON object: EPSG:4326 unless the old `crs` member says otherwise."""
    name = geojson.get("crs", {}).get("properties", {}).get("name") if isinstance(geojson.get("crs"), dict) else None
    return "EPSG:4326" if name is None or "CRS84" in name else crs_text(name)


def to_crs(geojson: Json, target: str | None) -> list[Json]:
    """List geometries in another CRS."""
    from rasterio.warp import transform_geom

    shapes, source = geometries_of(geojson), geojson_crs(geojson)
    if target is None or not shapes or source == target:
        return shapes
    return list(transform_geom(source, target, shapes))


def pixel_mask(cube: Cube, geometry: Json) -> tuple[slice, slice, Block]:
    """Find the window and the pixels in it whose centres lie inside a geometry."""
    from affine import Affine
    from rasterio.features import rasterize
    from shapely.geometry import shape

    x, y = cube.data["x"].values, cube.data["y"].values
    west, south, east, north = shape(geometry).bounds
    columns = np.flatnonzero((x >= west) & (x <= east))
    rows = np.flatnonzero((y >= south) & (y <= north))
    if not len(columns) or not len(rows):
        return slice(0, 0), slice(0, 0), np.zeros((0, 0), bool)
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    width, height = cube.resolution()
    corner = Affine(width, 0, x[columns[0]] - width / 2, 0, -height, y[rows[0]] + height / 2)
    inside = rasterize([(geometry, 1)], out_shape=(len(rows), len(columns)), transform=corner, dtype="uint8")
    return *window, inside.astype(bool)


def _north_up(cube: Cube) -> Cube:
    y = cube.data["y"].values
    return cube.with_data(cube.data.isel(y=slice(None, None, -1))) if len(y) > 1 and y[0] < y[-1] else cube


def _pixels_inside(cube: Cube, shapes: list[Json]) -> Iterator[Block]:
    """Give for each geometry the positions, row by row, of the pixels whose centres lie inside."""
    columns = cube.data.sizes["x"]
    labels = _painted(cube, shapes) if len(shapes) > 1 else None
    if labels is None:
        for geometry in shapes:
            rows, window, inside = pixel_mask(cube, geometry)
            row, column = np.nonzero(inside)
            yield (row + rows.start) * columns + column + window.start
        return
    painted = np.flatnonzero(labels)
    found = labels.ravel()[painted]
    order = np.argsort(found, kind="stable")
    edges = np.searchsorted(found[order], np.arange(1, len(shapes) + 2))
    for start, end in itertools.pairwise(edges):
        yield painted[order[start:end]]


def _painted(cube: Cube, shapes: list[Json]) -> Block | None:
    """Paint all geometries into one layer, numbered from 1; None when some overlap and hide each other."""
    from affine import Affine
    from rasterio.features import rasterize

    x, y = cube.data["x"].values, cube.data["y"].values
    width, height = cube.resolution()
    corner = Affine(width, 0, x[0] - width / 2, 0, -height, y[0] + height / 2)
    numbered = [(shape, number) for number, shape in enumerate(shapes, 1)]
    # The last one painted wins: where the reverse order gives another number, two geometries overlap.
    first, second = (
        rasterize(order, out_shape=(len(y), len(x)), transform=corner, dtype="int32")
        for order in (numbered, numbered[::-1])
    )
    return first if np.array_equal(first, second) else None


def aggregate_spatial(
    data: Cube, geometries: Json, reducer: Callback, target_dimension: str | None = None, context: Any = None
) -> VectorCube:
    """Reduce the pixels whose centres lie in each geometry to one value a date and band."""
    if target_dimension is not None:
        raise invalid_parameter("aggregate_spatial", "target_dimension", "leave it out")
    cube = _north_up(data)
    others = [str(d) for d in cube.data.dims if d not in ("x", "y")]
    source = cube.data.transpose(*others, "y", "x")
    layers = source.shape[:-2]
    values = computed(source).values.reshape(math.prod(layers), -1)

    def reduced(pixels: Block) -> Block:
        value = reducer(data=Labelled(pixels, tuple(range(len(pixels)))), context=context)
        return np.broadcast_to(np.asarray(np.nan if value is None else value, float), pixels.shape[1:])

    table = np.empty((len(geometries_of(geometries)), len(values)))
    for row, inside in zip(table, _pixels_inside(cube, to_crs(geometries, data.crs)), strict=True):
        # Of a large polygon some layers at a time: its pixels are copied.
        step = max(_PICKED_VALUES // max(len(inside), 1), 1)
        for start in range(0, len(values), step):
            row[start : start + step] = reduced(values[start : start + step, inside].T.astype(float))
    table = table.reshape(-1, *layers)
    coordinates = {d: source[d].values for d in others if d in source.coords}
    array = xr.DataArray(table, dims=["geometry", *others], coords=coordinates)
    return VectorCube(array, tuple(geometries_of(geometries)))


def _inside(data: Cube, geojson: Json) -> xr.DataArray:
    cube = _north_up(data)
    flags = np.zeros((cube.data.sizes["y"], cube.data.sizes["x"]), bool)
    for geometry in to_crs(geojson, data.crs):
        rows, columns, inside = pixel_mask(cube, geometry)
        flags[rows, columns] |= inside
    layer = xr.DataArray(flags, dims=["y", "x"], coords={"y": cube.data["y"], "x": cube.data["x"]})
    return layer.sel(y=data.data["y"])


def mask_polygon(data: Cube, mask: Json, replacement: Any = None, inside: bool = False) -> Cube:
    """Replace the pixels outside (or inside) polygons by no-data or another value."""
    keep = _inside(data, mask)
    value = np.float32(np.nan if replacement is None else replacement)
    return data.with_data(data.data.where(~keep if inside else keep, value).transpose(*data.data.dims))


def filter_spatial(data: Cube, geometries: Json) -> Cube:
    """Keep the pixels in geometries and crop to them."""
    keep = _inside(data, geometries)
    rows, columns = np.flatnonzero(keep.any("x")), np.flatnonzero(keep.any("y"))
    if not len(rows):
        raise OpenEOError("NoDataAvailable", "No pixel of the cube lies in the geometries.")
    window = {"y": slice(rows[0], rows[-1] + 1), "x": slice(columns[0], columns[-1] + 1)}
    return data.with_data(data.data.where(keep).transpose(*data.data.dims).isel(window))


PROCESSES: dict[str, Callable[..., Any]] = {
    "aggregate_spatial": aggregate_spatial,
    "mask_polygon": mask_polygon,
    "filter_spatial": filter_spatial,
}
