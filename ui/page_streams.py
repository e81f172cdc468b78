"""Mends how Gradio ends a page's stream of events: one that begins just then would be dropped without a word.

Its server ends the stream when the last event is done. An event that comes in that moment is taken, but the page may
learn so before it learns of the end: it then takes the old stream for open and waits there for ever. So the reply to
such an event waits until the page must have seen the end, and opens a new stream.
"""

import asyncio
import re
from time import monotonic

from fastapi import FastAPI
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

JUST_S = 0.5
"""A stream that ended so long ago has ended for the page too."""
_END = b'"close_stream"'
_SESSION = re.compile(rb'"session_hash"\s*:\s*"(\w+)"|session_hash=(\w+)')


def hold_events(app: FastAPI) -> None:
    """Put this before the page that was mounted last."""
    page = app.router.routes[-1]
    if isinstance(page, Mount):
        page.app = HeldEvents(page.app)


class HeldEvents:
    """Knows of each page when its stream ended."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._ended: dict[bytes, float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        path = scope.get("path", "")
        if path.endswith("/queue/data"):
            await self._app(scope, receive, self._watched(scope, send))
        elif path.endswith("/queue/join"):
            await self._join(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _watched(self, scope: Scope, send: Send) -> Send:
        async def sent(message: Message) -> None:
            if _END in message.get("body", b""):
                now = monotonic()
                self._ended = {one: at for one, at in self._ended.items() if now - at < JUST_S}
                self._ended[_session(scope["query_string"])] = now
            await send(message)

        return sent

    async def _join(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()

        async def received() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def sent(message: Message) -> None:
            ended = self._ended.get(_session(body), 0)
            if message["type"] == "http.response.start" and (left := ended + JUST_S - monotonic()) > 0:
                await asyncio.sleep(left)
            await send(message)

        await self._app(scope, received, sent)


def _session(text: bytes | bytearray) -> bytes:
    found = list(_SESSION.finditer(text))
    return (found[-1][1] or found[-1][2]) if found else b""
