"""Words to periods, and the refusals."""

from datetime import date

import pytest

from assistant.times import find_periods
from tools.errors import PeriodInvalid
from tools.period_words import CANONICAL, LANGUAGES
from tools.periods import mentioned_periods, parse_period, parse_periods

TODAY = date(2025, 7, 20)


@pytest.mark.parametrize(
    ("texts", "start", "end"),
    [
        (["first half of June 2025", "la première quinzaine de juin 2025", "erste Junihälfte 2025",
          "primera quincena de junio de 2025", "la prima metà di giugno 2025"], "2025-06-01", "2025-06-15"),
        (["the last week of May 2024", "dernière semaine de mai 2024", "letzte Maiwoche 2024",
          "la última semana de mayo de 2024", "l'ultima settimana di maggio 2024"], "2024-05-25", "2024-05-31"),
        (["1 to 15 July 2024", "du 1er au 15 juillet 2024", "vom 1. bis 15. Juli 2024",
          "del 1 al 15 de julio de 2024", "dal 1 al 15 luglio 2024", "between 1 and 15 July 2024"],
         "2024-07-01", "2024-07-15"),
        (["first ten days of March 2024", "1-10 March 2024"], "2024-03-01", "2024-03-10"),
        (["year to date", "depuis le début de l'année", "seit Jahresbeginn", "desde principios de año",
          "dall'inizio dell'anno"], "2025-01-01", "2025-09-10"),
    ],
)  # fmt: skip
def test_parts_of_months_are_read_whole_in_a_sentence(texts: list[str], start: str, end: str) -> None:
    for text in texts:
        found = [
            parse_period(one.words, today=date(2025, 9, 10)) for one in find_periods(f"NDVI in Lille, {text}, please")
        ]
        assert [(one.start.isoformat(), one.end.isoformat()) for one in found] == [(start, end)], text


def test_two_months_that_share_a_year_are_both_read() -> None:
    found = [one.words for one in find_periods("NDVI of Lille in May and June 2024")]
    assert found == ["May 2024", "June 2024"]


def test_a_part_that_is_not_there_is_refused() -> None:
    with pytest.raises(PeriodInvalid):
        parse_period("fifth week of February 2023", today=date(2025, 9, 10))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("this summer", "2025-06-01", "2025-07-20"),
        ("last summer", "2024-06-01", "2024-08-31"),
        ("summer 2023", "2023-06-01", "2023-08-31"),
        ("in the summer of 2023", "2023-06-01", "2023-08-31"),
        ("winter 2024", "2023-12-01", "2024-02-29"),
        ("winter 2023/24", "2023-12-01", "2024-02-29"),
        ("2 May 2019", "2019-05-02", "2019-05-02"),
        ("on May 2nd, 2019", "2019-05-02", "2019-05-02"),
        ("2.5.2019", "2019-05-02", "2019-05-02"),
        ("2019", "2019-01-01", "2019-12-31"),
        ("over the year 2019", "2019-01-01", "2019-12-31"),
        ("2018-2020", "2018-01-01", "2020-12-31"),
        ("2018 to 2020", "2018-01-01", "2020-12-31"),
        ("since 2018", "2018-01-01", "2025-07-20"),
        ("May 2019 to July 2019", "2019-05-01", "2019-07-31"),
        ("from May to July 2019", "2019-05-01", "2019-07-31"),
        ("between 3 May and 5 June 2019", "2019-05-03", "2019-06-05"),
        ("last year", "2024-01-01", "2024-12-31"),
        ("this year", "2025-01-01", "2025-07-20"),
        ("last month", "2025-06-01", "2025-06-30"),
        ("the last 3 months", "2025-04-21", "2025-07-20"),
        ("last May", "2025-05-01", "2025-05-31"),
        ("May this year", "2025-05-01", "2025-05-31"),
        ("juillet de l'an passé", "2024-07-01", "2024-07-31"),
        ("Juli des Vorjahres", "2024-07-01", "2024-07-31"),
        ("im Juli letzten Jahres", "2024-07-01", "2024-07-31"),
        ("luglio dell'anno scorso", "2024-07-01", "2024-07-31"),
        ("el 3 de mayo del año pasado", "2024-05-03", "2024-05-03"),
        ("mid July last year", "2024-07-11", "2024-07-21"),
        ("summer last year", "2024-06-01", "2024-08-31"),
        ("2024-05-01/2024-08-31", "2024-05-01", "2024-08-31"),
        ("2024-05-01T00:00:00Z/2024-08-31T23:59:59Z", "2024-05-01", "2024-08-31"),
        ("2024-05-01 - 2024-08-31", "2024-05-01", "2024-08-31"),
        ("2024-05", "2024-05-01", "2024-05-31"),
        ("cet été", "2025-06-01", "2025-07-20"),
        ("l'été dernier", "2024-06-01", "2024-08-31"),
        ("letzter Sommer", "2024-06-01", "2024-08-31"),
        ("im März 2023", "2023-03-01", "2023-03-31"),
        ("el verano pasado", "2024-06-01", "2024-08-31"),
        ("estate 2023", "2023-06-01", "2023-08-31"),
        ("depuis janvier 2020", "2020-01-01", "2025-07-20"),
        ("la scorsa estate", "2024-06-01", "2024-08-31"),
        ("spring", "2025-03-01", "2025-05-31"),
        ("au printemps 2023", "2023-03-01", "2023-05-31"),
        ("dal 2018 al 2020", "2018-01-01", "2020-12-31"),
        ("desde 2018 hasta 2020", "2018-01-01", "2020-12-31"),
        ("zwischen 2018 und 2020", "2018-01-01", "2020-12-31"),
        ("da maggio a luglio 2024", "2024-05-01", "2024-07-31"),
        ("1.–15. Mai 2024", "2024-05-01", "2024-05-15"),
        ("dal 1° al 15 maggio 2024", "2024-05-01", "2024-05-15"),
        ("Q3 to Q4 2024", "2024-07-01", "2024-12-31"),
        ("premier semestre 2024", "2024-01-01", "2024-06-30"),
        ("last quarter", "2025-04-01", "2025-06-30"),
        ("week 23 2024", "2024-06-03", "2024-06-09"),
        ("2024-W23", "2024-06-03", "2024-06-09"),
        ("KW 23 2024", "2024-06-03", "2024-06-09"),
        ("05/2024", "2024-05-01", "2024-05-31"),
        ("mid-May 2024", "2024-05-11", "2024-05-21"),
        ("a mediados de mayo de 2024", "2024-05-11", "2024-05-21"),
        ("late summer 2024", "2024-08-01", "2024-08-31"),
        ("aujourd'hui", "2025-07-20", "2025-07-20"),
        ("right now", "2025-07-20", "2025-07-20"),
        ("week 2 of June 2024", "2024-06-08", "2024-06-14"),
        ("last three months of 2024", "2024-10-01", "2024-12-31"),
        ("letztes Quartal 2024", "2024-10-01", "2024-12-31"),
        ("last week of last month", "2025-06-24", "2025-06-30"),
        ("le week-end dernier", "2025-07-12", "2025-07-13"),
        ("fin de semana pasado", "2025-07-12", "2025-07-13"),
        ("première moitié de l'année dernière", "2024-01-01", "2024-06-30"),
        ("en ce moment", "2025-07-20", "2025-07-20"),
        ("zurzeit", "2025-07-20", "2025-07-20"),
        ("ahora mismo", "2025-07-20", "2025-07-20"),
        ("in questo momento", "2025-07-20", "2025-07-20"),
        ("seit drei Jahren", "2022-07-21", "2025-07-20"),
        ("28 February to 3 March", "2025-02-28", "2025-03-03"),
        ("15 December to 10 January", "2024-12-15", "2025-01-10"),
        ("May to July", "2025-05-01", "2025-07-20"),
        ("November to March 2019", "2018-11-01", "2019-03-31"),
        ("dal 28 febbraio al 3 marzo", "2025-02-28", "2025-03-03"),
        ("du 2 mai jusqu'au 3 juin", "2025-05-02", "2025-06-03"),
    ],
)
def test_reads_words(text: str, start: str, end: str) -> None:
    period = parse_period(text, today=TODAY)
    assert (period.start.isoformat(), period.end.isoformat()) == (start, end)
    assert period.label == text


@pytest.mark.parametrize(
    ("texts", "start", "end"),
    [
        (
            ["since 2018", "2018 onwards", "depuis 2018", "à partir de 2018", "seit 2018", "desde 2018", "dal 2018"],
            "2018-01-01",
            "2025-07-20",
        ),
        (
            ["last three months", "les trois derniers mois", "in den letzten drei Monaten", "los últimos 3 meses"],
            "2025-04-21",
            "2025-07-20",
        ),
        (["gli ultimi tre mesi", "les 3 derniers mois", "past 3 months"], "2025-04-21", "2025-07-20"),
        (
            [
                "Q2 2024",
                "2024-Q2",
                "T2 2024",
                "deuxième trimestre 2024",
                "2. Quartal 2024",
                "segundo trimestre de 2024",
            ],
            "2024-04-01",
            "2024-06-30",
        ),
        (["le mois dernier", "letzten Monat", "el mes pasado", "il mese scorso"], "2025-06-01", "2025-06-30"),
        (["la semaine dernière", "letzte Woche", "la semana pasada"], "2025-07-07", "2025-07-13"),
        (["février 2024", "Februar 2024", "febrero de 2024", "febbraio 2024"], "2024-02-01", "2024-02-29"),
    ],
)
def test_five_languages_read_alike(texts: list[str], start: str, end: str) -> None:
    for text in texts:
        period = parse_period(text, today=TODAY)
        assert (period.start.isoformat(), period.end.isoformat()) == (start, end), text


def test_no_word_stands_for_two_things() -> None:
    for table in LANGUAGES.values():
        for canonical, words in table.items():
            for word in words.split():
                assert CANONICAL[word] == canonical, word


@pytest.mark.parametrize(
    "text",
    ["growing season 2024", "saison de végétation 2024", "Vegetationsperiode 2024", "temporada de crecimiento 2024",
     "stagione di crescita 2024"],
)  # fmt: skip
def test_growing_season_follows_the_hemisphere_and_tells_its_months(text: str) -> None:
    north, south = (parse_period(text, today=TODAY, southern=southern) for southern in (False, True))
    assert (north.start, north.end) == (date(2024, 4, 1), date(2024, 10, 31))
    assert (south.start, south.end) == (date(2023, 10, 1), date(2024, 4, 30))
    assert north.label == f"{text} (taken as April to October)"


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("2018 against 2024", ["2018-01-01/2018-12-31", "2024-01-01/2024-12-31"]),
        ("2018 par rapport à 2024", ["2018-01-01/2018-12-31", "2024-01-01/2024-12-31"]),
        ("2018 im Vergleich zu 2024", ["2018-01-01/2018-12-31", "2024-01-01/2024-12-31"]),
        ("2018 frente a 2024", ["2018-01-01/2018-12-31", "2024-01-01/2024-12-31"]),
        ("2018 rispetto al 2024", ["2018-01-01/2018-12-31", "2024-01-01/2024-12-31"]),
        ("summer 2018 against 2024", ["2018-06-01/2018-08-31", "2024-06-01/2024-08-31"]),
        ("May and June 2019", ["2019-05-01/2019-05-31", "2019-06-01/2019-06-30"]),
        ("summer 2018 vs. winter 2020", ["2018-06-01/2018-08-31", "2019-12-01/2020-02-29"]),
        ("between 2018 and 2020", ["2018-01-01/2020-12-31"]),
        ("last summer", ["2024-06-01/2024-08-31"]),
    ],
)
def test_periods_set_against_each_other(text: str, spans: list[str]) -> None:
    assert [f"{period.start}/{period.end}" for period in parse_periods(text, today=TODAY)] == spans


def test_one_bad_side_of_a_comparison_is_told() -> None:
    with pytest.raises(PeriodInvalid, match="'2030' lies in the future"):
        parse_periods("2018 against 2030", today=TODAY)


def test_an_inverted_range_suggests_the_other_way_round() -> None:
    with pytest.raises(PeriodInvalid) as caught:
        parse_period("2020 to 2018", today=TODAY)
    assert caught.value.hint == "Did you mean 2018-01-01 to 2020-12-31?"


def test_too_early_says_what_exists() -> None:
    with pytest.raises(PeriodInvalid, match="Sentinel-2A was launched") as caught:
        parse_period("summer 1990", today=TODAY)
    assert "2015-06-23/2025-07-20" in caught.value.hint


def test_this_summer_after_summer_is_the_whole_of_it() -> None:
    period = parse_period("this summer", today=date(2025, 11, 21))
    assert (period.start, period.end) == (date(2025, 6, 1), date(2025, 8, 31))
    assert parse_period("last summer", today=date(2025, 11, 21)) == period.model_copy(update={"label": "last summer"})


def test_this_winter_in_january_began_in_december() -> None:
    period = parse_period("this winter", today=date(2025, 1, 10))
    assert (period.start, period.end) == (date(2024, 12, 1), date(2025, 1, 10))


def test_southern_seasons_are_turned() -> None:
    period = parse_period("summer 2023", today=TODAY, southern=True)
    assert (period.start, period.end) == (date(2022, 12, 1), date(2023, 2, 28))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("summer 2030", "future"),
        ("next summer", "future"),
        ("2024-08-31/2024-05-01", "ends before it starts"),
        ("since 2010", "before the first data"),
        ("summer 2014", "before the first data"),
        ("31 February 2020", "does not exist"),
        ("2020-13-01", "does not exist"),
        ("week 54 2024", "does not exist"),
        ("Q5 2024", "cannot read"),
        ("morgen", "future"),
        ("once upon a time", "cannot read"),
        ("", "cannot read"),
    ],
)
def test_refuses_with_a_hint(text: str, message: str) -> None:
    with pytest.raises(PeriodInvalid, match=message) as caught:
        parse_period(text, today=TODAY)
    assert caught.value.hint


def test_earliest_can_be_moved_for_older_products() -> None:
    period = parse_period("1990", today=TODAY, earliest=date(1985, 1, 1))
    assert period.start == date(1990, 1, 1)


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("How green are the parcels around Rennes this summer?", ("this summer",)),
        ("mean NDVI of this field on 2 May 2019, and its curve over the year", ("2 may 2019",)),
        ("NDVI of Rennes since 2020", ("since 2020",)),
        ("NDVI at 10 m between May 2019 and July 2019", ("may 2019 to july 2019",)),
        ("Tree cover density 2018-2020 in Cayenne", ("2018-2020",)),
        ("Compare May 2019 and May 2020", ("may 2019", "may 2020")),
        ("May I ask which product shows forests?", ()),
    ],
)
def test_finds_periods_in_sentences(sentence: str, found: tuple[str, ...]) -> None:
    assert mentioned_periods(sentence) == found


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("the fifteenth of June 2024", "2024-06-15", "2024-06-15"),
        ("twenty-first of May 2024", "2024-05-21", "2024-05-21"),
        ("am dreiundzwanzigsten Mai 2024", "2024-05-23", "2024-05-23"),
        ("le vingt-deux mai 2024", "2024-05-22", "2024-05-22"),
        ("el quince de mayo de 2024", "2024-05-15", "2024-05-15"),
        ("il quindici maggio 2024", "2024-05-15", "2024-05-15"),
        ("the month that just ended", "2025-06-01", "2025-06-30"),
        ("le mois qui vient de s'achever", "2025-06-01", "2025-06-30"),
        ("im abgelaufenen Monat", "2025-06-01", "2025-06-30"),
        ("el mes que acaba de terminar", "2025-06-01", "2025-06-30"),
        ("il mese appena concluso", "2025-06-01", "2025-06-30"),
        ("two years ago", "2023-01-01", "2023-12-31"),
        ("May a year ago", "2024-05-01", "2024-05-31"),
        ("il y a deux mois", "2025-05-01", "2025-05-31"),
        ("vor einer Woche", "2025-07-07", "2025-07-13"),
        ("hace tres años", "2022-01-01", "2022-12-31"),
        ("un anno fa", "2024-01-01", "2024-12-31"),
        ("1 year before May 2024", "2023-05-01", "2023-05-31"),
        ("2 months after 2024-06-30", "2024-08-30", "2024-08-30"),
        ("1 month before March 2024", "2024-02-01", "2024-02-29"),
        ("early May to late June 2024", "2024-05-01", "2024-06-30"),
    ],
)
def test_days_in_words_and_distances_are_read(text: str, start: str, end: str) -> None:
    period = parse_period(text, today=TODAY)
    assert (period.start.isoformat(), period.end.isoformat()) == (start, end)


@pytest.mark.parametrize(
    "text",
    ["two weeks in June 2024", "zwei Wochen im Juni 2024", "deux semaines en juin 2024", "three quarters of 2024"],
)
def test_some_weeks_are_not_taken_for_one_of_them(text: str) -> None:
    with pytest.raises(PeriodInvalid, match="does not say which ones"):
        parse_period(text, today=date(2025, 7, 20))
