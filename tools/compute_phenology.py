"""Season dates of an index per polygon: a masked series from the back-end, then the smoothing and thresholds here."""

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from knowledge.decoding import has_dates
from tools import phenology, season_pixels
from tools.advice import Advice, advise, unit_size_m
from tools.backends import OpenEOBackend, open_backend
from tools.compute import check_stored_values, run_statistics
from tools.errors import PeriodInvalid
from tools.indices import Recipe
from tools.layer_search import find_holdings, find_releases
from tools.periods import SENTINEL2_START
from tools.phenology import Phenology, season_rows, seasons_of
from tools.phenology_report import season_lines, season_method, season_warnings, summarise
from tools.planning import Prepared, choose_period, choose_place, prepare
from tools.recipes import build_graphs
from tools.runs import Made, run_once
from tools.schema import Artifact, Outcome, Period, Recommendation, Statistics, ToolResult
from tools.season_maps import MAX_PIXELS, build_series, make_season_maps, with_maps
from tools.stac import StacService
from tools.telling import result_of

if TYPE_CHECKING:
    from tools.toolbox import Context, Services

MARGIN_DAYS = 180
"""So much is read before and after the period: a season belongs to the day of its peak, whenever it begins or ends."""
MIN_PERIOD_DAYS = 90
"""A shorter period holds no season."""
LEAST_SHARE = 0.05
"""Least amplitude of a season, as a share of the range an index can have: 0.1 for NDVI, which spans 2."""
OFFICIAL = "dates of start, peak and end of the growing season, vegetation phenology"
"""What the official product is looked up by."""


def compute_phenology(
    services: "Services", context: "Context", *, recipe_id: str, place: str, period: str, units: str
) -> ToolResult:
    """Read the series of each polygon, find its seasons, and tell their dates.

    Raises:
        PeriodInvalid: The period is shorter than a season.
        NoScenes: There is no scene in the period or around it.
        TooLarge: More than is allowed would be read.
    """
    context.on_progress("Looking up place, period and scenes")
    asked = choose_period(period, choose_place(place, context.area, services.nuts), context)
    work = _prepare(services, context, recipe_id, place, asked, units)
    context.stop_if_asked()
    # The back-end gives one mean per date and polygon: the series of tools/recipes.py.
    plan = work.plan.model_copy(update={"output": "series"})
    work = replace(work, plan=plan, estimate=with_maps(work.estimate))
    graphs = build_graphs(work.plan, work.layers, work.units, work.box)
    pixels = build_series(work) if work.estimate.pixels <= MAX_PIXELS else {}
    final = replace(work, plan=work.plan.model_copy(update={"output": "phenology", "period": asked}))
    advice, least = _official(services, final), least_amplitude(final.recipe)

    def compute() -> Made:
        backend = open_backend(services, context, work.estimate)
        backend.validate(graphs["mean"])
        check_stored_values(backend, work)
        series = run_statistics(backend, graphs, work, context)
        context.stop_if_asked()
        statistics = series.model_copy(update={"method": season_method(series.method, work.plan.period)})
        maps, again = make_season_maps(services, context, backend, final, pixels, least) if pixels else ([], {})
        artifacts = _files(services, context, backend, final, graphs, statistics, advice, maps, again)
        return Made(statistics=(statistics,), artifacts=artifacts)

    told, made = run_once(services, context, final, {**graphs, "pixels": pixels}, compute)
    held = _held_lines(services, final, advice.recommendation)
    return _tell(told, made.statistics[0], advice, made.artifacts, held, today=context.today)


def find_all(work: Prepared, statistics: Statistics) -> dict[str, Phenology]:
    """Find the seasons of each unit in the series."""
    return seasons_of([row.model_dump() for row in statistics.rows], **settings_of(work))


def settings_of(work: Prepared) -> dict[str, Any]:
    """Give what `seasons_of` is told beside the rows."""
    period = work.plan.period
    least = round(least_amplitude(work.recipe), 6)
    return {"first": period.start.isoformat(), "last": period.end.isoformat(), "least_amplitude": least}


def least_amplitude(recipe: Recipe) -> float:
    """Give what the values must rise for a season; 0 for an index whose range is not known."""
    low, high = recipe.valid_range or (0.0, 0.0)
    return LEAST_SHARE * (high - low)


def _prepare(
    services: "Services", context: "Context", recipe_id: str, place: str, asked: Period, units: str
) -> Prepared:
    """Fill in the plan of the series, some months longer than the period on both sides."""
    days = (asked.end - asked.start).days + 1
    if days < MIN_PERIOD_DAYS:
        raise PeriodInvalid(
            f"{asked.start} to {asked.end} is {days} days, shorter than a season, so there are no season dates.",
            hint=f"Name a year or a growing season, at least {MIN_PERIOD_DAYS} days.",
        )
    margin = timedelta(days=MARGIN_DAYS)
    start, end = max(asked.start - margin, SENTINEL2_START), min(asked.end + margin, context.today)
    per_polygon = context.area is not None or units != "place"
    output: Any = "per_polygon" if per_polygon else "series"
    return prepare(
        services, context, recipe_id=recipe_id, place=place, period=f"{start} to {end}", output=output, units=units
    )


def _official(services: "Services", work: Prepared) -> Advice:
    """Look up the product that gives such dates officially."""
    plan = work.plan
    return advise(
        services.retriever,
        OFFICIAL,
        bbox=plan.place.bbox,
        period=plan.period,
        unit_m=unit_size_m(plan.polygons),
        spoken=(plan.place.name, plan.period.label),
    )


def _held_lines(services: "Services", work: Prepared, official: Recommendation | None) -> list[str]:
    """Tell which collections here hold dates of the official product for the place and the period."""
    if official is None:
        return []
    catalogue, stac = services.retriever.catalogue, StacService(services.stac_url, timeout_s=services.timeout_s)
    product = catalogue.get(official.product_id)
    dates = {one.name for edition in product.editions for one in edition.variables if has_dates(one)}
    holdings = find_holdings(catalogue, stac.collections(), product=product, wanted=" ".join(dates))
    period = work.plan.period
    releases = find_releases(stac, [one for one in holdings if one.band.name in dates], work.units.bbox)
    inside = [one for one in releases if one.start <= period.end and one.end >= period.start]
    names = ", ".join(dict.fromkeys(one.holding.layers.collection_id for one in inside))
    return [f"The official dates are here, too ({names}): name {product.abbr} in the question."] if names else []


def _files(
    services: "Services",
    context: "Context",
    backend: OpenEOBackend,
    work: Prepared,
    graphs: dict[str, Any],
    statistics: Statistics,
    advice: Advice,
    maps: list[Artifact],
    maps_again: dict[str, Any],
) -> tuple[Artifact, ...]:
    """Draw the series with its seasons, and write the tables and what runs them again."""
    from tools.export import write_found
    from tools.export_code import Sequel
    from tools.run_files import make_files
    from tools.season_files import draw_seasons, write_season_table

    found = find_all(work, statistics)
    rows = season_rows(found)
    seasons = [{"seasons": [row for row in rows if row["label"] == name]} for name in work.units.names]
    fake = work.synthetic or work.units.synthetic
    made = [
        write_season_table(services.workspace, work, found),
        write_found(services.workspace, work.plan, seasons, title="Polygons with seasons", synthetic=fake),
    ]
    if any(row.value is not None for row in statistics.rows):
        context.on_progress("Drawing the series with its seasons")
        made.insert(0, draw_seasons(services.workspace, work, statistics, found))
    sequel = Sequel(
        modules=(phenology, season_pixels),
        packages="openeo scipy xarray h5netcdf rasterio",
        constants={"SETTINGS": settings_of(work), "EXPECTED_SEASONS": rows, **maps_again},
        lines=(
            "seasons = season_rows(seasons_of(rows, **SETTINGS))",
            "print(format_seasons(seasons))",
            "print(compare_seasons(seasons, EXPECTED_SEASONS))",
        ),
        raster="print(maps_again(connection, PIXELS, file, EXPECTED_MAPS, **MAP_SETTINGS))" if maps_again else "",
    )
    return make_files(
        services, context, backend, graphs, work, statistics, advice, pictures=[*made, *maps], sequel=sequel
    )


def _no_map(work: Prepared) -> list[str]:
    if work.estimate.pixels <= MAX_PIXELS:
        return []
    return [
        f"No map of the dates pixel by pixel: that takes at most {MAX_PIXELS} pixels, and this area has "
        f"{work.estimate.pixels}. Name a smaller area for it."
    ]


def _tell(
    work: Prepared,
    statistics: Statistics,
    advice: Advice,
    artifacts: tuple[Artifact, ...],
    held: list[str],
    *,
    today: date,
) -> ToolResult:
    from tools.layer_report import marked

    plan, found = work.plan, find_all(work, statistics)
    outcome: Outcome = "ok" if any(one.known for one in found.values()) else "no_data"
    lines = [*season_lines(found, work, advice.recommendation), *held]
    when = f"{plan.period.start} to {plan.period.end}"
    told = result_of(
        work,
        statistics,
        artifacts,
        advice,
        headline=f"Season dates of {work.recipe.title}, {plan.place.name}, {when}: outcome {outcome}.",
        lines=lines,
        data={
            "seasons": season_rows(found),
            "season_summary": summarise(found),
            "finding": marked(lines, work) if outcome == "ok" else "",
        },
        warnings=(*season_warnings(work, found, today=today), *_no_map(work)),
        outcome=outcome,
    )
    # What carries no date carries no number; the series itself is in the files.
    return told if outcome == "ok" else told.model_copy(update={"statistics": None})
