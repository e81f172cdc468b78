"""Runs one process graph over the archive: from the request's JSON to a file."""

from pathlib import Path
from typing import Any

from tools.hub.archive import Archive
from tools.hub.cube import Cube
from tools.hub.executor import Executor, Process
from tools.hub.loading import Limits, Loader
from tools.hub.openeo_errors import OpenEOError
from tools.hub.reading import Files
from tools.hub.results import as_saved, save_result, write_result
from tools.hub.watch import Run, Watch

Json = dict[str, Any]
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


def _executor(archive: Archive, files: Files, graph: Json, run: Run) -> Executor:
    loader = Loader(archive, files, Limits(), find_area(graph), Watch(run))
    extra: dict[str, Process] = {"load_collection": loader.load_collection, "save_result": save_result}
    return Executor(extra, cancelled=run.cancelled)


def validation_errors(archive: Archive, graph: Json) -> list[OpenEOError]:
    """List what is wrong with a graph, collections and their bands included."""
    errors = _executor(archive, Files(), graph, Run()).validate(graph)
    for node in graph.values():
        arguments = node.get("arguments") if isinstance(node, dict) else None
        if isinstance(arguments, dict) and node.get("process_id") == "load_collection":
            collection_id = arguments.get("id")
            if archive.collection(str(collection_id)) is None:
                errors.append(OpenEOError("CollectionNotFound", f"The collection '{collection_id}' does not exist."))
    return errors


def run_to_file(archive: Archive, graph: Json, folder: Path, run: Run | None = None) -> Path:
    """Run a graph and write its result into a folder; gives the file."""
    with Files() as files:
        saved = as_saved(_executor(archive, files, graph, run or Run()).run(graph))
        if isinstance(saved.value, Cube):
            saved = type(saved)(saved.value.with_data(saved.value.data.compute()), saved.format)
        return write_result(saved, folder)
