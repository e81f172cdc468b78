"""The cases are sound, and each scorer of an answer can be 0 and 1."""

from collections import Counter
from pathlib import Path

import pytest

from assistant.schema import ToolCall
from evals.schema import LANGUAGES, load_cases
from evals.scorers import language_of, named
from knowledge.elsewhere import load_elsewhere
from knowledge.errors import SourceInvalid
from tests.scored import TINY, WORLD, cite, make_answer, make_case, value
from tools.schema import (
    Alternative,
    Recommendation,
)


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
    holder = load_elsewhere()["noise"].provider
    told = f"Le produit est pour les prairies.\nLe bruit est chez {holder} pour les cartes.\n{holder}"
    assert value("language", french, make_answer(told)) == 1
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
