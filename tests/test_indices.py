"""Any index whose bands a collection has: formulas read safely, and the numbers those of plain numpy."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import spyndex
from affine import Affine
from numpy.typing import NDArray
from rasterio.warp import transform_bounds

from assistant import conversation
from knowledge.ingest import build_index
from knowledge.retrieval import Retriever
from tools import formulas, indices
from tools.areas import parse_geojson
from tools.errors import Ambiguous, ToolInputError
from tools.hub.add import add_files
from tools.hub.server import running_hub
from tools.indices import get_recipe
from tools.layers import Layer, Layers
from tools.schema import Polygons, ToolResult
from tools.toolbox import Context, Services, Toolbox
from tools.workspace import Workspace

Values = NDArray[np.float64]
SIZE, LEFT, TOP = 12, 600_000, 5_330_000
BANDS = ("B02", "B03", "B04", "B05", "B08", "B11", "B12")
SYMBOLS = dict(zip(BANDS, ("B", "G", "R", "RE1", "N", "S1", "S2"), strict=True))
COARSE = ("B05", "B11", "B12")
DAYS = ("2025-05-04", "2025-05-14", "2025-05-24")
SCALE, OFFSET = 0.0001, -0.1


def write(path: Path, values: NDArray[Any], size: float) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1, dtype=values.dtype, nodata=0,
        crs="EPSG:32630", transform=Affine(size, 0, LEFT, 0, -size, TOP),
    ) as target:  # fmt: skip
        target.write(values, 1)
    return path


class Fields:
    """Three dates of seven bands: the stored numbers, and what they mean."""

    def __init__(self, folder: Path) -> None:
        random = np.random.default_rng(11)
        self.reflectance: dict[str, list[Values]] = {symbol: [] for symbol in SYMBOLS.values()}
        self.clear: list[NDArray[np.bool_]] = []
        self.files: list[tuple[str, list[Path]]] = []
        for day in DAYS:
            files = []
            for name in BANDS:
                size = SIZE // 2 if name in COARSE else SIZE
                # Below 1000 is no reflectance; blue is low, so that EVI divides by nothing near zero.
                stored = random.integers(900, 1800 if name == "B02" else 6000, (size, size)).astype("uint16")
                files.append(write(folder / f"{day}_{name}.tif", stored, 10 * SIZE / size))
                full = stored.repeat(SIZE // size, 0).repeat(SIZE // size, 1)
                self.reflectance[SYMBOLS[name]].append(full * SCALE + OFFSET)
            classes = random.choice([4, 5, 9], (SIZE, SIZE)).astype("uint16")
            self.clear.append(classes != 9)
            files.append(write(folder / f"{day}_SCL.tif", classes, 10))
            self.files.append((day, files))

    def values(self, formula: Callable[..., Values], *symbols: str) -> Values:
        """Give an index for each date and pixel, nothing where masked or where a reflectance is below zero."""
        with np.errstate(all="ignore"):
            found = [formula(*(self.reflectance[one][day] for one in symbols)) for day in range(len(DAYS))]
        known = [np.all([self.reflectance[one][day] >= 0 for one in symbols], axis=0) for day in range(len(DAYS))]
        return np.where(np.array(known) & np.array(self.clear), found, np.nan)


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Fields:
    return Fields(tmp_path_factory.mktemp("pixels"))


@pytest.fixture(scope="module")
def services(fields: Fields, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    root = tmp_path_factory.mktemp("indices")
    for day, files in fields.files:
        add_files(root / "hub", files, collection_id="s2", datetime=day, scale=SCALE, offset=OFFSET)
        bare = [path for path in files if path.stem[-3:] in ("B04", "B08")]
        add_files(root / "hub", bare, collection_id="raw", datetime=day)
        add_files(root / "hub", bare, collection_id="rednir", datetime=day, scale=SCALE, offset=OFFSET)
    power = np.random.default_rng(3).uniform(0.01, 0.4, (2, SIZE, SIZE)).astype("float32")
    for collection, values in (
        ("s1", power),
        ("decibels", 10 * np.log10(power)),
        ("counts", (power * 1e4).astype("uint16")),
    ):
        names = [root / f"{collection}_{name}.tif" for name in ("VV", "VH")]
        for path, band in zip(names, values, strict=True):
            write(path, band, 10)
        add_files(root / "hub", names, collection_id=collection, datetime=DAYS[0])
    np.save(root / "power.npy", power)
    build_index(root / "index", embedding_model="none")
    with running_hub(root / "hub") as url:
        retriever = Retriever(root / "index", embedding_model="none")
        yield Services(retriever, f"{url}/stac", f"{url}/openeo", Workspace(root / "artifacts"))


def halves() -> Polygons:
    """The western and the eastern half, a little inside."""
    features = []
    for name, left in (("West", LEFT), ("East", LEFT + 60)):
        west, south, east, north = transform_bounds("EPSG:32630", "EPSG:4326", left, TOP - 120, left + 60, TOP)
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        polygon = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"name": name}, "geometry": polygon})
    return parse_geojson({"type": "FeatureCollection", "features": features}, name="halves")


def compute(services: Services, index: str, output: str, collection: str = "s2") -> ToolResult:
    context = Context(today=date(2025, 9, 10), session_id="t", area=halves(), collection_id=collection)
    return Toolbox(services, context).compute(index, "", "May 2025", output)  # type: ignore[arg-type]


REFERENCE: dict[str, tuple[Callable[..., Values], tuple[str, ...]]] = {
    "NDVI": (lambda n, r: (n - r) / (n + r), ("N", "R")),
    "EVI": (lambda n, r, b: 2.5 * (n - r) / (n + 6 * r - 7.5 * b + 1), ("N", "R", "B")),
    "FAI": (lambda n, r, s: n - r - (s - r) * (832.8 - 664.6) / (1613.7 - 664.6), ("N", "R", "S1")),
    "SAVI": (lambda n, r: 1.5 * (n - r) / (n + r + 0.5), ("N", "R")),
    "MSAVI": (lambda n, r: (2 * n + 1 - np.sqrt((2 * n + 1) ** 2 - 8 * (n - r))) / 2, ("N", "R")),
    "kNDVI": (lambda n, r: np.tanh(((n - r) / (n + r)) ** 2), ("N", "R")),
    "BSI": (lambda s, r, n, b: (s + r - n - b) / (s + r + n + b), ("S1", "R", "N", "B")),
    "NDWI": (lambda g, n: (g - n) / (g + n), ("G", "N")),
    "NDMI": (lambda n, s: (n - s) / (n + s), ("N", "S1")),
    "NBR": (lambda n, s: (n - s) / (n + s), ("N", "S2")),
    "NDREI": (lambda n, e: (n - e) / (n + e), ("N", "RE1")),
    "NDRE": (lambda n, e: (n - e) / (n + e), ("N", "RE1")),
}


@pytest.mark.parametrize("index", REFERENCE)
def test_the_map_is_the_one_of_plain_numpy(services: Services, fields: Fields, index: str) -> None:
    formula, symbols = REFERENCE[index]
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="All-NaN"):
        expected = np.nanmedian(fields.values(formula, *symbols), axis=0)
    found = compute(services, index, "composite")
    raster = next(artifact for artifact in found.artifacts if artifact.kind == "raster")
    with rasterio.open(raster.path) as source:
        window = source.window(LEFT, TOP - 120, LEFT + 120, TOP)
        pixels = source.read(1, window=window, boundless=True, masked=True).astype("float64").filled(np.nan)
    assert pixels.shape == expected.shape
    np.testing.assert_allclose(pixels, expected, atol=2e-6)


@pytest.mark.parametrize("index", ["SAVI", "EVI", "NDMI"])
def test_polygons_and_dates_have_the_means_of_plain_numpy(services: Services, fields: Fields, index: str) -> None:
    formula, symbols = REFERENCE[index]
    values = fields.values(formula, *symbols)
    with pytest.warns(RuntimeWarning, match="All-NaN"):
        composite = np.nanmedian(values, axis=0)
    found = compute(services, index, "per_polygon").statistics
    assert found is not None
    expected = [np.nanmean(composite[:, :6]), np.nanmean(composite[:, 6:])]
    assert [row.value for row in found.rows] == pytest.approx(expected, abs=1e-6)
    series = compute(services, index, "series").statistics
    assert series is not None
    by_date = [np.nanmean(day[:, half]) for day in values for half in (slice(0, 6), slice(6, 12))]
    assert [row.value for row in series.rows] == pytest.approx(by_date, abs=1e-6)


def test_the_method_tells_formula_bands_constants_and_reference(services: Services) -> None:
    found = compute(services, "evi", "per_polygon")
    assert found.statistics is not None
    method = found.statistics.method
    assert "blue = B02" in method
    assert "g = 2.5, C1 = 6, C2 = 7.5, L = 1 (the defaults of spyndex)" in method
    assert "Enhanced Vegetation Index: https://doi.org/10.1016/S0034-4257(96)00112-5" in method
    assert any("20 m are combined" in warning for warning in compute(services, "NDMI", "per_polygon").warnings)


def test_radar_indices_are_computed_from_linear_power_and_from_nothing_else(services: Services) -> None:
    vv, vh = np.load(services.workspace.root.parent / "power.npy").astype("float64")
    index = 4 * vh / (vv + vh)
    found = compute(services, "DpRVIVV", "per_polygon", collection="s1")
    assert found.statistics is not None
    expected = [index[:, :6].mean(), index[:, 6:].mean()]
    assert [row.value for row in found.statistics.rows] == pytest.approx(expected, abs=1e-6)
    assert not any("cloud" in warning for warning in found.warnings)
    for collection, complaint in (("decibels", "mean of VV -"), ("counts", "publishes no scale")):
        with pytest.raises(ToolInputError, match=f"DpRVIVV needs backscatter as linear power, .*{complaint}"):
            compute(services, "DpRVIVV", "per_polygon", collection=collection)


def test_missing_bands_are_named_with_what_is_possible(services: Services) -> None:
    with pytest.raises(ToolInputError, match=r"EVI \(Enhanced Vegetation Index\) needs blue, which .* it has nir, red"):
        compute(services, "EVI", "composite", collection="rednir")
    with pytest.raises(ToolInputError) as caught:
        compute(services, "NBR", "composite", collection="rednir")
    assert "Possible with it: NDVI, EVI2, SAVI" in caught.value.hint


def test_an_index_nobody_published_is_refused() -> None:
    with pytest.raises(ToolInputError, match="no index called 'NDVY'") as caught:
        indices.get_recipe("NDVY")
    assert "NDVI" in caught.value.hint
    assert {indices.get_recipe(name).title for name in ("BAI", "BaI")} == {"BAI", "BaI"}


@pytest.mark.parametrize(
    ("index", "needs"),
    [("NBRT1", "Thermal Infrared"), ("NIRvP", "Photosynthetically Active Radiation"), ("kRVI", "kNN and kNR")],
)
def test_a_published_index_that_cannot_be_computed_says_what_it_needs(index: str, needs: str) -> None:
    with pytest.raises(ToolInputError, match=f"{index} needs {needs}, which no collection gives here"):
        indices.get_recipe(index)
    (named,) = conversation.read(f"{index} of Rennes in June 2025").missing
    assert named.endswith(f"; it needs {needs})")


@pytest.mark.parametrize(
    "text",
    ["__import__('os').system('x')", "N.real", "N if R else G", "[N]", "N or R", "'N'", "N % R", "True", "N(", "~N"],
)
def test_a_formula_is_arithmetic_and_nothing_else(text: str) -> None:
    with pytest.raises(ToolInputError):
        formulas.parse(text)


def test_every_index_is_computed_as_the_library_does() -> None:
    random = np.random.default_rng(5)
    pixels = {symbol: random.uniform(0.05, 0.6, 50) for symbol in (*indices.SYMBOLS, *indices.RADAR)}
    own = {indices.read_recipe(path).title for path in (indices.FOLDER / "own").glob("*.yaml")}
    for recipe in indices.all_recipes():
        if recipe.title in own:
            continue
        with np.errstate(invalid="ignore"):  # roots of what is negative
            ours = formulas.evaluate(formulas.parse(recipe.formula), {**recipe.constants, **pixels})
            theirs = spyndex.computeIndex(recipe.title, {**pixels, **recipe.constants})
        np.testing.assert_allclose(ours, theirs, err_msg=recipe.title)
        if recipe.valid_range:
            assert recipe.valid_range[0] <= np.min(ours) <= np.max(ours) <= recipe.valid_range[1]


def test_the_recipe_in_the_guide_runs_once_its_one_file_is_there(
    services: Services, fields: Fields, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = (Path(__file__).parent.parent / "docs" / "add-a-recipe.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", guide, re.S)
    assert len(example.splitlines()) < 40
    assert example == (indices.FOLDER / "own" / "ndre.yaml").read_text(encoding="utf-8")
    (tmp_path / "own").mkdir()
    (tmp_path / "reading.yaml").write_text((indices.FOLDER / "reading.yaml").read_text(encoding="utf-8"))
    monkeypatch.setattr(indices, "FOLDER", tmp_path)
    with fresh_recipes():
        with pytest.raises(ToolInputError, match="no index called 'Leafy'"):
            compute(services, "Leafy", "per_polygon")
        (tmp_path / "own" / "leafy.yaml").write_text(example.replace("title: NDRE", "title: Leafy"))
    with fresh_recipes():
        found = compute(services, "Leafy", "per_polygon")
    with pytest.warns(RuntimeWarning, match="All-NaN"):
        composite = np.nanmedian(fields.values(*REFERENCE["NDRE"][:1], *REFERENCE["NDRE"][1]), axis=0)
    assert found.statistics is not None
    expected = [np.nanmean(composite[:, :6]), np.nanmean(composite[:, 6:])]
    assert [row.value for row in found.statistics.rows] == pytest.approx(expected, abs=1e-6)
    assert "the higher the value, the more chlorophyll" in found.text
    told = set(re.findall(r"^\| `(\w+)` \| [^|]*\|$", guide, re.M))
    assert {"title", "formula", "constants", "reading"} <= told
    assert set(re.findall(r"`([A-Z]+\d?)`", guide)) >= {*indices.SYMBOLS, *indices.RADAR}
    assert len(guide.splitlines()) < 40


@contextmanager
def fresh_recipes() -> Iterator[None]:
    """Read the recipes anew within, and once more after it."""
    cached = (indices._recipes, indices.recipe_ids)
    for one in cached:
        one.cache_clear()
    yield
    for one in cached:
        one.cache_clear()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("title: A B", "title"),
        ("- [", "no YAML"),
        ("{title: Mine, long_name: m, formula: N - Q, reference: r, reading: s}", "uses Q"),
        ("{title: Mine, long_name: m, formula: print(N), reference: r, reading: s}", "more than arithmetic"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ToolInputError, match=complaint):
        indices.read_recipe(tmp_path / "mine.yaml")


def test_stored_numbers_that_are_no_reflectances_are_refused(services: Services) -> None:
    assert compute(services, "NDVI", "composite", collection="raw").outcome == "ok"
    with pytest.raises(ToolInputError, match=r"SAVI needs reflectances .*mean of B04 \d{4}, B08 \d{4}"):
        compute(services, "SAVI", "composite", collection="raw")


def test_only_indices_on_reflectance_mind_the_units() -> None:
    minds = {name: indices.needs_reflectance(indices.get_recipe(name)) for name in ("NDVI", "NBR", "SR", "SAVI", "ExG")}
    assert minds == {"NDVI": False, "NBR": False, "SR": False, "SAVI": True, "ExG": True}
    bands = tuple(Layer(name=name, common_name=name, whole_numbers=True) for name in ("red", "nir"))
    unscaled = Layers(collection_id="raw", bands=bands)
    indices.check_units(indices.get_recipe("NDVI"), unscaled)
    with pytest.raises(ToolInputError, match="publishes no scale for red, nir"):
        indices.check_units(indices.get_recipe("SAVI"), unscaled)


def test_red_edges_of_one_name_are_told_apart() -> None:
    names = ("B07_20m", "B05_20m", "B06_20m")
    old = Layers(collection_id="old", bands=tuple(Layer(name=name, common_name="rededge") for name in names))
    new = Layers(collection_id="new", bands=(Layer(name="x", common_name="rededge075"),))
    landsat = Layers(collection_id="landsat", bands=(Layer(name="B5", common_name="nir08"),))
    assert [band and band.name for symbol in ("RE1", "RE2", "RE3") if (band := indices.find_band(old, symbol))] == [
        "B05_20m", "B06_20m", "B07_20m",
    ]  # fmt: skip
    assert indices.find_band(new, "RE1") is None
    assert getattr(indices.find_band(new, "RE2"), "name", "") == "x"
    assert getattr(indices.find_band(landsat, "N"), "name", "") == "B5"


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Radar vegetation index around Metz this summer", "Radar vegetation index"),
        ("Indice de végétation radar autour de Metz cet été", "vegetation radar index"),
        ("Radar-Vegetationsindex um Metz diesen Sommer", "radar vegetation index"),
        ("Índice de vegetación radar de Soria en julio de 2026", "vegetation radar index"),
        ("Indice di vegetazione radar a Siena, estate 2026", "vegetation radar index"),
        ("Wasserindex von Metz im Juli 2026", "water index"),
        ("Vegetation condition index in Metz in June 2026", "Vegetation condition index"),
        ("Mean vegetation index of Metz in June 2026", "ndvi"),
        ("Vegetationsindex der Parzellen um Metz im Juni 2026", "ndvi"),
    ],
)
def test_another_index_is_never_computed_in_the_place_of_the_one_asked_for(question: str, words: str) -> None:
    assert [one.index for one in conversation.read(question).computes] == [words]


def test_an_index_named_by_some_of_its_words_is_asked_about() -> None:
    with pytest.raises(Ambiguous) as asked:
        get_recipe("vegetation radar index")
    assert asked.value.options == ("DpRVIHH", "DpRVIVV", "QpRVI")
    assert get_recipe("dual polarized radar vegetation index VV").title == "DpRVIVV"
    with pytest.raises(ToolInputError, match="no index called 'vegetation condition index'"):
        get_recipe("vegetation condition index")
