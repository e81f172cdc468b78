"""A result as a STAC item: where, when, from which scenes, and its files with their hashes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tools.records import SYNTHETIC_LICENCE, Record
from tools.schema import Artifact, Period, Plan

_FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
_PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
_PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
_SHA256 = "1220"
"""How a multihash begins that is SHA-256, 32 bytes long."""
_ROLES = {"map": ["overview"], "chart": ["overview"], "raster": ["data"], "table": ["data"], "vector": ["data"]}


def stac_item(record: Record) -> str:
    """Give the item as JSON; its assets lie beside it, under the names of their files."""
    import pystac
    from shapely.geometry import box, mapping

    first, last = _span(record.plan)
    item = pystac.Item(
        id=f"clms-{record.plan.fingerprint}",
        geometry=json.loads(json.dumps(mapping(box(*record.bbox)))),
        bbox=list(record.bbox),
        datetime=None,
        properties={
            "title": record.title,
            "description": record.abstract,
            "created": f"{record.made_at:%Y-%m-%dT%H:%M:%SZ}",
            "start_datetime": f"{first}T00:00:00Z",
            "end_datetime": f"{last}T23:59:59Z",
            "license": "CC0-1.0" if record.licence == SYNTHETIC_LICENCE else "other",
            "clms:licence": record.licence,
            "clms:synthetic": record.synthetic,
            "clms:plan": record.plan.fingerprint,
            "processing:lineage": f"{record.source} How it was made: see the asset of the kind provenance.",
            "processing:software": _software(),
        },
        stac_extensions=[_FILE, _PROJECTION, _PROCESSING],
    )
    for number, one in enumerate(record.files, 1):
        item.add_asset(f"{number:02}-{one.kind}", _asset(one))
    for scene in record.scenes:
        path = f"collections/{quote(scene.collection_id, safe='')}/items/{quote(scene.id, safe='')}"
        item.add_link(pystac.Link("derived_from", f"{record.stac_url}/{path}", "application/geo+json", scene.id))
    return json.dumps(item.to_dict(include_self_link=False, transform_hrefs=False), indent=2, ensure_ascii=False)


def _span(plan: Plan) -> tuple[str, str]:
    periods: Sequence[Period] = [one for one in (plan.period, plan.against, *plan.reference) if one]
    return str(min(one.start for one in periods)), str(max(one.end for one in periods))


def _software() -> dict[str, str]:
    from tools.provenance import versions

    return versions()


def _asset(one: Artifact) -> Any:
    import pystac

    path = Path(one.path)
    fields: dict[str, Any] = {"file:size": one.size_bytes, "file:checksum": f"{_SHA256}{one.sha256}"}
    if one.media_type == "image/tiff":
        fields |= _projection(path)
    roles = _ROLES.get(one.kind, ["metadata"])
    return pystac.Asset(f"./{path.name}", one.title, media_type=one.media_type, roles=roles, extra_fields=fields)


def _projection(path: Path) -> dict[str, Any]:
    """Give reference system, grid and bands of a GeoTIFF."""
    import math

    import rasterio

    with rasterio.open(path) as source:
        bands: list[dict[str, Any]] = []
        for number, kind in enumerate(source.dtypes):
            empty = source.nodatavals[number]
            nodata = {} if empty is None else {"nodata": "nan" if math.isnan(empty) else empty}
            bands.append({"name": source.descriptions[number] or f"band {number + 1}", "data_type": kind, **nodata})
        code = source.crs.to_epsg() if source.crs else None
        system = {"proj:code": f"EPSG:{code}"} if code else {"proj:code": None}
        return {
            **system,
            "proj:shape": [source.height, source.width],
            "proj:transform": list(source.transform)[:6],
            "bands": bands,
        }
