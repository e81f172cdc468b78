"""What a question takes from the ones before it, in five languages; sentences of its own, none of the evals."""

from datetime import date

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from assistant import conversation
from assistant.answers import compose
from assistant.computes import ComputeRequest
from assistant.follow_ups import told_products
from assistant.planner import next_message
from assistant.shifts import find_shift
from tests.reading import read_after
from tools.periods import parse_period
from tools.schema import Statistics, StatisticsRow, ToolResult
from tools.toolbox import Toolbox

TODAY = date(2025, 9, 10)
BASE = "NDVI per parcel around Lille in June 2025"
ANSWER = (
    "**Product to use: HRL Imperviousness Density**\n- You seal.\n- Why not Urban Atlas land cover and land use: no."
)


def last_compute(question: str, *earlier: str) -> ComputeRequest:
    """Give the last computation that a question asks for after others."""
    return read_after(question, *earlier).computes[-1]


def days(words: str) -> str:
    """Give a period as its first and last day."""
    period = parse_period(words, today=TODAY)
    return f"{period.start}/{period.end}"


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("a year before that, please", "2024-06-01/2024-06-30"),
        ("and 2 months later?", "2025-08-01/2025-08-31"),
        ("the same month last year", "2024-06-01/2024-06-30"),
        ("et un an plus tôt ?", "2024-06-01/2024-06-30"),
        ("la même chose un mois après", "2025-07-01/2025-07-31"),
        ("ein Jahr zuvor?", "2024-06-01/2024-06-30"),
        ("und im Vorjahr?", "2024-06-01/2024-06-30"),
        ("lo mismo dos meses después", "2025-08-01/2025-08-31"),
        ("¿y el año anterior?", "2024-06-01/2024-06-30"),
        ("lo stesso due mesi dopo", "2025-08-01/2025-08-31"),
        ("roll forward by two months", "2025-08-01/2025-08-31"),
        ("go back three months", "2025-03-01/2025-03-31"),
        ("avance de deux mois", "2025-08-01/2025-08-31"),
        ("geh zwei Monate weiter", "2025-08-01/2025-08-31"),
        ("adelanta dos meses", "2025-08-01/2025-08-31"),
        ("vai avanti di due mesi", "2025-08-01/2025-08-31"),
        ("and on the 15th?", "2025-06-15/2025-06-15"),
        ("et le 15 ?", "2025-06-15/2025-06-15"),
        ("und am 15.?", "2025-06-15/2025-06-15"),
        ("¿y el 15?", "2025-06-15/2025-06-15"),
        ("e il 15?", "2025-06-15/2025-06-15"),
        ("e un anno fa?", "2024-06-01/2024-06-30"),
    ],
)
def test_a_distance_in_time_starts_from_the_period_before(question: str, expected: str) -> None:
    found = last_compute(question, BASE)
    assert (found.place, found.units, found.index, days(found.period)) == ("Lille", "parcels", "ndvi", expected)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("and in May?", "2023-05-01/2023-05-31"),
        ("et début mai ?", "2023-05-01/2023-05-10"),
        ("und am 3. Juli?", "2023-07-03/2023-07-03"),
        ("¿y en verano?", "2023-06-01/2023-08-31"),
        ("e nella seconda metà di giugno?", "2023-06-16/2023-06-30"),
        ("and in May 2024?", "2024-05-01/2024-05-31"),
        ("and last month?", "2025-08-01/2025-08-31"),
    ],
)
def test_a_month_without_a_year_is_of_the_year_before(question: str, expected: str) -> None:
    assert days(last_compute(question, "NDVI per parcel around Lille in June 2023").period) == expected


def test_a_distance_is_no_place_and_no_week_of_a_month_is_one() -> None:
    assert last_compute("the same one year earlier", BASE).place == "Lille"
    assert find_shift("NDVI in the first week of May") is None
    assert find_shift("prima settimana di maggio") is None


@pytest.mark.parametrize(
    "question",
    [
        "set it against June 2024, compare",
        "what has changed since June 2024?",
        "compare-le avec juin 2024",
        "qu'est-ce qui a changé depuis juin 2024 ?",
        "vergleiche es mit Juni 2024",
        "was hat sich seit Juni 2024 verändert?",
        "compáralo con junio de 2024",
        "confrontalo con giugno 2024",
        "compare with one year earlier",
        "com'è cambiato rispetto a giugno 2024?",
    ],
)
def test_a_second_period_is_set_against_the_one_before(question: str) -> None:
    found = last_compute(question, BASE)
    assert (found.output, found.units, days(found.period)) == ("per_polygon", "parcels", "2025-06-01/2025-06-30")
    assert days(found.against) == "2024-06-01/2024-06-30"


@pytest.mark.parametrize(
    ("question", "above", "below"),
    [
        ("which of those lie over 0.6?", 0.6, None),
        ("lesquelles dépassent 0,6 ?", 0.6, None),
        ("welche davon liegen unter 0,4?", None, 0.4),
        ("¿cuáles quedan por debajo de 0,4?", None, 0.4),
        ("quali restano sotto 0,4?", None, 0.4),
    ],
)
def test_a_bare_threshold_is_of_the_polygons_before(question: str, above: float | None, below: float | None) -> None:
    found = last_compute(question, BASE)
    assert (found.place, found.units, found.pick.above, found.pick.below) == ("Lille", "parcels", above, below)


def test_an_explained_product_is_a_detour() -> None:
    found = last_compute("and for Metz?", BASE, "What is HRL Grassland?")
    assert (found.place, found.units, days(found.period)) == ("Metz", "parcels", "2025-06-01/2025-06-30")


def test_my_parcels_are_those_computed_before() -> None:
    assert last_compute("back to my parcels: their NDVI in May 2025", BASE).place == "Lille"
    assert read_after("NDVI of my parcels in May 2025", "Which images of Lille are there?").place == ""


def test_a_subject_of_its_own_is_no_follow_up() -> None:
    for question in ("Which product shows those wetlands?", "Is it forest that grows there in 2024?"):
        assert read_after(question, BASE).intent == "recommend"


def test_a_place_settled_once_stays_settled() -> None:
    earlier = ("NDVI of Cordoba in May 2025", "Cordoba, Argentina")
    assert last_compute("EVI2 of Córdoba in June 2025", *earlier).place == "Cordoba, Argentina"
    assert last_compute("EVI2 of Lille in June 2025", *earlier).place == "Lille"


def calls(*turns: tuple[str, str], question: str) -> list[dict[str, object]]:
    """Give the calls that a question leads to after turns of question and answer."""
    told: list[BaseMessage] = [part for asked, answer in turns for part in (HumanMessage(asked), AIMessage(answer))]
    return [
        {"name": one["name"], **one["args"]}
        for one in next_message([*told, HumanMessage(question)], Toolbox.TOOLS).tool_calls
    ]


@pytest.mark.parametrize(
    "question",
    [
        "run that on Lille, district by district, 2021",
        "calcule-le pour Lille par quartier, 2021",
        "berechne es für die Stadtteile von Lille, 2021",
        "calcúlalo para los distritos de Lille, 2021",
        "calcolalo per i quartieri di Lille, 2021",
    ],
)
def test_the_product_told_is_what_is_computed(question: str) -> None:
    made = calls(("Which data show sealed soil?", ANSWER), question=question)
    layer = next(one for one in made if one["name"] == "layer_statistics")
    assert (layer["layer"], layer["place"], layer["units"]) == ("HRL Imperviousness Density", "Lille", "districts")
    assert layer["period"] == "2021"
    assert made[0]["question"] == "HRL Imperviousness Density"


@pytest.mark.parametrize(
    "question", ["the second one", "tell me more about the second one", "et la deuxième ?", "die zweite", "il secondo"]
)
def test_a_rank_means_a_product_told(question: str) -> None:
    made = calls(("Which data show sealed soil?", ANSWER), question=question)
    assert made == [{"name": "explain_product", "product_id": "Urban Atlas land cover and land use"}]


def test_products_told_are_in_the_order_of_the_answer() -> None:
    assert told_products(ANSWER) == ("HRL Imperviousness Density", "Urban Atlas land cover and land use")
    assert told_products("The HRL Imperviousness Density of Lille is 40 %.") == ()


def test_an_option_chosen_in_the_conversation_is_read_in_full() -> None:
    asked = "There are several places called 'Valencia'.\n- Valencia, Spain\n- Valencia, Venezuela"
    turns = (("NDVI of Valencia in June 2025", asked), ("the Spanish one", "Not covered."))
    assert calls(*turns, question="And in May 2025?")[-1]["place"] == "Valencia, Spain"


@pytest.mark.parametrize(
    "question", ["what about the seventh one?", "et la septième ?", "und das siebte?", "y el séptimo?"]
)
def test_a_rank_after_values_ranks_them_as_far(question: str) -> None:
    found = last_compute(question, "Which three parcels around Lille had the lowest NDVI in June 2025?")
    assert (found.place, found.pick.rank, found.pick.count) == ("Lille", "lowest", 7)


@pytest.mark.parametrize(
    "question",
    [
        "Which datasets are similar to HRL Grassland?",
        "Quels produits ressemblent à HRL Grassland ?",
        "Was ist HRL Grassland ähnlich?",
        "¿Hay alternativas a HRL Grassland?",
        "Ci sono prodotti simili a HRL Grassland?",
    ],
)
def test_products_like_one_are_asked_for_in_five_languages(question: str) -> None:
    assert calls(question=question) == [{"name": "compare_products", "first": "HRL Grassland"}]


def test_something_similar_to_what_was_told_or_for_a_place_of_its_own() -> None:
    turn = ("Which data show sealed soil?", ANSWER)
    assert calls(turn, question="what else is similar to it?")[0]["first"] == "HRL Imperviousness Density"
    assert calls(question="Something similar to HRL Grassland for Kenya")[0]["name"] == "search_products"


def test_a_layer_is_set_against_another_year_too() -> None:
    found = read_after("how much did that change since 2018?", "How sealed was Lille in 2024?").layer
    assert found is not None
    assert (found.place, found.period, found.against) == ("Lille", "2024", "2018")


@pytest.mark.parametrize("minus", ["minus", "moins", "weniger", "menos", "meno"])
def test_a_period_minus_another_is_a_difference(minus: str) -> None:
    (found,) = conversation.read(f"NDVI per parcel, Lille: 06/2025 {minus} 06/2024").computes
    assert (days(found.period), days(found.against)) == ("2025-06-01/2025-06-30", "2024-06-01/2024-06-30")


def test_a_subject_of_another_service_is_no_follow_up() -> None:
    for question in ("What about air quality in Metz?", "ozone in May 2025?"):
        assert read_after(question, BASE).intent == "recommend"


@pytest.mark.parametrize(
    "question",
    [
        "Map and curve of NDVI, Lille, May 2025",
        "Carte et courbe du NDVI de Lille, mai 2025",
        "Karte und Kurve des NDVI von Lille, Mai 2025",
    ],
)
def test_two_outputs_asked_for_are_both_made(question: str) -> None:
    assert [one.output for one in conversation.read(question).computes] == ["composite", "series"]


@pytest.mark.parametrize(
    "how", ["up and down", "each date on its own", "date par date", "auf und ab", "fecha por fecha", "data per data"]
)
def test_date_by_date_is_a_curve(how: str) -> None:
    assert conversation.read(f"NDVI Lille 2025, {how}").computes[0].output == "series"


@pytest.mark.parametrize(
    "question",
    [
        "how do I run this in openEO?",
        "comment lancer ça dans openEO ?",
        "wie führe ich das in openEO aus?",
        "¿cómo ejecuto esto en openEO?",
        "come eseguo questo in openEO?",
    ],
)
def test_how_to_run_it_in_openeo_is_told_with_the_graph_of_what_was_computed(question: str) -> None:
    found = read_after(question, BASE)
    assert found.intent == "openeo"
    assert found.computes == conversation.read(BASE).computes
    assert last_compute("and in May 2025?", BASE, question).place == "Lille"


def test_a_product_in_openeo_is_another_question() -> None:
    for question in ("Which products are available through openEO?", "Can I run HRL Grassland in openEO?"):
        assert conversation.read(question).intent == "recommend"


@pytest.mark.parametrize(
    ("question", "order", "rank"),
    [
        ("and which has the least?", "lowest", 0),
        ("which one has the most?", "highest", 0),
        ("and the second largest?", "highest", 2),
        ("laquelle a le moins ?", "lowest", 0),
        ("und welche am wenigsten?", "lowest", 0),
        ("¿y la más alta?", "highest", 0),
        ("e la più bassa?", "lowest", 0),
    ],
)
def test_what_a_few_words_pick_is_picked_from_the_rows_told_before(question: str, order: str, rank: int) -> None:
    values = read_after(question, BASE)
    assert (values.computes[-1].pick.rank, values.rank) == (order, rank)
    assert (values.computes[-1].place, values.computes[-1].period) == ("Lille", "June 2025")
    for asked in ("How much of Lille is sealed, district by district?", "classify Lille, June 2025, in 4 classes"):
        picked = read_after(question, asked)
        assert (picked.order, picked.rank, picked.place) == (order, rank, "Lille")


def test_a_ranking_goes_on_in_another_year_and_place() -> None:
    found = read_after("and the second one?", BASE, "which has the least?", "and in 2023?", "same for Metz")
    assert (found.rank, found.place, found.periods) == (2, "Metz", ("2023",))
    assert found.computes[-1].pick.rank == "lowest"


@pytest.mark.parametrize("question", ["Which product has the least detail?", "What is the largest lake in Finland?"])
def test_a_question_with_a_subject_of_its_own_picks_no_row(question: str) -> None:
    found = read_after(question, BASE)
    assert (found.intent, found.order, found.computes) == ("recommend", "", ())


def test_the_row_of_a_layer_that_is_picked_is_told_first_with_its_unit() -> None:
    shares = {"North": 7.16, "South": 9.58, "East": 7.161}
    rows = [StatisticsRow(label=one, value=shares[one], valid_pixels=9, total_pixels=9, outcome="ok") for one in shares]
    result = ToolResult(text="", statistics=Statistics(rows=tuple(rows), unit="%", method=""), data={"finding": "x"})
    asked = ("How much of Lille is sealed, district by district?", "which has the least?")
    told = compose(read_after(asked[1], asked[0]), [result])
    assert told.startswith("Number 1 of 3, the lowest first: **North** 7.16 %. Equal to it: East.")
    assert compose(read_after("the fourth one", *asked), [result]).startswith("There is no number 4: 3 rows with")


def test_a_ranking_of_a_layer_is_turned_round() -> None:
    asked = ("Which district of Lille has the most tree cover in 2018?", "which one has the least?")
    for question, rank in ((asked[1], 0), ("and the seventh one", 7)):
        found = read_after(question, *asked)
        assert found.layer is not None
        assert (found.rank, found.layer.pick.rank, found.layer.pick.count) == (rank, "lowest", max(rank, 5))


def test_a_list_of_products_stays_in_order_while_they_are_explained() -> None:
    state = conversation.replayed([("user", "Which data show sealed soil?"), ("assistant", ANSWER)])
    state = state.after("the second one", "Urban Atlas land cover and land use (id urban-atlas): more.")
    assert conversation.read("and the first?", state).product == "HRL Imperviousness Density"


def test_the_second_one_of_a_ranking_is_told_by_name() -> None:
    found = read_after("the second one", "Which three parcels around Lille had the lowest NDVI in June 2025?")
    units = [{"label": f"Parcel {name}", "value": value} for name, value in (("C", 0.21), ("A", 0.34), ("B", 0.4))]
    text = compose(found, [ToolResult(text="Ranked.", data={"ranking": {"units": units}})])
    assert text.startswith("Number 2 of the ranking: **Parcel A** 0.340.")
    assert "Parcel A" not in compose(read_after("the fifth one", BASE), [ToolResult(text="Ranked.", data={})])


@pytest.mark.parametrize(
    ("question", "place", "ground"),
    [("and above 90 %?", "Malta", "> 90"), ("et au moins 50 % ?", "Malta", ">= 50"), ("and of Gozo?", "Gozo", "> 30")],
)
def test_ground_above_a_number_is_asked_again_with_another(question: str, place: str, ground: str) -> None:
    state = conversation.START.after("How many hectares of Malta have more than 30 % tree cover?", "")
    layer = conversation.read(question, state).layer
    assert layer is not None
    assert (layer.place, layer.ground) == (place, ground)
