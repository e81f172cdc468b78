"""Ask before a large run: what is above the first limit runs only when the user has approved just this plan."""

import math
from typing import TYPE_CHECKING

from tools.errors import NotApproved
from tools.planning import Prepared
from tools.schema import Estimate, Question
from tools.timings import START_S
from tools.words import counted

if TYPE_CHECKING:
    from tools.toolbox import Context, Services

RUN_IT, CANCEL = "Run it", "Cancel"
ROOM = 0.9
"""A smaller alternative is made to need so much of the first limit: margins and whole pixels come on top."""
LEAST_SIDE_KM = 0.2
Changes = dict[str, dict[str, str]]
"""Words of an option, and the arguments of the call that it replaces."""


def require_approval(
    services: "Services", context: "Context", work: Prepared, *, more: Changes | None = None
) -> None:  # fmt: skip
    """Let a small or approved plan pass.

    Args:
        services: Hold the first limit.
        context: Holds what the user has approved.
        work: What is about to run.
        more: Further smaller alternatives.

    Raises:
        NotApproved: The plan is above the first limit; the error asks, and offers what is smaller.
    """
    estimate, fingerprint = work.estimate, work.plan.fingerprint
    share = _share(services, estimate)
    if share >= 1 or context.approves_all or fingerprint in context.approved:
        context.charge("pixels", estimate.pixels * max(1, estimate.scenes))
        return
    changes = {**_fewer_dates(work, share), **_smaller_area(context, work, share), **(more or {})}
    limit = f"{services.ask_above_s:g} s or {services.ask_above_mb:g} MB"
    text = (
        f"{work.recipe.title} of {work.plan.place.name} would read {counted(estimate.scenes, 'scene')}, "
        f"{counted(estimate.pixels, 'pixel')} each and {estimate.megabytes:.0f} MB in all, and take about "
        f"{estimate.seconds:.0f} s. {services.mapping.costs}".rstrip()
        + f" Above {limit} nothing runs unasked. Plan {fingerprint}."
    )
    question = Question(text=text, options=(RUN_IT, *changes, CANCEL), approves=(fingerprint,), changes=changes)
    raise NotApproved(text, question, work.plan, estimate)


def _share(services: "Services", estimate: Estimate) -> float:
    """Give the part of the work that fits under the first limit; 1 and more: all of it."""
    seconds = (services.ask_above_s - START_S) / max(estimate.seconds - START_S, 1e-9)
    return min(seconds, services.ask_above_mb / max(estimate.megabytes, 1e-9))


def _fewer_dates(work: Prepared, share: float) -> Changes:
    """Offer the latest dates that fit; not where they are compared or a season, nor where one date is all there is."""
    dates = sorted({scene.datetime[:10] for scene in work.scenes})
    fitting = int(len(dates) * share * ROOM)
    whole = work.plan.output in ("phenology", "anomaly")
    if work.plan.layer or work.plan.against or whole or not 0 < fitting < len(dates):
        return {}
    first, last = dates[-fitting], dates[-1]
    when = f"on {first}" if first == last else f"{first} to {last}"
    period = first if first == last else f"{first} to {last}"
    return {f"Fewer dates for {work.plan.place.name}: {when}, {fitting} of {len(dates)}": {"period": period}}


def _smaller_area(context: "Context", work: Prepared, share: float) -> Changes:
    """Offer a box in the middle of the place; not where the user's own polygons say what is meant."""
    if context.area is not None:
        return {}
    west, south, east, north = work.box
    scale = math.sqrt(max(share, 0.0) * ROOM)
    x, y, half_x, half_y = (west + east) / 2, (south + north) / 2, (east - west) / 2, (north - south) / 2
    corners = (x - half_x * scale, y - half_y * scale, x + half_x * scale, y + half_y * scale)
    tall_km = 2 * half_y * scale * 111.32
    wide_km = 2 * half_x * scale * 111.32 * math.cos(math.radians(y))
    if min(tall_km, wide_km) < LEAST_SIDE_KM:
        return {}
    box = ", ".join(f"{edge:.5f}" for edge in corners)
    words = f"Smaller area: {wide_km:.1f} km by {tall_km:.1f} km in the middle of {work.plan.place.name}"
    return {words: {"place": box}}
