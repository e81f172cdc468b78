"""Processes on the plane of a cube: resampling to another grid, weighted neighbourhoods, reduction of all pixels."""

import math
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from tools.hub.blocks import Named, replace_dimension
from tools.hub.cube import Block, Callback, Cube, crs_text, reprojected_bounds
from tools.hub.openeo_errors import OpenEOError, invalid_parameter
from tools.hub.processes_arrays import Labelled
from tools.hub.processes_cubes import as_block, ordered
from tools.hub.scratch import on_planes

METHODS = {
    "near": "nearest", "bilinear": "bilinear", "cubic": "cubic", "cubicspline": "cubic_spline", "lanczos": "lanczos",
    "average": "average", "mode": "mode", "max": "max", "min": "min", "med": "med", "q1": "q1", "q3": "q3",
    "rms": "rms", "sum": "sum",
}  # fmt: skip
_WARPING = threading.Lock()
_BORDERS = {"replicate": "nearest", "reflect": "reflect", "reflect_pixel": "mirror", "wrap": "grid-wrap"}


@dataclass(frozen=True)
class Plane:
    """A north-up grid."""

    crs: str
    left: float
    top: float
    width: float
    """Width of a pixel."""
    height: float
    columns: int
    rows: int

    @property
    def transform(self) -> Any:
        """The affine transform from pixels to coordinates."""
        from affine import Affine

        return Affine(self.width, 0, self.left, 0, -self.height, self.top)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Outer edges: west, south, east, north."""
        east, south = self.left + self.columns * self.width, self.top - self.rows * self.height
        return self.left, south, east, self.top

    def x(self) -> Block:
        """Give the centres of the columns."""
        return self.left + (np.arange(self.columns) + 0.5) * self.width

    def y(self) -> Block:
        """Give the centres of the rows, north first."""
        return self.top - (np.arange(self.rows) + 0.5) * self.height


def plane_of(cube: Cube) -> Plane:
    """Give the grid of a cube."""
    cube.axis("x")
    cube.axis("y")
    if cube.crs is None or not cube.data.sizes["x"] or not cube.data.sizes["y"]:
        raise OpenEOError("NoDataAvailable", "The cube has no pixels to resample.")
    width, height = cube.resolution()
    left, top = float(cube.data["x"].values.min()) - width / 2, float(cube.data["y"].values.max()) + height / 2
    return Plane(crs_text(cube.crs), left, top, width, height, cube.data.sizes["x"], cube.data.sizes["y"])


def resample_spatial(
    data: Cube,
    resolution: float | Sequence[float] = 0,
    projection: Any = None,
    method: str = "near",
    align: str = "upper-left",
) -> Cube:
    """Warp a cube to another pixel size or reference system."""
    source = plane_of(data)
    crs = source.crs if projection is None else crs_text(projection)
    width, height = (given or own for given, own in zip(_sizes(resolution), _native(source, crs), strict=True))
    west, south, east, north = reprojected_bounds(source.bounds, source.crs, crs)
    columns, rows = (max(math.ceil(n - 1e-6), 1) for n in ((east - west) / width, (north - south) / height))
    vertical, _, horizontal = align.partition("-")
    if vertical not in ("upper", "lower") or horizontal not in ("left", "right"):
        raise invalid_parameter("resample_spatial", "align", "it is a corner, for example upper-left")
    left = west if horizontal == "left" else east - columns * width
    top = north if vertical == "upper" else south + rows * height
    return _warped(data, source, Plane(crs, left, top, width, height, columns, rows), method, "resample_spatial")


def resample_cube_spatial(data: Cube, target: Cube, method: str = "near") -> Cube:
    """Warp a cube to the grid of another."""
    result = _warped(data, plane_of(data), plane_of(target), method, "resample_cube_spatial")
    # The very numbers of the target, so that the cubes can be merged; its rows may run northwards.
    result = result.with_data(result.data.sortby("y", ascending=bool(target.data["y"][0] < target.data["y"][-1])))
    return result.with_data(result.data.assign_coords(x=target.data["x"].values, y=target.data["y"].values))


def _sizes(resolution: float | Sequence[float]) -> list[float]:
    sizes: list[Any] = list(resolution) if isinstance(resolution, Sequence) else [resolution, resolution]
    if len(sizes) != 2 or not all(isinstance(s, int | float) and math.isfinite(s) and s >= 0 for s in sizes):
        raise invalid_parameter("resample_spatial", "resolution", "give one or two numbers, 0 for no change")
    return [float(size) for size in sizes]


def _native(source: Plane, crs: str) -> tuple[float, float]:
    """Give the pixel size that keeps the detail of a grid in another reference system."""
    if crs == source.crs:
        return source.width, source.height
    from rasterio.warp import calculate_default_transform

    transform, _, _ = calculate_default_transform(source.crs, crs, source.columns, source.rows, *source.bounds)
    return transform.a, -transform.e


def _warped(data: Cube, source: Plane, target: Plane, method: str, process_id: str) -> Cube:
    if method not in METHODS:
        raise invalid_parameter(process_id, "method", f"there are {', '.join(METHODS)}")
    from rasterio.enums import Resampling
    from rasterio.warp import reproject

    algorithm = Resampling[METHODS[method]]
    if target.columns * target.rows > 20 * max(source.columns * source.rows, 1_000_000):
        raise OpenEOError("ProcessGraphComplexity", f"The new grid has {target.columns} by {target.rows} pixels.")

    def run(block: Block) -> Block:
        layers = np.ascontiguousarray(block, np.float32).reshape(-1, *block.shape[-2:])
        result = np.full((len(layers), target.rows, target.columns), np.nan, np.float32)
        # One at a time: rasterio silences a warning of its own in a way that threads undo for each other.
        with _WARPING:
            reproject(
                layers, result, src_transform=source.transform, src_crs=source.crs, src_nodata=np.nan,
                dst_transform=target.transform, dst_crs=target.crs, dst_nodata=np.nan, resampling=algorithm,
                num_threads=os.cpu_count() or 1,
            )  # fmt: skip
        return result.reshape(*block.shape[:-2], target.rows, target.columns)

    cube = data.data
    cube = cube.isel(y=slice(None, None, -1)) if cube["y"][0] < cube["y"][-1] else cube
    result = _planes(run, cube, ("__y", "__x"), {"__y": target.rows, "__x": target.columns})
    result = ordered(result.rename({"__y": "y", "__x": "x"})).assign_coords(y=target.y(), x=target.x())
    return Cube(result.assign_attrs(resolution=target.width), target.crs)


def _planes(run: Callable[[Block], Block], data: xr.DataArray, dims: tuple[str, str], sizes: dict[str, int]) -> Any:
    """Run a function on whole planes, one of each date and band at a time."""
    return xr.apply_ufunc(Named(run), on_planes(data), input_core_dims=[["y", "x"]], output_core_dims=[list(dims)],
                          exclude_dims={"y", "x"}, dask="parallelized", output_dtypes=[np.float32], keep_attrs=True,
                          dask_gufunc_kwargs={"output_sizes": sizes})  # fmt: skip


def apply_kernel(
    data: Cube, kernel: Any, factor: float = 1, border: float | str = 0, replace_invalid: float = 0
) -> Cube:
    """Replace each pixel by the weighted sum of its neighbours."""
    from scipy.ndimage import correlate

    weights = np.asarray(kernel, dtype=float)
    if weights.ndim != 2 or not all(size % 2 for size in weights.shape):
        raise OpenEOError("KernelDimensionsUneven", "Each dimension of the kernel must have an uneven size.")
    if isinstance(border, str) and border not in _BORDERS:
        raise invalid_parameter("apply_kernel", "border", f"give a number, or one of {', '.join(_BORDERS)}")
    mode = _BORDERS[border] if isinstance(border, str) else "constant"
    fill = 0.0 if isinstance(border, str) else float(border)

    def run(block: Block) -> Block:
        layers = np.where(np.isfinite(block), block, replace_invalid).reshape(-1, *block.shape[-2:]).astype(float)
        result = np.stack([correlate(layer, weights, mode=mode, cval=fill) for layer in layers]) * factor
        return result.reshape(block.shape).astype(np.float32)

    data.axis("x")
    data.axis("y")
    sizes = {"__y": data.data.sizes["y"], "__x": data.data.sizes["x"]}
    result = _planes(run, data.data, ("__y", "__x"), sizes).rename({"__y": "y", "__x": "x"})
    result = result.assign_coords(y=data.data["y"].values, x=data.data["x"].values)
    return data.with_data(result.transpose(*data.data.dims))


def reduce_spatial(data: Cube, reducer: Callback, context: Any = None) -> Cube:
    """Reduce all pixels to one value a date and band."""
    data.axis("x")
    data.axis("y")
    pixels = on_planes(data.data).stack(__pixel=("y", "x")).drop_vars(["__pixel", "y", "x"])
    labels = tuple(range(pixels.sizes["__pixel"]))

    def run(front: Block) -> Block:
        return as_block(reducer(data=Labelled(front, labels), context=context), front.shape[1:])

    return Cube(replace_dimension(pixels, "__pixel", run), data.crs)


def resample_cube_temporal(
    data: Cube, target: Cube, dimension: str | None = None, valid_within: float | None = None
) -> Cube:
    """Take for each date of another cube the nearest date of this one; ties give the earlier."""
    if valid_within is not None:
        raise invalid_parameter("resample_cube_temporal", "valid_within", "leave it out: it is not known here")
    axis = data.temporal(dimension)
    wanted, given = target.data[target.temporal(dimension or None)].values, data.data[axis].values
    if not len(given):
        raise OpenEOError("NoDataAvailable", "There are no dates to choose from.")
    nearest = [int(np.argmin(np.abs(given - moment))) for moment in wanted]
    return data.with_data(data.data.isel({axis: nearest}).assign_coords({axis: wanted}))


PROCESSES: dict[str, Callable[..., Any]] = {
    "resample_spatial": resample_spatial, "resample_cube_spatial": resample_cube_spatial,
    "apply_kernel": apply_kernel, "reduce_spatial": reduce_spatial, "resample_cube_temporal": resample_cube_temporal,
}  # fmt: skip
