"""Questions in five languages meet the catalogue's English words."""

from collections import Counter
from pathlib import Path

import pytest

from knowledge.errors import SourceInvalid
from knowledge.ingest import build_index
from knowledge.lexicon import FOREIGN, fold, in_english, language_of, load_lexicon, to_english
from knowledge.retrieval import Retriever


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Which product shows soil sealing in Lisbon?", "en"),
        ("Corine Land Cover copre l'Islanda?", "it"),
        ("¿Cubre CORINE Islandia?", "es"),
        ("Deckt CORINE Island ab?", "de"),
        ("Quel produit montre les sols de Lyon ?", "fr"),
        ("Welches Produkt zeigt den Boden von Köln?", "de"),
        ("¿Qué producto muestra los suelos de Vigo?", "es"),
        ("Quale prodotto mostra i suoli di Bari?", "it"),
        ("CORINE Land Cover", "en"),
        ("CLC+ Backbone 2021", "en"),
        ("", "en"),
        ("0.85 ?!", "en"),
    ],
)
def test_the_language_of_a_text(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("les prairies permanentes", "permanent grassland"),
        ("la qualité de l’eau des lacs", "lake water quality"),
        ("das Bodenversiegelungsgebiet der Stadt", "soil sealing"),
        ("die Nadelwälder im Harz", "conifers"),
        ("los incendios del verano", "burnt area"),
        ("los SETOS y las masas de agua", "water bodies"),
        ("i boschi e i laghi della Lombardia", "forest"),
        ("le FORETS de la region", "forest"),
        ("der Weizenpreis in Bayern", "wheat price"),
        ("die Waldtemperatur im Sommer", "forest temperature"),
    ],
)
def test_inflected_words_compounds_and_missing_accents_are_found(text: str, term: str) -> None:
    assert term in to_english(text)


@pytest.mark.parametrize("text", ["Bodenversiegelung Hannover", "imperméabilisation Lyon", "impermeabilización Vigo"])
def test_bare_words_are_read_by_their_terms(text: str) -> None:
    assert "soil sealing" in in_english(text)


@pytest.mark.parametrize("text", ["CORINE Land Cover", "CLC+ Backbone 2021", "NDVI Bretagne", "lake ice"])
def test_bare_english_words_and_names_stay(text: str) -> None:
    assert in_english(text) == text


def test_a_longer_term_wins_over_the_words_in_it() -> None:
    assert to_english("la température de l'eau du lac") == "lake water temperature lake"


def test_english_stays_and_unknown_words_stay() -> None:
    assert in_english("How green is the Port of Sète?") == "How green is the Port of Sète?"
    assert to_english("How green is the Port of Sète?") == ""
    assert in_english("Quelle est la part de HR-VPP dans la Drôme ?") == "percentage share hr-vpp drome"
    assert in_english("le xyzzy") == "le xyzzy"


def test_each_term_has_words_in_each_language_and_no_word_stands_for_two() -> None:
    terms = load_lexicon().terms
    assert len(terms) > 150
    assert {term for term, languages in terms.items() if set(languages) != set(FOREIGN)} == set()
    for language in FOREIGN:
        words = Counter(fold(word) for languages in terms.values() for word in languages[language])
        assert [word for word, times in words.items() if times > 1] == [], language


def test_each_word_of_the_lexicon_is_found_by_its_own_language() -> None:
    for term, languages in load_lexicon().terms.items():
        for language, words in languages.items():
            function_words = {"fr": "est avec", "de": "ist mit", "es": "está con", "it": "è con"}[language]
            for word in words:
                assert to_english(f"{function_words} {word.replace('*', '')}"), (term, language, word)


def test_a_broken_lexicon_is_named(tmp_path: Path) -> None:
    (tmp_path / "lexicon.yaml").write_text("terms: {lake: {fr: [Not, lower!]}}")
    with pytest.raises(SourceInvalid, match=r"lexicon\.yaml"):
        load_lexicon(tmp_path / "lexicon.yaml")


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Retriever:
    folder = tmp_path_factory.mktemp("index")
    build_index(folder, embedding_model="none")
    return Retriever(folder, embedding_model="none")


@pytest.mark.parametrize(
    ("question", "product_id"),
    [
        ("Où trouver des données sur les surfaces brûlées ?", "burnt-area"),
        ("Welche Felder tragen Mais und Weizen?", "crop-types"),
        ("¿Cuál es el nivel del agua de los ríos?", "water-level"),
        ("Dove trovo l'altezza degli edifici?", "urban-atlas-building-height"),
    ],
)
def test_products_and_passages_are_found_without_an_encoder(
    retriever: Retriever, question: str, product_id: str
) -> None:
    assert retriever.products(question)[0].product.id == product_id
    assert product_id in {passage.source_id for passage in retriever.passages(question)}
