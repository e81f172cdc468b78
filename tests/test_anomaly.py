"""A period against the same days of other years: the numbers by plain numpy, what is refused, and the questions."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.warp import transform_bounds

from assistant import answers, conversation
from knowledge.ingest import build_index
from knowledge.retrieval import Retriever
from tests.exported import run_script
from tests.rasters import write_band
from tests.reading import read_after
from tools.anomaly import anomalies
from tools.areas import parse_geojson
from tools.compute_anomaly import windows
from tools.errors import NoScenes, NotApproved, PeriodInvalid, TooLarge
from tools.hub.add import add_files
from tools.hub.server import running_hub
from tools.schema import Period, Polygons, ToolResult
from tools.toolbox import Context, Services, Toolbox
from tools.workspace import Workspace

SIZE, LEFT, TOP = 12, 600_000, 5_330_000
CORNER = (LEFT, TOP)
YEARS = (2018, 2019, 2020, 2021, 2022, 2023)
TODAY = date(2023, 8, 1)


class World:
    """A hub with three days of June in each of six years, and their NDVI by plain numpy."""

    def __init__(self, root: Path) -> None:
        random = np.random.default_rng(7)
        self.root, self.ndvi = root, dict[int, list[NDArray[np.float64]]]()
        for year in YEARS:
            for day in (f"{year}-06-05", f"{year}-06-15", f"{year}-06-25"):
                red, nir = (random.integers(1200, 6000, (SIZE, SIZE)).astype("uint16") for _ in range(2))
                classes = random.choice([4, 4, 4, 9], (SIZE, SIZE)).astype("uint16")
                if year in (2018, 2019, 2020):
                    classes[:, 8:] = 9  # the third field is never seen in these years
                stored = {"B04": red, "B08": nir, "SCL": classes}
                files = [write_band(root / f"{day}_{name}.tif", values, CORNER) for name, values in stored.items()]
                add_files(root / "hub", files, collection_id="s2", datetime=day, scale=0.0001, offset=-0.1)
                low, high = red * 1e-4 - 0.1, nir * 1e-4 - 0.1
                index = np.where(classes == 9, np.nan, (high - low) / (high + low))
                self.ndvi.setdefault(year, []).append(index)

    def median(self, year: int) -> NDArray[np.float64]:
        days = np.ma.masked_invalid(self.ndvi[year])
        return np.asarray(np.ma.median(days, axis=0).filled(np.nan))  # type: ignore[no-untyped-call]  # numpy has none


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("anomaly"))


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


def compute(services: Services, period: str, today: date = TODAY, index: str = "NDVI", **options: Any) -> ToolResult:
    context = Context(today=today, session_id="t", area=thirds())
    return Toolbox(services, context).compute(index, "", period, "anomaly", **options)


@pytest.fixture(scope="module")
def found(services: Services) -> ToolResult:
    return compute(services, "June 2022")


def test_mean_spread_and_deviation_are_those_of_plain_numpy(world: World, found: ToolResult) -> None:
    others = [year for year in YEARS if year != 2022]
    first, second, third = found.data["anomalies"]
    for row, cut in ((first, slice(0, 4)), (second, slice(4, 8))):
        values = [np.nanmean(world.median(year)[:, cut]) for year in others]
        this = np.nanmean(world.median(2022)[:, cut])
        assert row["value"] == pytest.approx(this, abs=1e-6)
        assert row["mean"] == pytest.approx(np.mean(values), abs=1e-6)
        assert row["standard_deviation"] == pytest.approx(np.std(values, ddof=1), abs=1e-6)
        assert row["standardised"] == pytest.approx((this - np.mean(values)) / np.std(values, ddof=1), abs=1e-4)
        assert row["rank"] == 1 + sum(value > this for value in values)
        assert row["years"] == [str(year) for year in others]
        assert f"{row['label']}: NDVI {row['value']:.3f}; mean of 5 other years" in found.text
    assert (third["difference"], third["years"]) == (None, ["2021", "2023"])
    assert "F2: no deviation, for it was seen in 2 other years (2021, 2023)" in found.text
    assert any("uncertain by about 35%" in warning for warning in found.warnings)


def test_the_map_is_the_year_minus_the_mean_of_the_others(world: World, found: ToolResult) -> None:
    others = np.array([world.median(year) for year in YEARS if year != 2022])
    seen = np.isfinite(others).sum(axis=0)
    with np.errstate(invalid="ignore"):
        usual = np.where(seen >= 3, np.nansum(others, axis=0) / np.maximum(seen, 1), np.nan)
    expected = world.median(2022) - usual
    raster = next(one for one in found.artifacts if one.kind == "raster")
    with rasterio.open(raster.path) as source:
        window = source.window(LEFT, TOP - 120, LEFT + 120, TOP)
        pixels = source.read(1, window=window, boundless=True, masked=True).astype("float64").filled(np.nan)
    np.testing.assert_allclose(pixels, expected, atol=2e-6)


def test_the_files_hold_the_numbers_and_run_again(services: Services, found: ToolResult) -> None:
    tables = {one.title.split(":")[0]: one for one in found.artifacts if one.kind == "table"}
    first, _, third = csv.DictReader(Path(tables["Table of deviations"].path).read_text().splitlines())
    assert float(first["difference"]) == pytest.approx(float(first["value"]) - float(first["mean"]))
    assert third["difference"] == ""
    assert len(Path(tables["Table"].path).read_text().splitlines()) == 1 + 3 * len(YEARS)
    features = json.loads(
        Path(next(one.path for one in found.artifacts if one.title.startswith("Polygons with deviations"))).read_text()
    )["features"]
    assert [one["properties"]["rank"] for one in features] == [row["rank"] for row in found.data["anomalies"]]
    script = next(one.path for one in found.artifacts if one.kind == "script")
    printed = run_script(script, "--url", services.openeo_url)
    assert "Same as the first run: all 18 rows agree." in printed
    assert "Deviations: same as in the first run." in printed


def test_the_years_to_compare_with_can_be_named(services: Services) -> None:
    found = compute(services, "June 2023", against="2019 to 2022")
    assert found.data["anomalies"][0]["years"] == ["2019", "2020", "2021", "2022"]
    assert found.plan is not None
    assert [one.start.year for one in found.plan.reference] == [2019, 2020, 2021, 2022]


def test_a_running_period_is_compared_with_the_same_days(services: Services) -> None:
    found = compute(services, "June 2023", today=date(2023, 6, 18))
    assert found.data["years"] == {str(year): [f"{year}-06-05", f"{year}-06-15"] for year in (2023, *YEARS[:-1])}
    assert any("The period is not over" in warning for warning in found.warnings)


def test_too_few_years_are_refused_with_those_that_are_there(services: Services) -> None:
    with pytest.raises(NoScenes, match=r"2 other years with scenes of 1 June to 30 June \(2021, 2022\)") as caught:
        compute(services, "June 2023", against="2021 to 2022")
    assert "difference" in caught.value.hint
    with pytest.raises(NoScenes, match="no other year") as caught:
        compute(services, "June 2023", against="2016 to 2017")
    assert "hub sync" in caught.value.hint
    with pytest.raises(NoScenes):
        compute(services, "July 2023")
    with pytest.raises(PeriodInvalid, match="longer than a year"):
        compute(services, "2019 to 2021")
    small = Services(services.retriever, services.stac_url, services.openeo_url, services.workspace, max_pixels=3000)
    with pytest.raises(TooLarge, match="6 years together"):
        compute(small, "June 2023")


def test_a_large_comparison_is_asked_for_first_and_fewer_years_are_offered(services: Services) -> None:
    megabytes = compute(services, "June 2023").estimate
    assert megabytes is not None
    asking = replace(services, ask_above_mb=megabytes.megabytes * 0.9)
    with pytest.raises(NotApproved) as caught:
        compute(asking, "June 2023", against="2018 to 2022", today=date(2023, 8, 2), index="EVI2")
    fewer = caught.value.question.changes["Fewer years: 2019 to 2022"]
    assert fewer == {"against": "2019 to 2022"}
    assert not any("dates" in option for option in caught.value.question.options)
    assert compute(asking, "June 2023", index="EVI2", against=fewer["against"]).outcome == "ok"


def test_the_same_comparison_is_not_computed_twice(services: Services, found: ToolResult) -> None:
    again = compute(services, "June 2022")
    assert again.data["anomalies"] == found.data["anomalies"]
    assert [one.id for one in again.artifacts] == [one.id for one in found.artifacts]


def test_the_same_days_of_other_years_across_new_year_and_leap_days() -> None:
    winter = Period(start=date(2019, 12, 1), end=date(2020, 2, 29), label="winter 2020")
    found = windows(winter, date(2017, 6, 1), date(2022, 1, 31))
    assert [(one.start, one.end) for one in found] == [
        (date(2017, 12, 1), date(2018, 2, 28)), (date(2018, 12, 1), date(2019, 2, 28)),
        (date(2020, 12, 1), date(2021, 2, 28)),
    ]  # fmt: skip


def row(value: float | None, share: float = 1.0) -> dict[str, Any]:
    return {"value": value, "valid_pixels": round(100 * share), "total_pixels": 100}


def test_a_year_seen_too_little_does_not_count_and_no_spread_gives_no_share() -> None:
    years = ["2024", "2020", "2021", "2022", "2023"]
    rows = [row(0.5), row(0.4), row(0.4), row(0.9, 0.3), row(0.4)]
    (found,) = anomalies(rows, units=["A"], years=years, this="2024")
    assert found["years"] == ["2020", "2021", "2023"]
    assert (found["difference"], found["standardised"], found["rank"]) == (pytest.approx(0.1), None, 1)
    (unseen,) = anomalies([row(None), *rows[1:]], units=["A"], years=years, this="2024")
    assert (unseen["mean"], unseen["reason"]) == (None, "less than 50% of it was seen in 2024")


@pytest.mark.parametrize(
    ("question", "period", "against"),
    [
        ("How unusual was NDVI this summer around Metz compared with other years?", "this summer", ""),
        ("Combien le NDVI de l'été 2025 était-il inhabituel autour de Metz ?", "été 2025", ""),
        ("Wie ungewöhnlich war der NDVI um Metz im Sommer 2025?", "Sommer 2025", ""),
        ("¿Qué tan inusual fue el NDVI este verano alrededor de Metz respecto a otros años?", "este verano", ""),
        ("Quanto è stato insolito l'NDVI nell'estate 2025 intorno a Metz?", "estate 2025", ""),
        ("NDVI anomaly of June 2025 in Metz against 2018 to 2023", "June 2025", "2018 to 2023"),
        ("Is NDVI normal in Metz this summer?", "this summer", ""),
        ("Le NDVI de Metz est-il normal en été 2025 ?", "été 2025", ""),
        ("Ist der NDVI in Metz im Sommer 2025 normal?", "Sommer 2025", ""),
        ("¿Es normal el NDVI de Metz este verano?", "este verano", ""),
        ("L'NDVI di Metz è normale nell'estate 2025?", "estate 2025", ""),
    ],
)
def test_a_question_for_a_deviation_is_read(question: str, period: str, against: str) -> None:
    read = conversation.read(question)
    (wanted,) = read.computes
    assert (wanted.output, wanted.period, wanted.against) == ("anomaly", period, against)
    assert not read.compares
    assert (wanted.place, wanted.units) == ("Metz", "place")


def test_an_average_that_is_not_named_is_asked_for_by_name() -> None:
    text = answers.compose(
        conversation.read("NDVI of Metz in June 2025 against the average"), [ToolResult(text="none")]
    )
    assert text.startswith("Not run: the comparison with an average, for it is not clear which. Say which average")
    assert "No tool here computes that" not in text


def test_the_deviation_of_another_subject_is_not_that_of_an_index() -> None:
    read = conversation.read("soil moisture anomaly in Brittany in July 2025")
    assert read.computes == ()
    assert any("deviation" in words for words in read.missing)


@pytest.mark.parametrize(
    ("question", "period", "against"),
    [
        ("Is May 2019 greener than the mean of 2016-2018 in this field?", "May 2019", "2016 to 2018"),
        ("Is May 2019 greener than 2016-2018 in this field?", "May 2019", "2016 to 2018"),
        ("Compared with 2016 to 2018, how unusual was NDVI in May 2019?", "May 2019", "2016 to 2018"),
        ("NDVI of Metz in May 2019 against the average of 2016 to 2018", "May 2019", "2016 to 2018"),
        ("Is NDVI of Metz in 2019 higher than the average of 2016-2018?", "2019", "2016 to 2018"),
        ("Was May 2018 greener than the mean of 2016 to 2018 in this field?", "May 2018", "2016 to 2017"),
        ("Is May 2019 in this field greener than the mean of May 2016, May 2017 and May 2018?", "May 2019",
         "2016 to 2018"),
        ("NDVI de Metz en mai 2019 par rapport à la moyenne 2016-2018", "mai 2019", "2016 to 2018"),
        ("NDVI von Metz im Mai 2019 gegen das Mittel von 2016 bis 2018", "Mai 2019", "2016 to 2018"),
        ("NDVI de Metz en mayo de 2019 frente a la media de 2016 a 2018", "mayo de 2019", "2016 to 2018"),
        ("NDVI di Metz a maggio 2019 rispetto alla media 2016-2018", "maggio 2019", "2016 to 2018"),
        ("Was NDVI of Metz in May 2019 above normal?", "May 2019", ""),
        ("NDVI de Metz en mai 2019 comparé à la normale", "mai 2019", ""),
    ],
)  # fmt: skip
def test_the_narrowest_period_is_set_against_the_years_around_it(question: str, period: str, against: str) -> None:
    (wanted,) = conversation.read(question).computes
    assert (wanted.output, wanted.period, wanted.against) == ("anomaly", period, against)


@pytest.mark.parametrize(
    "question",
    [
        "Compare the mean NDVI of Metz in May 2019 and May 2020",
        "Compare the average NDVI of summer 2016, 2017 and 2018 in Metz",
        "Compare NDVI in May 2019 with May 2016, May 2017 and May 2018 in Metz",
        "mean NDVI of Metz from 2016 to 2018",
        "Is the mean NDVI in May 2019 higher than in May 2018 in Metz?",
    ],
)
def test_a_mean_within_a_period_is_no_deviation(question: str) -> None:
    assert {wanted.output for wanted in conversation.read(question).computes} == {"composite"}


def test_the_years_stay_in_a_follow_up() -> None:
    first = "NDVI anomaly of June 2025 in Metz against 2018 to 2023"
    for question, place, period in (
        ("and for Rennes?", "Rennes", "June 2025"),
        ("and in May 2025?", "Metz", "May 2025"),
    ):
        (wanted,) = read_after(question, first).computes
        assert (wanted.place, wanted.period, wanted.against) == (place, period, "2018 to 2023")
