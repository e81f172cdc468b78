"""What people and models write never becomes markup on the page; no event of it is lost."""

import asyncio
import json
from contextlib import suppress

import pytest
from starlette.types import Message, Receive, Scope, Send

from ui.page_streams import HeldEvents
from ui.turn import harmless


@pytest.mark.parametrize("words", ["<img src=http://127.0.0.1:1/q.png>", "<script>x</script>", "![a](http://b/c.png)"])
def test_markup_is_shown_as_text(words: str) -> None:
    shown = harmless(words)
    assert "<" not in shown
    assert "![" not in shown


def test_sources_stay_links() -> None:
    assert harmless("see <https://land.copernicus.eu/en>") == "see <https://land.copernicus.eu/en>"


async def test_an_event_that_begins_as_a_stream_ends_is_told_when_the_page_knows_of_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ui.page_streams.JUST_S", 3600)

    async def gradio(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'data: {"msg":"close_stream"}\n\n'})

    held = HeldEvents(gradio)

    async def call(path: str, query: str = "", body: dict[str, object] | None = None) -> list[Message]:
        told: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

        async def send(message: Message) -> None:
            told.append(message)

        scope = {"type": "http", "path": path, "query_string": query.encode()}
        with suppress(TimeoutError):
            await asyncio.wait_for(held(scope, receive, send), 0.1)
        return told

    assert len(await call("/gradio_api/queue/data", "session_hash=abc")) == 2
    assert (
        len(await call("/gradio_api/queue/join", body={"data": ['"session_hash":"abc"'], "session_hash": "xyz"})) == 2
    )
    assert await call("/gradio_api/queue/join", body={"data": [], "session_hash": "abc"}) == []
