"""Two years of a layer: their change where the catalogue lets them be subtracted, else the official change layer."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from knowledge.catalogue import Catalogue
from knowledge.schema import Comparability
from tools.difference import in_order
from tools.errors import ToolInputError
from tools.layer_alike import check_alike, find_rule, time_meaning
from tools.layer_change import pair_up, run_change
from tools.layer_plan import LayerWork, Subject, look_up_product, prepare_layer
from tools.layer_report import marked, not_held
from tools.layer_search import Release
from tools.layer_transitions import net_rows
from tools.schema import Period, ToolResult
from tools.selection import CLOSE_PERCENT, select, selection_lines
from tools.telling import overall_outcome, quality, result_of

if TYPE_CHECKING:
    from tools.toolbox import Context, Services

Compute = Callable[["Services", "Context", Subject, LayerWork], ToolResult]
NOT_VERIFIED = "Whether these two may be subtracted is not verified: no rule of the catalogue is about them."


def compare_editions(
    services: "Services",
    context: "Context",
    subject: Subject,
    asked: tuple[Period | None, Period | None],
    *,
    compute: Compute,
) -> ToolResult:
    """Compute the change between two years, unless the catalogue says that it misleads.

    Where it does, the official change layer is computed if it is here, and named if it is not.

    Raises:
        NoScenes: One of the years is not here.
        ToolInputError: Both years are the same, or the layers hold different things or lie on different grids.
    """
    earlier, later = in_order(*(period or _latest(subject) for period in asked))
    rule = find_rule(services.retriever.catalogue, subject, earlier, later)
    official = _official(services, subject, earlier, later, rule)
    if rule is not None and rule.allowed is False:
        told = refused(services.retriever.catalogue, subject, earlier, later, rule)
        return _instead(services, context, told, official, compute)
    if not subject.releases:
        return not_held(subject)
    before, after = (prepare_layer(services, subject, period) for period in (earlier, later))
    check_alike(before, after)
    change = pair_up(before, after)
    work, made = run_change(services, context, change, words=subject.words, advice=subject.advice)
    rows, said = made.statistics[0].rows, [str(line) for line in made.data["lines"]]
    verdict = _verdict(services.retriever.catalogue, rule, official)
    # What may be done is part of the finding; what may not is a caution.
    allowed = rule is not None and rule.allowed is True
    values = net_rows(made.data["change"]) if "change" in made.data else rows
    picked = select(values, subject.selection, close=CLOSE_PERCENT, unit=made.statistics[0].unit)
    lines = [*selection_lines(picked), *said, *([verdict] * allowed)]
    outcome = overall_outcome(rows)
    data: dict[str, Any] = {key: value for key, value in made.data.items() if key != "lines"}
    data |= picked
    data["comparable"] = rule.allowed if rule else None
    data["finding"] = marked(lines, work) if outcome == "ok" else ""
    title = f"{work.recipe.title}, {after.release.label} against {before.release.label}, {work.plan.place.name}"
    return result_of(
        work,
        made.statistics[0],
        made.artifacts,
        subject.advice,
        headline=f"Change of {title}: outcome {outcome}.",
        lines=lines,
        data=data,
        warnings=(*(() if allowed else (verdict,)), *time_meaning(before, after), *quality(rows)),
    )


def refused(catalogue: Catalogue, subject: Subject, earlier: Period, later: Period, rule: Comparability) -> ToolResult:
    """Say why two years are not subtracted, and which layer measures the change officially; never a number."""
    title = subject.product.title if subject.product else subject.words
    parts = [f"{title} of {earlier.label} and {later.label} must not be subtracted, so no difference was computed."]
    parts.append(f"{rule.reason} Source: {rule.source}.")
    if told := _change_layer(catalogue, rule):
        parts.append(told)
    parts.append("Each year by itself can be asked for.")
    data = {"comparable": False, "change_product": rule.change_product, "reason": rule.reason}
    return ToolResult(text="\n".join(parts), outcome="not_run", data=data)


def _official(
    services: "Services", subject: Subject, earlier: Period, later: Period, rule: Comparability | None
) -> Subject | None:
    """Find the official change layer of just these years among the data here."""
    if rule is None or not rule.change_product:
        return None
    product = services.retriever.catalogue.get(rule.change_product)
    found = look_up_product(services, subject, product)
    years = (earlier.start.year, later.start.year)
    fit = tuple(one for one in found.releases if (one.start.year, one.end.year) == years)
    return replace(found, releases=fit[:1]) if fit else None


def _instead(
    services: "Services", context: "Context", told: ToolResult, official: Subject | None, compute: Compute
) -> ToolResult:
    """Add the statistics of the official change layer to a refusal, where it is here and can be read."""
    if official is None:
        return told
    name = _name(official.releases[0])
    try:
        work = prepare_layer(services, official, None)
        if work.edition is None:
            raise ToolInputError("Its edition is not known, so its numbers mean nothing certain.")
        found = compute(services, context, official, work)
    except ToolInputError as error:
        text = f"{told.text}\nThe official change layer is here ({name}) but was not computed: {error}"
        return told.model_copy(update={"text": text})
    lead = f"{told.text}\nSo this is the official change layer, {name}, which is here:"
    finding = f"{lead}\n{found.data['finding']}" if found.data.get("finding") else ""
    return found.model_copy(
        update={
            "text": f"{lead}\n{found.text}",
            "data": {**found.data, **told.data, "finding": finding},
            "warnings": (f"Not a difference of two status layers: {told.data['reason']}", *found.warnings),
        }
    )


def _name(release: Release) -> str:
    layers = release.holding.layers
    return f"collection {layers.collection_id}, {release.start.year} to {release.end.year}"


def _latest(subject: Subject) -> Period:
    if not subject.releases:
        raise ToolInputError("One of the two years is missing.", "Name both years.")
    release = subject.releases[0]
    return Period(start=release.start, end=release.end, label=release.label)


def _change_layer(catalogue: Catalogue, rule: Comparability) -> str:
    if not rule.change_product:
        return ""
    product = catalogue.get(rule.change_product)
    edition = next((one for one in product.editions if one.id == rule.change_product), None)
    name = f"{edition.title} (edition {edition.id} of {product.title})" if edition else product.title
    access = f" Access: {' '.join(product.access[:2])}" if product.access else ""
    return f"Change is measured by {name}, product id {product.id}.{access}"


def _verdict(catalogue: Catalogue, rule: Comparability | None, official: Subject | None) -> str:
    """Say whether two editions may be subtracted, as the catalogue has it, and which layer measures the change."""
    if rule is None:
        return NOT_VERIFIED
    word = "These editions may be subtracted" if rule.allowed else "Whether they may be subtracted is not verified"
    change = _change_layer(catalogue, rule)
    here = f" It is here, too: {_name(official.releases[0])}." if official else ""
    return f"{word}: {rule.reason} Source: {rule.source}.{f' {change}' if change else ''}{here}"
