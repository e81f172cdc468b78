"""The specifications of the processes offered, from the official JSON files that openeo-processes-dask carries."""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tools.hub.executor import common_processes

Json = dict[str, Any]


@cache
def process_specs() -> list[Json]:
    """List the specifications by id."""
    # Found without importing the package: its import loads much that only its own implementations need.
    package = find_spec("openeo_processes_dask")
    folder = Path(package.submodule_search_locations[0] if package and package.submodule_search_locations else ".")
    names = sorted({*common_processes(), "inspect", "load_collection", "save_result"})
    files = [folder / "specs" / "openeo-processes" / f"{name}.json" for name in names]
    return [json.loads(path.read_text("utf-8")) for path in files if path.is_file()]
