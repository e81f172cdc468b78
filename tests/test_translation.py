"""Answers in the language of the question: the phrases, what they leave alone, and whole turns in five languages."""

import ast
import re
from calendar import month_name
from collections import Counter
from datetime import date
from functools import cache
from pathlib import Path

import pytest
import yaml

from assistant import answers, conversation
from assistant.conversation import replayed
from assistant.phrases import PART, Phrase, has_english, is_english, load, names_in, translate
from assistant.schema import ErrorEvent
from assistant.settings import Settings
from assistant.translation import NOTE, language_asked
from evals.schema import load_cases
from knowledge.catalogue import load_catalogue
from knowledge.lexicon import FOREIGN, Foreign, Language
from tests.servers.menu import small_assistant
from tools.export import synthetic_note
from tools.periods import parse_period

ROOT = Path(__file__).parents[1]
TODAY = date(2026, 7, 20)
PHRASES = load()
CLAIM = re.compile(r"https?://[^\s>]+|\d+(?:[.,:-]\d+)*")
"""A link, a date or a number, as written."""


def claims(text: str) -> Counter[str]:
    return Counter(one.rstrip(".,") for one in CLAIM.findall(text))


@cache
def source_words() -> str:
    """Give all that the code and its data files can say, without docstrings; f-strings break where a value goes."""
    told = [*month_name]  # dates in words come from strftime
    for folder in ("tools", "assistant", "knowledge", "ui"):
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            told += [
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
            ]
        for path in (ROOT / folder).rglob("*.yaml"):
            if path.parent.name != "phrases_data" and path.name != "lexicon.yaml":
                told += _strings(yaml.safe_load(path.read_text(encoding="utf-8")))
    return "\n".join(told)


def _strings(node: object) -> list[str]:
    if isinstance(node, dict):
        return [text for key, value in node.items() for text in (str(key), *_strings(value))]
    if isinstance(node, list):
        return [text for value in node for text in _strings(value)]
    return [node] if isinstance(node, str) else []


def filled(template: str, number: str = "7") -> str:
    """Put something into each placeholder that it may stand for."""

    def fill(part: "re.Match[str]") -> str:
        name = (part[1] or part[2] or part[3]).rstrip("0123456789")
        value = {"n": number, "d": "2021-05-02", "id": "imd-2018"}.get(name, "Xyz")
        return f"{value} {part[4] if value == '1' else part[5]}" if part[3] else value

    return PART.sub(fill, template)


def test_a_phrase_with_other_placeholders_in_a_language_is_refused() -> None:
    words = {"en": "{n} dates", "fr": "{n} dates", "de": "{n} Termine", "es": "fechas", "it": "{n} date"}
    with pytest.raises(ValueError, match="es has other placeholders"):
        Phrase(**words)


def test_no_english_phrase_stands_twice() -> None:
    assert [text for text, count in Counter(one.en for one in PHRASES).items() if count > 1] == []


@pytest.mark.parametrize("phrase", PHRASES, ids=lambda one: one.en[:60])
def test_the_code_can_say_each_phrase(phrase: Phrase) -> None:
    """Sentences are made of few strings of the source, so that one nobody says any more is noticed."""
    words = max(PART.sub("\0", phrase.en).split("\0"), key=len).strip(" .,:;()").split(" ")
    pieces, at = 0, 0
    while at < len(words):
        ends = (end for end in range(len(words), at, -1) if " ".join(words[at:end]).strip(".,;") in source_words())
        at, pieces = next(ends, len(words) + 1), pieces + 1
    assert at == len(words)
    assert pieces <= max(3, len(words) // 3)


@pytest.mark.parametrize("language", FOREIGN)
@pytest.mark.parametrize("number", ["1", "7", "-0.25"])
def test_each_phrase_is_found_and_keeps_its_numbers(language: Foreign, number: str) -> None:
    for phrase in PHRASES:
        text = filled(phrase.en, number)
        told = translate(text, language)
        assert claims(told) == claims(text), text
        if getattr(phrase, language) != phrase.en and names_in(phrase.en) and number != "1":
            assert told != text, text


@pytest.mark.parametrize("language", FOREIGN)
def test_the_notice_of_invented_data_is_never_lost(language: Foreign) -> None:
    for scenes, units in ((True, False), (False, True), (True, True)):
        note = synthetic_note(scenes=scenes, units=units)
        told = translate(f"{note}\n\nThe mean NDVI of Rennes, 2026-06-01 to 2026-06-30, is **0.500**.", language)
        assert note not in told
        assert re.match(r"(?:Données|Synthetische|Datos|Dati) ", told)


@pytest.mark.parametrize("language", FOREIGN)
def test_quotes_links_code_and_names_are_copied(language: Foreign) -> None:
    quote = "“The mean NDVI of a field is one number. No data: 255.”"
    text = (
        f"- Product card of this catalogue, NDVI, global (NDVI): {quote} More: <https://land.copernicus.eu/a_b?c=1>\n"
        "Not covered: No collection with the bands for this covers Parcels, Ohio. "
        "Collections with such bands: no-data. Try another place, or add data with `clms-assistant hub add`."
    )
    told = translate(text, language)
    for kept in (quote, "<https://land.copernicus.eu/a_b?c=1>", "Parcels, Ohio", "no-data", "`clms-assistant hub add`"):
        assert kept in told
    assert told != text


@pytest.mark.parametrize("field", ["choose_when", "cautions", "not_for", "access", "summary", "reasons"])
@pytest.mark.parametrize("language", FOREIGN)
def test_each_sentence_that_products_show_is_known_in_each_language(language: Foreign, field: str) -> None:
    products = load_catalogue().products
    reasons = [[rule.reason for rule in one.comparable_with] for one in products]
    shown = reasons if field == "reasons" else [getattr(product, field) for product in products]
    texts = {text for one in shown for text in ([one] if isinstance(one, str) else one)}
    told = {text: translate(text, language) for text in texts if any(word.islower() for word in text.split())}
    assert [text for text in sorted(told) if told[text] == text or is_english(told[text])] == []


@pytest.mark.parametrize("language", FOREIGN)
def test_what_each_product_measures_is_told_in_each_language(language: Foreign) -> None:
    measured = [one.measures for one in load_catalogue().products if one.measures]
    told = {what: translate(f"It measures {what}.", language) for what in measured}
    assert [what for what in measured if what in told[what]] == []


@pytest.mark.parametrize("language", FOREIGN)
def test_unknown_sentences_stay_as_they_are(language: Foreign) -> None:
    for text in ("Stored 7 to 9 are no flags of ours.", "Whatever the tools say tomorrow, and more.", "a, b; c"):
        assert translate(text, language) == text


def follow_ups() -> list[str]:
    places = ("Rennes, France", "Cayenne, French Guiana", "Rennes, France (the 89% of it that scenes cover)")
    times = ("from 2026-06-01 to 2026-07-15", "on 2026-06-15")
    asked = [
        words.format(index=index, where=place, when=when)
        for words in answers.FOLLOW_UPS.values()
        for index in ("NDVI", "NDWI")
        for place in (*places, "5 km around Rennes, France")
        for when in times
    ]
    return [*asked, "Tell me about NDVI, global.", "Tell me about HRL Forest Type.", "Tell me about CORINE Land Cover."]


def meaning(question: str) -> tuple[object, ...]:
    read = conversation.read(question)
    wanted = [
        (one.index, one.output, parse_period(one.period, today=TODAY).start, one.units, one.place or read.place)
        for one in read.computes
    ]
    return read.intent, read.product, wanted


@pytest.mark.parametrize("language", FOREIGN)
def test_a_follow_up_is_read_as_the_same_question_in_each_language(language: Foreign) -> None:
    for question in follow_ups():
        told = translate(question, language)
        assert told != question
        assert meaning(told) == meaning(question), told
        assert language_asked(told) == language, told


@pytest.mark.parametrize(
    ("question", "earlier", "language"),
    [
        ("Parle-moi de High Resolution Vegetation Phenology and Productivity, 10 m.", (), "fr"),
        ("Hilfe", (), "de"),
        ("¿Y en 2019?", ("Show NDVI of Rennes in June 2026",), "es"),
        ("NDVI Rennes 2024", ("Wie grün ist Rennes?",), "de"),
        ("NDVI Rennes 2024", (), "en"),
        ("2019", ("How green is Rennes?", "Quanto è verde Rennes?"), "it"),
        ("And in 2019?", ("Quanto è verde Rennes?",), "en"),
        ("NDVI de Madrid en junio de 2026", (), "es"),
        ("Show it as a map", (), "en"),
        ("Gewässer Slowenien", (), "de"),
        ("densidad arbórea Lima", (), "es"),
        ("copertura arborea Lima", (), "it"),
        ("surfaces brûlées Grèce", (), "fr"),
        ("grassland Slovenia daily", (), "en"),
        ("coastal zones Mediterranean", (), "en"),
        ("Metz?", (), "en"),
        ("2019", ("Gewässer Slowenien",), "de"),
        ("How green was Porto in July 2024?", (), "en"),
        ("How green was Valencia?", (), "en"),
        ("Was ist NDVI?", (), "de"),
        ("NDVI Brest juillet 2024", (), "fr"),
        ("2018", ("Wie grün ist Rennes?", *["2019"] * 30), "de"),
    ],
)
def test_the_language_is_that_of_the_question_or_of_the_conversation(
    question: str, earlier: tuple[str, ...], language: Language
) -> None:
    assert language_asked(question, replayed(("user", one) for one in earlier).language) == language


def test_the_language_of_the_cases_is_told() -> None:
    cases = load_cases()
    wrong = [case.question for case in cases if language_asked(case.question) != case.language]
    assert len(wrong) <= len(cases) / 100, wrong


QUESTIONS: dict[Foreign, str] = {
    "fr": "Quel est le NDVI moyen des parcelles autour de Rennes cet été ?",
    "de": "Wie grün sind die Parzellen rund um Rennes diesen Sommer?",
    "es": "¿Cuál es el NDVI medio de las parcelas alrededor de Rennes este verano?",
    "it": "Qual è il valore medio di NDVI delle particelle intorno a Rennes questa estate?",
}


@pytest.mark.parametrize(("language", "question"), QUESTIONS.items())
async def test_an_answer_is_in_the_language_of_the_question(
    settings: Settings, language: Foreign, question: str
) -> None:
    answer = await small_assistant(settings).ask(question)
    assert (answer.language, answer.outcome) == (language, "ok")
    assert "0.500" in answer.text
    for heading in ("How it was computed", "Product to use", "Synthetic demo data", "The mean NDVI"):
        assert heading not in answer.text
    assert has_english(answer.text)  # the stand-in for the catalogue speaks English, and the answer says so
    assert answer.text.splitlines()[-1] == translate(NOTE, language)
    assert all(language_asked(one) == language for one in answer.follow_ups)
    assert translate("You could ask next", language) in answer.follow_up_text


async def test_failures_are_told_in_the_language_asked(settings: Settings) -> None:
    assistant = small_assistant(settings)
    events = [event async for event in assistant.stream("Warum " * 1000)]
    assert isinstance(events[-1], ErrorEvent)
    assert events[-1].message.startswith("Die Frage ist länger als 4000 Zeichen")
    assert events[-1].hint == "Fragen Sie nach einer Sache auf einmal."


async def test_a_short_follow_up_keeps_the_language_of_the_conversation(settings: Settings) -> None:
    assistant = small_assistant(settings)
    first = await assistant.ask(QUESTIONS["de"])
    second = await assistant.ask("NDVI Rennes 2025", session_id=first.session_id)
    assert second.language == "de"
