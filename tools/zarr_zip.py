"""Writes a Zarr store as one file: a ZIP, which zarr and xarray read without unpacking."""

import tempfile
import zipfile
from pathlib import Path
from typing import Any


def write_zarr(dataset: Any, path: str | Path) -> None:
    """Write an xarray Dataset as Zarr version 2 with consolidated metadata, NaN for no data, in one ZIP.

    Open it with `xarray.open_zarr(zarr.storage.ZipStore(path, mode="r"), decode_coords="all")`.
    """
    names = [name for name, one in dataset.data_vars.items() if one.dims]
    if "spatial_ref" in dataset.variables:
        dataset = dataset.assign({name: dataset[name].assign_attrs(grid_mapping="spatial_ref") for name in names})
    packed = {str(name): {"_FillValue": float("nan")} for name in names}
    # A store is written in several passes; a ZIP would keep what each of them wrote.
    with tempfile.TemporaryDirectory(prefix="clms-") as folder:
        dataset.drop_encoding().to_zarr(folder, mode="w", encoding=packed, zarr_format=2, consolidated=True)
        with zipfile.ZipFile(path, "w") as store:  # not packed again: the chunks are
            for one in sorted(Path(folder).rglob("*")):
                if one.is_file():
                    store.write(one, one.relative_to(folder).as_posix())
