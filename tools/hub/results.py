"""Writes the result of a process graph as a file: GTiff, netCDF and Zarr for rasters, JSON and CSV for numbers."""

import csv
import io
import json
import math
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tools.hub.cube import Cube, VectorCube
from tools.hub.files import check_written
from tools.hub.openeo_errors import OpenEOError
from tools.hub.processes_cubes import ordered
from tools.zarr_zip import write_zarr

IN_MEMORY_BYTES = 64_000_000
JSON_VALUES = 2_000_000
_TILE_PX = 256
MEDIA_TYPES = {
    "GTIFF": ("image/tiff; application=geotiff", ".tif"),
    "NETCDF": ("application/x-netcdf", ".nc"),
    "ZARR": ("application/zip", ".zarr.zip"),
    "JSON": ("application/json", ".json"),
    "CSV": ("text/csv", ".csv"),
}


@dataclass(frozen=True)
class Saved:
    """A value and the format to write it in."""

    value: Any
    format: str


def save_result(data: Any, format: str, options: dict[str, Any] | None = None) -> Saved:  # noqa: A002, ARG001  # openEO's names
    """Choose the file format; the writing happens at the end."""
    name = {"GEOTIFF": "GTIFF", "COG": "GTIFF"}.get(format.upper(), format.upper())
    if name not in MEDIA_TYPES:
        raise OpenEOError("FormatUnsupported", f"The format '{format}' is unknown; there are {', '.join(MEDIA_TYPES)}.")
    return Saved(data, name)


def as_saved(value: Any) -> Saved:
    """Give a result a format when the graph names none: netCDF for rasters, else JSON."""
    if isinstance(value, Saved):
        return value
    return Saved(value, "NETCDF" if isinstance(value, Cube) else "JSON")


def write_result(saved: Saved, folder: Path) -> Path:
    """Write a result into a folder and give the file."""
    path = folder / f"openEO{MEDIA_TYPES[saved.format][1]}"
    if saved.format in RASTERS:
        if not isinstance(saved.value, Cube):
            raise OpenEOError("FormatUnsupported", "Only raster cubes can be written in this format.")
        RASTERS[saved.format](saved.value, path)
    else:
        path.write_text(_csv(saved.value) if saved.format == "CSV" else json.dumps(_json(saved.value)), "utf-8")
    return path


def media_type(path: Path) -> str:
    """Tell the media type of a result file."""
    return next(media for media, suffix in MEDIA_TYPES.values() if path.name.endswith(suffix))


def _write_geotiff(cube: Cube, path: Path) -> None:
    import rasterio
    from affine import Affine
    from rasterio.windows import Window

    data = ordered(cube.data)
    others = [str(d) for d in data.dims if d not in ("x", "y")]
    if "x" not in data.dims or "y" not in data.dims or data.size == 0:
        raise OpenEOError("NoDataAvailable", "The result has no pixels to write.")
    width, height = cube.resolution()
    corner = Affine(width, 0, float(data["x"][0]) - width / 2, 0, -height, float(data["y"][0]) + height / 2)
    rows, columns = data.sizes["y"], data.sizes["x"]
    values = np.asarray(data.values, np.float32).reshape(-1, rows, columns)
    profile = {
        "driver": "GTiff", "width": columns, "height": rows, "count": len(values), "dtype": "float32", "crs": cube.crs,
        "transform": corner, "nodata": np.nan, "compress": "deflate", "zlevel": 1, "num_threads": "all_cpus",
        "tiled": True, "blockxsize": _TILE_PX, "blockysize": _TILE_PX,
    }  # fmt: skip
    # Small files are made in memory first: on a full disk GDAL leaves a broken file without a word.
    with rasterio.MemoryFile() if values.nbytes <= IN_MEMORY_BYTES else nullcontext() as memory:
        with memory.open(**profile) if memory is not None else rasterio.open(path, "w", **profile) as raster:
            for top in range(0, rows, _TILE_PX):  # whole tiles: a file mapped into memory is not read as a whole
                strip = values[:, top : top + _TILE_PX]
                raster.write(strip, window=Window(0, top, columns, strip.shape[1]))
            for number, name in enumerate(_layer_names(cube, others), 1):
                raster.set_band_description(number, name)
        if memory is not None:
            path.write_bytes(memory.read())
        else:
            check_written(path)


def _layer_names(cube: Cube, dims: list[str]) -> list[str]:
    names = [""]
    for dim in dims:
        names = [f"{name} {label}".strip() for name in names for label in cube.labels(dim)]
    return names


def _write_netcdf(cube: Cube, path: Path) -> None:
    dataset = _dataset(cube)
    packed: dict[str, dict[str, Any]] = {
        str(name): {"zlib": True, "complevel": 4, "_FillValue": np.float32(np.nan)} for name in dataset.data_vars
    }
    if "spatial_ref" in dataset.coords:
        # What is given for writing takes the place of what the accessor noted.
        packed = {name: {**how, "grid_mapping": "spatial_ref"} for name, how in packed.items()}
    dataset.to_netcdf(path, engine="h5netcdf", encoding=packed)


def _write_zarr(cube: Cube, path: Path) -> None:
    write_zarr(_dataset(cube), path)


def _dataset(cube: Cube) -> Any:
    import rioxarray  # noqa: F401  # registers the accessor .rio
    import xarray as xr

    data = ordered(cube.data).drop_attrs()
    bands = [d for d in data.dims if d == "bands"]
    variables = {str(b): data.sel(bands=b, drop=True) for b in data["bands"].values} if bands else {"value": data}
    dataset = xr.Dataset(variables)
    if cube.crs is not None and {"x", "y"} <= set(data.dims):
        dataset = dataset.rio.write_crs(cube.crs)
    dataset.attrs["Conventions"] = "CF-1.8"
    return dataset


RASTERS = {"GTIFF": _write_geotiff, "NETCDF": _write_netcdf, "ZARR": _write_zarr}


def _json(value: Any) -> Any:
    if isinstance(value, VectorCube):
        return _timeseries(value)
    if isinstance(value, Cube):
        dims = [str(d) for d in value.data.dims]
        if value.data.size > JSON_VALUES:
            text = f"{value.data.size:,} values are too many for JSON ({JSON_VALUES:,} at most)."
            raise OpenEOError("ProcessGraphComplexity", text, hint="Save the cube as GTiff, netCDF or Zarr.")
        return {"dims": dims, "coords": {d: value.labels(d) for d in dims}, "data": _json(value.data.values)}
    if isinstance(value, np.ndarray):
        return _json(value.tolist())
    if isinstance(value, dict):
        return {key: _json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_json(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _timeseries(value: VectorCube) -> Any:
    """Give {date: [[value per band] per geometry]}, the shape that CDSE answers with; without dates only the lists."""
    cube = Cube(value.data)
    data = value.data
    if "bands" not in data.dims:
        data = data.expand_dims(bands=1, axis=-1)
    if "t" not in data.dims:
        return _json(data.transpose("geometry", ..., "bands").values)
    return {label: _json(data.isel(t=i).transpose("geometry", ..., "bands").values)
            for i, label in enumerate(cube.labels("t"))}  # fmt: skip


def _csv(value: Any) -> str:
    if not isinstance(value, VectorCube):
        raise OpenEOError("FormatUnsupported", "Only values per geometry can be written as CSV.")
    cube, text = Cube(value.data), io.StringIO()
    writer = csv.writer(text)
    dims = [str(d) for d in value.data.dims]
    writer.writerow([*dims, "value"])
    labels = [range(value.data.sizes["geometry"]), *[cube.labels(d) for d in dims[1:]]]
    for index in np.ndindex(value.data.shape):
        number = float(value.data.values[index])
        writer.writerow([*(labels[i][n] for i, n in enumerate(index)), "" if math.isnan(number) else number])
    return text.getvalue()
