"""From words to a plan for statistics of a product layer: product, collection, release, encoding, polygons, cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from knowledge.decoding import Header, Rules, date_rules, layer_rules
from knowledge.errors import NotDecodable
from knowledge.ramps import load_ramps, ramp_of
from knowledge.schema import Edition, Product
from tools.advice import Advice
from tools.approval import Changes
from tools.areas import small_units
from tools.backends import layers_of
from tools.coverage import name_what_is_covered
from tools.errors import NoScenes, TooLarge, ToolInputError
from tools.indices import Recipe
from tools.layer_cover import partly_covered
from tools.layer_graphs import equal_area_epsg, is_equal_area
from tools.layer_search import (
    Release,
    choose_release,
    find_edition,
    find_holdings,
    find_product,
    find_releases,
)
from tools.layer_threshold import Bounds, ThresholdRules, with_bounds
from tools.periods import parse_period
from tools.planning import (
    EDGE_DEG,
    Prepared,
    area_km2,
    choose_place,
    find_units,
    overlap,
    place_as_unit,
    with_distinct_names,
)
from tools.schema import Bbox, Estimate, LayerChoice, Period, Place, Plan, Polygons
from tools.selection import Selection
from tools.stac import StacService
from tools.timings import expected_seconds, timed

if TYPE_CHECKING:
    from tools.toolbox import Context, Services

METRES_PER_DEGREE = 111_320.0
PERCENT = "%"
NO_SCALE = (
    "The files name neither scale nor offset: look them up in the manual and add the files again with "
    "`clms-assistant hub add --scale NUMBER --offset NUMBER`."
)


@dataclass(frozen=True)
class Subject:
    """What is asked, looked up once: where, which product, and what of it is here."""

    words: str
    place: Place
    polygons: Polygons | None
    product: Product | None
    advice: Advice
    releases: tuple[Release, ...]
    held_elsewhere: tuple[str, ...]
    """Collections that hold the product, but not here."""
    selection: Selection = field(default_factory=Selection)
    """What to pick from the polygons."""
    bounds: Bounds | None = None
    """Values whose ground is wanted, in hectares; None: all."""


@dataclass(frozen=True)
class LayerWork:
    """A plan for one release, with what was looked up for it."""

    prepared: Prepared
    rules: Rules
    release: Release
    edition: Edition | None
    pixel_m: float
    warp_to_epsg: int | None
    """Equal-area system to compute in, where the layer's own is not of equal area."""

    @property
    def pixel_ha(self) -> float:
        """Area of a pixel, hectares."""
        return self.pixel_m**2 / 10_000


def look_up(
    services: "Services", context: "Context", *, layer: str, place: str, units: str, years: Sequence[str] = ()
) -> Subject:
    """Find the place, its polygons, the product and its releases there."""
    where = choose_place(place, context.area, services.nuts)
    stac = StacService(services.stac_url, timeout_s=services.timeout_s)
    collections = stac.collections()
    polygons = context.area
    if polygons is None and units != "place":
        polygons = find_units(stac, collections, where, units, nuts=services.nuts)
    polygons = with_distinct_names(polygons) if polygons else None
    bbox = polygons.bbox if polygons else where.bbox
    product, advice = find_product(services, layer, bbox=where.bbox, spoken=(place, *years))
    wanted = context.collection_id or layer.strip()
    holdings = find_holdings(services.retriever.catalogue, collections, product=product, wanted=wanted)
    releases = tuple(find_releases(stac, holdings, bbox))
    product = releases[0].holding.product if releases else product
    here = {one.holding.layers.collection_id for one in releases}
    elsewhere = tuple(one.layers.collection_id for one in holdings if one.layers.collection_id not in here)
    return Subject(layer, where, polygons, product, advice, releases, elsewhere)


def look_up_product(services: "Services", subject: Subject, product: Product) -> Subject:
    """Find what of another product is here for the same place and polygons."""
    stac = StacService(services.stac_url, timeout_s=services.timeout_s)
    catalogue = services.retriever.catalogue
    holdings = find_holdings(catalogue, stac.collections(), product=product, wanted="")
    box = subject.polygons.bbox if subject.polygons else subject.place.bbox
    releases = tuple(find_releases(stac, holdings, box))
    return replace(subject, words=product.title, product=product, releases=releases, held_elsewhere=())


def coarser(subject: Subject, work: LayerWork) -> Changes:
    """Offer the same year of the same product in larger pixels, where it is here in a collection of its own."""
    here, found = work.release.holding.layers.collection_id, {}
    for release in subject.releases:
        layers, size = release.holding.layers, release.holding.band.gsd_m or 0.0
        if size > work.pixel_m and release.label == work.release.label and layers.collection_id != here:
            found[f"Coarser: {layers.collection_id}, pixels of {size:g} m"] = {"layer": layers.collection_id}
    return found


def read_reference(words: str, context: "Context") -> Period | None:
    """Read the year that a layer is wanted for; None for the latest."""
    return parse_period(words, today=context.today, earliest=date.min) if words.strip() else None


def prepare_layer(services: "Services", subject: Subject, period: Period | None) -> LayerWork:
    """Fill in the plan for one release.

    Raises:
        NoScenes: No release is of the period; the hint names those that are here.
        ToolInputError: How the layer is stored is not verified, or it holds flags.
        TooLarge: More pixels than allowed.
    """
    release = choose_release(subject.releases, period)
    title = subject.product.title if subject.product else subject.words
    if release is None:
        known = ", ".join(dict.fromkeys(one.label for one in subject.releases))
        raise NoScenes(f"{title} of {period.label if period else 'any year'} is not here.", f"Here are: {known}.")
    edition, variable = find_edition(subject.product, release)
    rules = _rules(services, release, edition, variable)
    if subject.bounds:
        rules = with_bounds(rules, subject.bounds)
    place = subject.place if subject.polygons else name_what_is_covered(subject.place, release.scenes)
    units = subject.polygons or place_as_unit(place)
    epsg, pixel_m = _grid(release, units.bbox)
    warp = equal_area_epsg(units.bbox) if rules.classes and not is_equal_area(epsg) else None
    recipe = _recipe(subject, release, rules, variable)
    plan = _plan(subject, release, recipe, place, edition, variable)
    box = _box(units.bbox, release, whole=subject.polygons is None)
    estimate = _estimate(box, pixel_m, max(1, len(rules.classes)), release, services.max_pixels)
    prepared = Prepared(
        plan=plan,
        recipe=recipe,
        layers=layers_of(services, release.holding.layers),
        units=units,
        box=box,
        scenes=release.scenes,
        estimate=timed(services, estimate),
        synthetic=release.synthetic,
        warnings=_warnings(subject, release, edition, units, pixel_m),
    )
    return LayerWork(prepared, rules, release, edition, pixel_m, warp)


def check_readable(services: "Services", releases: Sequence[Release], product: Product) -> None:
    """Refuse as a computation of the latest release would.

    Raises:
        ToolInputError: How the layer is stored is not verified, or it holds flags.
    """
    if release := choose_release(tuple(releases), None):
        _rules(services, release, *find_edition(product, release))


def _rules(services: "Services", release: Release, edition: Edition | None, variable: str) -> Rules:
    band = release.holding.band
    if edition is None:
        return Rules(None, 1.0 if band.scale is None else band.scale, band.offset or 0.0)
    header = _header(release)
    if dates := date_rules(services.retriever.catalogue, edition.id, variable, header=header):
        return replace(dates, unit=f"day of {release.start.year}")
    try:
        return layer_rules(services.retriever.catalogue, edition.id, variable, header=header)
    except NotDecodable as error:
        raise ToolInputError(error.message, error.hint if header.scale else NO_SCALE) from error


def _header(release: Release) -> Header:
    """Give scale and offset that the file itself tells; whole numbers with the defaults 1 and 0 tell nothing."""
    band = release.holding.band
    asset = (release.items[0].get("assets") or {}).get(band.name) or {}
    inner: dict[str, Any] = next(iter(asset.get("raster:bands") or asset.get("bands") or ()), {})
    physical = str(asset.get("data_type") or inner.get("data_type") or "").startswith("float")
    silent = band.scale in (None, 1) and not band.offset and not physical
    return Header() if silent else Header(scale=band.scale, offset=band.offset)


def _grid(release: Release, bbox: Bbox) -> tuple[str | None, float]:
    """Give the reference system of a release and the side of its pixels in metres, from its items."""
    item = release.items[0]
    properties = item["properties"]
    asset = (item.get("assets") or {}).get(release.holding.band.name) or {}
    code = next(
        (one for place in (asset, properties) for key in ("proj:code", "proj:epsg") if (one := place.get(key))), None
    )
    crs = f"EPSG:{code}" if isinstance(code, int) else code
    transform = asset.get("proj:transform") or properties.get("proj:transform")
    size = release.holding.band.gsd_m or (abs(float(transform[0])) if transform else None) or properties.get("gsd")
    if not size:
        raise ToolInputError(
            f"The collection {release.holding.layers.collection_id} does not say how large its pixels are.",
            "Add `gsd` or `proj:transform` to its metadata.",
        )
    # A step below this cannot be metres: the grid is in degrees.
    degrees = not release.holding.band.gsd_m and float(size) < 0.5 and crs in (None, "EPSG:4326", "OGC:CRS84")
    latitude = math.radians((bbox[1] + bbox[3]) / 2)
    return crs, float(size) * METRES_PER_DEGREE * math.cos(latitude) if degrees else float(size)


def _recipe(subject: Subject, release: Release, rules: Rules, variable: str) -> Recipe:
    product = subject.product
    title = product.title if product else release.holding.layers.title
    low, high = (None if end is None else end * rules.scale + rules.offset for end in rules.valid)
    span = (low, high) if low is not None and high is not None else None
    measured = product.measures if product and product.measures else title
    reading = (
        f"Values are hectares of the ground where {measured} is {rules.bounds.said(rules.unit)}; shares are of the "
        "ground with a value."
        if isinstance(rules, ThresholdRules)
        else f"Values are the median {rules.unit}: 1 is 1 January, 0 and below lie in the year before."
        if rules.date
        else f"Values are hectares of each class of {rules.legend.title if rules.legend else title}; shares are of the "
        "area with a class."
        if rules.classes
        else f"Values are the mean of {measured}" + (f", {span[0]:g} to {span[1]:g}." if span else ".")
    )
    formula = variable or release.holding.band.name
    colours: dict[str, Any] = {"value_range": span} if rules.unit == PERCENT else {}
    if product and not rules.date and (official := ramp_of(product.id, formula)):
        stops = load_ramps()[official].stops
        colours = {"colormap": official, "value_range": (stops[0][0], stops[-1][0])}
    return Recipe(
        id=product.id if product else release.holding.layers.collection_id,
        title=f"{title} {rules.bounds.said(rules.unit)}" if isinstance(rules, ThresholdRules) else title,
        long_name=measured,
        formula=formula,
        unit="ha" if rules.classes else rules.unit or "1",
        reading=reading,
        subject=title,
        **colours,
    )


def _plan(
    subject: Subject, release: Release, recipe: Recipe, place: Place, edition: Edition | None, variable: str
) -> Plan:
    layer = LayerChoice(
        title=recipe.title,
        unit=recipe.unit,
        product_id=subject.product.id if subject.product else None,
        edition_id=edition.id if edition else None,
        variable=variable or None,
        band=release.holding.band.name,
        reference=release.label,
    )
    return Plan(
        recipe_id=recipe.id,
        collection_id=release.holding.layers.collection_id,
        output="per_polygon" if subject.polygons else "composite",
        place=place,
        polygons=subject.polygons,
        period=Period(start=release.start, end=release.end, label=release.label),
        layer=layer,
        parameters={"values": subject.bounds.words} if subject.bounds else {},
    )


def _box(bbox: Bbox, release: Release, *, whole: bool) -> Bbox:
    """Load all of the polygons, so that what is not covered counts; of a place, what is covered and named so."""
    if whole:
        return overlap(bbox, release.scenes, EDGE_DEG)
    west, south, east, north = bbox
    return west - EDGE_DEG, south - EDGE_DEG, east + EDGE_DEG, north + EDGE_DEG


def _estimate(box: Bbox, pixel_m: float, bands: int, release: Release, max_pixels: int) -> Estimate:
    from shapely.geometry import box as square
    from shapely.geometry import mapping

    pixels = max(1, math.ceil(area_km2(dict(mapping(square(*box)))) * 1e6 / pixel_m**2))
    if pixels * bands > max_pixels:
        side_km = math.sqrt(max_pixels / bands) * pixel_m / 1000
        raise TooLarge(
            f"This would compute {pixels * bands} values of {pixel_m:g} m, more than is allowed here.",
            f"Try an area of at most {side_km:.1f} km by {side_km:.1f} km.",
        )
    return Estimate(
        scenes=len(release.scenes),
        pixels=pixels,
        megabytes=pixels * 4 / 1e6,
        seconds=round(expected_seconds(pixels * bands * 4 / 1e6), 1),
        allowed=True,
        reason=f"{pixels} pixels of {pixel_m:g} m, {bands} values each.",
    )


def _warnings(
    subject: Subject, release: Release, edition: Edition | None, units: Polygons, pixel_m: float
) -> tuple[str, ...]:
    found: list[str] = [*units.warnings, *small_units(units, pixel_m)] if subject.polygons else []
    if release.synthetic:
        found.append("Synthetic demo data: the layer is invented, the numbers say nothing about the real place.")
    if units.synthetic:
        found.append("Synthetic demo data: the polygons are invented, they are no real parcels or districts.")
    if edition is None:
        found.append(
            "No edition of a known product could be matched: values are read by the file's own header alone. If they "
            "are codes of classes or dates, their mean means nothing."
        )
    return (*found, *partly_covered(units, release))
