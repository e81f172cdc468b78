"""What goes wrong at an openEO service is told apart, each with a next step; large runs are batch jobs."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from assistant.access import Access, QuotaExceeded, Quotas, User, acting_as
from assistant.settings import Settings
from knowledge.errors import ClmsError
from tests.servers.openeo_cdse import DAYS, OPENEO_ID, Cdse, bounds, cdse_server, make_archive
from tests.test_compute import lying_server
from tools.backend_failures import check_root, short
from tools.backend_jobs import Batch, current_run, jobs_of_run
from tools.backend_login import ClientCredentials, Logins
from tools.backend_mapping import load_mapping
from tools.backends import OpenEOBackend
from tools.errors import BackendUnavailable, JobFailed, JobWaiting, LoginNeeded, NoScenes, QuotaExhausted, TooLarge

BATCH = Batch(poll_s=0.02)


@pytest.fixture(scope="module")
def hub_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("failures")
    make_archive(root)
    return root


@pytest.fixture
def cdse(hub_dir: Path) -> Iterator[Cdse]:
    with cdse_server(hub_dir) as state:
        yield state


@pytest.fixture
def backend(cdse: Cdse) -> Callable[..., OpenEOBackend]:
    credentials = ClientCredentials(cdse.client[0], SecretStr(cdse.client[1]))
    logins = Logins(credentials=credentials)

    def make(session_id: str = "one", **more: Any) -> OpenEOBackend:
        mapping = load_mapping("cdse")
        access = logins.of_session(session_id, cdse.url, mapping)
        return OpenEOBackend(cdse.url, **{"timeout_s": 20.0, "mapping": mapping, "access": access, **more})

    return make


def graph(output: str = "JSON") -> dict[str, Any]:
    """Mean of the red band over all scenes, or its map on the first day."""
    west, south, east, north = bounds()
    load = {
        "process_id": "load_collection",
        "arguments": {
            "id": OPENEO_ID,
            "bands": ["B04"],
            "spatial_extent": {"west": west, "south": south, "east": east, "north": north},
            "temporal_extent": [str(DAYS[0]), "2025-07-01"],
        },
    }
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    mean = {"process_id": "mean", "arguments": {"data": {"from_parameter": "data"}}, "result": True}
    zones = {
        "process_id": "aggregate_spatial",
        "arguments": {
            "data": {"from_node": "load"},
            "geometries": {"type": "Polygon", "coordinates": [ring]},
            "reducer": {"process_graph": {"mean": mean}},
        },
    }
    flat = {
        "process_id": "reduce_dimension",
        "arguments": {"data": {"from_node": "load"}, "dimension": "t", "reducer": {"process_graph": {"mean": mean}}},
    }
    step = zones if output == "JSON" else flat
    save = {
        "process_id": "save_result",
        "arguments": {"data": {"from_node": "step"}, "format": output},
        "result": True,
    }
    return {"load": load, "step": step, "save": save}


@pytest.mark.parametrize(
    ("status", "code", "kind", "sentence", "hint"),
    [
        (402, "PaymentRequired", QuotaExhausted, "no credits left", "dataspace.copernicus.eu"),
        (400, "InsufficientCredits", QuotaExhausted, "no credits left", "embedded hub"),
        (429, "TooManyRequests", QuotaExhausted, "takes no more requests for now", "12 synchronous requests a minute"),
        (403, "PermissionsInsufficient", BackendUnavailable, "does not allow this account", "terms"),
        (503, "ServiceUnavailable", BackendUnavailable, "is busy: Nothing to say", "again in a while"),
        (500, "Internal", JobFailed, "could not compute this: Nothing to say", "smaller"),
        (400, "NoDataAvailable", NoScenes, "no data for this place", "longer period"),
    ],
)
def test_a_refusal_says_what_it_means(
    cdse: Cdse,
    backend: Callable[..., OpenEOBackend],
    status: int,
    code: str,
    kind: type[ClmsError],
    sentence: str,
    hint: str,
) -> None:
    for batch in (None, BATCH):
        cdse.refuse = [(status, code, "Nothing to say")]
        with pytest.raises(kind, match=sentence) as caught:
            backend(batch=batch).run_table(graph())
        assert hint in caught.value.hint
    assert backend().run_table(graph())


def test_a_slow_service_is_not_a_dead_one(cdse: Cdse, backend: Callable[..., OpenEOBackend]) -> None:
    cdse.slow_s = 1.5
    with pytest.raises(BackendUnavailable, match="did not answer in time") as caught:
        backend(timeout_s=0.3).run_table(graph())
    assert "smaller area" in caught.value.hint


def test_a_service_that_ends_in_the_middle_cannot_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(BackendUnavailable, match="cannot be reached"):
        OpenEOBackend(url, timeout_s=1).collection_ids()


@pytest.mark.parametrize("body", [b'{"collections": 3}', b"[1, 2]", b"<html>", b'{"api_version": 1.2}'])
def test_metadata_of_the_wrong_kind_are_nonsense(body: bytes) -> None:
    with lying_server(body) as url, pytest.raises(BackendUnavailable, match="answers nonsense"):
        OpenEOBackend(url, timeout_s=2).collection("SENTINEL2_L2A")


def test_a_result_of_the_wrong_kind_is_refused(backend: Callable[..., OpenEOBackend], tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="no GeoTIFF"):
        backend().run_raster(graph("JSON"), tmp_path / "map.tif")
    with pytest.raises(BackendUnavailable, match="answers nonsense"):
        backend().run_table(graph("GTiff"))


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://openeo.example.org", "https://elsewhere.example.org/openeo/1.2"),
        ("https://openeo.example.org", "http://openeo.example.org/openeo/1.2"),
        ("openeo.example.org", "http://openeo.example.org"),
    ],
)
def test_a_service_that_leads_elsewhere_gets_no_login(url: str, found: str) -> None:
    check_root(url, "https://openeo.example.org/openeo/1.2")
    with pytest.raises(BackendUnavailable, match="not the host of the settings"):
        check_root(url, found)


def test_what_looks_like_a_token_is_not_repeated() -> None:
    token = "eyJhbGciOiJSUzI1NiIsInR5cCI.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4"
    assert token not in short(f"No such user {token}")
    assert "abc" not in short("header was Bearer oidc/CDSE/abc")
    assert short("Band B04 is not in SENTINEL2_L2A.") == "Band B04 is not in SENTINEL2_L2A."


def test_a_token_that_expires_in_the_middle_is_renewed(cdse: Cdse, backend: Callable[..., OpenEOBackend]) -> None:
    one = backend()
    before = one.run_table(graph())
    cdse.given.clear()
    assert one.run_table(graph()) == before


def test_a_batch_job_gives_what_a_synchronous_request_gives(
    backend: Callable[..., OpenEOBackend], tmp_path: Path
) -> None:
    told: list[str] = []
    batch = Batch(poll_s=0.02, on_progress=told.append, notes=tmp_path / "notes")
    assert backend(batch=batch).run_table(graph()) == backend().run_table(graph())
    assert told
    assert all(line.startswith("Batch job j-") for line in told)
    backend(batch=batch).run_raster(graph("GTiff"), tmp_path / "map.tif")
    assert list((tmp_path / "notes").glob("*.txt")) == []


def test_a_job_in_the_queue_is_left_and_found_again(
    cdse: Cdse, backend: Callable[..., OpenEOBackend], tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    cdse.hold_jobs = True
    with pytest.raises(JobWaiting, match="still queued") as caught:
        backend(batch=Batch(poll_s=0.02, patience_s=0.1, notes=notes)).run_table(graph())
    assert "found again" in caught.value.hint
    cdse.hold_jobs = False
    told: list[str] = []
    again = Batch(poll_s=0.02, notes=notes, on_progress=told.append)
    assert backend(batch=again).run_table(graph()) == backend().run_table(graph())
    assert "Found the batch job" in told[0]
    assert len(cdse.owners) == 1


def test_another_account_does_not_get_a_job_that_is_not_its_own(
    cdse: Cdse, backend: Callable[..., OpenEOBackend], tmp_path: Path
) -> None:
    batch = Batch(poll_s=0.02, patience_s=0.1, notes=tmp_path / "notes")
    cdse.hold_jobs = True
    with pytest.raises(JobWaiting):
        backend(batch=batch).run_table(graph())
    cdse.owners = dict.fromkeys(cdse.owners, "somebody else")
    cdse.hold_jobs = False
    assert backend(batch=Batch(poll_s=0.02, notes=batch.notes)).run_table(graph())
    assert len(cdse.owners) == 2


def test_two_runs_of_one_graph_at_the_same_time_have_a_job_each(
    cdse: Cdse, backend: Callable[..., OpenEOBackend], tmp_path: Path
) -> None:
    cdse.hold_jobs = True
    told: list[str] = []

    def ask_meanwhile(message: str) -> None:
        told.append(message)
        if len(told) == 1:
            other = Batch(poll_s=0.02, notes=tmp_path, on_progress=told.append, cancelled=lambda: len(told) > 1)
            with pytest.raises(JobFailed, match="was stopped"):
                backend("two", batch=other).run_table(graph())

    with pytest.raises(JobWaiting):
        backend(batch=Batch(poll_s=0.02, patience_s=0.1, notes=tmp_path, on_progress=ask_meanwhile)).run_table(graph())
    assert not any("again" in line for line in told)
    assert len(cdse.owners) == 2
    (note,) = tmp_path.glob("*.txt")  # the stopped one is forgotten, the other's is kept
    assert note.read_text().split()[0] in cdse.owners
    stopped = [path for method, path, _ in cdse.requests if method == "DELETE"]
    assert stopped
    assert f"jobs/{note.read_text()}/results" not in stopped


def test_the_job_of_a_killed_process_is_found_though_it_held_the_lock(
    cdse: Cdse, backend: Callable[..., OpenEOBackend], tmp_path: Path
) -> None:
    cdse.hold_jobs = True
    with pytest.raises(JobWaiting):
        backend(batch=Batch(poll_s=0.02, patience_s=0.1, notes=tmp_path)).run_table(graph())
    (lock,) = tmp_path.glob("*.lock")
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN EXCLUSIVE')"
    holding = [sys.executable, "-c", f"{code}; print('held', flush=True); sys.stdin.read()", str(lock)]
    with subprocess.Popen(holding, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(JobWaiting):
            backend(batch=Batch(poll_s=0.02, patience_s=0.1, notes=tmp_path)).run_table(graph())
        assert len(cdse.owners) == 2
        child.kill()
    cdse.hold_jobs = False
    assert backend(batch=Batch(poll_s=0.02, notes=tmp_path)).run_table(graph())
    assert len(cdse.owners) == 2


def test_a_finished_job_is_kept_until_its_whole_run_has_ended(
    cdse: Cdse, backend: Callable[..., OpenEOBackend], tmp_path: Path
) -> None:
    folder = tmp_path / "run.jobs"

    def run(*, killed: bool) -> None:
        with jobs_of_run(folder):
            batch = Batch(poll_s=0.02, notes=folder, of_run=current_run(), delete=True)
            backend(batch=batch).run_table(graph())
            if killed:
                raise RuntimeError("killed before the next graph")

    with pytest.raises(RuntimeError, match="killed"):
        run(killed=True)
    run(killed=False)
    (job_id,) = cdse.owners  # not computed twice
    assert ("DELETE", f"jobs/{job_id}") in [(method, path) for method, path, _ in cdse.requests]
    assert not folder.exists()


def test_a_stopped_run_stops_its_job(cdse: Cdse, backend: Callable[..., OpenEOBackend], tmp_path: Path) -> None:
    cdse.hold_jobs = True
    batch = Batch(poll_s=5.0, cancelled=lambda: bool(cdse.owners), notes=tmp_path / "notes")
    with pytest.raises(JobFailed, match="was stopped"):
        backend(batch=batch).run_table(graph())
    (job_id,) = cdse.owners
    assert ("DELETE", f"jobs/{job_id}/results") in [(method, path) for method, path, _ in cdse.requests]
    assert list((tmp_path / "notes").glob("*.txt")) == []


def test_a_failed_job_tells_its_last_error(cdse: Cdse, backend: Callable[..., OpenEOBackend]) -> None:
    cdse.job_error = "Exception: out of memory in stage 12"
    with pytest.raises(JobFailed, match="failed: Exception: out of memory in stage 12"):
        backend(batch=BATCH).run_table(graph())


def test_a_result_that_is_too_large_is_not_taken(backend: Callable[..., OpenEOBackend], tmp_path: Path) -> None:
    for batch in (None, BATCH):
        with pytest.raises(TooLarge, match="larger than 0 MB") as caught:
            backend(batch=batch, max_bytes=100).run_raster(graph("GTiff"), tmp_path / "map.tif")
        assert "CLMS_MAX_RESULT_MB" in caught.value.hint


def test_a_wrong_secret_is_told_and_not_shown(cdse: Cdse) -> None:
    logins = Logins(credentials=ClientCredentials("robot", SecretStr("wrong-secret-nobody-may-see")))
    access = logins.of_session("one", cdse.url, load_mapping("cdse"))
    with pytest.raises(BackendUnavailable, match="login service") as caught:
        OpenEOBackend(cdse.url, timeout_s=5, access=access).run_table(graph())
    assert not isinstance(caught.value, LoginNeeded)
    assert "wrong-secret" not in str(caught.value)


def test_credits_are_counted_as_the_service_tells_them(
    backend: Callable[..., OpenEOBackend], cdse: Cdse, settings: Settings, tmp_path: Path
) -> None:
    access = Access(settings.database, required=True, quotas=Quotas(credits=30))
    batch = Batch(poll_s=0.02, notes=tmp_path, charge=access.count)

    def run(**more: Any) -> int:
        offers = str(cdse.estimate is not None)  # a connection asks once what a service offers
        backend(offers, **{"charge": access.count, **more}).run_table(graph())
        return 30 - access.left("credits")

    with acting_as(User(name="ada")):
        assert run() == 0  # nothing is told
        cdse.costs = 4.2
        assert run() == 5
        assert run(batch=batch) == 10
        cdse.estimate, cdse.hold_jobs = 7.0, True
        with pytest.raises(JobWaiting):
            run(batch=Batch(poll_s=0.02, patience_s=0.05, notes=tmp_path, charge=access.count))
        assert access.left("credits") == 30 - 17  # reserved
        cdse.hold_jobs = False
        assert run(batch=batch) == 15  # the same job, paid once
        cdse.job_error = "No memory."
        with pytest.raises(JobFailed):
            run(batch=batch)
        assert access.left("credits") == 10
        cdse.job_error, cdse.estimate = "", 11.0
        with pytest.raises(QuotaExceeded, match="20 of 30; this one needs 11"):
            run(batch=batch)
        assert not any(path.endswith("results") and method == "POST" for method, path, _ in cdse.requests[-3:])
        cdse.costs = 12
        assert run() == 32  # nobody knew before
        asked = len(cdse.requests)
        with pytest.raises(QuotaExceeded, match="32 of 30"):
            run()
        assert len(cdse.requests) == asked
    with acting_as(User(name="eve")):
        assert run() == 12


def test_a_job_that_a_killed_run_finds_again_is_paid_once(
    backend: Callable[..., OpenEOBackend], cdse: Cdse, settings: Settings, tmp_path: Path
) -> None:
    access = Access(settings.database, required=True, quotas=Quotas(credits=30))
    cdse.costs = 4
    with acting_as(User(name="ada")), jobs_of_run(tmp_path):
        batch = Batch(poll_s=0.02, notes=tmp_path, of_run=current_run(), charge=access.count)
        for _ in range(2):
            backend(batch=batch).run_table(graph())
        assert (len(cdse.owners), access.left("credits")) == (1, 26)
