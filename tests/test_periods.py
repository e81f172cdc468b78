"""Words to periods, and the refusals."""

from datetime import date

import pytest

from tools.errors import PeriodInvalid
from tools.periods import mentioned_periods, parse_period

TODAY = date(2025, 7, 20)


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
    ],
)
def test_reads_words(text: str, start: str, end: str) -> None:
    period = parse_period(text, today=TODAY)
    assert (period.start.isoformat(), period.end.isoformat()) == (start, end)
    assert period.label == text


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
