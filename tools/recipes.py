"""Each index as a frozen recipe: what it needs, its openEO process graphs, its unit, and how to read it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tools.errors import ToolInputError
from tools.layers import Layer, Layers
from tools.schema import Bbox, Frozen, Plan, Polygons

SCL_MASKED = (0, 1, 3, 8, 9, 10, 11)
"""Scene classes left out: no data, saturated or defective, cloud shadow, medium and high cloud, thin cirrus, snow.

Class 2 (dark or topographic shadow) stays in: it is a view of the ground, and a ratio of two bands suffers little
from weak light. Class 7 (unclassified) stays in because it is not known to be cloud.
"""


class Recipe(Frozen):
    """How one index is computed."""

    id: str
    title: str
    needs: tuple[str, ...]
    """Common names of the bands, in the order the formula takes them."""
    formula: Callable[[list[Any]], Any]
    """Takes physical values as openEO process nodes."""
    formula_text: str
    unit: str
    value_range: tuple[float, float]
    colormap: str
    reading: str
    """One sentence on how to read the numbers."""
    subject: str
    """What to look for in the catalogue when only the index is known."""


def _ndvi(bands: list[Any]) -> Any:
    """Give the index where both reflectances make sense, nothing elsewhere.

    After the offset a reflectance can be below zero (deep water, shadow); the ratio then leaves -1 to 1.
    """
    from openeo.processes import and_, gt, gte, if_

    red, nir = bands
    sensible = and_(and_(gte(red, 0), gte(nir, 0)), gt(nir + red, 0))
    return if_(value=sensible, accept=(nir - red) / (nir + red))


RECIPES = {
    "ndvi": Recipe(
        id="ndvi",
        title="NDVI",
        needs=("red", "nir"),
        formula=_ndvi,
        formula_text="(nir - red) / (nir + red)",
        unit="1",
        value_range=(-0.2, 1.0),
        colormap="RdYlGn",
        reading="NDVI runs from -1 to 1: bare soil lies near 0.1 to 0.2, dense green plants above 0.6, water below 0.",
        subject="NDVI normalised difference vegetation index, vegetation greenness",
    )
}


def get_recipe(recipe_id: str) -> Recipe:
    """Return a recipe by id."""
    if recipe_id not in RECIPES:
        raise ToolInputError(f"There is no recipe called {recipe_id!r}.", f"Known: {', '.join(sorted(RECIPES))}.")
    return RECIPES[recipe_id]


def used_layers(recipe: Recipe, layers: Layers) -> list[Layer]:
    """Return the bands the recipe reads from a collection, in the formula's order."""
    return [layers.get(name) for name in recipe.needs]


def method_text(plan: Plan, recipe: Recipe, layers: Layers) -> str:
    """Tell in a sentence or two how the numbers are made."""
    used = zip(recipe.needs, used_layers(recipe, layers), strict=True)
    names = ", ".join(f"{need} = {band.name}" for need, band in used)
    mask = f"pixels of SCL classes {', '.join(map(str, SCL_MASKED))} left out" if layers.scl else "no cloud mask"
    over = "each date by itself" if plan.output == "series" else "median over the dates, pixel by pixel"
    formula = f"{recipe.title} = {recipe.formula_text} with {names}"
    return f"{formula}; {mask}; {over}; unweighted mean over valid pixel centres."


def build_graphs(plan: Plan, layers: Layers, units: Polygons, box: Bbox) -> dict[str, dict[str, Any]]:
    """Build the flat process graphs of a plan.

    `mean` and `count` aggregate a cube with the bands index and VALID over the polygons of `units`; `raster` (not for a
    series) is the composite as GeoTIFF.
    """
    recipe = get_recipe(plan.recipe_id)
    index = _index_cube(plan, recipe, layers, box)
    if plan.output != "series":
        index = index.reduce_dimension(dimension="t", reducer="median")
    index = index.add_dimension(name="bands", label=recipe.title, type="bands")
    # Counting along the one-band dimension gives 1 or 0 and never nothing, so counting VALID counts every pixel.
    valid = index.reduce_dimension(dimension="bands", reducer="count")
    valid = valid.add_dimension(name="bands", label="VALID", type="bands")
    both = index.merge_cubes(valid)
    geometries = _geometries(units)
    graphs = {
        reducer: both.aggregate_spatial(geometries=geometries, reducer=reducer).save_result(format="JSON").flat_graph()
        for reducer in ("mean", "count")
    }
    if plan.output != "series":
        graphs["raster"] = index.save_result(format="GTiff").flat_graph()
    return graphs


def _index_cube(plan: Plan, recipe: Recipe, layers: Layers, box: Bbox) -> Any:
    """Load the bands and reduce them to the index, one value per pixel and date."""
    from openeo.rest.datacube import DataCube

    names = [band.name for band in used_layers(recipe, layers)] + ([layers.scl] if layers.scl else [])
    cube = DataCube.load_collection(
        layers.collection_id,
        spatial_extent=dict(zip(("west", "south", "east", "north"), box, strict=True)),
        # openEO periods leave the end out; a plan's period holds it.
        temporal_extent=[plan.period.start.isoformat(), (plan.period.end + timedelta(days=1)).isoformat()],
        bands=names,
        fetch_metadata=False,
        max_cloud_cover=plan.max_cloud_cover_percent if layers.has_cloud_cover else None,
    )
    return cube.reduce_dimension(dimension="bands", reducer=_per_pixel(recipe, layers))


def _per_pixel(recipe: Recipe, layers: Layers) -> Callable[[Any], Any]:
    from openeo.processes import and_, array_element, if_, neq

    used = used_layers(recipe, layers)

    def reducer(data: Any) -> Any:
        physical = [_physical(array_element(data, index=place), band) for place, band in enumerate(used)]
        value = recipe.formula(physical)
        if layers.scl is None:
            return value
        scl = array_element(data, index=len(used))
        clear = neq(scl, SCL_MASKED[0])
        for code in SCL_MASKED[1:]:
            clear = and_(clear, neq(scl, code))
        return if_(value=clear, accept=value)

    return reducer


def _physical(value: Any, band: Layer) -> Any:
    if band.scale is not None and band.scale != 1:
        value = value * band.scale
    if band.offset:
        value = value + band.offset
    return value


def _geometries(units: Polygons) -> dict[str, Any]:
    """Send the outlines alone: names and other properties stay here."""
    features = [
        {"type": "Feature", "id": str(feature.get("id", place)), "properties": {}, "geometry": feature["geometry"]}
        for place, feature in enumerate(units.collection["features"])
    ]
    return {"type": "FeatureCollection", "features": features}
