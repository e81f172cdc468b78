"""Polygon files as they come: GeoJSON, GeoPackage, shapefile, KML, CSV; geometries are not checked yet."""

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import AreaInvalid

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

FORMATS_HINT = (
    "Attach polygons as GeoJSON, GeoPackage (.gpkg), shapefile (.zip), KML, or CSV with WKT or coordinate columns."
)
DEGREES = "EPSG:4326"
GPKG_IDS = (b"GPKG", b"GP10", b"GP11")
"""SQLite's application id of a GeoPackage, by version."""
_COMPUTING = """
SELECT 1 FROM pragma_table_list WHERE type = 'view' AND schema = 'main' UNION ALL
SELECT 1 FROM pragma_table_list AS made, pragma_table_xinfo(made.name) AS has
WHERE made.type <> 'virtual' AND made.schema = 'main' AND has.hidden IN (2, 3) LIMIT 1
"""
"""Asks SQLite for views and computed columns: what a file writes of itself can be spelt in many ways."""
UNZIPPED_FACTOR = 20
"""A zip may unpack to this many times the size limit; more looks like an attack."""
SHAPEFILE_MAGIC = (9994).to_bytes(4, "big")
SUFFIXES = (".geojson", ".json", ".gpkg", ".kml", ".csv", ".shp", ".zip")
"""Files of a folder that are read; the others belong to them or are left alone."""


@dataclass(frozen=True)
class RawFeature:
    """One feature as it came: its geometry is not checked yet."""

    id: str
    properties: dict[str, Any]
    geometry: "BaseGeometry | None"
    problem: str = ""
    """Why there is no geometry."""


@dataclass(frozen=True)
class RawLayer:
    """The features of one file or layer, with what was noticed about it."""

    name: str
    features: list[RawFeature]
    crs: str
    warnings: list[str] = field(default_factory=list)


def read_layers(path: Path, *, max_bytes: int) -> list[RawLayer]:
    """Read what a file holds, one layer for each shapefile of a zip, or all known files of a folder."""
    if path.is_dir():
        return _read_folder(path, max_bytes)
    _check_size(path, max_bytes)
    head = path.read_bytes()[:4096]
    suffix = path.suffix.lower()
    if suffix in {".geojson", ".json"}:
        return [geojson_layer(_load_json(path), path.name)]
    if suffix == ".csv":
        from tools.area_csv import read_csv

        return [read_csv(path)]
    if suffix == ".zip" and head.startswith(b"PK"):
        return [_read_with_gdal(f"/vsizip/{{{path}}}/{member}", member) for member in _shapefiles(path, max_bytes)]
    return [_read_with_gdal(_gdal_source(path, head), path.name)]


def _check_size(path: Path, max_bytes: int) -> None:
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


def _read_folder(folder: Path, max_bytes: int) -> list[RawLayer]:
    """Read all known files of a folder; the size limit holds for all of them together."""
    members = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file() and not p.is_symlink())
    if not members:
        raise AreaInvalid(f"The folder {folder.name!r} holds no polygon file.", hint=FORMATS_HINT)
    total = sum(member.stat().st_size for member in members)
    if total > max_bytes:
        raise AreaInvalid(
            f"The files in {folder.name!r} have {total / 1e6:.1f} MB; the limit is {max_bytes / 1e6:.1f} MB.",
            hint="Give them one after the other, or cut them to what you need.",
        )
    layers: list[RawLayer] = []
    for member in members:
        try:
            layers += read_layers(member, max_bytes=max_bytes)
        except AreaInvalid as error:
            layers.append(RawLayer(member.name, [], DEGREES, [f"{member.name} was left out: {error.message}"]))
    return layers


def geojson_layer(obj: Any, name: str) -> RawLayer:
    """Take the features of a GeoJSON object: a collection, a feature or a bare geometry."""
    if not isinstance(obj, dict) or "type" not in obj:
        raise AreaInvalid(f"{name} is JSON but not GeoJSON: it has no `type`.", hint=FORMATS_HINT)
    crs, warnings = _named_crs(obj, name)
    return RawLayer(name, list(_raw_features(obj)), crs, warnings)


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
        return DEGREES, []
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
    from shapely.geometry import MultiPolygon, shape

    if not geometry:
        return None, "it has no geometry"
    try:
        if geometry["type"] == "Polygon":
            return _polygon(geometry["coordinates"]), ""
        if geometry["type"] == "MultiPolygon":
            return MultiPolygon([_polygon(rings) for rings in geometry["coordinates"]]), ""
        return shape(geometry), ""
    except (ShapelyError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None, "its coordinates cannot be read"


def _polygon(rings: Any) -> "BaseGeometry":
    """Build a polygon from lists of positions, by arrays: ten times faster for a million of them."""
    import numpy
    from shapely.geometry import Polygon

    try:
        arrays = [numpy.array(ring, dtype=float)[:, :2] for ring in rings]
    except ValueError:  # some positions have a height and some have none
        arrays = [numpy.array([position[:2] for position in ring], dtype=float) for ring in rings]
    return Polygon(arrays[0], arrays[1:]) if arrays else Polygon()


def _gdal_source(path: Path, head: bytes) -> str:
    """Return what GDAL may open, once the content is what the name says.

    GDAL goes by content, and some of its formats point to other files or hosts.
    """
    suffix = path.suffix.lower()
    if suffix == ".gpkg" and head.startswith(b"SQLite format 3\0") and head[68:72] in GPKG_IDS:
        check_tables(path)
        return str(path)
    if suffix == ".kml" and re.match(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*\?>)?\s*(<!--.*?-->\s*)*<kml\b", head, re.S):
        return str(path)
    if suffix == ".shp" and head.startswith(SHAPEFILE_MAGIC) and path.with_suffix(".shx").is_file():
        return str(path)
    if suffix == ".shp":
        raise AreaInvalid(
            f"{path.name} is one part of a shapefile.",
            hint="Zip it together with its .shx, .dbf and .prj files, and attach the zip.",
        )
    raise AreaInvalid(f"{path.name} is not a polygon file of a known format.", hint=FORMATS_HINT)


def check_tables(path: Path) -> None:
    """Refuse a GeoPackage that computes what it holds while it is read: by views or columns that may never end.

    Raises:
        AreaInvalid: It does, or cannot be read.
    """
    import sqlite3
    from contextlib import closing

    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            computing = db.execute(_COMPUTING).fetchone()
    except sqlite3.Error as error:
        raise AreaInvalid(f"{path.name} cannot be read; it may be damaged.", hint=FORMATS_HINT) from error
    if computing:
        raise AreaInvalid(
            f"{path.name} has views or computed columns, which are not read.",
            hint="Save its polygons as a new GeoPackage, or as GeoJSON.",
        )


def _shapefiles(path: Path, max_bytes: int) -> list[str]:
    """Return the names of the shapefiles inside a zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > max_bytes * UNZIPPED_FACTOR:
                raise AreaInvalid(f"{path.name} unpacks to more than is allowed.", hint="Cut it to what you need.")
            names = [member.filename for member in members if member.filename.lower().endswith(".shp")]
            names = sorted(name for name in names if not name.startswith("__MACOSX"))
            if not names:
                raise AreaInvalid(f"{path.name} holds no shapefile.", hint=FORMATS_HINT)
            for name in names:
                with archive.open(name) as shapefile:
                    if shapefile.read(4) != SHAPEFILE_MAGIC:
                        raise AreaInvalid(f"{name} is not a shapefile.", hint=FORMATS_HINT)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise AreaInvalid(f"{path.name} cannot be unpacked.", hint=FORMATS_HINT) from error
    return names


def _read_with_gdal(source: str, name: str) -> RawLayer:
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
            properties={key: column[row] for key, column in zip(meta["fields"], columns, strict=True)},
            geometry=shapely.from_wkb(wkb, on_invalid="ignore") if wkb else None,
            problem="" if wkb else "it has no geometry",
        )
        for row, (fid, wkb) in enumerate(zip(fids, geometries, strict=True))
    ]
    crs = meta["crs"]
    if crs is None:
        warnings.append(f"{name} does not say its coordinate system; degrees (EPSG:4326) were assumed.")
    return RawLayer(name, raw, crs or DEGREES, warnings)


def _polygon_layer(source: str, layers: list[str]) -> tuple[str, list[str]]:
    """Choose the layer with the most polygons; return it and the layers left out."""
    import pyogrio

    infos = {layer: pyogrio.read_info(source, layer=layer) for layer in layers}
    filled = [layer for layer in layers if infos[layer]["features"] != 0]
    polygons = [layer for layer in filled if "Polygon" in str(infos[layer]["geometry_type"])]
    ranked = sorted(polygons or filled or layers, key=lambda layer: -infos[layer]["features"])
    return ranked[0], ranked[1:]
