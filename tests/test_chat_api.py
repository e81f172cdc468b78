"""The native door over real HTTP: typed events, coming back, stopping, conversations, the catalogue."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, ClassVar, get_args

import httpx
import pytest

from assistant.agent import Assistant
from assistant.schema import Event
from assistant.settings import Settings
from knowledge.ingest import build_index
from tests.servers.dead import dead_url
from tests.servers.doors import served
from tests.servers.menu import SmallToolbox, small_assistant
from tools.backend_login import Logins
from tools.schema import ToolResult
from tools.toolbox import Services
from ui.chat_api import ChatBody

QUESTION = {"question": "How green are the parcels around Rennes this summer?", "today": "2026-08-20"}


class SlowToolbox(SmallToolbox):
    """Computes until it is told to go on, or stopped."""

    began, go_on = threading.Event(), threading.Event()
    stopped = threading.Event()

    def compute(
        self, index: Any, place: str, period: str, output: Any, units: Any = "parcels", against: str = ""
    ) -> ToolResult:
        self.began.set()
        while not self.go_on.wait(0.01):
            if self.context.cancelled():
                self.stopped.set()
                self.context.stop_if_asked()
        return super().compute(index, place, period, output, units, against)


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    with served(small_assistant(settings)) as address:
        yield address


@pytest.fixture
def slow_url(settings: Settings) -> Iterator[str]:
    for flag in (SlowToolbox.began, SlowToolbox.go_on, SlowToolbox.stopped):
        flag.clear()
    services = small_assistant(settings).services()
    with served(Assistant(settings, services=services, toolbox=SlowToolbox)) as address:
        yield address
        SlowToolbox.go_on.set()


def _events(lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    for line in lines:
        if line.startswith("id: "):
            number = int(line[4:])
        elif line.startswith("data: "):
            yield number, json.loads(line[6:])


def test_a_question_comes_as_typed_events_and_is_kept(url: str) -> None:
    with httpx.stream("POST", f"{url}/api/chat", json=QUESTION) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        events = list(_events(reply.iter_lines()))
    assert [number for number, _ in events] == list(range(1, len(events) + 1))
    kinds = [event["type"] for _, event in events]
    assert kinds[0] == "tool_started"
    assert {"tool_progress", "tool_finished", "artifact", "text"} <= set(kinds)
    answer = events[-1][1]
    assert answer["type"] == "answer"
    assert "0.500" in answer["text"]
    assert "path" not in json.dumps(events)
    assert httpx.get(url + answer["artifacts"][0]["url"]).text == "parcel,ndvi\n"

    kept = f"{url}/api/sessions/{answer['session_id']}"
    (turn,) = httpx.get(kept).json()["turns"]
    (told,) = httpx.get(f"{url}/api/sessions").json()
    assert told["last"].endswith("Z")
    assert (turn["question"], turn["answer"]["text"]) == (QUESTION["question"], answer["text"])
    assert httpx.delete(kept).status_code == 204
    assert httpx.get(kept).json()["turns"] == []


def test_a_cut_connection_loses_nothing(slow_url: str) -> None:
    with httpx.stream("POST", f"{slow_url}/api/chat", json=QUESTION) as reply:
        turn_id = reply.headers["x-turn-id"]
        last = next(number for number, event in _events(reply.iter_lines()) if event.get("name") == "compute")
    SlowToolbox.go_on.set()
    headers = {"Last-Event-ID": str(last)}
    with httpx.stream("GET", f"{slow_url}/api/chat/{turn_id}", headers=headers) as reply:
        rest = list(_events(reply.iter_lines()))
    assert [number for number, _ in rest] == list(range(last + 1, last + 1 + len(rest)))
    assert "0.500" in rest[-1][1]["text"]


def test_a_stopped_question_stops_its_computation(slow_url: str) -> None:
    with httpx.stream("POST", f"{slow_url}/api/chat", json=QUESTION) as reply:
        assert SlowToolbox.began.wait(10)
        assert httpx.delete(f"{slow_url}/api/chat/{reply.headers['x-turn-id']}").status_code == 204
        *_, (_, last) = _events(reply.iter_lines())
    assert (last["type"], last["message"]) == ("error", "The question was stopped.")
    assert SlowToolbox.stopped.wait(10)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat", QUESTION),
        ("/v1/chat/completions", {"stream": True, "messages": [{"role": "user", "content": QUESTION["question"]}]}),
    ],
    ids=["events", "chat completions"],
)
def test_the_first_event_waits_for_nothing_that_has_to_be_opened(
    settings: Settings, path: str, body: dict[str, Any]
) -> None:
    opened = threading.Event()

    class Opening(Assistant):
        def services(self) -> Services:
            assert opened.wait(30)
            return super().services()

    services = small_assistant(settings).services()
    assistant = Opening(settings, services=services, toolbox=SmallToolbox)
    with served(assistant) as address, httpx.stream("POST", f"{address}{path}", json=body) as reply:
        lines = (line for line in reply.iter_lines() if line.startswith("data: "))
        first = next(lines)
        opened.set()
        rest = list(lines)
    assert "read_question" in first or "chat.completion.chunk" in first
    assert any("0.500" in line for line in rest)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_of_chat_completions_that_goes_away_stops_the_computation(slow_url: str, stream: bool) -> None:
    asked = {"stream": stream, "messages": [{"role": "user", "content": QUESTION["question"]}]}
    with closing(HTTPConnection(slow_url.removeprefix("http://"))) as client:
        client.request("POST", "/v1/chat/completions", json.dumps(asked), {"Content-Type": "application/json"})
        assert SlowToolbox.began.wait(30)
    assert SlowToolbox.stopped.wait(30)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/chat", {}, 400),
        ("POST", "/api/chat", {"question": ""}, 400),
        ("POST", "/api/chat", {"question": "Hi", "nonsense": 1}, 400),
        ("POST", "/api/chat", {"question": "Hi", "today": "1066-10-14"}, 400),
        ("POST", "/api/chat", {"question": "Hi", "area": {"type": "Nonsense"}}, 400),
        ("POST", "/api/plans", {"question": "NDVI of my field", "area": {"type": {}}}, 400),
        ("GET", "/api/chat/unknown", None, 404),
        ("DELETE", "/api/chat/unknown", None, 404),
    ],
)
def test_what_is_wrong_is_told_in_the_one_shape(
    url: str, method: str, path: str, body: dict[str, Any] | None, status: int
) -> None:
    reply = httpx.request(method, url + path, json=body)
    assert reply.status_code == status
    assert reply.json()["error"]["message"]


def test_the_catalogue_is_served(settings: Settings) -> None:
    build_index(settings.index_dir, embedding_model="none")
    with served(Assistant(settings, hub_url=dead_url())) as url:
        listed = httpx.get(f"{url}/api/products").json()
        assert {"id", "title", "summary"} == set(listed[0])
        assert httpx.get(f"{url}/api/products/corine-land-cover").json()["editions"]
        assert httpx.get(f"{url}/api/products/no-such-product").status_code == 404


def test_the_page_of_the_door_names_every_event_and_field() -> None:
    page = (Path(__file__).parent.parent / "docs" / "chat-api.md").read_text()
    asked, told = page.split("## The events")
    assert set(re.findall(r"^\| `(\w+)` \|", asked, re.M)) == set(ChatBody.model_fields)
    kinds = {get_args(one.model_fields["type"].annotation)[0] for one in get_args(get_args(Event)[0])}
    assert set(re.findall(r"^\| `(\w+)` \|", told, re.M)) == kinds


def test_the_example_of_the_page_runs(url: str) -> None:
    page = (Path(__file__).parent.parent / "docs" / "chat-api.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.S)
    code = code.replace("http://127.0.0.1:7860", url)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "compute" in done.stdout
    assert "0.500" in done.stdout


def test_a_forgotten_conversation_loses_its_login_too(settings: Settings) -> None:
    class Watched(Logins):
        forgotten: ClassVar[list[str]] = []

        def forget(self, session_id: str) -> None:
            self.forgotten.append(session_id)
            super().forget(session_id)

    services = replace(small_assistant(settings).services(), logins=Watched())
    with served(Assistant(settings, services=services, toolbox=SmallToolbox)) as url:
        assert httpx.delete(f"{url}/api/sessions/0123456789abcdef").status_code == 204
    assert Watched.forgotten == ["0123456789abcdef"]
