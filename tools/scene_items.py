"""What STAC items of any service say of scenes: who may read their files, and which of them are one scene."""

from collections.abc import Iterable
from typing import Any, Literal
from urllib.parse import urlsplit

Json = dict[str, Any]
Needs = Literal["nothing", "S3 keys", "an account", "another protocol"]
TEXT = 200
"""Characters of a title that are kept."""
_VERSIONS = ("s2:processing_baseline", "processing:version")
_MADE = ("s2:generation_time", "processing:datetime", "created")
_LEFT_OUT_ROLES = frozenset({"thumbnail", "overview", "visual", "metadata"})


def access(asset: Json, item: Json) -> tuple[str, Needs]:
    """Give the address that needs least, and what it needs: the asset's own one, or one of its alternatives."""
    schemes = mapping(mapping(item.get("properties")).get("auth:schemes")) or mapping(item.get("auth:schemes"))
    found = []
    for one in (asset, *mapping(asset.get("alternate")).values()):
        href = str(mapping(one).get("href", ""))
        found.append((href, _needs(href, mapping(one), schemes)))
    order: tuple[Needs, ...] = ("nothing", "S3 keys", "an account", "another protocol")
    return min(found, key=lambda pair: order.index(pair[1]))


def _needs(href: str, one: Json, schemes: Json) -> Needs:
    scheme = urlsplit(href).scheme
    references = [str(name) for name in entries(one.get("auth:refs"))]
    if scheme == "s3" or any(mapping(schemes.get(name)).get("type") == "s3" for name in references):
        return "S3 keys"
    if scheme not in ("http", "https"):
        return "another protocol"
    return "an account" if references else "nothing"


def files_need(item: Json) -> Needs | None:
    """Tell what the files of data of an item need; where some are open, nothing; None where it has no such file."""
    assets = [one for one in mapping(item.get("assets")).values() if _is_data(mapping(one))]
    found = [access(one, item)[1] for one in assets]
    return "nothing" if "nothing" in found else next(iter(found), None)


def _is_data(asset: Json) -> bool:
    roles = {str(role) for role in entries(asset.get("roles"))}
    return not roles & _LEFT_OUT_ROLES and ("data" in roles or str(asset.get("type", "")).startswith("image/"))


def is_data_file(asset: Json) -> bool:
    """Tell whether an asset is a GeoTIFF of one band of data."""
    roles = {str(role) for role in entries(asset.get("roles"))}
    media = str(asset.get("type", "")).lower()
    bands = max(len(entries(asset.get(name))) for name in ("bands", "raster:bands", "eo:bands"))
    return media.startswith("image/tiff") and bands <= 1 and not roles & _LEFT_OUT_ROLES


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
    told = mapping(item.get("properties"))
    parts = (told.get("platform"), told.get("grid:code"), str(told.get("datetime") or "")[:19])
    if all(parts) and any(told.get(name) for name in _VERSIONS):
        return tuple(str(part) for part in parts)
    return (str(item.get("id")),)


def _version(item: Json) -> tuple[str, str, str]:
    told = mapping(item.get("properties"))
    version, made = (next((str(told[n]) for n in names if told.get(n)), "") for names in (_VERSIONS, _MADE))
    return version, made, str(item.get("id"))


def clean(text: str, length: int = TEXT) -> str:
    """Make a text of another service safe to show: one line, no control characters, not long."""
    return "".join(sign if sign.isprintable() else " " for sign in text)[:length]


def mapping(value: Any) -> Json:
    """Give a JSON object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def entries(value: Any) -> list[Any]:
    """Give a JSON list, an empty one for anything else."""
    return value if isinstance(value, list) else []
