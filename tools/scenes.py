"""Tell which scenes exist for a place and a period."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tools.indices import get_recipe
from tools.planning import choose_collection, choose_period, choose_place, date_list, require_scenes
from tools.scene_items import files_need, newest_versions
from tools.schema import Scene, ToolResult
from tools.stac import StacService
from tools.words import counted

if TYPE_CHECKING:
    from tools.toolbox import Context, Services

LISTED = 50
CLOUD_STEPS = (20, 40, 60, 80)
"""Per cent of cloud for which the scenes are counted."""
FILES = {
    "nothing": "Their files are open: no key is needed.",
    "S3 keys": "Their files need S3 keys of the service's own account.",
    "an account": "Their files need an account with the service.",
    "another protocol": "Their files are not reached over HTTP or S3.",
}


def list_scenes(services: "Services", context: "Context", *, place: str, period: str) -> ToolResult:
    """List the scenes of the collection that a computation would use."""
    where = choose_place(place, context.area, services.nuts)
    when = choose_period(period, where, context)
    stac = StacService(services.stac_url, timeout_s=services.timeout_s)
    layers = choose_collection(
        stac,
        stac.collections(),
        where.bbox,
        when,
        wanted=context.collection_id,
        recipe=get_recipe("ndvi"),
        place_name=where.name,
    )
    pairs = stac.items(layers.collection_id, where.bbox, start=when.start, end=when.end)
    items = newest_versions(item for _, item in pairs)
    kept = {id(item) for item in items}
    scenes = sorted((scene for scene, item in pairs if id(item) in kept), key=lambda one: (one.datetime, one.id))
    if not scenes:
        require_scenes(stac, layers.collection_id, where.bbox, when)
    synthetic = layers.synthetic or any(scene.synthetic for scene in scenes)
    mark = "Synthetic demo data. " if synthetic else ""
    repeated = len(pairs) - len(scenes)
    more = f" {repeated} left out: older versions of a scene, or given twice." if repeated else ""
    needs = [need for item in items if (need := files_need(item))]
    files = " " + FILES[max(set(needs), key=needs.count)] if needs else ""
    return ToolResult(
        text=f"{mark}{counted(len(scenes), 'scene')} of {layers.collection_id} for {where.name}, "
        f"{when.start} to {when.end}: {date_list(scenes)}.{cloud_counts(scenes)}{clearest(scenes)}{more}{files}",
        data={
            "collection": layers.collection_id,
            "synthetic": synthetic,
            "count": len(scenes),
            "files_need": sorted(set(needs)),
            "scenes": [scene.model_dump(mode="json") for scene in scenes[:LISTED]],
        },
        warnings=("Synthetic demo data: the scenes are invented.",) if synthetic else (),
    )


def cloud_counts(scenes: Sequence[Scene]) -> str:
    """Tell the range of cloud cover, and how many scenes lie within which limit; empty where nobody knows."""
    clouds = [scene.cloud_cover_percent for scene in scenes if scene.cloud_cover_percent is not None]
    if not clouds:
        return ""
    within = [(step, sum(cloud <= step for cloud in clouds)) for step in CLOUD_STEPS]
    counts = "".join(f" At most {step} %: {counted(n, 'scene')}." for step, n in within if 0 < n < len(clouds))
    low, high = f"{min(clouds):.0f}", f"{max(clouds):.0f}"
    span = low if low == high else f"{low} to {high}"
    return f" Cloud cover {span} %.{counts}"


def clearest(scenes: Sequence[Scene]) -> str:
    """Tell the latest scene with little cloud, or the clearest of all; empty where there is no choice."""
    known = [(one.cloud_cover_percent, one.datetime[:10]) for one in scenes if one.cloud_cover_percent is not None]
    if len(known) < 2:
        return ""
    clear = [(day, cloud) for cloud, day in known if cloud <= CLOUD_STEPS[0]]
    if not clear:
        cloud, day = min(known)
        return f" The clearest scene: {day} ({cloud:.0f} % cloud)."
    day, cloud = max(clear)
    return f" The latest scene with at most {CLOUD_STEPS[0]} % cloud: {day} ({cloud:.0f} %)."
