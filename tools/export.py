"""One writer for each format of a result: table, polygons, process graph."""

from typing import Any

from tools.schema import Artifact, Plan, Statistics
from tools.workspace import Workspace


def write_table(
    workspace: Workspace, statistics: Statistics, plan: Plan, *, title: str = "", synthetic: bool = False
) -> Artifact:
    """Write the rows of `statistics` as CSV."""
    raise NotImplementedError


def write_vector(
    workspace: Workspace, statistics: Statistics, plan: Plan, *, title: str = "", synthetic: bool = False
) -> Artifact:
    """Write the polygons of `plan` (or its place) as GeoJSON with their values."""
    raise NotImplementedError


def write_graph(workspace: Workspace, graph: dict[str, Any], plan: Plan, *, title: str = "") -> Artifact:
    """Write one openEO process graph as JSON that `openeo.connect(url).execute(path)` runs."""
    raise NotImplementedError
