"""Scorers of computations: the arguments really used, the process graph, the numbers, the question asked back."""

import json
import re
import unicodedata
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

from assistant.schema import Answer, ToolCall
from evals.graphs import matches, nested, read_reference
from evals.reference import expected_rows
from evals.schema import Case, Reference, Score, Used
from tools.schema import Plan, StatisticsRow

TOLERANCE = 0.01
"""Share by which a value may differ from the one computed again."""
NEAR_ZERO = 0.001
"""Values nearer to each other than this are equal: 1 % of a difference near zero is less than rounding."""

NOT_ASKED = Score(value=None, reason="not asked for")
_NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:[.,]\d+)?")
COMPUTING = ("compute", "layer_statistics", "classify", "feature_stack")


def outcome_told(case: Case, answer: Answer) -> Score:
    """Tell whether zero, no data, not covered, not run and failed were told apart."""
    if case.outcome is None:
        return NOT_ASKED
    return _score(answer.outcome == case.outcome, f"it was {answer.outcome}")


def asked_back(case: Case, answer: Answer) -> Score:
    """Tell whether it was asked back, with each option that the case names, and nothing computed before."""
    if not case.options:
        return NOT_ASKED
    if answer.question is None:
        return _score(False, "it did not ask")
    offered = _fold(" / ".join(answer.question.options))
    missing = [one for one in case.options if not any(_fold(part) in offered for part in one.split(" | "))]
    if answer.statistics:
        return _score(False, "it computed before it asked")
    return _score(not missing, f"not offered: {', '.join(missing)}" if missing else "all offered")


def used_scorers() -> dict[str, Callable[[Case, Answer], Score]]:
    """Give one scorer for each argument."""
    return {f"{name} used": partial(_used, name=name) for name in get_args(Used)}


def _used(case: Case, answer: Answer, *, name: Used) -> Score:
    if name not in case.used:
        return NOT_ASKED
    wanted, found = case.used[name], used(answer).get(name)
    if isinstance(wanted, tuple):
        parts = {part for part in _fold(str(found or "")).split(", ") if part}
        each = all(parts & _spellings(one) for one in wanted)
        return _score(each and len(parts) == len(wanted), f"used {found}")
    if isinstance(wanted, str):
        return _score(_fold(str(found or "")) in _spellings(wanted), f"used {found}")
    return _score(found is not None and float(str(found)) == wanted, f"used {found}")


def _spellings(wanted: str) -> set[str]:
    return {_fold(one) for one in wanted.split(" | ")}


def used(answer: Answer) -> dict[Used, object]:
    """Read what the last computation of an answer used: from its plan, and from the call where there is no plan.

    A plan holds the place and days that the words became; its place without country and share, its units by kind.
    """
    call = next((one for one in reversed(answer.tool_calls) if one.name in COMPUTING), None)
    if call is None:
        return {}
    found: dict[Used, object] = {name: value for name in get_args(Used) if (value := call.args.get(name)) is not None}
    found["tool"], found["statistic"] = call.name, call.args.get("output")
    loaded: dict[Used, object] = {"bands": ", ".join(_loaded_bands(answer))} if call.name == "compute" else {}
    return {**found, **loaded, **(_planned(answer.plan, call) if answer.plan else {})}


def _loaded_bands(answer: Answer) -> list[str]:
    nodes = [node for graph in _graphs(answer) for node in graph.values() if node["process_id"] == "load_collection"]
    return [band for band in (nodes[0]["arguments"]["bands"] if nodes else []) if not band.startswith("SCL")]


def _graphs(answer: Answer) -> list[dict[str, Any]]:
    paths = [Path(one.path) for one in answer.artifacts if one.kind == "graph"]
    return [json.loads(path.read_text(encoding="utf-8"))["process_graph"] for path in paths]


def _planned(plan: Plan, call: ToolCall) -> dict[Used, object]:
    names = plan.parameters.get("classes") if call.name == "classify" else None
    units = plan.polygons.name.partition(" ")[0] if plan.polygons else "place"
    found: dict[Used, object] = {
        "place": plan.place.name.partition(",")[0].partition(" (")[0],
        "period": f"{plan.period.start}/{plan.period.end}",
        "against": f"{plan.against.start}/{plan.against.end}" if plan.against else None,
        "units": units,
        "statistic": plan.output,
    }
    if plan.layer and plan.layer.product_id:
        found["layer"] = plan.layer.product_id
    if plan.layer is None:
        found["index"] = plan.recipe_id
    if isinstance(names, list):
        found["classes"] = len(names)
    variables = plan.parameters.get("variables")
    if isinstance(variables, list):
        found["bands"] = ", ".join(map(str, variables))
    return found


def graph_equal(case: Case, answer: Answer) -> Score:
    """Tell whether one of the process graphs is the one written down, whatever its nodes are called."""
    if case.graph is None:
        return NOT_ASKED
    wanted = read_reference(case.graph)
    graphs = _graphs(answer)
    return _score(any(matches(wanted, nested(graph)) for graph in graphs), f"none of {len(graphs)} is {case.graph}")


def value_right(case: Case, answer: Answer, *, hub: Path) -> Score:
    """Tell whether each row is within 1 % of what numpy gives from the files, and the text says the one that counts."""
    if case.reference is None:
        return NOT_ASKED
    rows = answer.statistics[-1].rows if answer.statistics else ()
    if not rows:
        return _score(False, "no numbers")
    wanted = expected_rows(case.reference, hub, answer.plan.place if answer.plan else None)
    found = {_key(row, case.reference): row.value for row in rows}
    if set(found) != set(wanted):
        return _score(False, f"rows for {len(found)}, not {len(wanted)} units")
    wrong = [key for key, value in wanted.items() if not close(found[key], value)]
    if wrong:
        return _score(False, f"{wrong[0]}: {found[wrong[0]]}, not {wanted[wrong[0]]}")
    return _said(case.reference, answer, wanted)


def close(found: float | None, wanted: float | None) -> bool:
    """Tell whether two values are equal, to 1 % or nearly zero; nothing is equal to nothing only."""
    if found is None or wanted is None:
        return found is wanted
    return abs(found - wanted) <= max(TOLERANCE * abs(wanted), NEAR_ZERO)


def _said(reference: Reference, answer: Answer, wanted: dict[str, float | None]) -> Score:
    values = [one for one in wanted.values() if one is not None]
    told = [float(one.replace(",", ".").replace("−", "-")) for one in _NUMBER.findall(answer.text)]
    if reference.below is not None or reference.above is not None:
        low, high = reference.below, reference.above
        count = sum((low is None or one < low) and (high is None or one > high) for one in values)
        return _score(float(count) in told, f"{count} of {len(values)}")
    if len(values) == 1:
        return _score(any(close(one, values[0]) for one in told), f"{values[0]:.4f} must be in the text")
    return _score(True, f"{len(values)} values")


def _key(row: StatisticsRow, reference: Reference) -> str:
    unit = "place" if reference.over == "place" else row.label
    return f"{unit} {row.date}" if reference.by_date else unit


def _score(right: bool, reason: str) -> Score:
    return Score(value=1 if right else 0, reason=reason)


def _fold(text: str) -> str:
    bare = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in bare if not unicodedata.combining(c)).split())
