"""Reads the STAC items of other services: which asset holds which band, what its numbers mean, who may read it."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from tools.errors import ToolInputError
from tools.hub.files import Grid
from tools.layers import spectral_name
from tools.scene_items import Json, access, clean, entries, is_data_file, mapping

_BAND_IN_FILE = re.compile(r"(?:^|_)(B\d\d|B8A|SCL)(?=_|$)")
_OFFSET_APPLIED = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
"""Says that the stored numbers were shifted by the provider; the offset that the bands tell counts no more.

https://github.com/Element84/earth-search#sentinel-2
"""


@dataclass(frozen=True)
class SourceAsset:
    """One file of one band, as its item describes it; what it does not say is None or empty."""

    key: str
    href: str
    title: str
    scale: float | None
    offset: float | None
    nodata: float | None
    unit: str
    gsd: float | None
    common_name: str | None
    grid: Grid | None

    @property
    def is_classification(self) -> bool:
        """True for a Sentinel-2 scene classification."""
        return self.key.upper().startswith("SCL")


def choose_assets(item: Json, wanted: Sequence[str]) -> list[str]:
    """Give the keys of the assets that bands are in: by key, band name, name in the file name, or common name.

    Without a wish: all files of data that need no key.

    Raises:
        ToolInputError: the item has no file at all, or none for a band.
    """
    told = mapping(item.get("assets"))
    assets = {key: asset for key, asset in told.items() if is_data_file(mapping(asset))}
    if not assets:
        raise ToolInputError(_why_no_file([mapping(asset) for asset in told.values()], item))
    if wanted:
        return list(dict.fromkeys(_key_of(name, assets) for name in wanted))
    return [key for key, asset in assets.items() if access(asset, item)[1] == "nothing"] or list(assets)


def _why_no_file(assets: Sequence[Json], item: Json) -> str:
    """Tell what an item has where no file of it can be copied."""
    rasters = [asset for asset in assets if str(asset.get("type", "")).startswith("image/")]
    formats = sorted({clean(str(asset["type"]).partition(";")[0], 40) for asset in rasters})
    closed = sorted({needs for asset in rasters if (needs := access(asset, item)[1]) != "nothing"})
    held = f": its files are {', '.join(formats)}" if formats else ""
    return f"there is no GeoTIFF of one band{held}{' and need ' + ' or '.join(closed) if closed else ''}"


def _key_of(name: str, assets: Mapping[str, Json]) -> str:
    folded = name.casefold()
    by_size = sorted(assets, key=lambda key: (_gsd(assets[key]) or 0.0, key))
    for naming in (_names_of_key, _names_in_bands, _names_in_file, _common_names):
        for key in by_size:
            if folded in (told.casefold() for told in naming(key, assets[key])):
                return key
    known = ", ".join(sorted(assets)) or "none"
    raise ToolInputError(
        f"there is no GeoTIFF of one band for {clean(name)!r}", hint=f"(there is one for {clean(known, 400)})"
    )


def _names_of_key(key: str, _asset: Json) -> list[str]:
    return [key]


def _names_in_bands(_key: str, asset: Json) -> list[str]:
    return [str(mapping(one).get("name", "")) for name in ("bands", "eo:bands") for one in entries(asset.get(name))]


def _names_in_file(_key: str, asset: Json) -> list[str]:
    return _BAND_IN_FILE.findall(PurePosixPath(urlsplit(str(asset.get("href", ""))).path).stem)


def _common_names(_key: str, asset: Json) -> list[str]:
    band = _first_band(asset)
    return [str(band.get("eo:common_name") or band.get("common_name") or "")]


def source_asset(item: Json, key: str) -> SourceAsset:
    """Read one asset of an item."""
    asset, properties = item["assets"][key], mapping(item.get("properties"))
    band = _first_band(asset)
    shifted = any(properties.get(name) is True for name in _OFFSET_APPLIED)
    offset = _first_number(band.get("offset"), band.get("raster:offset"), asset.get("raster:offset"))
    common = spectral_name(band)
    return SourceAsset(
        key=key,
        href=access(asset, item)[0],
        title=clean(str(asset.get("title") or key)),
        scale=_first_number(band.get("scale"), band.get("raster:scale"), asset.get("raster:scale")),
        offset=0.0 if offset is not None and shifted else offset,
        nodata=_first_number(band.get("nodata"), asset.get("nodata")),
        unit=clean(str(band.get("unit") or asset.get("unit") or "")),
        gsd=_gsd(asset),
        common_name=clean(common) if common else None,
        grid=_grid(asset, properties),
    )


def _grid(asset: Json, properties: Json) -> Grid | None:
    """Read the grid from the projection extension, where an item tells it."""
    told = {**properties, **asset}
    code = told.get("proj:code") or told.get("proj:epsg")
    shape, transform = _numbers(told.get("proj:shape"), 2), _numbers(told.get("proj:transform"), 6)
    if not code or shape is None or transform is None or transform[0] <= 0 or transform[4] >= 0:
        return None
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    crs = f"EPSG:{str(code).removeprefix('EPSG:')}"
    try:
        CRS.from_user_input(crs)
    except CRSError:
        return None
    a, b, c, d, e, f = transform
    return Grid(crs, (a, b, c, d, e, f), int(shape[0]), int(shape[1]))


def _first_band(asset: Json) -> Json:
    """Give what is told of the one band, from wherever STAC versions put it."""
    merged: Json = {}
    for name in ("eo:bands", "raster:bands", "bands"):
        merged |= mapping(next(iter(entries(asset.get(name))), None))
    return merged


def _gsd(asset: Json) -> float | None:
    band = _first_band(asset)
    return _first_number(asset.get("gsd"), band.get("gsd"), band.get("spatial_resolution"))


def _first_number(*values: Any) -> float | None:
    for value in values:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if value == "nan":
            return float("nan")
    return None


def _numbers(value: Any, count: int) -> list[float] | None:
    found = [_first_number(one) for one in entries(value)[:count]]
    numbers = [one for one in found if one is not None and math.isfinite(one)]
    return numbers if len(numbers) == count else None
