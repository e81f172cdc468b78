"""Whether two years of a layer can be compared: what the catalogue says, their grids, and what their years mean."""

import math
from typing import Any

from knowledge.catalogue import Catalogue
from knowledge.errors import ProductNotFound
from knowledge.schema import Comparability, Edition
from tools.errors import ToolInputError
from tools.layer_plan import LayerWork, Subject
from tools.layer_search import Release, choose_release, covers_year, find_edition
from tools.schema import Period

SAME_GRID = 0.01
"""Grids whose lines lie less than this share of a pixel apart are the same."""
WHOLE_YEAR_DAYS = 360
PRODUCED = ("processing:datetime", "published")
"""Item properties that may say when a layer was produced."""


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


def check_alike(before: LayerWork, after: LayerWork) -> None:
    """Refuse a comparison of pixels that would show the grid, the unit or the legend instead of the land.

    Raises:
        ToolInputError: Same release twice, other pixel size, other grid, other classes or unit.
    """
    apart = "Ask for each year by itself."
    if before.release is after.release:
        raise ToolInputError(f"Both years are the layer of {after.release.label}.", "Name two different years.")
    if not math.isclose(before.pixel_m, after.pixel_m, rel_tol=1e-6):
        raise ToolInputError(
            f"Pixels are {before.pixel_m:g} m against {after.pixel_m:g} m: a difference would show the grid.", apart
        )
    if told := _other_grid(before, after):
        raise ToolInputError(
            f"The two layers lie on different grids ({told}): a difference would show the grid.", apart
        )
    if before.rules.classes != after.rules.classes or before.rules.unit != after.rules.unit:
        raise ToolInputError("The two layers hold different classes or units.", apart)


def time_meaning(before: LayerWork, after: LayerWork) -> tuple[str, ...]:
    """Tell what the two years stand for: reference, not production; and whether season or length differ."""
    one, other = before.release, after.release
    found = []
    if (one.start.month, one.end.month) != (other.start.month, other.end.month):
        found.append(
            f"The two are not for the same part of the year ({_span(one)} against {_span(other)}): part of the "
            "difference is the season."
        )
    if _is_year(one) != _is_year(other):
        found.append(f"One stands for a whole year and the other does not: {_span(one)} against {_span(other)}.")
    made = [_produced(release) for release in (one, other)]
    when = (
        f"they were produced {made[0]} and {made[1]}"
        if all(made)
        else "when each was produced is not in its metadata"
    )  # fmt: skip
    found.append(f"{one.label} and {other.label} are the years that the layers stand for, not of production: {when}.")
    return tuple(found)


def _editions(subject: Subject, period: Period) -> list[Edition]:
    release = choose_release(subject.releases, period)
    if release is not None:
        edition, _ = find_edition(subject.product, release)
        return [edition] if edition else []
    year = period.start.year
    return [one for one in subject.product.editions if covers_year(one, year)] if subject.product else []


def _other_grid(before: LayerWork, after: LayerWork) -> str:
    """Say how two grids differ; empty when they do not, or when the metadata do not tell."""
    (crs, corner), (other_crs, other_corner) = (_grid(work.release) for work in (before, after))
    if crs and other_crs and crs != other_crs:
        return f"{crs} against {other_crs}"
    if not (corner and other_corner):
        return ""
    size = corner[2]
    shifts = [abs((a - b) / size - round((a - b) / size)) for a, b in zip(corner[:2], other_corner[:2], strict=True)]
    return f"shifted by {max(shifts):.0%} of a pixel" if max(shifts) > SAME_GRID else ""


def _grid(release: Release) -> tuple[str, tuple[float, float, float] | None]:
    """Give the reference system of a release, and a corner of its grid with the size of a step, in its own units."""
    item = release.items[0]
    asset: dict[str, Any] = (item.get("assets") or {}).get(release.holding.band.name) or {}
    places = (asset, item["properties"])
    codes = (one for place in places for key in ("proj:code", "proj:epsg") if (one := place.get(key)))
    transform = next((one for place in places if (one := place.get("proj:transform"))), None)
    corner = (float(transform[2]), float(transform[5]), abs(float(transform[0]))) if transform else None
    return str(next(codes, "")).removeprefix("EPSG:"), corner


def _is_year(release: Release) -> bool:
    return (release.end - release.start).days >= WHOLE_YEAR_DAYS


def _span(release: Release) -> str:
    start, end = release.start.isoformat(), release.end.isoformat()
    return start if start == end else f"{start} to {end}"


def _produced(release: Release) -> str:
    properties = release.items[0]["properties"]
    return next((str(properties[key])[:10] for key in PRODUCED if properties.get(key)), "")
