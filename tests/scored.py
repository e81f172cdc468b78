"""Cases, answers and plans made for tests of the evals."""

from datetime import date
from pathlib import Path

from assistant.schema import Answer, ToolCall
from evals.schema import Case, Result, Score
from evals.scorers import World, scorers
from knowledge.catalogue import load_catalogue
from knowledge.schema import Citation, Passage
from tools.schema import (
    Period,
    Place,
    Plan,
    Recommendation,
)

PASSAGES = {
    "grassland#about": Passage(id="grassland#about", source_id="grassland", title="", text="Meadows at 10 m."),
    "hot-spots#about": Passage(id="hot-spots#about", source_id="hot-spots", title="", text="Landscapes."),
}
WORLD = World(
    load_catalogue(), lambda ids: {one: PASSAGES[one] for one in ids if one in PASSAGES}, date(2026, 9, 1), Path("hub")
)


TINY = """
- {id: sealed, group: recommend, language: en, question: "How much of my town is sealed?", products: [imperviousness]}
- {id: sealed-loose, twin: sealed, question: so much concrete}
- {id: sea, group: negative, language: fr, question: "Quelle est la hauteur des vagues ?", negative: true}
"""


def make_case(**fields: object) -> Case:
    base = {"id": "one", "group": "recommend", "language": "en", "question": "Where are the meadows?"}
    expects = {} if fields.get("negative") else {"products": ("grassland",)}
    return Case.model_validate({**base, **expects, **fields})


def make_answer(text: str = "", product_id: str | None = None, **fields: object) -> Answer:
    advice = Recommendation(product_id=product_id, title=product_id, why=()) if product_id else None
    base = {"text": text, "session_id": "s", "recommendation": advice, "model": "m", "seconds": 0.1}
    return Answer.model_validate({**base, **fields})


def cite(passage_id: str, quote: str) -> Citation:
    return Citation(passage_id=passage_id, title="", quote=quote, verified=True)


def value(name: str, case: Case, answer: Answer) -> int | None:
    return scorers(WORLD)[name](case, answer).value


def make_result(right: int, case_id: str = "one") -> Result:
    score = Score(value=1 if right else 0, reason="because")
    return Result(case=make_case(id=case_id), scores={"facts": score}, seconds=0.1)


def make_plan(**fields: object) -> Plan:
    place = Place(name="Rennes, France (half of it)", kind="city", bbox=(-2, 48, -1, 49), area_km2=1.0, source="test")
    days = Period(start=date(2026, 7, 1), end=date(2026, 7, 31), label="July")
    base = {"recipe_id": "ndvi", "collection_id": "c", "output": "composite", "place": place, "period": days}
    return Plan.model_validate({**base, **fields})


def make_call(name: str = "compute", **args: object) -> ToolCall:
    return ToolCall(name=name, args=dict(args), result="", outcome="ok", seconds=0.1)
