"""Areas of classes per polygon: rows, shares, which classes are meant, and their table and map in official colours."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge.decoding import Rules
from knowledge.lexicon import in_english
from knowledge.schema import LegendClass
from knowledge.words import stems
from tools.backends import Backend
from tools.layer_plan import LayerWork
from tools.schema import Artifact, StatisticsRow
from tools.workspace import Workspace
from tools.zonal import ZonalJson, table_rows

if TYPE_CHECKING:
    from tools.toolbox import Services

NEGATIVE = ("non", "no", "not", "all non")
"""A label that begins so names what is left when the class sought is not there."""
GENERIC = {"land", "area", "areas", "cover", "class", "classes", "surfac"}
"""Stems that stand in the names of most classes."""
STEM = 7
"""Letters by which words are compared: agricultural and agriculture are one subject."""
LEAST_FIT = 0.5
"""Of a further name: it must be made of the words that are left, not only hold one of them."""
CLASSES_IN_TEXT = 6
UNITS_IN_TEXT = 12


def area_rows(mean: ZonalJson, count: ZonalJson, names: Sequence[str], work: LayerWork) -> tuple[StatisticsRow, ...]:
    """Make one row for each polygon and class, in the order of the polygons, then of the legend; values in hectares."""
    return table_rows(mean, count, [f"{name}: {one.label}" for name in names for one in work.rules.classes])


def wanted_codes(rules: Rules, words: str) -> tuple[int, ...]:
    """Give the classes that words speak of; else all but what a legend calls the rest; empty where it has no rest.

    Of all names of classes and of groups of classes those count that the words fit best: "forest" is the group Forests,
    neither the larger one Forest and semi natural areas nor Mixed forest alone. What they leave is looked up again.
    """
    least = min((one.code for one in rules.classes), default=0)
    positive = [one for one in rules.classes if one.code > least or not _is_negative(one)]
    names = {(level, name): _subjects(name) for one in positive for level, name in enumerate(_names(one)) if name}
    known = frozenset().union(*names.values())
    # As said first: English words such as "non-irrigated" may be taken for those of another language.
    asked = max((_subjects(said) & known for said in (words, in_english(words))), key=len)
    named: set[tuple[int, str]] = set()
    while asked:
        fit = {key: 2 * len(asked & own) / (len(asked) + len(own)) for key, own in names.items()}
        top = max(fit.values())
        if named and top < LEAST_FIT:
            break
        best = [key for key, value in fit.items() if value == top]
        named |= {key for key in best if key[0] == min(best)[0]}
        asked -= frozenset().union(*(names[key] for key in best))
    if named:
        return tuple(one.code for one in positive if named & set(enumerate(_names(one))))
    return tuple(one.code for one in positive) if len(positive) < len(rules.classes) else ()


def by_unit(rows: Sequence[StatisticsRow], work: LayerWork, wanted: Sequence[int]) -> list[dict[str, Any]]:
    """Gather the rows of each polygon: classes that occur, with hectares and share, and the sum of those wanted."""
    classes = work.rules.classes
    found = []
    for place, feature in enumerate(work.prepared.units.collection["features"]):
        own = rows[place * len(classes) : (place + 1) * len(classes)]
        total_ha = own[0].valid_pixels * work.pixel_ha
        areas = {one.code: row.value for one, row in zip(classes, own, strict=True) if row.value is not None}
        unit: dict[str, Any] = {
            "label": str(feature["properties"]["name"]),
            "outcome": own[0].outcome,
            "valid_pixels": own[0].valid_pixels,
            "total_pixels": own[0].total_pixels,
            "area_with_class_ha": total_ha if areas else None,
            "classes": [_entry(one, areas[one.code], total_ha) for one in classes if areas.get(one.code)],
        }
        if wanted and areas:
            summed = sum(areas[code] for code in wanted)
            unit["wanted"] = [one.label for one in classes if one.code in wanted]
            unit["wanted_ha"], unit["wanted_percent"] = summed, 100 * summed / total_ha
        found.append(unit)
    return found


def share_rows(units: Sequence[dict[str, Any]]) -> tuple[StatisticsRow, ...]:
    """Make one row for each polygon with the share of the classes asked for, percent; none where none is asked for."""
    return tuple(
        StatisticsRow(
            label=unit["label"],
            value=unit.get("wanted_percent"),
            valid_pixels=unit["valid_pixels"],
            total_pixels=unit["total_pixels"],
            outcome=unit["outcome"],
        )
        for unit in units
    )


def class_lines(units: Sequence[dict[str, Any]], work: LayerWork) -> list[str]:
    """Tell each polygon's classes, the polygons ranked by what was asked for; equal areas share a place."""
    known = [unit for unit in units if unit["outcome"] == "ok"]
    lines = [f"{work.prepared.recipe.title}: {len(known)} of {len(units)} with a value."] if len(units) > 1 else []
    if known and "wanted_ha" in known[0]:
        known.sort(key=lambda unit: -unit["wanted_ha"])
        areas = [round(unit["wanted_ha"], 2) for unit in known]
        lines.append(f"Summed: {', '.join(known[0]['wanted'])}.")
        lines += [
            f"{areas.index(area) + 1}. {unit['label']}: {area:.2f} ha, {unit['wanted_percent']:.1f} %"
            + (" (tie)" if areas.count(area) > 1 else "")
            for unit, area in zip(known, areas, strict=True)
        ][:UNITS_IN_TEXT]
    for unit in known[:UNITS_IN_TEXT]:
        top = sorted(unit["classes"], key=lambda one: -one["area_ha"])[:CLASSES_IN_TEXT]
        told = "; ".join(f"{one['label']} {one['area_ha']:.2f} ha ({one['share_percent']:.1f} %)" for one in top)
        left = unit["total_pixels"] - unit["valid_pixels"]
        lines.append(f"{unit['label']}: {told}. {left} of {unit['total_pixels']} pixels without a class.")
    lines += [f"{unit['label']}: {unit['outcome'].replace('_', ' ')}." for unit in units if unit["outcome"] != "ok"]
    return lines


def write_classes(workspace: Workspace, work: LayerWork, rows: Sequence[StatisticsRow]) -> Artifact:
    """Write polygon, class, code, colour, hectares and share as CSV, one line for each polygon and class."""
    from tools.export import data_word, plan_title, safe_cell

    plan, classes = work.prepared.plan, work.rules.classes
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("polygon", "code", "class", "colour", "area_ha", "share", "valid_pixels", "outcome", "data"))
    word = data_word(work.prepared.synthetic or work.prepared.units.synthetic)
    for place, row in enumerate(rows):
        one = classes[place % len(classes)]
        name = str(work.prepared.units.collection["features"][place // len(classes)]["properties"]["name"])
        valid_ha = row.valid_pixels * work.pixel_ha
        numbers = ("", "") if row.value is None else (row.value, round(row.value / valid_ha, 6))
        writer.writerow(
            (safe_cell(name), one.code, one.label, one.color or "", *numbers, row.valid_pixels, row.outcome, word)
        )
    title = f"Areas of classes: {plan_title(plan)}"
    return workspace.save(
        buffer.getvalue(), "table", title, media_type="text/csv", suffix=".csv", fingerprint=plan.fingerprint
    )


def draw_classes(services: "Services", backend: Backend, graph: dict[str, Any], work: LayerWork) -> list[Artifact]:
    """Make the map of classes in the legend's colours, and the GeoTIFF it is drawn from."""
    from tools.render import render_classes
    from tools.run_files import source_line

    prepared, workspace = work.prepared, services.workspace
    title = f"{prepared.recipe.title}, {prepared.plan.place.name}, {prepared.plan.period.label}"
    fingerprint = prepared.plan.fingerprint
    with workspace.new("raster", f"GeoTIFF: {title}", "image/tiff", ".tif", fingerprint) as draft:
        backend.run_raster(graph, draft.path)
    picture = render_classes(
        workspace,
        Path(draft.artifact.path),
        prepared.plan,
        classes=work.rules.classes,
        title=title,
        synthetic=prepared.synthetic,
        source_line=source_line(prepared),
    )
    return [picture, draft.artifact]


def _entry(one: LegendClass, area_ha: float, total_ha: float) -> dict[str, Any]:
    share = 100 * area_ha / total_ha
    return {"code": one.code, "label": one.label, "area_ha": area_ha, "share_percent": share, "colour": one.color}


def _is_negative(one: LegendClass) -> bool:
    label = one.label.lower().replace("-", " ")
    return any(label.startswith(f"{word} ") for word in NEGATIVE)


def _names(one: LegendClass) -> tuple[str, ...]:
    """Give the names of a class and its groups, the largest group first."""
    return one.level1 or "", one.level2 or "", one.group or "", one.label


def _subjects(text: str) -> frozenset[str]:
    """Give the stems of what a name is about; what it says that it is not is a subject of its own."""
    said = re.sub(r"\bnon[- ](?=\w)", "non", text.lower()).replace("-", "")
    return frozenset(stem[:STEM] for stem in stems(said) if len(stem) > 2 and stem not in GENERIC)
