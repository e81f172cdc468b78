"""Two processes on one database, SQLite or PostgreSQL, of which one is killed: both know what was asked at either."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import httpx

from assistant.database import Database, tables, utc_now
from assistant.feedback import FeedbackStore
from assistant.jobs import Jobs, Running
from assistant.schema import Answer, AnswerEvent
from assistant.sessions import Sessions
from assistant.settings import Settings
from tests.servers.doors import served
from tests.servers.menu import small_assistant

QUESTION = {"question": "How green are the parcels around Rennes this summer?", "today": "2026-08-20"}
SESSION = "a-conversation-of-a-test"
get, post, delete = partial(httpx.get, timeout=30), partial(httpx.post, timeout=30), partial(httpx.delete, timeout=30)


@contextmanager
def replica(settings: Settings) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Serve the same folder and database from a process of its own."""
    command = [sys.executable, "-m", "tests.servers.replica", str(settings.data_dir)]
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    environment = {**os.environ, "CLMS_DATABASE_URL": url}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as run:
        try:
            assert run.stdout
            yield run.stdout.readline().strip(), run
        finally:
            run.kill()


def begin(url: str, **more: str) -> tuple[str, int]:
    """Ask, and go away once it computes; gives the id of the question and the number of the last event seen."""
    with httpx.stream("POST", f"{url}/api/chat", json={**QUESTION, **more}, timeout=30) as reply:
        number = 0
        for line in reply.iter_lines():
            number = int(line[4:]) if line.startswith("id: ") else number
            if line.startswith("data: ") and json.loads(line[6:]).get("name") == "compute":
                return reply.headers["x-turn-id"], number
    raise AssertionError("it computed nothing")


def followed(url: str, job_id: str, after: int) -> list[tuple[int, dict[str, Any]]]:
    """Give the events of a question past a number, to its end."""
    headers = {"Last-Event-ID": str(after)}
    with httpx.stream("GET", f"{url}/api/chat/{job_id}", headers=headers, timeout=30) as reply:
        lines = [line for line in reply.iter_lines() if line.startswith(("id: ", "data: "))]
    return [(int(one[4:]), json.loads(other[6:])) for one, other in zip(lines[::2], lines[1::2], strict=True)]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


def test_what_one_process_is_asked_another_follows_and_stops_and_a_kill_loses_nothing(kept: Settings) -> None:
    kept.data_dir.mkdir(exist_ok=True)
    assistant = small_assistant(kept)
    with replica(kept) as (one, run), served(assistant) as other:
        stopped, _ = begin(one)
        assert get(f"{other}/api/jobs/{stopped}").json()["state"] == "running"
        assert delete(f"{other}/api/jobs/{stopped}").status_code == 204
        wait_for((kept.data_dir / "stopped").exists)
        assert get(f"{other}/api/jobs/{stopped}").status_code == 404

        finished, last = begin(one)
        (kept.data_dir / "go").touch()
        rest = followed(other, finished, last)
        assert [number for number, _ in rest] == list(range(last + 1, last + 1 + len(rest)))
        assert "0.500" in rest[-1][1]["text"]
        job = get(f"{other}/api/jobs/{finished}").json()
        assert (job["state"], job["answer"]["text"]) == ("done", rest[-1][1]["text"])

        session = rest[-1][1]["session_id"]
        assert post(f"{one}/api/feedback", json={"session_id": session, "rating": "up"}).status_code == 201
        assert [given.session_id for given in FeedbackStore(kept.database).all()] == [session]
        told = [get(f"{url}/api/sessions/{session}").json()["turns"] for url in (one, other)]
        assert told[0] == told[1] != []

        (kept.data_dir / "go").unlink()
        broken, last = begin(one, session_id=SESSION)
        listed = {job["job_id"]: job["state"] for job in get(f"{other}/api/jobs").json()}
        assert listed == {finished: "done", broken: "running"}
        run.kill()
        run.wait()
        assert get(f"{other}/api/sessions/{SESSION}").json()["interrupted"] == []  # it may still be alive
        with Database(kept.database.where).begin() as db:  # half a minute later
            db.execute(tables().tables["job"].update().values(seen_at=utc_now() - timedelta(seconds=30)))
        assert "interrupted" in get(f"{other}/api/jobs/{broken}").json()["progress"]
        assert followed(other, broken, last)[-1][1]["message"].startswith("The question was interrupted")
        conversation = get(f"{other}/api/sessions/{SESSION}").json()
        assert (conversation["turns"], conversation["interrupted"]) == ([], [QUESTION["question"]])

        again = post(f"{other}/api/chat", json={**QUESTION, "session_id": SESSION})
        assert "0.500" in again.text
        conversation = get(f"{other}/api/sessions/{SESSION}").json()
        assert (len(conversation["turns"]), conversation["interrupted"]) == (1, [])


def test_a_kept_answer_is_never_told_as_interrupted_and_an_old_question_is_forgotten(settings: Settings) -> None:
    sessions = Sessions(settings.database)
    jobs, job = Jobs(sessions.database), tables().tables["job"]

    def row(running: Running) -> Any:
        with sessions.database.begin() as db:
            return db.execute(job.select().where(job.c.id == running.job_id)).one()

    asked = Running(SESSION, "How green?", stop=lambda: None)
    jobs.begin(asked)
    answer = Answer(text="0.5", session_id=SESSION, model="", seconds=0.1)
    sessions.save(SESSION, "How green?", answer, job_id=asked.job_id)
    kept = row(asked).seen_at
    wait_for(lambda: row(asked).seen_at > kept)  # its process still gives a sign of life
    asked.take(AnswerEvent(answer=answer))
    jobs.end(asked)
    long_ago = utc_now() - timedelta(days=40)
    with sessions.database.begin() as db:
        db.execute(job.update().values(seen_at=long_ago))
    assert jobs.interrupted(SESSION) == []

    never = {"owner": "", "progress": "", "followed": False, "state": "running", "seen_at": long_ago}
    with sessions.database.begin() as db:
        db.execute(job.insert().values(id="1", session_id="another", question="Never answered", **never))
    assert jobs.interrupted("another") == ["Never answered"]
    sessions.expire(30)
    assert jobs.interrupted("another") == []
