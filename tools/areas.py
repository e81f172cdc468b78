"""Polygons from a user's file, folder or request body, checked, repaired and brought to EPSG:4326."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.area_files import DEGREES, FORMATS_HINT, RawFeature, RawLayer, geojson_layer, read_layers
from tools.coordinates import COVERED_BOXES, KM_PER_DEGREE
from tools.errors import AreaInvalid
from tools.schema import Bbox, Polygons, geometry_bounds

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

LONGITUDE_FIRST_HINT = "GeoJSON wants longitude first, then latitude, in degrees (EPSG:4326)."
MAX_TEXT_CHARS = 200
NAME_KEYS = ("name", "nom", "nombre", "label", "title", "nuts_name", "id_parcel", "code")
MAX_REPORTED = 20
"""Features told one by one; the rest is counted."""
MOST_CORNERS, STEP_DEG = 50_000, 1e-5
"""An outline with more corners is simplified within this step, about a metre: no pixel here is that small."""
FEW_PIXELS = 4
"""A polygon with fewer pixels than this has hardly one that lies wholly inside."""


@dataclass
class Reading:
    """Features on their way in, with what was noticed about them."""

    features: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """About files and layers."""
    left_out: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    """About single features."""
    ids: set[str] = field(default_factory=set)

    def report(self) -> tuple[str, ...]:
        """Tell all of it: features one by one while they are few, then their number."""
        told = [*self.warnings]
        for lines, what in ((self.left_out, "left out"), (self.repaired, "repaired or told")):
            told += lines[:MAX_REPORTED]
            if len(lines) > MAX_REPORTED:
                told.append(f"{len(lines)} features in all were {what}; the first {MAX_REPORTED} are listed.")
        return tuple(told)


def read_polygons(path: Path, *, max_bytes: int) -> Polygons:
    """Read the polygons of a GeoJSON, GeoPackage, shapefile, KML or CSV file, or of a folder of such files."""
    return _collect(read_layers(path, max_bytes=max_bytes), path.name)


def parse_geojson(obj: dict[str, Any], *, name: str) -> Polygons:
    """Check the polygons of a GeoJSON object: a collection, a feature or a bare geometry."""
    return _collect([geojson_layer(obj, name)], name)


def small_units(polygons: Polygons, pixel_m: float) -> tuple[str, ...]:
    """Tell which polygons are smaller than a few pixels of this width: border pixels make their values."""
    import shapely
    from shapely.geometry import shape

    limit_m2 = FEW_PIXELS * pixel_m**2
    small = []
    for feature in polygons.collection["features"]:
        west, south, east, north = geometry_bounds(feature["geometry"])
        metres2 = (KM_PER_DEGREE * 1000) ** 2 * math.cos(math.radians((south + north) / 2))
        # The box of a large polygon is enough to know.
        if (east - west) * (north - south) * metres2 < limit_m2 * 100 and (
            shapely.area(shape(feature["geometry"])) * metres2 < limit_m2
        ):
            small.append(str(feature["properties"].get("name") or feature["id"]))
    if not small:
        return ()
    names = ", ".join(small[:5]) + (f" and {len(small) - 5} more" if len(small) > 5 else "")
    are = "polygons are" if len(small) > 1 else "polygon is"
    return (
        f"{len(small)} {are} smaller than {FEW_PIXELS} pixels of {pixel_m:g} m: {names}. Pixels on the border make the "
        "value, or there is none.",
    )


def _collect(layers: Sequence[RawLayer], name: str) -> Polygons:
    """Repair and convert the features of all layers; refuse when nothing is left."""
    reading = Reading()
    for layer in layers:
        _add_layer(reading, layer, prefix=f"{Path(layer.name).stem}-" if len(layers) > 1 else "")
    warnings = reading.report()
    if not reading.features:
        reason = warnings[-1] if warnings else "It holds no features."
        raise AreaInvalid(f"{name} holds no usable polygon. {reason}", hint=FORMATS_HINT)
    polygons = Polygons(
        name=Path(name).stem,
        source=name,
        collection={"type": "FeatureCollection", "features": reading.features},
        warnings=warnings,
    )
    swapped = _swapped_warning(polygons.bbox)
    return polygons.model_copy(update={"warnings": (*warnings, *swapped)}) if swapped else polygons


def _add_layer(reading: Reading, layer: RawLayer, *, prefix: str) -> None:
    reading.warnings += layer.warnings
    to_degrees = _transformer(layer.crs, layer.name) if layer.features else None
    for number, feature in enumerate(layer.features, start=1):
        stem = Path(layer.name).stem
        label = _label(feature, stem if len(layer.features) == 1 else f"{prefix}Polygon {number}")
        geometry = _usable(feature, label, to_degrees, reading)
        if geometry is None:
            continue
        identifier = f"{prefix}{feature.id}"
        identifier = identifier if identifier not in reading.ids else f"{identifier}-{number}"
        reading.ids.add(identifier)
        reading.features.append(_feature(identifier, label, feature.properties, geometry))


def _transformer(crs: str, name: str) -> Any:
    """Return a function from the file's coordinates to degrees; None when they are degrees already."""
    from pyproj import CRS, Transformer
    from pyproj.exceptions import ProjError

    try:
        source = CRS.from_user_input(crs)
        if source.equals(CRS.from_user_input(DEGREES), ignore_axis_order=True):
            return None
        return Transformer.from_crs(source, 4326, always_xy=True).transform
    except ProjError as error:
        raise AreaInvalid(f"{name} is in an unknown coordinate system.", hint="Save it in EPSG:4326.") from error


def _usable(feature: RawFeature, label: str, to_degrees: Any, reading: Reading) -> "BaseGeometry | None":
    """Return the feature's valid polygon in degrees; None when it has none. Either way the reading tells."""
    import numpy
    import shapely

    geometry = feature.geometry
    if geometry is None or geometry.is_empty:
        reading.left_out.append(f"{label} was left out: {feature.problem or 'it is empty'}.")
        return None
    geometry = shapely.force_2d(geometry)
    if to_degrees is not None:
        geometry = shapely.transform(geometry, to_degrees, interleaved=False)
    if not numpy.isfinite(shapely.get_coordinates(geometry)).all():
        reading.left_out.append(f"{label} was left out: it has coordinates that are not numbers.")
        return None
    _check_degrees(geometry, label)
    valid = bool(shapely.is_valid(geometry))
    polygon = _polygonal(geometry if valid else shapely.make_valid(geometry))
    if polygon.is_empty or polygon.area == 0:
        reading.left_out.append(f"{label} was left out: it is not a polygon with an area.")
        return None
    if not valid:
        reading.repaired.append(f"{label} was repaired: its outline crossed itself or was not closed properly.")
    corners = int(shapely.get_num_coordinates(polygon))
    if corners > MOST_CORNERS:
        polygon = shapely.simplify(polygon, STEP_DEG)
        left = int(shapely.get_num_coordinates(polygon))
        reading.repaired.append(f"{label} has {corners} corners: it was drawn with {left}, moved by less than 1.2 m.")
    west, _, east, _ = polygon.bounds
    if east - west > 180:
        widest = max(part.bounds[2] - part.bounds[0] for part in shapely.get_parts(polygon))
        reading.repaired.append(
            f"{label} is {east - west:.0f} degrees of longitude wide; if it crosses the 180° meridian, split it there."
            if widest > 180
            else f"{label} lies on both sides of the 180° meridian, so its box goes around the globe; give each side "
            "in a file of its own."
        )
    return polygon


def _check_degrees(geometry: "BaseGeometry", label: str) -> None:
    west, south, east, north = geometry.bounds
    if max(abs(west), abs(east)) <= 180 and max(abs(south), abs(north)) <= 90:
        return
    if max(abs(west), abs(east)) <= 90 and max(abs(south), abs(north)) <= 180:
        raise AreaInvalid(f"{label}: latitude and longitude seem to be swapped.", hint=LONGITUDE_FIRST_HINT)
    raise AreaInvalid(
        f"{label}: the coordinates are not degrees (they start at {west:.0f}, {south:.0f}).",
        hint="Save the file in EPSG:4326, or in a format that says its coordinate system.",
    )


def _polygonal(geometry: "BaseGeometry") -> "BaseGeometry":
    """Keep the polygons of a geometry; repairing may leave stray lines beside them."""
    from shapely.geometry import MultiPolygon
    from shapely.ops import unary_union

    if geometry.geom_type in {"Polygon", "MultiPolygon"}:
        return geometry
    parts = [_polygonal(part) for part in getattr(geometry, "geoms", ())]
    return unary_union([part for part in parts if not part.is_empty]) if parts else MultiPolygon()


def _label(feature: RawFeature, fallback: str) -> str:
    """Name a feature by its own name where it has one."""
    by_key = {str(key).lower(): value for key, value in feature.properties.items()}
    for key in NAME_KEYS:
        if by_key.get(key) not in (None, ""):
            return " ".join(str(by_key[key]).split())[:80]
    return fallback


def _feature(identifier: str, label: str, properties: dict[str, Any], geometry: "BaseGeometry") -> dict[str, Any]:
    plain = {str(key): _plain(value) for key, value in properties.items()}
    outline = {"type": geometry.geom_type, "coordinates": _coordinates(geometry)}
    return {"type": "Feature", "id": identifier, "properties": {**plain, "name": label}, "geometry": outline}


def _coordinates(geometry: "BaseGeometry") -> list[Any]:
    """Return the coordinates of a polygon or multipolygon as lists: a collection must equal itself after JSON."""
    import shapely

    if geometry.geom_type == "MultiPolygon":
        return [_coordinates(part) for part in geometry.geoms]
    return [shapely.get_coordinates(ring).tolist() for ring in (geometry.exterior, *geometry.interiors)]


def _plain(value: Any) -> str | int | float | bool | None:
    """Turn a property into what JSON can hold."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, int | float | bool):
        return value
    return str(value)[:MAX_TEXT_CHARS]


def _swapped_warning(bbox: Bbox) -> tuple[str, ...]:
    """Tell when the area would only fall on covered land with its coordinates swapped."""
    west, south, east, north = bbox
    swapped = (south, west, north, east)
    if any(_inside(bbox, box) for box in COVERED_BOXES) or not any(_inside(swapped, box) for box in COVERED_BOXES):
        return ()
    text = f"The area lies at longitude {west:.2f}, latitude {south:.2f}, outside Europe and its outermost regions; "
    return (f"{text}latitude and longitude may be swapped. {LONGITUDE_FIRST_HINT}",)


def _inside(bbox: Bbox, box: Bbox) -> bool:
    return bbox[0] >= box[0] and bbox[1] >= box[1] and bbox[2] <= box[2] and bbox[3] <= box[3]
