"""Recall and latency of passage search by number of passages: words, vectors, both; embedded Chroma against a server.

Run `python -m evals.bench.retrieval [--passages 10000 100000 1000000] [--encoder bundled|hashed|none]`. Each question
is put to all ways of searching in turn, and to a multiplication with all vectors, which is exact and the baseline.
The hashed encoder makes vectors from words without a model: what it finds says nothing about real questions, but its
vectors are as large, so that Chroma can be compared with the exact search. Each size and mode runs in a process of its
own; the server opens the folder that the embedded Chroma has written.
"""

import argparse
import json
import random
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from evals.bench import generated
from knowledge.document_search import DocumentSearch
from knowledge.documents import READER, DocumentRow, DocumentStore
from knowledge.embeddings import BUNDLED, NO_EMBEDDING, load_encoder
from knowledge.retrieval import POOL, fuse
from knowledge.vectors import DOCUMENTS, PieceVectors, open_vectors
from knowledge.words import search_words

BATCH = 250
TOP = 10
SERVER_WRITES = 5_000
"""Passages written to an empty server, to compare the rate."""
LOGGED = 20_000
Order = Callable[[], list[str]]


class Recorder:
    """Encodes, and keeps the vectors in a file for the exact search."""

    def __init__(self, encoder: Any, path: Path) -> None:
        self.name = encoder.name
        self._encoder = encoder
        self._path = path

    def encode(self, texts: list[str]) -> list[list[float]]:
        """Give one unit vector a text."""
        vectors: list[list[float]] = self._encoder.encode(texts)
        with self._path.open("ab") as file:
            file.write(np.asarray(vectors, np.float32).tobytes())
        return vectors


def make_encoder(name: str) -> Any:
    """Give the encoder chosen on the command line; None for words only."""
    if name == "none":
        return None
    return load_encoder(BUNDLED) if name == "bundled" else generated.HashedEncoder()


def fill(index: Path, count: int, encoder: Any, chroma_url: str | None = None) -> dict[str, float]:
    """Write the passages as documents of a store, with vectors; gives the seconds of words and of vectors."""
    index.mkdir(parents=True, exist_ok=True)
    store = DocumentStore(index / "index.sqlite")
    recorder: Any = encoder and Recorder(encoder, index / "exact.f32")
    vectors = encoder and PieceVectors(
        open_vectors(index, encoder.name, name=DOCUMENTS, chroma_url=chroma_url), recorder
    )
    spent = {"words": 0.0, "vectors": 0.0}
    for first in range(0, count, generated.PER_DOCUMENT):
        numbers = range(first, min(count, first + generated.PER_DOCUMENT))
        address, one = generated.volume(first)
        pieces = list(zip(generated.ids(numbers), map(generated.passage, numbers), strict=True))
        began = time.perf_counter()
        store.stage(one, 1, "", pieces)
        store.publish(
            DocumentRow(
                one, "bench", address, None, address, "1", None, address, "", None, None, READER,
                encoder.name if encoder else NO_EMBEDDING, 1, "", None,
            ), (),
        )  # fmt: skip
        staged = time.perf_counter()
        for begin in range(0, len(pieces) if vectors else 0, BATCH):
            vectors.add(one, "", pieces[begin : begin + BATCH])
        spent["words"] += staged - began
        spent["vectors"] += time.perf_counter() - staged
        if numbers.stop % LOGGED == 0:
            print(f"{numbers.stop} of {count} passages: {spent}", file=sys.stderr, flush=True)
    store.close()
    return spent


@contextmanager
def chroma_server(folder: Path) -> Iterator[str]:
    """Run a Chroma server on a folder; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).parent / "chroma"), "run", "--path", str(folder), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=60)


def exact(matrix: Any, encoded: Any) -> list[int]:
    """Give the numbers of the nearest passages, and of those that are as near as the last of them."""
    cosines = matrix @ np.asarray(encoded[0], np.float32)
    least = np.partition(cosines, -TOP)[-TOP]
    return [int(one) for one in np.flatnonzero(cosines >= least - 1e-6)]


def both(search: DocumentSearch, words: Order, vectors: Order) -> list[str]:
    """Fuse the two orders and load the texts, as the assistant does."""
    found = list(fuse([words(), vectors()]))[:TOP]
    search.load(found)
    return found


def timed(way: Callable[[], Any]) -> tuple[Any, float]:
    """Give what a way finds, and its milliseconds."""
    began = time.perf_counter()
    found = way()
    return found, (time.perf_counter() - began) * 1000


def ask(index: Path, count: int, encoder: Any, questions: int, chroma_url: str | None) -> dict[str, Any]:
    """Put every question to every way in turn; gives ranks, milliseconds and share of the exact nearest."""
    search = DocumentSearch(index, chroma_url=chroma_url)
    matrix = encoder and np.memmap(index / "exact.f32", np.float32, "r").reshape(count, -1)
    picked = random.Random(3).sample(range(count), min(questions, count))
    asked = [(number, loose) for number in picked for loose in (False, True)]
    wanted = dict(zip(picked, generated.ids(picked), strict=True))
    rows: dict[str, list[dict[str, Any]]] = {}
    for turn, (number, loose) in enumerate([*asked[:6], *asked]):  # the first six warm up
        text = generated.question(number, loose=loose)
        words = partial(search.keyword_ids, search_words(text), POOL)
        ways: dict[str, Order] = {"words": words}
        near: set[str] = set()
        if encoder is not None:
            encoded, spent = timed(partial(encoder.encode, [text]))
            numbers, exactly = timed(partial(exact, matrix, encoded))
            near = set(generated.ids(numbers))
            rows.setdefault("encoding the question", []).append({"ms": spent})
            rows.setdefault("exact (baseline)", []).append({"ms": exactly})
            vectors = partial(search.vector_ids, encoded, encoder.name, POOL)
            ways |= {"vectors": vectors, "both, with texts": partial(both, search, words, vectors)}
        for title, way in ways.items():
            found, spent = timed(way)
            rank = found.index(wanted[number]) if wanted[number] in found else None
            share = len(near & set(found[:TOP])) / TOP if title == "vectors" else None
            rows.setdefault(title, []).append({"ms": spent, "loose": loose, "rank": rank, "share": share})
        if turn == 5:
            rows.clear()
    return rows


def spread(rows: Sequence[dict[str, Any]]) -> tuple[float, float, float]:
    """Give the 10th percentile of the milliseconds (other work on the machine disturbs it least), median and p95."""
    every = [row["ms"] for row in rows]
    cuts = statistics.quantiles(every, n=20)
    return cuts[1], statistics.median(every), cuts[18]


def line(title: str, rows: Sequence[dict[str, Any]], baseline_ms: float | None) -> str:
    """Write one row of the table; the ratio is that of the 10th percentiles."""
    tenth, median, p95 = spread(rows)
    found = ["", ""]
    if "rank" in rows[0]:
        for kind in (False, True):
            ranks = [row["rank"] for row in rows if row["loose"] is kind]
            shares = [sum(rank is not None and rank < most for rank in ranks) / len(ranks) for most in (1, TOP)]
            found[kind] = f"{shares[0]:.0%} / {shares[1]:.0%}"
    near = [row["share"] for row in rows if row.get("share") is not None]
    ratio = f"{tenth / baseline_ms:.2f}" if baseline_ms else ""
    recall = f"{statistics.mean(near):.1%}" if near else ""
    return f"| {title} | {found[0]} | {found[1]} | {recall} | {tenth:.1f} | {median:.1f} | {p95:.1f} | {ratio} |"


def part(name: str, index: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """Run one part in this process; gives its figures and its peak memory."""
    encoder = make_encoder(chosen.encoder)
    count = chosen.passages[0]
    if name == "fill":
        figures: dict[str, Any] = {"spent": fill(index, count, encoder)}
    elif name == "fill server":
        with chroma_server(index / "server") as url:
            figures = {"spent": fill(index / "written", min(count, SERVER_WRITES), encoder, url)}
    elif name == "embedded":
        figures = {"rows": ask(index, count, encoder, chosen.questions, None)}
    else:
        with chroma_server(index / "vectors") as url:
            figures = {"rows": ask(index, count, encoder, chosen.questions, url)}
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return figures | {"peak_mb": peaks[0], "server_mb": peaks[1]}


def measure(name: str, index: Path, count: int, chosen: argparse.Namespace) -> dict[str, Any]:
    """Run one part in a process of its own."""
    options = ["--passages", str(count), "--questions", str(chosen.questions), "--encoder", chosen.encoder]
    command = [sys.executable, "-m", "evals.bench.retrieval", "--part", name, "--index", str(index), *options]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def report(count: int, index: Path, chosen: argparse.Namespace) -> None:
    """Fill one index unless it is there, ask in both modes, print a table."""
    print(f"\n## {count} passages, {chosen.encoder} vectors\n")
    if not (index / "filled").exists():
        figures = measure("fill", index, count, chosen)
        rates = ", ".join(f"{what} {count / spent:.0f}" for what, spent in figures["spent"].items() if spent)
        print(f"Passages written a second: {rates}; peak memory {figures['peak_mb']:.0f} MB.", flush=True)
        (index / "filled").touch()
    size = sum(path.stat().st_size for path in index.rglob("*") if path.is_file() and path.suffix != ".f32") / 1e6
    print(f"On disk: {size:.0f} MB.\n", flush=True)
    columns = (
        "search",
        "own words @1 / @10",
        "other words @1 / @10",
        "of the exact 10",
        "p10 ms",
        "median ms",
        "p95 ms",
    )
    print(f"| {' | '.join(columns)} | to exact |\n|{' --- |' * (len(columns) + 1)}")
    peaks = {}
    for mode in ("embedded", "server") if chosen.encoder != "none" else ("embedded",):
        figures = measure(mode, index, count, chosen)
        rows = figures["rows"]
        baseline = rows.get("exact (baseline)")
        baseline_ms = spread(baseline)[0] if baseline else None
        for title, found in rows.items():
            print(line(f"{mode}: {title}", found, baseline_ms), flush=True)
        peaks[mode] = f"{figures['peak_mb']:.0f} MB" + (f" + {figures['server_mb']:.0f} MB" if mode == "server" else "")
    print(f"\nPeak memory, the file of the exact search included: {peaks}", flush=True)


def main() -> None:
    """Measure each size and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, nargs="+", default=[10_000])
    parser.add_argument("--questions", type=int, default=100)
    parser.add_argument("--encoder", choices=("bundled", "hashed", "none"), default="bundled")
    parser.add_argument("--index", type=Path, help="keep the indexes in this folder, and use those that are there")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part:
        print(json.dumps(part(chosen.part, chosen.index, chosen)))
        return
    with tempfile.TemporaryDirectory() as folder:
        for count in chosen.passages:
            report(count, (chosen.index or Path(folder)) / f"{chosen.encoder}-{count}", chosen)
        if chosen.encoder != "none":
            spent = measure("fill server", Path(folder), SERVER_WRITES, chosen)["spent"]["vectors"]
            print(f"\nVectors written a second to an empty server: {SERVER_WRITES / spent:.0f}")


if __name__ == "__main__":
    main()
