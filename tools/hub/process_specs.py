"""The specifications of the processes offered, from the official JSON files that openeo-processes-dask carries."""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tools.hub.executor import common_processes

Json = dict[str, Any]
DISPUTED = {
    "aggregate_temporal": "examples ask for January and expect values of June, or put the labels into the callback",
    "aggregate_temporal_period": "examples label hours and days unlike the specification, or rename the dimension",
    "apply_dimension": "an example asks for the bands of a cube that has none",
    "array_append": "an example appends 0 and expects 1",
    "array_apply": "an example calls a process 'mulitply'",
    "array_element": "an example asks for the label 'BO2' instead of 'B02'",
    "array_filter": "the examples name the parameter 'process'; the specification names it 'condition'",
    "array_find": "an example finds the first value at position 1",
    "array_modify": "an example inserts, though the length to replace is 1 unless given",
    "count": "examples name the callback's value 'element'; the specification names it 'x'",
    "filter_bands": "an example takes a misspelt band for an empty cube, another gets other bands than it asks for",
    "lte": "an example says that infinity is not less than or equal to itself",
    "mask": "examples keep where the mask is set; the specification replaces there",
    "mask_polygon": "examples mask what lies outside where the inside is to be masked",
    "merge_cubes": "an example has no-data where its input has a value",
    "mod": "an example gives the sign of the dividend; the specification asks for that of the divisor",
    "product": "an example expects NaN where infinities multiply to an infinity",
    "reduce_dimension": "an example refers to a node as to a parameter",
    "rename_dimension": "examples expect the dimension next to the one they rename",
    "rename_labels": "examples leave out what is required; one refuses new names without the old, which clients send",
}
"""Processes of which an official example contradicts the specification or itself; ours follow the specification.

Two go beyond it: `filter_bands` names a band that is not there, `rename_labels` needs no old names for all labels."""


@cache
def process_specs() -> list[Json]:
    """List the specifications by id."""
    # Found without importing the package: its import loads much that only its own implementations need.
    package = find_spec("openeo_processes_dask")
    folder = Path(package.submodule_search_locations[0] if package and package.submodule_search_locations else ".")
    names = sorted({*common_processes(), "inspect", "load_collection", "save_result"})
    files = [folder / "specs" / "openeo-processes" / f"{name}.json" for name in names]
    return [json.loads(path.read_text("utf-8")) for path in files if path.is_file()]
