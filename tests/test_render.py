"""Maps and charts: readable pictures, honest about no data and invented data."""

from contextvars import copy_context
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from matplotlib.image import imread
from rasterio.warp import transform_geom

from assistant.phrases import translate
from tools.charts import render_chart
from tools.errors import JobFailed
from tools.figures import add_footer, add_watermark, new_figure
from tools.render import NDVI_RANGE, render_map, short_names
from tools.schema import Output, Period, Place, Plan, Polygons, Statistics, StatisticsRow
from tools.spoken import speak, spoken
from tools.workspace import Workspace

SOURCE = "Contains modified Copernicus Sentinel data 2026. Places: GeoNames, CC BY 4.0."


def make_plan(output: Output, polygons: Polygons | None = None) -> Plan:
    place = Place(
        name="Rennes", kind="city", bbox=(-1.71, 48.09, -1.64, 48.14), area_km2=26.0, source="GeoNames, CC BY 4.0"
    )
    period = Period(start=date(2026, 6, 1), end=date(2026, 8, 31), label="summer 2026")
    return Plan(recipe_id="ndvi", collection_id="fields", output=output, place=place, polygons=polygons, period=period)


def make_polygons(names: list[str]) -> Polygons:
    features = []
    for number, name in enumerate(names):
        x, y = 597_500 + 1_100 * (number % 4), 5_331_000 - 1_000 * (number // 4)
        ring = [(x, y), (x + 800, y + 100), (x + 700, y - 600), (x, y - 500), (x, y)]
        square = {"type": "Polygon", "coordinates": [ring]}
        geometry: dict[str, Any] = transform_geom("EPSG:32630", "EPSG:4326", square)
        features.append({"type": "Feature", "id": str(number), "geometry": geometry, "properties": {"name": name}})
    return Polygons(
        name="Parcels", source="parcels.geojson", collection={"type": "FeatureCollection", "features": features}
    )


def write_raster(path: Path, size: int = 512) -> Path:
    y, x = np.mgrid[0:size, 0:size]
    values = (0.45 + 0.4 * np.sin(x / 40) * np.cos(y / 55)).astype("float32")
    values[60:140, 300:420] = np.nan
    profile = {"driver": "GTiff", "width": size, "height": size, "count": 1, "dtype": "float32", "nodata": np.nan}
    transform = Affine(10, 0, 597_000, 0, -10, 5_332_000)
    with rasterio.open(path, "w", crs="EPSG:32630", transform=transform, **profile) as target:
        target.write(values, 1)
    return path


def rows_for(names: list[str]) -> Statistics:
    rows = tuple(
        StatisticsRow(label=name, value=0.8 - 0.07 * n, valid_pixels=90 - n, total_pixels=100, outcome="ok")
        if n != 2
        else StatisticsRow(label=name, value=None, valid_pixels=0, total_pixels=100, outcome="no_data")
        for n, name in enumerate(names)
    )
    return Statistics(rows=rows, unit="1", method="mean of pixel centres")


def pixels(path: str) -> np.ndarray[Any, Any]:
    return np.moveaxis((imread(path) * 255).round().astype("uint8"), -1, 0)


def test_a_map_shows_no_data_in_grey_and_says_when_data_are_invented(tmp_path: Path) -> None:
    names = [f"Parcel {n}" for n in range(6)]
    plan = make_plan("per_polygon", make_polygons(names))
    raster = write_raster(tmp_path / "ndvi.tif")
    pictures = [
        render_map(
            Workspace(tmp_path / "out"),
            raster,
            plan,
            unit="1",
            value_range=NDVI_RANGE,
            colormap="viridis",
            title="NDVI around Rennes: costs $5 & $6",
            statistics=rows_for(names),
            synthetic=synthetic,
            source_line=SOURCE,
        )
        for synthetic in (False, True)
    ]
    real, invented = (pixels(picture.path) for picture in pictures)
    assert pictures[0].kind == "map"
    assert pictures[0].title.startswith("Map: NDVI around Rennes")
    assert real.shape[1] > 600
    assert (np.all(real[:3] == 0xD9, axis=0)).sum() > 1000
    assert real.shape == invented.shape
    assert not np.array_equal(real, invented)


def test_the_colours_do_not_depend_on_the_values_shown(tmp_path: Path) -> None:
    plan, workspace = make_plan("composite"), Workspace(tmp_path / "out")
    drawn = []
    for top in (0.5, 0.9):
        path = tmp_path / f"{top}.tif"
        values = np.full((1, 20, 20), 0.3, "float32")
        values[0, 0, 0] = top
        transform = Affine(10, 0, 597_000, 0, -10, 5_332_000)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=20,
            height=20,
            count=1,
            dtype="float32",
            crs="EPSG:32630",
            transform=transform,
        ) as target:
            target.write(values)
        picture = render_map(
            workspace, path, plan, unit="NDVI", value_range=NDVI_RANGE, colormap="viridis", title="t",
            synthetic=False, source_line=SOURCE,
        )  # fmt: skip
        image = pixels(picture.path)
        drawn.append(image[:, image.shape[1] // 2, image.shape[2] // 3])
    assert np.array_equal(drawn[0], drawn[1])


def test_a_broken_raster_is_told_in_words(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"not a raster")
    with pytest.raises(JobFailed, match="GeoTIFF"):
        render_map(
            Workspace(tmp_path / "out"), broken, make_plan("composite"), unit="NDVI", value_range=NDVI_RANGE,
            colormap="viridis", title="t", synthetic=False, source_line=SOURCE,
        )  # fmt: skip


@pytest.mark.parametrize("output", ["series", "per_polygon"])
def test_a_chart_is_drawn_for_dates_and_for_units(tmp_path: Path, output: Output) -> None:
    names = [f"Parcel {n}" for n in range(9)]
    statistics = rows_for(names)
    if output == "series":
        rows = tuple(
            StatisticsRow(
                label=name, date=f"2026-{month:02}-15", value=0.2 + 0.05 * month - 0.03 * n, valid_pixels=month * 8,
                total_pixels=100, outcome="ok",
            )
            for month in range(3, 11)
            for n, name in enumerate(names)
        )  # fmt: skip
        statistics = statistics.model_copy(update={"rows": rows})
    artifact = render_chart(
        Workspace(tmp_path), statistics, make_plan(output), title="NDVI", synthetic=True, source_line=SOURCE
    )
    assert artifact.kind == "chart"
    assert artifact.title == "Chart: NDVI"
    assert artifact.media_type == "image/png"
    assert Path(artifact.path).read_bytes().startswith(b"\x89PNG")


def test_labels_leave_out_the_words_that_all_names_share() -> None:
    assert short_names(["Demo parcel R01", "Demo parcel R02"]) == ["R01", "R02"]
    assert short_names(["North field", "South field"]) == ["North field", "South field"]
    assert short_names(["Field", "Field"]) == ["Field", "Field"]
    assert short_names(["Field 1"]) == ["Field 1"]


def test_no_chart_is_drawn_of_nothing(tmp_path: Path) -> None:
    row = StatisticsRow(label="Rennes", value=None, valid_pixels=0, total_pixels=9, outcome="no_data")
    statistics = Statistics(rows=(row,), unit="NDVI", method="mean")
    with pytest.raises(JobFailed, match="no value"):
        render_chart(
            Workspace(tmp_path), statistics, make_plan("composite"), title="t", synthetic=False, source_line=SOURCE
        )


def test_a_picture_speaks_the_language_of_who_asked_for_it() -> None:
    def draw() -> tuple[str, str]:
        speak("fr", partial(translate, language="fr"))
        figure, axes = new_figure(4, 3)
        add_footer(figure, "Grey: no data.")
        add_watermark(axes, faint=True)
        return figure.get_supxlabel(), axes.texts[0].get_text()

    assert copy_context().run(draw) == ("Gris : pas de données.", "DONNÉES SYNTHÉTIQUES")
    assert spoken("Grey: no data.") == "Grey: no data."
