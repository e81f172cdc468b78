"""What becomes of a checked text: what was taken out is told, and what was computed follows."""

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from assistant.grounding import Check
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


def completed(check: Check, results: Sequence[ToolResult]) -> str:
    """Give the checked text; where sentences were taken out of it, the computed results follow in the tools' words."""
    if not check.text:
        told = "\n\n".join(result.text for result in results)
        return told or "No tool gave a result, so there is nothing to report."
    computed = [result.text for result in results if result.statistics] if check.invented else []
    return "\n\n".join((check.text, *(text for text in computed if text not in check.text)))


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
