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
    "question",
    ["NDVI and rainfall of Lille in June 2025", "What is the air quality in Metz?", "Which product maps forests?"],
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
