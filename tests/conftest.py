"""A clean environment for every test: no `CLMS_` variable leaks in, all files go to a temporary folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from assistant.database import _engine
from assistant.settings import Settings
from tests.servers.postgres import postgres_programs, postgres_server


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith(("CLMS_", "OPENAI_", "OPENEO_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CLMS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings on a temporary folder, keyword search only: loading the encoder takes seconds."""
    return Settings(data_dir=tmp_path / "data", embedding_model="none", port=0)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Address of a PostgreSQL server, where one is installed."""
    if (programs := postgres_programs()) is None:
        pytest.skip("PostgreSQL is not installed here")
    with postgres_server(programs) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Settings]:
    """Settings whose conversations lie in a file, or on a server."""
    if request.param == "sqlite":
        yield settings
        return
    url = request.getfixturevalue("postgres_url")
    yield settings.model_copy(update={"database_url": SecretStr(url)})
    _engine(url).dispose()
