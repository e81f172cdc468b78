"""The data folder: several commands may share one, and nothing is written outside it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from knowledge.document_search import DocumentSearch
from knowledge.errors import EmbeddingUnavailable, IndexMissing, IngestBusy
from knowledge.ingest import build_index
from knowledge.storage import DEMO, only_writer
from knowledge.vectors import open_vectors

ROOT = Path(__file__).parent.parent
BUILDING = """
import sys
from pathlib import Path
from knowledge.ingest import build_index
print(build_index(Path(sys.argv[1]), embedding_model="none").unchanged)
"""
WRITING = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
database.execute("COMMIT")
"""
LETTERS = """
import sys
from pathlib import Path
import knowledge.card_vectors, knowledge.ingest_documents

class Letters:
    name = "letters"

    def encode(self, texts):
        return [[0.1 + text.lower().count(letter) for letter in "aeioubcdfglmnprstv"] for text in texts]

knowledge.card_vectors.load_encoder = knowledge.ingest_documents.load_encoder = lambda name: Letters()
"""
TAKING_IN = f"""{LETTERS}
at_work = lambda at: at.passages and print("taking in", flush=True) or at.passages and sys.stdin.readline()
print(knowledge.ingest_documents.ingest_documents(
    Path(sys.argv[1]), [sys.argv[2]], embedding_model="letters", on_progress=at_work if "slowly" in sys.argv else None,
).embedding)
"""
BUILDING_VECTORS = f"""{LETTERS}
from knowledge.ingest import build_index
at_work = lambda done, total: done == 64 and print("building", flush=True) or done == 64 and sys.stdin.readline()
print(build_index(Path(sys.argv[1]), embedding_model="letters", on_progress=at_work,
    on_wait=lambda sentence: print(sentence, flush=True)).added)
"""


def start(code: str, *words: str | Path) -> subprocess.Popen[str]:
    """Start a Python process of its own."""
    command = [sys.executable, "-c", code, *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_a_start_over_unchanged_products_does_not_wait_for_another_writer(tmp_path: Path) -> None:
    built = build_index(tmp_path, embedding_model="none")
    with start(WRITING, tmp_path / "index.sqlite") as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "locked\n"
        with start(BUILDING, tmp_path) as second:
            told, failure = second.communicate(timeout=60)
        assert (second.returncode, told) == (0, f"{built.added}\n"), failure
        writer.communicate("go on\n", timeout=60)


def test_two_first_starts_at_once_build_one_index(tmp_path: Path) -> None:
    both = [start(BUILDING, tmp_path) for _ in range(2)]
    failures = [one.communicate(timeout=60)[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], failures
    assert build_index(tmp_path, embedding_model="none").added == 0


def nearest(search: DocumentSearch, text: str) -> list[str]:
    """Give the texts of the passages nearest to a text, by the vectors of `Letters`."""
    encoded = [[0.1 + text.lower().count(letter) for letter in "aeioubcdfglmnprstv"]]
    ids = search.vector_ids(encoded, "letters", 2)
    known = search.load(ids)
    return [known[one].text for one in ids if one in known]


def take_in(index: Path, folder: Path) -> None:
    """Ingest in another process, to its end."""
    with start(TAKING_IN, index, folder) as other:
        told, failure = other.communicate(timeout=60)
    assert told == "letters\n", failure


def test_vectors_of_an_index_that_was_never_built_are_told_as_missing(tmp_path: Path) -> None:
    with pytest.raises(IndexMissing):
        open_vectors(tmp_path / "nowhere", "letters").count()
    assert list(tmp_path.iterdir()) == []


def test_a_reader_sees_the_vectors_that_another_process_writes_and_drops(tmp_path: Path) -> None:
    index, folder = tmp_path / "index", tmp_path / "manuals"
    build_index(index, embedding_model="none")
    folder.mkdir()
    (folder / "snow.md").write_text("Snow cover is mapped daily.")
    take_in(index, folder)
    search = DocumentSearch(index)
    assert nearest(search, "Sealed soil") == ["Snow cover is mapped daily."]
    (folder / "soil.md").write_text("Sealed soil is mapped every three years.")
    take_in(index, folder)
    assert nearest(search, "Sealed soil is mapped every three years.")[0] == "Sealed soil is mapped every three years."
    (folder / "snow.md").unlink()
    take_in(index, folder)
    assert nearest(search, "Snow cover is mapped daily.") == ["Sealed soil is mapped every three years."]


def test_a_reader_neither_waits_for_a_writer_nor_loses_what_a_killed_one_had_finished(tmp_path: Path) -> None:
    index, folder = tmp_path / "index", tmp_path / "manuals"
    build_index(index, embedding_model="none")
    folder.mkdir()
    (folder / "a.md").write_text("Snow cover is mapped daily.")
    take_in(index, folder)
    search = DocumentSearch(index)
    assert nearest(search, "Snow") == ["Snow cover is mapped daily."]
    (folder / "b.md").write_text("Sealed soil is mapped every three years.")
    (folder / "c.md").write_text("Grass is mown.")
    with start(TAKING_IN, index, folder, "slowly") as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        for _ in ("a.md is unchanged", "b.md is staged"):
            assert writer.stdout.readline() == "taking in\n"
            writer.stdin.write("go on\n")
            writer.stdin.flush()
        assert writer.stdout.readline() == "taking in\n"  # b.md is finished
        assert nearest(search, "Sealed soil is mapped every three years.") == ["Snow cover is mapped daily."]
        writer.kill()
    found = nearest(search, "Sealed soil is mapped every three years.")
    assert found == ["Sealed soil is mapped every three years.", "Snow cover is mapped daily."]


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


def test_the_second_of_two_first_starts_waits_for_the_vectors_of_the_first_and_says_so(tmp_path: Path) -> None:
    with start(BUILDING_VECTORS, tmp_path) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "building\n"
        with start(BUILDING_VECTORS, tmp_path) as second:
            assert second.stdout is not None
            assert "waiting for it" in second.stdout.readline()
            told, failure = first.communicate("go on\n", timeout=60)
            assert int(told) > 1000, failure
            assert second.communicate("go on\n", timeout=60)[0] == "0\n"


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


def test_nothing_is_written_outside_the_data_folder(tmp_path: Path) -> None:
    home, data = tmp_path / "home", tmp_path / "data"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MPL", "XDG_"))}
    environment |= {"HOME": str(home), "CLMS_DATA_DIR": str(data), "CLMS_EMBEDDING_MODEL": "none"}
    command = [sys.executable, "-m", "ui.cli", "ask", "NDVI in Rennes in June 2026", "--today", "2026-11-21"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Files:" in done.stdout
    assert list(home.rglob("*")) == []
    assert (data / "matplotlib").exists()
