"""What is read in questions of five languages: intent, periods, places, and what cannot be computed."""

from datetime import date
from typing import get_args

import pytest

from assistant import abilities, conversation, slots
from assistant.answers import SETTLED_BY, compose
from assistant.claims import read_claims
from assistant.layers import LayerRequest, subject
from assistant.picks import Pick
from assistant.planner import planned_calls
from tools.periods import parse_period
from tools.schema import Output, ToolResult, UnitKind
from tools.toolbox import Toolbox

TODAY = date(2025, 9, 10)


def periods(question: str) -> list[tuple[str, str]]:
    """Give the dates of each computation, as the tools will read them."""
    words = [
        words for wanted in conversation.read(question).computes for words in (wanted.period, wanted.against) if words
    ]
    read = [parse_period(one, today=TODAY) for one in words]
    return [(period.start.isoformat(), period.end.isoformat()) for period in read]


@pytest.mark.parametrize(
    "question",
    [
        "Compare the NDVI of Lille in summer 2024 and 2025",
        "How does the vegetation of Lille in summer 2024 compare to summer 2025?",
        "Difference of NDVI between summer 2024 and summer 2025, Lille",
        "NDVI of Lille, summers 2024 vs. 2025",
        "Compare l'NDVI de Lille entre l'été 2024 et l'été 2025",
        "Vergleiche den NDVI von Lille: Sommer 2024 gegen Sommer 2025",
        "Compara el NDVI de Lille del verano de 2024 con el verano de 2025",
        "Confronta l'NDVI di Lille tra estate 2024 e estate 2025",
    ],
)
def test_a_comparison_is_one_computation_of_two_periods(question: str) -> None:
    assert len(conversation.read(question).computes) == 1
    assert periods(question) == [("2024-06-01", "2024-08-31"), ("2025-06-01", "2025-08-31")]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("NDVI of Lille between May and July 2025", [("2025-05-01", "2025-07-31")]),
        ("NDVI between summer 2024 and summer 2025 in Lille",
         [("2024-06-01", "2024-08-31"), ("2025-06-01", "2025-08-31")]),
        ("Felder bei Lille mit NDVI unter 0,3 im Mai 2025", [("2025-05-01", "2025-05-31")]),
        ("NDVI de Lille entre mai et juillet 2025", [("2025-05-01", "2025-07-31")]),
        ("How did NDVI change between May 2024 and May 2025 in Lille? Show the curve", [("2024-05-01", "2025-05-31")]),
        ("Compare the NDVI of parcels near Lille from May to July 2025", [("2025-05-01", "2025-07-31")]),
        ("Compare NDVI in Lille between May and July 2025",
         [("2025-05-01", "2025-05-31"), ("2025-07-01", "2025-07-31")]),
        ("Compare June 2024 and Aug. 2025, NDVI in Lille",
         [("2024-06-01", "2024-06-30"), ("2025-08-01", "2025-08-31")]),
        ("Is Lille greener in 2025 than in 2024?", [("2025-01-01", "2025-09-10"), ("2024-01-01", "2024-12-31")]),
        ("NDVI in Lille for the last two months", [("2025-07-11", "2025-09-10")]),
        ("NDVI of Lille in spring", [("2025-03-01", "2025-05-31")]),
        ("NDVI in Lille, 28 February to 3 March", [("2025-02-28", "2025-03-03")]),
        ("NDVI of Lille in the first and second half of June",
         [("2025-06-01", "2025-06-15"), ("2025-06-16", "2025-06-30")]),
        ("NDVI di Lille, prima e seconda settimana di giugno 2024",
         [("2024-06-01", "2024-06-07"), ("2024-06-08", "2024-06-14")]),
        ("NDVI-Karte von Lille vom 3. Juni 2025 bis 5. Juli 2025", [("2025-06-03", "2025-07-05")]),
    ],
)  # fmt: skip
def test_ranges_stay_one_period_unless_things_are_compared(question: str, expected: list[tuple[str, str]]) -> None:
    assert periods(question) == expected


def test_two_places_can_be_compared() -> None:
    for question in ("Compare NDVI of Lille and Metz in May 2025", "Was Lille greener than Metz in May 2025?"):
        assert [wanted.place for wanted in conversation.read(question).computes] == ["Lille", "Metz"]


@pytest.mark.parametrize(
    ("question", "place"),
    [
        ("NDVI at Le Mans on 3 June 2025", "Le Mans"),
        ("NDVI autour de La Rochelle cet été", "La Rochelle"),
        ("Vegetation in Grasse in May 2025", "Grasse"),
        ("NDVI near St. Malo in May 2025", "St. Malo"),
        ("I need snow data for Metz. Which product?", "Metz"),
        ("Which parcels in Metz have an NDVI over 0,5?", "Metz"),
        ("Welches Produkt zeigt Wälder?", ""),
        ("Which LULUCF product?", ""),
        ("Compute Metz NDVI in May 2025", "Metz"),
        ("Snow cover Estonia 2018", "Estonia"),
        ("Bodenversiegelung Kapstadt", "Kapstadt"),
        ("cobertura arbórea Perú", "Perú"),
        ("nom de produit : neige Savoie", "Savoie"),
        ("umidità del suolo Sardegna", "Sardegna"),
        ("tree cover kampala", "kampala"),
        ("Land cover near the Horn of Africa", "Horn of Africa"),
        ("Chlorophyll in Lake Victoria", "Lake Victoria"),
        ("niveau du lac Victoria", "lac Victoria"),
        ("Trees in the UK", "UK"),
        ("Where does the ground sink in the Po delta?", "Po delta"),
        ("Subsidenza del suolo nel delta del Po", "delta del Po"),
        ("Wald in Bayern", "Bayern"),
        ("Daten für die LULUCF-Berichterstattung", ""),
        ("How much snow is mapped on daily maps of HR-VPP still to come?", ""),
        ("Nice maps of grassland please", ""),
        ("Split the land into forest and water", ""),
        ("NDVI of each district of Metz in May 2025", "Metz"),
        ("Tree cover density per district of Metz in 2024", "Metz"),
        ("NDVI of the province of Luxembourg in June 2025", "province of Luxembourg"),
        ("Wie war Dresden 2015 bebaut, Viertel für Viertel?", "Dresden"),
        ("Wie viel Sonnenlicht wirft der Boden zurück?", ""),
        ("Which update of the European Ground Motion Service is the newest?", ""),
        ("resolution of Small Woody Features", ""),
    ],
)
def test_names_are_told_from_other_words(question: str, place: str) -> None:
    assert conversation.read(question).place == place


@pytest.mark.parametrize(
    ("question", "intent"),
    [
        ("Buongiorno!", "greeting"), ("Grazie!", "thanks"), ("Vielen Dank!", "thanks"),
        ("Was kannst du?", "help"), ("Qué puedes hacer", "help"),
        ("Erkläre mir den Urban Atlas", "explain"), ("Cos'è CORINE Land Cover?", "explain"),
        ("Quelles images y a-t-il pour Metz en mai 2025 ?", "scenes"), ("Welche Szenen gibt es für Trier?", "scenes"),
        ("Show me satellite images of Trier", "scenes"), ("Which product is made from Landsat images?", "recommend"),
        ("Satellite images of Trier at 50 cm", "recommend"),
        ("Quelle couche pour l'imperméabilisation des sols ?", "recommend"), ("Daten zu Ackerbau", "recommend"),
        ("¿Dónde hay charcas?", "recommend"), ("zonas verdes de Rennes", "recommend"), ("frogs", "recommend"),
        ("I want to watch Metz, but not with NDVI", "recommend"),
        ("Wie grün ist Trier diesen Sommer?", "compute"), ("NDVI medio de Soria en mayo de 2025", "compute"),
        ("Quanto è verde Siena quest'estate?", "compute"), ("Le NDVI de mes champs en juin 2025", "compute"),
        ("Book a hotel in Metz", "out_of_scope"), ("Was hilft gegen Kopfschmerzen?", "out_of_scope"),
        ("Une recette de crêpes", "out_of_scope"), ("Vuelos baratos a Soria", "out_of_scope"),
        ("Raccontami una barzelletta", "out_of_scope"),
    ],
)  # fmt: skip
def test_intents_are_read_in_five_languages(question: str, intent: str) -> None:
    assert conversation.read(question).intent == intent


@pytest.mark.parametrize(
    ("question", "output"),
    [
        ("Courbe du NDVI de Metz en 2025", "series"), ("NDVI-Verlauf in Trier seit 2024", "series"),
        ("Mapa del NDVI de Soria en mayo de 2025", "composite"), ("NDVI per ogni campo a Siena nel 2025",
         "per_polygon"), ("NDVI je Stadtteil in Trier im Mai 2025", "per_polygon"),
    ],
)  # fmt: skip
def test_outputs_are_read_in_five_languages(question: str, output: str) -> None:
    assert [wanted.output for wanted in conversation.read(question).computes] == [output]


@pytest.mark.parametrize(
    ("question", "missing", "computed"),
    [
        ("Compute NBRT1 for Metz in May 2025", ["Normalized Burn Ratio Thermal 1"], 0),
        ("ndisib of Metz last summer", ["NDISIb"], 0),
        ("Enhanced Built-Up and Bareness Index map of Metz in 2025", ["EBBI"], 0),
        ("NDVI and NBRT1 of Metz in May 2025", ["NBRT1"], 1),
        ("Share of parcels near Metz with NDVI above 40 % in May 2025", ["threshold"], 1),
        ("Where in Metz is NDVI above 0.4 in May 2025?", ["threshold"], 1),
        ("Change map of NDVI in Metz in May 2025", ["change map"], 1),
        ("When does the growing season start in Metz in 2025?", [], 1),
        ("How many hectares of Metz are green this summer?", ["hectares"], 1),
        ("How much will it rain in Metz?", ["values"], 0),
    ],
)
def test_what_no_tool_computes_is_noticed(question: str, missing: list[str], computed: int) -> None:
    read = conversation.read(question)
    assert all(any(words in told for told in read.missing) for words in missing), read.missing
    assert bool(read.computes) == bool(computed)


@pytest.mark.parametrize(
    "question",
    [
        "NDVI per parcel near Metz in May 2025", "Which product shows sealed soil in Metz?",
        "I need imperviousness for Metz in 2018", "Which product gives the share of trees per district?",
        "Quelle couche pour les forêts de Metz ?", "What is EVI?",
    ],
)  # fmt: skip
def test_nothing_is_missing_where_the_tools_do_it(question: str) -> None:
    assert conversation.read(question).missing == ()


def _picked(place: str, pick: Pick, units: UnitKind = "districts") -> LayerRequest:
    return LayerRequest(place, "", "", units, pick=pick)


def _of_ground(ground: str, units: UnitKind = "place") -> LayerRequest:
    return LayerRequest("Metz", "", "", units, ground=ground)


@pytest.mark.parametrize(
    ("question", "request_"),
    [
        ("Tree cover per district in Metz", LayerRequest("Metz", "", "", "districts")),
        ("Quelle part de Metz est imperméabilisée ?", LayerRequest("Metz", "", "", "place")),
        ("Muestra un mapa de nieve de Soria", LayerRequest("Soria", "", "", "place")),
        ("Wie versiegelt ist Trier?", LayerRequest("Trier", "", "", "place")),
        ("How sealed are my parcels?", LayerRequest("", "", "", "parcels")),
        ("Quanto è impermeabilizzata Siena nel 2018?", LayerRequest("Siena", "2018", "", "place")),
        ("Tree cover of Metz, 2018 against 2021", LayerRequest("Metz", "2018", "2021", "place")),
        ("How many hectares of each CORINE class are there in Metz?", LayerRequest("Metz", "", "", "place")),
        ("Mean tree cover density of Metz in 2018", LayerRequest("Metz", "2018", "", "place")),
        ("Mean tree cover per NUTS 3 region of Malta", LayerRequest("Malta", "", "", "nuts3")),
        ("Couverture arborée moyenne par région NUTS 3 de Malte", LayerRequest("Malte", "", "", "nuts3")),
        ("Mittlerer Versiegelungsgrad je NUTS-2-Region von Malta", LayerRequest("Malta", "", "", "nuts2")),
        ("¿Qué distrito de Soria tiene menos árboles?", _picked("Soria", Pick(rank="lowest"))),
        ("Which commune of Metz has the most tree cover?", _picked("Metz", Pick(rank="highest"), "communes")),
        ("Quale quartiere di Siena è più impermeabilizzato?", _picked("Siena", Pick(rank="highest"))),
        ("The three best districts of Metz by tree cover", _picked("Metz", Pick(rank="highest", count=3))),
        (
            "Quelles sont les 3 meilleures communes de Metz en couverture arborée ?",
            _picked("Metz", Pick(rank="highest", count=3), "communes"),
        ),
        ("How many districts of Metz are more than 30 % sealed?", _picked("Metz", Pick(above=30))),
        ("Quelles communes de Metz ont moins de 5 % d'arbres ?", _picked("Metz", Pick(below=5), "communes")),
        ("Quali comuni di Siena hanno più del 20 % di alberi?", _picked("Siena", Pick(above=20), "communes")),
        ("¿Qué distritos de Soria tienen menos del 20 % de árboles?", _picked("Soria", Pick(below=20))),
        ("How many hectares of Metz have more than 30 % tree cover?", _of_ground("> 30")),
        ("Fläche mit mindestens 80 % Versiegelung in Metz", _of_ground(">= 80")),
        ("Quelle part de Metz est imperméabilisée à plus de 50 % ?", _of_ground("> 50")),
        ("¿Cuántas hectáreas de Metz tienen entre 10 y 30 % de cobertura arbórea?", _of_ground("10 to 30")),
        ("Quanti ettari di Metz hanno meno del 5 % di alberi?", _of_ground("< 5")),
        ("How many hectares of Metz have no more than 30 % tree cover?", _of_ground("<= 30")),
        ("Wie viele Hektar von Metz haben nicht weniger als 30 % Baumbedeckung?", _of_ground(">= 30")),
        ("Combien d'hectares de Metz ne dépassent pas 30 % de couverture arborée ?", _of_ground("<= 30")),
        ("How many hectares of Metz have more than 30 % but not over 60 % tree cover?", _of_ground("> 30 and <= 60")),
        ("Hectares of Metz with 30 to 60 % tree cover", _of_ground("30 to 60")),
        ("Hectares with 30 % or more tree cover per district of Metz", _of_ground(">= 30", units="districts")),
        ("How many hectares are in districts of Metz with more than 30 % trees?", _picked("Metz", Pick(above=30))),
        ("Which product shows sealed soil in Metz?", None),
        ("I need imperviousness for Metz in 2018", None),
        ("How do I get tree cover data for France?", None),
        ("NDVI per parcel near Metz in May 2025", None),
    ],
)
def test_numbers_of_a_layer_are_asked_for(question: str, request_: LayerRequest | None) -> None:
    read = conversation.read(question)
    assert (read.layer, read.missing) == (request_, ())


@pytest.mark.parametrize(
    "question",
    [
        "How many hectares of Metz have less than 10 % or more than 60 % tree cover?",
        "Wie viele Hektar von Metz haben mehr als 30 % Baumbedeckung und weniger als 10 % Versiegelung?",
    ],
)
def test_thresholds_that_make_no_range_are_asked_back(question: str) -> None:
    read = conversation.read(question)
    assert (read.layer, read.missing) == (None, (slots.THRESHOLDS,))


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("How many hectares of forest are in the districts around Metz?", "of forest are in the around Metz?"),
        ("Tree cover per district in Metz", "Tree cover in Metz"),
        ("Wie versiegelt ist Trier?", "Wie versiegelt ist Trier?"),
        ("Quelle part ?", "?"),
        ("Which NUTS 3 regions of Malta have more than 30 % tree cover?", "Which of Malta have % tree cover?"),
        ("per district", "per district"),
    ],
)
def test_words_for_amounts_and_units_name_no_layer(question: str, words: str) -> None:
    assert subject(question) == words


@pytest.mark.parametrize(
    ("question", "indices"),
    [
        ("Compute EVI for Metz in May 2025", ["evi"]),
        ("ndwi of Metz last summer", ["ndwi"]),
        ("Soil-Adjusted Vegetation Index map of Metz in 2025", ["savi"]),
        ("NDVI and NDMI of Metz in May 2025", ["ndvi", "ndmi"]),
        ("BAI map of Metz in May 2025", ["BAI"]),
        ("soil adjusted vegetation index of Metz in May 2025", ["savi"]),
    ],
)
def test_indices_are_read_by_short_and_by_long_name(question: str, indices: list[str]) -> None:
    read = conversation.read(question)
    assert [wanted.index for wanted in read.computes] == indices
    assert read.missing == ()


@pytest.mark.parametrize(
    ("question", "pick"),
    [
        ("Which parcels near Metz have NDVI above 0.6 in May 2025?", Pick(above=0.6)),
        ("Share of parcels near Metz with NDVI above 0.4 in May 2025", Pick(above=0.4)),
        ("Welcher Anteil der Felder bei Trier hat NDVI unter 0,3 im Mai 2025?", Pick(below=0.3)),
        ("Quelles parcelles autour de Metz ont un NDVI supérieur à 0,5 en mai 2025 ?", Pick(above=0.5)),
        ("NDVI of fields near Metz above 0.2 and below 0.5 in May 2025", Pick(above=0.2, below=0.5)),
        ("The five greenest parcels near Metz in May 2025", Pick(rank="highest", count=5)),
        ("Les trois parcelles les plus vertes autour de Metz en mai 2025", Pick(rank="highest", count=3)),
        ("Die 7 grünsten Felder bei Trier im Mai 2025", Pick(rank="highest", count=7)),
        ("Top 12 districts of Metz by NDVI in May 2025", Pick(rank="highest", count=12)),
        ("Which fields near Metz had the lowest NDVI on 3 May 2025?", Pick(rank="lowest")),
        ("Classement des communes autour de Metz par NDVI en 2025", Pick(rank="highest", count=20)),
        ("Las 4 parcelas menos verdes cerca de Soria en mayo de 2025", Pick(rank="lowest", count=4)),
        ("NDVI per parcel near Metz over 2025", Pick()),
        ("Which fields near Metz have an NDVI between 0.3 and 0.5 in May 2025?", Pick(above=0.3, below=0.5)),
        ("Welche Felder bei Trier haben im Mai 2025 einen NDVI zwischen 0,2 und 0,4?", Pick(above=0.2, below=0.4)),
        ("Which parcels in Metz are above 0.6 this summer?", Pick(above=0.6)),
    ],
)
def test_thresholds_and_rankings_are_read_in_five_languages(question: str, pick: Pick) -> None:
    read = conversation.read(question)
    assert [(wanted.output, wanted.pick) for wanted in read.computes] == [("per_polygon", pick)]
    assert read.missing == ()


@pytest.mark.parametrize(
    ("question", "pick"),
    [
        ("Parcels near Metz where NDVI fell by more than 0.1 between May 2024 and May 2025", Pick(below=-0.1)),
        ("Parcels near Metz where NDVI rose by more than 0.1 between May 2024 and May 2025", Pick(above=0.1)),
        ("Which parcels near Metz lost the most NDVI between May 2024 and May 2025?", Pick(rank="lowest")),
    ],
)
def test_a_threshold_on_a_change_is_one_on_differences(question: str, pick: Pick) -> None:
    (wanted,) = conversation.read(question).computes
    assert (wanted.period, wanted.against, wanted.pick) == ("May 2024", "May 2025", pick)


@pytest.mark.parametrize(
    ("question", "against"),
    [
        ("NDVI of Metz in June 2024 compared with the year before", "June 2023"),
        ("NDVI de Metz en juin 2024 comparé à l'année précédente", "juin 2023"),
        ("NDVI in Metz im Juni 2024 im Vergleich zum Vorjahr", "Juni 2023"),
    ],
)
def test_the_year_before_is_that_of_the_period_named(question: str, against: str) -> None:
    assert [one.against for one in conversation.read(question).computes] == [against]


def test_the_year_before_is_not_this_year() -> None:
    assert conversation.read("Snow in Metz last winter, compared with the year before").periods == ("last winter",)


def test_a_fall_within_one_period_is_no_threshold_on_its_value() -> None:
    read = conversation.read("Parcels near Metz where NDVI fell by more than 0.1 in May 2025")
    assert not any(wanted.pick for wanted in read.computes)
    assert any("threshold" in words for words in read.missing)


def test_a_change_map_of_two_periods_is_their_difference() -> None:
    read = conversation.read("Change map of NDVI in Metz, May 2024 to May 2025")
    assert [(one.output, one.period, one.against) for one in read.computes] == [("composite", "May 2024", "May 2025")]
    assert read.missing == ()


def test_what_is_computable_comes_from_the_toolbox(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(abilities.outputs()) == set(get_args(Output))
    assert all(words != name for name, words in abilities.outputs().items())
    question = "Forecast the NDVI of the districts of Metz in May 2025"
    assert conversation.read(question).missing
    with monkeypatch.context() as more:
        more.setattr(Toolbox, "TOOLS", (*Toolbox.TOOLS, "forecast"))
        conversation.read.cache_clear()  # readings are kept, and no tool comes or goes in a running process
        try:
            assert conversation.read(question).missing == ()
        finally:
            conversation.read.cache_clear()
    assert conversation.read(question).missing


@pytest.mark.parametrize("piece", ["A ", "0.", "compare May 2024 and ", "A.A.", "1, ", "-"])
def test_an_absurd_question_is_read_to_its_end(piece: str) -> None:
    assert conversation.read((piece * 4000)[:4000]).intent in get_args(slots.Intent)


@pytest.mark.parametrize(
    ("question", "place"),
    [
        ("NDVI in the province of Luxembourg in June 2024", "province of Luxembourg"),
        ("NDVI of the Luxembourg province in June 2024", "Luxembourg province"),
        ("NDVI de la province de Liège en 2023", "province de Liège"),
        ("NDVI in the districts of Rennes in 2023", "Rennes"),
        ("NDVI in the city of Rennes in 2023", "Rennes"),
    ],
)
def test_a_word_that_tells_a_region_from_a_city_stays_with_the_name(question: str, place: str) -> None:
    assert conversation.read(question).place == place


@pytest.mark.parametrize("words", ["curve of NDVI over the year", "NDVI curve of my field over the whole year"])
def test_the_year_is_no_place(words: str) -> None:
    assert conversation.read(words).place == ""


@pytest.mark.parametrize(
    "question",
    [
        "NDVI of Rennes in June 2025, and when did the season start in 2025?",
        "NDVI de Rennes en juin 2025, et quand la saison de végétation a-t-elle commencé en 2025 ?",
        "NDVI von Rennes im Juni 2025, und wann begann die Vegetationsperiode 2025?",
    ],
)
def test_values_and_season_dates_are_told_apart(question: str) -> None:
    value, dates = conversation.read(question).computes
    assert (value.output, value.place, value.period[-4:]) == ("composite", "Rennes", "2025")
    assert (dates.output, dates.place, dates.period.split()[-1]) == ("phenology", "Rennes", "2025")
    assert value.period != "2025"


@pytest.mark.parametrize(
    ("question", "missing"),
    [
        ("NDVI of Rennes in May 2019 against the average", True),
        ("Is May 2019 greener than the mean of 2016 and 2018 in this field?", True),
        ("Compare the mean NDVI of Rennes in May 2019 and May 2020", False),
        ("mean NDVI of Rennes in May 2019", False),
    ],
)
def test_a_comparison_with_a_mean_that_is_not_understood_is_told(question: str, missing: bool) -> None:
    assert (slots.AVERAGE in conversation.read(question).missing) == missing


def test_what_settles_an_open_question_claims_nothing_that_no_tool_gave() -> None:
    for told in SETTLED_BY.values():
        assert not read_claims(told, language="en").numbers
        assert not read_claims(told, language="en").days


@pytest.mark.parametrize(
    "question",
    [
        "NDVI of Lille before June 2024", "NDVI de Lille jusqu'en mai 2024", "NDVI di Lille prima di giugno 2024",
        "NDVI of Lille in the month before June 2024", "How sealed was Lille before 2018?",
        "Classify Lille into 4 classes before June 2024", "Which satellite images of Lille are there until May 2024?",
    ],
)  # fmt: skip
def test_a_period_with_one_end_is_asked_for_its_other_and_nothing_is_computed(question: str) -> None:
    found = conversation.read(question)
    assert found.missing == (slots.ONE_END,)
    assert "Give both ends" in compose(found, [ToolResult(text="")])
    assert [name for name, _ in planned_calls(found)] == ["search_products"]
    assert not conversation.read("NDVI of Lille from May until June 2024").missing


@pytest.mark.parametrize(
    "when",
    ["from May 2018 on", "from May 2018 onwards", "starting in May 2018", "von Mai 2018 an", "da maggio 2018 in poi"],
)
def test_a_period_that_goes_on_ends_today(when: str) -> None:
    (words,) = conversation.read(f"NDVI of Lille {when}.").periods
    period = parse_period(words, today=date(2019, 3, 1))
    assert (period.start, period.end) == (date(2018, 5, 1), date(2019, 3, 1))


@pytest.mark.parametrize("question", ["NDVI de Lille ha bajado en 2024", "NDVI of the area of Lille in June 2024"])
def test_words_that_only_look_like_areas_ask_for_none(question: str) -> None:
    assert not conversation.read(question).missing


def test_a_product_is_looked_for_in_all_places_that_are_named() -> None:
    ((name, args),) = planned_calls(conversation.read("Which tree cover product has Germany and Ukraine?"))
    assert (name, args["place"]) == ("search_products", "Germany; Ukraine")


@pytest.mark.parametrize(
    ("question", "ends"),
    [
        ("By how much did NDVI change in this field between June and August 2019?", ("June 2019", "August 2019")),
        ("De combien le NDVI de ce champ a-t-il changé entre juin et août 2019 ?", ("juin 2019", "août 2019")),
        ("Um wie viel hat sich der NDVI von Metz zwischen Mai und August 2019 geändert?", ("Mai 2019", "August 2019")),
        ("¿Cuánto cambió el NDVI de este campo entre junio y agosto de 2019?", ("junio 2019", "agosto de 2019")),
        ("Di quanto è cambiato l'NDVI di questo campo tra giugno e agosto 2019?", ("giugno 2019", "agosto 2019")),
    ],
)  # fmt: skip
def test_how_much_something_changed_is_a_difference_of_two_periods(question: str, ends: tuple[str, str]) -> None:
    (wanted,) = conversation.read(question).computes
    assert (wanted.period, wanted.against) == ends
