"""Feedback: kept with its conversation, told by country and product."""

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from assistant.database import Database
from assistant.feedback import REASONS, Feedback, FeedbackStore, about, report
from assistant.schema import Answer
from assistant.sessions import Sessions, Turn
from assistant.settings import Settings
from tools.schema import Bbox, Period, Place, Plan, Recommendation
from ui.cli import main

SESSION = "0123456789abcdef"


def _answer(bbox: Bbox, product: str = "hr-vpp") -> Answer:
    place = Place(name="Somewhere", kind="city", bbox=bbox, area_km2=1, source="test")
    period = Period(start=date(2026, 6, 1), end=date(2026, 8, 31), label="summer")
    plan = Plan(recipe_id="ndvi", collection_id="c", output="composite", place=place, period=period)
    named = Recommendation(product_id=product, title=product, why=("It is.",))
    return Answer(text="Green.", session_id=SESSION, recommendation=named, plan=plan, model="m", seconds=0)


@pytest.mark.parametrize(
    ("bbox", "country"),
    [
        ((-1.70, 48.10, -1.66, 48.13), "FR"),
        ((-52.35, 4.90, -52.30, 4.95), "GF"),
        ((23.7, 37.9, 23.8, 38.0), "GR"),
        ((-30.0, 45.0, -29.9, 45.1), ""),
    ],
    ids=["Rennes", "Cayenne", "Athens", "ocean"],
)
def test_country_and_product_come_from_the_answer(bbox: Bbox, country: str) -> None:
    filled = about(Feedback(rating="up", session_id=SESSION, country="XX"), [Turn("How green?", _answer(bbox))])
    assert (filled.country, filled.product_id, filled.turn) == (country, "hr-vpp", 1)


def test_there_are_ten_reasons_and_no_others() -> None:
    assert len(REASONS) == 10
    with pytest.raises(ValidationError):
        Feedback.model_validate({"rating": "down", "session_id": SESSION, "reasons": ["the weather"]})


def test_the_report_counts_by_country_and_product() -> None:
    def one(rating: str, country: str, *reasons: str) -> Feedback:
        said = {"rating": rating, "country": country, "product_id": "clc", "reasons": reasons, "session_id": SESSION}
        return Feedback.model_validate(said)

    first, second = report([one("up", "FR"), one("down", "DE", "numbers", "place"), one("down", "DE", "numbers")])
    assert (first.country, first.up, first.down, first.down_reasons) == ("DE", 0, 2, {"numbers": 2, "place": 1})
    assert (second.country, second.up, second.down, second.down_reasons) == ("FR", 1, 0, {})


def test_the_command_tells_what_was_kept_and_forgets_it_with_the_conversation(settings: Settings) -> None:
    store, sessions = FeedbackStore(settings.database), Sessions(settings.database)
    assert "No feedback yet." in CliRunner().invoke(main, ["feedback", "report"]).output
    said = Feedback(rating="down", session_id=SESSION, reasons=("place",), comment="=1+1", country="FR")
    store.add(said)
    assert store.all()[0].model_copy(update={"given_at": None}) == said
    assert "FR" in CliRunner().invoke(main, ["feedback", "report"]).output
    (row,) = csv.DictReader(io.StringIO(CliRunner().invoke(main, ["feedback", "report", "--format", "csv"]).output))
    assert (row["reasons"], row["comment"]) == ("place", "'=1+1")
    sessions.delete(SESSION)
    assert store.all() == ()


def test_the_database_is_made_anew_when_its_file_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "d" / "s.sqlite"
    store = FeedbackStore(Database(path))
    for _ in range(2):
        store.add(Feedback(rating="up", session_id=SESSION))
        assert len(store.all()) == 1
        path.unlink()


def test_many_may_be_the_first_to_write(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        stores = [FeedbackStore(Database(tmp_path / "s.sqlite")) for _ in range(40)]
        list(pool.map(lambda store: store.add(Feedback(rating="up", session_id=SESSION)), stores))
    assert len(stores[0].all()) == 40
