"""Runs callbacks over the blocks of a cube, in strips small enough for the processor's cache."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr

from tools.hub.cube import Block

STRIP_VALUES = 400_000
"""Values handed to a callback at once: its many temporary arrays then stay in the cache (some MB)."""


class Named:
    """A block function with a name of its own: dask would pickle the whole closure to find one."""

    def __init__(self, function: Callable[..., Block]) -> None:
        self._function = function
        self._name = uuid.uuid4().hex

    def __call__(self, *blocks: Any, **options: Any) -> Block:
        """Run the function."""
        return self._function(*blocks, **options)

    def __dask_tokenize__(self) -> str:
        return self._name


def strips(shape: tuple[int, ...], layers: int) -> Iterator[tuple[slice, ...]]:
    """Cut a block of this shape, with so many values a cell, into windows along its longest axis but the last."""
    if not shape or 0 in shape:
        yield ()
        return
    axis = int(np.argmax(shape[:-1])) if len(shape) > 1 else 0
    cells = int(np.prod(shape)) // shape[axis]
    step = max(STRIP_VALUES // max(cells * layers, 1), 1)
    for start in range(0, shape[axis], step):
        yield (*[slice(None)] * axis, slice(start, start + step))


def replace_dimension(
    data: xr.DataArray, dim: str, function: Callable[[Block], Block], *, size: int | None = None
) -> xr.DataArray:
    """Replace a dimension by what a function makes of it: nothing (`size` None), or a last axis of another size.

    The function gets blocks whose first axis is the dimension; it gives what is left, or has its new axis first.
    """
    axis = data.dims.index(dim)

    def run(nested: Any) -> Block:
        while isinstance(nested, list):  # dask hands over the one block of a dimension in a list
            nested = nested[0]
        front = np.moveaxis(nested, axis, 0)
        new = () if size is None else (size,)
        result = np.empty((*new, *front.shape[1:]), np.float32)
        for part in strips(front.shape[1:], front.shape[0]):
            cut = (slice(None), *part)
            result[cut if new else part] = function(front[cut])
        return np.moveaxis(result, 0, -1) if new else result

    rest = [str(d) for d in data.dims if d != dim]
    dims = rest if size is None else [*rest, "__new"]
    kept = {d: data.coords[d] for d in rest if d in data.coords}
    if not data.chunks:
        return xr.DataArray(run(data.values), dims=dims, coords=kept, attrs=data.attrs)
    return xr.DataArray(_lazily(run, data, axis, size), dims=dims, coords=kept, attrs=data.attrs)


def _lazily(run: Callable[[Any], Block], data: xr.DataArray, axis: int, size: int | None) -> Any:
    import dask.array

    blockwise: Callable[..., Any] = dask.array.blockwise  # dask has no types for it
    source = data.data.rechunk({axis: -1})
    indices = list(range(data.ndim))
    rest = [i for i in indices if i != axis]
    output = rest if size is None else [*rest, data.ndim]
    # Not concatenated by dask, which would copy the block: after the rechunk there is one along the dimension.
    return blockwise(
        run, output, source, indices, name=f"replace-{uuid.uuid4().hex}", dtype=np.float32, concatenate=False,
        new_axes={} if size is None else {data.ndim: size}, meta=np.empty((0,) * len(output), np.float32),
    )  # fmt: skip


def map_values(function: Callable[[Block], Block], data: xr.DataArray) -> xr.DataArray:
    """Apply a function to every value."""

    def run(block: Block) -> Block:
        result = np.empty(block.shape, np.float32)
        for part in strips(block.shape, 1):
            result[part] = function(block[part])
        return result

    result: xr.DataArray = xr.apply_ufunc(
        Named(run), data, dask="parallelized", output_dtypes=[np.float32], keep_attrs=True
    )
    return result
