"""The bands of a collection as an openEO back-end names and stores them, beside those of the STAC service."""

import re
from typing import Any, Protocol

from tools.backend_mapping import BackendMapping, CollectionMapping
from tools.errors import NotCovered
from tools.layers import SCL_NAME, Layer, Layers, read_layers

MAX_NAMED = 4


class Catalogue(Protocol):
    """Tells what a back-end has; needs no login."""

    url: str

    def collection_ids(self) -> list[str]:
        """Return the ids of all collections."""

    def collection(self, collection_id: str) -> dict[str, Any] | None:
        """Return the metadata of one collection; None where there is none of this id."""


def layers_on_backend(backend: Catalogue, mapping: BackendMapping, layers: Layers) -> Layers:
    """Give a STAC collection's layers as the back-end knows them: its id, its bands, its scale and offset.

    Raises:
        NotCovered: The back-end has no such collection.
    """
    if mapping.same_as_stac:
        return layers
    known = mapping.collection(layers.collection_id)
    wanted = known.openeo if known else layers.collection_id
    metadata = backend.collection(wanted)
    if metadata is None:
        wanted, metadata = _same_name(backend, wanted, layers.collection_id)
    return compile_layers(layers, {**metadata, "id": wanted}, known)


def compile_layers(layers: Layers, metadata: dict[str, Any], known: CollectionMapping | None) -> Layers:
    """Read the bands from a back-end's metadata, with common names and pixel sizes of STAC where it tells none.

    Scale and offset are the back-end's own, else those of the mapping: the same collection may be stored in one way
    and served in another, so those of STAC are never used.
    """
    told = _told(metadata)
    names = _cube_bands(metadata) or [*(band.name for band in told.bands), *([told.scl] if told.scl else [])]
    scl = known.scl if known and known.scl in names else next(filter(SCL_NAME.fullmatch, names), told.scl)
    notes: dict[str, None] = {}
    bands = []
    for name in names:
        if name == scl:
            continue
        band = _joined(name, told, layers)
        encoding = known.encoding_of(name) if known else None
        if encoding and band.scale is None and band.offset is None:
            band = band.model_copy(update={"scale": encoding.scale, "offset": encoding.offset})
            notes[
                f"The back-end does not say how {metadata['id']} is stored: scale {encoding.scale:g} and offset "
                f"{encoding.offset:g} are taken from {encoding.source}."
            ] = None
        bands.append(band)
    return layers.model_copy(
        update={"openeo_id": str(metadata["id"]), "bands": tuple(bands), "scl": scl, "note": " ".join(notes)}
    )


def renamed(graphs: Any, *read: Layers) -> Any:
    """Give graphs whose collections and bands, written as in STAC, are named as the back-end names them.

    Raises:
        NotCovered: The back-end's collection has no such band.
    """
    names = {one.collection_id: one for one in read if one.openeo_id}
    if isinstance(graphs, list):
        return [renamed(one, *read) for one in graphs]
    if not isinstance(graphs, dict):
        return graphs
    node = {key: renamed(value, *read) for key, value in graphs.items()}
    if node.get("process_id") == "load_collection" and (there := names.get(node["arguments"]["id"])):
        bands = [_band_there(there, name) for name in node["arguments"]["bands"]]
        node["arguments"] = {**node["arguments"], "id": there.openeo_id, "bands": bands}
    return node


def _band_there(there: Layers, name: str) -> str:
    """Find a STAC band among those of the back-end: of the same name, or the only one there is."""
    known = [band.name for band in there.bands]
    same = [one for one in known if _stem(one) == _stem(name)]
    if not same and len(known) != 1:
        raise NotCovered(
            f"The collection {there.openeo_id} of the openEO service has no band {name}.",
            f"It has: {', '.join(known[:MAX_NAMED])}." if known else "Ask for another collection.",
        )
    return (same or known)[0]


def _same_name(backend: Catalogue, wanted: str, stac_id: str) -> tuple[str, dict[str, Any]]:
    """Find a collection whose id has the same letters and digits: `SENTINEL2_L2A` is `sentinel-2-l2a`."""
    ids = backend.collection_ids()
    for one in ids:
        if _letters(one) in (_letters(wanted), _letters(stac_id)) and (found := backend.collection(one)):
            return one, found
    from difflib import get_close_matches

    near = get_close_matches(wanted.lower(), [one.lower() for one in ids], n=MAX_NAMED, cutoff=0.5)
    named = [one for one in ids if one.lower() in near]
    raise NotCovered(
        f"The openEO service at {backend.url} has no collection {wanted} ({stac_id} in the STAC service).",
        f"Near that it has: {', '.join(named)}." if named else "Ask for another collection.",
    )


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _cube_bands(metadata: dict[str, Any]) -> list[str]:
    """Give the names of the dimension that holds bands: those that a request may use."""
    dimensions = metadata.get("cube:dimensions")
    for one in dimensions.values() if isinstance(dimensions, dict) else ():
        if isinstance(one, dict) and one.get("type") == "bands" and isinstance(one.get("values"), list):
            return [str(name) for name in one["values"]]
    return []


def _told(metadata: dict[str, Any]) -> Layers:
    """Read what the metadata say of each band; of several descriptions of a band the parts are joined."""
    summaries = metadata.get("summaries")
    places: dict[str, Any] = summaries if isinstance(summaries, dict) else {}
    found = [*(places.get(key) for key in ("raster:bands", "eo:bands", "bands")), metadata.get("bands")]
    lists: list[list[Any]] = [one for one in found if isinstance(one, list)]
    order = next(([str(band.get("name")) for band in one if isinstance(band, dict)] for one in reversed(lists)), [])
    joined: dict[str, dict[str, Any]] = {}
    for described in lists:
        for place, band in enumerate(described):
            if isinstance(band, dict) and (name := band.get("name") or (order[place] if place < len(order) else None)):
                joined[str(name)] = {**joined.get(str(name), {}), **_plain(band), "name": str(name)}
    if not joined:
        return read_layers(metadata)
    return read_layers({"id": metadata.get("id"), "summaries": {"bands": list(joined.values())}})


def _plain(band: dict[str, Any]) -> dict[str, Any]:
    """Give a band with its pixel size as `gsd`, however it is told."""
    size = band.get("openeo:gsd")
    if isinstance(size, dict) and size.get("unit") == "m":
        return {**band, "gsd": size.get("value")}
    return band


def _joined(name: str, told: Layers, stac: Layers) -> Layer:
    """Join what back-end and STAC say of a band; the name without its pixel size is the same in both."""
    own = next((band for band in told.bands if band.name == name), Layer(name=name))
    same = [band for band in stac.bands if _stem(band.name) == _stem(name)]
    common = next((band.common_name for band in same if band.common_name), own.common_name)
    sizes = [size for size in (own.gsd_m, *(band.gsd_m for band in same)) if size]
    return own.model_copy(update={"common_name": common, "gsd_m": own.gsd_m or min(sizes, default=None)})


def _stem(name: str) -> str:
    return re.sub(r"_\d+m$", "", name).lower()
