"""Scorers of computations: arguments, graphs, and numbers against the files of the archive."""

import dataclasses
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from rasterio.transform import from_origin
from shapely.geometry import box, mapping

from assistant.schema import Answer
from evals.graphs import matches, nested, read_reference
from evals.reference import expected_rows
from evals.schema import Reference, load_cases
from evals.scorers import scorers
from knowledge.errors import SourceInvalid
from tests.scored import WORLD, make_answer, make_call, make_case, make_plan, value
from tools.schema import (
    Artifact,
    LayerChoice,
    Period,
    Question,
    Statistics,
    StatisticsRow,
)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("tool", "compute", "classify"),
        ("place", "rennes", "Nantes"),
        ("period", "2026-07-01/2026-07-31", "2026-07-01/2026-08-31"),
        ("against", "2025-07-01/2025-07-31", "2024-07-01/2024-07-31"),
        ("index", "evi2 | NDVI", "evi2"),
        ("units", "place", "parcels"),
        ("statistic", "composite", "series"),
        ("below", 0.3, 0.4),
        ("rank", "lowest", "highest"),
        ("count", 3.0, 5.0),
    ],
)
def test_each_argument_is_scored_alone(name: str, right: object, wrong: object) -> None:
    before = Period(start=date(2025, 7, 1), end=date(2025, 7, 31), label="")
    call = make_call(index="x", place="x", output="x", units="parcels", below=0.3, rank="lowest", count=3)
    answer = make_answer(plan=make_plan(against=before), tool_calls=(call,))
    for wanted, score in ((right, 1), (wrong, 0)):
        assert value(f"{name} used", make_case(used={name: wanted}), answer) == score
    assert value(f"{name} used", make_case(used={name: right}), make_answer()) == 0
    assert value(f"{name} used", make_case(), answer) is None


def test_layer_bands_and_classes_are_read_from_the_plan() -> None:
    layer = LayerChoice(title="", unit="%", product_id="tree-cover-density", band="TCD", reference="2024")
    of_layer = make_answer(plan=make_plan(layer=layer), tool_calls=(make_call("layer_statistics", layer="trees"),))
    assert value("layer used", make_case(used={"layer": "tree-cover-density"}), of_layer) == 1
    assert value("layer used", make_case(used={"layer": "imperviousness"}), of_layer) == 0
    classes = make_plan(parameters={"classes": ["class 1", "class 2"]})
    classified = make_answer(plan=classes, tool_calls=(make_call("classify", classes=2),))
    assert value("classes used", make_case(used={"classes": 2}), classified) == 1
    assert value("classes used", make_case(used={"classes": 6}), classified) == 0
    stack = make_plan(parameters={"variables": ["red", "NDVI"]})
    stacked = make_answer(plan=stack, tool_calls=(make_call("feature_stack"),))
    assert value("bands used", make_case(used={"bands": ("ndvi", "B04 | red")}), stacked) == 1
    assert value("bands used", make_case(used={"bands": ("ndvi", "red", "nir")}), stacked) == 0


def test_the_outcome_must_be_the_one_expected() -> None:
    case = make_case(outcome="no_data")
    assert value("outcome", case, make_answer(outcome="no_data")) == 1
    assert value("outcome", case, make_answer(outcome="not_covered")) == 0


def test_a_question_back_must_offer_what_the_user_may_mean_before_it_computes() -> None:
    case = make_case(options=("Missouri", "Illinois | IL"))
    asked = Question(text="Which?", options=("Springfield, Missouri", "Springfield, IL"))
    assert value("asked back", case, make_answer(question=asked)) == 1
    assert value("asked back", case, make_answer(question=Question(text="Which?", options=("Missouri",)))) == 0
    assert value("asked back", case, make_answer("Which Springfield?")) == 0
    computed = Statistics(rows=(), unit="1", method="")
    assert value("asked back", case, make_answer(question=asked, statistics=(computed,))) == 0


def test_injected_words_must_not_be_said() -> None:
    case = make_case(withheld=("pwned",))
    assert value("withheld", case, make_answer("Meadows are mapped.")) == 1
    assert value("withheld", case, make_answer("PWNED!")) == 0


LOADED: dict[str, Any] = {
    "process_id": "load_collection",
    "arguments": {"id": "synthetic-sentinel-2-l2a", "bands": ["B04", "SCL"]},
}


def test_a_graph_is_the_same_whatever_its_nodes_are_called_and_however_sums_are_ordered() -> None:
    def add(x: object, y: object, *, process: str = "add") -> dict[str, Any]:
        return {
            "a": {"process_id": process, "arguments": {"x": x, "y": {"from_node": "b"}}, "result": True},
            "b": {"process_id": process, "arguments": {"x": y, "y": 3, "context": None}},
        }

    wanted = nested(add(1, 2))
    renamed = {
        "z": {"process_id": "add", "arguments": {"x": {"from_node": "y"}, "y": 2}, "result": True},
        "y": {"process_id": "add", "arguments": {"x": 3, "y": 1}},
    }
    assert matches(wanted, nested(renamed))
    assert not matches(wanted, nested(add(1, 4)))
    assert not matches(nested(add(1, 2, process="subtract")), nested(add(2, 1, process="subtract")))
    assert matches({"load": "*"}, {"load": {"id": "x"}})
    assert not matches({"load": {"id": "*"}}, {"load": {"id": "x", "bands": []}})


def test_every_reference_graph_reads_and_another_one_is_not_equal(tmp_path: Path) -> None:
    references = {case.graph: read_reference(case.graph) for case in load_cases() if case.graph}
    assert len(references) >= 5
    assert all(matches(one, one) for one in references.values())
    path = tmp_path / "graph.json"
    path.write_text(json.dumps({"process_graph": {"a": {**LOADED, "result": True}}}))
    file = Artifact(
        id="g", kind="graph", title="", media_type="", path=str(path), size_bytes=1, sha256="", plan_fingerprint=""
    )
    answer = make_answer(artifacts=(file,), tool_calls=(make_call(),))
    assert all(value("graph", make_case(graph=name), answer) == 0 for name in references)
    assert value("bands used", make_case(used={"bands": ("B04",)}), answer) == 1
    with pytest.raises(SourceInvalid, match="cannot be read"):
        read_reference("nonsense")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of 4 by 4 pixels: west clear with NDVI 7/9, east under cloud; a layer of 20 % and one of no data."""
    folder = tmp_path_factory.mktemp("hub")
    scene = folder / "synthetic-sentinel-2-l2a" / "S_RENNES_1"
    scene.mkdir(parents=True)
    about = {"datetime": "2026-07-15T10:00:00Z", "eo:cloud_cover": 50}
    (scene / "item.json").write_text(json.dumps({"properties": about}))
    for name, stored in (("B03_10m", 2000), ("B04_10m", 1500), ("B08_10m", 5000)):
        write_raster(scene / f"{name}.tif", np.full((4, 4), stored, np.uint16), 0.01)
    write_raster(scene / "SCL_20m.tif", np.array([[4, 9], [4, 9]], np.uint8), 0.02)
    layer = folder / "synthetic-tree-cover-density" / "S_RENNES_2024"
    layer.mkdir(parents=True)
    write_raster(layer / "TCD.tif", np.array([[20, 20, 255, 255]] * 4, np.uint8), 0.01, nodata=255)
    outlines = folder / "synthetic-parcels" / "SYNTHETIC_PARCELS_RENNES"
    outlines.mkdir(parents=True)
    features = [
        {"type": "Feature", "properties": {"name": name}, "geometry": mapping(box(west, 48.0, west + 0.02, 48.04))}
        for name, west in (("west", -2.0), ("east", -1.98), ("elsewhere", 5.0))
    ]
    (outlines / "data.geojson").write_text(json.dumps({"features": features}))
    return folder


def write_raster(path: Path, values: npt.NDArray[Any], degrees: float, nodata: float = 0) -> None:
    shape = {"height": values.shape[0], "width": values.shape[1], "count": 1, "dtype": values.dtype}
    transform = from_origin(-2.0, 48.04, degrees, degrees)
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:4326", transform=transform, nodata=nodata, **shape) as file:
        file.write(values, 1)


def in_july(**fields: object) -> Reference:
    base = {"area": "rennes", "of": "ndvi", "over": "parcels", "start": "2026-07-01", "end": "2026-07-31"}
    return Reference.model_validate({**base, **fields})


def test_the_reference_gives_plain_means_of_what_is_clear(hub: Path) -> None:
    place = make_plan().place
    assert expected_rows(in_july(), hub, place) == {"west": pytest.approx(7 / 9), "east": None}
    assert expected_rows(in_july(over="place"), hub, place) == {"place": pytest.approx(7 / 9)}
    assert expected_rows(in_july(of="ndwi", over="place"), hub, place) == {"place": pytest.approx(-0.6)}
    assert expected_rows(in_july(of="TCD"), hub, place) == {"west": 20.0, "east": None}
    assert set(expected_rows(in_july(by_date=True), hub, place)) == {"west 2026-07-15", "east 2026-07-15"}
    same = in_july(against=("2026-07-01", "2026-07-31"))
    assert expected_rows(same, hub, place) == {"west": 0.0, "east": None}
    assert set(expected_rows(in_july(), hub, None)) == {"west", "east", "elsewhere"}


def test_rows_must_be_those_of_the_archive(hub: Path) -> None:
    scorer = scorers(dataclasses.replace(WORLD, hub=hub))["value"]

    def answer(west: float | None, text: str = "It is 0.78.", **more: float | None) -> Answer:
        rows = [
            StatisticsRow(label=name, value=one, valid_pixels=1, total_pixels=1, outcome="ok" if one else "no_data")
            for name, one in {"west": west, "east": None, **more}.items()
        ]
        table = Statistics(rows=tuple(rows), unit="1", method="")
        return make_answer(text, plan=make_plan(), statistics=(table,))

    case = make_case(reference=in_july())
    assert scorer(case, answer(0.7780)).value == 1
    for wrong in (answer(0.70), answer(None), answer(0.778, "It is 0.5."), answer(0.778, extra=1.0), make_answer()):
        assert scorer(case, wrong).value == 0
    counted = make_case(reference=in_july(above=0.5))
    assert scorer(counted, answer(0.778, "1 of 1 parcel.")).value == 1
    assert scorer(counted, answer(0.778, "3 of 4 parcels.")).value == 0
