"""What becomes of a checked text: what was taken out is told, and what was computed follows."""

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from assistant.answers import unhappy_text
from assistant.grounding import Check
from assistant.menu import Run
from assistant.planner import CHECKER
from assistant.prompts import REWRITE
from assistant.telemetry import log_failure
from tools.schema import ToolResult

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

logger = logging.getLogger(__name__)
Thing = TypeVar("Thing")


def removed(invented: Sequence[str]) -> str:
    """Count what no tool gave and quote it as removed, never as a fact."""
    quoted = ", ".join(f'"{words}"' for words in invented)
    return f"{len(invented)} numbers, names or statements that no tool gave (removed: {quoted})"


def completed(check: Check, run: Run, *, planned: bool) -> str:
    """Give the checked text with what it must not leave out.

    Where sentences were taken out, the computed results follow in the tools' words; where a language model passes over
    a step that had no data, was not covered, did not run or failed, that is told as well.
    """
    results = run.results
    if not check.text:
        told = "\n\n".join(result.text for result in results)
        return told or "No tool gave a result, so there is nothing to report."
    missing = [result.text for result in results if result.statistics] if check.invented else []
    missing += [] if planned else [unhappy_text(one) for one in _unmended(run) if _first(one.text) not in check.text]
    return "\n\n".join((check.text, *(text for text in missing if text not in check.text)))


def _unmended(run: Run) -> list[ToolResult]:
    """Give the steps that did not end well, without those that the same tool did better later."""
    steps = list(zip(run.calls, run.results, strict=True))
    mended = {call.name: place for place, (call, result) in enumerate(steps) if result.outcome == "ok"}
    return [
        result
        for place, (call, result) in enumerate(steps)
        if result.outcome != "ok" and not result.question and place > mended.get(call.name, -1)
    ]


def _first(text: str) -> str:
    """Give the first sentence."""
    return text.partition(". ")[0].strip(" .")


def unique(things: Iterable[Thing]) -> tuple[Thing, ...]:
    """Leave out what comes again; for things that cannot be hashed, too."""
    found: list[Thing] = []
    for thing in things:
        if thing not in found:
            found.append(thing)
    return tuple(found)


async def rewritten(
    model: "BaseChatModel", messages: "Sequence[BaseMessage]", text: str, invented: Sequence[str]
) -> str:  # fmt: skip
    """Ask the model once to write its text again; a model that fails at this keeps its first text."""
    from langchain_core.messages import HumanMessage

    request = HumanMessage(REWRITE.format(numbers=", ".join(invented)), name=CHECKER)
    try:
        message = await model.ainvoke([*messages, request])
    except Exception:  # noqa: BLE001  # the first text is still there, and its sentences can be taken out
        log_failure(logger, "The rewrite")
        return text
    return str(message.text).strip() or text
