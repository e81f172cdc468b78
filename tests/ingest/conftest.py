"""Fixtures for taking documents in: an index of the cards, a library on loopback, a fetcher that never sleeps."""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from knowledge.catalogue import Catalogue, load_catalogue
from knowledge.fetch import Fetcher
from knowledge.ingest import build_index
from knowledge.ingest_documents import DocumentsReport, ingest_documents
from tests.ingest.helpers import Ingest
from tests.servers.library import Library, library_server


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cards")
    build_index(folder, embedding_model="none")
    return folder


@pytest.fixture(scope="module")
def products() -> Catalogue:
    return load_catalogue()


@pytest.fixture
def index_dir(cards: Path, tmp_path: Path) -> Path:
    return shutil.copytree(cards, tmp_path / "index")


@pytest.fixture
def library() -> Iterator[Library]:
    with library_server() as served:
        yield served


@pytest.fixture
def ingest(index_dir: Path, library: Library, products: Catalogue) -> Ingest:
    def run(*sources: str | Path, waits: list[float] | None = None, **limits: float) -> DocumentsReport:
        slept = waits if waits is not None else []
        return ingest_documents(
            index_dir,
            [str(source) for source in sources],
            embedding_model="none",
            hosts=library.host,
            catalogue=products,
            make_fetcher=partial(Fetcher, sleep=slept.append, **limits),  # type: ignore[arg-type]
        )

    return run
