"""From words to a plan: place, period, collection, polygons, scenes, and what it will cost."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tools.areas import parse_geojson, small_units
from tools.backends import layers_of
from tools.coverage import name_what_is_covered
from tools.errors import NoScenes, NotCovered, TooLarge, ToolInputError
from tools.indices import RADAR, Recipe, check_units, get_recipe, lacking, missing_bands, needs_reflectance, used_layers
from tools.lau import find_communes
from tools.layers import Layers, is_synthetic, is_vector, read_layers
from tools.nuts import NutsSource, find_regions
from tools.periods import parse_period
from tools.places import resolve_place
from tools.schema import Bbox, Estimate, Output, Period, Place, Plan, Polygons, Scene
from tools.stac import StacService, raster_collections
from tools.timings import expected_seconds, timed
from tools.words import counted

if TYPE_CHECKING:
    from tools.toolbox import Context, Services

EDGE_DEG = 0.0003
"""Margin around polygons, so that the box of a tiny one still holds pixels."""
DEFAULT_RESOLUTION_M = 10.0
MAX_NAMED = 8
"""Collections that a refusal names."""


@dataclass(frozen=True)
class Prepared:
    """A plan with everything that was looked up for it."""

    plan: Plan
    recipe: Recipe
    layers: Layers
    units: Polygons
    """The polygons the graph aggregates over: those of the plan, or the place itself."""
    box: Bbox
    scenes: tuple[Scene, ...]
    estimate: Estimate
    synthetic: bool
    warnings: tuple[str, ...]


def prepare(
    services: "Services",
    context: "Context",
    *,
    recipe_id: str,
    place: str,
    period: str,
    output: Output,
    units: str,
    widen: Callable[[Layers], Recipe] | None = None,
) -> Prepared:
    """Fill in the recipe: everything is looked up and checked, nothing is computed yet.

    With `widen`, the recipe only chooses the collection, whose layers then make the recipe that is planned.
    """
    recipe = get_recipe(recipe_id)
    where = choose_place(place, context.area, services.nuts)
    when = choose_period(period, where, context)
    stac = StacService(services.stac_url, timeout_s=services.timeout_s)
    collections = stac.collections()
    polygons = context.area if context.area and output != "composite" else None
    if polygons is None and output == "per_polygon":
        polygons = find_units(stac, collections, where, units, nuts=services.nuts)
    polygons = with_distinct_names(polygons) if polygons else None
    bbox = polygons.bbox if polygons else where.bbox
    layers = choose_collection(
        stac, collections, bbox, when, wanted=context.collection_id, recipe=recipe, place_name=where.name
    )
    layers = layers_of(services, layers)
    recipe = widen(layers) if widen else recipe
    check_units(recipe, layers)
    plan = Plan(
        recipe_id=recipe.id,
        collection_id=layers.collection_id,
        output=output,
        place=where,
        polygons=polygons,
        period=when,
        max_cloud_cover_percent=context.max_cloud_percent,
    )
    scenes = _scenes(stac, plan, bbox)
    if polygons is None:
        where = name_what_is_covered(where, scenes)
        plan = plan.model_copy(update={"place": where})
    box = overlap(bbox, scenes, EDGE_DEG if polygons or where.geometry else 0.0)
    layers = layers.model_copy(
        update={"has_cloud_cover": all(scene.cloud_cover_percent is not None for scene in scenes)}
    )
    estimate = estimate_cost(recipe, layers, scenes, box, max_pixels=services.max_pixels)
    if not estimate.allowed:
        raise TooLarge(
            f"This would read {estimate.megabytes:.0f} MB from {counted(estimate.scenes, 'scene')}, "
            "more than is allowed here.",
            estimate.reason,
        )
    return Prepared(
        plan=plan,
        recipe=recipe,
        layers=layers,
        units=polygons or place_as_unit(where),
        box=box,
        scenes=tuple(scenes),
        estimate=timed(services, estimate),
        synthetic=layers.synthetic or any(scene.synthetic for scene in scenes),
        warnings=_warnings(recipe, layers, polygons, scenes),
    )


def choose_place(name: str, area: Polygons | None, nuts: NutsSource | None = None) -> Place:
    """Return the attached area, else the named place."""
    if area is not None:
        from shapely.geometry import mapping, shape
        from shapely.ops import unary_union

        whole = unary_union([shape(feature["geometry"]) for feature in area.collection["features"]])
        size = sum(area_km2(feature["geometry"]) for feature in area.collection["features"])
        return Place(
            name=area.name,
            kind="uploaded area",
            bbox=area.bbox,
            geometry=dict(mapping(whole)),
            area_km2=size,
            source=area.source,
        )
    if not name.strip():
        raise ToolInputError("No place is named and no area is attached.", "Name a place or attach a file with it.")
    return resolve_place(name, nuts=nuts)


def choose_period(words: str, place: Place, context: "Context") -> Period:
    """Read the period; seasons follow the hemisphere of the place."""
    return parse_period(words, today=context.today, southern=place.bbox[1] + place.bbox[3] < 0)


def choose_collection(
    stac: StacService,
    collections: Sequence[dict[str, Any]],
    bbox: Bbox,
    period: Period,
    *,
    wanted: str | None,
    recipe: Recipe,
    place_name: str,
) -> Layers:
    """Return the wanted collection, else the best one: real, with a cloud mask, with scenes in the period."""
    known = [read_layers(one) for one in raster_collections(collections)]
    if wanted is not None:
        chosen = next((one for one in known if one.collection_id == wanted), None)
        if chosen is None:
            raise ToolInputError(f"There is no collection called {wanted!r}.", f"Known: {_named(known)}.")
        check_units(recipe, chosen)
        if not stac.covers(chosen.collection_id, bbox):
            raise NotCovered(f"The collection {wanted} does not cover {place_name}.", "Choose another collection.")
        return chosen
    known.sort(key=lambda one: (one.synthetic, one.scl is None))
    fit = [one for one in known if not missing_bands(recipe, one)]
    # One request each: an archive may have hundreds of collections, and the first that fits is enough.
    with_scenes = (one for one in fit if stac.scenes(one.collection_id, bbox, period.start, period.end, limit=1))
    covering = (one for one in fit if stac.covers(one.collection_id, bbox))
    if chosen := next(with_scenes, None) or next(covering, None):
        check_units(recipe, chosen)
        return chosen
    spectral = [one for one in known if any(band.common_name for band in one.bands)]
    if near := next((one for one in spectral if stac.covers(one.collection_id, bbox)), None):
        raise lacking(recipe, near)
    raise NotCovered(
        f"No collection with the bands for this covers {place_name}.",
        f"Collections with such bands: {_named(fit) or 'none'}. Try another place, or add data with "
        "`clms-assistant hub add`.",
    )


def _named(collections: Sequence[Layers]) -> str:
    more = f" and {len(collections) - MAX_NAMED} more" if len(collections) > MAX_NAMED else ""
    return ", ".join(one.collection_id for one in collections[:MAX_NAMED]) + more


def find_units(
    stac: StacService, collections: Sequence[dict[str, Any]], place: Place, kind: str, *, nuts: NutsSource | None
) -> Polygons:
    """Return the NUTS regions of a place, or the archive's polygons of a kind that touch it, real before invented."""
    from shapely.geometry import box, shape

    if kind.startswith("nuts"):
        return find_regions(int(kind[-1]), place, nuts)
    if kind == "communes":
        return _communes(stac, collections, place, nuts)
    vectors = sorted((one for one in collections if is_vector(one) and kind in str(one.get("id"))), key=is_synthetic)
    around = shape(place.geometry) if place.geometry else box(*place.bbox)
    for collection in vectors:
        features: list[dict[str, Any]] = []
        warnings: list[str] = []
        for found in stac.polygons(str(collection["id"]), place.bbox):
            read = parse_geojson(found, name=kind)
            warnings += read.warnings
            features += [one for one in read.collection["features"] if shape(one["geometry"]).intersects(around)]
        if features:
            return Polygons(
                name=f"{kind} around {place.name}",
                source=str(collection["id"]),
                synthetic=is_synthetic(collection),
                collection={"type": "FeatureCollection", "features": features},
                warnings=tuple(warnings),
            )
    raise NotCovered(f"There are no {kind} around {place.name} here.", "Attach a file with your polygons, as GeoJSON.")


def _communes(
    stac: StacService, collections: Sequence[dict[str, Any]], place: Place, nuts: NutsSource | None
) -> Polygons:
    """Return communes, else the archive's districts, which are then told not to be communes."""
    try:
        return find_communes(place, nuts)
    except NotCovered as error:
        try:
            found = find_units(stac, collections, place, "districts", nuts=None)
        except NotCovered:
            raise error from None
        told = f"{error.message} The values are of districts of the archive instead. {error.hint}"
        return found.model_copy(update={"warnings": (told, *found.warnings)})


def estimate_cost(recipe: Recipe, layers: Layers, scenes: Sequence[Scene], box: Bbox, *, max_pixels: int) -> Estimate:
    """Tell what a run reads and whether that is allowed; a refusal comes with a smaller alternative."""
    from shapely.geometry import box as square
    from shapely.geometry import mapping

    resolution_m = _resolution_m(recipe, layers)
    pixels = max(1, math.ceil(area_km2(dict(mapping(square(*box)))) * 1e6 / resolution_m**2))
    dates = sorted({scene.datetime[:10] for scene in scenes})
    bands = len(recipe.needs) + (layers.scl is not None)
    values = pixels * bands * len(dates)
    allowed = values <= max_pixels
    reason = f"{pixels} pixels of {resolution_m:g} m, {bands} bands, {len(dates)} dates."
    if not allowed:
        fitting = max_pixels // (pixels * bands)
        side_km = math.sqrt(max_pixels / (bands * len(dates))) * resolution_m / 1000
        shorter = f"the period {dates[-fitting]} to {dates[-1]}, or " if fitting else ""
        reason = f"Try {shorter}an area of at most {side_km:.1f} km by {side_km:.1f} km."
    return Estimate(
        scenes=len(scenes),
        pixels=pixels,
        megabytes=values * 2 / 1e6,
        seconds=round(expected_seconds(values * 2 / 1e6), 1),
        allowed=allowed,
        reason=reason,
    )


def _resolution_m(recipe: Recipe, layers: Layers) -> float:
    return min([band.gsd_m for band in used_layers(recipe, layers) if band.gsd_m] or [DEFAULT_RESOLUTION_M])


def date_list(scenes: Sequence[Scene]) -> str:
    """List the dates of scenes, the middle ones left out when there are many."""
    dates = sorted({scene.datetime[:10] for scene in scenes})
    return ", ".join(dates) if len(dates) <= 6 else f"{dates[0]} to {dates[-1]}, {len(dates)} dates"


def require_scenes(stac: StacService, collection_id: str, bbox: Bbox, period: Period) -> list[Scene]:
    """Return the scenes of a period, or tell which dates are the nearest that exist."""
    scenes = stac.scenes(collection_id, bbox, period.start, period.end)
    if scenes:
        return scenes
    near = stac.nearest_dates(collection_id, bbox, period)
    hint = f"The nearest dates with scenes: {' and '.join(near)}." if near else "No other date has scenes either."
    raise NoScenes(f"{collection_id} has no scene of this place from {period.start} to {period.end}.", hint)


def _scenes(stac: StacService, plan: Plan, bbox: Bbox) -> list[Scene]:
    scenes = require_scenes(stac, plan.collection_id, bbox, plan.period)
    if any(scene.cloud_cover_percent is None for scene in scenes):
        return scenes
    limit = plan.max_cloud_cover_percent
    clear = [scene for scene in scenes if scene.cloud_cover_percent is not None and scene.cloud_cover_percent <= limit]
    if not clear:
        when = f"from {plan.period.start} to {plan.period.end}"
        found = f"The only scene {when} is" if len(scenes) == 1 else f"All {len(scenes)} scenes {when} are"
        best = min(scenes, key=lambda scene: scene.cloud_cover_percent or 0.0)
        near = stac.nearest_dates(plan.collection_id, bbox, plan.period, max_cloud_percent=limit)
        hint = f" The nearest dates below the limit: {' and '.join(near)}." if near else ""
        raise NoScenes(
            f"{found} more than {limit:.0f} % cloudy; the clearest, of {best.datetime[:10]}, has "
            f"{best.cloud_cover_percent:.0f} %.",
            f"Try a longer period.{hint}",
        )
    return clear


def overlap(bbox: Bbox, scenes: Sequence[Scene], margin: float) -> Bbox:
    """Cut a box to where the scenes are: nothing can be computed beyond."""
    west, south = min(scene.bbox[0] for scene in scenes), min(scene.bbox[1] for scene in scenes)
    east, north = max(scene.bbox[2] for scene in scenes), max(scene.bbox[3] for scene in scenes)
    return (
        max(bbox[0] - margin, west),
        max(bbox[1] - margin, south),
        min(bbox[2] + margin, east),
        min(bbox[3] + margin, north),
    )


def place_as_unit(place: Place) -> Polygons:
    """Make the whole place the one polygon."""
    from shapely.geometry import box, mapping

    geometry = place.geometry or dict(mapping(box(*place.bbox)))
    feature = {"type": "Feature", "id": "place", "properties": {"name": place.name}, "geometry": geometry}
    collection = {"type": "FeatureCollection", "features": [feature]}
    return Polygons(name=place.name, source=place.source, collection=collection)


def with_distinct_names(polygons: Polygons) -> Polygons:
    """Add the id to names that occur twice: a table must tell its rows apart."""
    features = polygons.collection["features"]
    names = [str(feature["properties"].get("name") or feature["id"]) for feature in features]
    counts = Counter(names)
    distinct = [
        name if counts[name] == 1 else f"{name} ({feature['id']})"
        for name, feature in zip(names, features, strict=True)
    ]
    named = [
        {**feature, "properties": {**feature["properties"], "name": name}}
        for name, feature in zip(distinct, features, strict=True)
    ]
    return polygons.model_copy(update={"collection": {**polygons.collection, "features": named}})


def _warnings(recipe: Recipe, layers: Layers, polygons: Polygons | None, scenes: Sequence[Scene]) -> tuple[str, ...]:
    found = [*polygons.warnings, *small_units(polygons, _resolution_m(recipe, layers))] if polygons else []
    if layers.synthetic or any(scene.synthetic for scene in scenes):
        found.append("Synthetic demo data: the scenes are invented, the numbers say nothing about the real place.")
    if polygons and polygons.synthetic:
        found.append("Synthetic demo data: the polygons are invented, they are no real parcels or districts.")
    if layers.scl is None and not set(recipe.needs) <= set(RADAR):
        found.append("The collection has no scene classification: clouds and shadows are not masked.")
    return (*found, *_band_warnings(recipe, layers))


def _band_warnings(recipe: Recipe, layers: Layers) -> tuple[str, ...]:
    """Tell what the bands of an index mean for its values."""
    used, found = used_layers(recipe, layers), [layers.note] if layers.note else []
    if any(band.scale is None and band.offset is None for band in used):
        needs = f" {recipe.title} is right only if they are {recipe.wants}." * needs_reflectance(recipe)
        found.append(f"The collection publishes no scale and offset: stored values are used as they are.{needs}")
    sizes = sorted({band.gsd_m for band in used if band.gsd_m})
    if len(sizes) > 1:
        found.append(f"Bands of {', '.join(f'{size:g}' for size in sizes)} m are combined on the finest grid.")
    return (*found, *([recipe.caution] if recipe.caution else []))


def area_km2(geometry: dict[str, Any]) -> float:
    """Give the area of a GeoJSON geometry on the ellipsoid."""
    from pyproj import Geod
    from shapely.geometry import shape

    area, _ = Geod(ellps="WGS84").geometry_area_perimeter(shape(geometry))
    return abs(area) / 1e6
