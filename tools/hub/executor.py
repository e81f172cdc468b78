"""Walks an openEO process graph: resolves references, calls processes, turns child graphs into callbacks."""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from tools.hub import processes_arrays, processes_cubes, processes_math, processes_time, processes_vector
from tools.hub.openeo_errors import JobCanceled, OpenEOError

Json = dict[str, Any]
Process = Callable[..., Any]


@cache
def common_processes() -> Mapping[str, Process]:
    """Give all processes that need nothing from outside the graph, by id."""
    groups = (processes_math, processes_arrays, processes_cubes, processes_time, processes_vector)
    return {name: function for group in groups for name, function in group.PROCESSES.items()}


class Executor:
    """Evaluates process graphs with a set of processes."""

    def __init__(self, extra: Mapping[str, Process], *, cancelled: Callable[[], bool] = lambda: False) -> None:
        self._processes = {**common_processes(), **extra}
        self._cancelled = cancelled

    def run(self, graph: Json, parameters: Mapping[str, Any] | None = None) -> Any:
        """Evaluate a graph and give the value of its result node."""
        return self._walk(graph, dict(parameters or {}))

    def validate(self, graph: Json) -> list[OpenEOError]:
        """List what can be known to be wrong without running."""
        errors: list[OpenEOError] = []
        for part in _all_graphs(graph):
            try:
                result_node(part)
                _check_order(part)
            except OpenEOError as error:
                errors.append(error)
            for node in part.values():
                errors.extend(self._check_node(node))
        return errors

    def _check_node(self, node: Json) -> list[OpenEOError]:
        try:
            self._bind(node["process_id"], node.get("arguments", {}))
        except OpenEOError as error:
            return [error]
        return []

    def _walk(self, graph: Json, parameters: dict[str, Any]) -> Any:
        _check_order(graph)
        done: dict[str, Any] = {}

        def value_of(node_id: str) -> Any:
            if node_id not in done:
                done[node_id] = self._call(graph[node_id], value_of, parameters)
            return done[node_id]

        return value_of(result_node(graph))

    def _call(self, node: Json, value_of: Callable[[str], Any], parameters: dict[str, Any]) -> Any:
        if self._cancelled():
            raise JobCanceled("The run was cancelled.")
        arguments = {
            name: self._resolve(value, value_of, parameters) for name, value in node.get("arguments", {}).items()
        }
        return self._bind(node["process_id"], arguments)()

    def _bind(self, process_id: str, arguments: Json) -> Callable[[], Any]:
        process = self._processes.get(process_id)
        if process is None:
            raise OpenEOError("ProcessUnsupported", f"Process with identifier '{process_id}' is not available here.")
        try:
            bound = _signature(process).bind(**arguments)
        except TypeError as error:
            code = "ProcessParameterRequired" if "missing" in str(error) else "ProcessParameterUnsupported"
            raise OpenEOError(code, f"Process '{process_id}': {error}.") from error
        return lambda: process(*bound.args, **bound.kwargs)

    def _resolve(self, value: Any, value_of: Callable[[str], Any], parameters: dict[str, Any]) -> Any:
        if isinstance(value, list):
            return [self._resolve(part, value_of, parameters) for part in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"from_node"}:
            return value_of(value["from_node"])
        if set(value) == {"from_parameter"}:
            name = value["from_parameter"]
            if name not in parameters:
                raise OpenEOError("ProcessParameterMissing", f"No value for the parameter '{name}'.")
            return parameters[name]
        if "process_graph" in value:
            child = value["process_graph"]
            return lambda **given: self._walk(child, {**parameters, **given})
        return {key: self._resolve(part, value_of, parameters) for key, part in value.items()}


def result_node(graph: Json) -> str:
    """Give the id of the node marked as the result."""
    if (
        not isinstance(graph, dict)
        or not graph
        or not all(isinstance(n, dict) and isinstance(n.get("process_id"), str) for n in graph.values())
    ):
        raise OpenEOError("ProcessGraphInvalid", "A process graph is an object of nodes, each with a process_id.")
    results = [node_id for node_id, node in graph.items() if node.get("result") is True]
    if len(results) != 1:
        raise OpenEOError("ProcessGraphInvalid", f"Exactly one node must have 'result': true; found {len(results)}.")
    return results[0]


@cache
def _signature(process: Process) -> inspect.Signature:
    return inspect.signature(process)


def references(value: Any) -> list[str]:
    """List the nodes that an argument refers to, child graphs aside."""
    if isinstance(value, list):
        return [name for part in value for name in references(part)]
    if not isinstance(value, dict) or "process_graph" in value:
        return []
    if set(value) == {"from_node"}:
        return [str(value["from_node"])]
    return [name for part in value.values() for name in references(part)]


def _check_order(graph: Json) -> None:
    """Refuse unknown references and circles before anything runs."""
    state: dict[str, bool] = {}

    def visit(node_id: str, path: int) -> None:
        if node_id not in graph:
            raise OpenEOError("ProcessGraphInvalid", f"The process graph refers to the unknown node '{node_id}'.")
        if state.get(node_id) is False or path > 400:
            raise OpenEOError(
                "ProcessGraphInvalid", f"The process graph has a circle at node '{node_id}' or is too deep."
            )
        if node_id in state:
            return
        state[node_id] = False
        for name in references(graph[node_id].get("arguments", {})):
            visit(name, path + 1)
        state[node_id] = True

    for node_id in graph:
        visit(node_id, 0)


def _all_graphs(value: Any) -> list[Json]:
    """Find a graph and all child graphs inside it."""
    found = [value] if isinstance(value, dict) else []
    pending: list[Any] = [value]
    while pending:
        part = pending.pop()
        children = list(part.values()) if isinstance(part, dict) else part if isinstance(part, list) else []
        if isinstance(part, dict) and isinstance(part.get("process_graph"), dict):
            found.append(part["process_graph"])
        pending.extend(children)
    return found
