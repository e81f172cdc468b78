"""A clean environment for every test: no `CLMS_` variable leaks in, all files go to a temporary folder."""

import os
from pathlib import Path

import pytest

from assistant.settings import Settings


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
