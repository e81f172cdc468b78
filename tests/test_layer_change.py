"""Change of product layers between two years in a real hub: each number against plain numpy."""

import csv
import runpy
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from langchain_core.messages import HumanMessage
from rasterio.warp import transform_geom

from assistant.planner import next_message
from knowledge.catalogue import load_catalogue
from knowledge.ingest import build_index
from knowledge.retrieval import Retriever
from tools.areas import parse_geojson
from tools.errors import TooLarge, ToolInputError
from tools.hub.add import add_files
from tools.hub.server import running_hub
from tools.schema import Polygons, ToolResult
from tools.toolbox import Context, Services, Toolbox
from tools.workspace import Workspace

WEST, NORTH, PIXEL_M, SIDE = 3_500_000.0, 2_850_000.0, 10.0, 20
PIXEL_HA = 0.01
HALVES = {"West": slice(0, 10), "East": slice(10, 20)}
FAR = 500
"""Columns between the places that tests have to themselves."""
rng = np.random.default_rng(11)


def _density() -> Any:
    values = rng.integers(0, 101, (SIDE, SIDE)).astype("uint8")
    values[rng.random((SIDE, SIDE)) < 0.1] = 255
    return values


TREES = {2018: _density(), 2019: _density()}
LEAVES = {year: rng.choice([0, 1, 1, 2, 255], (SIDE, SIDE)).astype("uint8") for year in (2018, 2021)}
LEAVES[2021][:, :4] = LEAVES[2018][:, :4]


def _write(path: Path, values: Any, *, column: float = 0, crs: str = "EPSG:3035", pixel_m: float = PIXEL_M) -> Path:
    corner = Affine(pixel_m, 0, WEST + column * PIXEL_M, 0, -pixel_m, NORTH)
    height, width = values.shape
    shape: dict[str, Any] = {"height": height, "width": width, "count": 1, "dtype": str(values.dtype)}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=corner, **shape) as file:
        file.write(values, 1)
        file.set_band_description(1, path.stem.split("-")[0])
    return path


def _area(column: int = 0, *, halves: bool = True) -> Polygons:
    features = []
    for name, part in HALVES.items() if halves else (("All", slice(0, SIDE)),):
        west, east = (WEST + (column + at) * PIXEL_M for at in (part.start, part.stop))
        ring = [(west, NORTH - 200), (east, NORTH - 200), (east, NORTH), (west, NORTH), (west, NORTH - 200)]
        geometry = transform_geom("EPSG:3035", "EPSG:4326", {"type": "Polygon", "coordinates": [ring]})
        features.append({"type": "Feature", "id": name, "properties": {"name": name}, "geometry": geometry})
    return parse_geojson({"type": "FeatureCollection", "features": features}, name="units")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    root: Path = tmp_path_factory.mktemp("change")
    hub = root / "hub"
    hub.mkdir()
    for year, values in TREES.items():
        add_files(hub, [_write(root / "TCD-.tif", values)], collection_id="trees", datetime=str(year))
    for year, values in LEAVES.items():
        add_files(hub, [_write(root / "DLT-.tif", values)], collection_id=f"leaves-{year}", datetime=str(year))
    build_index(root / "index", embedding_model="none")
    with running_hub(hub) as url:
        yield Services(
            retriever=Retriever(root / "index", embedding_model="none"),
            stac_url=f"{url}/stac",
            openeo_url=f"{url}/openeo",
            workspace=Workspace(root / "artifacts"),
        )


def _hub(services: Services) -> Path:
    return services.workspace.root.parent / "hub"


def _ask(services: Services, layer: str, years: tuple[str, str], area: Polygons | None = None) -> ToolResult:
    context = Context(today=date(2026, 9, 20), session_id="test", area=area or _area())
    return Toolbox(services, context).layer_statistics(layer, "", period=years[0], against=years[1])


def _run_script(script: Path, services: Services) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["script.py", "--url", services.openeo_url])
        runpy.run_path(str(script), run_name="__main__")


def _file(found: ToolResult, kind: str, words: str = "") -> Path:
    return next(Path(one.path) for one in found.artifacts if one.kind == kind and words in one.title)


def _rows(found: ToolResult, words: str) -> list[dict[str, str]]:
    with _file(found, "table", words).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def trees(services: Services) -> ToolResult:
    return _ask(services, "tree cover", ("2018", "2019"))


@pytest.fixture(scope="module")
def leaves(services: Services) -> ToolResult:
    return _ask(services, "dominant leaf type", ("2018", "2021"))


def test_a_difference_is_of_the_pixels_that_both_years_have(trees: ToolResult) -> None:
    assert trees.statistics is not None
    assert trees.statistics.unit == "percentage points"
    for row, told in zip(trees.statistics.rows, trees.data["difference"], strict=True):
        before, after = (TREES[year][:, HALVES[row.label]].astype(float) for year in (2018, 2019))
        both = (before <= 100) & (after <= 100)
        assert row.value == pytest.approx((after - before)[both].mean(), abs=1e-4)
        assert (row.valid_pixels, row.total_pixels) == (int(both.sum()), before.size)
        assert told["earlier"] == pytest.approx(before[both].mean(), abs=1e-4)
        assert told["later"] == pytest.approx(after[both].mean(), abs=1e-4)


def test_the_geotiff_of_a_difference_is_that_of_numpy(trees: ToolResult) -> None:
    with rasterio.open(_file(trees, "raster")) as raster:
        values = raster.read(1)
    before, after = (TREES[year].astype(float) for year in (2018, 2019))
    expected = np.where((before <= 100) & (after <= 100), after - before, np.nan)
    found = values[np.isfinite(values)]
    assert sorted(found) == sorted(expected[np.isfinite(expected)])
    assert {one.kind for one in trees.artifacts} >= {"map", "chart", "table", "vector", "graph", "script", "notebook"}


@pytest.mark.parametrize("half", HALVES)
def test_transitions_are_those_of_numpy(leaves: ToolResult, half: str) -> None:
    unit = next(one for one in leaves.data["change"] if one["label"] == half)
    before, after = (LEAVES[year][:, HALVES[half]] for year in (2018, 2021))
    both = (before != 255) & (after != 255)
    found = {(one["from_code"], one["to_code"]): one["area_ha"] for one in unit["transitions"]}
    for one in (0, 1, 2):
        for other in (0, 1, 2):
            pixels = int((both & (before == one) & (after == other)).sum())
            assert found.get((one, other), 0.0) == pytest.approx(pixels * PIXEL_HA, abs=1e-4)
        own = next(entry for entry in unit["classes"] if entry["code"] == one)
        gain = (both & (before != one) & (after == one)).sum() * PIXEL_HA
        loss = (both & (before == one) & (after != one)).sum() * PIXEL_HA
        assert (own["gain_ha"], own["loss_ha"]) == (pytest.approx(gain, abs=1e-4), pytest.approx(loss, abs=1e-4))
        assert own["net_ha"] == pytest.approx(gain - loss, abs=1e-4)
        assert own["later_ha"] == pytest.approx((both & (after == one)).sum() * PIXEL_HA, abs=1e-4)
    assert unit["changed_ha"] == pytest.approx((both & (before != after)).sum() * PIXEL_HA, abs=1e-4)
    assert (unit["valid_pixels"], unit["total_pixels"]) == (int(both.sum()), before.size)


def test_the_classes_asked_for_are_taken_as_one(leaves: ToolResult) -> None:
    for unit in leaves.data["change"]:
        before, after = (LEAVES[year][:, HALVES[unit["label"]]] for year in (2018, 2021))
        both = (before != 255) & (after != 255)
        gain = (both & (before == 0) & (after != 0)).sum() * PIXEL_HA
        assert unit["wanted"]["classes"] == ["broadleaved trees", "coniferous trees"]
        assert unit["wanted"]["gain_ha"] == pytest.approx(gain, abs=1e-4)
        assert f"{unit['wanted']['net_ha']:+.2f} ha" in leaves.data["finding"]


def test_the_transition_table_adds_up_to_the_gains_and_losses(leaves: ToolResult) -> None:
    matrix, balance = _rows(leaves, "Transition table"), _rows(leaves, "Gains and losses")
    for row in balance:
        own = [one for one in matrix if one["polygon"] == row["polygon"]]
        column = next(name for name in own[0] if name.startswith(f"to {row['code']} "))
        later = sum(float(one[column]) for one in own)
        kept = next(float(one[column]) for one in own if one["from_code"] == row["code"])
        assert float(row["later_ha"]) == pytest.approx(later)
        assert float(row["gain_ha"]) == pytest.approx(later - kept)


def test_the_map_of_changes_has_a_band_for_the_new_class_and_one_for_the_transition(leaves: ToolResult) -> None:
    with rasterio.open(_file(leaves, "raster")) as raster:
        assert raster.descriptions == ("CHANGED_TO", "TRANSITION")
        changed, step = raster.read()
    before, after = LEAVES[2018].astype(float), LEAVES[2021].astype(float)
    both = (before != 255) & (after != 255)
    assert sorted(changed[np.isfinite(changed)]) == sorted(np.where(before == after, -1, after)[both])
    assert sorted(step[np.isfinite(step)]) == sorted((before * 1000 + after)[both])


@pytest.mark.parametrize("which", ["trees", "leaves"])
def test_the_script_finds_the_same_numbers(
    services: Services, which: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    _run_script(_file(request.getfixturevalue(which), "script"), services)
    assert "Same as the first run" in capsys.readouterr().out


@pytest.mark.parametrize("which", ["trees", "leaves"])
def test_the_answer_tells_that_they_may_be_compared_and_what_the_years_mean(
    which: str, request: pytest.FixtureRequest
) -> None:
    found = request.getfixturevalue(which)
    assert found.data["comparable"] is True
    assert "These editions may be subtracted" in found.data["finding"]
    assert any("not of production" in one for one in found.warnings)


def test_each_side_of_a_change_is_in_the_plan(leaves: ToolResult) -> None:
    assert leaves.plan is not None
    assert leaves.plan.layer is not None
    assert (leaves.plan.collection_id, leaves.plan.layer.earlier_collection_id) == ("leaves-2021", "leaves-2018")


def _two_years(services: Services, folder: Path, column: int, second: dict[str, Any]) -> Polygons:
    """Add a year of tree cover at a place of its own, and a second one that differs in its grid."""
    values = np.full((SIDE, SIDE), 30, "uint8")
    first = _write(folder / "TCD-.tif", values, column=column)
    add_files(_hub(services), [first], collection_id=f"trees-{column}", datetime="2018")
    other = _write(folder / "TCD-b.tif", values, **{"column": column, **second})
    add_files(_hub(services), [other], collection_id=f"trees-{column}-b", datetime="2019")
    return _area(column, halves=False)


@pytest.mark.parametrize(
    ("place", "second", "told"),
    [(1, {"column": FAR + 0.4}, "shifted by 40%"), (2, {"pixel_m": 20.0}, "10 m against 20 m")],
)
def test_other_grids_are_refused(
    services: Services, tmp_path: Path, place: int, second: dict[str, float], told: str
) -> None:
    area = _two_years(services, tmp_path, place * FAR, second)
    with pytest.raises(ToolInputError, match=told):
        _ask(services, "tree cover", ("2018", "2019"), area)


def test_layers_for_other_seasons_are_told(services: Services, tmp_path: Path) -> None:
    column, values = 3 * FAR, np.full((SIDE, SIDE), 30, "uint8")
    for when in ("2018-05-01", "2019-09-01"):
        path = _write(tmp_path / "TCD-.tif", values, column=column)
        add_files(_hub(services), [path], collection_id="seasons", datetime=when)
    found = _ask(services, "tree cover", ("2018", "2019"), _area(column, halves=False))
    assert any("the season" in one for one in found.warnings)


def test_the_official_change_layer_is_used_where_it_is_here(services: Services, tmp_path: Path) -> None:
    column = 4 * FAR
    for year, value in (("2018", 10), ("2021", 40)):
        path = _write(tmp_path / "IMD-.tif", np.full((SIDE, SIDE), value, "uint8"), column=column)
        add_files(_hub(services), [path], collection_id=f"imd-{year}", datetime=year)
    area = _area(column, halves=False)
    refused = _ask(services, "imperviousness", ("2018", "2021"), area)
    assert (refused.outcome, refused.statistics) == ("not_run", None)
    change = _write(tmp_path / "IMC-.tif", np.full((10, 10), 107, "uint8"), column=column, pixel_m=20.0)
    add_files(_hub(services), [change], collection_id="imd-change-2018-2021", datetime="2018-01-01/2021-12-31")
    found = _ask(services, "imperviousness", ("2018", "2021"), area)
    assert found.statistics is not None
    assert [row.value for row in found.statistics.rows] == [7.0]
    rule = load_catalogue().comparability("imd-2018", "imd-2021", (2018, 2021))
    assert rule is not None
    assert rule.reason in found.data["finding"]
    assert found.data["comparable"] is False


def test_a_polygon_without_a_class_in_both_years_has_no_number(services: Services, tmp_path: Path) -> None:
    column = 5 * FAR
    for year, value in (("2018", 1), ("2021", 255)):
        path = _write(tmp_path / "DLT-.tif", np.full((SIDE, SIDE), value, "uint8"), column=column)
        add_files(_hub(services), [path], collection_id="empty-leaves", datetime=year)
    found = _ask(services, "dominant leaf type", ("2018", "2021"), _area(column, halves=False))
    assert found.outcome == "no_data"
    assert found.statistics is not None
    assert all(row.value is None and row.total_pixels == SIDE * SIDE for row in found.statistics.rows)
    assert not any(one.kind == "map" for one in found.artifacts)


def test_a_table_in_parts_is_the_same_table(
    services: Services, leaves: ToolResult, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tools.layer_change.VALUES_AT_ONCE", 2_000)
    services = replace(services, rerun_url=f"{services.openeo_url}/")  # another service: nothing is taken from before
    found = _ask(services, "dominant leaf type", ("2018", "2021"))
    assert found.statistics == leaves.statistics
    assert sum("part" in one.title for one in found.artifacts if one.kind == "graph") > 1
    _run_script(_file(found, "script"), services)
    assert "Same as the first run" in capsys.readouterr().out


def test_too_many_transitions_are_refused(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.layer_change.IN_PARTS", 1)
    with pytest.raises(TooLarge, match="transitions occur"):
        _ask(replace(services, max_pixels=5_000), "dominant leaf type", ("2018", "2021"), _area(halves=False))


@pytest.mark.parametrize(
    ("question", "left"),
    [
        ("How did tree cover change in Malta between 2018 and 2019?", "tree cover"),
        ("How much forest was lost in Malta between 2018 and 2021?", "forest"),
        ("Comment la couverture arborée a-t-elle changé à Malte entre 2018 et 2019 ?", "couverture arborée"),
    ],
)
def test_the_layer_is_looked_up_without_the_words_for_change_place_and_years(question: str, left: str) -> None:
    (_, call) = next_message([HumanMessage(question)], Toolbox.TOOLS).tool_calls
    assert call["name"] == "layer_statistics"
    assert left in call["args"]["layer"]
    assert not {"2018", "Malta", "Malte", "change", "changé", "lost"} & set(call["args"]["layer"].split())
    assert call["args"]["period"] == "2018"


def test_a_change_layer_whose_numbers_are_disputed_is_named_and_not_computed(
    services: Services, tmp_path: Path
) -> None:
    column = 6 * FAR
    path = _write(tmp_path / "IMC-.tif", np.full((10, 10), 107, "uint8"), column=column, pixel_m=20.0)
    add_files(_hub(services), [path], collection_id="imd-change-2015-2018", datetime="2015-01-01/2018-12-31")
    found = _ask(services, "imperviousness", ("2015", "2018"), _area(column, halves=False))
    assert (found.outcome, found.statistics) == ("not_run", None)
    assert "imd-change-2015-2018" in found.text
    assert "has not been verified" in found.text


def test_stored_codes_that_nobody_can_read_are_refused_until_the_user_tells_how(
    services: Services, tmp_path: Path
) -> None:
    column = 7 * FAR
    codes = np.full((10, 10), 107, "int16")
    path = _write(tmp_path / "IMC-.tif", codes, column=column, pixel_m=20.0)
    context = Context(today=date(2026, 9, 20), session_id="t", area=_area(column, halves=False))
    tools = Toolbox(services, context)
    add_files(_hub(services), [path], collection_id="imd-change-2012-2015", datetime="2012-01-01/2015-12-31")
    with pytest.raises(ToolInputError, match="has not been verified") as caught:
        tools.layer_statistics("imd-change-2012-2015", "")
    assert "--scale" in caught.value.hint
    path = _write(tmp_path / "IMC+.tif", codes, column=column, pixel_m=20.0)
    moved = "imd-change-2009-2012"
    add_files(_hub(services), [path], collection_id=moved, datetime="2009-01-01/2012-12-31", offset=-100)
    found = tools.layer_statistics(moved, "").statistics
    assert found is not None
    assert (found.rows[0].value, found.unit) == (7, "%")
