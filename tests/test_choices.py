"""A reply that picks one of the options asked back, and short questions that go on with the one before."""

import pytest

from assistant.choices import chosen, offered
from assistant.settings import Settings
from tests.reading import read_after
from tests.servers.menu import SmallToolbox, small_assistant
from tools.errors import PlaceAmbiguous
from tools.schema import ToolResult

OPTIONS = ("Córdoba, Spain", "Córdoba, Argentina", "Córdoba, Colombia")


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("the second one", 1),
        ("the Argentinian one", 1),
        ("2", 1),
        ("the last one", 2),
        ("Spanish", 0),
        ("la deuxième", 1),
        ("celle d'Argentine", 1),
        ("die zweite", 1),
        ("la segunda", 1),
        ("la argentina", 1),
        ("la seconda", 1),
        ("Córdoba, Colombia", 2),
    ],
)
def test_an_option_is_chosen_by_its_place_or_its_name(words: str, place: int) -> None:
    assert chosen(words, OPTIONS) == OPTIONS[place]


@pytest.mark.parametrize(
    "words",
    ["the fifth one", "Córdoba", "and in 2019?", "the French one", "How green is Metz this summer, please?", "yes"],
)
def test_what_means_none_or_several_chooses_nothing(words: str) -> None:
    assert chosen(words, OPTIONS) == ""


def test_options_are_read_from_the_answer_of_a_client_that_keeps_the_conversation() -> None:
    assert offered("Several places are called so.\n- Córdoba, Spain\n- Córdoba, Argentina\n\nMore.") == OPTIONS[:2]
    assert offered("It is green.\n\n- One\n- Two") == ()


class _Ambiguous(SmallToolbox):
    """Knows several places of one name."""

    def compute(
        self, index: str, place: str, period: str, output: str, units: str = "parcels", against: str = ""
    ) -> ToolResult:
        if place in ("Cordoba", "Córdoba"):
            raise PlaceAmbiguous("There are several places called 'Cordoba'.", OPTIONS)
        return super().compute(index, place, period, output, units, against)


async def test_a_choice_holds_after_a_restart(settings: Settings) -> None:
    from assistant.agent import Assistant

    services = small_assistant(settings).services()
    first = await Assistant(settings, services=services, toolbox=_Ambiguous).ask("How green is Cordoba in summer 2025?")
    assert first.question is not None
    again = Assistant(settings, services=services, toolbox=_Ambiguous)
    answer = await again.ask("the Argentinian one", session_id=first.session_id)
    assert answer.plan is not None
    assert (answer.plan.place.name, answer.plan.period.label) == ("Córdoba, Argentina", "summer 2025")


def test_the_lowest_are_asked_for_after_the_highest() -> None:
    read = read_after("and the lowest?", "Which parcels around Rennes are the greenest in summer 2026?")
    (wanted,) = read.computes
    assert (wanted.place, wanted.output, wanted.pick.rank) == ("Rennes", "per_polygon", "lowest")


def test_hectares_are_asked_for_after_a_share() -> None:
    read = read_after("as hectares", "How much of Rennes is forest in 2018?")
    assert read.layer is not None
    assert (read.layer.place, read.layer.period) == ("Rennes", "2018")
