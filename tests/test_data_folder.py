"""The data folder: several commands may share one, and each sees what the others have finished."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType

import pytest

import knowledge.card_vectors
import knowledge.ingest_documents
from knowledge.catalogue import Catalogue, load_catalogue
from knowledge.document_search import DocumentSearch
from knowledge.errors import EmbeddingUnavailable, IndexMissing, IngestBusy
from knowledge.ingest import build_index
from knowledge.ingest_documents import Progress, ingest_documents
from knowledge.storage import DEMO, only_writer
from knowledge.vectors import open_vectors

ROOT = Path(__file__).parent.parent
OTHER = "import sys; from tests import test_data_folder as other; getattr(other, sys.argv[1])(*sys.argv[2:])"
"""Runs a function of this file in another process."""


class Letters:
    """Encodes a text by how often it holds some letters."""

    name = "letters"

    def encode(self, texts: list[str]) -> list[list[float]]:
        return [[0.1 + text.lower().count(letter) for letter in "aeioubcdfglmnprstv"] for text in texts]


ENCODERS: tuple[ModuleType, ...] = (knowledge.card_vectors, knowledge.ingest_documents)
"""What loads an encoder by its name."""


@pytest.fixture(scope="module")
def few() -> Catalogue:
    return Catalogue(load_catalogue().products[:2], ())


@contextmanager
def elsewhere(function: str, *words: str | Path) -> "Iterator[subprocess.Popen[str]]":
    """Run a function of this file in another process, and kill that at the end."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", OTHER, function, *map(str, words)]
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: "subprocess.Popen[str]", *, after: str = "") -> str:
    """Give the next line that another process prints, after it was sent one."""
    assert process.stdin is not None
    assert process.stdout is not None
    if after:
        process.stdin.write(f"{after}\n")
        process.stdin.flush()
    return process.stdout.readline().strip()


def tell(word: object) -> None:
    """Print a line for the process that started this one."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def take_in_as_told(index: str, folder: str) -> None:
    """Ingest whenever a line comes; told to go slowly, stop at each document for another line."""

    def at_work(at: Progress) -> None:
        if at.passages:
            tell("taking in")
            sys.stdin.readline()

    for module in ENCODERS:
        module.load_encoder = lambda _: Letters()  # type: ignore[attr-defined]
    for line in sys.stdin:
        slowly = at_work if line == "slowly\n" else None
        report = ingest_documents(Path(index), [folder], embedding_model="letters", on_progress=slowly)
        tell(report.embedding)


def build_slowly(index: str) -> None:
    """Build the index with vectors, and stop once in the middle for a line."""

    def at_work(done: int, _: int) -> None:
        if done == 64:
            tell("building")
            sys.stdin.readline()

    for module in ENCODERS:
        module.load_encoder = lambda _: Letters()  # type: ignore[attr-defined]
    few = Catalogue(load_catalogue().products[:2], ())
    tell(build_index(Path(index), embedding_model="letters", on_progress=at_work, catalogue=few).added)


def test_a_start_over_unchanged_products_does_not_wait_for_another_writer(tmp_path: Path, few: Catalogue) -> None:
    built = build_index(tmp_path, embedding_model="none", catalogue=few)
    with closing(sqlite3.connect(tmp_path / "index.sqlite", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert build_index(tmp_path, embedding_model="none", catalogue=few).unchanged == built.added


def test_two_first_starts_at_once_build_one_index(tmp_path: Path, few: Catalogue) -> None:
    with ThreadPoolExecutor(2) as both:
        starts = [both.submit(build_index, tmp_path, embedding_model="none", catalogue=few) for _ in range(2)]
    first, second = sorted((one.result() for one in starts), key=lambda report: report.added)
    assert (first.added, second.unchanged) == (0, 0)
    assert first.unchanged == second.added


def nearest(search: DocumentSearch, text: str) -> list[str]:
    """Give the texts of the passages nearest to a text, by the vectors of `Letters`."""
    ids = search.vector_ids(Letters().encode([text]), "letters", 2)
    known = search.load(ids)
    return [known[one].text for one in ids if one in known]


def test_vectors_of_an_index_that_was_never_built_are_told_as_missing(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing):
        open_vectors(tmp_path / "nowhere", "letters").count()
    assert list(tmp_path.iterdir()) == []


def test_a_reader_sees_what_another_process_writes_and_drops_waits_for_none_and_keeps_what_a_killed_one_finished(
    tmp_path: Path, few: Catalogue
) -> None:
    index, folder = tmp_path / "index", tmp_path / "manuals"
    build_index(index, embedding_model="none", catalogue=few)
    folder.mkdir()
    snow, soil = "Snow cover is mapped daily.", "Sealed soil is mapped every three years."
    (folder / "a.md").write_text(snow)
    search = DocumentSearch(index)
    with elsewhere("take_in_as_told", index, folder) as writer:
        assert told(writer, after="go") == "letters"
        assert nearest(search, "Sealed soil") == [snow]
        (folder / "b.md").write_text(soil)
        assert told(writer, after="go") == "letters"
        assert nearest(search, soil) == [soil, snow]
        (folder / "b.md").unlink()
        assert told(writer, after="go") == "letters"
        assert nearest(search, soil) == [snow]
        (folder / "b.md").write_text(soil)
        (folder / "c.md").write_text("Grass is mown.")
        # a.md is unchanged, b.md is staged, b.md is finished
        assert [told(writer, after=line) for line in ("slowly", "go", "go")] == ["taking in"] * 3
        assert nearest(search, soil) == [snow]
    assert nearest(search, soil) == [soil, snow]


def test_a_broken_folder_of_vectors_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "vectors").mkdir()
    (tmp_path / "vectors" / "chroma.sqlite3").write_bytes(b"junk" * 5000)
    vectors = open_vectors(tmp_path, "letters")
    for _ in range(2):
        with pytest.raises(EmbeddingUnavailable, match="not a database") as failure:
            vectors.count()
        assert "delete that folder" in failure.value.hint
    (tmp_path / "vectors" / "chroma.sqlite3").unlink()
    assert vectors.count() == 0


def test_the_second_of_two_first_starts_waits_for_the_vectors_of_the_first_and_says_so(
    tmp_path: Path, few: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ENCODERS:
        monkeypatch.setattr(module, "load_encoder", lambda _: Letters())
    waits: list[str] = []
    with elsewhere("build_slowly", tmp_path) as first:
        assert told(first) == "building"

        def go_on(sentence: str) -> None:
            waits.append(sentence)
            assert int(told(first, after="go on")) > 64

        second = build_index(tmp_path, embedding_model="letters", catalogue=few, on_wait=go_on)
    assert waits == ["Another command is writing the search index; waiting for it"]
    assert (second.added, second.embedding) == (0, "letters")


def test_who_makes_the_demo_archive_keeps_others_from_making_it_but_not_from_the_index(tmp_path: Path) -> None:
    told: list[str] = []
    with (
        only_writer(tmp_path, what=DEMO),
        only_writer(tmp_path),
        pytest.raises(IngestBusy, match="the demo archive"),
        only_writer(tmp_path, what=DEMO, patience_s=0.1, on_wait=told.append),
    ):
        pass
    assert told == ["Another command is writing the demo archive; waiting for it"]
    with only_writer(tmp_path, what=DEMO):
        pass
