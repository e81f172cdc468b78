"""Who reads it: screen readers, five languages, text from outside."""

import re

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from assistant.schema import ToolCall
from knowledge.catalogue import load_catalogue
from knowledge.lexicon import LANGUAGES
from tests.web.script import answer, artifact, ask, computed
from ui.page_layout import load_examples
from ui.page_words import all_words
from ui.panels import result_html
from ui.product_card import cards_html


def test_axe_finds_nothing_against_wcag_aa(page: Page) -> None:
    only = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
    page.get_by_role("button", name=load_examples()[0]).wait_for()
    assert [one["id"] for one in Axe().run(page, options=only).response["violations"]] == []
    ask(page, "How green?")
    page.get_by_role("row", name="P2 no value").wait_for()
    page.get_by_role("button", name="Lessons and sharing").click()
    page.get_by_role("button", name="Not helpful").click()
    page.get_by_role("button", name="Send", exact=True).wait_for()
    assert [one["id"] for one in Axe().run(page, options=only).response["violations"]] == []


def test_the_page_speaks_the_language_of_the_browser_and_then_the_chosen_one(browser: Browser, address: str) -> None:
    opened = browser.new_page(locale="fr-FR")
    opened.goto(address)
    opened.get_by_role("button", name="Demander").wait_for()
    opened.get_by_role("button", name="Dessiner une zone").wait_for()
    opened.get_by_label("Langue").click()
    opened.get_by_role("option", name="Deutsch").click()
    opened.get_by_role("button", name="Fragen").wait_for()
    opened.get_by_role("button", name="Fläche zeichnen").wait_for()
    opened.get_by_role("button", name=load_examples("de")[0]).wait_for()
    opened.close()


def test_every_label_is_there_in_five_languages_with_the_same_blanks() -> None:
    for key, words in all_words().items():
        assert len(words) == len(LANGUAGES), key
        assert len({tuple(sorted(re.findall(r"\{\w+\}", one))) for one in words}) == 1, key


def test_the_banner_on_synthetic_data_needs_a_warning_that_says_so() -> None:
    answer = computed(warnings=("Two dates were cloudy.",))
    assert "Not real" not in result_html("q", answer.artifacts, answer)


def test_text_from_outside_never_becomes_markup() -> None:
    answer = computed(warnings=("<img src=x>",))
    assert "<img src=x>" not in result_html("<script>", answer.artifacts, answer)
    assert "<script>" not in result_html("<script>", answer.artifacts, answer)


def test_a_product_card_tells_its_facts_in_the_language_of_the_page() -> None:
    about = {"product_id": "tree-cover-density"}
    call = ToolCall(name="explain_product", args=about, result="", outcome="ok", seconds=0.1)
    told = cards_html(answer("It is a layer.", tool_calls=[call]), load_catalogue, "fr")
    assert "Les couches de changement 2015-2018 ne correspondent pas" in told
    assert "The 2015-2018 change layers" not in told


def test_a_picture_is_named_in_the_language_of_the_page_though_its_period_is_in_english() -> None:
    chart = artifact("chart", "Chart: NDVI, Rennes, this summer", "image/png")
    assert "Graphique: NDVI, Rennes, this summer" in result_html("q", [chart], None, "fr")
