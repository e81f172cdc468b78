"""Takes a user's own rasters into the hub: GeoTIFF, COG or CF netCDF in, one COG per date and band out."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tools.errors import ToolInputError
from tools.hub.archive import Archive, Json, utc_text
from tools.hub.files import Band, Grid, collection_json, item_json, raster_asset, write_cog
from tools.hub.new_files import new_files

_COMMON_NAMES = {
    "B01": "coastal", "B02": "blue", "B03": "green", "B04": "red", "B05": "rededge", "B06": "rededge",
    "B07": "rededge", "B08": "nir", "B8A": "nir08", "B09": "nir09", "B11": "swir16", "B12": "swir22",
}  # fmt: skip
_SENTINEL_BAND = re.compile(r"(?:^|_)(B\d\d|B8A|SCL|VV|VH|HH|HV)(?=_|$)")
SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_STEPS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
_NETCDF = (".nc", ".nc4", ".cdf")
_CLOUD_CLASSES = (8, 9, 10)


class RasterInvalidError(ToolInputError):
    """A file cannot be taken into the hub."""


@dataclass(frozen=True)
class AddReport:
    """What was taken in."""

    collection_id: str
    items: tuple[str, ...]
    bands: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Layer:
    """One band of one date, still in the user's file."""

    file: Path
    path: str
    """What GDAL opens: a file name, or a variable of a netCDF file."""
    index: int
    band: Band
    grid: Grid
    start: str
    end: str


def add_files(
    hub_dir: Path,
    files: Sequence[Path],
    *,
    collection_id: str,
    datetime: str | None,
    title: str | None = None,
    scale: float | None = None,
    offset: float | None = None,
) -> AddReport:
    """Copy rasters into the hub as a collection of their own, or more dates and bands of one added before.

    Args:
        hub_dir: Folder of the hub.
        files: GeoTIFF, COG or netCDF files.
        collection_id: Name of the collection, made when new.
        datetime: When the data are for: a date, a time, a year, or `start/end`; a netCDF time axis goes before it.
        title: Title of a new collection.
        scale: Physical value of one stored step, when the files do not say it.
        offset: Physical value of a stored zero, when the files do not say it.
    """
    if not SAFE_ID.fullmatch(collection_id):
        raise RasterInvalidError(
            f"{collection_id!r} cannot name a collection.", hint="Use letters, digits, dots, dashes and underscores."
        )
    archive = Archive(hub_dir)
    existing = archive.collection(collection_id)
    if existing is not None and existing.get("clms:synthetic"):
        raise RasterInvalidError(
            f"Collection {collection_id!r} is synthetic; real data do not go into it.", hint="Choose another name."
        )
    if existing is not None and "clms:copied_from" in existing:
        raise RasterInvalidError(
            f"Collection {collection_id!r} is a copy of another service's; your own files do not go into it.",
            hint="Choose another name.",
        )
    period = None if datetime is None else _period(datetime)
    layers = [layer for file in files for layer in _layers(file, period)]
    if not layers:
        raise RasterInvalidError("No file was given.", hint="Name at least one GeoTIFF or netCDF file.")
    layers, notes = _rescaled(layers, scale, offset)
    with new_files(archive, collection_id) as folder:
        items = [_make_item(archive, folder, collection_id, group) for group in _groups(layers)]
        # Read again: another process may have added to the collection while this one waited for its turn.
        existing = archive.collection(collection_id)
        bands = _bands(layers, existing)
        head = _head(collection_id, title, existing)
        known = {item["id"]: item for item in archive.items(collection_id)}
        items = [_joined(known.get(item["id"]), item) for item in items]
        whole = known | {item["id"]: item for item in items}
        archive.put([collection_json(head, items=list(whole.values()), bands=bands)], items)
    _remove_replaced(archive, known, items)
    return AddReport(collection_id, tuple(item["id"] for item in items), tuple(b.name for b in bands), notes)


def _joined(old: Json | None, new: Json) -> Json:
    """Keep the bands that an item of the same time and place had and the new one has not."""
    if old is None:
        return new
    properties = {**old["properties"], **new["properties"]}
    return {**new, "properties": properties, "assets": {**old["assets"], **new["assets"]}}


def _remove_replaced(archive: Archive, old: Mapping[str, Json], new: Sequence[Json]) -> None:
    for item in new:
        before = old[item["id"]]["assets"] if item["id"] in old else {}
        used = {asset["href"] for asset in item["assets"].values()}
        for href in {asset["href"] for asset in before.values()} - used:
            (archive.hub_dir / href).unlink(missing_ok=True)


def _layers(file: Path, period: tuple[str, str] | None) -> Iterator[_Layer]:
    import rasterio

    if not file.is_file():
        raise RasterInvalidError(f"There is no file {file}.", hint="Check the path.")
    for path in _openable(file):
        with _open(path, file) as source:
            if source.crs is None:
                raise RasterInvalidError(
                    f"{file.name} does not say its coordinate reference system.",
                    hint="Set it first, for example: gdal_edit.py -a_srs EPSG:32630 FILE.",
                )
            code = source.crs.to_epsg()
            crs = f"EPSG:{code}" if code else source.crs.to_wkt()
            grid = Grid(crs, tuple(source.transform)[:6], source.height, source.width)
            if grid.transform == tuple(rasterio.Affine.identity())[:6]:
                raise RasterInvalidError(
                    f"{file.name} does not say where its pixels lie.", hint="Georeference it first."
                )
            for index in source.indexes:
                start, end = _time(source, index) or period or _no_time(file)
                yield _Layer(file, path, index, _band(source, index, file), grid, start, end)


def _openable(file: Path) -> list[str]:
    with _open(str(file), file) as source:
        inner: list[str] = list(source.subdatasets)
    return inner or [str(file)]


def _open(path: str, file: Path) -> Any:
    import warnings

    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

    try:
        with warnings.catch_warnings():
            # Told by ourselves, as an error with a hint; a netCDF container has no position of its own.
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            # Named drivers only: a file of another format could point GDAL at other files or hosts.
            return rasterio.open(path, driver="netCDF" if file.suffix.lower() in _NETCDF else "GTiff")
    except RasterioIOError as error:
        raise RasterInvalidError(
            f"{file.name} cannot be read as a GeoTIFF or netCDF raster.", hint="Check that the file is whole."
        ) from error


def _band(source: Any, index: int, file: Path) -> Band:
    tags = source.tags(index)
    name = tags.get("NETCDF_VARNAME") or source.descriptions[index - 1] or _name_of(file, index, source.count)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", name)
    sentinel = _SENTINEL_BAND.search(name)
    known = sentinel.group(1) if sentinel else name
    factor = 1.0 if source.crs is not None and source.crs.is_geographic else float(source.crs.linear_units_factor[1])
    return Band(
        name,
        None if source.crs.is_geographic else abs(source.transform.a) * factor,
        _COMMON_NAMES.get(known),
        float(source.scales[index - 1]),
        float(source.offsets[index - 1]),
        None if source.nodatavals[index - 1] is None else float(source.nodatavals[index - 1]),
        source.units[index - 1] or "",
        "scl" if known == "SCL" else None,
    )


def _name_of(file: Path, index: int, count: int) -> str:
    """Name a band that has no name: by the Sentinel-2 band in the file name, else by its first word."""
    sentinel = _SENTINEL_BAND.search(file.stem)
    word = sentinel.group(1) if sentinel else file.stem.split("_")[0]
    return word if count == 1 else f"{word}_{index}"


def _time(source: Any, index: int) -> tuple[str, str] | None:
    """Read a band's time from the CF time axis, where there is one."""
    tags = source.tags()
    for key, value in source.tags(index).items():
        name = key.removeprefix("NETCDF_DIM_")
        words = tags.get(f"{name}#units", "").split(" since ")
        step = _STEPS.get(words[0].strip().lower().rstrip("s"))
        if key != name and len(words) == 2 and step is not None:
            if tags.get(f"{name}#calendar", "standard") not in ("standard", "gregorian", "proleptic_gregorian"):
                raise RasterInvalidError(f"The calendar {tags[f'{name}#calendar']!r} is not one of real dates.")
            origin = datetime.fromisoformat(utc_text(words[1].strip().replace(" UTC", "")))
            moment = _stac_time(origin + timedelta(seconds=float(value) * step))
            return moment, moment
    return None


def _no_time(file: Path) -> tuple[str, str]:
    raise RasterInvalidError(
        f"{file.name} does not say what time it is for.", hint="Give it, for example: --datetime 2018 or 2019-05-02."
    )


def _period(text: str) -> tuple[str, str]:
    parts = text.split("/")
    year = re.compile(r"^(\d{4})$")
    ends = year.sub(r"\1-01-01", parts[0]), year.sub(r"\1-12-31T23:59:59", parts[-1])
    first, last = (_stac_time(datetime.fromisoformat(utc_text(end))) for end in ends)
    if len(parts) > 2 or last < first:
        raise RasterInvalidError(f"{text!r} is not a period.", hint="Write 2019-05-02, 2018, or start/end.")
    return first, last


def _stac_time(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")


def _rescaled(
    layers: Sequence[_Layer], scale: float | None, offset: float | None
) -> tuple[list[_Layer], tuple[str, ...]]:
    """Set the given scale and offset: on the spectral bands when there are any, never on a scene classification."""
    if scale is None and offset is None:
        return list(layers), ()
    spectral = any(layer.band.common_name for layer in layers)
    names: set[str] = set()
    found = []
    for layer in layers:
        band = layer.band
        if band.role is None and (band.common_name or not spectral):
            band = replace(
                band,
                scale=band.scale if scale is None else scale,
                offset=band.offset if offset is None else offset,
            )
            names.add(band.name)
        found.append(replace(layer, band=band))
    return found, (f"The given scale and offset hold for {', '.join(sorted(names))}.",)


def _groups(layers: Sequence[_Layer]) -> list[list[_Layer]]:
    """Put bands of the same time and place together; their pixel sizes may differ."""
    groups: dict[tuple[Any, ...], list[_Layer]] = {}
    for layer in layers:
        group = groups.setdefault((layer.start, layer.end, layer.grid.crs, layer.grid.bounds), [])
        if any(other.band.name == layer.band.name for other in group):
            raise RasterInvalidError(
                f"Band {layer.band.name!r} comes twice for {layer.start}.", hint="Add one of the files on its own."
            )
        group.append(layer)
    return [groups[key] for key in sorted(groups, key=str)]


def _make_item(archive: Archive, room: Path, collection_id: str, layers: Sequence[_Layer]) -> Json:
    first = layers[0]
    place = hashlib.sha256(f"{first.grid.crs}{first.grid.bounds}".encode()).hexdigest()[:8]
    item_id = f"{collection_id}_{re.sub(r'[-:]', '', first.start)}_{place}"
    properties: Json = {"title": f"{collection_id}, {first.start[:10]}", "clms:synthetic": False}
    if first.start == first.end:
        properties["datetime"] = first.start
    else:
        properties |= {"datetime": None, "start_datetime": first.start, "end_datetime": first.end}
    properties["proj:epsg"] = first.grid.epsg
    properties["updated"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assets: Json = {}
    folder = room / item_id
    folder.mkdir()
    for layer in layers:
        array = _read(layer)
        path = folder / f"{layer.band.name}.tif"
        write_cog(path, array, layer.grid, nodata=layer.band.nodata)
        href = path.relative_to(archive.hub_dir).as_posix()
        assets[layer.band.name] = raster_asset(
            href, layer.band, layer.grid, data_type=str(array.dtype), title=layer.band.name
        )
        if layer.band.role == "scl":
            properties["eo:cloud_cover"] = _cloud_cover(array, layer.band.nodata)
    return item_json(item_id, collection_id, geometry=first.grid.footprint, properties=properties, assets=assets)


def _read(layer: _Layer) -> Any:
    from rasterio.errors import RasterioIOError

    try:
        with _open(layer.path, layer.file) as source:
            return source.read(layer.index)
    except RasterioIOError as error:
        raise RasterInvalidError(
            f"The pixels of {layer.file.name} cannot be read.", hint="Check that the file is whole."
        ) from error


def _cloud_cover(classes: Any, nodata: float | None) -> float:
    """Give the per cent of classified pixels under cloud or cirrus; 100 when nothing is classified."""
    import numpy as np

    valid = np.isfinite(classes) & (classes != 0) & (classes != (0 if nodata is None else nodata))
    return round(float(np.isin(classes[valid], _CLOUD_CLASSES).mean()) * 100, 2) if valid.any() else 100.0


def _bands(layers: Sequence[_Layer], existing: Json | None) -> list[Band]:
    """List the collection's bands: those it had, and the new ones; one name cannot mean two things."""
    bands = {}
    for summary in (existing or {}).get("summaries", {}).get("bands", []):
        band = _from_summary(summary)
        bands[band.name] = band
    for layer in layers:
        known = bands.setdefault(layer.band.name, layer.band)
        if (known.scale, known.offset) != (layer.band.scale, layer.band.offset):
            raise RasterInvalidError(
                f"Band {known.name!r} would have two scales in one collection.", hint="Use another collection."
            )
    return list(bands.values())


def _from_summary(summary: Json) -> Band:
    nodata = summary.get("nodata")
    return Band(
        summary["name"],
        summary.get("gsd"),
        summary.get("common_name"),
        summary["scale"],
        summary["offset"],
        None if nodata is None else float(nodata),
        summary.get("unit", ""),
        summary.get("clms:role"),
    )


def _head(collection_id: str, title: str | None, existing: Json | None) -> Json:
    if existing is not None and title is None:
        keys = ("id", "title", "description", "license", "clms:synthetic")
        head: Json = json.loads(json.dumps({key: existing[key] for key in keys}))
        return head
    name = title or collection_id
    description = f"{name}: files added on this machine."
    return {
        "id": collection_id, "title": name, "description": description, "license": "other", "clms:synthetic": False,
    }  # fmt: skip
