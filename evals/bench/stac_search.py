"""Times searches of the hub's STAC API over generated items.

`python -m evals.bench.stac_search [--items 1000000]` makes an archive in a temporary folder, serves it on loopback and
sends each kind of search with other values each time. The time is that of the whole HTTP request.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tools.hub.archive import Archive
from tools.hub.server import running_hub

Json = dict[str, Any]
Parameters = dict[str, str]
Times = tuple[float, float]
"""Milliseconds: elapsed, and of the processor in this process, which client and server share."""
COLLECTIONS = [f"bench-{number}" for number in range(5)]
FIRST, DAYS = datetime(2016, 1, 1, tzinfo=UTC), 3650
SIZE_DEG = 0.5
REQUESTS = 60


def main() -> None:
    """Make the items, run all kinds of search, print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, help="keep the archive there, and use it again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        if not (folder / "archive.sqlite").exists():
            begun = time.perf_counter()
            Archive(folder).put([{"id": name, "title": name} for name in COLLECTIONS], made_items(given.items))
            print(f"{given.items:,} items made in {time.perf_counter() - begun:.0f} s")
        print(f"{(folder / 'archive.sqlite').stat().st_size / 1e6:.0f} MB")
        measure(folder)


def measure(folder: Path) -> None:
    """Run all kinds of search over an archive and print a table."""
    with running_hub(folder) as url, httpx.Client(timeout=120) as client:
        print("| search | median, ms | p95, ms | processor: median, ms | p95, ms | items on the first page, median |")
        print("| --- | --- | --- | --- | --- | --- |")
        for name, make in SEARCHES.items():
            report(name, client, f"{url}/stac/search", make)
        report_pages(client, f"{url}/stac/search")


def made_items(count: int) -> Iterator[Json]:
    """Give items spread over Europe and ten years, with a cloud cover each."""
    rng = random.Random(1)
    for number in range(count):
        west, south = rng.uniform(-25, 45), rng.uniform(34, 71)
        east, north = west + SIZE_DEG, south + SIZE_DEG
        moment = FIRST + timedelta(days=rng.uniform(0, DAYS))
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        yield {
            "type": "Feature", "stac_version": "1.0.0", "id": f"item-{number}", "links": [],
            "collection": COLLECTIONS[number % len(COLLECTIONS)], "bbox": [west, south, east, north],
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {"datetime": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "eo:cloud_cover": round(rng.uniform(0, 100), 2)},
            "assets": {name: {"href": f"{number}/{name}.tif", "type": "image/tiff"} for name in ("B04", "B08", "SCL")},
        }  # fmt: skip


def a_box(rng: random.Random, size: float) -> str:
    """Give a square somewhere in Europe."""
    west, south = rng.uniform(-20, 40), rng.uniform(36, 68)
    return f"{west:.3f},{south:.3f},{west + size:.3f},{south + size:.3f}"


def a_period(rng: random.Random, length: int) -> str:
    """Give a period of so many days."""
    start = FIRST + timedelta(days=rng.uniform(0, DAYS - length))
    return f"{start:%Y-%m-%dT00:00:00Z}/{start + timedelta(days=length):%Y-%m-%dT00:00:00Z}"


def a_collection(rng: random.Random) -> str:
    """Give one of the collections."""
    return rng.choice(COLLECTIONS)


SEARCHES: dict[str, Callable[[random.Random], Parameters]] = {
    "the newest 10": lambda _: {"limit": "10"},
    "small box": lambda rng: {"bbox": a_box(rng, 0.1), "limit": "10"},
    "large box": lambda rng: {"bbox": a_box(rng, 15), "limit": "10"},
    "box, a month, one collection": lambda rng: {
        "bbox": a_box(rng, 2), "datetime": a_period(rng, 30), "collections": a_collection(rng), "limit": "100",
    },
    "a month, one collection": lambda rng: {
        "datetime": a_period(rng, 30), "collections": a_collection(rng), "limit": "100",
    },
    "CQL2: cloud below 10, one collection": lambda rng: {
        "filter": '"eo:cloud_cover" < 10', "collections": a_collection(rng), "limit": "10",
    },
    "CQL2: cloud below 0.1, one collection": lambda rng: {
        "filter": '"eo:cloud_cover" < 0.1', "collections": a_collection(rng), "limit": "10",
    },
    "CQL2: cloud below 20, box, a year": lambda rng: {
        "filter": '"eo:cloud_cover" < 20', "bbox": a_box(rng, 1), "datetime": a_period(rng, 365), "limit": "10",
    },
    "least cloud first, one collection": lambda rng: {
        "sortby": "+properties.eo:cloud_cover", "collections": a_collection(rng), "limit": "10",
    },
    "least cloud first, box": lambda rng: {
        "sortby": "+properties.eo:cloud_cover", "bbox": a_box(rng, 1), "limit": "10",
    },
    "by id": lambda rng: {"ids": f"item-{rng.randrange(1000)}", "limit": "10"},
}  # fmt: skip


def report(name: str, client: httpx.Client, url: str, make: Callable[[random.Random], Parameters]) -> None:
    """Send one kind of search many times and print a row."""
    rng = random.Random(2)
    times: list[Times] = []
    found = []
    for _ in range(REQUESTS + 1):
        taken, page = timed(client, url, make(rng))
        times.append(taken)
        found.append(len(page["features"]))
    row(name, times[1:], statistics.median(found))


def report_pages(client: httpx.Client, url: str) -> None:
    """Follow the pages of one collection and print the time of a page."""
    times: list[Times] = []
    _, page = timed(client, url, {"collections": COLLECTIONS[0], "limit": "100"})
    while len(times) < REQUESTS:
        following = [link["href"] for link in page["links"] if link["rel"] == "next"]
        if not following:
            break
        taken, page = timed(client, following[0], None)
        times.append(taken)
    if times:
        row("pages of 100, one collection", times, 100)


def timed(client: httpx.Client, url: str, parameters: Parameters | None) -> tuple[Times, Json]:
    """Send a request; give its milliseconds, elapsed and of the processor, and its body."""
    begun, worked = time.perf_counter(), time.process_time()
    reply = client.get(url, params=parameters)
    taken = (1000 * (time.perf_counter() - begun), 1000 * (time.process_time() - worked))
    reply.raise_for_status()
    page: Json = json.loads(reply.content)
    return taken, page


def row(name: str, times: list[Times], found: float) -> None:
    """Print a row of the table."""
    told = []
    for one in zip(*times, strict=True):
        told += [statistics.median(one), sorted(one)[int(len(one) * 0.95) - 1]]
    print(f"| {name} | {' | '.join(f'{value:.1f}' for value in told)} | {found:.0f} |", flush=True)


if __name__ == "__main__":
    main()
