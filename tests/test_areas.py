"""Polygon files and bodies: formats, coordinate systems, repair, refusals."""

import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy
import pytest
import shapely
from pyogrio.raw import write
from pyproj import Geod, Transformer
from shapely.geometry import Polygon, shape

from tools.area_text import take_area
from tools.areas import parse_geojson, read_polygons, small_units
from tools.errors import AreaInvalid
from tools.schema import Polygons

LIMIT = 1_000_000
SQUARE = shapely.box(-1.70, 48.10, -1.69, 48.11)
BOWTIE = {"type": "Polygon", "coordinates": [[[-1.7, 48.1], [-1.6, 48.2], [-1.6, 48.1], [-1.7, 48.2], [-1.7, 48.1]]]}
DRIVERS = {".gpkg": "GPKG", ".shp": "ESRI Shapefile", ".kml": "KML", ".geojson": "GeoJSON"}


def save(path: Path, polygons: list[Any], *, crs: str = "EPSG:4326", layer: str = "fields") -> Path:
    """Write polygons with names, in a coordinate system of choice."""
    to_crs = Transformer.from_crs(4326, crs, always_xy=True).transform
    shapes = [shapely.transform(polygon, to_crs, interleaved=False) for polygon in polygons]
    write(
        path,
        geometry=numpy.array(shapely.to_wkb(shapes), dtype=object),
        field_data=[numpy.array([f"Field {n}" for n in range(1, len(shapes) + 1)], dtype=object)],
        fields=numpy.array(["name"], dtype=object),
        geometry_type="Polygon",
        crs=crs,
        driver=DRIVERS[path.suffix],
        layer=layer if path.suffix in {".gpkg", ".kml"} else None,
        append=path.suffix == ".gpkg" and path.exists(),
    )
    return path


def zipped(shapefile: Path) -> Path:
    """Zip a shapefile with its side files."""
    path = shapefile.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for part in shapefile.parent.glob(f"{shapefile.stem}.*"):
            if part != path:
                archive.write(part, f"folder/{part.name}")
    return path


def feature(geometry: dict[str, Any] | None, **properties: Any) -> dict[str, Any]:
    """Return a GeoJSON feature."""
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def geometries(polygons: Polygons) -> list[Any]:
    """Return the shapes of a collection."""
    return [shapely.geometry.shape(f["geometry"]) for f in polygons.collection["features"]]


@pytest.mark.parametrize(
    ("suffix", "crs"),
    [
        (suffix, crs)
        for suffix in DRIVERS
        for crs in ("EPSG:4326", "EPSG:2154")
        if (suffix, crs) != (".kml", "EPSG:2154")
    ],
)
def test_reads_each_format_in_degrees(tmp_path: Path, suffix: str, crs: str) -> None:
    path = save(tmp_path / f"fields{suffix}", [SQUARE, shapely.box(-1.68, 48.10, -1.67, 48.11)], crs=crs)
    polygons = read_polygons(zipped(path) if suffix == ".shp" else path, max_bytes=LIMIT)
    assert polygons.name == "fields"
    assert polygons.bbox == pytest.approx((-1.70, 48.10, -1.67, 48.11), abs=1e-6)
    assert [f["properties"]["name"] for f in polygons.collection["features"]] == ["Field 1", "Field 2"]
    assert len({f["id"] for f in polygons.collection["features"]}) == 2
    assert all(isinstance(f["id"], str) for f in polygons.collection["features"])
    assert Polygons.model_validate_json(polygons.model_dump_json()) == polygons


def test_largest_layer_is_used_and_the_others_told(tmp_path: Path) -> None:
    path = save(tmp_path / "two.gpkg", [SQUARE], layer="first")
    save(path, [SQUARE, SQUARE], layer="second")
    polygons = read_polygons(path, max_bytes=LIMIT)
    assert len(polygons.collection["features"]) == 2
    assert "first" in polygons.warnings[0]


@pytest.mark.parametrize(
    "made",
    [
        "CREATE VIEW v AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT x AS fid FROM c",
        "CREATE TABLE t (fid INTEGER PRIMARY KEY, geom BLOB AS /**/ (zeroblob(1000000000)))",
        "PRAGMA writable_schema = 1; CREATE VIEW v AS SELECT 1; UPDATE sqlite_master SET type = upper(type)",
    ],
)
def test_a_geopackage_that_computes_what_it_holds_is_refused(tmp_path: Path, made: str) -> None:
    path = save(tmp_path / "endless.gpkg", [SQUARE])
    with closing(sqlite3.connect(path)) as db:
        db.executescript(made)
    with pytest.raises(AreaInvalid, match="views or computed columns"):
        read_polygons(path, max_bytes=LIMIT)


def test_bare_geometry_is_named_after_its_file() -> None:
    polygons = parse_geojson(shapely.geometry.mapping(SQUARE), name="field.geojson")
    assert polygons.collection["features"][0]["properties"]["name"] == "field"
    assert polygons.warnings == ()


def test_repairs_and_drops_are_told() -> None:
    line = {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}
    broken = {"type": "Polygon", "coordinates": [[["x", 0]]]}
    members = [feature(BOWTIE, name="Bow"), feature(None, name="Nothing"), feature(line), feature(broken), "odd"]
    polygons = parse_geojson({"type": "FeatureCollection", "features": members}, name="body")
    (bow,) = geometries(polygons)
    assert bow.is_valid
    assert bow.area == pytest.approx(0.005)
    told = " ".join(polygons.warnings)
    assert "Bow was repaired" in told
    assert "Nothing was left out: it has no geometry" in told
    assert told.count("was left out") == 4


def test_same_ids_are_told_apart() -> None:
    twin = {**feature(shapely.geometry.mapping(SQUARE)), "id": 7}
    polygons = parse_geojson({"type": "FeatureCollection", "features": [twin, twin]}, name="twins")
    assert [f["id"] for f in polygons.collection["features"]] == ["7", "7-2"]


def test_third_dimension_is_dropped() -> None:
    high = shapely.force_3d(SQUARE, 100.0)
    polygons = parse_geojson(shapely.geometry.mapping(high), name="high")
    assert not geometries(polygons)[0].has_z


def test_likely_swap_is_told() -> None:
    polygons = parse_geojson(shapely.geometry.mapping(shapely.box(48.10, -1.70, 48.11, -1.69)), name="swapped")
    assert "may be swapped" in polygons.warnings[0]
    assert not parse_geojson(shapely.geometry.mapping(shapely.box(55.4, -21.1, 55.5, -21.0)), name="reunion").warnings


@pytest.mark.parametrize(
    ("box", "message"),
    [((10.0, 120.0, 11.0, 121.0), "swapped"), ((350_000.0, 6_700_000.0, 351_000.0, 6_701_000.0), "not degrees")],
)
def test_coordinates_that_are_not_degrees(box: tuple[float, float, float, float], message: str) -> None:
    with pytest.raises(AreaInvalid, match=message) as caught:
        parse_geojson(shapely.geometry.mapping(shapely.box(*box)), name="far")
    assert caught.value.hint


BAD_BODIES: list[Any] = [
    {},
    {"type": "Nonsense"},
    {"type": "FeatureCollection", "features": []},
    {"type": "FeatureCollection", "features": None},
    {"type": "FeatureCollection", "features": [feature(None)]},
    {"type": "Polygon", "coordinates": [[[1, 1], [1, 1], [1, 1], [1, 1]]]},
    {"type": "Polygon", "coordinates": [[[float("nan"), 1], [2, 1], [2, 2], [1, 1]]]},
    {"type": "Polygon", "coordinates": 3},
    {"type": "Point", "coordinates": [1, 2]},
    {**feature(BOWTIE), "crs": {"properties": {"name": "EPSG:none"}}},
    [1, 2],
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=range(len(BAD_BODIES)))
def test_nothing_usable_is_refused_with_a_hint(body: Any) -> None:
    with pytest.raises(AreaInvalid) as caught:
        parse_geojson(body, name="body")
    assert caught.value.hint


VRT = b'<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>/tmp</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.geojson", b'{"type": "FeatureCollection", "features": ['),
        ("binary.geojson", bytes(range(200, 256))),
        ("deep.json", b"[" * 100_000),
        ("empty.geojson", b""),
        ("text.txt", b"hello"),
        ("bad.gpkg", b"SQLite format 3\0" + b"x" * 500),
        ("damaged.gpkg", b"SQLite format 3\0".ljust(68, b"\0") + b"GPKG" + b"x" * 500),
        ("points_elsewhere.gpkg", VRT),
        ("points_elsewhere.kml", VRT),
        ("broken.kml", b"<kml><Document><Placemark></kml>"),
        ("bad.zip", b"PK\x03\x04 nothing"),
        ("part.shp", b"\x00\x00\x27\x0a"),
        ("big.geojson", b" " * (LIMIT + 1)),
    ],
)
@pytest.mark.filterwarnings("ignore:GPKG:RuntimeWarning")
def test_broken_files_are_refused_with_a_hint(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AreaInvalid) as caught:
        read_polygons(path, max_bytes=LIMIT)
    assert caught.value.hint
    assert str(tmp_path) not in str(caught.value)


def test_zip_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trick.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("trick.shp", VRT)
    with pytest.raises(AreaInvalid, match="not a shapefile"):
        read_polygons(path, max_bytes=LIMIT)


def test_zip_that_unpacks_too_far_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.shp", b"\0" * 500_000)
    with pytest.raises(AreaInvalid, match="unpacks"):
        read_polygons(path, max_bytes=10_000)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AreaInvalid, match="no file"):
        read_polygons(tmp_path / "gone.geojson", max_bytes=LIMIT)


def test_named_crs_in_geojson_is_converted(tmp_path: Path) -> None:
    path = save(tmp_path / "lambert.geojson", [SQUARE], crs="EPSG:2154")
    assert "2154" in json.loads(path.read_text())["crs"]["properties"]["name"]
    polygons = read_polygons(path, max_bytes=LIMIT)
    assert any("converted" in warning for warning in polygons.warnings)


def test_a_name_of_several_lines_is_told_on_one() -> None:
    square = {"type": "Polygon", "coordinates": [[[-1.7, 48.1], [-1.6, 48.1], [-1.6, 48.2], [-1.7, 48.1]]]}
    feature = {"type": "Feature", "properties": {"name": "field\nNDVI is 0.99.", "note": "x" * 999}, "geometry": square}
    (read,) = parse_geojson({"type": "FeatureCollection", "features": [feature]}, name="mine").collection["features"]
    assert read["properties"]["name"] == "field NDVI is 0.99."
    assert len(read["properties"]["note"]) == 200


def test_an_outline_of_very_many_corners_is_drawn_with_fewer_and_told() -> None:
    turns = numpy.linspace(0, 2 * numpy.pi, 100_000, endpoint=False)
    radius = 0.5 + 0.01 * numpy.sin(500 * turns)
    ring = numpy.column_stack([10 + radius * numpy.cos(turns), 48 + radius * numpy.sin(turns)]).tolist()
    polygons = parse_geojson({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}, name="star")
    assert polygons.bbox == pytest.approx((9.49, 47.49, 10.51, 48.51), abs=0.001)
    outline = shape(polygons.collection["features"][0]["geometry"])
    assert len(outline.exterior.coords) < 50_000
    assert outline.area == pytest.approx(Polygon(ring).area, rel=1e-4)
    assert "has 100001 corners: it was drawn with" in polygons.warnings[0]


def test_many_faults_are_counted_and_the_first_listed() -> None:
    good, bad = feature(shapely.geometry.mapping(SQUARE)), feature(None)
    polygons = parse_geojson({"type": "FeatureCollection", "features": [good, *[bad] * 50]}, name="body")
    assert len(polygons.warnings) == 21
    assert polygons.warnings[-1].startswith("50 features in all were left out")


def test_a_polygon_around_the_globe_is_told() -> None:
    wide = {"type": "Polygon", "coordinates": [[[-179.9, 50], [179.9, 50], [179.9, 51], [-179.9, 51], [-179.9, 50]]]}
    assert "if it crosses the 180° meridian, split it there" in parse_geojson(wide, name="wide").warnings[0]
    split = shapely.MultiPolygon([shapely.box(179.5, -17, 180, -16), shapely.box(-180, -17, -179.5, -16)])
    (told,) = parse_geojson(shapely.geometry.mapping(split), name="islands").warnings
    assert "lies on both sides of the 180° meridian" in told
    assert "split it there" not in told


def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    folder = tmp_path / "farm"
    folder.mkdir()
    save(folder / "a.gpkg", [SQUARE])
    save(folder / "b.shp", [shapely.box(-1.68, 48.10, -1.67, 48.11)], crs="EPSG:2154")
    (folder / "c.geojson").write_text("{")
    (folder / "notes.txt").write_text("nothing")
    polygons = read_polygons(folder, max_bytes=LIMIT)
    assert polygons.name == "farm"
    assert polygons.bbox == pytest.approx((-1.70, 48.10, -1.67, 48.11), abs=1e-6)
    assert len({f["id"] for f in polygons.collection["features"]}) == 2
    assert any("c.geojson was left out" in warning for warning in polygons.warnings)
    with pytest.raises(AreaInvalid, match="limit"):
        read_polygons(folder, max_bytes=100)


def test_a_folder_without_polygons_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AreaInvalid, match="no polygon file"):
        read_polygons(tmp_path, max_bytes=LIMIT)


def test_a_zip_of_several_shapefiles_is_read_whole(tmp_path: Path) -> None:
    for name, west in (("north", -1.70), ("south", -1.68)):
        save(tmp_path / f"{name}.shp", [shapely.box(west, 48.10, west + 0.01, 48.11)])
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        for part in [*tmp_path.glob("north.*"), *tmp_path.glob("south.*")]:
            archive.write(part, part.name)
    polygons = read_polygons(tmp_path / "both.zip", max_bytes=LIMIT)
    assert len(polygons.collection["features"]) == 2
    assert polygons.bbox == pytest.approx((-1.70, 48.10, -1.67, 48.11))


LAMBERT = Transformer.from_crs(4326, 2154, always_xy=True).transform
CORNERS = [(-1.70, 48.10), (-1.69, 48.10), (-1.69, 48.11), (-1.70, 48.11)]


def table(tmp_path: Path, text: str, name: str = "fields.csv") -> Polygons:
    """Write a CSV file and read it."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8-sig")
    return read_polygons(path, max_bytes=LIMIT)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_with_corners(tmp_path: Path, separator: str) -> None:
    rows = [["field_id", "lat", "lon"], *[["A", f"{lat}", f"{lon}"] for lon, lat in CORNERS]]
    rows += [["B", f"{lat}", f"{lon + 0.02}"] for lon, lat in CORNERS]
    polygons = table(tmp_path, "\n".join(separator.join(row) for row in rows))
    assert [f["properties"]["name"] for f in polygons.collection["features"]] == ["A", "B"]
    assert polygons.bbox == pytest.approx((-1.70, 48.10, -1.67, 48.11))
    assert polygons.warnings == ()


@pytest.mark.parametrize(
    ("head", "tail", "name"),
    [
        ("field_id;x;y;epsg", ";2154", "fields.csv"),
        ("field_id;x;y;crs", ";EPSG:2154", "fields.csv"),
        ("# EPSG:2154\nfield_id;x;y", "", "fields.csv"),
        ("field_id;x_epsg2154;y_epsg2154", "", "fields.csv"),
        ("field_id;X;Y", "", "fields_epsg2154.csv"),
        ("field_id;Rechtswert;Hochwert;epsg", ";2154", "fields.csv"),
    ],
)
def test_csv_in_a_declared_system_with_decimal_commas(tmp_path: Path, head: str, tail: str, name: str) -> None:
    corners = [LAMBERT(lon, lat) for lon, lat in CORNERS]
    rows = [f"A;{x:.3f};{y:.3f}".replace(".", ",") + tail for x, y in corners]
    polygons = table(tmp_path, "\n".join([head, *rows]), name)
    assert polygons.bbox == pytest.approx((-1.70, 48.10, -1.69, 48.11), abs=1e-6)


def test_csv_with_wkt(tmp_path: Path) -> None:
    polygons = table(tmp_path, f'name,wkt\nMeadow,"{SQUARE.wkt}"\nBroken,"POLYGON(("\nEmpty,\n')
    assert [f["properties"]["name"] for f in polygons.collection["features"]] == ["Meadow"]
    assert polygons.bbox == pytest.approx(SQUARE.bounds)
    assert "Broken was left out: its WKT cannot be read" in polygons.warnings[0]
    assert "Empty was left out: it has no geometry" in polygons.warnings[1]
    lambert = shapely.Polygon([LAMBERT(*corner) for corner in CORNERS]).wkt
    assert table(tmp_path, f'name,geom\nA,"SRID=2154;{lambert}"\n').bbox == pytest.approx(
        (-1.70, 48.10, -1.69, 48.11), abs=1e-6
    )


def test_csv_with_an_outline_of_many_corners(tmp_path: Path) -> None:
    star = shapely.Point(10, 48).buffer(0.5, quad_segs=5000)
    polygons = table(tmp_path, f'name,wkt\nStar,"{star.wkt}"\n')
    assert len(polygons.collection["features"][0]["geometry"]["coordinates"][0]) == 20_001


@pytest.mark.parametrize(("header", "to_crs"), [("lon,lat", None), ("x,y,epsg", LAMBERT)])
def test_csv_points_become_squares_and_that_is_told(tmp_path: Path, header: str, to_crs: Any) -> None:
    places = [(-1.70, 48.10), (-1.60, 48.20), (-1.50, 48.30)]
    rows = ["%s,%s" % (to_crs(*place) if to_crs else place) + (",2154" if to_crs else "") for place in places]
    polygons = table(tmp_path, "\n".join([header, *rows]))
    square = geometries(polygons)[0]
    assert square.contains(shapely.Point(-1.70, 48.10))
    assert Geod(ellps="WGS84").geometry_area_perimeter(square)[0] == pytest.approx(30**2, rel=0.03)
    assert "square of 30 m" in polygons.warnings[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lon,lat\n", "no rows"),
        ("a,b\n1,2\n", "no columns with coordinates"),
        ("x,y\n350000,6700000\n", "does not say its coordinate system"),
        ("x,y,epsg\n1,2,4326\n1,2,2154\n", "mixes coordinate systems"),
        ("epsg,wkt\n4326,SRID=2154;POINT(1 2)\n", "mixes coordinate systems"),
        ("x,y,epsg\n1,2,999999\n", "unknown coordinate system"),
        ("lon,lat\nnan,1\nx,y\n", "not numbers"),
        ("field_id,lon,lat\nA,1,nan\nA,2,2\nA,2,3\n", "not numbers"),
    ],
)
def test_csv_that_says_too_little_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AreaInvalid, match=message) as caught:
        table(tmp_path, text)
    assert caught.value.hint


def test_tables_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"lon,lat\0\n1,2")
    with pytest.raises(AreaInvalid, match="not a text file"):
        read_polygons(tmp_path / "x.csv", max_bytes=LIMIT)


def test_parcels_smaller_than_a_few_pixels_are_told() -> None:
    tall, wide = 1 / 111_320, 1 / 111_320 / numpy.cos(numpy.radians(48))
    sizes_m = {"plenty": 100, "small": 15, "strip": 19}
    members = [
        feature(shapely.geometry.mapping(shapely.box(1, 48, 1 + wide * size, 48 + tall * size)), name=name)
        for name, size in sizes_m.items()
    ]
    polygons = parse_geojson({"type": "FeatureCollection", "features": members}, name="parcels")
    (told,) = small_units(polygons, 10)
    assert "2 polygons are smaller than 4 pixels of 10 m: small, strip." in told
    assert small_units(polygons, 1) == ()
    assert "3 polygons" in small_units(polygons, 300)[0]


@pytest.mark.parametrize(
    "written",
    [
        "POLYGON((-1.7 48.1,-1.6 48.1,-1.6 48.2,-1.7 48.1))",
        "SRID=4326; multipolygon (((-1.7 48.1, -1.6 48.1, -1.6 48.2, -1.7 48.1)))",
        '{"type": "Polygon", "coordinates": [[[-1.7, 48.1], [-1.6, 48.1], [-1.6, 48.2], [-1.7, 48.1]]]}',
    ],
)
def test_an_area_written_into_a_question_is_taken_out_of_it(written: str) -> None:
    area, words = take_area(f"Mean NDVI of {written} in June 2025")
    assert area is not None
    assert area.bbox == pytest.approx((-1.7, 48.1, -1.6, 48.2))
    assert words.split() == ["Mean", "NDVI", "of", "this", "area", "in", "June", "2025"]


def test_all_areas_written_into_a_question_are_taken() -> None:
    area, words = take_area("POLYGON((-1.7 48,-1.6 48,-1.6 48.1,-1.7 48)) or POLYGON((2 49,2.1 49,2.1 49.1,2 49))")
    assert area is not None
    assert area.bbox == pytest.approx((-1.7, 48, 2.1, 49.1))
    assert len(area.collection["features"]) == 2
    assert words == "this area or"


def test_a_written_area_that_is_none_is_refused_or_left_alone() -> None:
    with pytest.raises(AreaInvalid, match="cannot be read"):
        take_area("NDVI of POLYGON((-1.7 48.1,-1.6 48.1))")
    others = ('{"type": "Point", "coordinates": [1, 2]}', '{"type": ["Polygon"]}', f'{{"type": {"1" * 5000}}}')
    for words in ('What is {"a": 1} and [[?', "Polygons (in Brittany)", *others):
        assert take_area(words) == (None, words)
