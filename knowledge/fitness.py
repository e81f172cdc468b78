"""Whether a product's facts meet what a question asks besides its subject: place, period, pixel size, units, rhythm."""

import re
from functools import lru_cache

from knowledge.catalogue import Catalogue
from knowledge.editions import finest_m, joined_boxes, joined_facts
from knowledge.fineness import as_fine, too_coarse
from knowledge.matches import Need, Shortfall
from knowledge.outlines import share_held, without
from knowledge.refusals import Refused
from knowledge.schema import Boxes, Comparability, Edition, Product

SHOWN_EDITIONS = 4
GOES_ON = 2022
"""A yearly series whose last year was before this one had ended when the facts were taken, in August 2026."""
NOT_OFFERED = ("announced", "discontinued", "retired")


_KINDS = {"vector": "vector|geopackage|geodatabase|shapefile|geojson", "raster": r"raster|geotiff|\bcog\b|netcdf"}
_FILES = {
    "netcdf": "netcdf",
    "geotiff": r"geotiff|\bcog\b",
    "geopackage": "geopackage",
    "shapefile": "shapefile",
    "geojson": "geojson",
}
"""Formats as `refusals.yaml` calls them, and how the catalogue writes them."""
LEAST_SHARE, WHOLE_SHARE = 0.05, 0.9
"""A product with less than the first share of a place does not cover it; with less than the second, a part of it."""


def shortfalls(
    product: Product, need: Need, catalogue: Catalogue, meant: Product | None = None
) -> tuple[Shortfall, ...]:
    """Say what the product's facts lack for the need, the gravest first; an unknown place or period is told, too.

    `meant` is what `suited` gives, where the caller has it.
    """
    meant = meant or suited(product, need)
    found = [
        *_refused(product, need.refused),
        _status(product),
        _place(meant, need),
        _period(product, need),
        too_coarse(product, meant, need),
        _cadence(product, need),
        _change(product, need, catalogue) or _still(product, need),
    ]
    return tuple(sorted((one for one in found if one), key=lambda one: not one.blocks))


def suited(product: Product, need: Need) -> Product:
    """Give the product with only those editions, and their facts, that have the place, period and pixel together.

    Where no edition has all of them, the pixel is left out first, then the period, then the place.
    """
    if need.bbox is None and need.start is None and need.pixel_m is None:
        return product
    offered = [one for one in product.editions if one.status not in NOT_OFFERED]
    here = [one for one in offered if covers(one.boxes, need)]
    if not here:
        return product
    found = [one for one in here if one.status == "current"] or here
    if need.start and need.end:
        found = _inside(_dated(product, need), need.start.year, need.end.year) or found
    found = as_fine(found, need)
    found = [one for one in found if covers_whole(one.boxes, need)] or found
    facts = {"boxes": joined_boxes(found), "editions": tuple(found), **joined_facts(found)}
    if len(here) < len(offered):
        facts["start"] = min((one.start for one in here if one.start), default=None)
        facts["end"] = max((one.end for one in here if one.end), default=None)
    return product.model_copy(update=facts)


def edition_elsewhere(product: Product, need: Need) -> str:
    """Give the id of the edition for the period where none for it has the place, but others have; else nothing."""
    if need.bbox is None or need.start is None or need.end is None or not covers(product.boxes, need):
        return ""
    anywhere = need.model_copy(update={"bbox": None, "points": ()})
    years = need.start.year, need.end.year
    found = _inside(_dated(product, anywhere), *years)
    return found[0].id if found and not _inside(_dated(product, need), *years) else ""


def period_note(product: Product, need: Need) -> str:
    """Tell which editions are for a period, or which two stand around it; empty when none is asked or none is dated."""
    dated = _dated(product, need)
    if need.start is None or need.end is None or not dated:
        return ""
    start, end = need.start.year, need.end.year
    when = str(start) if start == end else f"{start} to {end}"
    if inside := _inside(dated, start, end):
        inside.sort(key=lambda one: (one.status != "current", -_shared_years(one, start, end), _first(one)))
        if _is_parted(inside, start, end):
            parts = _listed(sorted(inside, key=_first))
            return f"No layer of change spans {when} as a whole; each of these tells of a part: {parts}."
        return f"For {when}: {_listed(inside)}."
    before = max((e for e in dated if _last(e) <= start), key=_last, default=None)
    after = min((e for e in dated if _first(e) >= end), key=_first, default=None)
    if before and after:
        gone = edition_elsewhere(product, need)
        lead = f"Its edition {gone} does not cover the place" if gone else f"No edition is for {when} itself"
        return f"{lead}: {_label(before)} and {_label(after)} bracket {when if gone else 'it'}."
    if before:
        return f"Nothing for {when}: its latest is {_label(before)}."
    return f"Nothing for {when}: its data begin with {_label(after)}." if after else ""


def _inside(dated: list[Edition], start: int, end: int) -> list[Edition]:
    """Give the editions with data in a period; change that shares only the first or the last year is not of it."""
    found = [one for one in dated if _first(one) <= end and _last(one) >= start]
    if start == end:
        return [one for one in found if not one.is_change] or found
    return [one for one in found if not one.is_change or _shared_years(one, start, end) > 0]


def _is_parted(inside: list[Edition], start: int, end: int) -> bool:
    """Tell whether there are only layers of change, none of them for the whole of a period of several years."""
    whole = any(_first(one) <= start and _last(one) >= end for one in inside)
    return start != end and all(one.is_change for one in inside) and not whole


def _listed(editions: list[Edition]) -> str:
    more = len(editions) - SHOWN_EDITIONS
    return f"{', '.join(map(_label, editions[:SHOWN_EDITIONS]))}{f' and {more} more' if more > 0 else ''}"


def differences(product: Product, other: Product) -> list[str]:
    """Say in what a product's facts fall behind another's, or what it measures instead, the most telling first."""
    found = []
    if product.measures and product.measures != other.measures:
        found.append(f"It measures {product.measures}.")
    pixel, others_pixel = product.resolution_m, other.resolution_m
    if pixel and others_pixel and pixel > others_pixel:
        found.append(f"Coarser: pixels of {pixel:g} m, not {others_pixel:g} m.")
    ends, others_end = _year(product.end), _year(other.end)
    if ends and ends < (others_end or 9999):
        found.append(f"Its data end in {ends}.")
    days, others_days = interval_days(product), interval_days(other)
    if days and others_days and days > others_days:
        found.append(f"Less often: {product.cadence} (first choice: {other.cadence}).")
    return found


def interval_days(product: Product) -> float | None:
    """Give the days from one map to the next, the shortest of several rhythms; None where the catalogue names none."""
    return min((days for one in _rhythms(product) if (days := _days(one))), default=None)


def _rhythms(product: Product) -> list[str]:
    return _rhythms_in(product.cadence or "")


@lru_cache(maxsize=256)
def _rhythms_in(cadence: str) -> list[str]:
    return re.findall(r"(?:\d+-)?(?:hourly|daily|monthly|yearly)", cadence.replace("annual", "yearly"))


def _days(rhythm: str) -> float:
    number, _, unit = rhythm.rpartition("-")
    return {"hourly": 1 / 24, "daily": 1.0, "monthly": 30.0, "yearly": 365.0}[unit] * int(number or 1)


def _refused(product: Product, refused: Refused) -> list[Shortfall]:
    """Say which fact of a product the question refuses, where no edition in use is free of it."""
    if not (refused.sensors or refused.formats or refused.pixels_m or refused.cadences):
        return []
    editions = [one for one in product.editions if one.status == "current"] or list(product.editions)
    sensors = [re.sub(r"[^a-z0-9]", "", " ".join(one.sensors).lower()) for one in editions if one.sensors]
    pixels = " raster" if product.resolution_m else ""
    formats = [" ".join((one.title, *one.formats, pixels)).lower() for one in editions]
    rhythms = set(_rhythms(product))
    told = [
        f"It uses {name}" for key, name in refused.sensor_names.items() if sensors and all(key in s for s in sensors)
    ]
    for kind in (_KINDS, _FILES):
        found = [{name for name, words in kind.items() if re.search(words, one)} for one in formats]
        if refused.formats and all(one and one <= refused.formats for one in found):
            told.append(f"It comes as {' and '.join(sorted(set.union(*found)))} only")
    if product.resolution_m in refused.pixels_m:
        told.append(f"Its pixels are {product.resolution_m:g} m")
    if rhythms and rhythms <= refused.cadences:
        told.append(f"Its production is {product.cadence}")
    return [Shortfall(kind="refused", text=f"{one}, which you do not want.", blocks=True) for one in told]


def _cadence(product: Product, need: Need) -> Shortfall | None:
    """Tell where a product comes less often than the question says."""
    days, asked = interval_days(product), min(need.cadences, key=_days, default="")
    if not asked or days is None or days <= _days(asked):
        return None
    text = f"Production asked for: {asked}; its own: {product.cadence}."
    return Shortfall(kind="cadence", text=text, blocks=False)


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
    return share_held(boxes, need.bbox, need.points) >= LEAST_SHARE


def surely_covers(product: Product, need: Need) -> bool:
    """Tell whether the place asked for, or some of it, is known to be mapped."""
    sure = () if product.parts_only else without(product.boxes, product.unverified_boxes)
    return bool(sure) and covers(sure, need)


def covers_whole(boxes: Boxes, need: Need) -> bool:
    """Tell whether boxes hold all of the place asked for, or nearly all."""
    return share_held(boxes, need.bbox, need.points) >= WHOLE_SHARE


def _place(product: Product, need: Need) -> Shortfall | None:
    if need.bbox is not None and covers(product.boxes, need) and not surely_covers(product, need):
        text = f"Whether this place is among what it maps was not verified (coverage: {product.coverage})."
        # Parts of an area are known to lie in it; of what has no outline at all, nothing is known.
        partly = product.boxes and product.parts_only
        return Shortfall(kind="place" if partly else "unverified", text=text, blocks=False)
    if covers(product.boxes, need):
        text = f"It covers only a part of the place (coverage: {product.coverage})."
        return None if covers_whole(product.boxes, need) else Shortfall(kind="place", text=text, blocks=False)
    return Shortfall(kind="place", text=f"It does not cover the place (coverage: {product.coverage}).", blocks=True)


def _period(product: Product, need: Need) -> Shortfall | None:
    dated = _dated(product, need)
    if need.start is None or need.end is None:
        return None
    if not dated:
        text = "For which years it has data was not verified."
        undated = all(_year(one.start) is None for one in product.editions)
        return Shortfall(kind="unverified", text=text, blocks=False) if undated else None
    start, end = need.start.year, need.end.year
    if inside := _inside(dated, start, end):
        begin, last = min(map(_first, dated)), max(map(_last, inside))
        text = f"Its data begin in {begin}, not in {start}." if begin > start else ""
        if _is_parted(inside, start, end) and (begin > start or last < end):
            text = (
                f"Its layers of change tell of {max(begin, start)} to {min(last, end)} only, not of {start} to {end}."
            )
        return Shortfall(kind="period", text=text, blocks=False) if text else None
    text = period_note(product, need)
    later, earlier = any(_first(e) >= end for e in dated), any(_last(e) <= start for e in dated)
    if earlier and later:
        return None  # two maps tell of the years between them; the note on editions says so
    # A map of some years ago still tells of today; a series that ended does not.
    return Shortfall(kind="period", text=text, blocks=not (earlier and _is_status_map(product)))


def difference_rule(
    product: Product, need: Need, catalogue: Catalogue
) -> tuple[tuple[int, int], Comparability | None] | None:
    """Give the two years of data at the ends of a period and the rule for subtracting them (None: not verified).

    Nothing where the period has no two years of states: layers of change are no ends. Of several layers for one year
    the one that has both ends, or replaces the other, counts, then the finest.
    """
    if need.start is None or need.end is None:
        return None
    start, end = need.start.year, need.end.year
    states = [one for one in _inside(_dated(product, need), start, end) if not one.is_change]
    if not states:
        return None
    states.sort(key=lambda one: finest_m(one) or 0)
    years = max(start, min(map(_first, states))), min(end, max(map(_last, states)))
    at = [[one for one in states if _first(one) <= year <= _last(one)] for year in years]
    if years[0] == years[1]:
        return None
    earlier, later = ([one for one in ends if one.status == "current"] or ends for ends in at)
    first = next((one for one in earlier if one in later), earlier[0])
    last = next((one for one in later if one.id in (first.id, first.superseded_by)), later[0])
    return years, catalogue.comparability(first.id, last.id, years)


def _change(product: Product, need: Need, catalogue: Catalogue) -> Shortfall | None:
    """Warn of comparing the ends of a period where that is not allowed, or not verified; name the change layer."""
    if need.start and need.end and need.start.year == need.end.year:
        return _one_year(product, need.start.year)
    years, rule = difference_rule(product, need, catalogue) or ((0, 0), None)
    if rule is None or rule.allowed or (rule.allowed is None and not (rule.change_product and need.change)):
        return None
    lead = "" if rule.allowed is None else f"Do not subtract its years {years[0]} and {years[1]}: "
    take = f" Take {rule.change_product}." if rule.change_product else ""
    blamed = bool(rule.change_product and lead)
    return Shortfall(kind="change" if blamed else "compare", text=f"{lead}{rule.reason}{take}", blocks=False)


def _one_year(product: Product, year: int) -> Shortfall | None:
    """Tell where no edition is of one year: all hold change, or what is usual over many years."""
    if all(one.is_change for one in product.editions):
        return Shortfall(
            kind="one year", text=f"It tells of change between two years, not of {year} alone.", blocks=False
        )
    if all(one.sums_up for one in product.editions):
        return Shortfall(
            kind="one year", text=f"It tells what is usual over many years, not how {year} was.", blocks=False
        )
    return None


def _still(product: Product, need: Need) -> Shortfall | None:
    """Tell where change is asked for, and a product maps states: one only, or some whose change has a layer."""
    if not need.change or any(one.is_change for one in product.editions):
        return None
    years = {day[:4] for one in product.editions for day in (one.start, one.end) if day}
    if len(years) == 1:
        text = f"It shows {years.pop()} only: no change can be read from it."
        return Shortfall(kind="still", text=text, blocks=False)
    layers = dict.fromkeys(rule.change_product for rule in product.comparable_with if rule.change_product)
    if not layers:
        return None
    text = f"It maps single years: for what changed take {[*layers][-1]}."
    return Shortfall(kind="still", text=text, blocks=False)


def _dated(product: Product, need: Need) -> list[Edition]:
    """Give the editions on offer whose years are known and that reach the place."""
    reaching = [one for one in product.editions if covers(one.boxes, need)]
    return [one for one in reaching if one.status not in NOT_OFFERED and _year(one.start) is not None]


def _is_status_map(product: Product) -> bool:
    """Tell whether a product is one map, a map now and then, or a yearly one that still goes on."""
    one_year = len({_year(day) for one in product.editions for day in (one.start, one.end)}) == 1
    if one_year or product.cadence is None or re.search(r"\d-yearly", product.cadence):
        return True
    return "yearly" in product.cadence and max(_last(one) for one in product.editions) >= GOES_ON


def _first(edition: Edition) -> int:
    return _year(edition.start) or 0


def _last(edition: Edition) -> int:
    return _year(edition.end) or 9999


def _shared_years(edition: Edition, first: int, last: int) -> int:
    """Count the years an edition shares with a period, the first not counted."""
    return min(_last(edition), last) - max(_first(edition), first)


@lru_cache(maxsize=4096)
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
