"""Whether a product's facts meet what a question asks besides its subject: place, period, pixel size, units."""

import re
from datetime import date
from functools import lru_cache

from knowledge.catalogue import Catalogue
from knowledge.matches import Shortfall
from knowledge.schema import Bbox, Boxes, Edition, Frozen, Product, reaches

PIXELS_ACROSS = 5
"""A unit needs about this many pixels across, or most of them also see its neighbours."""
PIXELS_ACROSS_PLACE = 50
"""A place needs about this many pixels across, or a map of it shows no parts."""
SHOWN_EDITIONS = 4
GOES_ON = 2022
"""A yearly series whose last year was before this one had ended when the facts were taken, in August 2026."""
NOT_OFFERED = ("announced", "discontinued", "retired")


LEAST_SHARE, WHOLE_SHARE = 0.05, 0.9
"""A product with less than the first share of a place does not cover it; with less than the second, a part of it."""

Point = tuple[float, float]
"""Longitude and latitude, degrees."""


class Need(Frozen):
    """What a question asks of a product besides its subject; what is None is not asked."""

    bbox: Bbox | None = None
    points: tuple[Point, ...] = ()
    """Points within the place, degrees: they tell a place from what merely lies in its box."""
    start: date | None = None
    end: date | None = None
    unit_m: float | None = None
    """Side of the smallest unit that must be told apart (square root of its area), metres."""
    pixel_m: float | None = None
    """Largest pixel the question allows, metres."""
    place_m: float | None = None
    """Side of the place itself (square root of its area), metres."""


def shortfalls(product: Product, need: Need, catalogue: Catalogue) -> tuple[Shortfall, ...]:
    """Say what the product's facts lack for the need, the gravest first; unknown facts are no shortfall."""
    found = [
        _status(product),
        _place(product, need),
        _period(product, need),
        _pixel(product, need),
        _change(product, need, catalogue),
    ]
    return tuple(sorted((one for one in found if one), key=lambda one: not one.blocks))


def period_note(product: Product, need: Need) -> str:
    """Tell which editions are for a period, or which two stand around it; empty when none is asked or none is dated."""
    dated = _dated(product, need)
    if need.start is None or need.end is None:
        return ""
    start, end = need.start, need.end
    if not dated:
        return ""
    when = str(start.year) if start.year == end.year else f"{start.year} to {end.year}"
    inside = [edition for edition in dated if _first(edition) <= end.year and _last(edition) >= start.year]
    if inside:
        inside.sort(key=lambda one: (one.status != "current", -_shared_years(one, start.year, end.year), _first(one)))
        more = len(inside) - SHOWN_EDITIONS
        rest = f" and {more} more" if more > 0 else ""
        return f"For {when}: {', '.join(_label(edition) for edition in inside[:SHOWN_EDITIONS])}{rest}."
    before = max((e for e in dated if _last(e) < start.year), key=_last, default=None)
    after = min((e for e in dated if _first(e) > end.year), key=_first, default=None)
    if before and after:
        return f"No edition is for {when} itself: {_label(before)} and {_label(after)} bracket it."
    if before:
        return f"Nothing for {when}: its latest is {_label(before)}."
    return f"Nothing for {when}: its data begin with {_label(after)}." if after else ""


def is_vector(product: Product) -> bool:
    """Tell whether a title or a format of an edition says that it is vector data."""
    words = " ".join(text for edition in product.editions for text in (edition.title, *edition.formats))
    return bool(re.search(r"vector|geopackage|geodatabase|shapefile|geojson", words, re.IGNORECASE))


def differences(product: Product, other: Product, need: Need) -> list[str]:
    """Say in what a product's facts fall behind another's, of those facts that a question asks for: the pixel size."""
    asks_for_detail = need.unit_m or need.pixel_m or need.place_m
    pixel, others_pixel = product.resolution_m, other.resolution_m
    if asks_for_detail and pixel and others_pixel and pixel > others_pixel:
        return [f"Coarser: pixels of {pixel:g} m, not {others_pixel:g} m."]
    return []


def _status(product: Product) -> Shortfall | None:
    states = {edition.status for edition in product.editions}
    if states == {"announced"}:
        return Shortfall(kind="status", text="It is announced, not published.", blocks=True)
    if states <= {"retired", "discontinued"}:
        return Shortfall(kind="status", text="It is no longer offered.", blocks=True)
    if states <= {"retired", "discontinued", "archive", "superseded"}:
        return Shortfall(kind="status", text="It is no longer produced.", blocks=False)
    return None


def covers(boxes: Boxes, need: Need) -> bool:
    """Tell whether boxes hold the place asked for, or some of it; what is unknown counts as covered."""
    if need.bbox is None or not boxes:
        return True
    return reaches(boxes, need.bbox) and (not need.points or _share(boxes, need.points) >= LEAST_SHARE)


def covers_whole(boxes: Boxes, need: Need) -> bool:
    """Tell whether boxes hold all of the place asked for, or nearly all."""
    return covers(boxes, need) and (not (need.points and boxes) or _share(boxes, need.points) >= WHOLE_SHARE)


@lru_cache(maxsize=1024)
def _share(boxes: Boxes, points: tuple[Point, ...]) -> float:
    """Give the share of points that lie in some box."""
    inside = sum(any(w <= lon <= e and s <= lat <= n for w, s, e, n in boxes) for lon, lat in points)
    return inside / len(points)


def _place(product: Product, need: Need) -> Shortfall | None:
    if covers(product.boxes, need):
        text = f"It covers only a part of the place (coverage: {product.coverage})."
        return None if covers_whole(product.boxes, need) else Shortfall(kind="place", text=text, blocks=False)
    return Shortfall(kind="place", text=f"It does not cover the place (coverage: {product.coverage}).", blocks=True)


def _period(product: Product, need: Need) -> Shortfall | None:
    dated = _dated(product, need)
    if need.start is None or need.end is None or not dated:
        return None
    if any(_first(e) <= need.end.year and _last(e) >= need.start.year for e in dated):
        begin = min(_first(edition) for edition in dated)
        if begin <= need.start.year:
            return None
        text = f"Its data begin in {begin}, not in {need.start.year}."
        return Shortfall(kind="period", text=text, blocks=False)
    text = period_note(product, need)
    later, earlier = any(_first(e) > need.end.year for e in dated), any(_last(e) < need.start.year for e in dated)
    if earlier and later:
        return None  # two maps tell of the years between them; the note on editions says so
    # A map of some years ago still tells of today; a series that ended does not.
    return Shortfall(kind="period", text=text, blocks=not (earlier and _is_status_map(product)))


def _change(product: Product, need: Need, catalogue: Catalogue) -> Shortfall | None:
    """Warn of comparing the first and the last year asked for where that is not allowed; name the change layer."""
    if need.start is None or need.end is None or need.start.year == need.end.year:
        return None
    years = (need.start.year, need.end.year)
    ends = [
        next((e for e in _dated(product, need) if e.status == "current" and _first(e) <= year <= _last(e)), None)
        for year in years
    ]
    first, last = ends
    rule = catalogue.comparability(first.id, last.id, years) if first and last else None
    if rule is None or rule.allowed is not False:
        return None
    take = f" Take {rule.change_product}." if rule.change_product else ""
    text = f"Do not subtract its years {years[0]} and {years[1]}: {rule.reason}{take}"
    return Shortfall(kind="change" if rule.change_product else "compare", text=text, blocks=False)


def _pixel(product: Product, need: Need) -> Shortfall | None:
    pixel = product.resolution_m
    if need.pixel_m is None and need.unit_m is None:
        return _extent(product, need)
    if pixel is None:
        unknown = Shortfall(kind="units", text="How fine it is has not been verified.", blocks=False)
        return None if is_vector(product) else unknown
    if need.pixel_m is not None and pixel > need.pixel_m:
        text = f"Its finest pixels are {pixel:g} m, not {need.pixel_m:g} m."
        return Shortfall(kind="pixel", text=text, blocks=True)
    if need.unit_m is not None and pixel > need.unit_m / PIXELS_ACROSS:
        text = f"Its pixels of {pixel:g} m are too coarse for units about {need.unit_m:.0f} m across."
        return Shortfall(kind="units", text=text, blocks=False)
    return None


def _extent(product: Product, need: Need) -> Shortfall | None:
    """Tell where a place is so small that a product shows it as a few pixels."""
    if need.place_m is None or product.resolution_m is None:
        return None
    across = need.place_m / product.resolution_m
    if across >= PIXELS_ACROSS_PLACE:
        return None
    text = (
        f"Its pixels of {product.resolution_m:g} m are coarse for a place about {need.place_m / 1000:.2g} km across: "
        f"{'not one' if across < 1 else f'only about {across:.0f}'} of them from side to side."
    )
    return Shortfall(kind="extent", text=text, blocks=False)


def _dated(product: Product, need: Need) -> list[Edition]:
    """Give the editions on offer whose years are known and that reach the place."""
    reaching = [one for one in product.editions if covers(one.boxes, need)]
    return [one for one in reaching if one.status not in NOT_OFFERED and _year(one.start) is not None]


def _is_status_map(product: Product) -> bool:
    """Tell whether a product is a map now and then, or a yearly one that still goes on."""
    if product.cadence is None or re.search(r"\d-yearly", product.cadence):
        return True
    return "yearly" in product.cadence and max(_last(one) for one in product.editions) >= GOES_ON


def _first(edition: Edition) -> int:
    return _year(edition.start) or 0


def _last(edition: Edition) -> int:
    return _year(edition.end) or 9999


def _shared_years(edition: Edition, first: int, last: int) -> int:
    """Count the years an edition shares with a period, the first not counted."""
    return min(_last(edition), last) - max(_first(edition), first)


def _year(text: str | None) -> int | None:
    """Read the first year of a date; None for `present`, for words and for nothing."""
    found = re.match(r"\d{4}", text or "")
    return int(found[0]) if found else None


def _label(edition: Edition) -> str:
    """Give the years and the id of an edition, and what took its place."""
    start, end = edition.start or "", edition.end or ""
    years = start if start == end or not end else f"{start} to {end}"
    state = f", {edition.status}" if edition.status != "current" else ""
    state += f", replaced by {edition.superseded_by}" if edition.superseded_by else ""
    return f"{years} ({edition.id}{state})"
