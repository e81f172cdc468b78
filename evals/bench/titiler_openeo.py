"""Times titiler-openeo on the same files and the same graph as the hub.

Called by `evals.bench.ndvi_median --titiler PYTHON`, where PYTHON belongs to an environment of its own with
`titiler-openeo`. That interpreter runs this file as the server: STAC from the hub, pixels from the disk, scale and
offset left out, as on the hub's side. The graph is the NDVI of the medians of 12 dates, without a cloud mask.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Json = dict[str, Any]
USER, PASSWORD = "bench", "bench"  # of a server that lives for a minute on this machine
START_S, ANSWER_S = 120, 600


def serve(folder: str, port: str) -> None:
    """Run titiler-openeo; its settings come from the environment. Imports nothing of ours."""
    from importlib import import_module

    import uvicorn

    backend: Any = import_module("titiler.openeo.stacapi").stacApiBackend
    found_by_api = backend.get_items

    def from_disk(self: Any, **query: Any) -> Any:
        """Name the files themselves: both sides shall read from the disk."""
        found = found_by_api(self, **query)
        for item in found:
            for name, asset in item.assets.items():
                asset.href = f"{folder}/{item.id[-10:]}_{name}.tif"
        return found

    backend.get_items = from_disk
    uvicorn.run(import_module("titiler.openeo.main").app, port=int(port), log_level="warning")


def graph_of(
    collection_id: str, box: tuple[float, ...], crs: str, bands: tuple[str, str], period: tuple[str, str]
) -> Json:
    """Write the process graph that both sides run."""

    def of_data(process_id: str, **more: Any) -> Json:
        return {"process_id": process_id, "arguments": {"data": {"from_parameter": "data"}, **more}}

    red, nir = (of_data("array_element", index=index) for index in range(2))
    both = {"x": {"from_node": "nir"}, "y": {"from_node": "red"}}
    ndvi = {
        "red": red,
        "nir": nir,
        "ndvi": {"process_id": "normalized_difference", "arguments": both, "result": True},
    }
    extent = {**dict(zip(("west", "south", "east", "north"), box, strict=True)), "crs": crs}

    def reduced(node: str, dimension: str, callback: Json) -> Json:
        arguments = {"data": {"from_node": node}, "dimension": dimension, "reducer": {"process_graph": callback}}
        return {"process_id": "reduce_dimension", "arguments": arguments}

    loaded = {"id": collection_id, "spatial_extent": extent, "temporal_extent": list(period), "bands": list(bands)}
    return {
        "load": {"process_id": "load_collection", "arguments": loaded},
        "median": reduced("load", "t", {"median": {**of_data("median"), "result": True}}),
        "ndvi": reduced("median", "bands", ndvi),
        "save": {
            "process_id": "save_result",
            "arguments": {"data": {"from_node": "ndvi"}, "format": "GTiff"},
            "result": True,
        },
    }


def result(url: str, graph: Json, target: Path, token: str = "") -> None:
    """Run a graph and keep the file."""
    import httpx

    headers = {"Authorization": f"Bearer basic//{token}"} if token else {}
    answer = httpx.post(f"{url}/result", json={"process": {"process_graph": graph}}, headers=headers, timeout=ANSWER_S)
    if answer.is_error:
        raise SystemExit(f"{url} answers {answer.status_code}: {answer.text[:500]}")
    target.write_bytes(answer.content)


@contextmanager
def running_titiler(python: str, stac_url: str, hub_dir: Path) -> Iterator[tuple[str, str]]:
    """Start titiler-openeo and give its address and a token; stops it at the end."""
    import socket

    import httpx

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = hub_dir / "titiler.json"
    store.write_text("{}", encoding="utf-8")
    environment = {
        "TITILER_OPENEO_STAC_API_URL": stac_url,
        "TITILER_OPENEO_STORE_URL": str(store),
        "TITILER_OPENEO_AUTH_USERS": json.dumps({USER: {"password": PASSWORD, "roles": ["user"]}}),
        "TITILER_OPENEO_PROCESSING_APPLY_SCALE_OFFSET": "false",
        "TITILER_OPENEO_CACHE_DISABLE": "true",
    }
    server = subprocess.Popen([python, __file__, str(hub_dir), str(port)], env=environment)
    url, until = f"http://127.0.0.1:{port}", time.monotonic() + START_S
    try:
        while True:
            try:
                token = httpx.get(f"{url}/credentials/basic", auth=(USER, PASSWORD), timeout=5).json()["access_token"]
                break
            except httpx.HTTPError:
                if server.poll() is not None or time.monotonic() > until:
                    raise SystemExit("titiler-openeo did not start.") from None
                time.sleep(0.5)
        yield url, token
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    serve(*sys.argv[1:])
