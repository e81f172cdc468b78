"""The evals: cases are sound, each scorer can be 0 and 1, the runner asks every case, the check fails when it must."""

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.transform import from_origin
from shapely.geometry import box, mapping

from assistant import Assistant, Settings
from assistant.schema import Answer, ToolCall
from evals import __main__ as entry
from evals.graphs import matches, nested, read_reference
from evals.reference import expected_rows
from evals.runner import Baseline, ask_all, baseline, card, fallen, misses, percentile_95, search_all
from evals.schema import GROUPS, LANGUAGES, Case, Reference, Result, Score, load_cases
from evals.scorers import World, language_of, named, scorers
from knowledge.catalogue import load_catalogue
from knowledge.errors import SourceInvalid
from knowledge.ingest import build_index
from knowledge.retrieval import Retriever
from knowledge.schema import Citation, Passage
from tools.schema import (
    Alternative,
    Artifact,
    LayerChoice,
    Period,
    Place,
    Plan,
    Question,
    Recommendation,
    Statistics,
    StatisticsRow,
)

PASSAGES = {
    "grassland#about": Passage(id="grassland#about", source_id="grassland", title="", text="Meadows at 10 m."),
    "hot-spots#about": Passage(id="hot-spots#about", source_id="hot-spots", title="", text="Landscapes."),
}
WORLD = World(
    load_catalogue(), lambda ids: {one: PASSAGES[one] for one in ids if one in PASSAGES}, date(2026, 9, 1), Path("hub")
)

TINY = """
- {id: sealed, group: recommend, language: en, question: "How much of my town is sealed?", products: [imperviousness]}
- {id: sealed-loose, twin: sealed, question: so much concrete}
- {id: sea, group: negative, language: fr, question: "Quelle est la hauteur des vagues ?", negative: true}
"""


def make_case(**fields: object) -> Case:
    base = {"id": "one", "group": "recommend", "language": "en", "question": "Where are the meadows?"}
    expects = {} if fields.get("negative") else {"products": ("grassland",)}
    return Case.model_validate({**base, **expects, **fields})


def make_answer(text: str = "", product_id: str | None = None, **fields: object) -> Answer:
    advice = Recommendation(product_id=product_id, title=product_id, why=()) if product_id else None
    base = {"text": text, "session_id": "s", "recommendation": advice, "model": "m", "seconds": 0.1}
    return Answer.model_validate({**base, **fields})


def cite(passage_id: str, quote: str) -> Citation:
    return Citation(passage_id=passage_id, title="", quote=quote, verified=True)


def value(name: str, case: Case, answer: Answer) -> int | None:
    return scorers(WORLD)[name](case, answer).value


def test_the_cases_are_sound_and_as_many_as_promised() -> None:
    cases = load_cases(catalogue=WORLD.catalogue)
    languages = Counter(case.language for case in cases)
    assert len(cases) >= 300
    assert languages["en"] >= 0.4 * len(cases)
    assert all(languages[language] >= 20 for language in LANGUAGES)
    assert sum(case.style == "loose" for case in cases) >= len(cases) / 2
    assert sum(case.negative for case in cases) >= sum(case.kind == "answering" for case in cases) / 6
    assert 0.25 < sum(case.split == "held" for case in cases) / len(cases) < 0.4


def test_no_question_stands_twice_and_twins_share_language_and_split() -> None:
    cases = {case.id: case for case in load_cases()}
    assert len({case.question for case in cases.values()}) == len(cases)
    for case in cases.values():
        if case.twin:
            assert (case.split, case.language) == (cases[case.twin].split, cases[case.twin].language)


def test_every_fact_that_a_case_asks_for_stands_in_the_catalogue() -> None:
    known = WORLD.catalogue
    facts = {
        product.id: product.model_dump_json()
        + "".join(known.legend(one).model_dump_json() for edition in product.editions for one in edition.legends)
        for product in known.products
    }
    for case in load_cases():
        texts = [make_answer(facts[one]) for one in case.products or facts]
        for fact in () if case.negative else (*case.facts, *case.editions):
            asked = make_case(facts=(fact,))
            assert any(value("facts", asked, text) for text in texts), f"{case.id}: {fact}"


def test_a_loose_twin_takes_over_what_it_does_not_say(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(TINY)
    loose = next(case for case in load_cases(tmp_path) if case.id == "sealed-loose")
    assert loose.products == ("imperviousness",)
    assert loose.style == "loose"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- {id: a, group: recommend, language: en, question: q}", "expects nothing"),
        ("- {id: a, group: recommend, language: xx, question: q, facts: [b]}", "language"),
        ("- {id: a, twin: b, question: q}", "no precise twin"),
        ("- {id: a, group: recommend, language: en, question: q, products: [nonsense]}", "unknown products"),
        ("- {id: a, group: negative, language: en, question: q, negative: true, products: [gbov]}", "cannot expect"),
        (TINY + TINY, "stands twice"),
        ("a: 1", "not a list"),
        ("- [", "cannot be read"),
    ],
)
def test_a_wrong_case_file_is_refused_with_a_reason(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(SourceInvalid, match=problem):
        load_cases(tmp_path, catalogue=WORLD.catalogue)


def test_a_folder_without_cases_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceInvalid, match="no cases"):
        load_cases(tmp_path)


def test_the_recommended_product_counts_and_a_named_one_counts_as_named() -> None:
    case = make_case()
    other = make_answer("HRL Grassland would do too.", "hot-spots")
    assert value("product@1", case, make_answer(product_id="grassland")) == 1
    assert value("product@1", case, other) == 0
    assert value("product@1", case, make_answer()) == 0
    assert value("product@answer", case, other) == 1
    assert value("product@answer", case, make_answer("Nothing.", "hot-spots")) == 0
    assert value("product@1", make_case(group="document"), other) is None


def test_an_alternative_counts_as_named() -> None:
    near = Alternative(product_id="grassland", title="", lacks="")
    advice = Recommendation(product_id="hot-spots", title="", why=(), alternatives=(near,))
    assert value("product@answer", make_case(), make_answer(recommendation=advice)) == 1


def test_an_unwanted_product_must_not_be_recommended() -> None:
    case = make_case(not_products=("hot-spots",))
    assert value("avoided", case, make_answer("hot-spots is not it", "grassland")) == 1
    assert value("avoided", case, make_answer(product_id="hot-spots")) == 0
    assert value("avoided", make_case(), make_answer()) is None


def test_facts_are_whole_words_and_whole_numbers() -> None:
    case = make_case(facts=("10 m", "0.25 ha | a quarter"))
    assert value("facts", case, make_answer("Pixels of 10m; patches from 0,25 ha.")) == 1
    assert value("facts", case, make_answer("Pixels of 10 m; a quarter of a hectare.")) == 1
    assert value("facts", case, make_answer("Pixels of 100 m; patches from 10.25 ha.")) == 0
    assert value("facts", make_case(facts=("percent | %",)), make_answer("It is 50% green.")) == 1
    assert value("facts", make_case(), make_answer()) is None


def test_all_bracketing_editions_must_be_named() -> None:
    case = make_case(editions=("2018", "2021"))
    assert value("editions", case, make_answer("There are 2018 and 2021.")) == 1
    assert value("editions", case, make_answer("There is 2018.")) == 0


def test_a_quote_must_stand_in_its_passage_and_be_about_the_product() -> None:
    case = make_case()
    right = make_answer("", "grassland", citations=(cite("grassland#about", "Meadows at 10 m."),))
    assert value("citations", case, right) == 1
    for passage_id, quote in (
        ("grassland#about", "Meadows at 5 m."),
        ("nowhere", "Meadows"),
        ("hot-spots#about", "Landscapes."),
    ):
        assert value("citations", case, make_answer("", "grassland", citations=(cite(passage_id, quote),))) == 0
    assert value("citations", case, make_answer("", "grassland")) == 0
    assert value("citations", make_case(negative=True, group="negative"), make_answer()) is None


def test_an_honest_negative_recommends_nothing_and_says_so() -> None:
    case = make_case(negative=True, group="negative", holders=("Copernicus Marine",))
    honest = make_answer("No CLMS product maps waves; the Copernicus Marine Service does.")
    assert (value("negative", case, honest), value("holder", case, honest)) == (1, 1)
    assert value("negative", case, make_answer("Aucun produit ne mesure les vagues.")) == 1
    assert value("negative", case, make_answer("No product does.", "water-level")) == 0
    assert value("negative", case, make_answer("Waves are nice.")) == 0
    assert value("negative", case, make_answer("No product is called so.", outcome="failed")) == 0
    assert value("holder", case, make_answer("No product maps waves.")) == 0


def test_to_deny_a_product_that_exists_is_wrong() -> None:
    assert value("not denied", make_case(), make_answer("No CLMS product is about this.")) == 0
    assert value("not denied", make_case(), make_answer("No such layer is finer.", "hot-spots")) == 1
    assert value("not denied", make_case(), make_answer("For which place?")) == 1
    assert value("not denied", make_case(negative=True, group="negative"), make_answer("No product.")) is None


def test_the_language_of_the_answer_is_checked_without_its_quotes() -> None:
    english = "The product is for meadows. “Die Wiesen sind nicht auf der Karte und das ist für sie”"
    assert value("language", make_case(), make_answer(english)) == 1
    assert value("language", make_case(), make_answer("Das ist die Karte der Wiesen für Sie.")) == 0
    french = make_case(language="fr")
    product = WORLD.catalogue.get("grassland")
    assert value("language", french, make_answer(f"Le produit est pour les prairies.\n- {product.summary}")) == 1
    assert value("language", french, make_answer("Le produit est pour les prairies.\nThis is for the meadows.")) == 0
    assert language_of("Le produit est pour les prairies") == "fr"
    assert language_of("El producto es para los prados") == "es"
    assert language_of("Il prodotto è per i prati della zona") == "it"
    assert language_of("Es gibt mehrere Orte namens 'San José'.") == "de"
    assert language_of("123") is None


def test_a_number_without_a_source_is_found() -> None:
    call = ToolCall(name="t", args={}, result="mean 0.4312", outcome="ok", seconds=0.1)
    case = make_case(question="What about 2019?")
    sourced = make_answer("In 2019 the mean was 0.43, from HRL Grassland at 10 m with Sentinel-2.", tool_calls=(call,))
    assert value("numbers", case, sourced) == 1
    assert value("numbers", case, make_answer("The mean was 0.77.", tool_calls=(call,))) == 0
    assert value("numbers", case, make_answer("From 2026-09-02.", warnings=("It starts on 2026-09-02.",))) == 1
    assert value("numbers", case, make_answer("It is 0.77.", warnings=("Taken out: 0.77.",))) == 0


def test_a_short_name_is_read_as_a_name_only() -> None:
    assert "lake-ice-extent" in named("LIE is daily", WORLD.catalogue)
    assert "lake-ice-extent" not in named("meadows lie open", WORLD.catalogue)


def test_the_runner_asks_every_case_through_the_real_assistant(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "a.yaml").write_text(TINY)
    cases = load_cases(tmp_path)
    assistant = Assistant(settings, hub_url="http://127.0.0.1:9")
    build_index(settings.index_dir, embedding_model="none")
    seen: list[Result] = []
    results = ask_all(cases, assistant, seen.append)
    assistant.close()
    assert [result.case.id for result in results] == ["sealed", "sealed-loose", "sea"]
    assert seen == results
    assert all(result.text for result in results)
    assert "| loose | 1 |" in card(results)


def test_search_alone_skips_cases_without_a_right_product(tmp_path: Path) -> None:
    build_index(tmp_path / "index", embedding_model="none")
    (tmp_path / "a.yaml").write_text(TINY)
    cases = load_cases(tmp_path)
    found = search_all(cases, Retriever(tmp_path / "index", embedding_model="none"), lambda _: None)
    blind = search_all(cases, Retriever(tmp_path / "index", embedding_model="none", use=()), lambda _: None)
    assert [result.case.id for result in found] == ["sealed", "sealed-loose"]
    assert found[0].scores["product@1"].value == 1
    assert blind[0].scores["product@1"].value == 0


def make_result(right: int, case_id: str = "one") -> Result:
    score = Score(value=1 if right else 0, reason="because")
    return Result(case=make_case(id=case_id), scores={"facts": score}, seconds=0.1)


def test_a_score_that_falls_is_told_and_one_that_holds_is_not() -> None:
    good, bad = (baseline([make_result(right) for right in rights], "offline") for rights in ((1, 1), (1, 0)))
    assert fallen(good, good) == []
    assert fallen(bad, good) == []
    assert any(line.startswith("facts: 1.000 before, 0.500 now") for line in fallen(good, bad))
    assert fallen(Baseline(mind="offline", cases=1, scores={"gone": 0.5}), good) == [
        "gone: 0.500 before, not measured now"
    ]


def test_misses_of_held_back_cases_are_never_listed() -> None:
    ids = {case.split: case.id for case in (make_case(id=f"c{number}") for number in range(20))}
    lines = misses([make_result(0, ids["dev"]), make_result(0, ids["held"])])
    assert len(lines) == 1
    assert lines[0].startswith(ids["dev"])


def test_the_slowest_twentieth_sets_the_95th_percentile() -> None:
    assert percentile_95([float(one) for one in range(1, 101)]) == 95.0
    assert percentile_95([0.5]) == 0.5


def test_the_check_fails_when_scores_fell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    high = tmp_path / "baseline.json"
    high.write_text(Baseline(mind="offline", cases=1, scores={"facts": 1.0}).model_dump_json())
    monkeypatch.setattr(entry, "BASELINE", high)
    monkeypatch.setattr(entry, "run", lambda cases, mind, retrieval, trials: [make_result(0)])
    ran = CliRunner().invoke(entry.main, ["--check"])
    assert ran.exit_code == 1
    assert "Scores fell: facts: 1.000 before, 0.000 now" in ran.output
    monkeypatch.setattr(entry, "run", lambda cases, mind, retrieval, trials: [make_result(1)])
    assert CliRunner().invoke(entry.main, ["--check"]).exit_code == 0


def test_a_part_of_the_cases_cannot_be_checked_against_the_baseline() -> None:
    assert CliRunner().invoke(entry.main, ["--check", "--split", "dev"]).exit_code == 2


def make_plan(**fields: object) -> Plan:
    place = Place(name="Rennes, France (half of it)", kind="city", bbox=(-2, 48, -1, 49), area_km2=1.0, source="test")
    days = Period(start=date(2026, 7, 1), end=date(2026, 7, 31), label="July")
    base = {"recipe_id": "ndvi", "collection_id": "c", "output": "composite", "place": place, "period": days}
    return Plan.model_validate({**base, **fields})


def make_call(name: str = "compute", **args: object) -> ToolCall:
    return ToolCall(name=name, args=dict(args), result="", outcome="ok", seconds=0.1)


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


def test_earlier_turns_are_asked_first_and_trials_tell_whether_answers_are_stable(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[str, str | None]] = []

    async def ask(
        self: Assistant, question: str, *, session_id: str | None = None, today: date | None = None
    ) -> Answer:
        heard.append((question, session_id))
        return make_answer(f"{question} {len(heard) if question == 'shaky' else ''}")

    monkeypatch.setattr(Assistant, "ask", ask)
    build_index(settings.index_dir, embedding_model="none")
    assistant = Assistant(settings, hub_url="http://127.0.0.1:9")
    cases = (make_case(turns=("first",), question="then"), make_case(id="two", question="shaky"))
    results = ask_all(cases, assistant, lambda _: None, trials=2)
    assistant.close()
    assert heard[:2] == [("first", None), ("then", "s")]
    assert [result.scores["stable"].value for result in results] == [1, 0]


def test_the_score_card_holds_each_group_the_trials_and_each_kind_of_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, int]] = []

    def run(cases: Sequence[Case], mind: str, retrieval: str, trials: int = 1) -> list[Result]:
        asked.append((mind, retrieval, trials))
        return [Result(case=case, scores={"facts": Score(value=1, reason="")}, seconds=0.1) for case in cases]

    monkeypatch.setattr(entry, "run", run)
    ran = CliRunner().invoke(entry.main, ["--score-card", str(tmp_path / "scores.md")])
    assert ran.exit_code == 0, ran.output
    page = (tmp_path / "scores.md").read_text()
    assert all(f"| {group} |" in page for group in GROUPS)
    assert ("offline", "hybrid", 3) in asked
    assert [retrieval for mind, retrieval, _ in asked if mind == "retrieval"] == ["hybrid", "dense", "keyword"]
    assert CliRunner().invoke(entry.main, ["--check", "--every", "2"]).exit_code == 2
