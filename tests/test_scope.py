"""What of a question is answered where another part of it is outside the land service."""

import pytest
from langchain_core.messages import HumanMessage

from assistant import answers
from assistant.conversation import read
from assistant.planner import next_message
from tools.toolbox import Toolbox


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ("Mean NDVI of Lille in June 2025", "and cheap flights to Lille?"),
        ("Which product maps forests", ", and what is the air quality in Metz?"),
        ("Quel produit montre les forêts", "et quelle est la qualité de l'air à Metz ?"),
        ("Welches Produkt zeigt Wald", "und wie ist die Luftqualität in Metz?"),
        ("¿Qué producto muestra bosques", "y cuál es la calidad del aire?"),
        ("Quale prodotto mostra i boschi", "e qual è la qualità dell'aria a Metz?"),
    ],
)
def test_the_part_that_is_in_scope_is_read_alone(inside: str, outside: str) -> None:
    found = read(f"{inside} {outside}".replace(" ,", ","))
    assert found.text == inside
    assert found.outside == (outside.strip(", ").partition(" ")[2],)


@pytest.mark.parametrize(
    ("question", "inside", "outside"),
    [
        ("Sealed soil and rainfall in Metz", "Sealed soil in Metz", "rainfall in Metz"),
        ("NDVI and rainfall of Lille in June 2025", "NDVI of Lille in June 2025", "rainfall of Lille in June 2025"),
        ("Rainfall and NDVI in Lille in June 2025", "NDVI in Lille in June 2025", "Rainfall"),
        ("Snow and air pollution in the Alps", "Snow in the Alps", "air pollution in the Alps"),
        ("Forêts et précipitations à Metz", "Forêts à Metz", "précipitations à Metz"),
        ("Wald und Niederschlag in Bayern 2018", "Wald in Bayern 2018", "Niederschlag in Bayern 2018"),
    ],
)
def test_both_halves_are_of_the_place_and_the_time_named_last(question: str, inside: str, outside: str) -> None:
    found = read(question)
    assert (found.text, found.outside) == (inside, (outside,))


@pytest.mark.parametrize(
    "question",
    [
        "What is the air quality in Metz?",
        "Which product maps forests?",
        "We stay at a hotel in Lille: how green are the parcels and streets in June 2025?",
    ],
)
def test_what_belongs_together_is_not_parted(question: str) -> None:
    assert read(question).text == question


def test_both_parts_are_looked_up() -> None:
    question = HumanMessage("Which product maps forests, and what is the air quality in Metz?")
    asked = [call["args"]["question"] for call in next_message([question], Toolbox.TOOLS).tool_calls]
    assert asked == ["Which product maps forests", "what is the air quality in Metz?"]


@pytest.mark.parametrize(
    "question",
    [
        "I have a rash on my arm, what should I do?",
        "J'ai de la fièvre, que faire ?",
        "Was hilft gegen Hautausschlag?",
        "Tengo un sarpullido en el brazo",
        "Ho un'eruzione cutanea sul braccio",
        "How do I fly to Lille on Monday?",
        "Je veux voler vers Lille lundi",
        "Kann ich am Montag nach Metz fliegen?",
        "¿Cuándo puedo volar a Metz?",
        "Posso volare a Metz lunedì?",
    ],
)
def test_what_nobody_here_answers_is_refused_in_one_sentence(question: str) -> None:
    assert read(question).intent == "out_of_scope"
    assert answers.compose(read(question), []).count(". ") == 0
