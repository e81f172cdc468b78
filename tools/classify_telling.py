"""Put a classification into words and data."""

from typing import Any

from tools.advice import Advice
from tools.classification import FIT_PIXELS, Bands, Result
from tools.classify import ClassWork
from tools.export import synthetic_note
from tools.schema import Artifact, Statistics, ToolResult
from tools.telling import quality, result_of
from tools.words import counted

FEW_HELD_OUT = 100
"""Accuracy from fewer pixels is told to be weak."""


def tell_classes(
    work: ClassWork,
    bands: Bands,
    result: Result,
    statistics: Statistics,
    artifacts: tuple[Artifact, ...],
    advice: Advice,
) -> ToolResult:
    """Make the result of a classification from its numbers, files and advice."""
    plan = work.prepared.plan
    lines = [*_area_lines(work, result), *_accuracy_lines(work, result), *_names_lines(work, advice)]
    note = synthetic_note(scenes=work.prepared.synthetic, units=False)
    first = f"{work.prepared.recipe.title} of {plan.place.name}, {plan.period.start} to {plan.period.end}"
    row = statistics.rows[0]
    first += f", {row.valid_pixels} of {counted(row.total_pixels, 'pixel')} valid:"
    data: dict[str, Any] = {
        "classification": {"method": work.asked.method, "bands": list(bands.names), "classes": result.table},
        "finding": "\n".join([*([note] if note else []), first, *lines]),
    }
    if result.accuracy:
        data["classification"]["accuracy"] = result.accuracy
        data["classification"]["polygons"] = _polygon_counts(work, result)
    return result_of(
        work.prepared,
        statistics,
        artifacts,
        advice,
        headline=f"{first[:-1]}: outcome ok.",
        lines=lines,
        data=data,
        warnings=[*quality(statistics.rows)[:1], *_cautions(work, statistics, result)],
    )


def _area_lines(work: ClassWork, result: Result) -> list[str]:
    lines = []
    for row in result.table:
        line = f"- {row['class']}: {row['area_ha']:.2f} ha ({row['share_percent']:.1f} %, {row['pixels']} pixels)"
        if work.asked.method == "kmeans":
            means = (f"{name} {mean:.4g}" for name, mean in row["means"].items() if mean is not None)
            line += f", mean {', '.join(means)}"
        lines.append(line)
    return lines


def _accuracy_lines(work: ClassWork, result: Result) -> list[str]:
    if result.accuracy is None:
        return []
    polygons = _polygon_counts(work, result)
    tested = sum(one["held_out_pixels"] for one in result.accuracy["classes"])
    lines = [
        f"Overall accuracy on held-out polygons: {result.accuracy['overall_percent']:.1f} % of {tested} pixels in "
        f"{polygons['held_out']} of {polygons['all']} polygons; trained on the {polygons['learnt_from']} others. "
        "Whole polygons are held out, some of each class, drawn with seed 0."
    ]
    for one in result.accuracy["classes"]:
        lines.append(
            f"- {one['class']}: precision {_percent(one['precision_percent'])}, recall "
            f"{_percent(one['recall_percent'])} ({one['held_out_pixels']} held-out pixels)"
        )
    return lines


def _polygon_counts(work: ClassWork, result: Result) -> dict[str, int]:
    import numpy as np

    if result.split is None:
        return {}
    used = len(set(np.unique(result.split.polygons)) - {0})
    held = sum(result.split.held_out)
    return {"all": used, "held_out": held, "learnt_from": used - held, "without_pixel": len(work.task.classes) - used}


def _names_lines(work: ClassWork, advice: Advice) -> list[str]:
    """Say that classes found without labels have no names, and which products have named ones."""
    if work.asked.method != "kmeans":
        return []
    text = (
        "These classes have no names: k-means groups pixels of alike reflectance, from dark (class 1) to bright; what "
        "each one is on the ground is for you to tell, or for a random forest trained on polygons of yours."
    )
    if product := advice.recommendation:
        titles = [product.title, *(other.title for other in product.alternatives)]
        text += f" Land cover products with named classes: {'; '.join(titles)}."
    return [text]


def _cautions(work: ClassWork, statistics: Statistics, result: Result) -> list[str]:
    found = []
    if work.asked.method == "kmeans" and statistics.rows[0].valid_pixels > FIT_PIXELS:
        found.append(f"The classes were found from {FIT_PIXELS} pixels drawn by chance; all pixels were then assigned.")
    if work.training and result.split and result.accuracy:
        found += _training_cautions(work, result)
    return found


def _training_cautions(work: ClassWork, result: Result) -> list[str]:
    found, polygons = [], _polygon_counts(work, result)
    if work.training and work.training.unlabelled:
        found.append(f"{counted(work.training.unlabelled, 'polygon')} without a class left out.")
    if polygons["without_pixel"]:
        found.append(f"{counted(polygons['without_pixel'], 'polygon')} without a clear pixel of its own left out.")
    if result.split and result.split.shared_pixels:
        found.append(f"{result.split.shared_pixels} pixels that lie in several polygons left out.")
    tested = sum(one["held_out_pixels"] for one in (result.accuracy or {})["classes"])
    if tested < FEW_HELD_OUT or polygons["held_out"] < 2 * len(work.task.names):
        found.append(
            f"The accuracy rests on {tested} pixels of {counted(polygons['held_out'], 'polygon')}: with more polygons "
            "it could come out otherwise."
        )
    found.append(
        "The accuracy holds for ground like that in the polygons; where the map shows other ground, it says nothing."
    )
    return found


def _percent(value: float | None) -> str:
    return "unknown (none mapped so)" if value is None else f"{value:.1f} %"
