"""The openEO process graphs of several periods: one band for each, and the map of the first minus the others."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

from tools.indices import get_recipe
from tools.layers import Layers
from tools.recipes import index_cube, outlines
from tools.schema import Bbox, Plan, Polygons

Named = tuple[str, Plan, Layers]
"""Name of a band, the plan of its period, and what was read of its collection."""


def build_period_graphs(
    periods: Sequence[Named], units: Polygons, box: Bbox, *, least: int
) -> dict[str, dict[str, Any]]:
    """Build the flat graphs of several periods, the one compared with the others first.

    `mean` and `count` aggregate a cube with the median of each period, and VALID, over the polygons of `units`;
    `raster` is the first period minus the mean of the others, where at least `least` of them have a value.
    """
    cubes = [_median(one, box) for one in periods]
    values = reduce(lambda one, other: one.merge_cubes(other), cubes)
    # Counting along the bands never gives nothing, so counting VALID counts every pixel.
    both = values.merge_cubes(_named(values.reduce_dimension(dimension="bands", reducer="count"), "VALID"))
    shapes = outlines(units)
    tables = {
        reducer: both.aggregate_spatial(geometries=shapes, reducer=reducer).save_result(format="JSON").flat_graph()
        for reducer in ("mean", "count")
    }
    others = reduce(lambda one, other: one.merge_cubes(other), cubes[1:])
    usual = _named(others.reduce_dimension(dimension="bands", reducer="mean"), "USUAL")
    pair = cubes[0].merge_cubes(usual)
    known = pair.reduce_dimension(dimension="bands", reducer=lambda data: data[0] - data[1])
    if least > 1:
        number = others.reduce_dimension(dimension="bands", reducer="count")
        known = known.mask(number.apply(lambda value: value < least))
    return {**tables, "raster": _named(known, "DIFFERENCE").save_result(format="GTiff").flat_graph()}


def _median(one: Named, box: Bbox) -> Any:
    name, plan, layers = one
    cube = index_cube(plan, get_recipe(plan.recipe_id), layers, box)
    return _named(cube.reduce_dimension(dimension="t", reducer="median"), name)


def _named(cube: Any, label: str) -> Any:
    return cube.add_dimension(name="bands", label=label, type="bands")
