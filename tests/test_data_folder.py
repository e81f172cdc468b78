"""The data folder: several commands may share one, and nothing is written outside it."""

import os
import subprocess
import sys
from pathlib import Path

from knowledge.ingest import build_index

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
