"""What the demo archive holds, computed again from its files with rasterio and numpy, by none of the tools' code."""

import json
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evals.schema import Reference
from tools.schema import Place

Array = npt.NDArray[Any]

UNUSABLE = (0, 1, 3, 8, 9, 10, 11)
"""Scene classes of Sentinel-2 L2A that hide the ground: no data, defective, shadow, cloud, cirrus, snow."""
MAX_CLOUD_PERCENT = 80.0
FORMULAS: dict[str, Callable[[dict[str, Array]], Array]] = {
    "ndvi": lambda b: (b["B08"] - b["B04"]) / (b["B08"] + b["B04"]),
    "ndwi": lambda b: (b["B03"] - b["B08"]) / (b["B03"] + b["B08"]),
    "gndvi": lambda b: (b["B08"] - b["B03"]) / (b["B08"] + b["B03"]),
    "evi2": lambda b: 2.5 * (b["B08"] - b["B04"]) / (b["B08"] + 2.4 * b["B04"] + 1),
    "savi": lambda b: 1.5 * (b["B08"] - b["B04"]) / (b["B08"] + b["B04"] + 0.5),
}
LAYERS = {"TCD": "synthetic-tree-cover-density", "IMD": "synthetic-imperviousness"}


def expected_rows(reference: Reference, hub: Path, place: Place | None) -> dict[str, float | None]:
    """Give the mean of each unit by name, or by name and date; None where no pixel is valid.

    Args:
        reference: What to compute.
        hub: Folder of the archive.
        place: Its outline is what `over: place` is of, and units beside it do not count; which place it is, is scored
            elsewhere.
    """
    shapes = _outlines(reference, hub, place)
    if reference.of in LAYERS:
        return _means(*_layer(reference, hub), shapes)
    dates = _dates(reference, hub, reference.start, reference.end)
    if reference.by_date:
        parts = {day: _means(values, profile, shapes) for day, (values, profile) in dates.items()}
        return {f"{name} {day}": mean for day, means in parts.items() for name, mean in means.items()}
    now = _means(*_median(dates), shapes)
    if reference.against is None:
        return now
    before = _means(*_median(_dates(reference, hub, *reference.against)), shapes)
    return {name: None if (old := before[name]) is None or new is None else new - old for name, new in now.items()}


def _outlines(reference: Reference, hub: Path, place: Place | None) -> dict[str, dict[str, Any]]:
    from shapely.geometry import box, mapping, shape

    whole = shape(place.geometry) if place and place.geometry else box(*place.bbox) if place else None
    if reference.over != "place":
        folder = f"SYNTHETIC_{reference.over}_{reference.area}".upper()
        path = hub / f"synthetic-{reference.over}" / folder / "data.geojson"
        features = json.loads(path.read_text(encoding="utf-8"))["features"]
        near = [one for one in features if whole is None or shape(one["geometry"]).intersects(whole)]
        return {str(one["properties"]["name"]): one["geometry"] for one in near}
    return {"place": dict(mapping(whole))} if whole else {}


def _dates(reference: Reference, hub: Path, start: date, end: date) -> dict[str, tuple[Array, Any]]:
    found = {}
    for path in sorted((hub / "synthetic-sentinel-2-l2a").glob(f"*_{reference.area.upper()}_*/item.json")):
        facts = json.loads(path.read_text(encoding="utf-8"))["properties"]
        day = str(facts["datetime"])[:10]
        if str(start) <= day <= str(end) and facts["eo:cloud_cover"] <= MAX_CLOUD_PERCENT:
            found[day] = _index(reference.of, path.parent)
    return found


@lru_cache(maxsize=32)
def _index(name: str, folder: Path) -> tuple[Array, Any]:
    import rasterio

    bands = {}
    for path in sorted(folder.glob("B*_10m.tif")):
        with rasterio.open(path) as file:
            profile, stored = file.profile, file.read(1).astype(float)
        bands[path.name[:3]] = np.where(stored == 0, np.nan, stored * 0.0001 - 0.1)
    with rasterio.open(folder / "SCL_20m.tif") as file:
        classes = np.kron(file.read(1), np.ones((2, 2), dtype=np.uint8))
    with np.errstate(divide="ignore", invalid="ignore"):
        values = FORMULAS[name](bands)
    values[np.isin(classes, UNUSABLE) | (np.minimum(bands["B08"], bands["B04"]) < 0)] = np.nan
    return values, profile


def _median(dates: dict[str, tuple[Array, Any]]) -> tuple[Array, Any]:
    import warnings

    values, profile = [one for one, _ in dates.values()], next(iter(dates.values()))[1]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        return np.nanmedian(np.stack(values), axis=0), profile


def _layer(reference: Reference, hub: Path) -> tuple[Array, Any]:
    import rasterio

    (path,) = (hub / LAYERS[reference.of]).glob(f"*_{reference.area.upper()}_*/{reference.of}.tif")
    with rasterio.open(path) as file:
        stored = file.read(1).astype(float)
        return np.where(stored == file.nodata, np.nan, stored), file.profile


def _means(values: Array, profile: Any, shapes: dict[str, dict[str, Any]]) -> dict[str, float | None]:
    from rasterio.features import geometry_mask
    from rasterio.warp import transform_geom

    means: dict[str, float | None] = {}
    for name, shape in shapes.items():
        outline = transform_geom("EPSG:4326", profile["crs"], shape)
        inside = geometry_mask([outline], values.shape, profile["transform"], invert=True)
        valid = values[inside & np.isfinite(values)]
        means[name] = float(valid.mean()) if valid.size else None
    return means
