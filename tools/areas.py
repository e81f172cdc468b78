"""Polygons from a user's file or request body, checked, repaired and brought to EPSG:4326."""

import json
import math
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import AreaInvalid
from tools.schema import Bbox, Polygons

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

FORMATS_HINT = "Attach polygons as GeoJSON, GeoPackage (.gpkg), zipped shapefile (.zip) or KML."
LONGITUDE_FIRST_HINT = "GeoJSON wants longitude first, then latitude, in degrees (EPSG:4326)."
MAX_TEXT_CHARS = 200
NAME_KEYS = ("name", "nom", "nombre", "label", "title", "nuts_name", "id_parcel", "code")
GPKG_IDS = (b"GPKG", b"GP10", b"GP11")
"""SQLite's application id of a GeoPackage, by version."""
UNZIPPED_FACTOR = 20
"""A zip may unpack to this many times the size limit; more looks like an attack."""

COVERED_BOXES: tuple[Bbox, ...] = (
    (-32.0, 27.0, 45.0, 72.0),
    (-55.0, 2.0, -51.0, 6.0),
    (-64.0, 14.0, -60.0, 19.0),
    (55.0, -22.0, 56.0, -20.0),
    (44.9, -13.1, 45.4, -12.5),
)
"""Europe and its outermost regions; only used to notice swapped coordinates."""


@dataclass
class Reading:
    """Features on their way in, with what was noticed about them."""

    features: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RawFeature:
    """One feature as it came: its geometry is not checked yet."""

    id: str
    properties: dict[str, Any]
    geometry: "BaseGeometry | None"
    problem: str = ""
    """Why there is no geometry."""


def read_polygons(path: Path, *, max_bytes: int) -> Polygons:
    """Read the polygons of a GeoJSON, GeoPackage, zipped shapefile or KML file."""
    if not path.is_file():
        raise AreaInvalid(f"There is no file called {path.name!r}.", hint=FORMATS_HINT)
    size = path.stat().st_size
    if size > max_bytes:
        raise AreaInvalid(
            f"{path.name} has {size / 1e6:.1f} MB; the limit is {max_bytes / 1e6:.1f} MB.",
            hint="Cut it to the polygons you need, or simplify them.",
        )
    if size == 0:
        raise AreaInvalid(f"{path.name} is empty.", hint=FORMATS_HINT)
    head = path.read_bytes()[:4096]
    if path.suffix.lower() in {".geojson", ".json"}:
        return parse_geojson(_load_json(path), name=path.name)
    return _read_with_gdal(_gdal_source(path, head, max_bytes), path.name)


def parse_geojson(obj: dict[str, Any], *, name: str) -> Polygons:
    """Check the polygons of a GeoJSON object: a collection, a feature or a bare geometry."""
    if not isinstance(obj, dict) or "type" not in obj:
        raise AreaInvalid(f"{name} is JSON but not GeoJSON: it has no `type`.", hint=FORMATS_HINT)
    crs, warnings = _named_crs(obj, name)
    return _collect(list(_raw_features(obj)), crs=crs, name=name, warnings=warnings)


def _load_json(path: Path) -> dict[str, Any]:
    try:
        obj: dict[str, Any] = json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise AreaInvalid(f"{path.name} is not a text file.", hint=FORMATS_HINT) from error
    except json.JSONDecodeError as error:
        raise AreaInvalid(
            f"{path.name} is not valid JSON: it breaks at line {error.lineno}, column {error.colno}.",
            hint="The file may be cut off; save it again as GeoJSON.",
        ) from error
    except RecursionError as error:
        raise AreaInvalid(f"{path.name} is nested too deeply to be GeoJSON.", hint=FORMATS_HINT) from error
    return obj


def _named_crs(obj: dict[str, Any], name: str) -> tuple[str, list[str]]:
    """Return the CRS of the old `crs` member, which many tools still write."""
    member = obj.get("crs")
    properties = member.get("properties") if isinstance(member, dict) else None
    crs = properties.get("name") if isinstance(properties, dict) else None
    if not isinstance(crs, str) or "CRS84" in crs or crs.endswith(":4326"):
        return "EPSG:4326", []
    return crs, [f"{name} is in {crs}; converted to EPSG:4326."]


def _raw_features(obj: dict[str, Any]) -> Iterator[RawFeature]:
    """Yield one raw feature for each feature or bare geometry."""
    members = obj.get("features") if obj["type"] == "FeatureCollection" else [obj]
    if not isinstance(members, list):
        raise AreaInvalid("The feature collection has no list of features.", hint=FORMATS_HINT)
    for number, member in enumerate(members, start=1):
        if not isinstance(member, dict):
            yield RawFeature(id=str(number), properties={}, geometry=None, problem="it is not a feature")
            continue
        is_feature = member.get("type") == "Feature"
        properties = member.get("properties") if is_feature else None
        geometry, problem = _shape(member.get("geometry") if is_feature else member)
        yield RawFeature(
            id=str(member.get("id", number)),
            properties=properties if isinstance(properties, dict) else {},
            geometry=geometry,
            problem=problem,
        )


def _shape(geometry: Any) -> "tuple[BaseGeometry | None, str]":
    """Build a geometry from GeoJSON, or say why it cannot be one."""
    from shapely.errors import ShapelyError
    from shapely.geometry import shape

    if not geometry:
        return None, "it has no geometry"
    try:
        return shape(geometry), ""
    except (ShapelyError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None, "its coordinates cannot be read"


def _gdal_source(path: Path, head: bytes, max_bytes: int) -> str:
    """Return what GDAL may open, once the content is what the name says.

    GDAL goes by content, and some of its formats point to other files or hosts.
    """
    suffix = path.suffix.lower()
    if suffix == ".gpkg" and head.startswith(b"SQLite format 3\0") and head[68:72] in GPKG_IDS:
        return str(path)
    if suffix == ".kml" and re.match(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*\?>)?\s*(<!--.*?-->\s*)*<kml\b", head, re.S):
        return str(path)
    if suffix == ".zip" and head.startswith(b"PK"):
        return f"/vsizip/{{{path}}}/{_shapefile_member(path, max_bytes)}"
    if suffix == ".shp":
        raise AreaInvalid(
            f"{path.name} is one part of a shapefile.",
            hint="Zip it together with its .shx, .dbf and .prj files, and attach the zip.",
        )
    raise AreaInvalid(f"{path.name} is not a polygon file of a known format.", hint=FORMATS_HINT)


def _shapefile_member(path: Path, max_bytes: int) -> str:
    """Return the name of the one shapefile inside a zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            shapefiles = [m.filename for m in members if m.filename.lower().endswith(".shp")]
            shapefiles = [name for name in shapefiles if not name.startswith("__MACOSX")]
            if sum(m.file_size for m in members) > max_bytes * UNZIPPED_FACTOR:
                raise AreaInvalid(f"{path.name} unpacks to more than is allowed.", hint="Cut it to what you need.")
            if len(shapefiles) != 1:
                raise AreaInvalid(f"{path.name} holds {len(shapefiles)} shapefiles; one is needed.", hint=FORMATS_HINT)
            with archive.open(shapefiles[0]) as shapefile:
                if shapefile.read(4) != (9994).to_bytes(4, "big"):
                    raise AreaInvalid(f"{shapefiles[0]} is not a shapefile.", hint=FORMATS_HINT)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise AreaInvalid(f"{path.name} cannot be unpacked.", hint=FORMATS_HINT) from error
    return shapefiles[0]


def _read_with_gdal(source: str, name: str) -> Polygons:
    import pyogrio
    import pyogrio.raw
    import shapely
    from pyogrio.errors import DataLayerError, DataSourceError, GeometryError

    try:
        layers = [str(layer) for layer, kind in pyogrio.list_layers(source) if kind is not None]
        if not layers:
            raise AreaInvalid(f"{name} has no layer with geometries.", hint=FORMATS_HINT)
        layer, others = _polygon_layer(source, layers)
        meta, fids, geometries, columns = pyogrio.raw.read(source, layer=layer, return_fids=True, force_2d=True)
    except (DataSourceError, DataLayerError, GeometryError) as error:
        raise AreaInvalid(f"{name} cannot be read; it may be damaged.", hint=FORMATS_HINT) from error
    warnings = [f"{name} has several layers; {layer!r} was used, not {', '.join(others)}."] if others else []
    raw = [
        RawFeature(
            id=str(fid),
            properties={key: _plain(column[row]) for key, column in zip(meta["fields"], columns, strict=True)},
            geometry=shapely.from_wkb(wkb, on_invalid="ignore") if wkb else None,
            problem="" if wkb else "it has no geometry",
        )
        for row, (fid, wkb) in enumerate(zip(fids, geometries, strict=True))
    ]
    crs = meta["crs"]
    if crs is None:
        warnings.append(f"{name} does not say its coordinate system; degrees (EPSG:4326) were assumed.")
    return _collect(raw, crs=crs or "EPSG:4326", name=name, warnings=warnings)


def _polygon_layer(source: str, layers: list[str]) -> tuple[str, list[str]]:
    """Choose the layer with the most polygons; return it and the layers left out."""
    import pyogrio

    infos = {layer: pyogrio.read_info(source, layer=layer) for layer in layers}
    filled = [layer for layer in layers if infos[layer]["features"] != 0]
    polygons = [layer for layer in filled if "Polygon" in str(infos[layer]["geometry_type"])]
    ranked = sorted(polygons or filled or layers, key=lambda layer: -infos[layer]["features"])
    return ranked[0], ranked[1:]


def _collect(raw: list[RawFeature], *, crs: str, name: str, warnings: list[str]) -> Polygons:
    """Repair and convert raw features; refuse when nothing is left."""
    reading = Reading(warnings=list(warnings))
    to_degrees = _transformer(crs, name)
    seen: set[str] = set()
    for number, feature in enumerate(raw, start=1):
        label = _label(feature, Path(name).stem if len(raw) == 1 else f"Polygon {number}")
        geometry = _usable(feature, label, to_degrees, reading.warnings)
        if geometry is None:
            continue
        identifier = feature.id if feature.id not in seen else f"{feature.id}-{number}"
        seen.add(identifier)
        reading.features.append(_feature(identifier, label, feature.properties, geometry))
    if not reading.features:
        reason = reading.warnings[-1] if reading.warnings else "It holds no features."
        raise AreaInvalid(f"{name} holds no usable polygon. {reason}", hint=FORMATS_HINT)
    polygons = Polygons(
        name=Path(name).stem,
        source=name,
        collection={"type": "FeatureCollection", "features": reading.features},
        warnings=tuple(reading.warnings),
    )
    swapped = _swapped_warning(polygons.bbox)
    return polygons.model_copy(update={"warnings": (*polygons.warnings, *swapped)})


def _transformer(crs: str, name: str) -> Any:
    """Return a function from the file's coordinates to degrees; None when they are degrees already."""
    from pyproj import CRS, Transformer
    from pyproj.exceptions import ProjError

    try:
        source = CRS.from_user_input(crs)
        if source.equals(CRS.from_epsg(4326), ignore_axis_order=True):
            return None
        return Transformer.from_crs(source, 4326, always_xy=True).transform
    except ProjError as error:
        raise AreaInvalid(f"{name} is in an unknown coordinate system.", hint="Save it in EPSG:4326.") from error


def _usable(feature: RawFeature, label: str, to_degrees: Any, warnings: list[str]) -> "BaseGeometry | None":
    """Return the feature's valid polygon in degrees; None, with a warning, when it has none."""
    import numpy
    import shapely

    geometry = feature.geometry
    if geometry is None or geometry.is_empty:
        warnings.append(f"{label} was left out: {feature.problem or 'it is empty'}.")
        return None
    geometry = shapely.force_2d(geometry)
    if to_degrees is not None:
        geometry = shapely.transform(geometry, to_degrees, interleaved=False)
    if not numpy.isfinite(shapely.get_coordinates(geometry)).all():
        warnings.append(f"{label} was left out: it has coordinates that are not numbers.")
        return None
    _check_degrees(geometry, label)
    polygon = _polygonal(shapely.make_valid(geometry))
    if polygon.is_empty or polygon.area == 0:
        warnings.append(f"{label} was left out: it is not a polygon with an area.")
        return None
    if not geometry.is_valid:
        warnings.append(f"{label} was repaired: its outline crossed itself or was not closed properly.")
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
    from shapely.geometry import mapping

    plain = {str(key): _plain(value) for key, value in properties.items()}
    # JSON has lists, not tuples: a collection must equal itself after a round trip.
    coordinates = json.loads(json.dumps(mapping(geometry)))
    return {"type": "Feature", "id": identifier, "properties": {**plain, "name": label}, "geometry": coordinates}


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
