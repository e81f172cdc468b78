"""Draw the plain background of the page's map, which ships with the package; README.md beside it says how.

Usage: python -m tools.places_data.background ui/assets/vendor/background.json.gz
"""

import gzip
import json
import sqlite3
import sys
from pathlib import Path
from typing import Any

import shapely.geometry

from tools.gazetteer import CLMS_COUNTRIES, CREDIT, DATABASE, extent, whole_land

LAND_DEGREES, BORDER_DEGREES, GRID_DEGREES = 0.1, 0.01, 0.01
SMALLEST_ISLAND, SMALLEST_LAKE = 0.02, 0.1
"""In square degrees. The thousands of small lakes are most of the points, and too small to be seen."""


def main() -> None:
    """Write the land of the world, coarsely, and the countries of the service more finely, as gzipped GeoJSON."""
    features = [
        {"type": "Feature", "properties": {"kind": kind}, "geometry": shapely.geometry.mapping(_rounded(parts))}
        for kind, parts in (("land", _land()), ("border", _borders()))
    ]
    told = {"type": "FeatureCollection", "credit": CREDIT, "features": features}
    packed = gzip.compress(json.dumps(told, separators=(",", ":")).encode(), compresslevel=9, mtime=0)
    Path(sys.argv[1]).write_bytes(packed)


def _land() -> list[Any]:
    land = shapely.get_parts(shapely.simplify(whole_land(), LAND_DEGREES))
    return [_without_ponds(one) for one in land[shapely.area(land) > SMALLEST_ISLAND]]


def _without_ponds(land: Any) -> Any:
    lakes = [one for one in land.interiors if shapely.Polygon(one).area > SMALLEST_LAKE]
    return shapely.Polygon(land.exterior, lakes)


def _borders() -> list[Any]:
    with sqlite3.connect(DATABASE) as db:
        found = db.execute("SELECT id, country FROM place WHERE kind = 'country' ORDER BY country").fetchall()
    drawn = [extent(number).geometry for number, country in found if country in CLMS_COUNTRIES]
    shapes = [shapely.geometry.shape(one) for one in drawn if one]
    return list(shapely.get_parts(shapely.simplify(shapes, BORDER_DEGREES)))


def _rounded(parts: list[Any]) -> Any:
    # Countries share borders, which a valid multipolygon may not; a drawing may.
    return shapely.set_precision(shapely.MultiPolygon(parts), GRID_DEGREES, mode="pointwise")


if __name__ == "__main__":
    main()
