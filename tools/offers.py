"""What can be computed now towards a question: statistics of the product's own layer, or an index over scenes."""

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from knowledge.errors import ClmsError, ProductNotFound
from knowledge.schema import Bbox, Product
from tools.errors import ToolInputError
from tools.schema import Frozen, Recommendation

if TYPE_CHECKING:
    from tools.layer_search import Holding
    from tools.stac import StacService
    from tools.toolbox import Services

KEPT_S = 300
"""How long is believed what an archive holds; layers are added seldom, questions come often."""
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
        archive = _Archive(services.stac_url, bbox)
        return _own_layer(services, product, archive, place) or _index(product, archive, place, period)
    except ClmsError:
        return Offer()


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
def _collections(url: str, when: int) -> tuple[dict[str, Any], ...]:
    return tuple(_service(url, when).collections())


@lru_cache(maxsize=4)
def _service(url: str, _: int) -> "StacService":
    from tools.stac import StacService

    return StacService(url, timeout_s=PATIENCE_S)


@lru_cache(maxsize=1024)
def _has(url: str, collection_id: str, bbox: Bbox, when: int) -> bool:
    return _service(url, when).covers(collection_id, bbox)


class _Archive:
    """The collections of an archive, and which of them have anything at the place."""

    def __init__(self, url: str, bbox: Bbox | None) -> None:
        self.url = url
        self.bbox = bbox
        self._when = int(time.monotonic() // KEPT_S)
        self.collections = _collections(url, self._when)

    def has(self, collection_id: str) -> bool:
        """Tell whether a collection has an item at the place: its own box also spans what lies between its items."""
        return self.bbox is None or _has(self.url, collection_id, self.bbox, self._when)


def _own_layer(services: "Services", product: Product, archive: _Archive, place: str) -> Offer | None:
    """Offer statistics of the product's own layer, where the archive holds it over the place."""
    from tools.layer_search import find_holdings

    held = find_holdings(services.retriever.catalogue, archive.collections, product=product, wanted=product.title)
    layers = next((one.layers for one in held if archive.has(one.layers.collection_id)), None)
    if layers is None:
        return None
    if refused := _refused(services, product, held, archive):
        return Offer(text=f"{layers.title} is here, but it is not computed: {refused}")
    invented = " (synthetic demo data, not measured)" if layers.synthetic else ""
    text = f"Statistics of this layer for a place, its districts or your polygons: {layers.title} is here{invented}."
    return Offer(text=text, question=f"What is the mean {product.title} of {place}?" if place and archive.bbox else "")


def _refused(services: "Services", product: Product, held: "list[Holding]", archive: _Archive) -> str:
    """Say why a computation of the layer would be refused; empty where it would not, or nobody knows a place."""
    from tools.layer_plan import check_readable
    from tools.layer_search import find_releases
    from tools.stac import StacService

    if archive.bbox is None:
        return ""
    try:
        releases = find_releases(StacService(archive.url, timeout_s=PATIENCE_S), held, archive.bbox)
        check_readable(services, tuple(releases), product)
    except (ToolInputError, ProductNotFound) as error:
        return error.message
    return ""


_MISSING = "Its own layer is not in the archive in use."
_MISSING_HERE = "Its own layer is not in the archive in use for this place."
_GET_IT = "Get it as told above, add it with `clms-assistant hub add`, then ask for its statistics."


def _index(product: Product, archive: _Archive, place: str, period: str) -> Offer:
    """Offer an index over scenes, which is not the product's own value, and say what the layer itself takes."""
    lead = _MISSING_HERE if archive.bbox else _MISSING
    lead = f"{lead} {_GET_IT}" if product.resolution_m else lead
    index = next((INDEX_OF[theme] for theme in INDEX_OF if theme in product.themes), "")
    ids = [str(one.get("id", "")) for one in archive.collections]
    scenes = [one for one in ids if "sentinel-2" in one.lower()]
    if not index or not scenes:
        return Offer(text=lead)
    if archive.bbox is None:
        return Offer(text=f"{lead} Until then: {index} over Sentinel-2 scenes, once you name a place.")
    if not any(map(archive.has, scenes)):
        return Offer(text=f"{lead} The archive has no Sentinel-2 scenes of this place either.")
    text = (
        f"{lead} Until then: {index} over Sentinel-2 scenes of {place or 'your area'}, a sign of it, not this product."
    )
    return Offer(text=text, question=f"Show a map of {index} of {place}, {period or USUAL_PERIOD}." if place else "")
