"""Translates the events of one question into chat messages, whatever page shows them."""

import re
from dataclasses import dataclass, field
from typing import Any

from assistant.schema import (
    Answer,
    AnswerEvent,
    ArtifactEvent,
    ErrorEvent,
    Event,
    QuestionEvent,
    TextEvent,
    ToolFinished,
    ToolProgress,
    ToolStarted,
)
from tools.schema import Artifact, Outcome

OUTCOME_WORDS: dict[Outcome, str] = {
    "ok": "computed",
    "no_data": "no data",
    "not_covered": "not covered",
    "not_run": "not run",
    "failed": "failed",
}
"""How the page names each outcome; words, because colour alone tells nothing to some readers."""

_TITLE_LENGTH = 90


@dataclass
class Step:
    """One tool call as a foldable message."""

    name: str
    args: dict[str, Any]
    progress: list[str] = field(default_factory=list)
    result: str = ""
    outcome: Outcome = "ok"
    seconds: float | None = None

    def message(self) -> dict[str, Any]:
        """Give the chat message: title, arguments, progress, result, seconds."""
        metadata: dict[str, Any] = {"title": self._title(), "status": "pending" if self.seconds is None else "done"}
        if self.seconds is not None:
            metadata["duration"] = round(self.seconds, 2)
        elif self.progress:
            metadata["log"] = self.progress[-1]
        return {"role": "assistant", "content": self._body(), "metadata": metadata}

    def _title(self) -> str:
        words = ", ".join(plain(value) for value in self.args.values() if value not in ("", None))
        title = self.name.replace("_", " ").capitalize() + (f": {words}" if words else "")
        title = title if len(title) <= _TITLE_LENGTH else title[: _TITLE_LENGTH - 1] + "…"
        return title if self.outcome == "ok" else f"{title} ({OUTCOME_WORDS[self.outcome]})"

    def _body(self) -> str:
        lines = [f"- {name}: `{plain(value)}`" for name, value in self.args.items() if value not in ("", None)]
        lines += [f"- {plain(message)}" for message in self.progress]
        body = "\n".join(lines) or "No arguments."
        return f"{body}\n\n````text\n{self.result.replace('````', '')}\n````" if self.result else body


@dataclass
class Turn:
    """What one question has led to so far."""

    question: str
    steps: dict[str, Step] = field(default_factory=dict)
    text: str = ""
    options: tuple[str, ...] = ()
    artifacts: list[Artifact] = field(default_factory=list)
    answer: Answer | None = None
    failed: bool = False

    @classmethod
    def told(cls, question: str, answer: Answer) -> "Turn":
        """Give a turn that was kept, with its steps."""
        steps = {
            str(place): Step(call.name, call.args, result=call.result, outcome=call.outcome, seconds=call.seconds)
            for place, call in enumerate(answer.tool_calls)
        }
        turn = cls(question, steps)
        turn.take(AnswerEvent(answer=answer))
        return turn

    def take(self, event: Event) -> None:
        """Fold one event in."""
        match event:
            case TextEvent():
                self.text += event.text
            case ToolStarted():
                self.steps[event.call_id] = Step(event.name, event.args)
            case ToolProgress():
                self._step(event.call_id, "step").progress.append(event.message)
            case ToolFinished():
                step = self._step(event.call_id, event.name)
                step.result, step.outcome, step.seconds = event.text, event.outcome, event.seconds
            case ArtifactEvent():
                self.artifacts.append(event.artifact)
            case QuestionEvent():
                self.text, self.options = self.text or event.question.text, event.question.options
            case AnswerEvent():
                self._finish(event.answer)
            case ErrorEvent():
                self.text, self.failed = error_text(event), True

    def messages(self) -> list[dict[str, Any]]:
        """Give the chat messages: the question, the steps, then the answer with its buttons."""
        told: list[dict[str, Any]] = [{"role": "user", "content": harmless(self.question)}]
        told += [step.message() for step in self.steps.values()]
        if self.text:
            options = [{"value": option} for option in self.options]
            told.append({"role": "assistant", "content": harmless(self.text), "options": options})
        return told

    def _step(self, call_id: str, name: str) -> Step:
        return self.steps.setdefault(call_id, Step(name, {}))

    def _finish(self, answer: Answer) -> None:
        # The checked text replaces what was streamed before the check.
        self.answer, self.text, self.artifacts = answer, answer.text, list(answer.artifacts)
        self.options = answer.question.options if answer.question else answer.follow_ups


def stopped(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Close the steps that were running when the user pressed stop, and say so."""
    closed = [_close(message) for message in messages]
    return [*closed, {"role": "assistant", "content": "Stopped. Steps that had not finished gave no result."}]


def error_text(event: ErrorEvent) -> str:
    """Word a failure: the sentence, the hint, and the reference that finds it in the log."""
    reference = f"Reference for the log: `{event.reference}`." if event.reference else ""
    return "\n\n".join(part for part in (f"**{event.message}**", event.hint, reference) if part)


def harmless(text: str) -> str:
    """Show HTML and image links as text, so that no words make the browser call another host."""
    return re.sub(r"<(?!https?://)", "&lt;", text).replace("![", "!\\[")


def plain(value: object) -> str:
    """Give a value on one line, with nothing that ends an inline code span."""
    return " ".join(str(value).replace("`", "'").split())


def _close(message: dict[str, Any]) -> dict[str, Any]:
    metadata = message.get("metadata") or {}
    if metadata.get("status") != "pending":
        return message
    kept = {name: value for name, value in metadata.items() if name != "log"}
    return {**message, "metadata": {**kept, "status": "done", "title": f"{metadata.get('title', 'Step')} (stopped)"}}
