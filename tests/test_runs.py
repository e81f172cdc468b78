"""The same plan on unchanged data is answered from the run before; on changed data or files it runs again."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.warp import transform_geom

from knowledge.ingest import build_index
from knowledge.retrieval import Retriever
from tools.areas import parse_geojson
from tools.backend_mapping import load_mapping
from tools.errors import JobFailed, NotApproved
from tools.hub.add import add_files
from tools.hub.server import running_hub
from tools.locks import one_at_a_time
from tools.schema import Estimate, ToolResult
from tools.timings import expected_seconds, note_run, timed
from tools.toolbox import Context, Services, Toolbox
from tools.workspace import Workspace

WEST, NORTH, SIDE_M = 3_500_000.0, 2_850_000.0, 100.0
NOTE = "Not computed anew"
CREDITS = "It takes credits of your account; how many is not known before it runs."


def _add(services: Services, value: int, *, year: str = "2018") -> None:
    root = services.workspace.root.parent
    path = root / "TCD.tif"
    corner = Affine(10, 0, WEST, 0, -10, NORTH)
    with rasterio.open(
        path, "w", driver="GTiff", width=10, height=10, count=1, dtype="uint8", crs="EPSG:3035", transform=corner
    ) as file:
        file.write(np.full((1, 10, 10), value, "uint8"))
        file.set_band_description(1, "TCD")
    add_files(root / "hub", [path], collection_id="trees", datetime=year)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "index"
    build_index(path, embedding_model="none")
    return path


@pytest.fixture
def services(index: Path, tmp_path: Path) -> Iterator[Services]:
    (tmp_path / "hub").mkdir()
    with running_hub(tmp_path / "hub") as url:
        made = Services(
            retriever=Retriever(index, embedding_model="none"),
            stac_url=f"{url}/stac",
            openeo_url=f"{url}/openeo",
            workspace=Workspace(tmp_path / "artifacts"),
        )
        _add(made, 30)
        yield made


def _silent(message: str) -> None:
    """Take progress and tell nobody."""


def _ask(services: Services, *, on_progress: Callable[[str], None] = _silent, **more: str) -> ToolResult:
    ring = [(WEST, NORTH - SIDE_M), (WEST + SIDE_M, NORTH - SIDE_M), (WEST + SIDE_M, NORTH), (WEST, NORTH)]
    geometry = transform_geom("EPSG:3035", "EPSG:4326", {"type": "Polygon", "coordinates": [[*ring, ring[0]]]})
    feature = {"type": "Feature", "id": "a", "properties": {"name": "a"}, "geometry": geometry}
    area = parse_geojson({"type": "FeatureCollection", "features": [feature]}, name="units")
    context = Context(today=date(2026, 9, 20), session_id="test", area=area, on_progress=on_progress)
    return Toolbox(services, context).layer_statistics("tree cover", "", **more)  # type: ignore[arg-type]  # test keywords


def _value(found: ToolResult) -> float | None:
    assert found.statistics is not None
    return found.statistics.rows[0].value


def _is_earlier(found: ToolResult) -> bool:
    return any(NOTE in warning for warning in found.warnings)


def test_the_same_plan_is_answered_from_the_run_before_and_says_so(services: Services) -> None:
    first, second = _ask(services), _ask(services)
    assert not _is_earlier(first)
    assert _is_earlier(second)
    assert NOTE in second.text
    assert second.statistics == first.statistics
    assert second.artifacts == first.artifacts


@pytest.mark.parametrize("harm", ["removed", "altered"])
def test_a_file_that_is_not_as_it_was_made_is_made_again(services: Services, harm: str) -> None:
    first = _ask(services)
    path = Path(first.artifacts[0].path)
    if harm == "removed":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b" ")
    again = _ask(services)
    assert not _is_earlier(again)
    assert again.artifacts[0].id != first.artifacts[0].id


def test_changed_pixels_are_computed_anew(services: Services) -> None:
    assert _value(_ask(services)) == 30
    _add(services, 50)
    again = _ask(services)
    assert not _is_earlier(again)
    assert _value(again) == 50


def test_a_change_of_two_years_is_kept_too_with_its_table(services: Services) -> None:
    _add(services, 45, year="2019")
    first, second = (_ask(services, period="2018", against="2019") for _ in range(2))
    assert _is_earlier(second)
    assert (_value(second), second.data["difference"]) == (15, first.data["difference"])
    assert second.data["finding"] == first.data["finding"]


def test_another_service_is_another_run(services: Services) -> None:
    _ask(services)
    assert not _is_earlier(_ask(replace(services, rerun_url="https://elsewhere.example/openeo")))


def test_a_run_that_cannot_be_written_down_is_only_computed_again(services: Services) -> None:
    services.workspace.root.mkdir()
    (services.workspace.root / "runs").write_text("in the way")
    assert _value(_ask(services)) == 30
    assert not _is_earlier(_ask(services))


def test_of_equal_questions_at_the_same_time_one_computes(services: Services) -> None:
    told: list[str] = []
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: _ask(services, on_progress=told.append), range(3)))
    assert sum(not _is_earlier(one) for one in found) == 1
    assert {one.artifacts for one in found} == {found[0].artifacts}
    assert sum(one.startswith("Computing") for one in told) == 1


def test_who_waits_can_stop_and_a_failure_lets_the_next_one_compute(tmp_path: Path) -> None:
    path, waited = tmp_path / "locks" / "one.lock", list[str]()

    def stop() -> None:
        raise JobFailed("The computation was stopped.")

    def fail_while_another_waits() -> None:
        first = one_at_a_time(path, told=stop, stop_if_asked=stop)
        second = one_at_a_time(path, told=lambda: waited.append("told"), stop_if_asked=stop)
        with first, second:
            raise AssertionError("two at a time")

    with pytest.raises(JobFailed):
        fail_while_another_waits()
    assert waited == ["told"]
    with one_at_a_time(path, told=stop, stop_if_asked=stop):
        assert path.exists()
    assert not path.exists()


def test_the_seconds_of_an_estimate_follow_how_long_runs_took_here(services: Services) -> None:
    asked = Estimate(scenes=1, pixels=1, megabytes=4, seconds=expected_seconds(4), allowed=True, reason="")
    elsewhere = replace(services, openeo_url="https://elsewhere.example/openeo")
    for seconds in (100.0, 7 * asked.seconds):
        note_run(services, timed(services, asked), seconds)
        assert timed(services, asked).seconds == pytest.approx(asked.seconds, abs=0.1)  # two runs are too few
    note_run(services, timed(services, asked), 2 * asked.seconds)
    assert timed(services, asked).seconds == pytest.approx(7 * asked.seconds, abs=0.1)  # the middle one
    waiting = timed(services, asked)  # for its approval, while others run
    for _ in range(30):
        note_run(services, timed(services, asked), 3 * asked.seconds)
    assert timed(services, asked).seconds == pytest.approx(3 * asked.seconds, abs=0.1)
    for _ in range(30):
        note_run(services, waiting, 3 * asked.seconds)
    assert timed(services, asked).seconds == pytest.approx(3 * asked.seconds, abs=0.1)
    assert timed(elsewhere, asked).seconds == pytest.approx(asked.seconds, abs=0.1)


def test_a_run_notes_how_long_it_took_and_an_earlier_one_does_not(services: Services) -> None:
    for _ in range(2):
        _ask(services)
    (noted,) = (services.workspace.root / "runs").glob("*.times")
    assert len(json.loads(noted.read_text())) == 1


def test_a_run_that_is_paid_with_credits_says_that_their_number_is_not_known(services: Services) -> None:
    paid = replace(services, ask_above_mb=1e-9, backend=load_mapping("hub").model_copy(update={"costs": CREDITS}))
    assert load_mapping("cdse").costs == load_mapping("federation").costs == CREDITS
    with pytest.raises(NotApproved, match=CREDITS):
        _ask(paid)
    with pytest.raises(NotApproved) as free:
        _ask(replace(services, ask_above_mb=1e-9))
    assert "credits" not in free.value.message
