"""Run a plan once: the same plan on unchanged data is answered from the files of the run before."""

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from tools.approval import Changes, require_approval
from tools.backend_jobs import jobs_of_run
from tools.errors import ArtifactNotFound
from tools.locks import one_at_a_time
from tools.planning import Prepared
from tools.schema import Artifact, Frozen, Statistics
from tools.spoken import spoken_language
from tools.timings import note_run
from tools.workspace import Workspace, file_sha256

if TYPE_CHECKING:
    from tools.toolbox import Context, Services

logger = logging.getLogger(__name__)

FOLDER = "runs"


class Made(Frozen):
    """What a run gave."""

    statistics: tuple[Statistics, ...]
    artifacts: tuple[Artifact, ...]
    data: dict[str, Any] = Field(default_factory=dict)
    """Further details, JSON-able."""
    made_at: str = ""
    """When, in UTC."""


def run_once(
    services: "Services",
    context: "Context",
    work: Prepared,
    graphs: Any,
    compute: Callable[[], Made],
    *,
    smaller: Changes | None = None,
) -> tuple[Prepared, Made]:
    """Give what an earlier run of this plan made; else run it, if it is small or approved, and keep what it makes.

    Args:
        services: Hold the workspace, which holds the earlier runs.
        context: Holds what the user has approved.
        work: What is to run.
        graphs: Its process graphs, JSON-able: other graphs are another run.
        compute: Runs it.
        smaller: Smaller alternatives beyond fewer dates and a smaller area.

    Of equal runs at the same time one computes, and the others wait for its result.

    Returns:
        The work, with a note where an earlier run is told, and what was made.

    Raises:
        NotApproved: It is large, and the user has not approved it.
    """
    path = services.workspace.root / FOLDER / f"{run_key(services, work, graphs)}.json"
    if earlier := find_run(services.workspace, path):
        return _noted(work, earlier), earlier
    require_approval(services, context, work, more=smaller)
    waiting = partial(context.on_progress, "The same computation is under way: waiting for its result")
    with one_at_a_time(path.with_suffix(".lock"), told=waiting, stop_if_asked=context.stop_if_asked):
        # Who asked the same at the same time may have computed it meanwhile.
        if earlier := find_run(services.workspace, path):
            return _noted(work, earlier), earlier
        started = time.monotonic()
        with jobs_of_run(path.with_suffix(".jobs")):
            made = compute()
            keep_run(path, made)
        note_run(services, work.estimate, time.monotonic() - started)
    return work, made


def _noted(work: Prepared, earlier: Made) -> Prepared:
    note = f"Not computed anew: the same plan ran on {earlier.made_at} UTC, and its scenes and files are unchanged."
    return replace(work, warnings=(*work.warnings, note))


def run_key(services: "Services", work: Prepared, graphs: Any) -> str:
    """Name a run by all that its numbers come from: plan, graphs, scenes as they are now, service, version."""
    told = {
        "plan": work.plan.fingerprint,
        "graphs": graphs,
        "scenes": sorted((scene.collection_id, scene.id, scene.version) for scene in work.scenes),
        "service": services.rerun_url or services.openeo_url,
        "version": _version(),
        # Other words in the pictures are other files.
        **({"language": spoken_language()} if spoken_language() != "en" else {}),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]


def find_run(workspace: Workspace, path: Path) -> Made | None:
    """Give an earlier run while all of its files are there as they were made; else None."""
    try:
        made = Made.model_validate_json(path.read_bytes())
        found = tuple(workspace.get(artifact.id) for artifact in made.artifacts)
        whole = all(file_sha256(Path(artifact.path)) == artifact.sha256 for artifact in found)
    except (OSError, ValidationError, ArtifactNotFound):
        return None
    return made.model_copy(update={"artifacts": found}) if whole else None


def keep_run(path: Path, made: Made) -> None:
    """Write down a run; one that cannot be written is simply computed again next time."""
    dated = made.model_copy(update={"made_at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}"})
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(dated.model_dump_json(), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        logger.info("A run was not written down: %s", error)


def _version() -> str:
    try:
        return metadata.version("clms-assistant")
    except metadata.PackageNotFoundError:
        return ""
