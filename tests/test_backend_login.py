"""Each session logs in at the back-end by itself; what it logs in with is seen nowhere."""

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from fastapi import FastAPI
from pydantic import SecretStr

from assistant.agent import Assistant
from assistant.schema import Answer, QuestionEvent
from assistant.settings import Settings
from assistant.setup import client_credentials, needs_hub, stac_address
from knowledge.ingest import build_index
from tests.servers.dead import dead_url
from tests.servers.openeo_cdse import Cdse, bounds, cdse_server, make_archive
from tests.test_backend_failures import graph
from tools.backend_login import Logins
from tools.backend_mapping import load_mapping
from tools.backends import OpenEOBackend
from tools.errors import BackendUnavailable, LoginNeeded
from ui.api import add_doors
from ui.cli import main
from ui.doctor import backend_lines
from ui.turn import Turn

QUESTION = f"NDVI of {', '.join(f'{edge:.5f}' for edge in bounds())} in June 2025"
ADA, BEN = "session-of-ada-000000", "session-of-ben-000000"


@pytest.fixture(scope="module")
def hub_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("login")
    make_archive(root)
    return root


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("index")
    build_index(root / "index", embedding_model="none")
    return root / "index"


@pytest.fixture
def cdse(hub_dir: Path) -> Iterator[Cdse]:
    with cdse_server(hub_dir) as state:
        yield state


@pytest.fixture
def home(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with an index, and a home where the client could leave its files."""
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "index").symlink_to(index)
    return tmp_path


@pytest.fixture
def assistant(home: Path, cdse: Cdse) -> Iterator[Assistant]:
    settings = Settings(
        data_dir=home / "data", embedding_model="none", port=0, openeo_url=cdse.url, stac_url=cdse.stac_url,
        openeo_mapping="cdse",
    )  # fmt: skip
    made = Assistant(settings)
    yield made
    made.close()


def asked_code(cdse: Cdse, number: int = 1) -> str:
    """Wait until so many codes were given, and return the latest."""
    until = time.monotonic() + 30
    while len(cdse.codes) < number and time.monotonic() < until:
        time.sleep(0.02)
    return list(cdse.codes)[number - 1]


async def ask(assistant: Assistant, session_id: str) -> Answer:
    return await assistant.ask(QUESTION, session_id=session_id)


async def test_each_session_logs_in_by_itself_and_no_token_is_seen(
    assistant: Assistant, cdse: Cdse, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    first = await ask(assistant, ADA)
    assert first.question is not None
    assert first.outcome == "not_run"
    assert first.question.code == asked_code(cdse)
    assert first.question.link in first.text
    assert first.question.code in first.text
    assert first.question.options == (QUESTION,)
    assert cdse.requests == []

    logins, url = assistant.services().logins, assistant.services().openeo_url
    cdse.log_in(first.question.code)
    assert logins.wait(ADA, url)
    second = await ask(assistant, ADA)
    assert second.outcome == "ok"
    assert second.statistics

    third = await assistant.ask(QUESTION.replace("NDVI", "EVI2"), session_id=BEN)
    assert third.outcome == "not_run"
    assert third.question is not None
    assert third.question.code != first.question.code
    logins.forget(BEN)

    shown = [first.model_dump_json(), second.model_dump_json(), third.model_dump_json(), caplog.text]
    files = [path.read_bytes() for path in home.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert len(cdse.secrets()) > 3
    for secret in cdse.secrets():
        assert not [one for one in shown if secret in one]
        assert not [one for one in files if secret.encode() in one]


def backend(cdse: Cdse, logins: Logins, session_id: str = ADA, mapping: str = "cdse") -> OpenEOBackend:
    known = load_mapping(mapping)
    access = logins.of_session(session_id, cdse.url, known, again="again")
    return OpenEOBackend(cdse.url, timeout_s=10, mapping=known, access=access)


def log_in(cdse: Cdse, logins: Logins, session_id: str = ADA) -> None:
    with pytest.raises(LoginNeeded):
        backend(cdse, logins, session_id).run_table(graph())
    cdse.log_in(list(cdse.codes)[-1])
    assert logins.wait(session_id, cdse.url)


def test_a_second_session_has_no_access(cdse: Cdse) -> None:
    logins = Logins(poll_for_s=30)
    log_in(cdse, logins)
    assert backend(cdse, logins).run_table(graph())
    asked = len(cdse.requests)
    with pytest.raises(LoginNeeded):
        backend(cdse, logins, BEN).run_table(graph())
    assert len(cdse.requests) == asked
    logins.forget(BEN)


def test_a_login_ends_with_its_session_and_after_a_while(cdse: Cdse) -> None:
    logins = Logins(poll_for_s=30)
    log_in(cdse, logins)
    logins.forget(ADA)
    assert not logins.logged_in(ADA, cdse.url)
    short = Logins(poll_for_s=30, idle_s=0.0)
    with pytest.raises(LoginNeeded):
        backend(cdse, short).run_table(graph())
    assert not short.logged_in(ADA, cdse.url)


def test_a_login_that_ends_in_the_middle_is_asked_for_again(cdse: Cdse) -> None:
    logins = Logins(poll_for_s=30)
    log_in(cdse, logins)
    cdse.given.clear()
    assert backend(cdse, logins).run_table(graph()), "the refresh token renews it"
    cdse.given.clear()
    cdse.refresh.clear()
    with pytest.raises(LoginNeeded) as caught:
        backend(cdse, logins).run_table(graph())
    assert caught.value.question.code == list(cdse.codes)[-1]
    assert len(cdse.codes) == 2
    logins.forget(ADA)


def test_one_code_is_given_however_often_the_question_is_asked(cdse: Cdse) -> None:
    logins = Logins(poll_for_s=30)
    for _ in range(2):
        with pytest.raises(LoginNeeded):
            backend(cdse, logins).run_table(graph())
    assert len(cdse.codes) == 1
    logins.forget(ADA)


def test_a_service_that_nobody_knows_asks_only_when_it_refuses(cdse: Cdse) -> None:
    logins = Logins(poll_for_s=30)
    with pytest.raises(LoginNeeded):
        backend(cdse, logins, mapping="generic").run_table(graph())
    cdse.log_in(asked_code(cdse))
    assert logins.wait(ADA, cdse.url)
    assert backend(cdse, logins, mapping="generic").run_table(graph())


@pytest.mark.parametrize("host", ["https://login.example.org", "http://login.example.org", "javascript:alert(1)//"])
def test_a_login_page_somewhere_else_is_not_shown(cdse: Cdse, host: str) -> None:
    cdse.verify_host = host
    with pytest.raises(BackendUnavailable, match="not known as its login page") as caught:
        backend(cdse, Logins(poll_for_s=5)).run_table(graph())
    assert not isinstance(caught.value, LoginNeeded)
    assert "login.example.org/verify" not in str(caught.value)


async def test_the_chat_door_gives_link_and_code(assistant: Assistant, cdse: Cdse) -> None:
    app = FastAPI()
    add_doors(app, assistant, assistant.settings)
    body = {"messages": [{"role": "user", "content": QUESTION}], "clms": {"session_id": ADA}}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
        told = (await client.post("/v1/chat/completions", json=body, timeout=60)).json()
    asked = told["clms"]["question"]
    assert asked["code"] in told["choices"][0]["message"]["content"]
    assert asked["link"] in told["choices"][0]["message"]["content"]
    assert asked["code"] in cdse.codes
    assistant.services().logins.forget(ADA)


def test_the_page_shows_the_link_and_a_button_to_ask_again(cdse: Cdse) -> None:
    logins = Logins(poll_for_s=30)
    with pytest.raises(LoginNeeded) as caught:
        backend(cdse, logins).run_table(graph())
    turn = Turn(QUESTION)
    turn.take(QuestionEvent(question=caught.value.question))
    shown = turn.messages()[-1]
    assert f"<{caught.value.question.link}>" in shown["content"]
    assert shown["options"] == [{"value": "again"}]
    logins.forget(ADA)


def test_the_command_line_waits_for_the_login_and_goes_on(
    cdse: Cdse, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"OPENEO_URL": cdse.url, "STAC_URL": cdse.stac_url, "OPENEO_MAPPING": "cdse", "EMBEDDING_MODEL": "none"}
    for name, value in {**given, "DATA_DIR": str(home / "data")}.items():
        monkeypatch.setenv(f"CLMS_{name}", value)
    user = threading.Thread(target=lambda: cdse.log_in(asked_code(cdse)))
    user.start()
    done = CliRunner().invoke(main, ["ask", QUESTION])
    user.join()
    assert done.exit_code == 0, done.output
    assert f"enter the code {asked_code(cdse)}" in done.stderr
    assert "NDVI" in done.stdout
    assert not [one for one in cdse.secrets() if one in done.output]


def test_settings_choose_the_services_that_belong_together(tmp_path: Path) -> None:
    chosen = Settings(data_dir=tmp_path, openeo_url="https://openeo.dataspace.copernicus.eu")
    assert stac_address(chosen) == "https://stac.dataspace.copernicus.eu/v1"
    assert not needs_hub(chosen)
    assert needs_hub(Settings(data_dir=tmp_path, openeo_url="https://openeo.example.org"))
    assert stac_address(Settings(data_dir=tmp_path)) is None


def test_client_credentials_are_for_one_machine_alone(tmp_path: Path) -> None:
    both = {"openeo_client_id": "robot", "openeo_client_secret": SecretStr("hidden")}
    assert client_credentials(Settings(data_dir=tmp_path, **both)) is not None
    assert client_credentials(Settings(data_dir=tmp_path, host="0.0.0.0", **both)) is None


def test_a_session_that_others_share_cannot_log_in(cdse: Cdse) -> None:
    with pytest.raises(BackendUnavailable, match="nobody's conversation is kept apart") as caught:
        backend(cdse, Logins(poll_for_s=5), "mcp").run_table(graph())
    assert not isinstance(caught.value, LoginNeeded)
    assert cdse.codes == {}


def test_doctor_tells_which_back_end_is_set_and_how_to_log_in(cdse: Cdse, tmp_path: Path) -> None:
    hub = list(backend_lines(Settings(data_dir=tmp_path)))
    assert hub == ["the embedded hub; no login"]
    robot = {"openeo_client_id": "robot", "openeo_client_secret": SecretStr("hidden")}
    set_up = Settings(data_dir=tmp_path, openeo_url=cdse.url, openeo_mapping="cdse", **robot)
    told = "\n".join(backend_lines(set_up))
    assert "mapping cdse (Copernicus Data Space Ecosystem (CDSE))" in told
    assert "answers: yes, openEO 1.2.0" in told
    assert "login: needed, by CDSE; each conversation logs in by itself" in told
    assert "client credentials: used" in told
    assert "hidden" not in told
    dead = Settings(data_dir=tmp_path, openeo_url=dead_url())
    assert "cannot be reached" in "\n".join(backend_lines(dead))
    wrong = Settings(data_dir=tmp_path, openeo_url=cdse.url, openeo_mapping="nobody")
    assert "no openEO mapping called 'nobody'" in "\n".join(backend_lines(wrong))
