"""Statistics of product layers on tiny rasters in a real hub: each number against plain numpy."""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from knowledge.catalogue import load_catalogue
from knowledge.decoding import Rules
from knowledge.ingest import build_index
from knowledge.retrieval import Retriever
from tools.areas import parse_geojson
from tools.errors import NoScenes, TooLarge, ToolInputError
from tools.hub.add import add_files
from tools.hub.server import running_hub
from tools.layer_classes import wanted_codes
from tools.layer_graphs import equal_area_epsg, is_equal_area
from tools.layer_search import identify
from tools.map_style import read_style
from tools.offers import make_offer
from tools.schema import Polygons, ToolResult
from tools.toolbox import Context, Services, Toolbox
from tools.workspace import Workspace

WEST, NORTH, PIXEL_M, SIDE = 3_500_000.0, 2_850_000.0, 10.0, 20
UNITS = {"West": (0, 10), "East": (10, 20), "Far": (4000, 4010), "Old": (6000, 6020)}
"""Columns of the raster, first and one past the last; `Far` and `Old` lie beyond it."""
rng = np.random.default_rng(7)


def _density(first: int) -> Any:
    values = rng.integers(0, 101, (SIDE, SIDE)).astype("uint8")
    values[:2, :] = 0
    values[5, :5], values[6, :5], values[7, 3] = 255, 254, 253
    values[19, 19] = first
    return values


TREES = {2018: _density(40), 2019: _density(60)}
SEALED = {2018: _density(1), 2021: _density(2)}
CLASSES = rng.choice([0, 1, 2, 2, 255, 77], (SIDE, SIDE)).astype("uint8")


def _write(path: Path, values: Any, crs: str = "EPSG:3035", corner: Affine | None = None) -> Path:
    transform = corner or Affine(PIXEL_M, 0, WEST, 0, -PIXEL_M, NORTH)
    height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=1, dtype="uint8", crs=crs, transform=transform
    ) as file:
        file.write(values, 1)
        file.set_band_description(1, path.stem.split("-")[0])
    return path


def _square(first: int, last: int) -> dict[str, Any]:
    from rasterio.warp import transform_geom

    west, east = WEST + first * PIXEL_M, WEST + last * PIXEL_M
    south = NORTH - SIDE * PIXEL_M
    ring = [(west, south), (east, south), (east, NORTH), (west, NORTH), (west, south)]
    found: dict[str, Any] = transform_geom("EPSG:3035", "EPSG:4326", {"type": "Polygon", "coordinates": [ring]})
    return found


def _area(*names: str) -> Polygons:
    features = [
        {"type": "Feature", "id": name, "properties": {"name": name}, "geometry": _square(*UNITS[name])}
        for name in names
    ]
    return parse_geojson({"type": "FeatureCollection", "features": features}, name="units")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    root: Path = tmp_path_factory.mktemp("layers")
    hub = root / "hub"
    hub.mkdir()
    for year, values in TREES.items():
        add_files(hub, [_write(root / "TCD-.tif", values)], collection_id="trees", datetime=str(year))
    for year, values in SEALED.items():
        add_files(hub, [_write(root / "IMD-.tif", values)], collection_id="sealed", datetime=str(year))
    add_files(hub, [_write(root / "FTY-.tif", CLASSES)], collection_id="woods", datetime="2018")
    add_files(hub, [_write(root / "XYZ-.tif", TREES[2018])], collection_id="unheard-of", datetime="2018")
    build_index(root / "index", embedding_model="none")
    with running_hub(hub) as url:
        yield Services(
            retriever=Retriever(root / "index", embedding_model="none"),
            stac_url=f"{url}/stac",
            openeo_url=f"{url}/openeo",
            workspace=Workspace(root / "artifacts"),
        )


def _ask(services: Services, layer: str, *names: str, **more: str | float) -> ToolResult:
    context = Context(today=date(2026, 9, 20), session_id="test", area=_area(*(names or ("West", "East"))))
    return Toolbox(services, context).layer_statistics(layer, "", **more)  # type: ignore[arg-type]  # test keywords


def _mean(values: Any, name: str) -> float:
    part = values[:, slice(*UNITS[name])]
    return float(part[part <= 100].mean())


@pytest.mark.parametrize(
    ("words", "year", "values"),
    [
        ("tree cover", "", TREES[2019]),
        ("tree cover density", "2018", TREES[2018]),
        ("TCD", "2018", TREES[2018]),
        ("trees", "2018", TREES[2018]),
        ("How sealed is the ground per parcel?", "", SEALED[2021]),
    ],
)
def test_the_mean_of_a_density_is_that_of_numpy(services: Services, words: str, year: str, values: Any) -> None:
    found = _ask(services, words, period=year)
    assert found.outcome == "ok"
    assert found.statistics is not None
    for row in found.statistics.rows:
        part = values[:, slice(*UNITS[row.label])]
        assert row.value == pytest.approx(_mean(values, row.label), abs=1e-4)
        assert (row.valid_pixels, row.total_pixels) == (int((part <= 100).sum()), part.size)
    first = max(("West", "East"), key=lambda name: _mean(values, name))
    assert f"1. {first}: {_mean(values, first):.2f} %" in found.data["finding"]


def test_polygons_of_a_layer_are_picked_and_their_share_is_told_in_hectares(services: Services) -> None:
    high, low = sorted(("West", "East"), key=lambda name: -_mean(TREES[2018], name))
    middle = (_mean(TREES[2018], high) + _mean(TREES[2018], low)) / 2
    found = _ask(services, "tree cover", period="2018", above=middle, rank="lowest")
    assert found.data["threshold"]["units"] == [high]
    assert [one["label"] for one in found.data["ranking"]["units"]] == [low, high]
    part = TREES[2018][:, slice(*UNITS[high])]
    hectares = part[part <= 100].sum() / 100 * PIXEL_M**2 / 10_000
    assert "The 2 lowest of 2 with a value, listed below." in found.data["finding"]
    first, second = re.findall(r"^(\d)\. (\w+): ([\d.]+) % × [\d.]+ ha = ([\d.]+) ha", found.data["finding"], re.M)
    assert first[:3] == ("1", low, f"{_mean(TREES[2018], low):.2f}")
    assert second[:2] == ("2", high)
    assert float(second[3]) == pytest.approx(hectares, abs=0.006)
    context = Context(today=date(2026, 9, 20), session_id="test")
    with pytest.raises(ToolInputError, match="of polygons"):
        Toolbox(services, context).layer_statistics("tree cover", "4.0, 48.6, 4.1, 48.7", rank="highest")


@pytest.mark.parametrize(
    ("ground", "within"),
    [
        ("> 30", lambda values: values > 30),
        (">= 30", lambda values: values >= 30),
        ("< 1 %", lambda values: values < 1),
        ("30 to 60", lambda values: (values >= 30) & (values <= 60)),
        ("> 30 and <= 60", lambda values: (values > 30) & (values <= 60)),
    ],
)
def test_ground_above_a_number_is_measured_in_hectares_as_by_numpy(
    services: Services, ground: str, within: Any
) -> None:
    found = _ask(services, "tree cover", period="2018", ground=ground)
    assert found.outcome == "ok"
    for unit in found.data["classes"]:
        part = TREES[2018][:, slice(*UNITS[unit["label"]])]
        valid = part <= 100  # 253 to 255 are no measurement, though above any number
        hectares = (valid & within(part)).sum() * PIXEL_M**2 / 10_000
        assert unit["wanted_ha"] == pytest.approx(hectares, abs=1e-6)
        assert unit["wanted_percent"] == pytest.approx(100 * within(part[valid]).mean())
        assert (unit["valid_pixels"], unit["total_pixels"]) == (int(valid.sum()), part.size)
        assert f"{unit['label']}: {hectares:.2f} ha, " in found.data["finding"]
    assert {one.kind for one in found.artifacts} >= {"map", "table", "raster"}


@pytest.mark.parametrize(
    ("layer", "more", "told"),
    [
        ("tree cover", {"ground": "> 100"}, "No value of the layer is above 100 %"),
        ("tree cover", {"ground": "a lot"}, "'a lot' is no threshold"),
        ("forest type", {"ground": "> 30"}, "holds classes"),
        ("tree cover", {"ground": "> 30", "period": "2018", "against": "2019"}, "of one year"),
    ],
)
def test_ground_that_no_value_can_have_is_refused(
    services: Services, layer: str, more: dict[str, str], told: str
) -> None:
    with pytest.raises(ToolInputError, match=told):
        _ask(services, layer, **more)
    if "100" in told:
        assert _ask(services, layer, ground=">= 100").outcome == "ok"


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        ("Share of forest in Metz", {311, 312, 313}),
        ("superfici agricole", {211, 212, 213, 221, 222, 223, 231, 241, 242, 243, 244}),
        ("broadleaved forest and vineyards", {311, 221}),
        ("Gains and losses of urban fabric", {111, 112}),
        ("non-irrigated arable land in Rennes", {211}),
        ("forêts de conifères et vignobles", {312, 221}),
        ("CORINE Land Cover", set()),
    ],
)
def test_the_classes_asked_for_are_those_whose_name_fits_best(words: str, codes: set[int]) -> None:
    corine = Rules("1", 1.0, 0.0, classes=tuple(load_catalogue().legend("clc_44").classes))
    assert set(wanted_codes(corine, words)) == codes


def test_classes_are_ranked_by_the_share_of_those_asked_for(services: Services) -> None:
    found = _ask(services, "broadleaved forest type", rank="highest")
    shares = {one["label"]: one["wanted_percent"] for one in found.data["classes"]}
    assert {one["label"]: one["value"] for one in found.data["ranking"]["units"]} == shares
    assert found.data["ranking"]["units"][0]["label"] == max(shares, key=lambda name: shares[name])


def test_the_reference_date_and_the_edition_are_told_and_the_map_has_the_official_colours(services: Services) -> None:
    found = _ask(services, "tree cover")
    assert "Reference date of the layer: 2019, the latest here. Also here: 2018." in found.text
    assert found.plan is not None
    assert found.plan.layer is not None
    assert found.plan.layer.edition_id == "clms_vlcc_tree-cover-density_europe_10m_yearly_v1"
    style = read_style(Path(next(one.path for one in found.artifacts if one.kind == "map")))
    assert style is not None
    assert (style.colormap, style.low, style.high) == ("tree-cover", 0, 100)  # the official colours


def test_a_year_that_is_not_here_is_told_with_those_that_are(services: Services) -> None:
    with pytest.raises(NoScenes) as caught:
        _ask(services, "tree cover", period="2022")
    assert caught.value.hint == "Here are: 2019, 2018."


def test_areas_of_classes_are_those_of_numpy(services: Services) -> None:
    found = _ask(services, "forest area")
    assert found.outcome == "ok"
    for unit in found.data["classes"]:
        part = CLASSES[:, slice(*UNITS[unit["label"]])]
        valid = int(np.isin(part, (0, 1, 2)).sum())
        assert (unit["valid_pixels"], unit["total_pixels"]) == (valid, part.size)
        areas = {one["code"]: one["area_ha"] for one in unit["classes"]}
        assert areas == pytest.approx({code: int((part == code).sum()) * 0.01 for code in (0, 1, 2)})
        assert sum(one["share_percent"] for one in unit["classes"]) == pytest.approx(100)
        assert unit["wanted"] == ["broadleaved forest", "coniferous forest"]
        assert unit["wanted_ha"] == pytest.approx(areas[1] + areas[2])
    assert "255 (outside area)" in found.text


def test_the_files_of_classes_hold_every_class_with_its_official_colour(services: Services) -> None:
    found = _ask(services, "forest area")
    assert {"map", "raster", "table", "vector", "graph", "script", "notebook", "provenance", "metadata"} <= {
        one.kind for one in found.artifacts
    }
    table = next(one for one in found.artifacts if one.title.startswith("Areas of classes"))
    with Path(table.path).open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 2 * 3
    legend = load_catalogue().legend("vlcc_fty10")
    assert {(line["code"], line["colour"]) for line in lines} == {(str(c.code), c.color) for c in legend.classes}
    vector = next(one for one in found.artifacts if one.kind == "vector")
    features = json.loads(Path(vector.path).read_text(encoding="utf-8"))["features"]
    assert [len(feature["properties"]["rows"]) for feature in features] == [3, 3]


@pytest.mark.parametrize("words", ["forest area", "tree cover"])
def test_the_script_finds_the_same_numbers(services: Services, words: str) -> None:
    import openeo

    found = _ask(services, words)
    script = next(one for one in found.artifacts if one.kind == "script")
    room: dict[str, Any] = {"__name__": "script"}
    exec(compile(Path(script.path).read_text(encoding="utf-8"), "script", "exec"), room)
    rows = room["run_again"](openeo.connect(room["URL"]), room["GRAPHS"], room["LABELS"], keep_empty=False)
    assert room["compare"](rows, room["EXPECTED"]).startswith("Same as the first run")
    assert found.statistics is not None
    assert len(rows) == len(found.statistics.rows)


def test_a_polygon_beyond_the_layer_is_not_covered_and_has_no_number(services: Services) -> None:
    found = _ask(services, "tree cover", "West", "Far")
    assert found.statistics is not None
    assert [(row.outcome, row.value is None) for row in found.statistics.rows] == [("ok", False), ("not_covered", True)]


def test_a_product_that_is_not_here_is_named_without_a_number(services: Services) -> None:
    found = _ask(services, "leaf area index")
    assert found.outcome == "not_covered"
    assert found.statistics is None
    assert "leaf-area-index" in found.text
    assert "hub add" in found.text


def test_editions_that_must_not_be_subtracted_are_refused_with_the_change_layer(services: Services) -> None:
    found = _ask(services, "imperviousness", period="2018", against="2021")
    assert (found.outcome, found.statistics) == ("not_run", None)
    assert found.data["change_product"] == "imd-change-2018-2021"
    rule = load_catalogue().comparability("imd-2018", "imd-2021", (2018, 2021))
    assert rule is not None
    assert rule.reason in found.text


def test_the_guard_holds_for_years_that_are_not_here(services: Services) -> None:
    found = _ask(services, "tree cover", period="2012", against="2018")
    assert found.outcome == "not_run"
    assert found.data["change_product"] == "tree-cover-change"


def test_years_of_one_series_are_subtracted_by_code(services: Services) -> None:
    found = _ask(services, "tree cover", period="2018", against="2019")
    assert found.outcome == "ok"
    assert found.statistics is not None
    assert found.statistics.unit == "percentage points"
    for row in found.statistics.rows:
        assert row.value == pytest.approx(_mean(TREES[2019], row.label) - _mean(TREES[2018], row.label), abs=1e-4)
    assert "These editions may be subtracted" in found.text


def test_the_same_year_twice_is_refused(services: Services) -> None:
    with pytest.raises(ToolInputError, match="no difference"):
        _ask(services, "tree cover", period="2018", against="2018")


def test_a_collection_of_no_known_product_says_so(services: Services) -> None:
    found = _ask(services, "unheard-of")
    assert found.outcome == "ok"
    assert any("file's own header" in one for one in found.warnings)


def test_too_many_pixels_are_refused_before_the_run(services: Services) -> None:
    with pytest.raises(TooLarge, match="more than is allowed"):
        _ask(replace(services, max_pixels=100), "tree cover")


@pytest.mark.parametrize(
    ("crs", "equal"), [("EPSG:3035", True), ("EPSG:6933", True), ("EPSG:32630", False), ("EPSG:4326", False)]
)
def test_equal_area_systems_are_known(crs: str, equal: bool) -> None:
    assert is_equal_area(crs) is equal


def test_classes_on_another_grid_are_measured_in_an_equal_area_one(services: Services, tmp_path: Path) -> None:
    from pyproj import Geod, Transformer
    from shapely.geometry import shape

    assert equal_area_epsg((14, 35, 15, 36)) == 3035
    assert equal_area_epsg((-53, 4, -52, 5)) == 6933
    geometry = _square(0, 20)
    # Degrees: pixels of 10 m near here, all of one class, well beyond the polygon.
    west, north = Transformer.from_crs(3035, 4326, always_xy=True).transform(WEST, NORTH)
    step = 10 / 111_320
    corner = Affine(step, 0, west - 40 * step, 0, -step, north + 40 * step)
    hub = services.workspace.root.parent / "hub"
    path = _write(tmp_path / "FTY-degrees.tif", np.ones((150, 150), "uint8"), "EPSG:4326", corner)
    name = "clms_vlcc_forest-type_europe_10m_3yearly_v1"
    add_files(hub, [path], collection_id=name, datetime="2017")
    context = Context(today=date(2026, 9, 20), session_id="test", area=_area("West"), collection_id=name)
    area = _area("West").model_copy(
        update={"collection": {"type": "FeatureCollection", "features": [
            {"type": "Feature", "id": "all", "properties": {"name": "all"}, "geometry": geometry}]}}
    )  # fmt: skip
    found = Toolbox(services, replace(context, area=area)).layer_statistics("forest", "")
    true_ha = abs(Geod(ellps="WGS84").geometry_area_perimeter(shape(geometry))[0]) / 1e4
    assert found.data["classes"][0]["wanted_ha"] == pytest.approx(true_ha, rel=0.02)
    assert "EPSG:3035" in found.text


def test_a_collection_is_known_by_what_it_says_then_by_id_band_and_title() -> None:
    catalogue = load_catalogue()
    trees = "clms_vlcc_tree-cover-density_europe_10m_yearly_v1"
    bands = {"summaries": {"bands": [{"name": "IMD"}]}}
    cases = [
        ({"id": trees, "title": "x"}, "tree-cover-density"),
        ({"id": "mine", "clms:product": "forest-type", **bands}, "forest-type"),
        ({"id": "mine", **bands}, "imperviousness"),
        ({"id": "mine", "title": "Imperviousness density of my town"}, "imperviousness"),
        ({"id": "mine", "title": "Frogs"}, None),
    ]
    for collection, expected in cases:
        product, basis = identify(catalogue, collection)
        assert (product.id if product else None) == expected, (collection, basis)


def test_a_layer_that_could_be_of_two_encodings_is_not_read_by_chance(services: Services, tmp_path: Path) -> None:
    hub = services.workspace.root.parent / "hub"
    change = _write(tmp_path / "IMC-.tif", np.full((SIDE, SIDE), 101, "uint8"))
    add_files(hub, [change], collection_id="change-of-some-years", datetime="2018")
    with pytest.raises(ToolInputError, match="stored in different ways"):
        _ask(services, "change-of-some-years")
    add_files(hub, [change], collection_id="imd-change-2018-2021", datetime="2018-01-01/2021-12-31")
    found = _ask(services, "imd-change-2018-2021")
    assert found.statistics is not None
    assert [row.value for row in found.statistics.rows] == [1.0, 1.0]
    assert "-100 to 100" in found.text


def test_the_offline_planner_calls_the_tool_and_the_answer_tells_its_finding(services: Services) -> None:
    from langchain_core.messages import HumanMessage

    from assistant import answers, conversation
    from assistant.planner import next_message

    question = "How sealed are my parcels?"
    calls = next_message([HumanMessage(question)], Toolbox.TOOLS).tool_calls
    assert [call["name"] for call in calls] == ["search_products", "layer_statistics"]
    context = Context(today=date(2026, 9, 20), session_id="test", area=_area("West", "East"))
    found = Toolbox(services, context).layer_statistics(**calls[1]["args"])
    told = answers.compose(conversation.read(question), [found])
    assert found.data["finding"] in told
    assert "Not run" not in told
    assert "cloud" not in told


def test_years_without_a_verified_rule_are_subtracted_and_told_so(services: Services, tmp_path: Path) -> None:
    hub = services.workspace.root.parent / "hub"
    corner = Affine(PIXEL_M, 0, WEST + 6000 * PIXEL_M, 0, -PIXEL_M, NORTH)
    for year, value in ((2012, 30), (2015, 20)):
        path = _write(tmp_path / "TCD-.tif", np.full((SIDE, SIDE), value, "uint8"), corner=corner)
        add_files(hub, [path], collection_id="old-trees", datetime=str(year))
    found = _ask(services, "tree cover", "Old", period="2015", against="2012")
    assert found.statistics is not None
    assert [row.value for row in found.statistics.rows] == [-10.0]
    assert found.data["comparable"] is None
    assert any("not verified" in one and "tree-cover-change" in one for one in found.warnings)
    assert found.estimate is not None
    assert found.estimate.scenes == 2


def test_a_layer_is_offered_only_where_the_archive_has_an_item_of_it(services: Services, tmp_path: Path) -> None:
    hub = services.workspace.root.parent / "hub"
    for column in (9000, 30_000):
        corner = Affine(PIXEL_M, 0, WEST + column * PIXEL_M, 0, -PIXEL_M, NORTH)
        values = np.full((SIDE, SIDE), 30, "uint8")
        add_files(hub, [_write(tmp_path / "DLT-.tif", values, corner=corner)], collection_id="types", datetime="2018")
    for there in (9000, 30_000, None):
        assert _offer(services, there).startswith("Statistics of this layer")
    assert _offer(services, 20_000).startswith("Its own layer is not in the archive in use for this place")


def test_a_layer_that_would_be_refused_is_not_offered(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.offers.KEPT_S", 0.001)  # the collections are listed anew
    hub, column = services.workspace.root.parent / "hub", 60_000
    corner = Affine(PIXEL_M, 0, WEST + column * PIXEL_M, 0, -PIXEL_M, NORTH)
    path = _write(tmp_path / "IMC-.tif", np.full((SIDE, SIDE), 3, "uint8"), corner=corner)
    add_files(hub, [path], collection_id="imd-change-2021-2024", datetime="2021-01-01/2024-12-31")
    told = _offer(services, column, "imperviousness-change")
    assert "is here, but it is not computed: How IMC is stored has not been verified" in told


def _offer(services: Services, column: int | None, product_id: str = "dominant-leaf-type") -> str:
    box = None
    if column is not None:
        from shapely.geometry import shape

        box = shape(_square(column, column + SIDE)).bounds
    product = services.retriever.catalogue.get(product_id)
    return make_offer(services, product, place="here", bbox=box, period="").text
