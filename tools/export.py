"""One writer for each format of a result: table, polygons, process graph."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from tools.indices import get_recipe
from tools.schema import Artifact, Period, Plan, Statistics, StatisticsRow
from tools.workspace import Workspace

_COLUMNS = ("label", "date", "value", "unit", "valid_pixels", "total_pixels", "valid_share", "outcome")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_table(
    workspace: Workspace, statistics: Statistics, plan: Plan, *, title: str = "", synthetic: bool = False
) -> Artifact:
    """Write the rows of `statistics` as CSV, one line each; made from synthetic data, every line says so."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow((*_COLUMNS, "data"))
    for row in statistics.rows:
        numbers = ("" if row.value is None else row.value, statistics.unit, row.valid_pixels, row.total_pixels)
        share = round(row.valid_share, 4)
        writer.writerow((safe_cell(row.label), row.date or "", *numbers, share, row.outcome, data_word(synthetic)))
    name = title or f"Table: {plan_title(plan)}"
    return workspace.save(
        buffer.getvalue(), "table", name, media_type="text/csv", suffix=".csv", fingerprint=plan.fingerprint
    )


def write_vector(
    workspace: Workspace, statistics: Statistics, plan: Plan, *, title: str = "", synthetic: bool = False
) -> Artifact:
    """Write the polygons of `plan` (or its place) as GeoJSON with their values; a series becomes a list of rows."""
    features = [
        {**feature, "properties": {**feature.get("properties", {}), **_properties(rows, statistics, plan, synthetic)}}
        for feature, rows in units_with_rows(plan, statistics)
    ]
    collection = {"type": "FeatureCollection", "features": features}
    name = title or f"Polygons with values: {plan_title(plan)}"
    text = json.dumps(collection, ensure_ascii=False, allow_nan=False)
    return workspace.save(
        text, "vector", name, media_type="application/geo+json", suffix=".geojson", fingerprint=plan.fingerprint
    )


def write_found(
    workspace: Workspace, plan: Plan, found: Sequence[dict[str, Any]], *, title: str, synthetic: bool
) -> Artifact:
    """Write the polygons of `plan` (or its place) as GeoJSON, each with what was found for it, in their order."""
    features = plan.polygons.collection["features"] if plan.polygons else [_place_feature(plan)]
    shared = {
        "index": plan.recipe_id,
        "period_start": plan.period.start.isoformat(),
        "period_end": plan.period.end.isoformat(),
        "data": data_word(synthetic),
    }
    made = [
        {**feature, "properties": {**feature.get("properties", {}), **shared, **one}}
        for feature, one in zip(features, found, strict=True)
    ]
    text = json.dumps({"type": "FeatureCollection", "features": made}, ensure_ascii=False, allow_nan=False)
    name = f"{title}: {plan_title(plan)}"
    return workspace.save(
        text, "vector", name, media_type="application/geo+json", suffix=".geojson", fingerprint=plan.fingerprint
    )


def write_graph(
    workspace: Workspace, graph: dict[str, Any], plan: Plan, *, title: str = "", note: str = ""
) -> Artifact:
    """Write one openEO process as JSON that `openeo.connect(url).execute(path)` runs.

    The nodes lie under `process_graph`, beside a `summary` and, where there is a `note` on the data, a `description`.
    """
    name = title or f"openEO process graph: {plan_title(plan)}"
    process = {"summary": f"{name}. {note}".strip(), **({"description": note} if note else {}), "process_graph": graph}
    text = json.dumps(process, indent=2, ensure_ascii=False, allow_nan=False)
    return workspace.save(
        text, "graph", name, media_type="application/json", suffix=".json", fingerprint=plan.fingerprint
    )


def plan_title(plan: Plan) -> str:
    """Say in a few words what was computed, where and when."""
    index, output = subject(plan), plan.output.replace("_", " ")
    when = f"{plan.period.label} minus {plan.against.label}" if plan.against else plan.period.label
    return f"{index} {'difference ' if plan.against else ''}({output}), {plan.place.name}, {when}"


def subject(plan: Plan) -> str:
    """Name what was computed: an index, or a layer of a product."""
    return plan.layer.title if plan.layer else get_recipe(plan.recipe_id).title


def synthetic_note(*, scenes: bool, units: bool) -> str:
    """Say which part of a result is invented; empty when nothing is."""
    parts = [name for name, invented in (("scenes", scenes), ("polygons", units)) if invented]
    if not parts:
        return ""
    return f"Synthetic demo data: the {' and the '.join(parts)} are invented; no number here describes a real place."


def units_with_rows(plan: Plan, statistics: Statistics) -> list[tuple[dict[str, Any], list[StatisticsRow]]]:
    """Pair each polygon of the plan with its rows, by name, or by position where names repeat."""
    features = plan.polygons.collection["features"] if plan.polygons else [_place_feature(plan)]
    if len(features) == 1:
        return [(features[0], list(statistics.rows))]
    several = plan.layer or plan.output == "anomaly"  # several rows for each polygon: its classes, or its years
    if several and len(statistics.rows) % len(features) == 0:
        size = len(statistics.rows) // len(features)
        return [(one, list(statistics.rows[at * size : (at + 1) * size])) for at, one in enumerate(features)]
    if plan.output == "per_polygon" and len(features) == len(statistics.rows):
        return [(feature, [row]) for feature, row in zip(features, statistics.rows, strict=True)]
    return [(feature, [row for row in statistics.rows if row.label == unit_name(feature)]) for feature in features]


def unit_name(feature: dict[str, Any]) -> str:
    """Give a polygon's name, or its id when it has none."""
    return str(feature.get("properties", {}).get("name") or feature.get("id", ""))


def _properties(rows: list[StatisticsRow], statistics: Statistics, plan: Plan, synthetic: bool) -> dict[str, Any]:
    shared = {
        "unit": statistics.unit,
        "index": plan.recipe_id,
        "period_start": plan.period.start.isoformat(),
        "period_end": plan.period.end.isoformat(),
        **(_against(plan.against) if plan.against else {}),
        "data": data_word(synthetic),
    }
    if plan.output == "series" or len(rows) != 1:
        return {**shared, "rows": [row.model_dump() for row in rows]}
    row = rows[0]
    numbers = row.model_dump(include={"value", "valid_pixels", "total_pixels", "outcome"})
    return {**shared, **numbers, "valid_share": round(row.valid_share, 4)}


def _against(period: Period) -> dict[str, str]:
    return {
        "value_is": "difference: this period minus the other",
        "minus_period_start": period.start.isoformat(),
        "minus_period_end": period.end.isoformat(),
    }


def _place_feature(plan: Plan) -> dict[str, Any]:
    from shapely.geometry import box, mapping

    geometry = plan.place.geometry or mapping(box(*plan.place.bbox))
    return {"type": "Feature", "id": "place", "geometry": geometry, "properties": {"name": plan.place.name}}


def safe_cell(text: str) -> str:
    """Keep a name from an uploaded file from being run as a formula by a spreadsheet."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def data_word(synthetic: bool) -> str:
    """Say whether data are invented."""
    return "synthetic demo data" if synthetic else "real data"
