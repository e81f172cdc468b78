"""Taking documents in when something goes wrong: bad answers, broken documents, runs that meet or are killed."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from knowledge.blocks import Block
from knowledge.errors import IngestBusy, SourceInvalid
from knowledge.ingest_documents import ingest_documents
from knowledge.passages import Piece, cut
from tests.ingest.helpers import Ingest, manual, only, outcomes, search
from tests.servers.library import Library, gzip_bomb

ROOT = Path(__file__).parent.parent.parent

BAD_ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "gone": ({"statuses": (404,)}, "HTTP 404"),
    "private": ({"statuses": (403,)}, "HTTP 403"),
    "broken server": ({"statuses": (500,)}, "HTTP 500, 3 times"),
    "long wait": ({"statuses": (503,), "headers": {"Retry-After": "3600"}}, "asks to wait 3600 s"),
    "truncated": ({"promised": 100_000}, "broke off"),
    "slow": ({"pause_s": 0.5}, "too slow"),
    "endless body": ({"repeat": 100, "drip_s": 0.02}, "did not arrive within 0.3 s"),
    "endless head": ({"repeat": 100, "drip_s": 0.02, "endless_head": True}, "did not arrive within 0.3 s"),
    "large": ({"repeat": 1000, "body": b"x" * 100_000}, "larger than 5 MB"),
    "bomb": ({"body": gzip_bomb(10), "headers": {"Content-Encoding": "gzip"}}, "larger than 5 MB"),
    "damaged": ({"body": b"no gzip", "headers": {"Content-Encoding": "gzip"}}, "damaged"),
    "strange packing": ({"body": b"x", "headers": {"Content-Encoding": "br"}}, "'br'"),
    "other host": ({"statuses": (302,), "headers": {"Location": "http://169.254.169.254/latest"}}, "169.254.169.254"),
    "local file": ({"statuses": (302,), "headers": {"Location": "file:///etc/passwd"}}, "Only http and https"),
    "circle": ({"statuses": (302,), "headers": {"Location": "?"}}, "circles"),
}
BAD_TEXTS: dict[str, tuple[dict[str, Any], str]] = {
    "web page": ({"body": b"<!doctype html><p>Log in", "media_type": "text/html"}, "is a web page"),
    "picture": ({"body": b"\x89PNG\x00", "media_type": "image/png"}, "neither text nor PDF"),
    "empty": ({"body": b"   "}, "no text"),
}
SOURCES = ("/manual.pdf", "/llms.txt", "/api/@search")
"""One of each kind of address: a document, an index of documents, the portal."""


@pytest.mark.parametrize("case", BAD_ANSWERS)
def test_a_bad_answer_of_any_source_is_one_line_and_the_others_go_on(
    ingest: Ingest, index_dir: Path, library: Library, case: str
) -> None:
    change, words = BAD_ANSWERS[case]
    page: dict[str, Any] = {"body": b"words", "etag": False} | change
    bad = [library.put(path, **page) for path in SOURCES]
    good = library.put("/good.md", manual(5))
    limits = {"timeout_s": 5.0, "deadline_s": 0.3} if "endless" in case else {"timeout_s": 0.2}
    report = ingest(*bad, good, max_bytes=5_000_000, **limits)
    assert outcomes(report) == ["failed", "failed", "failed", "added"]
    for one in report.outcomes[:3]:
        assert words in one.message
        assert one.hint
        assert "\n" not in one.message
    if change.get("repeat"):  # what is endless was left while it was sent
        assert all(library.pages[path].sent < change["repeat"] for path in SOURCES)
    assert search(index_dir, "quokkameter")
    assert not list(index_dir.glob("fetch-*"))


@pytest.mark.parametrize("case", BAD_TEXTS)
def test_what_is_no_text_is_refused(ingest: Ingest, library: Library, case: str) -> None:
    change, words = BAD_TEXTS[case]
    found = only(ingest(library.put("/bad.md", **change)))
    assert found.outcome == "failed"
    assert words in found.message


def test_a_server_that_is_busy_for_a_moment_is_asked_again_as_it_asks(ingest: Ingest, library: Library) -> None:
    waits: list[float] = []
    url = library.put("/a.md", manual(5), statuses=(429, 503, 200), headers={"Retry-After": "7"})
    assert only(ingest(url, waits=waits)).outcome == "added"
    assert waits == [7.0, 7.0]
    url = library.put("/b.md", manual(6), statuses=(500, 502, 200))
    assert only(ingest(url, waits=waits, backoff_s=2.0)).outcome == "added"
    assert waits[2:] == [2.0, 4.0]


def test_what_was_searchable_stays_when_a_later_answer_is_bad(
    ingest: Ingest, index_dir: Path, library: Library
) -> None:
    url = library.put("/a.md", manual(5), etag=False)
    ingest(url)
    library.put("/a.md", b"<html>maintenance", "text/html", etag=False)
    assert only(ingest(url)).outcome == "failed"
    assert search(index_dir, "quokkameter")


def test_a_document_that_breaks_in_its_middle_leaves_no_half(
    ingest: Ingest, index_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "long.md"
    parts = [f"# Part {n}\n\nThe quokkameter reads {n}." for n in range(200)]
    path.write_text("\n\n".join(parts))
    ingest(path)
    before = {passage.id for passage in search(index_dir, "quokkameter")}
    path.write_text("\n\n".join(parts).replace("reads", "shows"))

    def breaking(blocks: Iterable[Block]) -> Iterator[Piece]:
        yield from islice(cut(blocks), 150)
        raise SourceInvalid("Page 151 is broken.", "Download it again.")

    monkeypatch.setattr("knowledge.ingest_documents.cut", breaking)
    assert only(ingest(path)).message == "Page 151 is broken."
    assert {passage.id for passage in search(index_dir, "quokkameter")} == before
    assert search(index_dir, "shows") == []
    monkeypatch.undo()
    assert only(ingest(path)).outcome == "changed"
    assert search(index_dir, "shows")


def test_hosts_that_are_not_allowed_are_refused_before_they_are_asked(index_dir: Path, library: Library) -> None:
    url = library.put("/a.md", manual(5))
    addresses = [url, "https://example.org/x.pdf", "ftp://x/y.md", "http://user@"]
    report = ingest_documents(index_dir, addresses, embedding_model="none")
    assert outcomes(report) == ["failed"] * 4
    assert all(one.hint for one in report.outcomes)
    assert library.requests == []


def test_two_runs_at_once_are_one_too_many(index_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowledge.storage.PATIENCE_S", 0.1)
    lock = sqlite3.connect(index_dir / "ingest.lock", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    told: list[str] = []
    with pytest.raises(IngestBusy):
        ingest_documents(index_dir, [], embedding_model="none", on_wait=told.append)
    assert len(told) == 1
    lock.close()


CHILD = """
import os, signal, sys
from pathlib import Path
from knowledge.ingest_documents import ingest_documents

def tell(at):
    if at.passages >= int(sys.argv[3]) and "big" in at.address:
        os.kill(os.getpid(), signal.SIGKILL)

ingest_documents(Path(sys.argv[1]), [sys.argv[2]], embedding_model="none", on_progress=tell)
"""


def test_a_run_killed_in_the_middle_leaves_no_half_document_and_goes_on(
    ingest: Ingest, index_dir: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "a.md").write_text(manual(1))
    parts = [f"# Part {n}\n\nNumbat number {n} lives here." for n in range(300)]
    (folder / "big.md").write_text("\n\n".join(parts))
    command = [sys.executable, "-c", CHILD, str(index_dir), str(folder), "128"]
    killed = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=60)
    assert killed.returncode == -9, killed.stderr
    staged = sqlite3.connect(index_dir / "index.sqlite").execute("SELECT count(*) FROM pieces").fetchone()[0]
    assert staged > 100
    assert search(index_dir, "quokkameter")
    assert search(index_dir, "numbat") == []
    assert list(index_dir.glob("fetch-*"))
    assert outcomes(ingest(folder)) == ["unchanged", "added"]
    assert not list(index_dir.glob("fetch-*"))
    assert search(index_dir, "numbat number 299")[0].section == "Part 299"
    (folder / "big.md").write_text("\n\n".join(parts).replace("lives", "sleeps"))
    killed = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, timeout=60)
    assert killed.returncode == -9
    assert all("lives" in passage.text for passage in search(index_dir, "numbat number lives sleeps"))
    assert outcomes(ingest(folder)) == ["unchanged", "changed"]
    assert all("sleeps" in passage.text for passage in search(index_dir, "numbat number lives sleeps"))
    count = sqlite3.connect(index_dir / "index.sqlite").execute("SELECT count(*) FROM pieces").fetchone()[0]
    assert count == 301


FILLING = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); "
FILLING += "from ui.cli import main; sys.argv = ['clms-assistant', *sys.argv[2:]]; main()"


def test_a_disk_that_fills_up_is_told_and_what_was_whole_stays_searchable(
    ingest: Ingest, index_dir: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "a.md").write_text(manual(1))
    words = "\n\n".join(f"# Part {n}\n\nNumbat number {n} lives here." + " More of it." * 60 for n in range(600))
    (folder / "big.md").write_text(words)
    room = (index_dir / "index.sqlite").stat().st_size + 100_000
    environment = {**os.environ, "CLMS_DATA_DIR": str(tmp_path), "CLMS_EMBEDDING_MODEL": "none"}
    command = [sys.executable, "-c", FILLING, str(room), "ingest", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert f"added: {folder / 'a.md'}" in done.stdout
    assert done.stderr.startswith("Error: ")
    assert str(tmp_path) in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert search(index_dir, "quokkameter")
    assert search(index_dir, "numbat") == []
    assert outcomes(ingest(folder)) == ["unchanged", "added"]
    assert search(index_dir, "numbat number 599")
