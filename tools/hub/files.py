"""Writes the hub's raster files, and the STAC that describes them."""

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.hub.archive import Json
from tools.schema import Bbox

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_EXTENSIONS = [
    "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
]


@dataclass(frozen=True)
class Band:
    """One band of a collection: what its stored numbers mean."""

    name: str
    gsd: float | None
    """Pixel size in metres; None when the grid is in degrees."""
    common_name: str | None = None
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    unit: str = ""
    role: str | None = None
    """`scl` for a Sentinel-2 scene classification."""

    def summary(self) -> Json:
        """Give the band as the collection's summary lists it."""
        summary: Json = {
            "name": self.name,
            "scale": self.scale,
            "offset": self.offset,
            "nodata": json_number(self.nodata),
            "unit": self.unit,
            "gsd": self.gsd,
        }
        if self.common_name:
            summary["common_name"] = self.common_name
        if self.role:
            summary["clms:role"] = self.role
        return summary


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a raster lie."""

    crs: str
    """`EPSG:32630`, or WKT where there is no code."""
    transform: tuple[float, float, float, float, float, float]
    height: int
    width: int

    @property
    def epsg(self) -> int | None:
        """EPSG code, when the reference system has one."""
        from rasterio.crs import CRS

        code: int | None = CRS.from_user_input(self.crs).to_epsg()
        return code

    @property
    def bounds(self) -> Bbox:
        """Outer edges in the grid's own units; rows may run either way."""
        a, _, c, _, e, f = self.transform
        xs, ys = sorted((c, c + a * self.width)), sorted((f, f + e * self.height))
        return (xs[0], ys[0], xs[1], ys[1])

    @property
    def footprint(self) -> Json:
        """GeoJSON polygon of the raster in degrees."""
        import shapely
        from pyproj import Transformer

        to_degrees = Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True).transform
        # Straight edges in metres are bent in degrees: points along the edge keep them inside.
        outline = shapely.box(*self.bounds).segmentize(max(self.width * abs(self.transform[0]) / 8, 1e-9))
        return dict(shapely.geometry.mapping(shapely.transform(outline, to_degrees, interleaved=False)))


def write_cog(path: Path, array: Any, grid: Grid, *, nodata: float | None) -> None:
    """Write one band as a cloud-optimised GeoTIFF."""
    import rasterio
    from affine import Affine
    from rasterio._err import CPLE_BaseError

    profile = {
        "height": grid.height, "width": grid.width, "count": 1, "dtype": array.dtype, "crs": grid.crs,
        "transform": Affine(*grid.transform), "nodata": nodata, **_cog_options(array.dtype.kind == "f"),
    }  # fmt: skip
    try:
        with rasterio.open(path, "w", **profile) as file:
            file.write(array, 1)
    except CPLE_BaseError as error:  # what GDAL raises when it copies the pixels; rasterio does not translate it
        raise OSError(errno.EIO, str(error), path.name) from error
    check_written(path)


def copy_as_cog(source: Path, path: Path, *, decimals: bool) -> None:
    """Write a raster file as a cloud-optimised GeoTIFF, piece by piece: memory does not grow with it."""
    import rasterio.shutil
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioIOError

    try:
        rasterio.shutil.copy(source, path, **_cog_options(decimals))
    except (CPLE_BaseError, RasterioIOError) as error:
        raise OSError(errno.EIO, str(error), path.name) from error
    check_written(path)


def _cog_options(decimals: bool) -> dict[str, Any]:
    return {
        "driver": "COG", "compress": "deflate", "blocksize": 256, "predictor": 3 if decimals else 2,
        "overview_resampling": "nearest",
    }  # fmt: skip


def check_written(path: Path) -> None:
    """Read a raster back, block by block: on a full disk GDAL leaves a broken file without a word."""
    import rasterio
    from rasterio.errors import RasterioIOError

    try:
        with rasterio.open(path) as file:
            for band in file.indexes:
                for _, window in file.block_windows(band):
                    file.read(band, window=window)
    except RasterioIOError as error:
        raise OSError(errno.ENOSPC, "The file could not be written whole", path.name) from error


def json_number(value: float | None) -> float | str | None:
    """Write a no-data value so that JSON can hold it: NaN becomes the text `nan`, as the raster extension has it."""
    if value is None or value == value:  # noqa: PLR0124  # only NaN differs from itself
        return value
    return "nan"


def raster_asset(href: str, band: Band, grid: Grid, *, data_type: str, title: str) -> Json:
    """Describe one band's file."""
    raster: Json = {
        "data_type": data_type,
        "scale": band.scale,
        "offset": band.offset,
        "nodata": json_number(band.nodata),
        "unit": band.unit,
    }
    if band.gsd is not None:
        raster["spatial_resolution"] = band.gsd
    eo: Json = {"name": band.name} | ({"common_name": band.common_name} if band.common_name else {})
    return {
        "href": href,
        "type": COG,
        "title": title,
        "roles": ["data"],
        "raster:bands": [raster],
        "eo:bands": [eo],
        "proj:epsg": grid.epsg,
        "proj:shape": [grid.height, grid.width],
        "proj:transform": [*grid.transform, 0, 0, 1],
    }


def item_json(item_id: str, collection_id: str, *, geometry: Json, properties: Json, assets: Json) -> Json:
    """Put a STAC item together."""
    from shapely.geometry import shape

    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": _EXTENSIONS,
        "id": item_id,
        "collection": collection_id,
        "geometry": geometry,
        "bbox": list(shape(geometry).bounds),
        "properties": properties,
        "assets": assets,
        "links": [],
    }


def collection_json(head: Json, *, items: Sequence[Json], bands: Sequence[Band]) -> Json:
    """Put a collection together whose extent is that of its items; the head holds id, title, description, licence."""
    boxes = [item["bbox"] for item in items]
    whole = [min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)]
    interval = [min(_first(item) for item in items), max(_last(item) for item in items)]
    dimensions: Json = {
        "x": {"type": "spatial", "axis": "x", "extent": [whole[0], whole[2]], "reference_system": 4326},
        "y": {"type": "spatial", "axis": "y", "extent": [whole[1], whole[3]], "reference_system": 4326},
        "t": {"type": "temporal", "extent": interval},
    }
    if bands:
        dimensions["bands"] = {"type": "bands", "values": [band.name for band in bands]}
    return {
        "type": "Collection",
        "stac_version": "1.0.0",
        "stac_extensions": ["https://stac-extensions.github.io/datacube/v2.2.0/schema.json"],
        "extent": {"spatial": {"bbox": [whole]}, "temporal": {"interval": [interval]}},
        "cube:dimensions": dimensions,
        "summaries": {"bands": [band.summary() for band in bands]} if bands else {},
        "links": [],
        **head,
    }


def _first(item: Json) -> str:
    properties = item["properties"]
    return str(properties.get("start_datetime") or properties["datetime"])


def _last(item: Json) -> str:
    properties = item["properties"]
    return str(properties.get("end_datetime") or properties["datetime"])
