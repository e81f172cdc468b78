"""Logging, metrics and traces: one set-up for all doors, and references that lead from a message to its traceback."""

import json
import logging
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from assistant.schema import Event

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
OURS = ("assistant", "tools", "knowledge", "ui", "evals", "__main__")
HIDDEN = "***"
KEYS = re.compile(r"clms_[0-9a-f]{12}_[A-Za-z0-9_-]{43}|(?i:\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{12,}")
"""What is a secret whoever it belongs to: our own keys, and what stands in a header of authorization."""
LEAST_CHARS = 6
"""A shorter setting is no secret, and hiding it would hide half of the words."""

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Names the request that is being answered, in its reply and in each line of the log."""


class Redacting(logging.Formatter):
    """Writes a line of the log, its traceback too, without any secret."""

    def __init__(self, hidden: Iterable[str] = (), *, as_json: bool = False) -> None:
        super().__init__(FORMAT)
        self._hidden = sorted({one for one in hidden if len(one) >= LEAST_CHARS}, key=len, reverse=True)
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Give one line, as text or as JSON."""
        line = super().format(record)
        if not self._as_json:
            return self._redact(line)
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": self._redact(record.getMessage()),
            "request_id": request_id.get(),
        }
        if record.exc_text:
            told["traceback"] = self._redact(record.exc_text)
        return json.dumps(told, ensure_ascii=False)

    def _redact(self, text: str) -> str:
        for one in self._hidden:
            text = text.replace(one, HIDDEN)
        return KEYS.sub(HIDDEN, text)


def configure_logging(level: str, *, form: Literal["text", "json"] = "text", hidden: Iterable[str] = ()) -> None:
    """Send log lines to standard error: ours from `level` on, those of libraries only errors, or all at DEBUG.

    What a library warns of on its way, such as a connection it tries again, ends as an error that we tell in words.

    Args:
        level: Of our own lines.
        form: Of a line.
        hidden: Secrets, never to be written.
    """
    own = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=own if own == logging.DEBUG else logging.ERROR)
    formatter = Redacting(hidden, as_json=form == "json")
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter)
    for name in OURS:
        logging.getLogger(name).setLevel(own)


def log_failure(logger: logging.Logger, what: str) -> str:
    """Log the current exception with its traceback and give the reference the user is shown."""
    reference = secrets.token_hex(4)
    logger.exception("%s failed, reference %s", what, reference)
    return reference


@cache
def metrics() -> dict[str, Any]:
    """Give the metrics by name; made once, at first use."""
    from prometheus_client import Counter, Histogram

    return {
        "requests": Counter("clms_requests", "Requests answered.", ["method", "route", "status"]),
        "request_seconds": Histogram("clms_request_seconds", "Seconds until a reply had ended.", ["route"]),
        "questions": Counter("clms_questions", "Questions that ended.", ["outcome"]),
        "question_seconds": Histogram("clms_question_seconds", "Seconds until a question had its answer."),
    }


def counting(emit: "Callable[[Event | None], None]", started: float) -> "Callable[[Event | None], None]":
    """Count a question by how it ends; `started` is the clock's value when it began."""

    def count(event: "Event | None") -> None:
        if event and event.type in ("answer", "error"):
            outcome = event.answer.outcome if event.type == "answer" else "error"
            metrics()["questions"].labels(outcome).inc()
            metrics()["question_seconds"].observe(perf_counter() - started)
        emit(event)

    return count


@contextmanager
def span(name: str, **attributes: str) -> Iterator[None]:
    """Trace what happens inside, where OpenTelemetry is installed; who sets it up gets the traces."""
    try:
        from opentelemetry import trace
    except ImportError:
        yield
        return
    with trace.get_tracer("clms-assistant").start_as_current_span(name, attributes=attributes):
        yield
