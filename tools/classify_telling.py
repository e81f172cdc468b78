"""Put a classification into words and data."""

from typing import Any

from tools.advice import Advice
from tools.classification import FIT_PIXELS, Bands, Result, Split
from tools.classify import ClassWork
from tools.export import synthetic_note
from tools.schema import Artifact, Statistics, ToolResult
from tools.telling import quality, result_of
from tools.words import counted

FEW_HELD_OUT = 100
"""Accuracy from fewer pixels is told to be weak."""


def describe(work: ClassWork, bands: Bands, result: Result) -> dict[str, Any]:
    """Give what is told of a classification, JSON-able: bands, classes, and for a forest accuracy and polygons."""
    found: dict[str, Any] = {"method": work.asked.method, "bands": list(bands.names), "classes": result.table}
    if result.accuracy and result.split:
        found["accuracy"] = result.accuracy
        found["polygons"] = _polygon_counts(work, result.split)
    return found


def tell_classes(
    work: ClassWork, found: dict[str, Any], statistics: Statistics, artifacts: tuple[Artifact, ...], advice: Advice
) -> ToolResult:
    """Make the result of a classification from what `describe` gave, its files and the advice."""
    plan, row = work.prepared.plan, statistics.rows[0]
    lines = [*_area_lines(found), *_accuracy_lines(found), *_names_lines(found, advice)]
    note = synthetic_note(scenes=work.prepared.synthetic, units=False)
    first = f"{work.prepared.recipe.title} of {plan.place.name}, {plan.period.start} to {plan.period.end}"
    first += f", {row.valid_pixels} of {counted(row.total_pixels, 'pixel')} valid"
    return result_of(
        work.prepared,
        statistics,
        artifacts,
        advice,
        headline=f"{first}: outcome ok.",
        lines=lines,
        data={"classification": found, "finding": "\n".join([*([note] if note else []), f"{first}:", *lines])},
        warnings=[*quality(statistics.rows)[:1], *_cautions(found, row.valid_pixels)],
    )


def _area_lines(found: dict[str, Any]) -> list[str]:
    lines = []
    for row in found["classes"]:
        line = f"- {row['class']}: {row['area_ha']:.2f} ha ({row['share_percent']:.1f} %, {row['pixels']} pixels)"
        if found["method"] == "kmeans":
            means = (f"{name} {mean:.4g}" for name, mean in row["means"].items() if mean is not None)
            line += f", mean {', '.join(means)}"
        lines.append(line)
    return lines


def _accuracy_lines(found: dict[str, Any]) -> list[str]:
    if "accuracy" not in found:
        return []
    checked, polygons = found["accuracy"], found["polygons"]
    lines = [
        f"Overall accuracy on held-out polygons: {checked['overall_percent']:.1f} % of {polygons['held_out_pixels']} "
        f"pixels in {polygons['held_out']} of {polygons['all']} polygons; trained on the {polygons['learnt_from']} "
        "others. Whole polygons are held out, some of each class, drawn with seed 0."
    ]
    for one in checked["classes"]:
        lines.append(
            f"- {one['class']}: precision {_percent(one['precision_percent'])}, recall "
            f"{_percent(one['recall_percent'])} ({one['held_out_pixels']} held-out pixels)"
        )
    return lines


def _polygon_counts(work: ClassWork, split: Split) -> dict[str, int]:
    import numpy as np

    numbers = np.bincount(split.polygons.ravel(), minlength=len(work.task.classes) + 1)[1:]
    used, held = int((numbers > 0).sum()), sum(split.held_out)
    return {
        "all": used,
        "held_out": held,
        "held_out_pixels": int(numbers[list(split.held_out)].sum()),
        "learnt_from": used - held,
        "without_pixel": len(work.task.classes) - used,
        "without_class": work.training.unlabelled if work.training else 0,
        "shared_pixels": split.shared_pixels,
    }


def _names_lines(found: dict[str, Any], advice: Advice) -> list[str]:
    """Say that classes found without labels have no names, and which products have named ones."""
    if found["method"] != "kmeans":
        return []
    text = (
        "These classes have no names: k-means groups pixels of alike reflectance, from dark (class 1) to bright; what "
        "each one is on the ground is for you to tell, or for a random forest trained on polygons of yours."
    )
    if product := advice.recommendation:
        titles = [product.title, *(other.title for other in product.alternatives)]
        text += f" Land cover products with named classes: {'; '.join(titles)}."
    return [text]


def _cautions(found: dict[str, Any], valid_pixels: int) -> list[str]:
    if found["method"] == "kmeans" and valid_pixels > FIT_PIXELS:
        return [f"The classes were found from {FIT_PIXELS} pixels drawn by chance; all pixels were then assigned."]
    return _training_cautions(found["polygons"], len(found["classes"])) if "polygons" in found else []


def _training_cautions(polygons: dict[str, int], classes: int) -> list[str]:
    told = []
    if polygons["without_class"]:
        told.append(f"{counted(polygons['without_class'], 'polygon')} without a class left out.")
    if polygons["without_pixel"]:
        told.append(f"{counted(polygons['without_pixel'], 'polygon')} without a clear pixel of its own left out.")
    if polygons["shared_pixels"]:
        told.append(f"{polygons['shared_pixels']} pixels that lie in several polygons left out.")
    if polygons["held_out_pixels"] < FEW_HELD_OUT or polygons["held_out"] < 2 * classes:
        told.append(
            f"The accuracy rests on {polygons['held_out_pixels']} pixels of "
            f"{counted(polygons['held_out'], 'polygon')}: with more polygons it could come out otherwise."
        )
    told.append(
        "The accuracy holds for ground like that in the polygons; where the map shows other ground, it says nothing."
    )
    return told


def _percent(value: float | None) -> str:
    return "unknown (none mapped so)" if value is None else f"{value:.1f} %"
