"""The record of how a result was made."""

import json
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from tools.schema import Artifact, Plan, Scene
from tools.workspace import Workspace

_PACKAGES = ("clms-assistant", "openeo", "pystac-client", "rasterio", "xarray", "numpy")


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
    from tools.export import plan_title
    from tools.export_code import public_url

    record = {
        "about": "How this result was made by CLMS Assistant.",
        "data": "synthetic demo data, not an observation" if synthetic else "real data",
        "product_id": product_id,
        "plan_fingerprint": plan.fingerprint,
        "plan": plan.model_dump(mode="json"),
        "period": {"start": plan.period.start.isoformat(), "end": plan.period.end.isoformat()},
        "scenes": [scene.model_dump(mode="json") for scene in scenes],
        "dates": sorted({scene.datetime[:10] for scene in scenes}),
        "services": {"openeo": public_url(openeo_url), "stac": public_url(stac_url)},
        "versions": {"python": platform.python_version(), **versions()},
        "files": [
            {
                "id": artifact.id,
                "kind": artifact.kind,
                "title": artifact.title,
                "file": Path(artifact.path).name,
                "size_bytes": artifact.size_bytes,
                "sha256": artifact.sha256,
            }
            for artifact in artifacts
        ],
    }
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
    title = f"Provenance: {plan_title(plan)}"
    return workspace.save(
        text, "provenance", title, media_type="application/json", suffix=".json", fingerprint=plan.fingerprint
    )


def versions() -> dict[str, str]:
    """Give the versions of what computed a result."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # Run from a source tree: the distribution has no version to name.
    return found
