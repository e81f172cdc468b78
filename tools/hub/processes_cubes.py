"""Processes on raster cubes: apply and reduce with callbacks, mask, filter, merge, labels, resampling."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import xarray as xr

from tools.hub.blocks import Named, map_values, replace_dimension
from tools.hub.cube import Block, Callback, Cube, crs_text, is_temporal, parse_date, reprojected_bounds, within
from tools.hub.openeo_errors import OpenEOError, invalid_parameter
from tools.hub.processes_arrays import Labelled, elements
from tools.hub.processes_math import truth

ORDER = ("t", "bands", "y", "x")


def ordered(data: xr.DataArray) -> xr.DataArray:
    """Put the usual dimensions into the usual order, others in front."""
    return data.transpose(*[d for d in data.dims if d not in ORDER], *[d for d in ORDER if d in data.dims])


def as_block(value: Any, shape: tuple[int, ...]) -> Block:
    """Give what a callback returned as one float32 block of this shape."""
    return np.broadcast_to(np.asarray(np.nan if value is None else value, dtype=np.float32), shape)


def reduce_dimension(data: Cube, reducer: Callback, dimension: str, context: Any = None) -> Cube:
    """Reduce a dimension to one value with a callback."""
    data.axis(dimension)
    labels = tuple(data.labels(dimension))

    def run(front: Block) -> Block:
        return as_block(reducer(data=Labelled(front, labels), context=context), front.shape[1:])

    return data.with_data(replace_dimension(data.data, dimension, run))


def apply(data: Cube, process: Callback, context: Any = None) -> Cube:
    """Apply a callback to every value."""

    def run(block: Block) -> Block:
        return as_block(process(x=block, context=context), block.shape)

    return data.with_data(map_values(run, data.data))


def _array_block(value: Any, shape: tuple[int, ...]) -> Block:
    """Give the array a callback returned as a block with the array as the first axis."""
    value = elements(value)
    if isinstance(value, np.ndarray) and value.ndim == len(shape) + 1:
        return value.astype(np.float32, copy=False)
    parts = list(value) if isinstance(value, list | np.ndarray) and np.shape(value) != shape else [value]
    return np.stack([as_block(part, shape) for part in parts])


def apply_dimension(
    data: Cube, process: Callback, dimension: str, target_dimension: str | None = None, context: Any = None
) -> Cube:
    """Replace the values along a dimension by what a callback makes of them."""
    data.axis(dimension)
    labels = tuple(data.labels(dimension))

    def run(front: Block) -> Block:
        return _array_block(process(data=Labelled(front, labels), context=context), front.shape[1:])

    # One invented pixel tells how long the result is, before any data is read.
    size = len(run(np.ones((len(labels), 1), np.float32)))
    target = target_dimension or dimension
    result = replace_dimension(data.data, dimension, run, size=size)
    if target in result.dims:
        raise invalid_parameter("apply_dimension", "target_dimension", "the dimension exists already")
    result = result.rename({"__new": target})
    keep = size == len(labels) and target == dimension
    return data.with_data(
        ordered(result.assign_coords({target: data.data[dimension].values if keep else np.arange(size)}))
    )


def ndvi(data: Cube, nir: str = "nir", red: str = "red", target_band: str | None = None) -> Cube:
    """Compute (nir - red) / (nir + red)."""
    bands = data.bands()
    near, visible = _band(data, bands, nir, "NirBandAmbiguous"), _band(data, bands, red, "RedBandAmbiguous")
    result = (near - visible) / (near + visible)
    if target_band is None:
        return data.with_data(result)
    if target_band in data.labels(bands):
        raise OpenEOError("BandExists", f"A band named '{target_band}' exists already.")
    new = result.expand_dims({bands: [target_band]})
    return data.with_data(
        ordered(xr.concat([data.data, new], dim=bands, coords="minimal", compat="override", join="override"))
    )


def _band(data: Cube, bands: str, name: str, code: str) -> xr.DataArray:
    common = data.data.attrs.get("common_names", {})
    label = name if name in data.labels(bands) else common.get(name)
    if label not in data.labels(bands):
        raise OpenEOError(code, f"The band '{name}' is not in the cube; name one of {data.labels(bands)}.")
    return data.data.sel({bands: label}, drop=True)


def mask(data: Cube, mask: Cube, replacement: Any = None) -> Cube:
    """Replace the values where the mask is true (not zero) by no-data or another value."""
    for dim in mask.data.dims:
        data.axis(str(dim))
        if mask.data.sizes[dim] != data.data.sizes[dim] and not is_temporal(mask.data, str(dim)):
            raise OpenEOError("IncompatibleDataCubes", f"Data and mask differ along '{dim}'.")
    layer = mask.data.reindex_like(data.data, fill_value=0, method=None) if _needs_reindex(data, mask) else mask.data
    layer = layer.assign_coords({d: data.data[d] for d in layer.dims if d in data.data.coords})
    value = np.float32(np.nan if replacement is None else replacement)

    def run(values: Block, flags: Block) -> Block:
        return np.where(truth(flags)[0], value, values)

    result = xr.apply_ufunc(Named(run), data.data, layer, dask="parallelized",
                            output_dtypes=[np.float32], keep_attrs=True)  # fmt: skip
    return data.with_data(result.transpose(*data.data.dims))


def _needs_reindex(data: Cube, mask: Cube) -> bool:
    times = [str(d) for d in mask.data.dims if is_temporal(mask.data, str(d))]
    return any(not np.array_equal(mask.data[d].values, data.data[d].values) for d in times)


def filter_bands(data: Cube, bands: Sequence[str] = (), wavelengths: Sequence[Any] = ()) -> Cube:
    """Keep bands by name or common name, in the order asked for."""
    if wavelengths or not bands:
        raise OpenEOError("BandFilterParameterMissing", "Name at least one band; wavelengths are not known here.")
    axis, common = data.bands(), data.data.attrs.get("common_names", {})
    known = data.labels(axis)
    wanted = [b if b in known else common.get(b) for b in bands]
    if any(w not in known for w in wanted):
        raise invalid_parameter("filter_bands", "bands", f"the cube has {known}")
    return data.with_data(data.data.sel({axis: wanted}))


def filter_temporal(data: Cube, extent: Sequence[str | None], dimension: str | None = None) -> Cube:
    """Keep the dates in a half-open interval; an end may be open, or both be times of day."""
    axis = data.temporal(dimension)
    keep = within(data.data[axis].values, *extent)
    return data.with_data(data.data.isel({axis: np.flatnonzero(keep)}))


def filter_bbox(data: Cube, extent: dict[str, Any]) -> Cube:
    """Keep the pixels whose centres lie in a box."""
    box = (extent["west"], extent["south"], extent["east"], extent["north"])
    if data.crs is not None:
        box = reprojected_bounds(box, crs_text(extent.get("crs")), data.crs)  # type: ignore[assignment]  # four numbers in, four out
    west, south, east, north = box
    x, y = data.data["x"].values, data.data["y"].values
    return data.with_data(
        data.data.isel(x=np.flatnonzero((x >= west) & (x <= east)), y=np.flatnonzero((y >= south) & (y <= north)))
    )


def filter_labels(data: Cube, condition: Callback, dimension: str, context: Any = None) -> Cube:
    """Keep the labels that a callback accepts."""
    data.axis(dimension)
    keep = [i for i, label in enumerate(data.labels(dimension)) if condition(value=label, context=context)]
    return data.with_data(data.data.isel({dimension: keep}))


def merge_cubes(cube1: Cube, cube2: Cube, overlap_resolver: Callback | None = None, context: Any = None) -> Cube:
    """Join two cubes; where both have values, a callback decides."""
    first, second = cube1.data, cube2.data
    shared = [str(d) for d in first.dims if d in second.dims]
    differing = [d for d in shared if cube1.labels(d) != cube2.labels(d)]
    for dim in ("x", "y"):
        if dim in differing:
            if len(first[dim]) != len(second[dim]) or not np.allclose(first[dim], second[dim], atol=1e-6):
                raise OpenEOError("IncompatibleDataCubes", "The cubes lie on different grids: resample one first.")
            second = second.assign_coords({dim: first[dim]})
            differing.remove(dim)
    disjoint = len(differing) == 1 and not set(cube1.labels(differing[0])) & set(cube2.labels(differing[0]))
    if disjoint and first.ndim == second.ndim:
        joined = xr.concat([first, second.transpose(*first.dims)], dim=differing[0], coords="minimal",
                           compat="override", join="override", combine_attrs="override")  # fmt: skip
        return cube1.with_data(joined.sortby(differing[0]) if is_temporal(joined, differing[0]) else joined)
    if overlap_resolver is None:
        raise OpenEOError("OverlapResolverMissing", "The cubes overlap: give an 'overlap_resolver'.")

    def run(x: Block, y: Block) -> Block:
        shape = np.broadcast_shapes(x.shape, y.shape)
        x, y = np.broadcast_to(x, shape), np.broadcast_to(y, shape)
        both = as_block(overlap_resolver(x=x, y=y, context=context), shape)
        return np.where(np.isnan(x), y, np.where(np.isnan(y), x, both)) if differing else both

    result = xr.apply_ufunc(Named(run), first, second, join="outer", dask="parallelized",
                            output_dtypes=[np.float32], keep_attrs="override")  # fmt: skip
    return cube1.with_data(ordered(result))


def rename_labels(data: Cube, dimension: str, target: Sequence[Any], source: Sequence[Any] = ()) -> Cube:
    """Give labels new names, all in order or only those in `source`."""
    data.axis(dimension)
    labels = data.labels(dimension)
    if source:
        if len(source) != len(target):
            raise OpenEOError("LabelMismatch", f"{len(source)} labels cannot take {len(target)} new names.")
        missing = [s for s in source if s not in labels]
        if missing:
            raise OpenEOError("LabelNotAvailable", f"Labels {missing} cannot be renamed; there are {labels}.")
        new = [dict(zip(source, target, strict=True)).get(label, label) for label in labels]
    else:
        new = [*target, *labels[len(target) :]]
    if len(new) != len(labels) or len(set(new)) != len(new):
        raise OpenEOError("LabelExists", "The new labels must be distinct and as many as the old ones.")
    return data.with_data(data.data.assign_coords({dimension: new}))


def rename_dimension(data: Cube, source: str, target: str) -> Cube:
    """Give a dimension another name."""
    if target in data.data.dims:
        raise OpenEOError("DimensionExists", f"A dimension named '{target}' exists already.")
    return data.with_data(data.data.rename({data.axis(source): target}))


def add_dimension(data: Cube, name: str, label: Any, type: str = "other") -> Cube:  # noqa: A002  # openEO's name
    """Add a dimension with one label."""
    if name in data.data.dims:
        raise OpenEOError("DimensionExists", f"A dimension named '{name}' exists already.")
    value = parse_date(label) if type == "temporal" else label
    return data.with_data(ordered(data.data.expand_dims({name: [value]})))


def drop_dimension(data: Cube, name: str) -> Cube:
    """Remove a dimension that has one label left."""
    if data.data.sizes[data.axis(name)] > 1:
        raise OpenEOError("DimensionLabelCountMismatch", f"The dimension '{name}' has more than one label.")
    return data.with_data(data.data.isel({name: 0}, drop=True))


def dimension_labels(data: Cube, dimension: str) -> list[Any]:
    """List the labels of a dimension."""
    return data.labels(data.axis(dimension))


PROCESSES: dict[str, Callable[..., Any]] = {
    "reduce_dimension": reduce_dimension, "apply": apply, "apply_dimension": apply_dimension, "ndvi": ndvi,
    "mask": mask, "filter_bands": filter_bands, "filter_temporal": filter_temporal, "filter_bbox": filter_bbox,
    "filter_labels": filter_labels, "merge_cubes": merge_cubes, "rename_labels": rename_labels,
    "rename_dimension": rename_dimension, "add_dimension": add_dimension, "drop_dimension": drop_dimension,
    "dimension_labels": dimension_labels,
}  # fmt: skip
