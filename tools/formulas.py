"""Read the formula of an index safely, and work it out with whatever stands for its bands.

A formula is arithmetic on names and numbers: `+ - * / **` and brackets. It is parsed, never run as code, and can be
worked out with numbers, numpy arrays or openEO process nodes alike.
"""

import ast
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tools.errors import ToolInputError


def _power(base: Any, exponent: Any) -> Any:
    """Raise to a power; a node of openEO can be raised, but no number to a node."""
    try:
        return operator.pow(base, exponent)
    except TypeError:
        return (exponent * math.log(base)).exp()


_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: _power,
}
_MAX_CHARS = 1000


def parse(text: str) -> ast.expr:
    """Return the tree of a formula.

    Raises:
        ToolInputError: It holds something else than arithmetic on names and numbers.
    """
    try:
        tree = ast.parse(text if len(text) <= _MAX_CHARS else "", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ToolInputError(f"The formula {text[:80]!r} cannot be read.", "Use + - * / ** and brackets.") from error
    for node in ast.walk(tree):
        if isinstance(node, ast.operator | ast.USub | ast.Load | ast.Name | ast.BinOp | ast.UnaryOp):
            continue
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            continue
        raise ToolInputError(f"The formula {text[:80]!r} is more than arithmetic.", "Use + - * / ** and brackets.")
    if any(type(node.op) not in _OPERATIONS for node in ast.walk(tree) if isinstance(node, ast.BinOp)):
        raise ToolInputError(f"The formula {text[:80]!r} is more than arithmetic.", "Use + - * / ** and brackets.")
    return tree


def names_in(tree: ast.expr) -> frozenset[str]:
    """Return the names a formula uses."""
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


def evaluate(tree: ast.expr, values: Mapping[str, Any]) -> Any:
    """Work a formula out; what has no band in it becomes a plain number."""
    if isinstance(tree, ast.BinOp):
        return _OPERATIONS[type(tree.op)](evaluate(tree.left, values), evaluate(tree.right, values))
    if isinstance(tree, ast.UnaryOp):
        return -evaluate(tree.operand, values)
    if isinstance(tree, ast.Name):
        return values[tree.id]
    assert isinstance(tree, ast.Constant)  # noqa: S101  # parse() lets nothing else through
    return tree.value


def divisors(tree: ast.expr, bands: frozenset[str]) -> tuple[ast.expr, ...]:
    """Return what the formula divides by and what depends on bands: where it is zero, there is no value."""
    found = (node.right for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div))
    return _distinct(node for node in found if names_in(node) & bands)


def radicands(tree: ast.expr, bands: frozenset[str]) -> tuple[ast.expr, ...]:
    """Return what is raised to a power that is no whole number: below zero, there is no value.

    What is a sum of bands is left out: bands below zero have no value anyway.
    """
    found = (node.left for node in ast.walk(tree) if isinstance(node, ast.BinOp) and _is_root(node))
    return _distinct(node for node in found if names_in(node) & bands and not never_negative(node, bands))


def never_negative(tree: ast.expr, bands: frozenset[str]) -> bool:
    """Tell whether a formula is zero or more whenever its bands are: only sums, products and powers of bands."""
    if isinstance(tree, ast.BinOp) and not isinstance(tree.op, ast.Sub):
        return never_negative(tree.left, bands) and never_negative(tree.right, bands)
    if isinstance(tree, ast.Name):
        return tree.id in bands
    return isinstance(tree, ast.Constant)


def is_normalised_difference(tree: ast.expr, bands: frozenset[str]) -> bool:
    """Tell whether the formula is (a - b) / (a + b) with a and b never negative: it then lies between -1 and 1."""
    if not (isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Div)):
        return False
    above, below = tree.left, tree.right
    if not (isinstance(above, ast.BinOp) and isinstance(above.op, ast.Sub)):
        return False
    if not (isinstance(below, ast.BinOp) and isinstance(below.op, ast.Add)):
        return False
    same = ast.dump(above.left) == ast.dump(below.left) and ast.dump(above.right) == ast.dump(below.right)
    return same and never_negative(below, bands)


def depends_on_scale(tree: ast.expr, values: Mapping[str, float], bands: frozenset[str]) -> bool:
    """Tell whether reflectances in other units, such as 0 to 10000, would give other values.

    Args:
        tree: The formula.
        values: A value for each constant.
        bands: The names that are bands.
    """
    # Values without a pattern: evenly spaced ones would cancel out in 2 * G - R - B.
    spread = {band: 0.1 + 0.8 * (0.618 * place % 1) ** 2 for place, band in enumerate(sorted(bands), 1)}
    try:
        once = evaluate(tree, {**values, **spread})
        twice = evaluate(tree, {**values, **{band: 2 * value for band, value in spread.items()}})
    except (ArithmeticError, TypeError, ValueError):
        return True
    return isinstance(once, complex) or abs(once - twice) > 1e-9 * max(1.0, abs(once))


def with_names(tree: ast.expr, names: Mapping[str, str]) -> str:
    """Write a formula with other names for its bands."""

    class Renamed(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.Name:  # the standard library's name
            return ast.Name(names.get(node.id, node.id), node.ctx)

    return ast.unparse(Renamed().visit(ast.parse(ast.unparse(tree), mode="eval")))


def _is_root(node: ast.BinOp) -> bool:
    if not isinstance(node.op, ast.Pow):
        return False
    try:
        power = evaluate(node.right, {})
    except KeyError:
        return True
    return bool(power != int(power))


def _distinct(nodes: Iterator[ast.expr]) -> tuple[ast.expr, ...]:
    return tuple({ast.dump(node): node for node in nodes}.values())
