"""Maps and charts as PNG files."""

from pathlib import Path

from tools.schema import Artifact, Plan, Statistics
from tools.workspace import Workspace

NDVI_RANGE = (-0.2, 1.0)
"""Fixed colour range of NDVI, so that two maps can be compared: water and cloud edges below 0, dense canopy near 1."""


def render_map(
    workspace: Workspace,
    raster: Path,
    plan: Plan,
    *,
    unit: str,
    value_range: tuple[float, float],
    colormap: str,
    title: str,
    statistics: Statistics | None = None,
    synthetic: bool,
    source_line: str,
) -> Artifact:
    """Draw the first band of `raster` as a map with colour bar, scale bar, period, source and polygon outlines."""
    raise NotImplementedError


def render_chart(
    workspace: Workspace, statistics: Statistics, plan: Plan, *, title: str, synthetic: bool, source_line: str
) -> Artifact:
    """Draw a time series as lines, or one value for each unit as bars."""
    raise NotImplementedError
