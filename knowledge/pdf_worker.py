"""Reads a PDF in a process of its own, with limits: a file made to fill memory or to hang ends only that process."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from knowledge.blocks import Block, Reading
from knowledge.errors import SourceInvalid

MEMORY_BYTES = 2_000_000_000
PAGE_SECONDS = 120
"""Longest time without a new block of text."""


def read_pdf_apart(path: Path) -> Reading:
    """Open a PDF; its pages are read by another process while the blocks are taken.

    Raises:
        SourceInvalid: broken, encrypted, too long, or needing too much memory or time; also while blocks are taken.
    """
    command = [sys.executable, "-m", "knowledge.pdf_worker", str(path.absolute()), str(MEMORY_BYTES), str(PAGE_SECONDS)]
    process = subprocess.Popen(  # noqa: S603  # our own module, and a path that is no option
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=Path(__file__).parent.parent
    )
    answers = _answers(process)
    facts = next(answers)
    return Reading(_blocks(answers), facts["title"], facts["version"], facts["date"])


def _answers(process: "subprocess.Popen[bytes]") -> Iterator[dict[str, Any]]:
    """Give the worker's lines; one that ended without a last word was stopped by its limits."""
    assert process.stdout is not None  # noqa: S101  # asked for above
    try:
        for line in process.stdout:
            answer = json.loads(line)
            if "error" in answer:
                raise SourceInvalid(*answer["error"])
            if "end" in answer:
                return
            yield answer
        raise SourceInvalid("The PDF needs too much memory or time.", "Print it to a new PDF, or split it.")
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def _blocks(answers: Iterator[dict[str, Any]]) -> Iterator[Block]:
    for answer in answers:
        yield Block(**answer)


def _work(path: Path, memory_bytes: int, page_seconds: int, out: IO[str]) -> None:
    """Write what a document is, then its blocks, then that it ended: one JSON object a line."""
    from knowledge.pdf import read_pdf

    with suppress(ImportError, ValueError, OSError):  # not everywhere; the container's own limits remain
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    _tick(page_seconds)
    try:
        found = read_pdf(path)
        out.write(json.dumps({"title": found.title, "version": found.version, "date": found.date}) + "\n")
        for block in found.blocks:
            _tick(page_seconds)
            out.write(json.dumps(asdict(block)) + "\n")
        out.write('{"end": true}\n')
    except SourceInvalid as error:
        out.write(json.dumps({"error": [error.message, error.hint]}) + "\n")


def _tick(seconds: int) -> None:
    """Wind up the alarm again: when it rings, the process ends, whatever it is doing."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


if __name__ == "__main__":
    _work(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.stdout)
