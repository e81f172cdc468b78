"""Script and notebook that run a result again with nothing but the `openeo` client."""

from typing import Any

from tools.schema import Artifact, Plan, Statistics
from tools.workspace import Workspace


def write_script(
    workspace: Workspace, graphs: dict[str, dict[str, Any]], plan: Plan, *, openeo_url: str, expected: Statistics
) -> Artifact:
    """Write a Python script that runs `graphs["mean"]` and `graphs["count"]` and prints the same table."""
    raise NotImplementedError


def write_notebook(
    workspace: Workspace, graphs: dict[str, dict[str, Any]], plan: Plan, *, openeo_url: str, expected: Statistics
) -> Artifact:
    """Write a Jupyter notebook that does the same as the script."""
    raise NotImplementedError
