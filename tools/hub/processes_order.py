"""Processes that order, label and fill arrays along their first axis."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tools.hub.cube import Block, parse_date
from tools.hub.openeo_errors import OpenEOError
from tools.hub.processes_arrays import Labelled, array_labels, elements, stacked
from tools.hub.processes_math import is_null, plain


def _is_block(data: Any) -> bool:
    inner = elements(data)
    return isinstance(inner, np.ndarray) and inner.ndim > 1


def _ranks(values: Block, asc: bool, nodata: bool | None) -> Block:
    """Order every pixel's array; no-data goes last, or first when `nodata` is false."""
    key = np.where(np.isnan(values), np.inf if nodata is not False else -np.inf, values if asc else -values)
    ranks: Block = np.argsort(key, axis=0, kind="stable")
    return ranks


def order(data: Any, asc: bool = True, nodata: bool | None = None) -> Any:
    """Give the positions that put an array in order; no-data is left out, last (true) or first (false).

    In cubes each pixel has as many values as the others, so no-data that is not asked for goes last.
    """
    if _is_block(data):
        return _ranks(stacked(data), asc, nodata).astype(np.float32)
    inner = list(elements(data))
    missing = [i for i, value in enumerate(inner) if is_null(value) is True]
    present = [i for i in range(len(inner)) if i not in set(missing)]
    present.sort(key=lambda i: _comparable(inner[i]))
    if not asc:
        # Ties keep their order, as in the ascending case.
        present.sort(key=lambda i: _comparable(inner[i]), reverse=True)
    if nodata is None:
        return present
    return [*present, *missing] if nodata else [*missing, *present]


def _comparable(value: Any) -> Any:
    return parse_date(value) if isinstance(value, str) else value


def rearrange(data: Any, order: Any) -> Any:
    """Put an array into the order of these positions."""
    if _is_block(data):
        values, positions = stacked(data), np.asarray(stacked(order), dtype=np.intp)
        positions = positions.reshape(-1, *[1] * (values.ndim - 1)) if positions.ndim == 1 else positions
        return np.take_along_axis(values, np.broadcast_to(positions, (len(positions), *values.shape[1:])), axis=0)
    inner = list(elements(data))
    return [inner[int(position)] for position in elements(order)]


def sort(data: Any, asc: bool = True, nodata: bool | None = None) -> Any:
    """Put an array in order."""
    return rearrange(data, order(data, asc, nodata))


def array_create_labeled(data: Any, labels: Sequence[Any]) -> Labelled:
    """Give the values of an array labels."""
    values = elements(data)
    if len(values) != len(labels):
        raise OpenEOError("ArrayLengthMismatch", "The number of values and labels differs.")
    return Labelled(values, tuple(labels))


def array_find_label(data: Any, label: Any) -> Any:
    """Give the position of a label, or no-data."""
    labels = list(data.labels) if isinstance(data, Labelled) else []
    return labels.index(label) if label in labels else None


def _positions(data: Any) -> Block:
    """Give where the values lie: at their labels when these are numbers or dates, else at their index."""
    labels = array_labels(data)
    if all(isinstance(label, int | float) and not isinstance(label, bool) for label in labels):
        return np.array(labels, dtype=float)
    try:
        return np.array([parse_date(str(label)) for label in labels]).astype("datetime64[ms]").astype(float)
    except OpenEOError:
        return np.arange(len(labels), dtype=float)


def array_interpolate_linear(data: Any) -> Any:
    """Fill no-data between two values on the straight line between them."""
    inner = elements(data)
    if not len(inner):
        return data
    values = stacked(data)
    filled = _interpolated(values, _positions(data))
    if isinstance(inner, np.ndarray):
        result: Any = filled
    else:
        result = [old if np.isnan(new) else plain(new) for old, new in zip(inner, filled, strict=True)]
    return Labelled(result, data.labels) if isinstance(data, Labelled) else result


def _interpolated(values: Block, positions: Block) -> Block:
    valid = ~np.isnan(values)
    index = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
    before = np.maximum.accumulate(np.where(valid, index, -1), axis=0)
    after = np.minimum.accumulate(np.where(valid, index, len(values))[::-1], axis=0)[::-1]
    between = ~valid & (before >= 0) & (after < len(values))
    low, high = np.clip(before, 0, None), np.clip(after, None, len(values) - 1)
    place = positions.reshape(index.shape)
    start, end = positions[low], positions[high]
    with np.errstate(all="ignore"):
        weight = (place - start) / (end - start)
        line = (
            np.take_along_axis(values, low, axis=0) * (1 - weight) + np.take_along_axis(values, high, axis=0) * weight
        )
    return np.where(between, line, values).astype(values.dtype)


PROCESSES: dict[str, Callable[..., Any]] = {
    "order": order, "rearrange": rearrange, "sort": sort, "array_create_labeled": array_create_labeled,
    "array_find_label": array_find_label, "array_interpolate_linear": array_interpolate_linear,
}  # fmt: skip
