"""The chat-completions dialect of the answer stream, so that any OpenAI client can ask."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from difflib import get_close_matches
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from assistant.agent import Assistant
from assistant.schema import Answer, AnswerEvent, ErrorEvent, Event, TextEvent, Today
from knowledge.errors import ClmsError
from knowledge.lexicon import Language
from tools.areas import parse_geojson
from tools.errors import TooLarge, ToolInputError
from ui.answer_fields import clms_fields
from ui.chat_api import GeoJson
from ui.errors import error_response

MODEL = "clms-assistant"
LOOK_AGAIN_S = 0.5
"""So often it is looked whether the client is still there, while a question tells nothing."""


class _Open(BaseModel):
    """Base of what clients send: fields nobody reads are harmless."""

    model_config = ConfigDict(extra="allow")


class Part(_Open):
    """A piece of a message."""

    type: str = "text"
    text: str | None = None


class Message(_Open):
    """One turn of the conversation."""

    role: str
    content: str | list[Part] | None = None

    @property
    def words(self) -> str:
        """Join the text parts."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.text)
        return self.content or ""


class StreamOptions(_Open):
    """How a stream ends."""

    include_usage: StrictBool | None = None


class ClmsFields(_Open):
    """What a client may say beyond the dialect."""

    today: Today | None = None
    session_id: str | None = None
    area: GeoJson | None = None
    """GeoJSON polygons."""
    collection_id: str | None = None
    language: Language | None = None
    """In which to answer; that of the question when left out."""
    approve: StrictBool = False
    """Run a large plan without asking first."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Name the fields that nobody reads: here they are meant for us, so one is most likely misspelled."""
        known = list(type(self).model_fields)
        told = []
        for name in self.model_extra or {}:
            near = get_close_matches(name, known, n=1)
            meant = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(known)}."
            told.append(f"The field {name[:60]!r} of 'clms' is not known and was not used. {meant}")
        return tuple(told)


_WORDS = {"type": "string", "pattern": "[A-Za-z0-9]"}
_PARTS = {"contains": {"required": ["text"], "properties": {"text": _WORDS}}, "type": "array"}
_ASKING: Any = {
    "required": ["role", "content"],
    "properties": {"role": {"const": "user"}, "content": {"anyOf": [_WORDS, _PARTS]}},
}
"""What at least one message is, said in the description too: the user's, with words."""


class ChatRequest(_Open):
    """The body of a chat completion."""

    messages: list[Message] = Field(min_length=1, json_schema_extra={"contains": _ASKING})
    model: str | None = None
    stream: StrictBool | None = False
    stream_options: StreamOptions | None = None
    clms: ClmsFields | None = None


def openai_router(assistant: Assistant) -> APIRouter:
    """Build the routes under `/v1`."""
    router = APIRouter(prefix="/v1")

    @router.get("/models")
    def models() -> dict[str, Any]:
        """List the one model."""
        return {"object": "list", "data": [_model()]}

    @router.get("/models/{model_id}")
    def model(model_id: str) -> Response:
        """Tell about the one model."""
        if model_id != MODEL:
            return error_response(404, f"There is no model {model_id!r}.", code="model_not_found")
        return JSONResponse(_model())

    @router.post("/chat/completions", responses={200: {"content": {"application/json": {}, "text/event-stream": {}}}})
    async def chat(body: ChatRequest, request: Request) -> Response:
        """Answer the last user message."""
        question, options = await asyncio.to_thread(_read, body, assistant.settings.max_area_bytes)
        await asyncio.to_thread(assistant.access.may_ask, options["session_id"])
        base_url = str(request.base_url).rstrip("/")
        unread = body.clms.warnings if body.clms else ()
        events = assistant.stream(question, **options)
        if body.stream:
            usage = bool(body.stream_options and body.stream_options.include_usage)
            chunks = _chunks(events, base_url, usage=usage, warnings=unread)
            return StreamingResponse(chunks, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        return await _complete(_while_there(request, events), base_url, unread)

    return router


def _read(body: ChatRequest, max_area_bytes: int) -> tuple[str, dict[str, Any]]:
    """Take the question and the options of `Assistant.stream` out of a request."""
    asked = [index for index, message in enumerate(body.messages) if message.role == "user"]
    if not asked or not body.messages[asked[-1]].words.strip():
        raise ToolInputError("The request holds no user message with text.", "Send a message with the role 'user'.")
    extra = body.clms or ClmsFields()
    if extra.area and len(json.dumps(extra.area)) > max_area_bytes:
        raise TooLarge(f"The area is larger than {max_area_bytes} bytes.", "Simplify it, or send fewer polygons.")
    history = tuple(
        (message.role, message.words)
        for message in body.messages[: asked[-1]]
        if message.role in ("user", "assistant") and message.words
    )
    options: dict[str, Any] = {
        "session_id": extra.session_id,
        "today": extra.today,
        "collection_id": extra.collection_id,
        "area": parse_geojson(extra.area, name="area") if extra.area else None,
        "history": history,
        "approve": extra.approve,
        "language": extra.language,
    }
    return body.messages[asked[-1]].words, options


async def _while_there(request: Request, events: AsyncGenerator[Event, None]) -> AsyncIterator[Event]:
    """Pass events on; stop the question, and what it computes, when the client has gone away."""
    step = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait({step}, timeout=LOOK_AGAIN_S)
            if done and (event := step.result()) is not None:
                yield event
                step = asyncio.ensure_future(anext(events, None))
            elif done or await request.is_disconnected():
                return
    finally:
        step.cancel()
        await asyncio.wait({step})
        await events.aclose()


async def _complete(events: AsyncIterator[Event], base_url: str, warnings: tuple[str, ...]) -> Response:
    async for event in events:
        if isinstance(event, AnswerEvent):
            message = {"role": "assistant", "content": event.answer.text + event.answer.follow_up_text}
            return JSONResponse(
                {
                    **_head("chat.completion"),
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
                    "usage": _usage(event.answer),
                    "clms": clms_fields(event.answer, base_url, warnings),
                }
            )
        if isinstance(event, ErrorEvent):
            return error_response(500 if event.reference else 503, _sentence(event))
    return error_response(500, "The question was not answered.")


async def _chunks(
    events: AsyncIterator[Event], base_url: str, *, usage: bool, warnings: tuple[str, ...]
) -> AsyncIterator[str]:
    """Give server-sent chunks: the role at once, steps as they happen, the text, then everything else."""
    head = _head("chat.completion.chunk")
    yield _sse({**head, **_delta({"role": "assistant", "content": ""})})
    async for event in events:
        if isinstance(event, TextEvent):
            yield _sse({**head, **_delta({"content": event.text})})
        elif isinstance(event, AnswerEvent):
            if event.answer.follow_ups:
                yield _sse({**head, **_delta({"content": event.answer.follow_up_text})})
            yield _sse({**head, **_delta({}, "stop"), "clms": clms_fields(event.answer, base_url, warnings)})
            if usage:
                yield _sse({**head, "choices": [], "usage": _usage(event.answer)})
        elif isinstance(event, ErrorEvent):
            yield _sse(_error(_sentence(event), "server_error", None, None))
        elif event.type in ("tool_started", "tool_progress", "tool_finished"):
            yield _sse({**head, **_delta({}), "clms": {"event": event.model_dump(mode="json")}})
    yield "data: [DONE]\n\n"


def _head(kind: Literal["chat.completion", "chat.completion.chunk"]) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": MODEL}


def _delta(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}]}


def _model() -> dict[str, Any]:
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": MODEL}


def _usage(answer: Answer) -> dict[str, int]:
    """Give the provider's token counts; the offline planner uses none."""
    return {key: answer.usage.get(key, 0) for key in ("prompt_tokens", "completion_tokens", "total_tokens")}


def _error(message: str, kind: str, code: str | None, param: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _sentence(event: ErrorEvent) -> str:
    reference = f" (reference {event.reference})" if event.reference else ""
    return str(ClmsError(f"{event.message}{reference}", event.hint))


def _sse(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
