"""Processes on arrays: statistics that skip no-data, and picking, making and changing arrays along the first axis."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from tools.hub.cube import Block
from tools.hub.openeo_errors import OpenEOError, invalid_parameter
from tools.hub.processes_math import and_, eq, is_null, is_valid, or_, plain, truth

MAX_ELEMENTS = 100_000


@dataclass(frozen=True)
class Labelled:
    """Values along the first axis with a label each: what a callback gets as `data`."""

    values: Any
    """A block whose first axis is the array, or a list."""
    labels: tuple[Any, ...]


def elements(data: Any) -> Any:
    """Give the list or block inside an array."""
    return data.values if isinstance(data, Labelled) else data


def stacked(data: Any) -> Block:
    """Give one float block, first axis the array; lists of blocks are broadcast against each other."""
    data = elements(data)
    if isinstance(data, np.ndarray):
        return data if data.dtype.kind == "f" else data.astype(np.float32)
    if not isinstance(data, list):
        raise OpenEOError("ProcessParameterInvalid", f"Expected an array, got {type(data).__name__}.")
    parts = [np.asarray(np.nan if v is None else elements(v)) for v in data]
    if not any(p.ndim for p in parts):
        return np.array(parts, dtype=float).reshape(len(parts))
    return np.stack(np.broadcast_arrays(*[p.astype(np.float32) for p in parts]))


def _holds_nan(data: Any) -> bool:
    """Tell whether a list of single values holds NaN: there no-data is None, and NaN is a number that spreads."""
    data = elements(data)
    return isinstance(data, list) and any(isinstance(v, float) and np.isnan(v) for v in data)


def _lacks_value(data: Any) -> bool:
    """Tell whether a list has a no-data value."""
    data = elements(data)
    return isinstance(data, list) and any(v is None for v in data)


def _skip(data: Any, ignore_nodata: bool, skipping: Callable[..., Any], strict: Callable[..., Any]) -> Any:
    values = stacked(data)
    if values.shape[0] == 0:
        return None
    if _holds_nan(data):
        return float("nan")
    if not ignore_nodata and _lacks_value(data):
        return None
    with np.errstate(all="ignore"):
        if not ignore_nodata:
            return plain(strict(values))
        result = plain(skipping(values))
    if isinstance(result, float | np.floating) and np.isnan(result) and bool(np.isnan(values).all()):
        return None
    return plain(result)


def _mean(values: Block) -> Any:
    valid = ~np.isnan(values)
    return np.where(valid, values, 0).sum(axis=0, dtype=float) / valid.sum(axis=0)


def sorted_quantile(values: Block, share: float) -> Any:
    """Give a quantile along the first axis without no-data, by one sort: numpy sorts NaN to the end."""
    ordered = np.sort(values, axis=0)
    count = (~np.isnan(ordered)).sum(axis=0)
    position = np.maximum(count - 1, 0) * share
    low = np.floor(position).astype(np.intp)
    high = np.ceil(position).astype(np.intp)
    below = np.take_along_axis(ordered, low[None], axis=0)[0]
    above = np.take_along_axis(ordered, high[None], axis=0)[0]
    weight = (position - low).astype(values.dtype)
    return np.where(weight == 0, below, below * (1 - weight) + above * weight)


def mean(data: Any, ignore_nodata: bool = True) -> Any:
    """Average along the array."""
    return _skip(data, ignore_nodata, _mean, lambda v: v.mean(axis=0))


def median(data: Any, ignore_nodata: bool = True) -> Any:
    """Middle value along the array."""
    return _skip(data, ignore_nodata, lambda v: sorted_quantile(v, 0.5), lambda v: np.median(v, axis=0))


def min_(data: Any, ignore_nodata: bool = True) -> Any:
    """Smallest value along the array."""
    return _skip(data, ignore_nodata, lambda v: np.fmin.reduce(v, axis=0), lambda v: v.min(axis=0))


def max_(data: Any, ignore_nodata: bool = True) -> Any:
    """Largest value along the array."""
    return _skip(data, ignore_nodata, lambda v: np.fmax.reduce(v, axis=0), lambda v: v.max(axis=0))


def _all_missing(values: Block, result: Any, ignore_nodata: bool) -> Any:
    # A sum over nothing valid is no-data, not zero: zero would be a made-up number.
    missing = np.isnan(values).all(axis=0) if ignore_nodata else False
    return plain(np.where(missing, np.nan, result))


def _fold(operation: Callable[..., Any]) -> Callable[..., Any]:
    def run(data: Any, ignore_nodata: bool = True) -> Any:
        values = stacked(data)
        if values.shape[0] == 0:
            return None
        if _holds_nan(data):
            return float("nan")
        if not ignore_nodata and _lacks_value(data):
            return None
        if not ignore_nodata:
            return plain(operation(values, axis=0))
        filled = np.where(np.isnan(values), 0.0 if operation is np.sum else 1.0, values)
        result = _all_missing(values, operation(filled, axis=0, dtype=float), ignore_nodata)
        return None if isinstance(result, float) and np.isnan(result) and np.isnan(values).all() else result

    return run


def _variance(values: Block) -> Any:
    count = (~np.isnan(values)).sum(axis=0)
    centred = values - _mean(values)
    return np.where(count > 1, np.where(np.isnan(values), 0, centred**2).sum(axis=0) / np.maximum(count - 1, 1), np.nan)


def variance(data: Any, ignore_nodata: bool = True) -> Any:
    """Sample variance along the array."""
    result = _skip(data, ignore_nodata, _variance, lambda v: v.var(axis=0, ddof=1) if len(v) > 1 else v[0] * np.nan)
    undefined = isinstance(result, float) and np.isnan(result)
    return None if undefined and not _holds_nan(data) and not np.isinf(stacked(data)).any() else result


def sd(data: Any, ignore_nodata: bool = True) -> Any:
    """Sample standard deviation along the array."""
    result = variance(data, ignore_nodata)
    return None if result is None else plain(np.sqrt(result))


def extrema(data: Any, ignore_nodata: bool = True) -> Any:
    """Give smallest and largest value as an array of two."""
    return [min_(data, ignore_nodata), max_(data, ignore_nodata)]


def quantiles(data: Any, probabilities: Any = None, q: Any = None, ignore_nodata: bool = True) -> Any:
    """Give one value per probability, interpolated linearly."""
    probabilities = q if probabilities is None else probabilities
    if probabilities is None:
        raise OpenEOError("QuantilesParameterMissing", "Give either 'probabilities' or 'q'.")
    shares = [i / probabilities for i in range(1, probabilities)] if isinstance(probabilities, int) else probabilities
    values = stacked(data)
    if values.shape[0] == 0:
        return [None] * len(shares)
    if _holds_nan(data):
        return [float("nan")] * len(shares)
    results = [sorted_quantile(values, share) for share in shares]
    if not ignore_nodata:
        missing = np.isnan(values).any(axis=0)
        results = [np.where(missing, np.nan, r) for r in results]
    if values.ndim == 1:
        return [None if np.isnan(r) else plain(r) for r in results]
    return np.stack(results)


def count(data: Any, condition: Any = None, context: Any = None) -> Any:
    """Count valid values, all values (`condition` true), or those that a callback accepts."""
    inner = elements(data)
    if condition is True:
        if isinstance(inner, np.ndarray) and inner.ndim > 1:
            return np.full(inner.shape[1:], inner.shape[0], dtype=np.float32)
        return len(inner)
    if callable(condition):
        flags = [truth(condition(x=x, context=context))[0] for x in inner]
    elif condition is not None:
        raise OpenEOError("ProcessParameterInvalid", "The condition of 'count' is a process graph, true or null.")
    else:
        flags = [is_valid(x) for x in inner] if isinstance(inner, list) else list(~np.isnan(stacked(inner)))
    return plain(np.sum(np.array(flags), axis=0)) if flags else 0


def _pick(values: Block, ignore_nodata: bool, last: bool) -> Any:
    if not ignore_nodata:
        return values[-1 if last else 0]
    order = values[::-1] if last else values
    index = np.argmax(~np.isnan(order), axis=0)
    return np.take_along_axis(order, index[None], axis=0)[0]


def _end(last: bool) -> Callable[..., Any]:
    def run(data: Any, ignore_nodata: bool = True) -> Any:
        inner = elements(data)
        if isinstance(inner, list):
            rest = [v for v in inner if not (ignore_nodata and v is None)]
            return rest[-1 if last else 0] if rest else None
        return plain(_pick(stacked(inner), ignore_nodata, last)) if len(inner) else None

    return run


def _truths(operation: Callable[[Any, Any], Any], ignored: bool) -> Callable[..., Any]:
    def run(data: Any, ignore_nodata: bool = True) -> Any:
        inner = list(elements(data))
        if not inner:
            return None
        if ignore_nodata and not isinstance(inner[0], np.ndarray):
            inner = [v for v in inner if v is not None]
            return bool(reduce(operation, inner)) if inner else None
        if ignore_nodata:
            missing = np.logical_and.reduce([is_null(v) for v in inner])
            result = reduce(operation, [np.where(is_null(v), ignored, v) for v in inner])
            return np.where(missing, np.nan, result)
        return reduce(operation, inner)

    return run


def array_element(data: Any, index: int | None = None, label: Any = None, return_nodata: bool = False) -> Any:
    """Give one element by position or label."""
    if (index is None) == (label is None):
        code = "ArrayElementParameterMissing" if index is None else "ArrayElementParameterConflict"
        raise OpenEOError(code, "The process 'array_element' needs exactly one of 'index' and 'label'.")
    if label is not None:
        if not isinstance(data, Labelled):
            raise OpenEOError("ArrayNotLabeled", "The array is not labelled, so 'label' cannot be used.")
        index = data.labels.index(label) if label in data.labels else -1
    inner = elements(data)
    if index is not None and 0 <= index < len(inner):
        return plain(inner[index])
    if return_nodata:
        return (
            np.full(inner.shape[1:], np.nan, np.float32) if isinstance(inner, np.ndarray) and inner.ndim > 1 else None
        )
    wanted = f"label {label!r}" if label is not None else f"index {index}"
    raise OpenEOError("ArrayElementNotAvailable", f"The array has no element with {wanted}.")


def array_create(data: Any = None, repeat: int = 1) -> Any:
    """Make an array from values."""
    values = elements([] if data is None else data)
    values = list(values) if isinstance(values, list | np.ndarray) else [values]
    if not isinstance(repeat, int) or not 0 <= repeat * len(values) <= MAX_ELEMENTS:
        raise OpenEOError("ProcessParameterInvalid", f"'repeat' must be whole and give at most {MAX_ELEMENTS} values.")
    return values * repeat


def array_concat(array1: Any, array2: Any) -> Any:
    """Join two arrays end to end."""
    if isinstance(array1, Labelled) and isinstance(array2, Labelled):
        if set(array1.labels) & set(array2.labels):
            raise OpenEOError("ArrayLabelConflict", "At least one label exists in both arrays.")
        return Labelled([*array1.values, *array2.values], (*array1.labels, *array2.labels))
    return [*elements(array1), *elements(array2)]


def array_append(data: Any, value: Any, label: Any = None) -> Any:
    """Add a value at the end."""
    if isinstance(data, Labelled) and label is not None:
        if label in data.labels:
            raise OpenEOError("LabelExists", f"A label {label!r} exists already.")
        return Labelled([*data.values, value], (*data.labels, label))
    if label is not None:
        raise OpenEOError("ArrayNotLabeled", "The array has no labels, so 'label' cannot be used.")
    return [*elements(data), value]


def array_modify(data: Any, values: Any, index: int, length: int = 0) -> Any:
    """Replace `length` elements from `index` on by others; none replaced, they are inserted."""
    inner, new = list(elements(data)), list(elements(values))
    if not 0 <= index <= len(inner):
        raise OpenEOError("ArrayElementNotAvailable", f"The array has {len(inner)} elements, none at {index}.")
    result = [*inner[:index], *new, *inner[index + length :]]
    if not isinstance(data, Labelled) or not (isinstance(values, Labelled) or not new):
        return result
    added = values.labels if isinstance(values, Labelled) else ()
    if set(added) & set(data.labels):
        raise OpenEOError("ArrayLabelConflict", "At least one label exists in both arrays.")
    return Labelled(result, (*data.labels[:index], *added, *data.labels[index + length :]))


def array_contains(data: Any, value: Any) -> Any:
    """Tell whether an array holds a value."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return False
    return any(eq(v, value) is True and type(v) is not dict for v in elements(data))


def array_find(data: Any, value: Any, reverse: bool = False) -> Any:
    """Give the position of a value, or no-data."""
    inner = list(elements(data))
    order = range(len(inner) - 1, -1, -1) if reverse else range(len(inner))
    if is_null(value) is True:
        return None
    return next((i for i in order if eq(inner[i], value) is True), None)


def array_labels(data: Any) -> list[Any]:
    """List the labels of an array."""
    return list(data.labels) if isinstance(data, Labelled) else list(range(len(elements(data))))


def _each(data: Any, callback: Callable[..., Any], context: Any) -> list[Any]:
    labels = array_labels(data)
    return [callback(x=x, index=i, label=labels[i], context=context) for i, x in enumerate(elements(data))]


def array_apply(data: Any, process: Callable[..., Any], context: Any = None) -> Any:
    """Apply a callback to each element."""
    return _each(data, process, context)


def array_filter(data: Any, condition: Callable[..., Any], context: Any = None) -> Any:
    """Keep the elements that a callback accepts; the same ones for all pixels."""
    keep = _each(data, condition, context)
    if any(isinstance(k, np.ndarray) and k.ndim for k in keep):
        raise invalid_parameter("array_filter", "condition", "it must not depend on the pixel")
    inner, labels = elements(data), array_labels(data)
    kept = [i for i, k in enumerate(keep) if k]
    values = [inner[i] for i in kept]
    return Labelled(values, tuple(labels[i] for i in kept)) if isinstance(data, Labelled) else values


def _running(operation: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def run(data: Any, ignore_nodata: bool = True) -> Any:
        values = stacked(data)
        results: list[Any] = []
        current: Any = None
        with np.errstate(all="ignore"):
            for value in values:
                if current is None:
                    current = value
                else:
                    following = operation(current, value)
                    if ignore_nodata:
                        following = np.where(np.isnan(current), value, np.where(np.isnan(value), current, following))
                    current = following
                results.append(np.where(np.isnan(value), np.nan, current) if ignore_nodata else current)
        return np.stack(results) if values.ndim > 1 else [None if np.isnan(r) else plain(r) for r in results]

    return run


PROCESSES: dict[str, Callable[..., Any]] = {
    "mean": mean, "median": median, "min": min_, "max": max_, "sum": _fold(np.sum), "product": _fold(np.prod),
    "variance": variance, "sd": sd, "extrema": extrema, "quantiles": quantiles, "count": count,
    "first": _end(False), "last": _end(True), "all": _truths(and_, True), "any": _truths(or_, False),
    "array_element": array_element, "array_create": array_create, "array_concat": array_concat,
    "array_append": array_append, "array_modify": array_modify, "array_contains": array_contains,
    "array_find": array_find, "array_labels": array_labels, "array_apply": array_apply, "array_filter": array_filter,
    "cumsum": _running(np.add), "cumproduct": _running(np.multiply),
    "cummin": _running(np.minimum), "cummax": _running(np.maximum),
}  # fmt: skip
