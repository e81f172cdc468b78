"""Walks an openEO process graph: resolves references, calls processes, turns child graphs into callbacks."""

import inspect
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from tools.hub import (
    processes_arrays,
    processes_cubes,
    processes_math,
    processes_order,
    processes_space,
    processes_text,
    processes_time,
    processes_vector,
)
from tools.hub.arguments import refuse_unlike
from tools.hub.openeo_errors import JobCanceled, OpenEOError

Json = dict[str, Any]
Process = Callable[..., Any]
Resolver = Callable[[dict[str, Any], dict[str, Any]], Any]
"""Gives an argument's value from the results of nodes and the parameters."""


@cache
def common_processes() -> Mapping[str, Process]:
    """Give all processes that need nothing from outside the graph, by id."""
    groups = (
        processes_math, processes_arrays, processes_order, processes_text,
        processes_cubes, processes_space, processes_time, processes_vector,
    )  # fmt: skip
    return {name: function for group in groups for name, function in group.PROCESSES.items()}


def _as_it_is(_node_id: str, value: Any) -> Any:
    return value


@dataclass(frozen=True)
class _Step:
    """One node, ready to run."""

    node_id: str
    process: Process
    takes_truth: bool
    arguments: dict[str, Resolver]
    unused_after: tuple[str, ...]
    """Nodes that no later step needs: their memory is used again, while it is still in the cache."""


class Executor:
    """Evaluates process graphs with a set of processes."""

    def __init__(
        self,
        extra: Mapping[str, Process],
        *,
        cancelled: Callable[[], bool] = lambda: False,
        graphs: Mapping[str, tuple[inspect.Signature, Json]] = MappingProxyType({}),
    ) -> None:
        self._processes = {**common_processes(), **extra}
        self._cancelled = cancelled
        self._graphs = graphs
        """User-defined processes: signature and graph by id; none calls itself."""

    def __reduce__(self) -> tuple[type["Executor"], tuple[Json], Json]:
        """Give another process the processes that need nothing from outside a graph: all that callbacks use."""
        return Executor, ({},), {"_graphs": dict(self._graphs)}

    def run(
        self,
        graph: Json,
        parameters: Mapping[str, Any] | None = None,
        *,
        known: Mapping[str, Any] | None = None,
        keep: Callable[[str, Any], Any] = _as_it_is,
    ) -> Any:
        """Evaluate a graph and give the value of its result node.

        Args:
            graph: The process graph.
            parameters: Values of its parameters.
            known: Values of nodes that need not be computed.
            keep: Gets each node's id and value as it is made, and gives the value to go on with.
        """
        return self._compiled(graph, known or {}, keep)(dict(parameters or {}))

    def validate(self, graph: Json) -> list[OpenEOError]:
        """List what can be known to be wrong without running."""
        errors: list[OpenEOError] = []
        for part in _all_graphs(graph):
            try:
                result_node(part)
                node_order(part)
            except OpenEOError as error:
                errors.append(error)
            for node in part.values():
                errors.extend(self._check_node(node))
        return errors

    def _check_node(self, node: Any) -> list[OpenEOError]:
        if not _is_node(node):
            return []  # told of the whole graph
        try:
            self._process(node["process_id"], node.get("arguments", {}))
        except OpenEOError as error:
            return [error]
        return []

    def _compiled(
        self, graph: Json, known: Mapping[str, Any] = MappingProxyType({}), keep: Callable[[str, Any], Any] = _as_it_is
    ) -> Callable[[dict[str, Any]], Any]:
        """Turn a graph into a function of its parameters; callbacks run it once a strip, so nothing is looked up."""
        graph = without_repeats(graph)
        result = result_node(graph)
        steps = self._steps(graph, known)

        def run(parameters: dict[str, Any]) -> Any:
            done = dict(known)
            for step in steps:
                if self._cancelled():
                    raise JobCanceled("The run was cancelled.")
                arguments = {name: resolve(done, parameters) for name, resolve in step.arguments.items()}
                if not step.takes_truth:
                    arguments = {name: processes_math.without_truth(value) for name, value in arguments.items()}
                done[step.node_id] = keep(step.node_id, step.process(**arguments))
                for name in step.unused_after:
                    del done[name]
            return done[result]

        return run

    def _steps(self, graph: Json, known: Collection[str]) -> list[_Step]:
        order = _needed(graph, node_order(graph), known)
        last_use: dict[str, str] = {}
        for node_id in order:
            last_use.update(dict.fromkeys(references(graph[node_id].get("arguments", {})), node_id))
        return [
            _Step(
                node_id,
                self._process(graph[node_id]["process_id"], graph[node_id].get("arguments", {})),
                graph[node_id]["process_id"] in processes_math.TAKES_TRUTH,
                {name: self._resolver(value) for name, value in graph[node_id].get("arguments", {}).items()},
                tuple(name for name, user in last_use.items() if user == node_id),
            )
            for node_id in order
        ]

    def _process(self, process_id: str, arguments: Json) -> Process:
        """Find a process and check the names of its arguments."""
        process = self._processes.get(process_id)
        if process is None and process_id in self._graphs:
            signature, graph = self._graphs[process_id]
            process = self._processes[process_id] = self._user_defined(signature, graph)
        if process is None:
            raise OpenEOError("ProcessUnsupported", f"Process with identifier '{process_id}' is not available here.")
        if not isinstance(arguments, dict):
            raise OpenEOError("ProcessParameterInvalid", f"The arguments of process '{process_id}' are not an object.")
        try:
            _signature(process).bind(**arguments)
        except TypeError as error:
            code = "ProcessParameterRequired" if "missing" in str(error) else "ProcessParameterUnsupported"
            raise OpenEOError(code, f"Process '{process_id}': {error}.") from error
        refuse_unlike(process_id, arguments)
        return process

    def _user_defined(self, signature: inspect.Signature, graph: Json) -> Process:
        """Make a process of a graph; inside it there are its own parameters only."""
        run = self._compiled(graph)

        def process(**given: Any) -> Any:
            bound = signature.bind(**given)
            bound.apply_defaults()
            return run(dict(bound.arguments))

        process.__signature__ = signature  # type: ignore[attr-defined]  # what `inspect.signature` looks for
        return process

    def _resolver(self, value: Any) -> Resolver:
        """Turn an argument into a function that gives its value from the nodes done and the parameters."""
        if isinstance(value, list) and any(isinstance(part, list | dict) for part in value):
            parts = [self._resolver(part) for part in value]
            return lambda done, parameters: [part(done, parameters) for part in parts]
        if not isinstance(value, dict) or _is_geojson(value):
            return lambda _done, _parameters: value
        if set(value) == {"from_node"}:
            return lambda done, _parameters: done[value["from_node"]]
        if set(value) == {"from_parameter"}:
            return lambda _done, parameters: _parameter(value["from_parameter"], parameters)
        if "process_graph" in value:
            child = self._compiled(value["process_graph"])
            return lambda _done, parameters: lambda **given: child({**parameters, **given})
        named = {key: self._resolver(part) for key, part in value.items()}
        return lambda done, parameters: {key: part(done, parameters) for key, part in named.items()}


def _is_geojson(value: Any) -> bool:
    """Tell geometries, whose many corners need not be searched for references."""
    return isinstance(value.get("type"), str) and not {"features", "geometry", "coordinates"}.isdisjoint(value)


def _parameter(name: str, parameters: Mapping[str, Any]) -> Any:
    if name not in parameters:
        raise OpenEOError("ProcessParameterMissing", f"No value for the parameter '{name}'.")
    return parameters[name]


def _needed(graph: Json, order: list[str], known: Collection[str]) -> list[str]:
    """Keep the nodes that the result rests on and that are not known yet."""
    wanted = {result_node(graph)} - set(known)
    for node_id in reversed(order):
        if node_id in wanted:
            wanted.update(set(references(graph[node_id].get("arguments", {}))) - set(known))
    return [node_id for node_id in order if node_id in wanted]


def result_node(graph: Json) -> str:
    """Give the id of the node marked as the result."""
    if not isinstance(graph, dict) or not graph or not all(_is_node(node) for node in graph.values()):
        raise OpenEOError("ProcessGraphInvalid", "A process graph is an object of nodes, each with a process_id.")
    results = [node_id for node_id, node in graph.items() if node.get("result") is True]
    if len(results) != 1:
        raise OpenEOError("ProcessGraphInvalid", f"Exactly one node must have 'result': true; found {len(results)}.")
    return results[0]


def _is_node(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("process_id"), str)


@cache
def _signature(process: Process) -> inspect.Signature:
    return inspect.signature(process)


def references(value: Any) -> list[str]:
    """List the nodes that an argument refers to, child graphs aside."""
    if isinstance(value, list):
        return [name for part in value for name in references(part)]
    if not isinstance(value, dict) or "process_graph" in value or _is_geojson(value):
        return []
    if set(value) == {"from_node"}:
        return [str(value["from_node"])]
    return [name for part in value.values() for name in references(part)]


def without_repeats(graph: Json) -> Json:
    """Let nodes that do the same share one: clients write a sum twice when it is used twice."""
    kept: dict[str, str] = {}
    same: dict[str, str] = {}
    smaller: Json = {}
    for node_id in node_order(graph):
        node = {**graph[node_id], "arguments": _renamed(graph[node_id].get("arguments", {}), same)}
        key = json.dumps([node["process_id"], node["arguments"]], sort_keys=True, default=str)
        same[node_id] = node_id if node.get("result") else kept.setdefault(key, node_id)
        if same[node_id] == node_id:
            smaller[node_id] = node
    return smaller


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(part, names) for part in value]
    if not isinstance(value, dict) or "process_graph" in value or _is_geojson(value):
        return value
    if set(value) == {"from_node"}:
        return {"from_node": names[value["from_node"]]}
    return {key: _renamed(part, names) for key, part in value.items()}


def node_order(graph: Json) -> list[str]:
    """List the nodes so that each comes after those it refers to; refuses unknown references and circles."""
    state: dict[str, bool] = {}
    order: list[str] = []

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
        order.append(node_id)

    for node_id in graph:
        visit(node_id, 0)
    return order


def calls(graph: Any) -> set[str]:
    """Name the processes that a graph and its child graphs call."""
    nodes = [node for part in _all_graphs(graph) for node in part.values()]
    return {node["process_id"] for node in nodes if isinstance(node, dict) and isinstance(node.get("process_id"), str)}


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
