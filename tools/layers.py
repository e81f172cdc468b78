"""Which bands of a collection hold what, read from the collection's own metadata."""

import re
from collections.abc import Iterator
from typing import Any

from tools.schema import Frozen

SCL_NAME = re.compile(r"SCL(_\d+m)?", re.IGNORECASE)


class Layer(Frozen):
    """One band and how its stored values become physical ones: stored * scale + offset."""

    name: str
    common_name: str | None = None
    scale: float | None = None
    offset: float | None = None
    gsd_m: float | None = None
    whole_numbers: bool = False
    """True when the metadata says that stored values are integers."""


class Layers(Frozen):
    """What a recipe needs to know of one collection."""

    collection_id: str
    """Id in the STAC service."""
    openeo_id: str = ""
    """Id in the openEO back-end, where it is another one."""
    title: str = ""
    bands: tuple[Layer, ...] = ()
    scl: str | None = None
    """The band with the scene classification, if there is one."""
    synthetic: bool = False
    has_cloud_cover: bool = False
    """True when scenes tell their cloud cover, so that a graph may filter by it."""
    note: str = ""
    """What a reader must know of how the values are read; empty when the metadata say it all."""

    def find(self, common_name: str) -> Layer | None:
        """Return the finest band with this common name."""
        same = [band for band in self.bands if band.common_name == common_name]
        return min(same, key=lambda band: (band.gsd_m or 0.0, band.name)) if same else None


def read_layers(collection: dict[str, Any]) -> Layers:
    """Read the bands from a STAC collection."""
    collection_id = str(collection.get("id", ""))
    found: dict[str, Layer] = {}
    scl: str | None = None
    for name, band in _described(collection):
        if SCL_NAME.fullmatch(name) or band.get("clms:role") == "scl":
            scl = min(scl, name) if scl else name
        elif name not in found or found[name].common_name is None:
            found[name] = _layer(name, band)
    return Layers(
        collection_id=collection_id,
        title=str(collection.get("title") or collection_id),
        bands=tuple(found.values()),
        scl=scl,
        synthetic=is_synthetic(collection),
    )


def is_synthetic(thing: dict[str, Any]) -> bool:
    """Tell whether a STAC collection or item marks itself as invented."""
    places = (thing, thing.get("properties") or {}, thing.get("summaries") or {})
    return any(place.get("clms:synthetic") in (True, [True]) for place in places)


def is_vector(collection: dict[str, Any]) -> bool:
    """Tell whether a STAC collection holds polygons, not pixels."""
    return collection.get("clms:kind") == "vector"


def _described(collection: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name a request may use, description) from every place where STAC versions put bands.

    Assets come first: CDSE names its assets (`B04_10m`) apart from the bands inside them (`B04`). Bands that no asset
    is named after are told only where there are no assets.
    """
    summaries = _mapping(collection.get("summaries"))
    rasters = _list(summaries.get("raster:bands"))
    spectral = {_mapping(band).get("common_name") for band in _list(summaries.get("eo:bands"))}
    for name, described in _mapping(collection.get("item_assets")).items():
        asset = _mapping(described)
        inner = _list(asset.get("bands")) or _list(asset.get("eo:bands"))
        if len(inner) <= 1:
            # Landsat's assets tell no band, and are called by the common names of those in the summaries.
            known = {"common_name": name} if name in spectral and not inner else {}
            yield str(name), {**known, **asset, **_first(_list(asset.get("raster:bands"))), **_first(inner)}
    if collection.get("item_assets") and not _list(summaries.get("bands")):
        return
    for key in ("bands", "eo:bands"):
        bands = _list(summaries.get(key)) or (_list(collection.get("bands")) if key == "bands" else [])
        for place, band in enumerate(bands):
            extra = _mapping(rasters[place]) if place < len(rasters) else {}
            yield str(_mapping(band).get("name", "")), {**extra, **_mapping(band)}


def _layer(name: str, band: dict[str, Any]) -> Layer:
    return Layer(
        name=name,
        common_name=spectral_name(band),
        scale=_number(band.get("scale", band.get("raster:scale"))),
        offset=_number(band.get("offset", band.get("raster:offset"))),
        gsd_m=_number(band.get("gsd", band.get("spatial_resolution"))),
        whole_numbers="int" in str(band.get("data_type", "")),
    )


def spectral_name(band: dict[str, Any]) -> str | None:
    """Give the common name of a band; where three red edges share one, their wavelength (in um) tells them apart."""
    import spyndex

    name = band.get("common_name") or band.get("eo:common_name")
    wavelength_um = _number(band.get("center_wavelength", band.get("eo:center_wavelength")))
    if name == "rededge" and wavelength_um is not None:
        for edge in map(spyndex.bands.get, ("RE1", "RE2", "RE3")):
            if edge.min_wavelength <= 1000 * wavelength_um <= edge.max_wavelength:
                return str(edge.common_name)
    return name if isinstance(name, str) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _first(values: list[Any]) -> dict[str, Any]:
    """Return the first entry without its name: the asset's own name is what a request uses."""
    return {key: value for key, value in _mapping(values[0]).items() if key != "name"} if values else {}
