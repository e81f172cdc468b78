"""Search a STAC service through pystac-client; everything it says is checked before it is believed."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from tools.errors import BackendUnavailable, ToolInputError
from tools.layers import is_synthetic, is_vector
from tools.schema import Bbox, Period, Scene

USER_AGENT = "clms-assistant/0.1"
ATTEMPTS = 2
MAX_SCENES = 1000
NEAR_DAYS = (45, 200, 1500, 6000)
"""How far from a period its nearest scenes are looked for, step by step."""
MAX_POLYGON_BYTES = 20_000_000
TRY_LATER = "Check the address in the settings (CLMS_STAC_URL), or try again in a while."


class StacService:
    """One STAC API."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self.url = url
        self.timeout_s = timeout_s
        self._client: Any = None

    def collections(self) -> list[dict[str, Any]]:
        """Return all collections as plain JSON, in the service's order."""
        client = self._open()
        with _failures_told(self.url):
            return [collection.to_dict() for collection in client.get_collections()]

    def scenes(self, collection_id: str, bbox: Bbox, start: date, end: date, *, limit: int = MAX_SCENES) -> list[Scene]:
        """Return the scenes of a collection that touch a box within a period, both ends included, in date order."""
        items = self._items(collection_id, bbox, limit, datetime=_span(start, end))
        return sorted(
            (self._scene(item, collection_id) for item in items), key=lambda scene: (scene.datetime, scene.id)
        )

    def collection(self, collection_id: str) -> dict[str, Any]:
        """Return one collection as plain JSON.

        Raises:
            ToolInputError: the service has no collection of this id.
        """
        found = {str(one.get("id")): one for one in self.collections()}
        if collection_id not in found:
            near = get_close_matches(collection_id, list(found), n=3, cutoff=0.5)
            hint = f"Did you mean {' or '.join(near)}?" if near else "Look at its list of collections."
            raise ToolInputError(f"The STAC service at {self.url} has no collection {collection_id!r}.", hint=hint)
        return found[collection_id]

    def items(
        self,
        collection_id: str,
        bbox: Bbox,
        *,
        start: date | None = None,
        end: date | None = None,
        limit: int = MAX_SCENES,
    ) -> list[tuple[Scene, dict[str, Any]]]:
        """Return the scenes of a collection that touch a box, each with its item as the service gives it.

        Both days are included; without them, whenever.
        """
        span = {} if start is None or end is None else {"datetime": _span(start, end)}
        return [(self._scene(item, collection_id), item) for item in self._items(collection_id, bbox, limit, **span)]

    def covers(self, collection_id: str, bbox: Bbox) -> bool:
        """Tell whether a collection has any scene that touches a box, whenever."""
        return bool(self._items(collection_id, bbox, 1))

    def nearest_dates(
        self, collection_id: str, bbox: Bbox, period: Period, *, max_cloud_percent: float = 100.0
    ) -> list[str]:
        """Return the last date with scenes before a period and the first one after it, as far as they exist.

        Args:
            collection_id: Collection.
            bbox: Place.
            period: Where nothing was found.
            max_cloud_percent: Scenes with more cloud do not count.
        """
        day = timedelta(days=1)

        def usable(start: date, end: date) -> list[Scene]:
            found = self.scenes(collection_id, bbox, start, end)
            return [scene for scene in found if (scene.cloud_cover_percent or 0.0) <= max_cloud_percent]

        found = []
        for days in NEAR_DAYS:
            before = usable(period.start - days * day, period.start - day)
            if before:
                found.append(_date_and_cloud(before[-1]))
                break
        for days in NEAR_DAYS:
            after = usable(period.end + day, period.end + days * day)
            if after:
                found.append(_date_and_cloud(after[0]))
                break
        return found

    def polygons(self, collection_id: str, bbox: Bbox) -> list[dict[str, Any]]:
        """Return the GeoJSON feature collections of a vector collection that touch a box."""
        links = [asset_url(item, self.url) for item in self._items(collection_id, bbox, 50)]
        return [self._fetch(link) for link in links]

    def _items(self, collection_id: str, bbox: Bbox, limit: int, **more: Any) -> list[dict[str, Any]]:
        client = self._open()
        with _failures_told(self.url):
            search = client.search(
                collections=[collection_id], bbox=list(bbox), max_items=limit, limit=min(limit, 250), **more
            )
            return list(search.items_as_dicts())

    def _scene(self, item: dict[str, Any], collection_id: str) -> Scene:
        with _failures_told(self.url):
            properties = item["properties"]
            when = properties.get("datetime") or properties["start_datetime"]
            datetime.fromisoformat(when)
            west, south, east, north = _flat_box([float(edge) for edge in item["bbox"]])
            cloud = properties.get("eo:cloud_cover")
            return Scene(
                id=str(item["id"]),
                collection_id=collection_id,
                datetime=when,
                cloud_cover_percent=None if cloud is None else float(cloud),
                bbox=(west, south, east, north),
                synthetic=is_synthetic(item),
                version=_version(item),
            )

    def _fetch(self, link: str) -> dict[str, Any]:
        import requests

        with _failures_told(self.url):
            answer = requests.get(link, timeout=self.timeout_s, headers={"User-Agent": USER_AGENT})
            answer.raise_for_status()
            if len(answer.content) > MAX_POLYGON_BYTES:
                raise ValueError("too many polygons")
            found = answer.json()
            if not isinstance(found, dict) or not isinstance(found.get("features"), list):
                raise ValueError("not a feature collection")
            return found

    def _open(self) -> Any:
        if self._client is None:
            from pystac_client import Client

            from tools.stac_wire import one_host_wire

            with _failures_told(self.url):
                wire = one_host_wire(self.url, user_agent=USER_AGENT, timeout_s=self.timeout_s, attempts=ATTEMPTS)
                self._client = Client.open(self.url, stac_io=wire)
        return self._client


def raster_collections(collections: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the collections that hold pixels, real ones before invented ones."""
    return sorted((one for one in collections if not is_vector(one)), key=is_synthetic)


def asset_url(item: dict[str, Any], service_url: str) -> str:
    """Return the link to an item's polygons, which must lie on the STAC service itself: hosts come from settings."""
    assets = item.get("assets")
    data = assets.get("data") if isinstance(assets, dict) else None
    link = str(data.get("href", "")) if isinstance(data, dict) else ""
    if urlsplit(link)[:2] != urlsplit(service_url)[:2]:
        raise BackendUnavailable(f"The STAC service at {service_url} points to polygons on another host.", TRY_LATER)
    return link


def _date_and_cloud(scene: Scene) -> str:
    cloud = scene.cloud_cover_percent
    return scene.datetime[:10] + ("" if cloud is None else f" ({cloud:.0f} % cloud)")


def _span(start: date, end: date) -> str:
    return f"{start.isoformat()}T00:00:00Z/{end.isoformat()}T23:59:59Z"


def _version(item: dict[str, Any]) -> str:
    """Give what changes when an item does: when it was updated, else a hash of the paths of its files."""
    if updated := item["properties"].get("updated"):
        return str(updated)
    assets = item.get("assets") or {}
    # The paths alone: hosts, ports and signatures differ from one start to the next.
    paths = sorted(urlsplit(str(asset.get("href", ""))).path for asset in assets.values())
    return hashlib.sha256("\n".join(paths).encode()).hexdigest()[:16]


def _flat_box(edges: list[float]) -> list[float]:
    """Drop the heights of a 3-D box, and refuse a box that is none."""
    flat = [edges[0], edges[1], edges[3], edges[4]] if len(edges) == 6 else edges
    if len(flat) != 4 or not all(map(math.isfinite, flat)) or flat[1] > flat[3]:
        raise ValueError("not a bounding box")
    return flat


@contextmanager
def _failures_told(url: str) -> Iterator[None]:
    """Turn what the client and the network raise into the project's failures."""
    import requests
    from pystac import STACError
    from pystac_client.errors import ClientTypeError
    from pystac_client.exceptions import APIError

    try:
        yield
    except requests.Timeout as error:
        raise BackendUnavailable(f"The STAC service at {url} did not answer in time.", TRY_LATER) from error
    except APIError as error:
        if isinstance(error.__context__, BackendUnavailable):  # told by the wire already
            raise error.__context__ from error
        status = getattr(error, "status_code", None)  # Absent when there was no answer at all.
        detail = f"answered HTTP {status}" if status else "cannot be reached"
        raise BackendUnavailable(f"The STAC service at {url} {detail}.", TRY_LATER) from error
    except requests.JSONDecodeError as error:
        raise BackendUnavailable(f"The STAC service at {url} answers nonsense.", TRY_LATER) from error
    except requests.RequestException as error:
        raise BackendUnavailable(f"The STAC service at {url} cannot be reached.", TRY_LATER) from error
    except (STACError, ClientTypeError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise BackendUnavailable(f"The STAC service at {url} answers nonsense.", TRY_LATER) from error
