"""Put statistics of a product layer into words: values, reference date, method, and what is not here."""

from collections.abc import Sequence
from datetime import date, timedelta

from tools.layer_plan import PERCENT, LayerWork, Subject
from tools.layer_threshold import ThresholdRules
from tools.phenology_report import in_words
from tools.planning import Prepared, area_km2
from tools.schema import StatisticsRow, ToolResult
from tools.selection import Selection, with_unit
from tools.words import counted
from tools.zonal import summary

ROWS_IN_TEXT = 12
DECIMALS = 2
"""Values are told with so many decimals; equal in all of them is a tie."""


def marked(lines: Sequence[str], work: Prepared) -> str:
    """Join lines to a finding that begins with what of it is invented."""
    from tools.export import synthetic_note

    note = synthetic_note(scenes=work.synthetic, units=work.units.synthetic)
    return "\n".join([note, *lines] if note else lines)


def density_lines(rows: Sequence[StatisticsRow], work: LayerWork, selection: Selection) -> list[str]:
    """Tell the mean of each polygon, ranked as asked for; else, of many, the first and the last."""
    known = [row for row in rows if row.value is not None]
    title, unit = work.prepared.recipe.title, work.prepared.recipe.unit
    mark = "" if unit == "1" else f" {unit}"
    if len(rows) == 1:
        lines = [f"{title} of {row.label}: mean {row.value:.2f}{mark} ({pixels(row)})." for row in known]
        return [*lines, *hectare_lines(rows, work)]
    # A ranking that was asked for stands right before these lines, which are its rows.
    lines = [] if selection.rank else [f"{title}: {len(known)} of {counted(len(rows), 'polygon')} with a value."]
    lines += ranked_lines(rows, work, selection)
    if len(known) > 1:
        found = summary(rows)
        lines.append(
            f"Mean of the polygon means: {found['mean_of_means']:.2f}{mark} (each polygon counts once); weighted by "
            f"valid pixels: {found['mean_weighted_by_valid_pixels']:.2f}{mark}."
        )
    lines += [f"{row.label}: {row.outcome.replace('_', ' ')} ({pixels(row)})." for row in rows if row.value is None][:8]
    return lines


def hectare_lines(rows: Sequence[StatisticsRow], work: LayerWork) -> list[str]:
    """Tell what the mean share of a place is in hectares of its ground with a value."""
    grounds = _grounds(rows, work)
    told = "; ".join(
        f"{row.label} {row.value / 100 * grounds[place]:.2f} ha ({row.value:.2f} % × {grounds[place]:.2f} ha)"
        for place, row in enumerate(rows)
        if row.value is not None and grounds.get(place)
    )
    return [f"As areas (share times ground with a value): {told}."] if told else []


def _grounds(rows: Sequence[StatisticsRow], work: LayerWork) -> dict[int, float]:
    """Give the hectares with a value of each polygon, by its place; none where values are no shares."""
    if work.prepared.recipe.unit != PERCENT:
        return {}
    features = work.prepared.units.collection["features"]
    return {
        place: 100 * area_km2(one["geometry"]) * row.valid_share
        for place, (row, one) in enumerate(zip(rows, features, strict=True))
        if row.value is not None
    }


def date_lines(rows: Sequence[StatisticsRow], work: LayerWork) -> list[str]:
    """Tell the median date of each polygon, the earliest first; of many, the first and the last."""
    known = sorted(((row, row.value) for row in rows if row.value is not None), key=lambda pair: pair[1])
    title, year = _variable_title(work), work.prepared.plan.period.start.year
    lines = [f"{row.label}: median {title} {in_words(day_of(year, value))} ({pixels(row)})." for row, value in known]
    half = ROWS_IN_TEXT // 2
    if len(lines) > ROWS_IN_TEXT:
        lines = [*lines[:half], f"({len(lines) - 2 * half} more in the table)", *lines[-half:]]
    if len(rows) > 1:
        lines.insert(0, f"{title}: {len(known)} of {counted(len(rows), 'polygon')} with a date, the earliest first.")
    lines += [f"{row.label}: {row.outcome.replace('_', ' ')} ({pixels(row)})." for row in rows if row.value is None][:8]
    return lines


def day_of(year: int, value: float) -> date:
    """Give the date of a day of a year: 1 is 1 January, 0 the day before; halves are rounded to even days."""
    return date(year, 1, 1) + timedelta(days=round(value) - 1)


def _variable_title(work: LayerWork) -> str:
    """Give what a layer's dates are of, such as the start-of-season date."""
    layer = work.prepared.plan.layer
    name = layer.variable if layer else None
    variables = work.edition.variables if work.edition else ()
    meaning = next((one.meaning for one in variables if one.name == name), None)
    return meaning or name or work.prepared.recipe.title


def ranked_lines(rows: Sequence[StatisticsRow], work: LayerWork, selection: Selection) -> list[str]:
    """List polygons from the highest to the lowest value, or as asked for; shares in hectares, too; ties are told."""
    unit, grounds = work.prepared.recipe.unit, _grounds(rows, work)
    sign = 1 if selection.rank == "lowest" else -1
    known = sorted(
        ((place, row, row.value) for place, row in enumerate(rows) if row.value is not None),
        key=lambda one: sign * one[2],
    )
    values = [round(value, DECIMALS) for _, _, value in known]
    lines = []
    for at, (place, row, value) in enumerate(known):
        told = with_unit(value, unit)
        if ground := grounds.get(place):
            told += f" × {ground:.2f} ha = {value / 100 * ground:.2f} ha"
        tie = " (tie)" if values.count(values[at]) > 1 else ""
        lines.append(f"{values.index(values[at]) + 1}. {row.label}: {told} ({pixels(row)}){tie}")
    if selection.rank:
        return lines[: selection.count]
    if len(lines) <= ROWS_IN_TEXT:
        return lines
    half = ROWS_IN_TEXT // 2
    return [*lines[:half], f"({len(lines) - 2 * half} more in the table)", *lines[-half:]]


def pixels(row: StatisticsRow) -> str:
    """Tell how many pixels a value rests on."""
    return f"{row.valid_pixels} of {counted(row.total_pixels, 'pixel')} valid, {row.valid_share:.0%}"


def reference_sentence(subject: Subject, work: LayerWork) -> str:
    """Tell from when the layer is, and what else is here."""
    layer = work.prepared.plan.layer
    others = [one.label for one in subject.releases if one.label != work.release.label]
    latest = subject.releases[0] is work.release
    told = f"Reference date of the layer: {work.release.label}{', the latest here' if latest else ''}."
    told += f" Also here: {', '.join(dict.fromkeys(others))}." if others else ""
    if layer and layer.edition_id:
        told += f" Read as edition {layer.edition_id}, layer {layer.variable}; {work.release.holding.basis}."
    return told


def how(work: LayerWork) -> str:
    """Tell in a few sentences how the numbers are made."""
    rules, layer = work.rules, work.prepared.plan.layer
    name = f"{layer.band if layer else ''} of {work.prepared.plan.collection_id}"
    left_out = ", ".join(f"{code:g} ({meaning})" for code, meaning in sorted(rules.special.items()))
    told = f"Left out: {left_out}. " if left_out else ""
    if rules.date:
        written = "two digits of the year and three of the day" if rules.date == "yydoy" else "the day of the year"
        return f"{name}: dates stored as {written}, decoded. {told}Median over valid pixel centres."
    if not rules.classes:
        low, high = rules.valid
        span = f"stored values from {low:g} to {high:g}" if low is not None and high is not None else "stored values"
        scale = f", times {rules.scale:g} plus {rules.offset:g}" if rules.scale != 1 or rules.offset else ""
        return f"{name}: {span}{scale}. {told}Unweighted mean over valid pixel centres."
    where = (
        f"after nearest-neighbour resampling to EPSG:{work.warp_to_epsg} (equal area)"
        if work.warp_to_epsg
        else "on the layer's own equal-area grid"
    )
    if isinstance(rules, ThresholdRules):
        return (
            f"{name}: pixels {rules.bounds.said(rules.unit)}, counted by pixel centre {where}, times {work.pixel_ha:g} "
            f"ha. {told}Values that are no measurement are left out, too; shares are of the pixels with a value."
        )
    return (
        f"{name}: pixels of each class, counted by pixel centre {where}, times {work.pixel_ha:g} ha. {told}"
        "Codes that the legend does not have are left out, too; shares are of the pixels with a class."
    )


def not_held(subject: Subject) -> ToolResult:
    """Say that no pixels of the product are here, which product it is, and how to get it; never a number."""
    product, place = subject.product, subject.place.name
    if product is None:
        text = (
            f"No layer here is about this, and no product of the catalogue was found for it. {subject.advice.text}"
        ).strip()
        return ToolResult(text=text, outcome="not_covered", data={"product": None})
    parts = [f"{product.title} is not among the data here for {place}, so nothing was computed."]
    if subject.held_elsewhere:
        parts.append(f"It is here for other places only: {', '.join(subject.held_elsewhere)}.")
    parts.append(f"Product: {product.title} (id {product.id}), {product.coverage}.")
    parts += [f"Access: {' '.join(product.access)}"] if product.access else []
    parts.append(
        "Then add its files with `clms-assistant hub add FILE --collection NAME --datetime YEAR`, and ask again."
    )
    return ToolResult(
        text="\n".join(parts),
        outcome="not_covered",
        data={"product": product.id, "held_elsewhere": list(subject.held_elsewhere)},
    )
