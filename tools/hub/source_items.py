"""Reads the STAC items of other services: which asset holds which band, what its numbers mean, who may read it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

from tools.errors import ToolInputError
from tools.hub.files import Grid

Json = dict[str, Any]
Needs = Literal["nothing", "S3 keys", "an account", "another protocol"]
TEXT = 200
"""Characters of a title that are kept."""
_BAND_IN_FILE = re.compile(r"(?:^|_)(B\d\d|B8A|SCL)(?=_|$)")
_OFFSET_APPLIED = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
"""Says that the stored numbers were shifted by the provider; the offset that the bands tell counts no more.

https://github.com/Element84/earth-search#sentinel-2
"""
_VERSIONS = ("s2:processing_baseline", "processing:version")
_MADE = ("s2:generation_time", "processing:datetime", "created")
_LEFT_OUT_ROLES = frozenset({"thumbnail", "overview", "visual", "metadata"})


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


def access(asset: Json, item: Json) -> tuple[str, Needs]:
    """Give the address that needs least, and what it needs: the asset's own one, or one of its alternatives."""
    schemes = _mapping(_mapping(item.get("properties")).get("auth:schemes")) or _mapping(item.get("auth:schemes"))
    found = []
    for one in (asset, *_mapping(asset.get("alternate")).values()):
        href = str(_mapping(one).get("href", ""))
        found.append((href, _needs(href, _mapping(one), schemes)))
    order: tuple[Needs, ...] = ("nothing", "S3 keys", "an account", "another protocol")
    return min(found, key=lambda pair: order.index(pair[1]))


def _needs(href: str, one: Json, schemes: Json) -> Needs:
    scheme = urlsplit(href).scheme
    references = [str(name) for name in _entries(one.get("auth:refs"))]
    if scheme == "s3" or any(_mapping(schemes.get(name)).get("type") == "s3" for name in references):
        return "S3 keys"
    if scheme not in ("http", "https"):
        return "another protocol"
    return "an account" if references else "nothing"


def is_data_file(asset: Json) -> bool:
    """Tell whether an asset is a GeoTIFF of one band of data."""
    roles = {str(role) for role in _entries(asset.get("roles"))}
    media = str(asset.get("type", "")).lower()
    bands = max(len(_entries(asset.get(name))) for name in ("bands", "raster:bands", "eo:bands"))
    return media.startswith("image/tiff") and bands <= 1 and not roles & _LEFT_OUT_ROLES


def choose_assets(item: Json, wanted: Sequence[str]) -> list[str]:
    """Give the keys of the assets that bands are in: by key, band name, name in the file name, or common name.

    Without a wish: all files of data that need no key.

    Raises:
        ToolInputError: the item has no file at all, or none for a band.
    """
    told = _mapping(item.get("assets"))
    assets = {key: asset for key, asset in told.items() if is_data_file(_mapping(asset))}
    if not assets:
        raise ToolInputError(_why_no_file([_mapping(asset) for asset in told.values()], item))
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
    return [str(_mapping(one).get("name", "")) for name in ("bands", "eo:bands") for one in _entries(asset.get(name))]


def _names_in_file(_key: str, asset: Json) -> list[str]:
    return _BAND_IN_FILE.findall(PurePosixPath(urlsplit(str(asset.get("href", ""))).path).stem)


def _common_names(_key: str, asset: Json) -> list[str]:
    band = _first_band(asset)
    return [str(band.get("eo:common_name") or band.get("common_name") or "")]


def source_asset(item: Json, key: str) -> SourceAsset:
    """Read one asset of an item."""
    asset, properties = item["assets"][key], _mapping(item.get("properties"))
    band = _first_band(asset)
    shifted = any(properties.get(name) is True for name in _OFFSET_APPLIED)
    offset = _first_number(band.get("offset"), band.get("raster:offset"), asset.get("raster:offset"))
    common = band.get("eo:common_name") or band.get("common_name")
    return SourceAsset(
        key=key,
        href=access(asset, item)[0],
        title=clean(str(asset.get("title") or key)),
        scale=_first_number(band.get("scale"), band.get("raster:scale"), asset.get("raster:scale")),
        offset=0.0 if offset is not None and shifted else offset,
        nodata=_first_number(band.get("nodata"), asset.get("nodata")),
        unit=clean(str(band.get("unit") or asset.get("unit") or "")),
        gsd=_gsd(asset),
        common_name=clean(common) if isinstance(common, str) else None,
        grid=_grid(asset, properties),
    )


def _grid(asset: Json, properties: Json) -> Grid | None:
    """Read the grid from the projection extension, where an item tells it."""
    told = {**properties, **asset}
    code = told.get("proj:code") or told.get("proj:epsg")
    shape, transform = _numbers(told.get("proj:shape"), 2), _numbers(told.get("proj:transform"), 6)
    if not code or shape is None or transform is None or transform[0] <= 0 or transform[4] >= 0:
        return None
    a, b, c, d, e, f = transform
    return Grid(f"EPSG:{str(code).removeprefix('EPSG:')}", (a, b, c, d, e, f), int(shape[0]), int(shape[1]))


def newest_versions(items: Iterable[Json]) -> list[Json]:
    """Keep one item of each scene: of those processed several times the last version, of repeated ones the first.

    Items are one scene when satellite, tile and second are the same and each tells which version it is.
    """
    best: dict[tuple[str, ...], Json] = {}
    for item in items:
        key = _scene(item)
        if key not in best or (len(key) > 1 and _version(item) > _version(best[key])):
            best[key] = item
    return list(best.values())


def _scene(item: Json) -> tuple[str, ...]:
    told = _mapping(item.get("properties"))
    parts = (told.get("platform"), told.get("grid:code"), str(told.get("datetime") or "")[:19])
    if all(parts) and any(told.get(name) for name in _VERSIONS):
        return tuple(str(part) for part in parts)
    return (str(item.get("id")),)


def _version(item: Json) -> tuple[str, str, str]:
    told = _mapping(item.get("properties"))
    version, made = (next((str(told[n]) for n in names if told.get(n)), "") for names in (_VERSIONS, _MADE))
    return version, made, str(item.get("id"))


def clean(text: str, length: int = TEXT) -> str:
    """Make a text of another service safe to show: one line, no control characters, not long."""
    return "".join(sign if sign.isprintable() else " " for sign in text)[:length]


def _first_band(asset: Json) -> Json:
    """Give what is told of the one band, from wherever STAC versions put it."""
    merged: Json = {}
    for name in ("eo:bands", "raster:bands", "bands"):
        merged |= _mapping(next(iter(_entries(asset.get(name))), None))
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
    found = [_first_number(one) for one in _entries(value)[:count]]
    numbers = [one for one in found if one is not None]
    return numbers if len(numbers) == count else None


def _mapping(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _entries(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
