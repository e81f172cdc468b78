"""Reads the catalogue of the CLMS portal over its REST API (Plone): every dataset and product as a short text."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from knowledge.blocks import Block, clean
from knowledge.errors import SourceInvalid
from knowledge.fetch import Download
from knowledge.markup import iso_date

SECTION = "portal"
"""Section of every passage that comes from the portal."""
PAGE_SIZE = 25
MOST_PAGES = 400
FACTS = {
    "characteristics_spatial_resolution": "Spatial resolution",
    "characteristics_spatial_representation": "Spatial representation",
    "characteristics_spatial_coverage": "Spatial coverage",
    "characteristics_temporal_extent": "Temporal extent",
    "characteristics_temporal_usage": "Time range",
    "characteristics_update_frequency": "Update frequency",
    "characteristics_timeliness": "Timeliness",
    "characteristics_platform": "Platform",
    "characteristics_sensor": "Sensor",
    "temporalExtentStart": "Start",
    "temporalExtentEnd": "End",
}


class Gets(Protocol):
    """What the portal needs of a fetcher."""

    def get(self, url: str, *, accept: str = ...) -> Download | None:
        """Fetch an address."""


@dataclass(frozen=True)
class PortalItem:
    """One entry of the portal's catalogue."""

    id: str
    url: str
    """Page for people."""
    title: str
    date: str | None
    blocks: tuple[Block, ...]


def is_portal(url: str) -> bool:
    """Tell whether an address is the portal's API."""
    path = urlsplit(url).path.rstrip("/")
    return path.endswith(("/api", "/@search"))


def search_url(url: str) -> str:
    """Give the search that lists all datasets and products."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if path.endswith("/@search") and parts.query:
        return url
    path = path if path.endswith("/@search") else f"{path}/@search"
    query = urlencode(
        [("portal_type", "DataSet"), ("portal_type", "Product"), ("metadata_fields", "UID"), ("fullobjects", "1"),
         ("sort_on", "created"), ("b_size", PAGE_SIZE)]
    )  # fmt: skip
    return parts._replace(path=path, query=query).geturl()


def portal_items(url: str, fetcher: Gets) -> Iterator[PortalItem]:
    """Follow the pages of a search; each page is dropped before the next is read.

    Raises:
        SourceInvalid: an answer of another shape, pages without end, or fewer entries than the portal says it has.
        SourceGone: see `Fetcher.get`.
        SourceUnavailable: see `Fetcher.get`.
    """
    following: str | None = search_url(url)
    seen: set[str] = set()
    given, total = 0, 0
    while following:
        if following in seen or len(seen) >= MOST_PAGES:
            raise SourceInvalid("The portal's pages lead round in circles.", "Run again later; tell the portal's team.")
        seen.add(following)
        answer = _answer(fetcher.get(following, accept="application/json"))
        for item in answer["items"]:
            if (found := _item(item)) is not None:
                yield found
        given += len(answer["items"])
        total = told if isinstance(told := answer.get("items_total"), int) else given
        batching = answer.get("batching")
        following = batching.get("next") if isinstance(batching, dict) else None
    if given < max(total, 1):  # what an interrupted list leaves out has not vanished
        raise SourceInvalid(f"The portal lists {given} of {total} entries.", "Run again later.")


def _answer(body: Download | None) -> dict[str, Any]:
    hint = "Check the address: it should end in /api or /@search."
    if body is None:
        raise SourceInvalid("The portal sent nothing.", hint)
    try:
        found = json.loads(body.path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise SourceInvalid("The portal's answer is not JSON.", hint) from error
    finally:
        body.path.unlink(missing_ok=True)
    if not isinstance(found, dict) or not isinstance(found.get("items"), list):
        raise SourceInvalid("The portal's answer has no list of items.", hint)
    return found


def _item(item: Any) -> PortalItem | None:
    """Read one entry; one without address or title is nothing that could be cited."""
    if not isinstance(item, dict):
        return None
    api_url, title = _text(item.get("@id")), _text(item.get("title"))
    if not api_url.startswith(("http://", "https://")) or not title:
        return None
    url = api_url.replace("/api/", "/", 1)
    date = next(
        (iso_date(_text(item.get(name))) for name in ("modified", "effective", "created") if item.get(name)), None
    )
    facts = [f"{label}: {value}" for name, label in FACTS.items() if (value := _text(item.get(name)))]
    lines = [line for line in (_text(item.get("description")), *facts) if line] or [title]
    blocks = (Block("heading", SECTION, 1), *(Block("text", line) for line in lines))
    return PortalItem(_text(item.get("UID")) or url, url, title, date, blocks)


def _text(value: Any) -> str:
    """Give the words of a field: plain, HTML inside `data`, a token's title, or a list of these."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list):
        return ", ".join(text for one in value[:50] if (text := _text(one)))
    if isinstance(value, dict) and isinstance(value.get("data"), str):
        from knowledge.markup import read_html

        return " ".join(block.text for block in read_html(f"<body>{value['data']}</body>").blocks)
    return _text(value.get("title")) if isinstance(value, dict) else ""
