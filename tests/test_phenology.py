"""Season dates from series with known seasons, what is refused, and the way from a question to the dates."""

import csv
import json
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.warp import transform_bounds

from assistant import conversation
from assistant.comparison import season_shifts, side_by_side
from knowledge.ingest import build_index
from knowledge.retrieval import Retriever
from tests.exported import run_script
from tests.rasters import write_band
from tools import phenology
from tools.areas import parse_geojson
from tools.errors import PeriodInvalid, ToolInputError
from tools.hub.add import add_files
from tools.hub.server import running_hub
from tools.phenology import Phenology, find_seasons
from tools.schema import Period, Polygons, ToolResult
from tools.season_pixels import MOMENTS, NO_DATE, season_days
from tools.toolbox import Context, Services, Toolbox
from tools.workspace import Workspace

YEAR = (date(2021, 1, 1), date(2021, 12, 31))
Level = Callable[[date], float]


def season(rise: date, fall: date, low: float = 0.2, high: float = 0.8) -> Level:
    """Give a curve that is half way up on `rise` and half way down on `fall`."""

    def level(day: date) -> float:
        up, down = ((day - one).days / 9 for one in (rise, fall))
        return low + (high - low) * (1 / (1 + math.exp(-up)) - 1 / (1 + math.exp(-down)))

    return level


def rows(level: Level, days: Sequence[date], share: float = 1.0) -> list[dict[str, Any]]:
    pixels = {"valid_pixels": round(100 * share), "total_pixels": 100}
    return [{"date": day.isoformat(), "value": level(day), **pixels} for day in days]


def every(step: int, first: date = date(2020, 7, 1), last: date = date(2022, 6, 30)) -> list[date]:
    return [first + timedelta(days=n) for n in range(0, (last - first).days, step)]


def crossing(level: Level, share: float, first: date, last: date) -> date:
    """Give the first day of a span on which a rising (or, backwards, a falling) curve is above a share, unsmoothed."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    low, high = min(map(level, days)), max(map(level, days))
    inside = [day for day in days if level(day) >= low + share * (high - low)]
    return inside[0] if level(days[0]) < level(days[-1]) else inside[-1]


def near(day: date | None, other: date, days: int = 5) -> bool:
    return day is not None and abs((day - other).days) <= days


BASE = season(date(2021, 4, 20), date(2021, 8, 20))


@pytest.mark.parametrize("step", [5, 10, 20])
def test_start_peak_and_end_of_a_known_season(step: int) -> None:
    found = find_seasons(rows(BASE, every(step)), *YEAR, 0.1)
    (one,) = found.seasons
    assert near(one.start.day, crossing(BASE, 0.25, date(2021, 1, 1), date(2021, 6, 20)))
    assert near(one.end.day, crossing(BASE, 0.15, date(2021, 6, 20), date(2021, 12, 31)))
    assert near(one.peak.day, date(2021, 6, 20), 15)  # the top is nearly level
    assert one.amplitude == pytest.approx(0.6, abs=0.03)
    assert one.length_days == (one.end.day - one.start.day).days  # type: ignore[operator]  # both are known
    for moment in (one.start, one.peak, one.end):
        assert moment.between is not None
        assert moment.between[0] < moment.day < moment.between[1]  # type: ignore[operator]  # known, as above


def test_the_curve_is_that_of_a_penalised_fit_by_plain_numpy() -> None:
    random = np.random.default_rng(4)
    days = np.sort(random.choice(np.arange(0, 700), 60, replace=False))
    values, weights = random.uniform(0, 1, 60), random.uniform(0.5, 1, 60)
    curve, _ = phenology.smooth(days + 737_000, values, weights)
    # Whittaker's smoother on days: least squares with a penalty on second differences.
    count = days[-1] - days[0] + 1
    weight, target = np.zeros(count), np.zeros(count)
    weight[days - days[0]], target[days - days[0]] = weights, values
    bends = np.diff(np.eye(count), 2, axis=0)
    penalty = (60 / (2 * np.pi)) ** 4 * weights.sum() / (days[-1] - days[0])
    expected = np.linalg.solve(np.diag(weight) + penalty * bends.T @ bends, weight * target)
    long = np.diff(days).max() > phenology.MAX_GAP_DAYS
    assert not long
    np.testing.assert_allclose(curve, expected, atol=0.01)


def test_a_season_across_new_year_belongs_to_the_year_of_its_peak() -> None:
    southern = season(date(2020, 11, 1), date(2021, 3, 15))
    (one,) = find_seasons(rows(southern, every(8)), *YEAR, 0.1).seasons
    assert near(one.start.day, crossing(southern, 0.25, date(2020, 7, 1), date(2021, 1, 7)))
    assert one.start.day is not None
    assert one.peak.day is not None
    assert (one.start.day.year, one.peak.day.year) == (2020, 2021)
    assert not find_seasons(rows(southern, every(8)), date(2021, 7, 1), YEAR[1], 0.1).seasons


def test_two_seasons_are_told_apart_and_noise_makes_none() -> None:
    second = season(date(2021, 8, 25), date(2021, 11, 5), 0.0, 0.45)
    first = season(date(2021, 3, 20), date(2021, 6, 15))
    found = find_seasons(rows(lambda day: first(day) + second(day), every(6)), *YEAR, 0.1)
    one, other = found.seasons
    assert one.end.day is not None
    assert other.start.day is not None
    assert one.end.day < other.start.day
    noise = np.random.default_rng(1).normal(0, 0.06, 1000)
    noisy = find_seasons(rows(lambda day: 0.5 + noise[day.toordinal() % 1000], every(6)), *YEAR, 0.1)
    assert not noisy.seasons
    assert noisy.reason.startswith("The curve is flat")


def reasons(level: Level, days: Sequence[date], share: float = 1.0) -> Phenology:
    return find_seasons(rows(level, days, share), *YEAR, 0.1)


def test_what_was_not_seen_has_no_date_but_a_reason() -> None:
    assert reasons(BASE, every(80, *YEAR)).reason.startswith("5 of 5 dates")
    assert reasons(BASE, every(5), share=0.4).reason.startswith("0 of 146 dates have a value for at least 50%")
    assert "flat" in reasons(lambda day: 0.5, every(10)).reason
    assert (
        "no peak between its first and its last date"
        in reasons(lambda day: 0.1 + (day - date(2020, 1, 1)).days / 2000, every(10)).reason
    )
    (gap,) = reasons(BASE, [day for day in every(5) if not date(2021, 3, 25) < day < date(2021, 5, 20)]).seasons
    assert gap.start.day is None
    assert "nothing was seen for" in gap.start.reason
    assert gap.start.between is not None
    assert gap.start.between[0] <= date(2021, 4, 10) <= gap.start.between[1]
    assert near(gap.end.day, crossing(BASE, 0.15, date(2021, 6, 20), date(2021, 12, 31)))
    (top,) = reasons(BASE, [day for day in every(5) if not date(2021, 5, 15) < day < date(2021, 7, 30)]).seasons
    assert (top.start.day, top.peak.day, top.end.day, top.amplitude) == (None, None, None, None)
    (late,) = reasons(BASE, every(5, first=date(2021, 4, 5))).seasons
    assert late.start.day is None
    assert "may have begun before it" in late.start.reason
    (running,) = reasons(BASE, every(5, last=date(2021, 9, 1))).seasons
    assert running.end.day is None
    assert "may go on after it" in running.end.reason
    assert running.amplitude is None
    assert running.start.day is not None


def test_a_gap_makes_no_bump_and_no_dip() -> None:
    shown = [day for day in every(5) if not date(2021, 9, 10) < day < date(2022, 2, 1)]
    curve = dict(reasons(BASE, shown).curve)
    assert date(2021, 11, 1) not in curve
    assert min(curve.values()) > 0.17


SIZE, LEFT, TOP = 8, 600_000, 5_330_000
CORNER = (LEFT, TOP)


def _write(path: Path, values: NDArray[np.float64]) -> Path:
    return write_band(path, values.astype("float32"), CORNER, nodata=-1)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Give a hub with two fields for two years: one with a season, one without."""
    root = tmp_path_factory.mktemp("phenology")
    for day in every(20):
        ndvi = np.full((SIZE, SIZE), 0.3)
        ndvi[:, :4] = BASE(day)
        red = np.full((SIZE, SIZE), 0.1)
        bands = {"B04": red, "B08": red * (1 + ndvi) / (1 - ndvi)}
        files = [_write(root / f"{day}_{name}.tif", values) for name, values in bands.items()]
        add_files(root / "hub", files, collection_id="s2", datetime=day.isoformat(), scale=1.0, offset=0.0)
    official = _write(root / "SOSD.tif", np.full((SIZE, SIZE), 21100.0))
    add_files(root / "hub", [official], collection_id="vpp-start", datetime="2021")
    build_index(root / "index", embedding_model="none")
    with running_hub(root / "hub") as url:
        retriever = Retriever(root / "index", embedding_model="none")
        yield Services(retriever, f"{url}/stac", f"{url}/openeo", Workspace(root / "artifacts"))


def fields() -> Polygons:
    features = []
    for number, name in enumerate(("Crop", "Bare")):
        left = LEFT + 40 * number
        west, south, east, north = transform_bounds("EPSG:32630", "EPSG:4326", left, TOP - 80, left + 40, TOP)
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        polygon = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"name": name}, "geometry": polygon})
    return parse_geojson({"type": "FeatureCollection", "features": features}, name="fields")


def compute(services: Services, period: str, **options: Any) -> ToolResult:
    context = Context(today=date(2022, 6, 30), session_id="t", area=fields())
    return Toolbox(services, context).compute("NDVI", "", period, "phenology", **options)


def artifact(found: ToolResult, kind: str, title: str) -> Path:
    return Path(next(one.path for one in found.artifacts if one.kind == kind and title in one.title))


@pytest.fixture(scope="module")
def found(services: Services) -> ToolResult:
    return compute(services, "2021")


def test_each_polygon_has_its_dates_or_a_reason(found: ToolResult) -> None:
    crop, bare = found.data["seasons"]
    start = date.fromisoformat(crop["start"])
    assert near(start, crossing(BASE, 0.25, date(2021, 1, 1), date(2021, 6, 20)))
    assert near(date.fromisoformat(crop["end"]), crossing(BASE, 0.15, date(2021, 6, 20), date(2021, 12, 31)))
    assert crop["start_day_of_year"] == (start - date(2021, 1, 1)).days + 1
    assert (bare["outcome"], bare["start"], bare["amplitude"]) == ("no_data", None, None)
    assert f"starts {start} (day {crop['start_day_of_year']} of 2021)" in found.text
    assert "Bare: no season dates. The curve is flat" in found.text
    assert found.plan is not None
    assert (found.plan.output, found.plan.period.label) == ("phenology", "2021")


def test_each_pixel_has_its_dates_on_the_maps(found: ToolResult) -> None:
    crop = found.data["seasons"][0]
    for name in ("start", "peak", "end"):
        title = f"{name.capitalize()} of the season"
        artifact(found, "map", title)
        with rasterio.open(artifact(found, "raster", title)) as raster:
            dates = raster.read(1, masked=True)
            column, row = (round(one) for one in ~raster.transform * (LEFT, TOP))
        # All pixels of the crop are alike, and the bare field beside it has no season.
        field = dates[row : row + 8, column : column + 4]
        assert set(field.compressed()) == {crop[f"{name}_day_of_year"]}
        assert field.count() == 32 == dates.count()


def test_pixels_with_the_same_dates_share_their_spline_and_keep_their_own_season() -> None:
    random = np.random.default_rng(6)
    days = np.array([day.toordinal() for day in every(9)])
    levels = [season(date(2021, 4, 1 + 3 * n), date(2021, 8, 20)) for n in range(8)]
    values = np.array([[level(date.fromordinal(int(day))) for level in levels] for day in days])
    values[random.random(values.shape) < 0.1] = np.nan
    values[:, 6] = np.where(np.isfinite(values[:, 5]), values[:, 6], np.nan)
    values[:, 7] = np.nan
    found = season_days(values, days, *YEAR, 0.1)
    for pixel, series in enumerate(values.T[:7]):
        told = [
            {"date": date.fromordinal(int(day)).isoformat(), "value": value, "valid_pixels": 1, "total_pixels": 1}
            for day, value in zip(days, series, strict=True)
            if np.isfinite(value)
        ]
        (one,) = find_seasons(told, *YEAR, 0.1).seasons
        moments = (one.start.day, one.peak.day, one.end.day)
        assert found[:, pixel].tolist() == [day.timetuple().tm_yday for day in moments if day]
    assert set(found[:, 7]) == {NO_DATE}


def test_the_official_product_is_named_as_another_one(services: Services, found: ToolResult) -> None:
    assert "They are not those of High Resolution Vegetation Phenology and Productivity" in found.text
    assert found.recommendation is not None
    assert found.recommendation.product_id == "hr-vpp"
    assert "TIMESAT" in found.text
    assert "The official dates are here, too (vpp-start): name HR-VPP in the question." in found.text
    assert "The official dates" not in compute(services, "growing season 2022").text


def test_the_files_hold_the_dates(found: ToolResult) -> None:
    crop, bare = csv.DictReader(artifact(found, "table", "seasons").read_text().splitlines())
    assert crop["start"] == found.data["seasons"][0]["start"]
    assert bare["start"] == ""
    assert "flat" in bare["reason"]
    features = json.loads(artifact(found, "vector", "seasons").read_text())["features"]
    assert [one["properties"]["seasons"] for one in features] == [[row] for row in found.data["seasons"]]
    assert artifact(found, "chart", "Season dates").read_bytes()[:4] == b"\x89PNG"


def test_script_and_notebook_give_the_same_dates_and_maps(
    services: Services, found: ToolResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = artifact(found, "script", "phenology")
    printed = run_script(script, "--url", services.openeo_url, "--raster", str(tmp_path / "script.tif"))
    told = ("Season dates: same as in the first run.", "Season maps: same as in the first run.")
    assert f"Crop: start {found.data['seasons'][0]['start']}" in printed
    assert all(line in printed for line in told)
    cells = json.loads(artifact(found, "notebook", "phenology").read_text())["cells"]
    source = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    exec(source.replace('file = ""', f"file = {str(tmp_path / 'notebook.tif')!r}"), {"__name__": "notebook"})
    assert capsys.readouterr().out == printed
    for file in ("script.tif", "notebook.tif"):
        for place, name in enumerate(MOMENTS, 1):
            first = artifact(found, "raster", f"{name.capitalize()} of the season")
            with rasterio.open(tmp_path / file) as again, rasterio.open(first) as then:
                assert (again.transform, again.crs) == (then.transform, then.crs)
                assert (again.read(place) == then.read(1)).all()


def test_nothing_found_is_no_data_and_carries_no_number(services: Services) -> None:
    found = compute(services, "2021-09-15 to 2022-02-28")
    assert (found.outcome, found.statistics) == ("no_data", None)
    assert "No season has its peak between 2021-09-15 and 2022-02-28" in found.text


def test_what_makes_no_season_is_refused(services: Services) -> None:
    with pytest.raises(PeriodInvalid, match="30 days, shorter than a season"):
        compute(services, "June 2021")
    with pytest.raises(ToolInputError, match="not subtracted"):
        compute(services, "2021", against="2020")


@pytest.mark.parametrize(
    ("question", "period"),
    [
        ("When did the growing season start in this field in 2019?", "2019"),
        ("Quand la saison de végétation a-t-elle commencé dans ce champ en 2019 ?", "2019"),
        ("Wann begann die Vegetationsperiode auf diesem Feld 2019?", "2019"),
        ("¿Cuándo empezó la temporada de crecimiento en este campo en 2019?", "2019"),
        ("Quando è iniziata la stagione di crescita in questo campo nel 2019?", "2019"),
        ("Phenology of my parcels in the growing season 2021", "growing season 2021"),
        ("When did the vegetation start to grow in this field last year?", "last year"),
    ],
)
def test_a_question_for_season_dates_is_read(question: str, period: str) -> None:
    (wanted,) = conversation.read(question).computes
    assert (wanted.output, wanted.period, wanted.place) == ("phenology", period, "")


def test_two_years_are_read_apart_and_their_seasons_told_by_days(found: ToolResult) -> None:
    read = conversation.read("Did the growing season start earlier around Metz in 2021 than in 2020?")
    assert [(one.output, one.period, one.against) for one in read.computes] == [
        ("phenology", "2021", ""), ("phenology", "2020", ""),
    ]  # fmt: skip
    assert found.plan is not None
    later = {"period": Period(start=date(2022, 1, 1), end=date(2022, 12, 31), label="2022")}
    crop = found.data["seasons"][0]
    moved = {
        name: (date.fromisoformat(crop[name]) + timedelta(days=365 + days)).isoformat()
        for name, days in (("start", -12), ("peak", 0), ("end", 1))
    }
    other = found.model_copy(
        update={"plan": found.plan.model_copy(update=later), "data": {"seasons": [{**crop, **moved}]}}
    )
    told = season_shifts([other, found])
    assert "2022 against 2021" in told
    assert f"- Crop: start earlier ({moved['start']} against {crop['start']}), peak on the same day" in told
    assert f"end later ({moved['end']} against {crop['end']})" in told
    assert season_shifts([found]) == ""
    assert "Side by side" not in side_by_side([other, found], 2)


def test_a_growing_season_that_only_says_when_asks_for_no_dates() -> None:
    (wanted,) = conversation.read("NDVI map of Metz in the growing season 2024").computes
    assert wanted.output == "composite"
    assert conversation.read("When did the snow season start in Metz in 2025?").computes == ()
    assert conversation.read("Which product gives the start of season in Metz?").intent == "recommend"


def test_an_adverb_is_no_place() -> None:
    read = conversation.read("Did the season start earlier in this field in 2025 than in 2024?")
    assert [(one.output, one.period, one.place) for one in read.computes] == [
        ("phenology", "2025", ""), ("phenology", "2024", ""),
    ]  # fmt: skip
