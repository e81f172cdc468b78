"""Runs the official test cases of the openEO processes against those that the hub lists.

`python -m evals.bench.openeo_vectors FOLDER`, where FOLDER is `tests/` of github.com/Open-EO/openeo-processes (branch
`add-tests`): a file of JSON5 a process. Told are the cases that pass, that fail, that are disputed (they contradict
the specification: `openeo_disputed.yaml` says how, and what we give instead), of processes not listed, and those that
name a file of cubes that is not there. Ends with status 1 when one fails, a disputed one that gives another value too.
"""

import argparse
import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import yaml

from tools.hub.cube import Cube, VectorCube, parse_date
from tools.hub.executor import Executor
from tools.hub.openeo_errors import OpenEOError
from tools.hub.process_specs import process_specs
from tools.hub.processes_arrays import Labelled

Json = dict[str, Any]
DISPUTED = Path(__file__).with_name("openeo_disputed.yaml")
RELATIVE, CUBE_TOLERANCE = 1e-9, 1e-5
"""How far numbers may lie apart where the case does not say; cubes are computed in single precision."""


def main() -> None:
    """Run all cases in a folder and print what came of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    told = run_cases(parser.parse_args().folder)
    for outcome, count in sorted(Counter(outcome for _, outcome, _ in told).items()):
        print(f"{count:5d}  {outcome}")
    for name, outcome, why in told:
        if outcome in ("failed", "disputed"):
            print(f"{outcome}: {name}: {why}")
    sys.exit(any(outcome == "failed" for _, outcome, _ in told))


def run_cases(folder: Path) -> list[tuple[str, str, str]]:
    """Give name, outcome and reason of each case in a folder."""
    import json5

    listed, disputed = {spec["id"] for spec in process_specs()}, yaml.safe_load(DISPUTED.read_text("utf-8"))
    told = []
    for path in sorted(folder.glob("*.json5")):
        # Some cases write an older name for what a callback gets.
        process = json5.loads(path.read_text("utf-8").replace("from_argument", "from_parameter"))
        for number, case in enumerate(process["tests"]):
            name = f"{process['id']} {number}"
            of_files = disputed["of cubes in files"].get(process["id"]) if "$ref" in str(case) else None
            known = disputed["cases"].get(name)
            told.append((name, *_outcome(process["id"], case, folder, listed, known, of_files)))
    return told


def _outcome(
    process_id: str, case: Json, folder: Path, listed: set[str], known: Json | None, of_files: str | None
) -> tuple[str, str]:
    if process_id not in listed:
        return "not listed", ""
    try:
        arguments, expected = _read(case["arguments"], folder), _plain(case.get("returns"), folder)
    except FileNotFoundError as error:
        return "without its file", str(error)
    found: Any
    try:
        found = _run(process_id, arguments)
        wrong = _unlike(found, expected, case.get("delta")) if "returns" in case else f"gave {found!r:.80}"
    except OpenEOError as error:
        found, wrong = {"throws": error.code}, f"{error.code}: {error}"
        wrong = "" if case.get("throws") in (True, error.code) else wrong
    except Exception as error:  # noqa: BLE001  # what a client would get as an internal error is what this looks for
        found, wrong = None, repr(error)[:200]
    if not wrong:
        return "passed", ""
    if known is not None:
        ours = _in_short(found)
        return ("disputed", known["why"]) if ours == known["ours"] else ("failed", f"gave {ours}, not {known['ours']}")
    return ("disputed", of_files) if of_files else ("failed", wrong)


def _in_short(found: Any) -> Any:
    """Write a result as the list of disputed cases does: of a cube the labels, the sum and how many values."""
    if not isinstance(found, Cube | VectorCube):
        plain = found.values if isinstance(found, Labelled) else found
        return plain.tolist() if isinstance(plain, np.ndarray | np.generic) else plain
    labels = {str(d): Cube(found.data).labels(str(d)) for d in found.data.dims if d not in ("x", "y")}
    return {**labels, "sum": round(float(found.data.sum()), 2), "values": int(found.data.notnull().sum())}


def _run(process_id: str, arguments: Json) -> Any:
    def given(name: str, value: Any) -> Any:
        return value if isinstance(value, dict) and "process_graph" in value else {"from_parameter": name}

    node = {"process_id": process_id, "arguments": {n: given(n, v) for n, v in arguments.items()}, "result": True}
    return Executor({}).run({"n": node}, arguments)


def _plain(value: Any, folder: Path) -> Any:
    """Resolve files, no-data and dates; cubes and labelled arrays stay descriptions."""
    import json5

    if isinstance(value, list):
        return [_plain(part, folder) for part in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"$ref"}:
        return _plain(json5.loads((folder / value["$ref"]).read_text("utf-8")), folder)
    if value.get("type") in ("nodata", "datetime"):
        return value.get("value")
    return {key: _plain(part, folder) for key, part in value.items()}


def _read(arguments: Json, folder: Path) -> Json:
    """Make cubes and labelled arrays of their descriptions."""

    def made(value: Any) -> Any:
        kind = value.get("type") if isinstance(value, dict) else None
        if kind == "labeled-array":
            return Labelled([part["value"] for part in value["data"]], tuple(part["key"] for part in value["data"]))
        return _cube(value) if kind == "datacube" else value

    return {name: made(value) for name, value in _plain(arguments, folder).items()}


def _cube(told: Json) -> Cube | VectorCube:
    labels: Json = {}
    for name, dimension in told["dimensions"].items():
        values = dimension.get("values")
        if values and dimension["type"] != "geometry":
            labels[name] = np.array([parse_date(v) for v in values]) if dimension["type"] == "temporal" else values
    data = xr.DataArray(_numbers(told), dims=told["order"], coords=labels)
    dimensions = told["dimensions"].values()
    shapes = next((one.get("geometries", ()) for one in dimensions if one["type"] == "geometry"), None)
    if shapes is not None:
        return VectorCube(data, tuple(shapes))
    return Cube(data, next((str(one["reference_system"]) for one in dimensions if "reference_system" in one), None))


def _numbers(told: Json) -> np.ndarray[Any, Any]:
    if not told["data"]:
        return np.empty([len(told["dimensions"][name].get("values") or ()) for name in told["order"]])
    values = np.array(told["data"], dtype=float)
    return np.where(values == told.get("nodata"), np.nan, values)


def _unlike(found: Any, expected: Any, delta: float | None) -> str:
    """Say how a result differs from what is expected; empty when it does not."""
    if isinstance(expected, dict) and expected.get("type") == "datacube":
        return _unlike_cube(found, expected, delta)
    if isinstance(expected, dict) and expected.get("type") == "labeled-array":
        expected = [part["value"] for part in expected["data"]]
    plain = found.values if isinstance(found, Labelled) else found
    plain = plain.tolist() if isinstance(plain, np.ndarray) else plain
    return "" if _same(plain, expected, delta) else f"gave {plain!r:.80}, expected {expected!r:.80}"


def _same(found: Any, expected: Any, delta: float | None) -> bool:
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(_same(a, b, delta) for a, b in zip(found, expected, strict=True))
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in (found, expected)):
        return type(found) is type(expected) and bool(found == expected)
    if math.isnan(found) or math.isnan(expected):
        return math.isnan(found) and math.isnan(expected)
    return bool(found == expected or abs(found - expected) <= (delta or RELATIVE * max(1.0, abs(expected))))


def _unlike_cube(found: Any, expected: Json, delta: float | None) -> str:
    if not isinstance(found, Cube | VectorCube):
        return f"gave {found!r:.80}, expected a cube"
    shapes = [name for name, one in expected["dimensions"].items() if one["type"] == "geometry"]
    data = found.data.rename({"geometry": shapes[0]}) if shapes else found.data
    order = expected.get("order", list(expected["dimensions"]))
    if set(data.dims) != set(order):
        return f"has the dimensions {list(data.dims)}, expected {order}"
    data = data.transpose(*order)
    if expected["data"] is not None:  # else the case tells labels only
        values, near = _numbers(expected), delta or CUBE_TOLERANCE
        if data.shape != values.shape:
            return f"has the shape {data.shape}, expected {values.shape}"
        if not np.allclose(data.values.astype(float), values, rtol=CUBE_TOLERANCE, atol=near, equal_nan=True):
            return "has other values"
    wrong = [n for n, one in expected["dimensions"].items() if not _same_labels(Cube(data).labels(n), one)]
    return f"has other labels along {wrong[0]}" if wrong else ""


def _same_labels(found: list[Any], dimension: Json) -> bool:
    expected = dimension.get("values")
    if not expected or dimension["type"] == "geometry":
        return True
    if dimension["type"] == "temporal" and "T" in str(expected[0]):
        return [parse_date(one) for one in found] == [parse_date(one) for one in expected]
    return _same(list(found), expected, None)


if __name__ == "__main__":
    main()
