"""Large regions by name, to tell whether a product reaches there: read from `regions.yaml`."""

import re
from functools import cache
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from knowledge.errors import SourceInvalid
from knowledge.lexicon import fold
from knowledge.schema import Bbox, Frozen

FILE = Path(__file__).with_name("regions.yaml")


class Region(Frozen):
    """A region and the box around it."""

    names: tuple[str, ...]
    boxes: tuple[Bbox, ...]


def named_region(name: str) -> Bbox | None:
    """Give the box of the region that has just this name, degrees; None when none has."""
    return _boxes_by_name().get(fold(name).replace("’", "'"))


@cache
def _boxes_by_name() -> dict[str, Bbox]:
    return {name: _around(region.boxes) for region in load_regions() for name in region.names}


def _around(boxes: tuple[Bbox, ...]) -> Bbox:
    west, south, east, north = zip(*boxes, strict=True)
    return min(west), min(south), max(east), max(north)


def find_region(text: str) -> tuple[str, Bbox] | None:
    """Give the longest name of a region that stands in a text, and its box in degrees; None when there is none."""
    folded = fold(text)
    found = [
        (name, region)
        for region in load_regions()
        for name in region.names
        if name in folded and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", folded)
    ]
    if not found:
        return None
    name, region = max(found, key=lambda pair: len(pair[0]))
    return name, _around(region.boxes)


@cache
def load_regions(path: Path = FILE) -> tuple[Region, ...]:
    """Read and check the regions.

    Raises:
        SourceInvalid: the file is not a list of regions.
    """
    try:
        return TypeAdapter(tuple[Region, ...]).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise SourceInvalid(f"{path.name} is not a list of regions: {error}") from error
