"""What becomes of a checked text: what was taken out is told, and what was computed follows."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from assistant.grounding import Check
from tools.schema import ToolResult

Thing = TypeVar("Thing")


def removed(invented: Sequence[str]) -> str:
    """Count what no tool gave and quote it as removed, never as a fact."""
    quoted = ", ".join(f'"{words}"' for words in invented)
    return f"{len(invented)} numbers or links that no tool gave (removed: {quoted})"


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
