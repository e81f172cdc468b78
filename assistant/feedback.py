"""What users say of answers: kept with the conversation, reported by country and product."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, get_args

from pydantic import Field

from assistant.database import Database, tables
from assistant.schema import Answer
from assistant.sessions import Turn
from tools.gazetteer import country_near
from tools.schema import Frozen

Rating = Literal["up", "down"]
Reason = Literal[
    "product", "place", "period", "numbers", "sources", "completeness", "wording", "maps_and_files", "speed", "other"
]
"""What a rating is about: with "up" it was good, with "down" it was not."""
REASONS: tuple[Reason, ...] = get_args(Reason)


class Feedback(Frozen):
    """One user's word on one answer."""

    rating: Rating
    reasons: tuple[Reason, ...] = ()
    comment: str = Field(default="", max_length=2000)
    session_id: str = Field(min_length=16, max_length=100)
    """Conversation that the answer belongs to."""
    turn: int | None = Field(default=None, ge=1, le=1000)
    """Which answer of it, counted from 1; None: the last one."""
    product_id: str = ""
    """Product that the answer recommended; empty where it named none."""
    country: str = ""
    """Two-letter code of the country of the place; empty where there was no place on land."""
    given_at: datetime | None = None
    """UTC; set when it is kept."""


def about(feedback: Feedback, turns: Sequence[Turn]) -> Feedback:
    """Fill in product and country from the answer that feedback is on; without that answer they stay as they are."""
    number = len(turns) if feedback.turn is None else feedback.turn
    if not 1 <= number <= len(turns):
        return feedback
    answer = turns[number - 1].answer
    product = answer.recommendation.product_id if answer.recommendation else ""
    return feedback.model_copy(update={"turn": number, "product_id": product, "country": _country(answer)})


def _country(answer: Answer) -> str:
    if not answer.plan:
        return ""
    west, south, east, north = answer.plan.place.bbox
    return country_near((west + east) / 2, (south + north) / 2)


class FeedbackStore:
    """Feedback in the database of the conversations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, feedback: Feedback) -> None:
        """Keep one."""
        row = {"session_id": feedback.session_id, "country": feedback.country, "product_id": feedback.product_id}
        kept = feedback.model_dump_json(exclude={"given_at"})
        with self._database.begin() as db:
            db.execute(tables().tables["feedback"].insert().values(**row, feedback=kept))

    def all(self) -> tuple[Feedback, ...]:
        """Give all, oldest first."""
        if self._database.is_empty:
            return ()
        table = tables().tables["feedback"]
        with self._database.begin() as db:
            rows = db.execute(table.select().order_by(table.c.id)).all()
        return tuple(
            Feedback.model_validate_json(row.feedback).model_copy(update={"given_at": row.given_at}) for row in rows
        )


class ReportRow(Frozen):
    """Counts for one country and product."""

    country: str
    product_id: str
    up: int
    down: int
    down_reasons: dict[str, int]
    """What the bad ratings were about, most frequent first."""


def report(given: Sequence[Feedback]) -> tuple[ReportRow, ...]:
    """Count feedback by country and product, most bad ratings first."""
    groups: defaultdict[tuple[str, str], list[Feedback]] = defaultdict(list)
    for one in given:
        groups[one.country, one.product_id].append(one)
    rows = []
    for (country, product_id), group in groups.items():
        ratings = Counter(one.rating for one in group)
        reasons = Counter(reason for one in group if one.rating == "down" for reason in one.reasons)
        rows.append(
            ReportRow(
                country=country,
                product_id=product_id,
                up=ratings["up"],
                down=ratings["down"],
                down_reasons=dict(reasons.most_common()),
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.down, -row.up, row.country, row.product_id)))
