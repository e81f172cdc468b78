"""Makes the demo archive: synthetic scenes, layers, parcels and districts for two areas, each marked as synthetic."""

import json
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from knowledge.errors import ClmsError
from tools.hub.archive import Archive, Json
from tools.hub.demo_scene import AREAS, OFFSET, SCALE, DemoArea, Landscape, layer_grid, to_degrees
from tools.hub.files import Band, Grid, collection_json, item_json, raster_asset, write_cog

logger = logging.getLogger(__name__)

MARK = "Synthetic demo data"
SCENES = "synthetic-sentinel-2-l2a"
TREES = "synthetic-tree-cover-density"
BUILT = "synthetic-imperviousness"
PARCELS = "synthetic-parcels"
DISTRICTS = "synthetic-districts"

_MONTHS = (3, 5, 6, 7, 8, 10)
_STALE_SECONDS = 3600.0
_GEOJSON = "application/geo+json"


def _reflectance(name: str, common_name: str) -> Band:
    return Band(name, 10.0, common_name, SCALE, OFFSET, 0.0, "1")


_SCENE_BANDS = (
    _reflectance("B02_10m", "blue"),
    _reflectance("B03_10m", "green"),
    _reflectance("B04_10m", "red"),
    _reflectance("B08_10m", "nir"),
    Band("SCL_20m", 20.0, nodata=0.0, role="scl"),
)
_TREE_BAND = Band("TCD", 10.0, nodata=255.0, unit="%")
_BUILT_BAND = Band("IMD", 10.0, nodata=255.0, unit="%")

_ABOUT: dict[str, tuple[str, str, tuple[Band, ...]]] = {
    SCENES: (
        "surface reflectance and scene classification in the form of Sentinel-2 L2A",
        "Invented fields, clouds and seasons; no satellite took these pictures.",
        _SCENE_BANDS,
    ),
    TREES: ("tree cover density, 10 m", "Invented per cent of each pixel under tree crowns.", (_TREE_BAND,)),
    BUILT: ("imperviousness density, 10 m", "Invented per cent of each pixel that is sealed.", (_BUILT_BAND,)),
    PARCELS: ("parcels", "Invented agricultural parcels; they follow no real boundary.", ()),
    DISTRICTS: ("districts", "Invented districts, four to an area; they follow no real boundary.", ()),
}


@dataclass(frozen=True)
class _Job:
    """One item to make: its id and how to make it in an empty folder."""

    collection_id: str
    item_id: str
    make: Callable[[Path], Json]


def ensure_demo(
    hub_dir: Path,
    *,
    today: date,
    size_px: int = 512,
    dates: int = 12,
    on_progress: Callable[[str], None] | None = None,
) -> bool:
    """Make what the demo archive lacks for this day; False when nothing was missing.

    An item's folder appears whole, by one rename, and the database learns of all of them at the end: after a kill
    the next run keeps the finished folders and goes on.
    """
    archive = Archive(hub_dir)
    known = {(name, item["id"]) for name in _ABOUT for item in archive.items(name)}
    missing = [job for job in _jobs(today, size_px, dates) if (job.collection_id, job.item_id) not in known]
    if not missing:
        return False
    _remove_stale(hub_dir)
    made: list[Json] = []
    for number, job in enumerate(missing, start=1):
        if on_progress is not None:
            on_progress(f"Making synthetic demo data {number} of {len(missing)}: {job.item_id}")
        try:
            made.append(_finished(hub_dir, job))
        except OSError as error:
            raise ClmsError(
                f"The demo archive cannot be written to {hub_dir}.",
                hint="Free some space there, or set CLMS_DATA_DIR to another folder.",
            ) from error
    archive.put(_collections(archive, made), made)
    logger.info("demo archive: %d items made", len(made))
    return True


def demo_dates(today: date, count: int = 12) -> list[date]:
    """Give the dates of the demo scenes: mid-month, growing season, the last ones before today, oldest first."""
    found: list[date] = []
    year, month = today.year, today.month
    while len(found) < count:
        if month in _MONTHS and date(year, month, 15) < today:
            found.append(date(year, month, 15))
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    return found[::-1]


def _finished(hub_dir: Path, job: _Job) -> Json:
    folder = hub_dir / job.collection_id / job.item_id
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=hub_dir) as name:
            temporary = Path(name) / job.item_id
            temporary.mkdir()
            (temporary / "item.json").write_text(json.dumps(job.make(temporary)), encoding="utf-8")
            try:
                temporary.rename(folder)
            except OSError:
                # Another process finished the same item first; its pixels are the same.
                if not folder.exists():
                    raise
    item: Json = json.loads((folder / "item.json").read_text(encoding="utf-8"))
    return item


def _remove_stale(hub_dir: Path) -> None:
    """Remove what a killed run left behind; young folders may belong to a run that is still alive."""
    for folder in hub_dir.glob(".making-*"):
        if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _jobs(today: date, size_px: int, dates: int) -> Iterator[_Job]:
    for area in AREAS:
        landscape = _Lazy(area, size_px)
        for day in demo_dates(today, dates):
            yield _scene_job(landscape, day)
        year = today.year - 2
        yield _layer_job(landscape, TREES, _TREE_BAND, "tree", year)
        yield _layer_job(landscape, BUILT, _BUILT_BAND, "built", year)
        yield _vector_job(landscape, PARCELS)
        yield _vector_job(landscape, DISTRICTS)


class _Lazy:
    """A landscape that is only laid out when a job needs it."""

    def __init__(self, area: DemoArea, size_px: int) -> None:
        self.area = area
        self.size_px = size_px
        self._landscape: Landscape | None = None

    @property
    def value(self) -> Landscape:
        if self._landscape is None:
            self._landscape = Landscape(self.area, self.size_px)
        return self._landscape


def _scene_job(lazy: _Lazy, day: date) -> _Job:
    area = lazy.area
    item_id = f"SYNTHETIC_S2_L2A_{area.key.upper()}_{day:%Y%m%d}"

    def make(folder: Path) -> Json:
        grid = lazy.value.grid
        arrays = lazy.value.scene(day)
        assets = {}
        for band in _SCENE_BANDS:
            array = arrays[band.name]
            own = grid if band.gsd == 10.0 else _half(grid)
            write_cog(folder / f"{band.name}.tif", array, own, nodata=band.nodata)
            href = f"{SCENES}/{item_id}/{band.name}.tif"
            assets[band.name] = raster_asset(href, band, own, data_type=str(array.dtype), title=f"{MARK}: {band.name}")
        classes = arrays["SCL_20m"]
        # Overpass time of the morning orbit, about 10:30 local solar time.
        moment = datetime(day.year, day.month, day.day, 10, 30, tzinfo=UTC) - timedelta(hours=area.longitude / 15)
        properties = _properties(f"scene at {area.name}, {day.isoformat()}") | {
            "datetime": moment.replace(microsecond=0).isoformat().replace("+00:00", "Z"),
            "eo:cloud_cover": round(float((classes >= 8).mean()) * 100, 2),
            "proj:epsg": area.epsg,
            "gsd": 10,
        }
        return item_json(item_id, SCENES, geometry=grid.footprint, properties=properties, assets=assets)

    return _Job(SCENES, item_id, make)


def _layer_job(lazy: _Lazy, collection_id: str, band: Band, kind: str, year: int) -> _Job:
    area = lazy.area
    item_id = f"SYNTHETIC_{band.name}_{area.key.upper()}_{year}"

    def make(folder: Path) -> Json:
        grid = layer_grid(area, lazy.size_px)
        write_cog(folder / f"{band.name}.tif", lazy.value.density(kind, grid), grid, nodata=band.nodata)
        href = f"{collection_id}/{item_id}/{band.name}.tif"
        asset = raster_asset(href, band, grid, data_type="uint8", title=f"{MARK}: {band.name}")
        what = f"{_ABOUT[collection_id][0]} at {area.name}, {year}"
        properties = _properties(what) | _years(year, year) | {"proj:epsg": area.layer_epsg, "gsd": 10}
        geometry = grid.footprint
        return item_json(item_id, collection_id, geometry=geometry, properties=properties, assets={band.name: asset})

    return _Job(collection_id, item_id, make)


def _vector_job(lazy: _Lazy, collection_id: str) -> _Job:
    area = lazy.area
    item_id = f"SYNTHETIC_{collection_id.removeprefix('synthetic-').upper()}_{area.key.upper()}"

    def make(folder: Path) -> Json:
        landscape = lazy.value
        features = _parcels(landscape) if collection_id == PARCELS else _districts(landscape)
        file = {"type": "FeatureCollection", "features": features}
        (folder / "data.geojson").write_text(json.dumps(file), encoding="utf-8")
        href = f"{collection_id}/{item_id}/data.geojson"
        title = f"{MARK}: {_ABOUT[collection_id][0]} at {area.name}"
        asset = {"href": href, "type": _GEOJSON, "title": title, "roles": ["data"]}
        # Boundaries hold for the whole Sentinel-2 time, so any search period finds them.
        properties = _properties(f"{_ABOUT[collection_id][0]} at {area.name}") | _years(2015, 2099)
        geometry = landscape.grid.footprint
        return item_json(item_id, collection_id, geometry=geometry, properties=properties, assets={"data": asset})

    return _Job(collection_id, item_id, make)


def _parcels(landscape: Landscape) -> list[Json]:
    area = landscape.area
    return [
        _feature(area, f"parcel-{area.key}-{number:02}", f"Demo parcel {area.key[0].upper()}{number:02}", shape)
        for number, shape in enumerate(landscape.parcels(), start=1)
    ]


def _districts(landscape: Landscape) -> list[Json]:
    from shapely.geometry import box

    west, south, east, north = landscape.grid.bounds
    # Off the middle, so that the four differ in size.
    x, y = west + 0.55 * (east - west), south + 0.45 * (north - south)
    corners = {
        "North-West": box(west, y, x, north),
        "North-East": box(x, y, east, north),
        "South-West": box(west, south, x, y),
        "South-East": box(x, south, east, y),
    }
    area = landscape.area
    return [
        _feature(area, f"district-{area.key}-{name.lower()}", f"Demo district {area.name} {name}", shape)
        for name, shape in corners.items()
    ]


def _feature(area: DemoArea, feature_id: str, name: str, shape: object) -> Json:
    hectares = round(float(getattr(shape, "area", 0.0)) / 10_000, 2)
    properties = {"name": name, "area_ha": hectares, "description": MARK, "clms:synthetic": True}
    return {"type": "Feature", "id": feature_id, "properties": properties, "geometry": to_degrees(shape, area)}


def _collections(archive: Archive, made: list[Json]) -> Iterator[Json]:
    for collection_id in sorted({item["collection"] for item in made}):
        what, note, bands = _ABOUT[collection_id]
        new = [item for item in made if item["collection"] == collection_id]
        head: Json = {
            "id": collection_id,
            "title": f"{MARK}: {what}",
            "description": f"{MARK}: {what}. {note}",
            "license": "CC0-1.0",
            "clms:synthetic": True,
        }
        if not bands:
            head["clms:kind"] = "vector"
        yield collection_json(head, items=[*archive.items(collection_id), *new], bands=bands)


def _properties(what: str) -> Json:
    return {"title": f"{MARK}: {what}", "description": f"{MARK}, not a measurement.", "clms:synthetic": True}


def _years(first: int, last: int) -> Json:
    return {"datetime": None, "start_datetime": f"{first}-01-01T00:00:00Z", "end_datetime": f"{last}-12-31T23:59:59Z"}


def _half(grid: Grid) -> Grid:
    a, b, c, d, e, f = grid.transform
    return Grid(grid.crs, (2 * a, b, c, d, 2 * e, f), grid.height // 2, grid.width // 2)
