"""Labelled polygons: which attribute holds the class, and which polygon is of which class."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tools.errors import ToolInputError
from tools.schema import Polygons

USUAL = (
    "class", "class_name", "classname", "label", "landcover", "land_cover", "lulc", "category", "type", "cover", "crop",
    "classe", "etiquette", "klasse", "clase", "etiqueta", "categoria", "etichetta",
)  # fmt: skip
"""Attributes that usually hold a class, in the order they are looked for."""
MAX_CLASSES = 20
MAX_NAME_CHARS = 40
LEAST_POLYGONS = 2
"""Of each class: one to learn from, one to hold out."""


@dataclass(frozen=True)
class Training:
    """Polygons with a class each."""

    attribute: str
    names: tuple[str, ...]
    """Classes in alphabetical order; class 1 is the first."""
    features: tuple[dict[str, Any], ...]
    """The polygons that have a class."""
    classes: tuple[int, ...]
    """Number of the class of each polygon, from 1."""
    unlabelled: int
    """Polygons without a class, left out."""


def read_training(polygons: Polygons, wanted: str = "") -> Training:
    """Find the attribute with the classes, and the class of each polygon.

    Raises:
        ToolInputError: No attribute, or several, could be meant; or there is one class only, or too many.
    """
    features = polygons.collection["features"]
    attribute = _attribute(features, wanted.strip())
    labels = [_label(feature["properties"].get(attribute)) for feature in features]
    names = tuple(sorted({label for label in labels if label}))
    labelled = [(feature, label) for feature, label in zip(features, labels, strict=True) if label]
    _check(names, [label for _, label in labelled], attribute)
    return Training(
        attribute=attribute,
        names=names,
        features=tuple(feature for feature, _ in labelled),
        classes=tuple(names.index(label) + 1 for _, label in labelled),
        unlabelled=len(features) - len(labelled),
    )


def _attribute(features: Sequence[dict[str, Any]], wanted: str) -> str:
    present: list[str] = list(dict.fromkeys(key for feature in features for key in feature["properties"]))
    lower = {key.lower(): key for key in reversed(present)}
    if wanted:
        if wanted.lower() in lower:
            return lower[wanted.lower()]
        raise ToolInputError(f"The polygons have no attribute {wanted[:40]!r}.", f"They have: {_listed(present)}.")
    for usual in USUAL:
        if usual in lower:
            return lower[usual]
    repeated = [key for key in present if _looks_like_classes([feature["properties"].get(key) for feature in features])]
    if len(repeated) == 1:
        return repeated[0]
    raise ToolInputError(
        "It is not clear which attribute of the polygons holds the class.",
        f"Name it, for example: train on the attribute 'class'. They have: {_listed(present)}.",
    )


def _looks_like_classes(values: Sequence[Any]) -> bool:
    """Tell whether values are a few that come again, each at least twice."""
    counts = Counter(label for value in values if (label := _label(value)))
    return 1 < len(counts) <= MAX_CLASSES and min(counts.values()) >= LEAST_POLYGONS


def _label(value: Any) -> str:
    """Make the name of a class of what a file holds: it is shown and compared, and never more than a name."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "" if value is None else " ".join(str(value).split())
    return "".join(one for one in text if one.isprintable())[:MAX_NAME_CHARS]


def _check(names: Sequence[str], labels: Sequence[str], attribute: str) -> None:
    if len(names) < 2:
        told = f"only the class {names[0]!r}" if names else "no class at all"
        raise ToolInputError(
            f"The attribute {attribute!r} holds {told}: there is nothing to tell apart.",
            "Draw polygons of at least two classes, at least two polygons each.",
        )
    if len(names) > MAX_CLASSES:
        raise ToolInputError(
            f"The attribute {attribute!r} holds {len(names)} different values; {MAX_CLASSES} classes at most.",
            "Name the attribute that holds the class, or merge classes.",
        )
    check_counts({name: labels.count(name) for name in names}, "")


def check_counts(polygons: dict[str, int], which: str) -> None:
    """Refuse classes with fewer than two polygons.

    Args:
        polygons: Number of polygons of each class.
        which: What is special of those counted, for the sentence: " with a clear pixel".

    Raises:
        ToolInputError: A class has too few polygons to learn from and to check with.
    """
    few = [f"{name} has {count}" for name, count in polygons.items() if count < LEAST_POLYGONS]
    if few:
        raise ToolInputError(
            f"Each class needs at least {LEAST_POLYGONS} polygons{which}, one to learn from and one to check with: "
            f"{', '.join(few)}.",
            "Draw more polygons of these classes, or leave the classes out.",
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:40]) for name in names[:12]) + (f" and {len(names) - 12} more" * (len(names) > 12))
