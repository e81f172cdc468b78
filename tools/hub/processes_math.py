"""Processes on single values: arithmetic, comparison, three-valued logic. All take numbers and numpy blocks alike."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np

from tools.hub.cube import Block
from tools.hub.openeo_errors import OpenEOError, invalid_parameter


@dataclass(frozen=True)
class Truth:
    """A block of true, false and no-data (neither): logic on two bit fields is far cheaper than on numbers."""

    true: Block
    false: Block

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Block:
        """Give 1, 0 and NaN."""
        values = self.true.astype(np.float32 if dtype is None else dtype)
        np.copyto(values, np.nan, where=~(self.true | self.false))
        return values


def without_truth(value: Any) -> Any:
    """Write truth values as numbers, for processes that know only numbers."""
    if isinstance(value, list):
        return [without_truth(part) for part in value]
    return np.asarray(value) if isinstance(value, Truth) else value


def number(value: Any) -> Any:
    """Give a number or block; no-data (None) becomes NaN."""
    if value is None:
        return np.nan
    if isinstance(value, Truth):
        return np.asarray(value)
    if isinstance(value, str | dict):
        raise OpenEOError("ProcessParameterInvalid", f"Expected a number, got {value!r}.")
    return np.asarray(value, dtype=float) if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """Give Python values for numpy scalars, as JSON needs."""
    return (
        value.item() if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0) else value
    )


def is_null(value: Any) -> Any:
    """Tell where there is no data: None or NaN."""
    if value is None:
        return True
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return np.isnan(value)
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    return np.zeros(value.shape, bool) if isinstance(value, np.ndarray) else False


class _Seen(threading.local):
    """The block last asked about in this thread: one block is often compared with several numbers in a row."""

    block: Block | None = None
    null: Block | None = None


_seen = _Seen()


def _nulls(block: Block) -> Block | None:
    """Tell where a block has no data, or None when it has a value everywhere."""
    if block.dtype.kind != "f":
        return None
    if _seen.block is not block:
        # The sum tells in one pass without a temporary block whether there is any NaN (or infinity, looked at then).
        _seen.null = None if np.isfinite(block.sum()) else np.isnan(block)
        _seen.block = block
    return _seen.null


def _known(result: Any, *values: Any) -> Any:
    """Put no-data into a comparison's result where a block has it; NaN as a single value is a number like others."""
    if not isinstance(result, np.ndarray):
        return bool(result)
    null: Any = None
    for value in values:
        if isinstance(value, float | np.floating) and np.isnan(value):
            return Truth(np.zeros(result.shape, bool), np.zeros(result.shape, bool))
        missing = _nulls(value) if isinstance(value, np.ndarray) else None
        if missing is not None:
            null = missing if null is None else null | missing
    return result if null is None else Truth(result & ~null, ~(result | null))


def _unary(function: Callable[[Any], Any]) -> Callable[..., Any]:
    def run(x: Any) -> Any:
        with np.errstate(all="ignore"):
            return plain(function(number(x)))

    return run


def _binary(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def run(x: Any, y: Any) -> Any:
        with np.errstate(all="ignore"):
            return plain(function(number(x), number(y)))

    return run


def int_(x: Any) -> Any:
    """Cut off the fraction; a single NaN has no whole part and gives no-data."""
    result = _unary(np.trunc)(x)
    return None if isinstance(result, float) and np.isnan(result) else result


def exp(p: Any) -> Any:
    """Give e to the power of a value."""
    return _unary(np.exp)(p)


def arctan2(y: Any, x: Any) -> Any:
    """Give the angle of a point in radians."""
    return _binary(np.arctan2)(y, x)


def divide(x: Any, y: Any) -> Any:
    """Divide; by zero gives infinity, as IEEE 754 does."""
    with np.errstate(all="ignore"):
        return plain(np.divide(number(x), number(y)))


def power(base: Any, p: Any) -> Any:
    """Raise to a power."""
    with np.errstate(all="ignore"):
        base = number(base)
        return plain(np.power(base if isinstance(base, np.ndarray) else float(base), number(p)))


def log(x: Any, base: Any) -> Any:
    """Give the logarithm to a base."""
    with np.errstate(all="ignore"):
        if not isinstance(base, np.ndarray) and base in (2, 10):
            return plain((np.log2 if base == 2 else np.log10)(number(x)))
        return plain(np.log(number(x)) / np.log(number(base)))


def round_half_even(x: Any, p: int = 0) -> Any:
    """Round to `p` digits, halves to the even neighbour."""
    return plain(np.round(number(x), p))


def clip(x: Any, min: Any, max: Any) -> Any:  # noqa: A002  # openEO's parameter names
    """Limit to a range."""
    if min > max:
        raise OpenEOError("MinMaxSwapped", f"The smallest value, {min}, is greater than the largest, {max}.")
    return plain(np.clip(number(x), min, max))


def linear_scale_range(x: Any, inputMin: Any, inputMax: Any, outputMin: Any = 0, outputMax: Any = 1) -> Any:  # noqa: N803
    """Map a range linearly onto another, values outside clipped."""
    if inputMin == inputMax:
        raise invalid_parameter("linear_scale_range", "inputMax", "it equals inputMin")
    clipped = np.clip(number(x), min(inputMin, inputMax), max(inputMin, inputMax))
    return plain((clipped - inputMin) / (inputMax - inputMin) * (outputMax - outputMin) + outputMin)


def mod(x: Any, y: Any) -> Any:
    """Give the remainder, with the sign of the divisor; by zero as a division by zero."""
    with np.errstate(all="ignore"):
        return plain(np.where(np.equal(y, 0), np.divide(x, y), np.mod(x, y)))


def normalized_difference(x: Any, y: Any) -> Any:
    """Give (x - y) / (x + y)."""
    x, y = number(x), number(y)
    with np.errstate(all="ignore"):
        return plain(np.divide(x - y, x + y))


def eq(x: Any, y: Any, delta: Any = None, case_sensitive: bool = True) -> Any:
    """Tell whether two values are equal; no-data when either is."""
    if x is None or y is None:
        return None
    if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
        return _known(np.abs(x - y) <= delta if delta is not None else x == y, x, y)
    if isinstance(x, str) and isinstance(y, str):
        return x == y if case_sensitive else x.casefold() == y.casefold()
    if isinstance(x, bool) != isinstance(y, bool) or isinstance(x, str) or isinstance(y, str):
        return False
    if isinstance(x, list | dict) or isinstance(y, list | dict):
        return False
    return bool(abs(x - y) <= delta) if delta is not None else bool(x == y)


def neq(x: Any, y: Any, delta: Any = None, case_sensitive: bool = True) -> Any:
    """Tell whether two values differ; no-data when either is."""
    if delta is None and x is not None and y is not None and (isinstance(x, np.ndarray) or isinstance(y, np.ndarray)):
        return _known(x != y, x, y)
    return not_(eq(x, y, delta, case_sensitive))


def _order(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def run(x: Any, y: Any) -> Any:
        if x is None or y is None:
            return None
        if not all(isinstance(v, np.ndarray | int | float | np.number) and not isinstance(v, bool) for v in (x, y)):
            return False
        return _known(function(x, y), x, y)

    return run


gt, gte, lt, lte = _order(np.greater), _order(np.greater_equal), _order(np.less), _order(np.less_equal)


def between(x: Any, min: Any, max: Any, exclude_max: bool = False) -> Any:  # noqa: A002
    """Tell whether a value lies in a range."""
    if is_null(min) is not True and is_null(max) is not True and min > max:
        return False if not isinstance(x, np.ndarray) else np.zeros(x.shape, bool)
    return and_(gte(x, min), lt(x, max) if exclude_max else lte(x, max))


def truth(value: Any) -> tuple[Any, Any]:
    """Split a three-valued truth into (surely true, surely false)."""
    if isinstance(value, Truth):
        return value.true, value.false
    if not isinstance(value, np.ndarray):
        return (False, False) if is_null(value) is True else (bool(value), not value)
    if value.dtype.kind != "f":
        true = value if value.dtype.kind == "b" else value != 0
        return true, ~true
    false = value == 0
    return ~(false | np.isnan(value)), false


def _three_valued(true: Any, false: Any) -> Any:
    if isinstance(true, np.ndarray):
        return Truth(true, false)
    return bool(true) if true or false else None


def _certain(value: Any) -> bool:
    """Tell whether a block can hold only true and false."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "b"


def and_(x: Any, y: Any) -> Any:
    """Conjunction with no-data: false wins over no-data."""
    if _certain(x) and _certain(y):
        return x & y
    (xt, xf), (yt, yf) = truth(x), truth(y)
    return _three_valued(xt & yt, xf | yf)


def or_(x: Any, y: Any) -> Any:
    """Disjunction with no-data: true wins over no-data."""
    if _certain(x) and _certain(y):
        return x | y
    (xt, xf), (yt, yf) = truth(x), truth(y)
    return _three_valued(xt | yt, xf & yf)


def xor(x: Any, y: Any) -> Any:
    """Exclusive disjunction; no-data when either is."""
    (xt, xf), (yt, yf) = truth(x), truth(y)
    return _three_valued((xt & yf) | (xf & yt), (xt & yt) | (xf & yf))


def not_(x: Any) -> Any:
    """Negation; no-data stays no-data."""
    if _certain(x):
        return ~x
    true, false = truth(x)
    return _three_valued(false, true)


def if_(value: Any, accept: Any, reject: Any = None) -> Any:
    """Choose by a truth value; no-data counts as false."""
    true, _ = truth(value)
    if not isinstance(true, np.ndarray):
        return accept if true else reject
    return np.where(true, number(accept), number(reject))


def is_nan(x: Any) -> Any:
    """Tell where a value is not a number."""
    if isinstance(x, np.ndarray):
        return is_null(x)
    return isinstance(x, bool) or not isinstance(x, int | float | np.number) or bool(np.isnan(x))


def is_nodata(x: Any) -> Any:
    """Tell where there is no data; in cubes that is NaN."""
    return is_null(x) if isinstance(x, np.ndarray) else x is None


def is_valid(x: Any) -> Any:
    """Tell where a value is neither no-data nor infinite."""
    if isinstance(x, np.ndarray):
        return np.isfinite(x)
    if x is None:
        return False
    return bool(np.isfinite(x)) if isinstance(x, float) else True


def is_infinite(x: Any) -> Any:
    """Tell where a value is infinite."""
    if isinstance(x, np.ndarray):
        return np.isinf(x)
    return isinstance(x, float) and bool(np.isinf(x))


def constant(x: Any) -> Any:
    """Give the value itself."""
    return x


def _needs_data(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a calculation give no-data as soon as one of its operands is."""

    @wraps(function)
    def run(*operands: Any, **named: Any) -> Any:
        if any(value is None for value in (*operands, *named.values())):
            return None
        return function(*operands, **named)

    return run


TAKES_TRUTH = frozenset({"and", "or", "xor", "not", "if"})
"""Processes that take truth values as they are."""
_CALCULATIONS: dict[str, Callable[..., Any]] = {
    "absolute": _unary(np.abs), "sqrt": _unary(np.sqrt), "exp": exp, "ln": _unary(np.log),
    "floor": _unary(np.floor), "ceil": _unary(np.ceil), "int": int_, "sgn": _unary(np.sign),
    "sin": _unary(np.sin), "cos": _unary(np.cos), "tan": _unary(np.tan),
    "arcsin": _unary(np.arcsin), "arccos": _unary(np.arccos), "arctan": _unary(np.arctan),
    "sinh": _unary(np.sinh), "cosh": _unary(np.cosh), "tanh": _unary(np.tanh),
    "arsinh": _unary(np.arcsinh), "arcosh": _unary(np.arccosh), "artanh": _unary(np.arctanh),
    "arctan2": arctan2,
    "add": _binary(lambda x, y: x + y), "subtract": _binary(lambda x, y: x - y),
    "multiply": _binary(lambda x, y: x * y), "mod": mod, "divide": divide, "power": power, "log": log,
    "round": round_half_even, "clip": clip, "linear_scale_range": linear_scale_range,
    "normalized_difference": normalized_difference,
}  # fmt: skip
PROCESSES: dict[str, Callable[..., Any]] = {
    **{name: _needs_data(function) for name, function in _CALCULATIONS.items()},
    "pi": lambda: math.pi, "e": lambda: math.e, "nan": lambda: float("nan"), "constant": constant,
    "eq": eq, "neq": neq, "gt": gt, "gte": gte, "lt": lt, "lte": lte, "between": between,
    "and": and_, "or": or_, "xor": xor, "not": not_, "if": if_,
    "is_nan": is_nan, "is_nodata": is_nodata, "is_valid": is_valid, "is_infinite": is_infinite,
}  # fmt: skip
