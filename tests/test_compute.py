"""From the back-end's tables to honest rows, and from broken services to plain failures."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.servers.dead import dead_url
from tools.backends import OpenEOBackend
from tools.errors import BackendUnavailable, JobFailed
from tools.indices import get_recipe
from tools.layers import Layer, Layers
from tools.planning import estimate_cost
from tools.schema import Scene
from tools.stac import StacService
from tools.zonal import ZonalJson, curve, rows_from_json, summary

BOX = (-1.7, 48.1, -1.6, 48.2)


@contextmanager
def lying_server(body: bytes, status: int = 200) -> Iterator[str]:
    """Serve the same body for everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the standard library's name
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  # the standard library's name

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_zero_is_a_value_and_nothing_is_none() -> None:
    zero, nothing = rows_from_json({"": [[0.0, 1.0], [None, 0.0]]}, {"": [[4, 4], [0, 9]]}, ["a", "b"])
    assert (zero.outcome, zero.value, zero.valid_share) == ("ok", 0.0, 1.0)
    assert (nothing.outcome, nothing.value, nothing.total_pixels) == ("no_data", None, 9)


def test_dates_are_put_in_order() -> None:
    mean = {"2025-07-01T00:00:00Z": [[0.5, 1]], "2025-06-01T00:00:00Z": [[0.4, 1]]}
    count = {"2025-06-01T00:00:00Z": [[3, 4]], "2025-07-01T00:00:00Z": [[2, 4]]}
    rows = rows_from_json(mean, count, ["a"])
    assert [(row.date, row.value) for row in rows] == [("2025-06-01", 0.4), ("2025-07-01", 0.5)]
    told = curve(rows)
    assert (told["first"]["value"], told["peak"]["date"]) == (0.4, "2025-07-01")


@pytest.mark.parametrize(
    ("mean", "count"),
    [
        ({"": [[0.5, 1]]}, {"": [[float("nan"), 4]] * 2}),
        ({"": [["high", 1]]}, {"": [[4, 4]]}),
        ({"": [[float("nan"), 1]]}, {"": [[4, 4]]}),
        ({"": [[0.5, 1]]}, {"": [[5, 4]]}),
        ({"": [[0.5, 1]]}, {"": [[3.5, 4]]}),
        ({"": [[0.5, 1]]}, {"2025-01-01": [[4, 4]]}),
        ({"": 3}, {"": [[4, 4]]}),
    ],
)
def test_lying_tables_are_refused(mean: ZonalJson, count: ZonalJson) -> None:
    with pytest.raises(JobFailed):
        rows_from_json(mean, count, ["a"])


def test_the_ranking_counts_each_polygon_once_and_weighs_pixels_apart() -> None:
    rows = rows_from_json([[0.2, 1], [0.8, 1], [None, 0]], [[10, 10], [30, 30], [0, 5]], ["a", "b", "c"])
    told = summary(rows)
    assert told["highest"][0]["label"] == "b"
    assert told["mean_of_means"] == pytest.approx(0.5)
    assert told["mean_weighted_by_valid_pixels"] == pytest.approx(0.65)
    assert told["polygons_no_data"] == 1


def test_too_large_comes_with_what_would_fit() -> None:
    bands = (Layer(name="B04", common_name="red", gsd_m=10), Layer(name="B08", common_name="nir", gsd_m=10))
    layers = Layers(collection_id="s2", bands=bands)
    scenes = [
        Scene(id=str(day), collection_id="s2", datetime=f"2025-06-{day:02}T10:00:00Z", bbox=BOX) for day in (1, 11, 21)
    ]
    estimate = estimate_cost(get_recipe("ndvi"), layers, scenes, BOX, max_pixels=3_500_000)
    assert not estimate.allowed
    assert "2025-06-11 to 2025-06-21" in estimate.reason
    assert estimate_cost(get_recipe("ndvi"), layers, scenes, BOX, max_pixels=10**9).allowed


@pytest.mark.parametrize("body", [b"not json", b"[]", b"{}", json.dumps({"type": "Catalog", "links": 3}).encode()])
def test_a_stac_service_that_lies_is_named(body: bytes) -> None:
    with lying_server(body) as url, pytest.raises(BackendUnavailable, match="STAC service"):
        StacService(url, timeout_s=2).scenes("s2", BOX, date(2025, 1, 1), date(2025, 2, 1))


@pytest.mark.parametrize(("body", "status"), [(b"not json", 200), (b"[]", 200), (b"oops", 500)])
def test_an_openeo_service_that_lies_is_named(body: bytes, status: int) -> None:
    with lying_server(body, status) as url, pytest.raises(BackendUnavailable, match="openEO service"):
        OpenEOBackend(url, timeout_s=2).run_table({})


def test_dead_services_are_named() -> None:
    with pytest.raises(BackendUnavailable, match="cannot be reached"):
        StacService(dead_url(), timeout_s=1).collections()
    with pytest.raises(BackendUnavailable, match="cannot be reached"):
        OpenEOBackend(dead_url(), timeout_s=1).run_table({})
