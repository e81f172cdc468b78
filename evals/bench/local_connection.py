"""The masked NDVI median with the LocalConnection of the `openeo` client, run by an interpreter that has it.

Called by `evals.bench.ndvi_median --local-connection PYTHON`, where PYTHON belongs to an environment of its own with
`openeo[localprocessing]` (it asks for the `gdal` package, which nothing here uses). Imports nothing of ours.
"""

import sys
import time
import warnings
from typing import Any

ROUNDS = 3


def main(stac_url: str, collection_id: str, folder: str, masked: str) -> None:
    """Compute some times and print elapsed seconds and processor seconds of each."""
    from importlib import import_module

    from openeo.local import LocalConnection
    from pystac_client import ItemSearch

    loading: Any = import_module("openeo_processes_dask.process_implementations.cubes.load")
    search_type: Any = ItemSearch

    # It asks schemas.stacspec.org before each load, and guesses where the root of the API is.
    loading._validate_stac = lambda _: "COLLECTION"
    loading._search_for_parent_catalog = lambda _: (stac_url, collection_id)
    found_by_api = search_type.item_collection

    def from_disk(search: Any) -> Any:
        """Name the files themselves: both sides shall read from the disk."""
        found = found_by_api(search)
        for item in found:
            for name, asset in item.assets.items():
                asset.href = f"file://{folder}/{item.id[-10:]}_{name}.tif"
        return found

    search_type.item_collection = from_disk
    connection: Any = LocalConnection(folder)
    for _ in range(ROUNDS):
        begun, worked = time.perf_counter(), time.process_time()
        cube = connection.load_stac(
            url=f"{stac_url}/collections/{collection_id}", bands=["B04_10m", "B08_10m", "SCL_20m"]
        )
        red, nir, scl = (cube.band(name) for name in ("B04_10m", "B08_10m", "SCL_20m"))
        cloudy = scl == 0
        for one in masked.split(","):
            cloudy = cloudy | (scl == int(one))
        ndvi = ((nir - red) / (nir + red)).mask(cloudy).reduce_dimension(dimension="time", reducer="median")
        ndvi.execute().compute()
        print(time.perf_counter() - begun, time.process_time() - worked, flush=True)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    main(*sys.argv[1:])
