"""A period against the same days of other years: one median for each year, then mean, spread and deviation by code."""

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from dateutil.relativedelta import relativedelta

from tools import anomaly
from tools.advice import Advice
from tools.anomaly import MIN_YEARS, anomalies
from tools.anomaly_report import anomaly_lines, anomaly_method, anomaly_warnings, summarise, year_name
from tools.approval import Changes
from tools.backends import Backend, open_backend
from tools.compute import check_stored_values, find_advice, run_period_tables
from tools.errors import NoScenes, NotCovered, PeriodInvalid, TooLarge
from tools.period_graphs import build_period_graphs
from tools.periods import SENTINEL2_START, parse_period
from tools.planning import Prepared, choose_period, choose_place, estimate_cost, prepare
from tools.recipes import method_text
from tools.runs import Made, run_once
from tools.schema import Artifact, Outcome, Period, Statistics, ToolResult
from tools.telling import result_of
from tools.words import counted

if TYPE_CHECKING:
    from tools.toolbox import Context, Services

Years = tuple[Prepared, ...]
"""The year that is compared, then the others in order of time."""


def compute_anomaly(
    services: "Services", context: "Context", *, recipe_id: str, place: str, period: str, units: str, against: str
) -> ToolResult:
    """Compare a period with the same days of the other years, or of those named by `against`.

    Raises:
        PeriodInvalid: The period is longer than a year, or the years cannot be read.
        NoScenes: Too few other years have scenes of these days; the message says which have.
        TooLarge: All years together read more than is allowed.
    """
    years = _prepare(services, context, recipe_id, place, period, units, against)
    this = years[0]
    work = _merged(services, years)
    named = [(f"YEAR_{year_name(one.plan.period)}", one.plan, one.layers) for one in years]
    graphs = build_period_graphs(named, this.units, this.box, least=MIN_YEARS)
    advice = find_advice(services, context, this)

    def compute() -> Made:
        backend = open_backend(services, context, work.estimate)
        backend.validate(graphs["raster"])
        check_stored_values(backend, this)
        statistics = _run(backend, graphs, work, years, context)
        context.stop_if_asked()
        artifacts = _files(services, context, backend, work, graphs, statistics, advice)
        return Made(statistics=(statistics,), artifacts=artifacts)

    told, made = run_once(services, context, work, graphs, compute, smaller=_fewer_years(services, work))
    return _tell(told, years, made.statistics[0], advice, made.artifacts, today=context.today)


def find_all(work: Prepared, statistics: Statistics) -> list[dict[str, Any]]:
    """Compare each unit with its other years."""
    return anomalies([row.model_dump() for row in statistics.rows], **settings_of(work))


def settings_of(work: Prepared) -> dict[str, Any]:
    """Give what `anomalies` is told beside the rows."""
    names = [year_name(one) for one in (work.plan.period, *work.plan.reference)]
    return {"units": work.units.names, "years": names, "this": names[0]}


def windows(asked: Period, first: date, last: date) -> list[Period]:
    """Give the same days in all other years that lie between two days, the earliest first."""
    shifts = range(first.year - asked.start.year - 1, last.year - asked.start.year + 1)
    found = []
    for shift in (one for one in shifts if one):
        start, end = (day + relativedelta(years=shift) for day in (asked.start, asked.end))
        if first <= start and end <= last:
            found.append(Period(start=start, end=end, label=f"{start} to {end}"))
    return found


def _prepare(
    services: "Services", context: "Context", recipe_id: str, place: str, period: str, units: str, against: str
) -> Years:
    """Fill in the plan of each year, on one collection and the same polygons."""
    context.on_progress("Looking up place, period and scenes")
    asked = choose_period(period, choose_place(place, context.area, services.nuts), context)
    if (asked.end - asked.start).days > 366:
        raise PeriodInvalid(
            f"{asked.start} to {asked.end} is longer than a year, so there are no such days of other years.",
            hint="Name a part of one year, for example 'summer 2024'.",
        )
    named = parse_period(against, today=context.today) if against.strip() else None
    output: Any = "per_polygon" if context.area is not None or units != "place" else "composite"
    shared: dict[str, Any] = {"recipe_id": recipe_id, "place": place, "output": output, "units": units}
    this = prepare(services, context, period=asked.days, **shared)
    this = replace(this, plan=this.plan.model_copy(update={"period": asked}))
    same = replace(context, collection_id=this.plan.collection_id, area=this.plan.polygons or context.area)
    others, without = [], []
    for window in windows(asked, SENTINEL2_START, context.today):
        # A window that crosses the new year bears the year of its January, as winter does.
        if named and not named.start.year <= window.end.year <= named.end.year:
            continue
        context.stop_if_asked()
        try:
            others.append(prepare(services, same, period=window.days, **shared))
        except (NoScenes, NotCovered):
            without.append(year_name(window))
    if len(others) < MIN_YEARS:
        raise _too_few(this, others, without)
    return (this, *others)


def _too_few(this: Prepared, others: list[Prepared], without: list[str]) -> NoScenes:
    names = ", ".join(year_name(one.plan.period) for one in others)
    days = f"{this.plan.period.start:%-d %B} to {this.plan.period.end:%-d %B}"
    here = counted(len(others), "other year") if names else "no other year"
    hint = (
        f"For two years, ask for their difference: {year_name(this.plan.period)} against another year."
        if names
        else "Add scenes of other years with `clms-assistant hub add` or `hub sync`."
    )
    missing = f" Without a scene: {', '.join(without)}." if without else ""
    return NoScenes(
        f"A mean with its spread needs at least {MIN_YEARS} other years; {this.plan.place.name} has {here} with scenes "
        f"of {days}{f' ({names})' if names else ''} in {this.plan.collection_id}.{missing}",
        hint,
    )


def _merged(services: "Services", years: Years) -> Prepared:
    """Make one piece of work of all years.

    Raises:
        TooLarge: Together they read more than is allowed.
    """
    this, *others = years
    megabytes = sum(one.estimate.megabytes for one in years)
    if megabytes * 1e6 / 2 > services.max_pixels:
        share = estimate_cost(
            this.recipe, this.layers, this.scenes, this.box, max_pixels=services.max_pixels // len(years)
        )
        raise TooLarge(
            f"{len(years)} years together would read {megabytes:.0f} MB, more than is allowed here.",
            share.reason if not share.allowed else "Name fewer years to compare with.",
        )
    estimate = this.estimate.model_copy(
        update={
            "scenes": sum(one.estimate.scenes for one in years),
            "megabytes": megabytes,
            "seconds": round(sum(one.estimate.seconds for one in years), 1),
            "reason": f"{len(years)} years; {year_name(this.plan.period)}: {this.estimate.reason}",
        }
    )
    reference = tuple(one.plan.period for one in others)
    return replace(
        this,
        plan=this.plan.model_copy(update={"output": "anomaly", "reference": reference}),
        scenes=tuple(scene for one in years for scene in one.scenes),
        estimate=estimate,
        synthetic=any(one.synthetic for one in years),
        warnings=tuple(dict.fromkeys(warning for one in years for warning in one.warnings)),
    )


def _fewer_years(services: "Services", work: Prepared) -> Changes:
    """Offer the latest years that fit under the first limit."""
    ends = sorted(one.end.year for one in work.plan.reference)
    each_mb = work.estimate.megabytes / (len(ends) + 1)
    fitting = int(services.ask_above_mb / max(each_mb, 1e-9)) - 1
    if not MIN_YEARS <= fitting < len(ends):
        return {}
    years = f"{ends[-fitting]} to {ends[-1]}"
    return {f"Fewer years: {years}": {"against": years}}


def _run(backend: Backend, graphs: dict[str, Any], work: Prepared, years: Years, context: "Context") -> Statistics:
    """Run the two tables: one row for each unit and year."""
    context.on_progress(f"Computing {work.recipe.title} of {work.estimate.reason}")
    rows = run_period_tables(backend, graphs, work.units.names, settings_of(work)["years"], context)
    method = method_text(years[0].plan, work.recipe, work.layers)
    return Statistics(rows=rows, unit=work.recipe.unit, method=anomaly_method(method, years))


def _files(
    services: "Services",
    context: "Context",
    backend: Backend,
    work: Prepared,
    graphs: dict[str, Any],
    statistics: Statistics,
    advice: Advice,
) -> tuple[Artifact, ...]:
    """Draw the years and the map, and write the tables and what runs them again."""
    from tools.anomaly_files import draw_map, draw_years, write_anomaly_table
    from tools.export import write_found
    from tools.export_code import Sequel
    from tools.run_files import make_files

    found = find_all(work, statistics)
    made = [
        write_anomaly_table(services.workspace, work, found),
        write_found(
            services.workspace,
            work.plan,
            found,
            title="Polygons with deviations",
            synthetic=work.synthetic or work.units.synthetic,
        ),
    ]
    if any(row["difference"] is not None for row in found):
        context.on_progress("Drawing the years and the map of the deviation")
        made = [
            draw_years(services.workspace, work, statistics, found),
            *draw_map(services.workspace, backend, work, graphs),
            *made,
        ]
    sequel = Sequel(
        modules=(anomaly,),
        constants={"SETTINGS": settings_of(work), "EXPECTED_DEVIATIONS": found},
        lines=(
            "deviations = anomalies(rows, **SETTINGS)",
            "print(format_anomalies(deviations))",
            "print(compare_anomalies(deviations, EXPECTED_DEVIATIONS))",
        ),
    )
    return make_files(services, context, backend, graphs, work, statistics, advice, pictures=made, sequel=sequel)


def _tell(
    work: Prepared,
    years: Years,
    statistics: Statistics,
    advice: Advice,
    artifacts: tuple[Artifact, ...],
    *,
    today: date,
) -> ToolResult:
    from tools.layer_report import marked

    found = find_all(work, statistics)
    outcome: Outcome = "ok" if any(row["difference"] is not None for row in found) else "no_data"
    lines = anomaly_lines(found, work)
    told = result_of(
        work,
        statistics,
        artifacts,
        advice,
        headline=f"{work.recipe.title} against other years, {work.plan.place.name}, {work.plan.period.days}: "
        f"outcome {outcome}.",
        lines=lines,
        data={
            "anomalies": found,
            "anomaly_summary": summarise(found),
            "years": {
                year_name(one.plan.period): sorted({scene.datetime[:10] for scene in one.scenes}) for one in years
            },
            "finding": marked(lines, work) if outcome == "ok" else "",
        },
        warnings=anomaly_warnings(years, found, today=today),
        outcome=outcome,
    )
    return told if outcome == "ok" else told.model_copy(update={"statistics": None})
