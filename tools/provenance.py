"""The record of how a result was made."""

from collections.abc import Sequence

from tools.schema import Artifact, Plan, Scene
from tools.workspace import Workspace


def write_provenance(
    workspace: Workspace,
    plan: Plan,
    *,
    scenes: Sequence[Scene],
    product_id: str,
    artifacts: Sequence[Artifact],
    openeo_url: str,
    stac_url: str,
    synthetic: bool,
) -> Artifact:
    """Write product, scenes, dates, plan, versions and checksums of the other files as JSON."""
    raise NotImplementedError
