"""Large runs that wait for the user: kept with the call that asked, taken up by the user's own words, by no model."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from assistant import lexicon
from assistant.phrases import translate
from assistant.schema import Answer, Pending, ToolCall
from knowledge.lexicon import LANGUAGES
from tools.schema import Polygons, Question, ToolResult

_UNASKED = "unasked|sans demander|ungefragt berechnet|sin preguntar|senza chiedere"
_PLAN = re.compile(rf"(?:{_UNASKED})\. Plan ([0-9a-f]{{16}})\b")
"""How the question about a large run names its plan, in five languages as in `phrases_data/`."""
_MARKS = re.compile(r"[.,;:!?\s]+")

_KIND = re.compile(r" for |: ")
"""What parts the kind of a smaller alternative from its details."""
SEARCH = "search_products"
Call = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Resumed:
    """What an answer to the question about a large run sets going; without calls it is cancelled."""

    question: str
    """The question that led to it."""
    today: date
    area: Polygons | None
    collection_id: str | None
    calls: tuple[Call, ...]
    approved: frozenset[str]
    """Fingerprints that the user lets run; empty where a smaller alternative was chosen."""
    answers: tuple[str, ...] = ()
    """Fingerprints of all plans that the question was about."""


def find_pending(
    calls: Iterable[ToolCall], results: Iterable[ToolResult], **asked: Any
) -> tuple[Pending, ...]:  # fmt: skip
    """Give the runs that a turn asked about; `asked` is the question, its day, its area and its collection."""
    made = tuple(zip(calls, results, strict=True))
    search = next((call.args for call, _ in made if call.name == SEARCH), None)
    return tuple(
        Pending(
            fingerprint=one, tool=call.name, args=call.args, changes=result.question.changes, search=search, **asked
        )
        for call, result in made
        if result.question
        for one in result.question.approves
    )


def plans_asked_about(text: str) -> tuple[str, ...]:
    """Give the fingerprints of the plans that an answer asks about."""
    return tuple(dict.fromkeys(_PLAN.findall(text)))


def read_reply(words: str, waiting: Sequence[Pending]) -> Resumed | None:
    """Read what the user says to the question about large runs: run, cancel, or something smaller; else None."""
    if not waiting:
        return None
    first, calls, approved = waiting[0], [], frozenset[str]()
    answers = tuple(one.fingerprint for one in waiting)
    if is_reply(words, "cancel"):
        return Resumed(words, first.today, first.area, first.collection_id, (), approved, answers)
    if is_reply(words, "approve"):
        calls, approved = [(one.tool, one.args) for one in waiting], frozenset(answers)
    else:
        wanted = _bare(words)
        calls = [
            (one.tool, {**one.args, **change})
            for option, changes in joint_changes([one.changes for one in waiting]).items()
            if wanted in (_bare(translate(option, language)) for language in LANGUAGES)
            for one, change in zip(waiting, changes, strict=True)
        ]
    if not calls:
        return None
    calls = [(SEARCH, first.search), *calls] if first.search else calls
    return Resumed(first.question, first.today, first.area, first.collection_id, tuple(calls), approved, answers)


def joint_changes(each: Sequence[dict[str, dict[str, str]]]) -> dict[str, list[dict[str, str]]]:
    """Give the options that make every one of some runs smaller, with the arguments that each run then replaces.

    Those of one kind are one option: "Smaller area: … of Rennes; Smaller area: … of Metz".
    """
    kinds = [{_KIND.split(option, maxsplit=1)[0]: option for option in changes} for changes in each]
    shared = [kind for kind in kinds[0] if all(kind in one for one in kinds)] if kinds else []
    return {
        "; ".join(dict.fromkeys(one[kind] for one in kinds)): [
            changes[one[kind]] for changes, one in zip(each, kinds, strict=True)
        ]
        for kind in shared
    }


def is_reply(words: str, *slots: str) -> bool:
    """Tell whether a text is nothing but words for yes (`approve`) or for no (`cancel`), and politeness."""
    return any(_says(slot).fullmatch(lexicon.fold(_bare(words))) for slot in slots or ("approve", "cancel"))


def settled(answer: Answer, resumed: Resumed | None, waiting: Sequence[Pending]) -> tuple[str, ...] | None:
    """Give the plans that wait no longer after an answer, beside those of its own conversation; None: all still wait.

    What was run or cancelled is settled, and what another computation replaced. A run that failed can be tried again.
    """
    if resumed and answer.outcome != "failed":
        return resumed.answers
    return () if waiting or answer.plan else None


@cache
def _says(slot: str) -> "re.Pattern[str]":
    meant, polite = lexicon.pattern(slot).pattern, lexicon.pattern("courtesy").pattern
    return re.compile(rf"(?:{polite}\s*)*{meant}\s*(?:(?:{meant}|{polite})\s*)*")


def question_of(results: Sequence[ToolResult]) -> Question | None:
    """Give what is asked back; of several large runs one question, whose approval lets all of them run."""
    questions = [result.question for result in results if result.question]
    waiting = [one for one in questions if one.approves]
    if len(waiting) < 2 or not questions[0].approves:
        return questions[0] if questions else None
    smaller = joint_changes([one.changes for one in waiting])
    return Question(
        text="\n".join(dict.fromkeys(one.text for one in waiting)),
        options=(waiting[0].options[0], *smaller, waiting[0].options[-1]),
        approves=tuple(dict.fromkeys(print_ for one in waiting for print_ in one.approves)),
    )


def asked_text(text: str, question: Question | None) -> str:
    """Add the question about a large run to a text that leaves it out: the user must see what is to be approved."""
    if question is None or set(question.approves) <= set(plans_asked_about(text)):
        return text
    return f"{text}\n\n{with_options(question)}"


def with_options(question: Question) -> str:
    """Give the words of a question with its options as a list."""
    return question.text + "".join(f"\n- {option}" for option in question.options)


def _bare(words: str) -> str:
    return _MARKS.sub(" ", words).strip().lower()
