"""Two years of a layer: whether they may be subtracted, as the catalogue tells, and the difference where they may."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from knowledge.catalogue import Catalogue
from knowledge.errors import ProductNotFound
from knowledge.schema import Comparability, Edition
from tools.difference import difference_data, difference_lines, difference_rows, in_order
from tools.errors import ToolInputError
from tools.layer_plan import LayerWork, Subject, prepare_layer
from tools.layer_report import how, marked, not_held
from tools.layer_search import choose_release, covers_year, find_edition
from tools.schema import Artifact, Estimate, Period, Statistics, ToolResult
from tools.telling import overall_outcome, quality, result_of
from tools.words import counted

if TYPE_CHECKING:
    from tools.toolbox import Context, Services

Run = Callable[
    ["Services", "Context", Subject, LayerWork],
    tuple[Statistics, tuple[Artifact, ...]],
]
NOT_VERIFIED = "Whether these two may be subtracted is not verified: no rule of the catalogue is about them."


def compare_editions(
    services: "Services", context: "Context", subject: Subject, one: Period | None, other: Period | None, *, run: Run
) -> ToolResult:
    """Compute the difference of two years, later minus earlier, unless the catalogue says that it misleads.

    Raises:
        NoScenes: One of the years is not here.
        ToolInputError: Both years are the same, or the layers hold different things.
    """
    years = [period or _latest(subject) for period in (one, other)]
    earlier, later = in_order(years[0], years[1])
    catalogue = services.retriever.catalogue
    rule = find_rule(catalogue, subject, earlier, later)
    if rule is not None and rule.allowed is False:
        return refused(catalogue, subject, earlier, later, rule)
    if not subject.releases:
        return not_held(subject)
    before, after = (prepare_layer(services, subject, period) for period in (earlier, later))
    _check_alike(before, after)
    sides = [run(services, context, subject, work) for work in (before, after)]
    return _tell(services, subject, (before, after), sides, rule)


def find_rule(catalogue: Catalogue, subject: Subject, earlier: Period, later: Period) -> Comparability | None:
    """Return what the catalogue says of subtracting two years; None where it says nothing.

    Of editions that are not here, and so could be any of several, one pair that may be subtracted is enough.
    """
    firsts, seconds = (_editions(subject, period) for period in (earlier, later))
    years = (earlier.start.year, later.start.year)
    rules = []
    for first in firsts:
        for second in seconds:
            try:
                rules.append(catalogue.comparability(first.id, second.id, years))
            except ProductNotFound:
                rules.append(None)
    for verdict in (True, False):
        if found := next((rule for rule in rules if rule is not None and rule.allowed is verdict), None):
            return found
    return next((rule for rule in rules if rule is not None), None)


def refused(catalogue: Catalogue, subject: Subject, earlier: Period, later: Period, rule: Comparability) -> ToolResult:
    """Say why two years are not subtracted, and which layer measures the change officially; never a number."""
    title = subject.product.title if subject.product else subject.words
    parts = [f"{title} of {earlier.label} and {later.label} must not be subtracted, so nothing was computed."]
    parts.append(f"{rule.reason} Source: {rule.source}.")
    if told := _change_layer(catalogue, rule):
        parts.append(told)
    parts.append("Each year by itself can be asked for.")
    data = {"comparable": False, "change_product": rule.change_product, "reason": rule.reason}
    return ToolResult(text="\n".join(parts), outcome="not_run", data=data)


def _latest(subject: Subject) -> Period:
    if not subject.releases:
        raise ToolInputError("One of the two years is missing.", "Name both years.")
    release = subject.releases[0]
    return Period(start=release.start, end=release.end, label=release.label)


def _editions(subject: Subject, period: Period) -> list[Edition]:
    release = choose_release(subject.releases, period)
    if release is not None:
        edition, _ = find_edition(subject.product, release)
        return [edition] if edition else []
    year = period.start.year
    return [one for one in subject.product.editions if covers_year(one, year)] if subject.product else []


def _check_alike(before: LayerWork, after: LayerWork) -> None:
    if before.release is after.release:
        raise ToolInputError(f"Both years are the layer of {after.release.label}.", "Name two different years.")
    if before.pixel_m != after.pixel_m:
        raise ToolInputError(
            f"Pixels are {before.pixel_m:g} m against {after.pixel_m:g} m: a difference would show the grid.",
            "Ask for each year by itself.",
        )
    if before.rules.classes != after.rules.classes or before.rules.unit != after.rules.unit:
        raise ToolInputError("The two layers hold different classes or units.", "Ask for each year by itself.")


def _change_layer(catalogue: Catalogue, rule: Comparability) -> str:
    if not rule.change_product:
        return ""
    product = catalogue.get(rule.change_product)
    edition = next((one for one in product.editions if one.id == rule.change_product), None)
    name = f"{edition.title} (edition {edition.id} of {product.title})" if edition else product.title
    access = f" How to get it: {product.access[0]}" if product.access else ""
    return f"Change is measured by {name}, product id {product.id}.{access}"


def _tell(
    services: "Services",
    subject: Subject,
    works: tuple[LayerWork, LayerWork],
    sides: Sequence[tuple[Statistics, tuple[Artifact, ...]]],
    rule: Comparability | None,
) -> ToolResult:
    before, after = works
    earlier, later = (statistics for statistics, _ in sides)
    plan = after.prepared.plan.model_copy(update={"against": before.prepared.plan.period})
    merged = replace(
        after.prepared,
        plan=plan,
        scenes=(*before.prepared.scenes, *after.prepared.scenes),
        estimate=_together(before, after),
        synthetic=before.prepared.synthetic or after.prepared.synthetic,
        warnings=tuple(dict.fromkeys((*before.prepared.warnings, *after.prepared.warnings))),
    )
    unit = "percentage points" if later.unit == "%" else later.unit
    method = f"{after.release.label} minus {before.release.label}, polygon by polygon. Each year: {how(after)}"
    statistics = Statistics(rows=difference_rows(earlier.rows, later.rows), unit=unit, method=method)
    table = difference_data(earlier.rows, later.rows, statistics.rows)
    title = f"{merged.recipe.title}, {after.release.label} minus {before.release.label}"
    lines = [f"{title}, in {unit}:", *difference_lines(merged.recipe.title, table, statistics.rows)]
    outcome = overall_outcome(statistics.rows)
    verdict = _verdict(services.retriever.catalogue, rule)
    data: dict[str, Any] = {"difference": table, "comparable": rule.allowed if rule else None}
    data["finding"] = marked([*lines, verdict[0]], merged) if outcome == "ok" else ""
    return result_of(
        merged,
        statistics,
        (*(one for _, made in sides for one in made), *_files(services, merged.synthetic, statistics, plan, works)),
        subject.advice,
        headline=f"{title}, {plan.place.name}: outcome {outcome}.",
        lines=lines,
        data=data,
        warnings=(*verdict, *_uneven(earlier, later), *quality(statistics.rows)),
    )


def _together(before: LayerWork, after: LayerWork) -> Estimate:
    one, other = before.prepared.estimate, after.prepared.estimate
    return one.model_copy(
        update={
            "scenes": one.scenes + other.scenes,
            "megabytes": one.megabytes + other.megabytes,
            "seconds": round(one.seconds + other.seconds, 1),
        }
    )


def _verdict(catalogue: Catalogue, rule: Comparability | None) -> tuple[str, ...]:
    if rule is None:
        return (NOT_VERIFIED,)
    word = "These editions may be subtracted" if rule.allowed else "Whether they may be subtracted is not verified"
    change = _change_layer(catalogue, rule)
    return (f"{word}: {rule.reason} Source: {rule.source}.{f' {change}' if change else ''}",)


def _uneven(earlier: Statistics, later: Statistics) -> tuple[str, ...]:
    """Tell polygons whose two values rest on different pixels."""
    pairs = zip(earlier.rows, later.rows, strict=True)
    labels = [after.label for before, after in pairs if before.valid_pixels != after.valid_pixels]
    if not labels:
        return ()
    return (f"{counted(len(labels), 'row')} rest on different numbers of valid pixels in the two years.",)


def _files(
    services: "Services", synthetic: bool, statistics: Statistics, plan: Any, works: tuple[LayerWork, LayerWork]
) -> tuple[Artifact, ...]:
    from tools.export import write_table, write_vector

    fake = synthetic or works[1].prepared.units.synthetic
    return (
        write_table(services.workspace, statistics, plan, synthetic=fake),
        write_vector(services.workspace, statistics, plan, synthetic=fake),
    )
