"""A second process behind the same doors: it answers, keeps its conversations, is stopped, dies and comes back."""

import os
import signal
from collections.abc import Iterator
from functools import partial

import httpx
import pytest

from assistant.agent import Assistant
from assistant.settings import Settings
from assistant.workers import SharedAssistant
from tests.servers.doors import served
from tests.servers.menu import small_assistant
from tests.servers.replica import WaitingToolbox, waiting
from tests.test_replicas import QUESTION, SESSION, begin, followed, wait_for


@pytest.fixture
def shared(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[SharedAssistant]:
    monkeypatch.setattr(Assistant, "warm_up", lambda _: None)
    small = {"services": small_assistant(settings).services(), "toolbox": WaitingToolbox}
    assistant = SharedAssistant(settings, **small, make=partial(waiting, settings), workers=2)
    assistant.warm_up()
    wait_for(lambda: assistant.others[0].ready)
    yield assistant
    assistant.close()
    assert not assistant.others[0].process.is_alive()


@pytest.mark.slow
def test_a_second_process_answers_is_stopped_and_when_killed_comes_back(
    settings: Settings, shared: SharedAssistant
) -> None:
    other, go = shared.others[0], settings.data_dir / "go"

    def computed_by() -> set[int]:
        return {int(path.name[3:]) for path in settings.data_dir.glob("by-*")}

    with served(shared) as url:
        stopped, _ = begin(url)
        wait_for(lambda: computed_by() == {other.process.pid})
        assert httpx.delete(f"{url}/api/jobs/{stopped}").status_code == 204
        wait_for((settings.data_dir / "stopped").exists)
        wait_for(lambda: other.busy == 0)

        first, seen = begin(url, session_id=SESSION)
        second, _ = begin(url)
        # The process with the fewest on its way takes the next one.
        wait_for(lambda: computed_by() == {other.process.pid, os.getpid()})
        go.touch()
        for job in (first, second):
            assert "0.500" in followed(url, job, seen)[-1][1]["text"]
        (settings.data_dir / f"by-{os.getpid()}").unlink()
        assert "0.500" in httpx.post(f"{url}/api/chat", json={**QUESTION, "session_id": SESSION}, timeout=30).text
        assert computed_by() == {other.process.pid}
        assert 'clms_questions_total{outcome="ok"} ' in httpx.get(f"{url}/metrics").text

        go.unlink()
        broken, seen = begin(url, session_id=SESSION)
        os.kill(other.process.pid or 0, signal.SIGKILL)
        assert followed(url, broken, seen)[-1][1]["message"].startswith("The question was interrupted")
        wait_for(lambda: other.ready)
        go.touch()
        assert "0.500" in httpx.post(f"{url}/api/chat", json={**QUESTION, "session_id": SESSION}, timeout=30).text
        assert other.process.pid in computed_by()
        assert len(httpx.get(f"{url}/api/sessions/{SESSION}").json()["turns"]) == 3
