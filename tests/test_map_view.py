"""The map beside the chat: layers in the colours of their pictures, polygons with their numbers."""

from io import BytesIO
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from fastapi import FastAPI
from fastapi.testclient import TestClient
from matplotlib import colormaps
from PIL import Image

from assistant.settings import Settings
from knowledge.catalogue import load_catalogue
from knowledge.ramps import load_ramps, ramp_of
from knowledge.schema import LegendClass
from tests.web.script import computed
from tools.map_style import MapStyle
from tools.render import render_classes, render_map, render_true_colour
from tools.schema import Artifact, Period, Plan
from tools.workspace import Workspace
from ui.map_view import map_layers, map_units, map_value
from ui.page_api import page_router
from ui.panels import result_html


def _raster(workspace: Workspace, values: "np.ndarray[tuple[int, int], np.dtype[np.float32]]", plan: Plan) -> Artifact:
    """Write a GeoTIFF north-up at Rennes, 0.0005 degrees a pixel."""
    with workspace.new("raster", "GeoTIFF", "image/tiff", ".tif", plan.fingerprint) as draft:
        height, width = values.shape
        profile = {"driver": "GTiff", "width": width, "height": height, "count": 1, "dtype": "float32"}
        shape = {"crs": "EPSG:4326", "transform": Affine(0.0005, 0, -1.7, 0, -0.0005, 48.1), "nodata": np.nan}
        with rasterio.open(draft.path, "w", **profile, **shape) as target:
            target.write(values, 1)
    return draft.artifact


def drawn(workspace: Workspace, title: str = "NDVI") -> tuple[Artifact, Artifact]:
    """Make a map of four columns from 0 to 0.75, the last without data, and its GeoTIFF."""
    plan = computed().plan
    assert plan is not None
    values = np.tile(np.repeat(np.array([0, 0.25, 0.5, np.nan], "float32"), 20), (80, 1))
    raster = _raster(workspace, values, plan)
    about = {"unit": "1", "value_range": (0.0, 1.0), "colormap": "RdYlGn", "title": title, "source_line": "Source <x>."}
    return render_map(workspace, Path(raster.path), plan, synthetic=True, **about), raster


def test_a_layer_has_the_colours_of_its_picture_and_is_clear_without_data(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    workspace = Workspace(settings.artifacts_dir)
    picture, raster = drawn(workspace)
    app = FastAPI()
    app.include_router(page_router(settings))
    client = TestClient(app)
    image = np.asarray(Image.open(BytesIO(client.get(f"/maps/{picture.id}.png").content)))
    middle, step = image.shape[0] // 2, image.shape[1] // 4
    shown = [tuple(image[middle, step * column + step // 2]) for column in range(4)]
    assert shown[:3] == [tuple(colormaps["RdYlGn"](value, bytes=True)) for value in (0.0, 0.25, 0.5)]
    assert shown[3][3] == 0
    (layer,) = map_layers([picture, raster], workspace)
    assert np.allclose(layer["bounds"], [[48.06, -1.7], [48.1, -1.66]], atol=0.0006)
    assert (layer["low"], layer["high"], layer["source"], layer["synthetic"]) == ("0", "1", "Source <x>.", True)


def test_classes_keep_their_official_colours(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    workspace, plan = Workspace(settings.artifacts_dir), computed().plan
    assert plan is not None
    raster = _raster(workspace, np.full((8, 8), 3, "float32"), plan)
    classes = (LegendClass(code=3, label="Forest <b>", color="#12ab34"), LegendClass(code=4, label="Sea", color="#00f"))
    picture = render_classes(
        workspace, Path(raster.path), plan, classes=classes, title="Cover", synthetic=False, source_line="Source."
    )
    (layer,) = map_layers([picture], workspace)
    assert layer["classes"] == [{"label": "Forest <b>", "color": "#12ab34"}]
    app = FastAPI()
    app.include_router(page_router(settings))
    image = Image.open(BytesIO(TestClient(app).get(f"/maps/{picture.id}.png").content))
    assert image.getpixel((image.width // 2, image.height // 2)) == (0x12, 0xAB, 0x34, 255)


def test_a_map_on_the_map_is_folded_as_a_picture(tmp_path: Path) -> None:
    picture, raster = drawn(Workspace(tmp_path))
    assert "<details><summary>The map as a picture" in result_html("q", [picture, raster], None, on_map=[picture.id])
    assert "The map as a picture" not in result_html("q", [picture, raster], None)


def test_polygons_say_no_value_where_there_is_none_and_are_coloured_by_the_others() -> None:
    units = map_units(computed(), [], "en")
    assert units is not None
    first, second = (one["properties"] for one in units["collection"]["features"])
    assert (first["tip"], second["tip"]) == ("P1 <b>: 0", "P2: no value (no data)")
    assert first["color"]
    assert second["color"] == ""
    assert first["rows"] == [["0", "75 of 100"]]


def test_a_difference_parts_gain_from_loss_at_zero() -> None:
    answer = computed()
    assert answer.plan is not None
    earlier = Period.model_validate({"start": "2024-06-01", "end": "2024-08-31", "label": "last summer"})
    rows = tuple(
        row.model_copy(update={"value": value, "outcome": "ok"})
        for row, value in zip(answer.statistics[0].rows, (-0.1, 0.4), strict=True)
    )
    statistics = answer.statistics[0].model_copy(update={"rows": rows})
    plan = answer.plan.model_copy(update={"against": earlier})
    units = map_units(answer.model_copy(update={"plan": plan, "statistics": (statistics,)}), [], "en")
    assert units is not None
    (loss, gain) = (bytes.fromhex(one["properties"]["color"][1:]) for one in units["collection"]["features"])
    assert loss[0] > loss[2]
    assert gain[0] < gain[2]
    assert (units["ramp"]["low"], units["ramp"]["high"]) == ("-0.4", "0.4")


def test_the_credit_of_an_online_background_is_no_markup() -> None:
    assert map_value("fr", "s", tiles=("https://t/{z}", "<b>"))["tiles_credit"] == "&lt;b&gt;"


def test_only_the_pages_own_files_and_known_maps_are_given(tmp_path: Path) -> None:
    app = FastAPI()
    app.include_router(page_router(Settings(data_dir=tmp_path)))
    client = TestClient(app, raise_server_exceptions=False)
    assert client.get("/page/leaflet.js").text.startswith("/* @preserve\n * Leaflet 1.9")
    for path in ("/page/words.yaml", "/page/..%2Fmap.js", f"/maps/{'0' * 32}.png", "/maps/..%2Fx.png"):
        assert client.get(path).status_code in (404, 500)


def test_a_true_colour_layer_mixes_three_bands_and_is_clear_where_one_lacks(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    workspace, plan = Workspace(settings.artifacts_dir), computed().plan
    assert plan is not None
    raster = _raster(workspace, np.zeros((8, 8), "float32"), plan)
    blue, green, red = (np.full((8, 8), value, "float32") for value in (0.05, 0.1, 0.2))
    green[:, 4:] = np.nan
    with rasterio.open(raster.path) as source:
        profile = {**source.profile, "count": 3}
    with rasterio.open(raster.path, "w", **profile) as target:
        target.write(np.stack([blue, green, red]))
    about = {"title": "True colour", "synthetic": False, "source": "Source."}
    picture = render_true_colour(workspace, Path(raster.path), plan, bands=(3, 2, 1), **about)
    app = FastAPI()
    app.include_router(page_router(settings))
    image = np.asarray(Image.open(BytesIO(TestClient(app).get(f"/maps/{picture.id}.png").content)))
    row, columns = image.shape[0] // 2, image.shape[1]
    assert tuple(image[row, columns // 4]) == (255, 128, 64, 255)
    assert image[row, 3 * columns // 4, 3] == 0
    (layer,) = map_layers([picture], workspace)
    assert (layer["mixed"], layer["ramp"], layer["classes"]) == (True, [], [])


def test_official_ramps_are_of_layers_in_the_catalogue_and_keep_their_colours_at_their_values() -> None:
    products = {one.id: one for one in load_catalogue().products}
    for name, ramp in load_ramps().items():
        values = [value for value, _ in ramp.stops]
        assert values == sorted(values), name
        for product_id, variables in ramp.layers.items():
            there = {v.name for edition in products[product_id].editions for v in edition.variables}
            assert set(variables) <= there, name
            assert all(ramp_of(product_id, one) == name for one in variables)
    style = MapStyle(raster_id="", title="", dates="", source="", colormap="tree-cover", low=0, high=100)
    ramp = style.ramp()
    assert (ramp[0], ramp[10], ramp[-1]) == ("#f0f0f0", "#4ce600", "#1c5c24")
    assert ramp_of("tree-cover-density", "TCDCL") is None
