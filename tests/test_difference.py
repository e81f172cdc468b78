"""Two periods subtracted by code, the map of it, and what is told of the time between; picks from many polygons."""

import csv
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import openeo
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.warp import transform_bounds

from knowledge.ingest import build_index
from knowledge.retrieval import Retriever
from tests.exported import run_script
from tests.rasters import write_band
from tools.areas import parse_geojson
from tools.errors import NoScenes, TooLarge, ToolInputError
from tools.hub.add import add_files
from tools.hub.server import running_hub
from tools.schema import Polygons, StatisticsRow, ToolResult
from tools.selection import Selection, select, selection_lines
from tools.toolbox import Context, Services, Toolbox
from tools.workspace import Workspace

SIZE, LEFT, TOP = 12, 600_000, 5_330_000
CORNER = (LEFT, TOP)
DAYS = ("2024-06-05", "2024-06-15", "2024-06-25", "2025-06-06", "2025-06-16", "2025-06-26", "2025-09-06")
TODAY = date(2025, 10, 1)


class World:
    """A hub with seven days of red, infrared and scene classes, and the NDVI of each day by plain numpy."""

    def __init__(self, root: Path) -> None:
        random = np.random.default_rng(2)
        self.root, self.ndvi = root, dict[str, NDArray[np.float64]]()
        for day in DAYS:
            red, nir = (random.integers(1200, 6000, (SIZE, SIZE)).astype("uint16") for _ in range(2))
            classes = random.choice([4, 4, 4, 9], (SIZE, SIZE)).astype("uint16")
            if day.startswith("2024"):
                classes[:, 8:] = 9  # the third field is never seen in 2024
            stored = {"B04": red, "B08": nir, "SCL": classes}
            files = [write_band(root / f"{day}_{name}.tif", values, CORNER) for name, values in stored.items()]
            add_files(root / "hub", files, collection_id="s2", datetime=day, scale=0.0001, offset=-0.1)
            low, high = red * 1e-4 - 0.1, nir * 1e-4 - 0.1
            self.ndvi[day] = np.where(classes == 9, np.nan, (high - low) / (high + low))

    def median(self, month: str) -> NDArray[np.float64]:
        days = [values for day, values in self.ndvi.items() if day.startswith(month)]
        with pytest.warns(RuntimeWarning, match="All-NaN"):
            return np.asarray(np.nanmedian([*days, np.full((SIZE, SIZE), np.nan)], axis=0))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("difference"))


@pytest.fixture(scope="module")
def services(world: World) -> Iterator[Services]:
    build_index(world.root / "index", embedding_model="none")
    with running_hub(world.root / "hub") as url:
        retriever = Retriever(world.root / "index", embedding_model="none")
        yield Services(retriever, f"{url}/stac", f"{url}/openeo", Workspace(world.root / "artifacts"))


def thirds() -> Polygons:
    features = []
    for number in range(3):
        left = LEFT + 40 * number
        west, south, east, north = transform_bounds("EPSG:32630", "EPSG:4326", left, TOP - 120, left + 40, TOP)
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        polygon = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"name": f"F{number}"}, "geometry": polygon})
    return parse_geojson({"type": "FeatureCollection", "features": features}, name="thirds")


def compute(services: Services, period: str, output: str = "per_polygon", **options: Any) -> ToolResult:
    context = Context(today=TODAY, session_id="t", area=thirds())
    return Toolbox(services, context).compute("NDVI", "", period, output, **options)  # type: ignore[arg-type]


def test_each_difference_is_the_later_mean_minus_the_earlier_one(services: Services, world: World) -> None:
    found = compute(services, "June 2024", against="June 2025")
    before, after = world.median("2024-06"), world.median("2025-06")
    expected = [np.nanmean(after[:, cut]) - np.nanmean(before[:, cut]) for cut in (slice(0, 4), slice(4, 8))]
    assert found.statistics is not None
    rows = found.statistics.rows
    assert [row.value for row in rows[:2]] == pytest.approx(expected, abs=1e-6)
    assert (rows[2].outcome, rows[2].value) == ("no_data", None)
    assert found.data["difference"]["rows"][2]["without_value"] == ["earlier"]
    assert "F2: no difference, for the earlier period has no value (no data)" in found.text
    turned = compute(services, "June 2025", against="June 2024").statistics
    assert turned is not None
    assert turned.rows == rows


def test_the_map_is_later_minus_earlier_and_its_graph_runs_alone(
    services: Services, world: World, tmp_path: Path
) -> None:
    found = compute(services, "June 2025", "composite", against="June 2024")
    expected = world.median("2025-06") - world.median("2024-06")
    graph = next(one for one in found.artifacts if one.kind == "graph" and "GeoTIFF" in one.title)
    again = tmp_path / "again.tif"
    openeo.connect(services.openeo_url).download(json.loads(Path(graph.path).read_text()), again)
    raster = next(one for one in found.artifacts if one.kind == "raster")
    for path in (Path(raster.path), again):
        with rasterio.open(path) as source:
            window = source.window(LEFT, TOP - 120, LEFT + 120, TOP)
            pixels = source.read(1, window=window, boundless=True, masked=True).astype("float64").filled(np.nan)
        np.testing.assert_allclose(pixels, expected, atol=2e-6)
    kinds = [one.kind for one in found.artifacts]
    assert {"map", "raster", "table", "vector", "graph", "script", "notebook", "provenance", "metadata"} == set(kinds)
    assert (kinds.count("script"), kinds.count("notebook")) == (1, 1)


def test_the_one_script_makes_the_difference_again(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    found = compute(services, "June 2025", against="June 2024")
    script = next(Path(one.path) for one in found.artifacts if one.kind == "script")
    printed = run_script(script)
    assert "Same as the first run: all 6 rows agree." in printed
    assert "Differences: same as in the first run." in printed
    assert found.statistics is not None
    assert f"F0: {found.statistics.rows[0].value:+.6f} (from " in printed
    assert "F2: no difference" in printed
    monkeypatch.setenv("CLMS_OPENEO_URL", "http://127.0.0.1:9/openeo")
    with pytest.raises(SystemExit, match=r"No openEO service answers at http://127\.0\.0\.1:9/openeo"):
        run_script(script)


def test_the_table_holds_both_values_and_the_difference(services: Services) -> None:
    found = compute(services, "June 2025", against="June 2024")
    table = next(one for one in found.artifacts if one.kind == "table")
    first, _, third = csv.DictReader(Path(table.path).read_text().splitlines())
    assert float(first["difference"]) == pytest.approx(float(first["later"]) - float(first["earlier"]))
    assert (third["earlier"], third["difference"], third["outcome"]) == ("", "", "no_data")
    assert third["later"]


def test_what_the_time_itself_does_is_told(services: Services) -> None:
    same = compute(services, "June 2025", against="June 2024").warnings
    assert not any("part of the year" in one or "length" in one for one in same)
    assert any("In 1 of 3 units the share of valid pixels differs" in one for one in same)
    other = compute(services, "2025-09-01 to 2025-10-01", against="June 2025").warnings
    assert any("part of the difference is the season" in one for one in other)
    assert any("not over" in one for one in other)
    assert any("rests on 1 date: 2025-09-06" in one for one in other)
    long = compute(services, "June 2025", against="2024-01-01 to 2025-06-10").warnings
    assert any("differ in length: 30 and 527 days" in one for one in long)
    assert any("overlap" in one for one in long)


def test_what_cannot_be_subtracted_is_refused(services: Services) -> None:
    with pytest.raises(NoScenes, match="for the earlier period has nothing"):
        compute(services, "June 2025", against="June 2023")
    with pytest.raises(NoScenes, match="for the later period has nothing"):
        compute(services, "June 2025", against="July 2025")
    with pytest.raises(ToolInputError, match="Both periods are"):
        compute(services, "June 2025", against="2025-06-01 to 2025-06-30")
    with pytest.raises(ToolInputError, match="not of two curves"):
        compute(services, "June 2025", "series", against="June 2024")
    with pytest.raises(ToolInputError, match="of polygons"):
        compute(services, "June 2025", "composite", above=0.2)
    small = Services(services.retriever, services.stac_url, services.openeo_url, services.workspace, max_pixels=2500)
    assert compute(small, "June 2025").outcome == "ok"
    with pytest.raises(TooLarge, match="Both periods together") as caught:
        compute(small, "June 2025", against="June 2024")
    assert "an area of at most" in caught.value.hint


def test_polygons_are_counted_and_ranked(services: Services) -> None:
    values = compute(services, "June 2025").statistics
    assert values is not None
    known = {row.label: row.value or 0.0 for row in values.rows}
    ranked = sorted(known, key=lambda label: known[label])
    middle = (known[ranked[0]] + known[ranked[1]]) / 2
    found = compute(services, "June 2025", above=middle, rank="lowest", count=2)
    assert found.data["threshold"]["units"] == ranked[:0:-1]
    assert found.data["threshold"]["share_percent"] == 66.7
    assert [one["label"] for one in found.data["ranking"]["units"]] == ranked[:2]
    assert "2 of 3 polygons with a value (66.7 %)" in found.text


def rows(*values: float | None) -> list[StatisticsRow]:
    return [
        StatisticsRow(
            label=f"P{number}", value=value, valid_pixels=0 if value is None else 9, total_pixels=9,
            outcome="no_data" if value is None else "ok",
        )
        for number, value in enumerate(values)
    ]  # fmt: skip


def test_ties_close_values_and_missing_ones_are_told() -> None:
    found = select(rows(0.5, 0.5001, 0.2, None, 0.605), Selection(above=0.6, rank="highest", count=2))
    assert found["ranking"]["tied_with_last"] == ["P0"]
    assert found["ranking"]["close_pairs"] == [["P1", "P0"]]
    assert (found["threshold"]["count"], found["threshold"]["without_value"]) == (1, 1)
    assert found["threshold"]["close_units"] == ["P4"]
    told = " ".join(selection_lines(found))
    assert "1 polygon without a value, counted on neither side" in told
    assert "Tied with the last one and not listed: P0" in told
    few = selection_lines(select(rows(0.5, None), Selection(rank="highest", count=5)))
    assert few[0].startswith("The 1 highest of 1 with a value")
    assert selection_lines(select(rows(None), Selection(above=0.5, rank="lowest"))) == []


def test_exactly_at_the_threshold_is_neither_above_nor_below() -> None:
    for selection in (Selection(above=0.6), Selection(below=0.6)):
        assert select(rows(0.6), selection)["threshold"]["count"] == 0
    with pytest.raises(ToolInputError, match=r"No value is above 0\.6 and below 0\.3"):
        Selection(above=0.6, below=0.3).check("per_polygon")
