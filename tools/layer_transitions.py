"""Transitions between classes: what each polygon's classes gained and lost, in words and as tables."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from tools.layer_graphs import Pair
from tools.layer_plan import LayerWork
from tools.planning import Prepared
from tools.schema import Artifact, StatisticsRow
from tools.workspace import Workspace

STEPS_IN_TEXT = 6
CLASSES_IN_TEXT = 6
UNITS_IN_TEXT = 12
BALANCE = ("earlier_ha", "later_ha", "gain_ha", "loss_ha", "net_ha", "unchanged_ha")


def balances(
    rows: Sequence[StatisticsRow], names: Sequence[str], pairs: Sequence[Pair], work: LayerWork, wanted: Sequence[int]
) -> list[dict[str, Any]]:
    """Gather each polygon's transitions, and from them what each class, and those asked for together, gained and lost.

    Args:
        rows: Hectares, for each polygon one row for each of `pairs`.
        names: The polygons.
        pairs: Class code of the earlier and the later year.
        work: The later year.
        wanted: Codes of the classes that the question is about; empty for no sum.
    """
    found = []
    for place, name in enumerate(names):
        own = rows[place * len(pairs) : (place + 1) * len(pairs)]
        areas = {pair: row.value for pair, row in zip(pairs, own, strict=True) if row.value}
        found.append({"label": name, **_balance(own[0], areas, work, wanted)})
    return found


def net_rows(units: Sequence[dict[str, Any]]) -> tuple[StatisticsRow, ...]:
    """Make one row for each polygon: hectares that the classes asked for gained net, else all that changed."""
    return tuple(
        StatisticsRow(
            label=unit["label"],
            value=unit["wanted"]["net_ha"] if "wanted" in unit else unit["changed_ha"],
            valid_pixels=unit["valid_pixels"],
            total_pixels=unit["total_pixels"],
            outcome=unit["outcome"],
        )
        for unit in units
    )


def transition_lines(units: Sequence[dict[str, Any]]) -> list[str]:
    """Tell each polygon's change, its largest transitions and the net change of its classes; most changed first."""
    known = sorted((unit for unit in units if unit["outcome"] == "ok"), key=lambda unit: -unit["changed_ha"])
    lines = [f"{len(known)} of {len(units)} polygons with a class in both years."] if len(units) > 1 else []
    for unit in known[:UNITS_IN_TEXT]:
        lines.append(
            f"{unit['label']}: {unit['changed_ha']:.2f} ha of {unit['compared_ha']:.2f} ha with a class in both years "
            f"changed ({unit['changed_percent']:.1f} %)."
        )
        if asked := unit.get("wanted"):
            lines.append(f"- {', '.join(asked['classes'])} together: {_signed(asked)}.")
        steps = [one for one in unit["transitions"] if one["from_code"] != one["to_code"]][:STEPS_IN_TEXT]
        told = "; ".join(f"{one['from']} to {one['to']} {one['area_ha']:.2f} ha" for one in steps)
        lines += [f"- Largest transitions: {told}."] if steps else []
        moved = [one for one in unit["classes"] if one["gain_ha"] or one["loss_ha"]]
        moved.sort(key=lambda one: -abs(one["net_ha"]))
        told = "; ".join(f"{one['label']} {_signed(one)}" for one in moved[:CLASSES_IN_TEXT])
        lines += [f"- Net: {told}."] if moved else []
    if len(known) > UNITS_IN_TEXT:
        lines.append(f"{len(known) - UNITS_IN_TEXT} more polygons are in the tables.")
    return lines + [f"{unit['label']}: {unit['outcome'].replace('_', ' ')}." for unit in units if unit not in known]


def write_matrix(
    workspace: Workspace, prepared: Prepared, work: LayerWork, units: Sequence[dict[str, Any]]
) -> Artifact:  # fmt: skip
    """Write the transition table as CSV: a line for each polygon and earlier class, a column for each later class."""
    from tools.export import safe_cell

    met = {code for unit in units for one in unit["transitions"] for code in (one["from_code"], one["to_code"])}
    classes = [one for one in work.rules.classes if one.code in met]
    lines: list[tuple[object, ...]] = [
        ("polygon", "from_code", "from_class", *(f"to {one.code} {one.label} (ha)" for one in classes), "data")
    ]
    for unit in units:
        areas = {(one["from_code"], one["to_code"]): one["area_ha"] for one in unit["transitions"]}
        for first in classes if unit["outcome"] == "ok" else ():
            cells = [areas.get((first.code, second.code), 0.0) for second in classes]
            lines.append((safe_cell(unit["label"]), first.code, first.label, *cells, _word(prepared)))
    return _save(workspace, prepared, lines, "Transition table, from class by to class")


def write_balances(workspace: Workspace, prepared: Prepared, units: Sequence[dict[str, Any]]) -> Artifact:
    """Write what each class of each polygon gained and lost as CSV."""
    from tools.export import safe_cell

    lines: list[tuple[object, ...]] = [("polygon", "code", "class", *BALANCE, "outcome", "data")]
    for unit in units:
        lines += [
            (
                safe_cell(unit["label"]),
                one["code"],
                one["label"],
                *(one[name] for name in BALANCE),
                "ok",
                _word(prepared),
            )
            for one in unit["classes"]
        ]
        if unit["outcome"] != "ok":
            lines.append((safe_cell(unit["label"]), "", "", *("" for _ in BALANCE), unit["outcome"], _word(prepared)))
    return _save(workspace, prepared, lines, "Gains and losses per class")


def _balance(
    row: StatisticsRow, areas: dict[Pair, float], work: LayerWork, wanted: Sequence[int]
) -> dict[str, Any]:  # fmt: skip
    label = {one.code: one.label for one in work.rules.classes}
    compared = row.valid_pixels * work.pixel_ha
    changed = sum(area for (one, other), area in areas.items() if one != other)
    met = [code for code in label if any(code in pair for pair in areas)]
    steps = sorted(areas.items(), key=lambda step: -step[1])
    found: dict[str, Any] = {
        "outcome": row.outcome,
        "valid_pixels": row.valid_pixels,
        "total_pixels": row.total_pixels,
        "compared_ha": compared if row.outcome == "ok" else None,
        "changed_ha": changed if row.outcome == "ok" else None,
        "changed_percent": 100 * changed / compared if row.outcome == "ok" else None,
        "transitions": [
            {"from_code": one, "from": label[one], "to_code": other, "to": label[other], "area_ha": area}
            for (one, other), area in steps
        ],
        "classes": [{"code": code, "label": label[code], **_of_classes(areas, (code,))} for code in met],
    }
    if wanted and row.outcome == "ok":
        found["wanted"] = {"classes": [label[code] for code in label if code in wanted], **_of_classes(areas, wanted)}
    return found


def _of_classes(areas: dict[Pair, float], codes: Sequence[int]) -> dict[str, float]:
    """Sum what classes, taken as one, had before and after, gained from others, lost to others and kept."""

    def total(*, before: bool, after: bool) -> float:
        return sum(
            area for (one, other), area in areas.items() if (one in codes) is before and (other in codes) is after
        )

    gain, loss, kept = total(before=False, after=True), total(before=True, after=False), total(before=True, after=True)
    return dict(zip(BALANCE, (kept + loss, kept + gain, gain, loss, gain - loss, kept), strict=True))


def _signed(one: dict[str, Any]) -> str:
    return f"{one['net_ha']:+.2f} ha (gained {one['gain_ha']:.2f}, lost {one['loss_ha']:.2f})"


def _word(prepared: Prepared) -> str:
    from tools.export import data_word

    return data_word(prepared.synthetic or prepared.units.synthetic)


def _save(workspace: Workspace, prepared: Prepared, lines: Sequence[tuple[object, ...]], what: str) -> Artifact:
    from tools.export import plan_title

    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    title, fingerprint = f"{what}: {plan_title(prepared.plan)}", prepared.plan.fingerprint
    return workspace.save(
        buffer.getvalue(), "table", title, media_type="text/csv", suffix=".csv", fingerprint=fingerprint
    )
