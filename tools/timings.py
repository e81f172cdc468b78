"""How long runs take: what is expected of a size, set right by how long the last runs on the same service took."""

import json
import logging
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tools.schema import Estimate

if TYPE_CHECKING:
    from tools.toolbox import Services

logger = logging.getLogger(__name__)

START_S = 1.2
"""Part of every run that does not grow with its size: look-ups, tables, maps and files."""
MB_PER_SECOND = 40.0
"""What the embedded hub reads and computes on two cores; docs/performance.md has the runs it was measured with."""
KEPT, FEWEST = 20, 3
"""Runs that count, the last ones; and from how many on they do."""


def expected_seconds(megabytes: float) -> float:
    """Give the seconds of a run that reads so much, on the embedded hub."""
    return START_S + megabytes / MB_PER_SECOND


def timed(services: "Services", estimate: Estimate) -> Estimate:
    """Give an estimate with its seconds as they are here, as far as earlier runs tell."""
    slowness = _slowness(services)
    return estimate.model_copy(update={"seconds": round(estimate.seconds * slowness, 1), "slowness": slowness})


def note_run(services: "Services", estimate: Estimate, seconds: float) -> None:
    """Write down how long a run took against what was expected; a run that cannot be noted is no failure."""
    # What is known by now of slowness may be another than when this was estimated: plans wait for approval.
    path, expected = _file(services), estimate.seconds / estimate.slowness
    ratios = [*_read(path), round(seconds / max(expected, 0.1), 3)][-KEPT:]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(ratios), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        logger.info("The time of a run was not written down: %s", error)


def _slowness(services: "Services") -> float:
    ratios = _read(_file(services))
    return median(ratios) if len(ratios) >= FEWEST else 1.0


def _file(services: "Services") -> Path:
    from tools.backend_mapping import host_of

    # The embedded hub has another port at each start.
    name = services.mapping.id if services.mapping.same_as_stac else host_of(services.openeo_url)
    return services.workspace.root / "runs" / f"times-{''.join(c if c.isalnum() else '-' for c in name)}.times"


def _read(path: Path) -> list[float]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return [float(one) for one in found if 0 < float(one) < 1e6]
    except (OSError, ValueError, TypeError):
        return []
