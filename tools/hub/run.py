"""Runs one process graph over the archive: from the request's JSON to a file."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from tools.hub.archive import Archive
from tools.hub.cluster import Cluster
from tools.hub.cube import Cube, VectorCube
from tools.hub.cube_cache import CubeCache, keys_worth_keeping
from tools.hub.executor import Executor, Process, result_node, without_repeats
from tools.hub.limits import Limits
from tools.hub.loading import Loader
from tools.hub.openeo_errors import OpenEOError
from tools.hub.processes_cubes import ordered
from tools.hub.reading import Files
from tools.hub.results import as_saved, save_result, write_result
from tools.hub.scratch import scratch
from tools.hub.user_processes import signature_of
from tools.hub.watch import LEVELS, Run, Watch

Json = dict[str, Any]
Definitions = Mapping[str, Json]
"""User-defined processes by id."""
_AREA_ARGUMENTS = {"aggregate_spatial": "geometries", "filter_spatial": "geometries", "mask_polygon": "mask",
                   "filter_bbox": "extent"}  # fmt: skip


def process_graph_of(body: Json) -> Json:
    """Take the process graph out of a request."""
    process = body.get("process", body)
    graph = process.get("process_graph") if isinstance(process, dict) else None
    if not isinstance(graph, dict):
        raise OpenEOError("ProcessGraphMissing", "The request has no process graph.")
    return graph


def find_area(graph: Json) -> Json | None:
    """Find the box or geometries that a graph cuts to: the extent of collections loaded without one."""
    for node in graph.values():
        arguments = node.get("arguments") if isinstance(node, dict) else None
        if not isinstance(arguments, dict):
            continue
        value = arguments.get(_AREA_ARGUMENTS.get(str(node.get("process_id")), ""))
        if isinstance(value, dict) and ("west" in value or "type" in value):
            return value
    return None


def with_area(graph: Json) -> Json:
    """Give collections loaded without an extent the one that the graph cuts to later."""
    area = find_area(graph)
    return {
        node_id: {**node, "arguments": {**node.get("arguments", {}), "spatial_extent": area}}
        if area is not None and _loads_all(node)
        else node
        for node_id, node in graph.items()
    }


def _loads_all(node: Any) -> bool:
    return (
        isinstance(node, dict)
        and node.get("process_id") == "load_collection"
        and isinstance(node.get("arguments"), dict)
        and node["arguments"].get("spatial_extent") is None
    )


def _executor(archive: Archive, files: Files, run: Run, limits: Limits, user: Definitions) -> Executor:
    loader = Loader(archive, files, limits, Watch(run))
    extra: dict[str, Process] = {
        "load_collection": loader.load_collection, "save_result": save_result, "inspect": _inspector(run),
    }  # fmt: skip
    graphs = {name: (signature_of(body), body["process_graph"]) for name, body in user.items()}
    return Executor(extra, cancelled=run.cancelled, graphs=graphs)


def _inspector(run: Run) -> Process:
    def inspect(data: Any, message: str = "", code: str = "User", level: str = "info") -> Any:
        """Write a summary of data into the log, and give the data."""
        if level not in LEVELS:
            raise OpenEOError("ProcessParameterInvalid", f"There is no log level {level!r}; use {', '.join(LEVELS)}.")
        run.note(level, " ".join(part for part in (code, message, _summary(data)) if part)[:1000])
        return data

    return inspect


def _summary(data: Any) -> str:
    if isinstance(data, Cube | VectorCube):
        return "cube of " + ", ".join(f"{size} {name}" for name, size in data.data.sizes.items())
    return repr(data)


def validation_errors(archive: Archive, graph: Json, user: Definitions | None = None) -> list[OpenEOError]:
    """List what is wrong with a graph, collections and their bands included."""
    errors = _executor(archive, Files(), Run(), Limits(), user or {}).validate(graph)
    for node in graph.values():
        arguments = node.get("arguments") if isinstance(node, dict) else None
        if isinstance(arguments, dict) and node.get("process_id") == "load_collection":
            collection_id = arguments.get("id")
            if archive.collection(str(collection_id)) is None:
                errors.append(OpenEOError("CollectionNotFound", f"The collection '{collection_id}' does not exist."))
    return errors


def run_to_file(
    archive: Archive,
    graph: Json,
    folder: Path,
    run: Run | None = None,
    *,
    limits: Limits | None = None,
    cubes: CubeCache | None = None,
    cluster: Cluster | None = None,
    user: Definitions | None = None,
) -> Path:
    """Run a graph and write its result into a folder; gives the file.

    Args:
        archive: Where collections are.
        graph: The process graph.
        folder: Where the file goes.
        run: How the run is followed and stopped.
        limits: How much it may load.
        cubes: Cubes of earlier runs; those of this run are kept there.
        cluster: What computes; the threads of this process unless told otherwise.
        user: User-defined processes by id.
    """
    run = run or Run()

    def compute(data: xr.DataArray) -> xr.DataArray:
        return (cluster or Cluster()).compute(data, run)

    limits = limits or Limits()
    result_node(graph)  # what is no graph at all is told before its parts are looked at
    with Files() as files, scratch(folder, limits):
        executor = _executor(archive, files, run, limits, user or {})
        state = archive.state() + json.dumps(user or {}, sort_keys=True)
        saved = as_saved(_evaluated(executor, with_area(graph), state, cubes, compute))
        if isinstance(saved.value, Cube):
            saved = type(saved)(saved.value.with_data(compute(ordered(saved.value.data))), saved.format)
        return write_result(saved, folder)


def _evaluated(
    executor: Executor,
    graph: Json,
    state: str,
    cubes: CubeCache | None,
    compute: Callable[[xr.DataArray], xr.DataArray],
) -> Any:
    if cubes is None:
        return executor.run(graph)
    smaller = without_repeats(graph)
    keys = keys_worth_keeping(smaller, state)
    known = {node_id: cube for node_id, key in keys.items() if (cube := cubes.get(key)) is not None}

    def keep(node_id: str, value: Any) -> Any:
        worth = node_id in keys and isinstance(value, Cube)
        return cubes.computed(keys[node_id], value, compute) if worth else value

    return executor.run(smaller, known=known, keep=keep)
