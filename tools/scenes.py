"""Tell which scenes exist for a place and a period."""

from typing import TYPE_CHECKING

from tools.indices import get_recipe
from tools.planning import choose_collection, choose_period, choose_place, date_list, require_scenes
from tools.schema import ToolResult
from tools.stac import StacService
from tools.words import counted

if TYPE_CHECKING:
    from tools.toolbox import Context, Services

LISTED = 50


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
    scenes = require_scenes(stac, layers.collection_id, where.bbox, when)
    clouds = [scene.cloud_cover_percent for scene in scenes if scene.cloud_cover_percent is not None]
    synthetic = layers.synthetic or any(scene.synthetic for scene in scenes)
    mark = "Synthetic demo data. " if synthetic else ""
    cloud = f" Cloud cover {min(clouds):.0f} to {max(clouds):.0f} %." if clouds else ""
    return ToolResult(
        text=f"{mark}{counted(len(scenes), 'scene')} of {layers.collection_id} for {where.name}, "
        f"{when.start} to {when.end}: {date_list(scenes)}.{cloud}",
        data={
            "collection": layers.collection_id,
            "synthetic": synthetic,
            "count": len(scenes),
            "scenes": [scene.model_dump(mode="json") for scene in scenes[:LISTED]],
        },
        warnings=("Synthetic demo data: the scenes are invented.",) if synthetic else (),
    )
