"""Polygons from a CSV table: outlines as WKT, corners as rows, or points."""

import csv
import io
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tools.area_files import DEGREES, RawFeature, RawLayer
from tools.coordinates import KM_PER_DEGREE
from tools.errors import AreaInvalid

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

WKT_COLUMNS = ("wkt", "geometry", "geom", "the_geom", "shape")
LON_COLUMNS = ("lon", "long", "longitude", "lng", "longitud", "longitudine", "länge", "laenge")
LAT_COLUMNS = ("lat", "latitude", "latitud", "latitudine", "breite")
X_COLUMNS = ("x", "east", "easting", "este", "rechtswert", "ostwert")
Y_COLUMNS = ("y", "north", "northing", "norte", "hochwert", "nordwert")
CRS_COLUMNS = ("epsg", "crs", "srid", "srs")
POLYGON_COLUMNS = ("polygon", "polygon_id", "parcel", "parcel_id", "field", "field_id", "plot", "plot_id", "id", "fid")
"""Columns that say to which polygon a corner belongs, when their values repeat."""
SRID = re.compile(r"\s*SRID=(\d+);", re.I)
"""What PostGIS writes before an outline."""
EPSG = re.compile(r"epsg\W{0,3}(\d{4,6})", re.I)
POINT_WIDTH_M = 30.0
"""A point stands for a square of this width: three pixels of 10 m."""
COLUMNS_HINT = (
    "Give a column `wkt`, or columns `lon` and `lat`, or `x` and `y` with a column `epsg`; corners of one polygon "
    "share a `polygon_id`."
)

Row = dict[str, str]


def read_csv(path: Path) -> RawLayer:
    """Read a table with a header, in degrees unless a column, a comment or the name says another system."""
    text = _text(path)
    comments = [line for line in text.splitlines()[:5] if line.startswith("#")]
    rows = _rows(text, path.name)
    crs = _crs(rows, comments, path.name)
    columns = list(rows[0])
    wkt = _first(columns, WKT_COLUMNS)
    if wkt is not None:
        return RawLayer(path.name, [_from_wkt(number, row, wkt) for number, row in enumerate(rows, 1)], crs or DEGREES)
    x, y, geographic = _coordinate_columns(columns, path.name)
    positions = [(_number(row[x]), _number(row[y])) for row in rows]
    if not geographic and crs is None and not _look_like_degrees(positions):
        raise AreaInvalid(f"{path.name} does not say its coordinate system.", hint="Add a column `epsg`, such as 2154.")
    warnings = [] if geographic or crs else [f"{path.name} does not say its coordinate system; degrees were assumed."]
    group = next((one for one in POLYGON_COLUMNS if one in columns and _repeats(rows, one)), None)
    if group is not None:
        return RawLayer(path.name, _from_corners(rows, positions, group), crs or DEGREES, warnings)
    warnings.append(
        f"{path.name} holds points; each was taken as a square of {POINT_WIDTH_M:g} m around it. {COLUMNS_HINT}"
    )
    features = [
        _from_point(n, row, at, crs or DEGREES) for n, (row, at) in enumerate(zip(rows, positions, strict=True), 1)
    ]
    return RawLayer(path.name, features, crs or DEGREES, warnings)


def _text(path: Path) -> str:
    content = path.read_bytes()
    if b"\0" in content:
        raise AreaInvalid(f"{path.name} is not a text file.", hint=COLUMNS_HINT)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _rows(text: str, name: str) -> list[Row]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) < 2:
        raise AreaInvalid(f"{name} has no rows below its header.", hint=COLUMNS_HINT)
    delimiter = max(";\t,|", key=lines[0].count)
    # By itself the library refuses an outline of some 5,000 corners; how large the file may be was checked before.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    try:
        table = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise AreaInvalid(f"{name} is not a proper CSV table: {error}.", hint=COLUMNS_HINT) from error
    header = [column.strip().strip("\"'").lower() for column in table[0]]
    return [dict(zip(header, [*values, *[""] * len(header)], strict=False)) for values in table[1:]]


def _crs(rows: Sequence[Row], comments: Sequence[str], name: str) -> str | None:
    """Return the declared coordinate system: of a column, the outlines, a comment, a column name or the file's name."""
    column, wkt = (_first(list(rows[0]), names) for names in (CRS_COLUMNS, WKT_COLUMNS))
    declared = {row[column].strip() for row in rows} - {""} if column else set[str]()
    declared |= {match[1] for row in rows if (match := SRID.match(row[wkt]))} if wkt else set()
    declared = {f"EPSG:{one}" if one.isdigit() else one for one in declared}
    if len(declared) > 1:
        raise AreaInvalid(f"{name} mixes coordinate systems: {', '.join(sorted(declared)[:4])}.", hint=COLUMNS_HINT)
    if declared:
        return declared.pop()
    for text in (*comments, *rows[0], name):
        if match := EPSG.search(text):
            return f"EPSG:{match[1]}"
    return None


def _coordinate_columns(columns: list[str], name: str) -> tuple[str, str, bool]:
    plain = {
        re.sub(r"[\s_-]*epsg\W{0,3}\d+|[\s_]*\(?(?:deg|degrees|m|wgs84)\)?$", "", one).strip("_ "): one
        for one in columns
    }
    for x_names, y_names, geographic in ((LON_COLUMNS, LAT_COLUMNS, True), (X_COLUMNS, Y_COLUMNS, False)):
        x, y = _first(list(plain), x_names), _first(list(plain), y_names)
        if x is not None and y is not None:
            return plain[x], plain[y], geographic
    raise AreaInvalid(f"{name} has no columns with coordinates (it has {', '.join(columns[:6])}).", hint=COLUMNS_HINT)


def _first(columns: Sequence[str], wanted: Sequence[str]) -> str | None:
    return next((name for name in wanted if name in columns), None)


def _number(text: str) -> float:
    """Read a number with a decimal point or comma; NaN when it is none."""
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        return math.nan


def _look_like_degrees(positions: Sequence[tuple[float, float]]) -> bool:
    finite = [(x, y) for x, y in positions if math.isfinite(x) and math.isfinite(y)]
    return bool(finite) and all(abs(x) <= 180 and abs(y) <= 90 for x, y in finite)


def _repeats(rows: Sequence[Row], column: str) -> bool:
    return len({row[column] for row in rows}) <= len(rows) / 3


def _from_wkt(number: int, row: Row, column: str) -> RawFeature:
    import shapely

    properties = {key: value for key, value in row.items() if key != column}
    text = SRID.sub("", row[column], count=1).strip()
    geometry = shapely.from_wkt(text, on_invalid="ignore") if text else None
    problem = "" if geometry is not None else "its WKT cannot be read" if text else "it has no geometry"
    return RawFeature(id=row.get("id") or str(number), properties=properties, geometry=geometry, problem=problem)


def _from_corners(rows: Sequence[Row], positions: Sequence[tuple[float, float]], group: str) -> list[RawFeature]:
    """Make one polygon of the rows that share a value, in their order."""
    from shapely.geometry import Polygon

    corners: dict[str, list[tuple[float, float]]] = {}
    first: dict[str, Row] = {}
    for row, position in zip(rows, positions, strict=True):
        corners.setdefault(row[group], []).append(position)
        first.setdefault(row[group], row)
    features = []
    for key, ring in corners.items():
        finite = all(math.isfinite(x) and math.isfinite(y) for x, y in ring)
        whole = finite and len(ring) >= 3
        problem = (
            "" if whole else "it has fewer than three corners" if finite else "it has coordinates that are not numbers"
        )
        properties = {"name": key, **first[key]} if not first[key].get("name") else first[key]
        features.append(RawFeature(key, dict(properties), Polygon(ring) if whole else None, problem))
    return features


def _from_point(number: int, row: Row, position: tuple[float, float], crs: str) -> RawFeature:
    x, y = position
    finite = math.isfinite(x) and math.isfinite(y)
    problem = "" if finite else "it has coordinates that are not numbers"
    geometry = _square_around(x, y, crs) if finite else None
    return RawFeature(row.get("id") or str(number), dict(row), geometry, problem)


@lru_cache(maxsize=8)
def _is_geographic(crs: str) -> bool:
    """Tell whether a system is in degrees; an unknown one is refused later, with its name."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return bool(CRS.from_user_input(crs).is_geographic)
    except CRSError:
        return True


def _square_around(x: float, y: float, crs: str) -> "BaseGeometry":
    from shapely.geometry import box

    half = POINT_WIDTH_M / 2
    if not _is_geographic(crs):
        return box(x - half, y - half, x + half, y + half)
    tall = half / 1000 / KM_PER_DEGREE
    wide = tall / max(math.cos(math.radians(min(abs(y), 89.0))), 0.01)
    return box(x - wide, y - tall, x + wide, y + tall)
