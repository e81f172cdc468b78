"""The nouns of the loop: `Answer` and the `Event` union that drives every door."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field

from assistant.phrases import translate
from knowledge.lexicon import Language
from knowledge.schema import Citation
from tools.errors import ToolInputError
from tools.schema import Artifact, Frozen, Outcome, Plan, Polygons, Question, Recommendation, Statistics

FIRST_TODAY, LAST_TODAY = date(2015, 6, 23), date(2100, 12, 31)
"""Days a question can be asked on: from the launch of Sentinel-2A, and so that the years around them exist."""

MAX_QUESTION_CHARS = 4000

NEXT = "You could ask next"
"""Heading of the follow-ups where a door has no buttons."""

_YEARS = {"pattern": r"^20(1[6-9]|[2-9][0-9])-[0-9]{2}-[0-9]{2}$"}
Today = Annotated[date, Field(ge=FIRST_TODAY, le=LAST_TODAY, json_schema_extra=_YEARS)]
"""The day that "this summer" is relative to; the description has whole years, for JSON Schema cannot bound a date."""


class ToolCall(Frozen):
    """One finished tool call, as doors show it."""

    name: str
    args: dict[str, Any]
    result: str
    outcome: Outcome
    seconds: float


class Pending(Frozen):
    """A large run that waits for the user's word: the plan, and the call that led to it."""

    fingerprint: str
    tool: str
    args: dict[str, Any]
    changes: dict[str, dict[str, str]]
    """Smaller alternatives: words of the option, and the arguments they replace."""
    search: dict[str, Any] | None = None
    """The product search of the same turn, which goes with the run: its advice stays what it was."""
    question: str
    today: date
    """The day asked on: "this summer" stays that summer."""
    area: Polygons | None = None
    collection_id: str | None = None


class Answer(Frozen):
    """Everything one question led to."""

    text: str
    session_id: str
    outcome: Outcome = "ok"
    recommendation: Recommendation | None = None
    plan: Plan | None = None
    """The last plan; all are in `tool_calls`."""
    statistics: tuple[Statistics, ...] = ()
    citations: tuple[Citation, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    warnings: tuple[str, ...] = ()
    follow_ups: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    question: Question | None = None
    language: Language = "en"
    """In which it is told."""
    model: str
    """Which mind answered: a model name, or `offline-planner`."""
    usage: dict[str, int] = Field(default_factory=dict)
    seconds: float

    @property
    def follow_up_text(self) -> str:
        """The follow-ups as a list to put under the text, where a door has no buttons for them."""
        return (
            "\n".join([f"\n\n**{translate(NEXT, self.language)}**", *(f"- {one}" for one in self.follow_ups)])
            if self.follow_ups
            else ""
        )


class TextEvent(Frozen):
    """A piece of the answer's text."""

    type: Literal["text"] = "text"
    text: str


class ToolStarted(Frozen):
    """A tool call began."""

    type: Literal["tool_started"] = "tool_started"
    call_id: str
    name: str
    args: dict[str, Any]


class ToolProgress(Frozen):
    """A running tool says where it is."""

    type: Literal["tool_progress"] = "tool_progress"
    call_id: str
    message: str


class ToolFinished(Frozen):
    """A tool call ended, well or not."""

    type: Literal["tool_finished"] = "tool_finished"
    call_id: str
    name: str
    text: str
    outcome: Outcome
    seconds: float


class ArtifactEvent(Frozen):
    """A file is ready."""

    type: Literal["artifact"] = "artifact"
    artifact: Artifact


class QuestionEvent(Frozen):
    """Only the user can settle this."""

    type: Literal["question"] = "question"
    question: Question


class AnswerEvent(Frozen):
    """The last event of a question that was answered."""

    type: Literal["answer"] = "answer"
    answer: Answer


class ErrorEvent(Frozen):
    """The last event of a question that could not be answered."""

    type: Literal["error"] = "error"
    message: str
    hint: str = ""
    reference: str = ""
    """Finds the traceback in the log; empty for expected failures."""


Event = Annotated[
    TextEvent | ToolStarted | ToolProgress | ToolFinished | ArtifactEvent | QuestionEvent | AnswerEvent | ErrorEvent,
    Field(discriminator="type"),
]


def check_question(question: str, today: date) -> None:
    """Refuse what is no question.

    Raises:
        ToolInputError: It is empty or too long, or asked on a day around which there are no years.
    """
    if not question:
        raise ToolInputError("The question is empty.", "Ask something, for example 'What can you do?'")
    if len(question) > MAX_QUESTION_CHARS:
        raise ToolInputError(
            f"The question is longer than {MAX_QUESTION_CHARS} characters.", "Ask for one thing at a time."
        )
    if not FIRST_TODAY <= today <= LAST_TODAY:
        raise ToolInputError(f"The day {today} is not between {FIRST_TODAY} and {LAST_TODAY}.", "Leave out the day.")
