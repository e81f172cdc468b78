"""The chat-completions dialect over real HTTP with the OpenAI SDK as it is."""

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from openai import BadRequestError, OpenAI

from assistant.settings import Settings
from tests.servers.loopback import running
from tests.servers.menu import small_assistant
from ui.api import add_doors

QUESTION = "How green are the parcels around Rennes this summer?"
FIELD = {"type": "Polygon", "coordinates": [[[0, 0], [0.01, 0], [0.01, 0.01], [0, 0.01], [0, 0]]]}


@pytest.fixture
def base_url(settings: Settings) -> Iterator[str]:
    app = FastAPI()
    add_doors(app, small_assistant(settings), settings)
    with running(app, lifespan="off") as url:
        yield url


@pytest.fixture
def client(base_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{base_url}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_the_sdk_gets_an_answer_with_everything_behind_it(client: OpenAI) -> None:
    done = client.chat.completions.create(
        model="clms-assistant",
        messages=[{"role": "user", "content": QUESTION}],
        temperature=0.3,
        extra_body={"clms": {"today": "2026-08-20"}, "harmless": 1},
    )
    assert "0.500" in (done.choices[0].message.content or "")
    assert done.usage is not None
    fields = done.model_extra["clms"]
    for name in (
        "tool_calls",
        "plan",
        "recommendation",
        "statistics",
        "citations",
        "artifacts",
        "warnings",
        "session_id",
    ):
        assert name in fields
    assert {"name", "args", "result"} <= set(fields["tool_calls"][0])
    artifact = fields["artifacts"][0]
    assert "path" not in artifact
    assert httpx.get(artifact["url"]).text == "parcel,ndvi\n"


@pytest.mark.parametrize("stream", [False, True])
def test_an_unknown_field_of_ours_is_told_and_one_outside_is_not(base_url: str, stream: bool) -> None:
    body = {
        "messages": [{"role": "user", "content": QUESTION}],
        "clms": {"collection": "my-s2", "zzz": 1},
        "elsewhere": 1,
        "stream": stream,
    }
    reply = httpx.post(f"{base_url}/v1/chat/completions", json=body, timeout=60)
    assert "'collection' of 'clms' is not known and was not used. Did you mean 'collection_id'?" in reply.text
    assert "'zzz' of 'clms' is not known and was not used. Known are today, session_id" in reply.text
    assert "elsewhere" not in reply.text


def test_the_sdk_streams_text_and_ends_with_usage(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="clms-assistant",
            messages=[{"role": "user", "content": [{"type": "text", "text": QUESTION}]}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "0.500" in text
    assert chunks[-1].usage is not None
    finished = [chunk for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason == "stop"]
    assert finished[0].model_extra["clms"]["session_id"]
    assert any(chunk.choices and "event" in (chunk.model_extra.get("clms") or {}) for chunk in chunks)


def test_models_are_listed(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["clms-assistant"]


def test_an_area_is_taken_along(client: OpenAI) -> None:
    done = client.chat.completions.create(
        model="clms-assistant",
        messages=[{"role": "user", "content": "NDVI of this field in 2025"}],
        extra_body={"clms": {"area": FIELD}},
    )
    assert done.model_extra["clms"]["plan"]["output"] == "per_polygon"


@pytest.mark.parametrize(
    "extra",
    [
        {"today": "yesterday-ish"},
        {"today": "9999-12-31"},
        {"today": "2015-06-22"},
        {"area": {"type": "Polygon", "coordinates": "broken"}},
    ],
    ids=["date", "late", "early", "area"],
)
def test_bad_fields_are_a_400_in_the_usual_shape(client: OpenAI, extra: dict[str, object]) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hello"}], extra_body={"clms": extra}
        )
    assert caught.value.type == "invalid_request_error"


def test_no_message_no_json_and_no_route_are_errors_of_the_same_shape(base_url: str) -> None:
    replies = [
        httpx.post(f"{base_url}/v1/chat/completions", json={"messages": []}),
        httpx.post(f"{base_url}/v1/chat/completions", content=b"{"),
        httpx.post(f"{base_url}/v1/chat/completions", json={"messages": [{"role": "system", "content": "x"}]}),
        httpx.get(f"{base_url}/artifacts/..%2f..%2fetc"),
        httpx.get(f"{base_url}/artifacts/unknown"),
        httpx.get(f"{base_url}/v1/models/gpt"),
    ]
    assert [reply.status_code for reply in replies] == [400, 400, 400, 404, 404, 404]
    for reply in replies:
        assert {"message", "type", "param", "code"} == set(reply.json()["error"])


def test_it_says_that_it_lives(base_url: str) -> None:
    assert httpx.get(f"{base_url}/healthz").json() == {"status": "ok"}
    ready = httpx.get(f"{base_url}/readyz")
    assert (ready.status_code, ready.json()["status"], ready.json()["checks"]["database"]) == (503, "not ready", "ok")
    assert ready.json()["checks"]["scenes"] == "The service does not answer as it should."
