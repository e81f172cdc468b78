"""The openEO process graphs of a plan: an index per pixel, over time, per polygon, and the words for it."""

from collections.abc import Callable
from datetime import timedelta
from functools import reduce
from typing import Any

from tools import formulas
from tools.indices import Recipe, common_name, get_recipe, used_layers
from tools.layers import Layer, Layers
from tools.schema import Bbox, Plan, Polygons

SCL_MASKED = (0, 1, 3, 8, 9, 10, 11)
"""Scene classes left out: no data, saturated or defective, cloud shadow, medium and high cloud, thin cirrus, snow.

Class 2 (dark or topographic shadow) stays in: it is a view of the ground, and a ratio of two bands suffers little
from weak light. Class 7 (unclassified) stays in because it is not known to be cloud.
"""


def method_text(plan: Plan, recipe: Recipe, layers: Layers) -> str:
    """Tell in a few sentences how the numbers are made."""
    names = {symbol: common_name(symbol) for symbol in recipe.needs}
    used = zip(recipe.needs, used_layers(recipe, layers), strict=True)
    bands = ", ".join(f"{names[symbol]} = {band.name}" for symbol, band in used)
    mask = f"pixels of SCL classes {', '.join(map(str, SCL_MASKED))} left out" if layers.scl else "no cloud mask"
    over = "each date by itself" if plan.output == "series" else "median over the dates, pixel by pixel"
    formula = f"{recipe.title} = {formulas.with_names(formulas.parse(recipe.formula), names)} with {bands}"
    constants = ", ".join(f"{name} = {value:g}" for name, value in recipe.constants.items())
    if constants:
        formula += f"; constants {constants} ({recipe.note or 'the defaults of spyndex'})"
    reference = f" {recipe.title} is the {recipe.long_name}: {recipe.reference}" if recipe.reference else ""
    return f"{formula}; {mask}; {over}; unweighted mean over valid pixel centres.{reference}"


def build_graphs(plan: Plan, layers: Layers, units: Polygons, box: Bbox) -> dict[str, dict[str, Any]]:
    """Build the flat process graphs of a plan.

    `mean` and `count` aggregate a cube with the bands index and VALID over the polygons of `units`; `raster` (not for a
    series) is the composite as GeoTIFF.
    """
    recipe = get_recipe(plan.recipe_id)
    index = index_cube(plan, recipe, layers, box)
    if plan.output != "series":
        index = index.reduce_dimension(dimension="t", reducer="median")
    index = index.add_dimension(name="bands", label=recipe.title, type="bands")
    # Counting along the one-band dimension gives 1 or 0 and never nothing, so counting VALID counts every pixel.
    valid = index.reduce_dimension(dimension="bands", reducer="count")
    valid = valid.add_dimension(name="bands", label="VALID", type="bands")
    both = index.merge_cubes(valid)
    geometries = outlines(units)
    graphs = {
        reducer: both.aggregate_spatial(geometries=geometries, reducer=reducer).save_result(format="JSON").flat_graph()
        for reducer in ("mean", "count")
    }
    if plan.output != "series":
        graphs["raster"] = index.save_result(format="GTiff").flat_graph()
    return graphs


def build_band_means(plan: Plan, layers: Layers, units: Polygons, box: Bbox) -> dict[str, Any]:
    """Build the flat graph of the mean stored value of each band per polygon: it shows what units they are in."""
    recipe = get_recipe(plan.recipe_id)
    cube = load_bands(plan, recipe, layers, box).reduce_dimension(dimension="t", reducer="median")
    table = cube.aggregate_spatial(geometries=outlines(units), reducer="mean")
    graph: dict[str, Any] = table.save_result(format="JSON").flat_graph()
    return graph


def index_cube(plan: Plan, recipe: Recipe, layers: Layers, box: Bbox) -> Any:
    """Load the bands and reduce them to the index, one value per pixel and date."""
    cube = load_bands(plan, recipe, layers, box)
    return cube.reduce_dimension(dimension="bands", reducer=_per_pixel(recipe, layers))


def load_bands(plan: Plan, recipe: Recipe, layers: Layers, box: Bbox) -> Any:
    """Load the bands of a recipe in the order of its symbols, then the scene classification where there is one."""
    from openeo.rest.datacube import DataCube

    names = [band.name for band in used_layers(recipe, layers)] + ([layers.scl] if layers.scl else [])
    return DataCube.load_collection(
        layers.openeo_id or layers.collection_id,
        spatial_extent=dict(zip(("west", "south", "east", "north"), box, strict=True)),
        # openEO periods leave the end out; a plan's period holds it.
        temporal_extent=[plan.period.start.isoformat(), (plan.period.end + timedelta(days=1)).isoformat()],
        bands=names,
        fetch_metadata=False,
        max_cloud_cover=plan.max_cloud_cover_percent if layers.has_cloud_cover else None,
    )


def _per_pixel(recipe: Recipe, layers: Layers) -> Callable[[Any], Any]:
    from openeo.processes import array_element, if_

    used = used_layers(recipe, layers)

    def reducer(data: Any) -> Any:
        physical = [physical_value(array_element(data, index=place), band) for place, band in enumerate(used)]
        value = _value(recipe, dict(zip(recipe.needs, physical, strict=True)))
        if layers.scl is None:
            return value
        return if_(value=_is_clear(array_element(data, index=len(used))), accept=value)

    return reducer


def _is_clear(scl: Any) -> Any:
    from openeo.processes import and_, neq

    return reduce(and_, [neq(scl, code) for code in SCL_MASKED])


def clear_bands(plan: Plan, recipe: Recipe, layers: Layers, box: Bbox) -> Any:
    """Load the bands of a recipe as physical values, nothing where the scene classification says so.

    The bands of the cube have the names that the collection gives them.
    """
    from openeo.processes import array_create, array_element, if_

    used = used_layers(recipe, layers)

    def physical(data: Any) -> Any:
        values = [physical_value(array_element(data, index=place), band) for place, band in enumerate(used)]
        if layers.scl is None:
            return array_create(data=values)
        clear = _is_clear(array_element(data, index=len(used)))
        return array_create(data=[if_(value=clear, accept=value) for value in values])

    cube = load_bands(plan, recipe, layers, box).apply_dimension(dimension="bands", process=physical)
    return cube.rename_labels(dimension="bands", target=[band.name for band in used])


def _value(recipe: Recipe, bands: dict[str, Any]) -> Any:
    """Give the index where all reflectances make sense and nothing is divided by zero, and nothing elsewhere.

    After the offset a reflectance can be below zero (deep water, shadow); a ratio then leaves its range.
    """
    from openeo.processes import and_, gt, gte, if_, neq

    tree, symbols = formulas.parse(recipe.formula), frozenset(bands)
    values = {**recipe.constants, **bands}
    positive = symbols | {name for name, value in recipe.constants.items() if value >= 0}
    sensible = [gte(band, 0) for band in bands.values()]
    sensible += [
        (gt if formulas.never_negative(one, positive) else neq)(formulas.evaluate(one, values), 0)
        for one in formulas.divisors(tree, symbols)
    ]
    sensible += [gte(formulas.evaluate(one, values), 0) for one in formulas.radicands(tree, symbols)]
    return if_(value=reduce(and_, sensible), accept=formulas.evaluate(tree, values))


def physical_value(value: Any, band: Layer) -> Any:
    """Scale a stored value of a band to its physical one."""
    if band.scale is not None and band.scale != 1:
        value = value * band.scale
    if band.offset:
        value = value + band.offset
    return value


def outlines(units: Polygons) -> dict[str, Any]:
    """Send the outlines alone: names and other properties stay here."""
    features = [
        {"type": "Feature", "id": str(feature.get("id", place)), "properties": {}, "geometry": feature["geometry"]}
        for place, feature in enumerate(units.collection["features"])
    ]
    return {"type": "FeatureCollection", "features": features}
