"""Keeps computed cubes by content, so that the tables and the map of one question are computed once."""

import hashlib
import json
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import xarray as xr

from tools.hub.cube import Cube
from tools.hub.executor import node_order, references

Json = dict[str, Any]
_ENDS = ("save_result", "aggregate_spatial")


class CubeCache:
    """Computed cubes by key, the least used dropped first; never more bytes than the limit."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._cubes: OrderedDict[str, Cube] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Cube | None:
        """Give a cube kept under this key."""
        with self._lock:
            if key in self._cubes:
                self._cubes.move_to_end(key)
            return self._cubes.get(key)

    def computed(self, key: str, cube: Cube, compute: Callable[[xr.DataArray], xr.DataArray]) -> Cube:
        """Compute a cube and keep it; one too large to keep stays lazy."""
        if cube.data.nbytes > self._max_bytes // 2:
            return cube
        ready = cube.with_data(compute(cube.data))
        with self._lock:
            self._cubes[key] = ready
            while sum(kept.data.nbytes for kept in self._cubes.values()) > self._max_bytes:
                self._cubes.popitem(last=False)
        return ready


def keys_worth_keeping(graph: Json, state: str) -> dict[str, str]:
    """Give the keys of the nodes whose cubes are used again: by several nodes, or by what ends a graph.

    A key is a digest of all that a node rests on, and of the `state` of the archive. Collections as they are loaded are
    not kept: they are the largest cubes and the cheapest to have again.
    """
    keys: dict[str, str] = {}
    users: Counter[str] = Counter()
    for node_id in node_order(graph):
        node = graph[node_id]
        arguments = node.get("arguments", {})
        users.update(dict.fromkeys(references(arguments), 2 if node["process_id"] in _ENDS else 1))
        text = json.dumps([state, node["process_id"], _with_keys(arguments, keys)], sort_keys=True)
        keys[node_id] = hashlib.sha256(text.encode()).hexdigest()
    return {
        node_id: key
        for node_id, key in keys.items()
        if graph[node_id]["process_id"] != "load_collection" and (users[node_id] > 1 or graph[node_id].get("result"))
    }


def _with_keys(value: Any, keys: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_with_keys(part, keys) for part in value]
    if not isinstance(value, dict) or "process_graph" in value:
        return value
    if set(value) == {"from_node"}:
        return {"from_key": keys[value["from_node"]]}
    return {key: _with_keys(part, keys) for key, part in value.items()}
