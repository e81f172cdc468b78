"""Translates the events of one question into chat messages, whatever page shows them."""

import re
from dataclasses import dataclass, field
from typing import Any

from assistant.phrases import translate
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
from knowledge.lexicon import Language
from tools.schema import Artifact, Outcome
from ui.page_words import all_words, say

_TITLE_LENGTH = 90
_LIST_END = re.compile(r"(?m)^(\s*(?:[-*]|\d+[.)]) .*)\n(?!\s*(?:[-*]|\d+[.)]) )(?=\S)")
"""The last line of a list before a line that is none; Markdown would take that into the list."""


@dataclass
class Step:
    """One tool call as a foldable message."""

    name: str
    args: dict[str, Any]
    progress: list[str] = field(default_factory=list)
    result: str = ""
    outcome: Outcome = "ok"
    seconds: float | None = None

    def message(self, language: Language = "en") -> dict[str, Any]:
        """Give the chat message: title, arguments, progress, result, seconds."""
        state = "pending" if self.seconds is None else "done"
        metadata: dict[str, Any] = {"title": self._title(language), "status": state}
        if self.seconds is not None:
            metadata["duration"] = round(self.seconds, 2)
        elif self.progress:
            metadata["log"] = self.progress[-1]
        return {"role": "assistant", "content": self._body(language), "metadata": metadata}

    def _title(self, language: Language) -> str:
        known = f"step_{self.name}"
        name = say(language, known) if known in all_words() else spoken(self.name).capitalize()
        # A switch that is on is told by its name: its value says nothing.
        told = [spoken(key) if value is True else plain(value) for key, value in self._given() if value is not False]
        title = say(language, "named", head=name, rest=", ".join(told)) if told else name
        title = title if len(title) <= _TITLE_LENGTH else title[: _TITLE_LENGTH - 1] + "…"
        return title if self.outcome == "ok" else f"{title} ({say(language, f'outcome_{self.outcome}')})"

    def _body(self, language: Language) -> str:
        lines = [f"- {spoken(name)}: `{plain(value)}`" for name, value in self._given()]
        lines += [f"- {plain(message)}" for message in self.progress]
        body = "\n".join(lines) or say(language, "step_bare")
        return f"{body}\n\n````text\n{self.result.replace('````', '')}\n````" if self.result else body

    def _given(self) -> list[tuple[str, Any]]:
        return [(name, value) for name, value in self.args.items() if value not in ("", None)]


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

    def messages(self, language: Language = "en") -> list[dict[str, Any]]:
        """Give the chat messages: the question, the steps, then the answer with its buttons."""
        told: list[dict[str, Any]] = [{"role": "user", "content": harmless(self.question)}]
        told += [step.message(language) for step in self.steps.values()]
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


def stopped(messages: list[dict[str, Any]], language: Language = "en") -> list[dict[str, Any]]:
    """Close the steps that were running when the user pressed stop, and say so."""
    closed = [_close(message, language) for message in messages]
    return [*closed, {"role": "assistant", "content": say(language, "stopped")}]


def error_text(event: ErrorEvent) -> str:
    """Word a failure: the sentence, the hint, and the reference that finds it in the log."""
    reference = f"Reference for the log: `{event.reference}`." if event.reference else ""
    return "\n\n".join(part for part in (f"**{event.message}**", event.hint, reference) if part)


def in_language(event: Event, language: Language) -> Event:
    """Give an event with the words of a failure put over, which the turn itself may not have been in time for."""
    if not isinstance(event, ErrorEvent):
        return event
    words = {name: translate(getattr(event, name), language) for name in ("message", "hint")}
    return event.model_copy(update=words)


def before_question(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give a conversation without its last question and what that led to."""
    asked = [place for place, message in enumerate(messages) if message["role"] == "user"]
    return messages[: asked[-1]] if asked else messages


def harmless(text: str) -> str:
    """Show HTML and image links as text, so that no words make the browser call another host."""
    return re.sub(r"<(?!https?://)", "&lt;", lists_ended(text)).replace("![", "!\\[")


def lists_ended(text: str) -> str:
    """Put an empty line after each list, so that what follows stands by itself."""
    return _LIST_END.sub(r"\1\n\n", text)


def plain(value: object) -> str:
    """Give a value on one line, with nothing that ends an inline code span."""
    return " ".join(str(value).replace("`", "'").split())


def spoken(name: str) -> str:
    """Give a name of the code as words."""
    return name.replace("_", " ")


def _close(message: dict[str, Any], language: Language) -> dict[str, Any]:
    metadata = message.get("metadata") or {}
    if metadata.get("status") != "pending":
        return message
    kept = {name: value for name, value in metadata.items() if name != "log"}
    title = f"{metadata.get('title', '')} ({say(language, 'step_stopped')})"
    return {**message, "metadata": {**kept, "status": "done", "title": title}}
