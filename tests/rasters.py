"""Tiny GeoTIFF files for tests: one band of 10 m pixels in EPSG:32630."""

from pathlib import Path
from typing import Any

import rasterio
from affine import Affine
from numpy.typing import NDArray


def write_band(path: Path, values: NDArray[Any], corner: tuple[float, float], *, nodata: float | None = 0) -> Path:
    """Write `values` with their upper left corner (x, y) in metres; the band is named after the file."""
    height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", width=width, height=height, count=1, dtype=str(values.dtype), nodata=nodata,
        crs="EPSG:32630", transform=Affine(10, 0, corner[0], 0, -10, corner[1]),
    ) as target:  # fmt: skip
        target.write(values, 1)
        target.set_band_description(1, path.stem.rsplit("_")[-1])
    return path
