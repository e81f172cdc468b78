"""Place names to `Place`s, from the bundled gazetteer; no network."""

import math
import re
from dataclasses import dataclass
from difflib import get_close_matches

from knowledge.regions import named_region
from tools import gazetteer
from tools.coordinates import box_area_km2, read_coordinates, square
from tools.errors import PlaceAmbiguous, PlaceNotFound
from tools.gazetteer import CLMS_COUNTRIES, FRENCH_CODES, OUTLINE_SOURCE, TOWN_SOURCE, Entry
from tools.lau import kept_files
from tools.names import fold
from tools.nuts import NutsSource, find_named, find_nuts, is_nuts_code
from tools.place_radius import split_radius, with_surroundings
from tools.place_words import SPECIFIC, fits, split_kind, strip_lead
from tools.schema import Place

PEOPLE_PER_KM2 = 10_000
"""A city's box is the square its people fill at this density, between the two half widths below."""
HALF_WIDTHS_KM = (2.5, 10.0)
MUNICIPALITY_KM2 = 1_000
"""A region that is no larger and has the name of its city is the city: Berlin, Wien, Valletta."""
PROVINCES = frozenset({"province", "district", "canton"})
"""Kinds of region that are more than their capital, however small."""

CLMS_WEIGHT = 10
"""A CLMS user who says Valencia means the one in Spain, though the one in Venezuela has more people."""
ALTERNATE_WEIGHT, SHORT_WEIGHT = 0.15, 0.5
"""A city known by this name only as an alternate counts for less; half when it is the beginning of its name."""
AMBIGUOUS_SHARE, NAMESAKE_SHARE = 0.2, 0.07
"""A runner-up with this share of the best one's weight is a real alternative: ask. Less will do for one of the very
same name (Valencia in Venezuela), not for one that is only called so elsewhere (Bordeaux, Porto in some languages)."""
CAPITAL_SHARE = 0.03
"""A city with this share of the people of the region it gave its name to is meant before the region."""
SMALL_TOWN = 15_000
"""A town with fewer people is named with its region: the reader may know another one."""
NEAR_DEGREES = 0.05

LEFT_OUT = {
    "FR": "; without the overseas regions, which are places of their own",
    "NL": "; without the Caribbean islands",
    "NO": "; without Svalbard, which is a place of its own",
}
"""What the outline of a country leaves out: it would reach over oceans."""

POSITION = re.compile(r"\(lon (-?\d+(?:\.\d+)?), lat (-?\d+(?:\.\d+)?)\)")


@dataclass(frozen=True)
class Match:
    """A gazetteer entry that answers to a name, and how much speaks for it."""

    entry: Entry
    weight: float


def resolve_place(text: str, *, nuts: NutsSource | None = None) -> Place:
    """Return the one place meant by a name, a NUTS code, a "lon,lat" pair or a "west,south,east,north" box.

    "3 km around Rennes" is that place and its surroundings. Raises PlaceNotFound with near spellings, or
    PlaceAmbiguous with options that each resolve.
    """
    if around := split_radius(text):
        return _surroundings(*around, nuts)
    drawn = read_coordinates(text)
    if drawn is not None:
        return drawn
    if not text.strip():
        raise PlaceNotFound("No place is named.", hint="Name a town, a region or a country, or attach a polygon.")
    if named_region(strip_lead(text.strip())):  # the Andes, not the town of the name
        hint = "Name a country, a region or a town in it, or attach a polygon."
        raise PlaceNotFound(f"No outline of {text.strip()!r} is bundled.", hint=hint)
    matches = _matches(text)
    if not matches and is_nuts_code(text):
        return _nuts_place(text, nuts)
    if not matches:
        return _district(text, nuts)
    rivals = _rivals(matches)
    if rivals:
        options = tuple(dict.fromkeys(_option(match) for match in (matches[0], *rivals[:4])))
        raise PlaceAmbiguous(f"There are several places called {text.strip()!r}.", options=options)
    return _place(matches[0].entry)


def _surroundings(name: str, radius_km: float, nuts: NutsSource | None) -> Place:
    try:
        return with_surroundings(resolve_place(name, nuts=nuts), radius_km)
    except PlaceAmbiguous as error:
        options = tuple(f"{radius_km:g} km around {option}" for option in error.options)
        raise PlaceAmbiguous(error.message, options=options) from error


def find_places(text: str, *, limit: int = 5) -> list[Place]:
    """Return the places that answer to a name, best first; none is an answer too."""
    if around := split_radius(text):
        return [with_surroundings(place, around[1]) for place in find_places(around[0], limit=limit)]
    drawn = read_coordinates(text)
    return [drawn] if drawn is not None else [_place(match.entry) for match in _matches(text)[:limit]]


def place_sources(nuts: NutsSource | None) -> tuple[str, ...]:
    """Tell where places come from: what is bundled, kept on disk, and fetched."""
    known = gazetteer.counts()
    bundled = (
        f"bundled: {known['city']} towns ({TOWN_SOURCE}); {known['region']} regions and {known['country']} countries, "
        f"{known['outlined']} with their outline ({OUTLINE_SOURCE})"
    )
    files = sorted(path.name for path in nuts.folder.glob("*.geojson")) if nuts else []
    kept = f"NUTS boundaries in {nuts.folder}: {', '.join(files) or 'none'}" if nuts else "NUTS boundaries: none"
    communes = ", ".join(path.name for path in kept_files(nuts)) or "none; `clms-assistant places fetch` gets them"
    online = f"online: NUTS boundaries from {nuts.url}" if nuts and nuts.url else "online: nothing is fetched"
    online += f"; communes from {nuts.lau_url}" if nuts and nuts.lau_url else ""
    return bundled, kept, f"communes: {communes}", online


def _matches(text: str) -> list[Match]:
    """Return all matches of a name, best first; those of the kind that the words ask for, if any."""
    position = POSITION.search(text)
    name = POSITION.sub("", text).strip()
    bare = strip_lead(name)
    for words, kind in ((name, ""), (bare, ""), split_kind(bare)):
        found = [match for split in _splits(words) for match in _named(*split)]
        if position:
            lon, lat = float(position[1]), float(position[2])
            found = [m for m in found if math.dist((m.entry.lon, m.entry.lat), (lon, lat)) < NEAR_DEGREES]
        if found:
            fitting = [match for match in found if fits(match.entry, kind)]
            if kind in SPECIFIC:
                return _ranked(fitting)
            return _ranked(fitting or found, by_kind=bool(kind))
    return []


def _splits(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Part a name from what narrows it: "Rennes, France", "Rennes (France)", "Rennes France", "Rennes in France"."""
    separators = dict.fromkeys([",", "[,()]" if "(" in text else ","])
    parted = [[fold(part) for part in re.split(separator, text) if part.strip()] or [""] for separator in separators]
    if len(parted[-1]) > 1:
        return [(name, tuple(narrower)) for name, *narrower in parted]
    words = parted[0][0].split()
    splits: list[tuple[str, tuple[str, ...]]] = [(" ".join(words), ())]
    for n in range(1, len(words)):
        tail = " ".join(words[n:]).removeprefix("in ").removeprefix("en ")
        if gazetteer.country_code(tail) or any(entry.kind == "region" for entry, _ in gazetteer.named(tail)):
            splits.append((" ".join(words[:n]), (tail,)))
    return splits


def _named(name: str, narrower: tuple[str, ...]) -> list[Match]:
    """Return the entries with exactly this name, in the named country or region."""
    matches = []
    for entry, main in gazetteer.named(name):
        if all(_lies_in(entry, word) for word in narrower):
            short = SHORT_WEIGHT if fold(entry.name).startswith(f"{name} ") else ALTERNATE_WEIGHT
            matches.append(Match(entry, _people(entry) * (1.0 if main or entry.kind != "city" else short)))
    return matches


def _people(entry: Entry) -> float:
    near = entry.kind == "country" or entry.country in CLMS_COUNTRIES
    return max(entry.population, 1) * (CLMS_WEIGHT if near else 1)


def _lies_in(entry: Entry, word: str) -> bool:
    code = gazetteer.country_code(word)
    if code is not None and (code == entry.country or (code == "FR" and entry.country in FRENCH_CODES)):
        return True
    regions = [one for one, _ in gazetteer.named(word) if one.kind == "region"]
    return any(_is_part(entry, region) for region in regions)


def _is_part(entry: Entry, region: Entry) -> bool:
    unit = entry.parent if entry.kind == "city" else entry.id
    return unit is not None and (unit in gazetteer.parts(region.id) or (entry.kind == "city" and unit == region.id))


def _ranked(matches: list[Match], *, by_kind: bool = False) -> list[Match]:
    """Put the heaviest first; of one name in one country, a country or a capital also speaks for what is around it."""
    ranked = sorted(matches, key=lambda match: (-match.weight, match.entry.id))
    if by_kind:
        return ranked
    kept: dict[Entry, float] = {}
    for match in ranked:
        speaker = next((other.entry for other in ranked if _speaks_for(other.entry, match.entry)), match.entry)
        # A city counts in full where its region has the name too, though it may be an alternate name of the city.
        weight = match.weight if speaker == match.entry else _people(speaker)
        kept[speaker] = max(kept.get(speaker, 0.0), weight)
    return sorted((Match(entry, weight) for entry, weight in kept.items()), key=lambda match: -match.weight)


def _speaks_for(one: Entry, other: Entry) -> bool:
    """Tell whether a place of the same name is meant first: Luxembourg before its city, Liège before its province."""
    if one.country != other.country or one == other:
        return False
    return one.kind == "country" or (one.kind == "city" and _is_capital(one, other))


def _is_capital(city: Entry, region: Entry) -> bool:
    if region.kind != "region" or city.population < CAPITAL_SHARE * region.population:
        return False
    named_alike = any(one == region for one, _ in gazetteer.named(fold(city.name)))
    return named_alike and gazetteer.box_holds(region.id, city.lon, city.lat)


def _rivals(matches: list[Match]) -> list[Match]:
    """Return the matches that the user may well mean instead of the first."""
    best, *others = matches

    def share(match: Match) -> float:
        alike = match.entry.kind == best.entry.kind and fold(match.entry.name) == fold(best.entry.name)
        return NAMESAKE_SHARE if alike else AMBIGUOUS_SHARE

    return [match for match in others if match.weight >= share(match) * best.weight]


def _option(match: Match) -> str:
    """Name a choice so that it resolves; its kind or position is added where the name is not enough."""
    label, kind = _label(match.entry), match.entry.type or match.entry.kind
    for option in (label, _label(match.entry, with_region=True), f"{label} ({kind})"):
        answers = _matches(option)
        if answers and answers[0].entry == match.entry and not _rivals(answers):
            return option
    return f"{label} (lon {match.entry.lon:.3f}, lat {match.entry.lat:.3f})"


def _label(entry: Entry, *, with_region: bool = False) -> str:
    """Name a place with what tells it from others."""
    country = gazetteer.country_name(entry.country)
    if entry.kind == "country":
        return entry.name
    parent = gazetteer.get(entry.parent) if entry.parent else None
    told = with_region or entry.shared or entry.population < SMALL_TOWN or entry.country == "US"
    region = parent.name if parent and told else ""
    return ", ".join(dict.fromkeys(part for part in (entry.name, region, country) if part))


def _place(entry: Entry) -> Place:
    """Return the place: the outline where one is bundled, else a box that says it is one."""
    name, kind = _label(entry), entry.type or entry.kind
    if entry.kind == "city":
        unit = _own_unit(entry)
        return _outlined(unit, name, "city") if unit else _town(entry, name)
    return _outlined(entry, name, kind)


def _own_unit(city: Entry) -> Entry | None:
    """Return the unit that is the city itself, when the regions are municipalities or the city is a state."""
    unit = gazetteer.get(city.parent) if city.parent else None
    if unit is None or unit.type in PROVINCES or city.id not in {one.id for one, _ in gazetteer.named(fold(unit.name))}:
        return None
    extent = gazetteer.extent(unit.id)
    small = extent.geometry is not None and (extent.area_km2 or math.inf) < MUNICIPALITY_KM2
    return unit if small else None


def _town(entry: Entry, name: str) -> Place:
    half = min(max(math.sqrt(entry.population / PEOPLE_PER_KM2) / 2, HALF_WIDTHS_KM[0]), HALF_WIDTHS_KM[1])
    bbox = square(entry.lon, entry.lat, half)
    source = f"{TOWN_SOURCE}; a box of ±{half:.1f} km around the centre, not the municipal boundary"
    return Place(name=name, kind="city", bbox=bbox, area_km2=box_area_km2(bbox), source=source)


def _outlined(entry: Entry, name: str, kind: str) -> Place:
    extent = gazetteer.extent(entry.id)
    if extent.geometry is None:
        data = f"{TOWN_SOURCE}, {OUTLINE_SOURCE}" if entry.kind == "country" else OUTLINE_SOURCE
        source = f"{data}; a box around it, not the border"
        return Place(name=name, kind=kind, bbox=extent.bbox, area_km2=box_area_km2(extent.bbox), source=source)
    area = round(extent.area_km2 or box_area_km2(extent.bbox), 2)
    left_out = LEFT_OUT.get(entry.country, "") if entry.kind == "country" else ""
    source = f"{OUTLINE_SOURCE}{left_out}"
    return Place(name=name, kind=kind, bbox=extent.bbox, geometry=extent.geometry, area_km2=area, source=source)


def _nuts_place(text: str, nuts: NutsSource | None) -> Place:
    """Return a NUTS region: its own boundary where there is one, else the outline of the same region."""
    found = find_nuts(text, nuts)
    if found is not None:
        return found
    code = text.strip().upper().removeprefix("NUTS").strip()
    entry = gazetteer.with_nuts_code(code)
    if entry is None:
        raise PlaceNotFound(
            f"The boundary of the NUTS region {code} is not bundled.",
            hint="Name the region instead, attach its polygon, put a GISCO NUTS file (GeoJSON) in the "
            "folder `nuts` of the data folder, or allow fetching it (`CLMS_FETCH_NUTS`).",
        )
    place = _outlined(entry, f"{_label(entry)} ({code})", entry.type or entry.kind)
    return place.model_copy(
        update={"source": f"{place.source}; not the NUTS boundary, but matched to {code} of NUTS 2024 by its shape"}
    )


def _district(text: str, nuts: NutsSource | None) -> Place:
    """Return the NUTS 3 region that "Landkreis Rosenheim" names, where its boundary is at hand."""
    name, kind = split_kind(strip_lead(text.strip()))
    found = find_named(name, nuts) if kind in SPECIFIC else []
    if not found:
        raise PlaceNotFound(f"No place called {text.strip()!r} is known.", hint=_near_hint(text))
    if len(found) > 1:
        codes = tuple(re.findall(r"\((\w+)\)$", place.name)[0] for place in found)
        raise PlaceAmbiguous(f"There are several places called {text.strip()!r}.", options=codes)
    return found[0]


def _near_hint(text: str) -> str:
    """Suggest up to three known names, of covered countries first, spelt like this one."""
    words, kind = split_kind(strip_lead(text.strip()))
    name = _splits(words)[0][0]
    if kind in SPECIFIC and (found := [m for split in _splits(words) for m in _named(*split)]):
        return f"No {kind} of this name is bundled. Did you mean {_label(_ranked(found)[0].entry)!r}?"
    pool = gazetteer.spelt_nearly(name[:1], len(name)) if name else {}
    near = [pool[key] for key in get_close_matches(name, list(pool), n=6, cutoff=0.75)]
    near.sort(key=lambda entry: entry.country not in CLMS_COUNTRIES)
    told = " or ".join(f"'{_label(entry)}'" for entry in near[:3])
    return f"Did you mean {told}?" if told else "Try a larger town near it, or attach a polygon."
