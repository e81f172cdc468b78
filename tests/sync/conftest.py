"""Fixtures of `hub sync`: three scenes, made once and served on loopback."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.cog import Source, cog_server
from tests.sync.helpers import DAYS, OPEN, new_collection, new_scene


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the files of the three scenes once."""
    folder = tmp_path_factory.mktemp("made")
    for day in DAYS:
        new_scene(Source(folder), day)
    return folder


@pytest.fixture
def source(tmp_path: Path, made: Path) -> Iterator[Source]:
    """Serve three scenes of a tile of 1024 pixels, with a red, a near infrared and a 20 m class file each."""
    folder = tmp_path / "source"
    folder.mkdir()
    for file in made.iterdir():
        os.link(file, folder / file.name)
    with cog_server(folder) as server:
        server.collections = [new_collection("s2")]
        server.items = [new_scene(server, day) for day in DAYS]
        yield server
    while OPEN:
        OPEN.pop().close()
