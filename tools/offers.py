"""What can be computed now towards a question: statistics of the product's own layer, or an index over scenes."""

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from knowledge.errors import ClmsError
from knowledge.schema import Bbox, Product
from tools.schema import Frozen, Recommendation

if TYPE_CHECKING:
    from tools.toolbox import Services

KEPT_S = 300
"""How long the list of collections is believed; layers are added seldom, questions come often."""
PATIENCE_S = 5.0
"""A recommendation does not wait longer than this for an archive."""
INDEX_OF = {
    "fire": "NBR",
    "cryosphere": "NDSI",
    "water": "NDWI",
    "wetlands": "NDWI",
    "vegetation": "NDVI",
    "grassland": "NDVI",
    "agriculture": "NDVI",
    "forest": "NDVI",
    "landscape features": "NDVI",
}
"""Theme of a product to the usual index of it over optical scenes, the more telling theme first."""
USUAL_PERIOD = "last 12 months"


class Offer(Frozen):
    """A computation that is possible, or what it would take."""

    text: str = ""
    question: str = ""
    """The question that starts it; empty where nothing can be started."""


def make_offer(services: "Services", product: Product, *, place: str, bbox: Bbox | None, period: str) -> Offer:
    """Say what can be computed here for a product and a place; nothing when the archive does not tell what it has."""
    if not services.stac_url:
        return Offer()
    try:
        collections = _collections(services.stac_url, int(time.monotonic() // KEPT_S))
    except ClmsError:
        return Offer()
    return _own_layer(services, product, collections, place, bbox) or _index(product, collections, place, bbox, period)


def with_offer(
    services: "Services", advice: Recommendation | None, *, place: str, bbox: Bbox | None, period: str
) -> Recommendation | None:
    """Add to a recommendation what can be computed here."""
    if advice is None:
        return None
    product = services.retriever.catalogue.get(advice.product_id)
    offer = make_offer(services, product, place=place, bbox=bbox, period=period)
    return advice.model_copy(update={"computable": offer.text, "compute_question": offer.question})


@lru_cache(maxsize=4)
def _collections(url: str, _: int) -> tuple[dict[str, Any], ...]:
    from tools.stac import StacService

    return tuple(StacService(url, timeout_s=PATIENCE_S).collections())


def _own_layer(
    services: "Services", product: Product, collections: tuple[dict[str, Any], ...], place: str, bbox: Bbox | None
) -> Offer | None:
    """Offer statistics of the product's own layer, where the archive holds it over the place."""
    from tools.layer_search import find_holdings

    reaching = [one for one in collections if bbox is None or _reaches(one, bbox)]
    held = find_holdings(services.retriever.catalogue, reaching, product=product, wanted=product.title)
    if not held:
        return None
    layers = held[0].layers
    invented = " (synthetic demo data, not measured)" if layers.synthetic else ""
    text = f"Statistics of this layer for a place, its districts or your polygons: {layers.title} is here{invented}."
    return Offer(text=text, question=f"What is the mean {product.title} of {place}?" if place and bbox else "")


def _index(
    product: Product, collections: tuple[dict[str, Any], ...], place: str, bbox: Bbox | None, period: str
) -> Offer:
    """Offer an index over scenes, which is not the product's own value, and say what the layer itself takes."""
    add = ": get it as told above, add it with `clms-assistant hub add`, then ask for its statistics"
    lead = f"Its own layer is not in the archive in use{add if product.resolution_m else ''}."
    index = next((INDEX_OF[theme] for theme in INDEX_OF if theme in product.themes), "")
    scenes = [one for one in collections if "sentinel-2" in str(one.get("id", "")).lower()]
    if not index or not scenes:
        return Offer(text=lead)
    if bbox is None:
        return Offer(text=f"{lead} Until then: {index} over Sentinel-2 scenes, once you name a place.")
    if not any(_reaches(one, bbox) for one in scenes):
        return Offer(text=f"{lead} The archive has no Sentinel-2 scenes of this place either.")
    text = (
        f"{lead} Until then: {index} over Sentinel-2 scenes of {place or 'your area'}, a sign of it, not this product."
    )
    return Offer(text=text, question=f"Show a map of {index} of {place}, {period or USUAL_PERIOD}." if place else "")


def _reaches(collection: dict[str, Any], bbox: Bbox) -> bool:
    """Tell whether a collection says that it has data where a box is; one that does not say may have."""
    boxes = ((collection.get("extent") or {}).get("spatial") or {}).get("bbox") or []
    west, south, east, north = bbox
    flat = [(box[0], box[1], box[len(box) // 2], box[len(box) // 2 + 1]) for box in boxes if len(box) in (4, 6)]
    return not flat or any(w <= east and e >= west and s <= north and n >= south for w, s, e, n in flat)
