"""The native HTTP door: one question as a stream of typed events, conversations, and the catalogue."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError
from sse_starlette import EventSourceResponse, ServerSentEvent

from assistant.access import NotPermitted, User
from assistant.agent import Assistant
from assistant.schema import AnswerEvent, ArtifactEvent, Event, Today
from knowledge.lexicon import Language
from knowledge.schema import Product
from tools.areas import parse_geojson
from tools.errors import TooLarge
from ui.answer_fields import Told, answer_fields, file_fields
from ui.turns import RunningTurn, TurnElsewhere, Turns

HEARTBEAT_S = 15
_FORWARDED = frozenset(("forwarded", "x-forwarded-for", "x-real-ip"))
LastEvent = Annotated[int, Header(alias="Last-Event-ID", ge=0)]


_SHAPES = {
    "Polygon": "coordinates",
    "MultiPolygon": "coordinates",
    "Feature": "geometry",
    "FeatureCollection": "features",
}
"""Types of GeoJSON that an area may have, and the member that holds it."""


def _is_area(value: dict[str, Any]) -> dict[str, Any]:
    if value.get("type") not in tuple(_SHAPES) or _SHAPES[value["type"]] not in value:
        told = f"This is no area. Send GeoJSON of one of these types, with its content: {', '.join(_SHAPES)}."
        raise PydanticCustomError("area", told)
    return value


GeoJson = Annotated[
    dict[str, Any],
    AfterValidator(_is_area),
    Field(
        json_schema_extra={
            "oneOf": [
                {"required": ["type", member], "properties": {"type": {"const": kind}}}
                for kind, member in _SHAPES.items()
            ]
        }
    ),
]


class ChatBody(BaseModel):
    """One question."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(min_length=1)
    session_id: str | None = None
    """Conversation to go on with."""
    today: Today | None = None
    """Day that "this summer" is relative to; the real day when left out."""
    area: GeoJson | None = None
    """GeoJSON polygons the question is about."""
    collection_id: str | None = None
    """Collection to compute on; the best one when left out."""
    language: Language | None = None
    """In which to answer; that of the question when left out."""


class KeptTurn(BaseModel):
    """A question and its answer."""

    question: str
    answer: Told


class Conversation(BaseModel):
    """What was asked and answered, oldest first."""

    session_id: str
    turns: list[KeptTurn]
    interrupted: list[str] = []
    """Questions without an answer: the process that worked on them ended. Ask them again."""


class ConversationTold(BaseModel):
    """A conversation in a list."""

    session_id: str
    turns: int
    first: datetime
    last: datetime
    """Of its first and its last question, UTC."""


class ProductTold(BaseModel):
    """A product in a list."""

    id: str
    title: str
    summary: str


def listing_user(assistant: Assistant, request: Request) -> User | None:
    """Give the user whose things may be listed; where users are not told apart, only their own machine may list.

    Raises:
        NotPermitted: Users are not told apart, and others can come.
    """
    user = assistant.access.user()
    # Behind a proxy others come: it has names of the host of its own, or says for whom it asks.
    proxied = assistant.settings.allowed_hosts or not _FORWARDED.isdisjoint(request.headers)
    if user is None and (proxied or not assistant.settings.is_local):
        raise NotPermitted(
            "Here nobody's conversations are listed: users are not told apart.",
            "Keep the ids of your own, or let users log in with CLMS_AUTH=required.",
        )
    return user


def chat_router(assistant: Assistant, turns: Turns) -> APIRouter:
    """Build the routes under `/api`."""
    router = APIRouter(prefix="/api")
    streams: dict[str, Any] = {"response_class": EventSourceResponse}

    @router.post("/chat", **streams)
    async def chat(body: ChatBody) -> EventSourceResponse:
        """Answer a question as server-sent events; the header `X-Turn-Id` names it for coming back and stopping."""
        await asyncio.to_thread(assistant.access.may_ask, body.session_id)
        options = await asyncio.to_thread(_options, body, assistant.settings.max_area_bytes)
        turn_id, turn = turns.start(body.question, options)
        return _stream(turn, turn_id)

    @router.get("/chat/{turn_id}", **streams)
    async def resume(turn_id: str, last_event_id: LastEvent = 0) -> EventSourceResponse:
        """Go on with the events of a question, after the one in the header `Last-Event-ID`."""
        return _stream(await turns.get(turn_id), turn_id, last_event_id)

    @router.delete("/chat/{turn_id}", status_code=204)
    async def stop(turn_id: str) -> Response:
        """Stop a question and its computation."""
        await turns.cancel(turn_id)
        return Response(status_code=204)

    @router.get("/sessions")
    def sessions(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[ConversationTold]:
        """List one's own conversations, the latest first; where users are not told apart, only on its own machine."""
        user = listing_user(assistant, request)
        kept = assistant.sessions.listed(owner=user.name if user else None, limit=limit)
        zoned = (replace(one, first=one.first.replace(tzinfo=UTC), last=one.last.replace(tzinfo=UTC)) for one in kept)
        return [ConversationTold(**asdict(one)) for one in zoned]

    @router.get("/sessions/{session_id}")
    def session(session_id: str) -> Conversation:
        """Give a conversation: its questions and answers, oldest first."""
        assistant.access.need("session", session_id)
        kept = assistant.sessions.history(session_id, limit=1000)
        told = [KeptTurn(question=one.question, answer=answer_fields(one.answer)) for one in kept]
        broken_off = assistant.jobs.interrupted(session_id)
        return Conversation(session_id=session_id, turns=told, interrupted=broken_off)

    @router.delete("/sessions/{session_id}", status_code=204)
    def forget(session_id: str) -> Response:
        """Delete a conversation, with the runs that wait in it and its login at a back-end."""
        assistant.forget(session_id)
        return Response(status_code=204)

    @router.get("/products")
    def products() -> list[ProductTold]:
        """List the products of the catalogue."""
        catalogue = assistant.services().retriever.catalogue
        return [ProductTold(id=one.id, title=one.title, summary=one.summary) for one in catalogue.products]

    @router.get("/products/{product_id}")
    def product(product_id: str) -> Product:
        """Give all facts of one product."""
        return assistant.services().retriever.catalogue.get(product_id)

    return router


def _options(body: ChatBody, max_area_bytes: int) -> dict[str, Any]:
    if body.area and len(json.dumps(body.area)) > max_area_bytes:
        raise TooLarge(f"The area is larger than {max_area_bytes} bytes.", "Simplify it, or send fewer polygons.")
    return {
        "session_id": body.session_id,
        "today": body.today,
        "area": parse_geojson(body.area, name="area") if body.area else None,
        "collection_id": body.collection_id,
        "language": body.language,
    }


def _stream(turn: RunningTurn | TurnElsewhere, turn_id: str, after: int = 0) -> EventSourceResponse:
    async def events() -> AsyncIterator[ServerSentEvent]:
        async for number, event in turn.listen(after):
            yield ServerSentEvent(json.dumps(_fields(event), ensure_ascii=False), event=event.type, id=str(number))

    return EventSourceResponse(events(), headers={"X-Turn-Id": turn_id}, ping=HEARTBEAT_S)


def _fields(event: Event) -> dict[str, Any]:
    """Give an event without the paths of files."""
    if isinstance(event, AnswerEvent):
        return {"type": event.type, **answer_fields(event.answer).model_dump(mode="json")}
    if isinstance(event, ArtifactEvent):
        return {"type": event.type, "artifact": file_fields(event.artifact)}
    return event.model_dump(mode="json")
