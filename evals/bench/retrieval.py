"""Recall and latency of passage search over generated passages: words, vectors, both; embedded Chroma or a server.

Run `python -m evals.bench.retrieval [--passages 10000] [--encoder bundled|hashed|none]`. The passages are
sentences about products, topics, regions and years; each question asks for exactly one of them, in its own words or in
others. The hashed encoder makes vectors from words without a model: its recall says nothing about real questions, but
its vectors are as large, so that time and memory at 100,000 and 1,000,000 passages can be measured.
"""

import argparse
import hashlib
import math
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from knowledge.catalogue import load_catalogue
from knowledge.document_search import DocumentSearch
from knowledge.documents import READER, DocumentRow, DocumentStore, document_id, piece_id
from knowledge.embeddings import BUNDLED, NO_EMBEDDING, load_encoder
from knowledge.ingest import search_words
from knowledge.passages import Piece
from knowledge.retrieval import POOL, fuse
from knowledge.vectors import DOCUMENTS, PieceVectors, open_vectors

TOPICS = (  # what a manual says, and how else people ask for it
    ("overall thematic accuracy", "how often is it right"),
    ("minimum mapping unit", "smallest patch that is drawn"),
    ("code for missing data", "number where there is no measurement"),
    ("map projection", "coordinate system of the files"),
    ("delivery delay", "how long until it can be had"),
    ("positional error", "how far features are out of place"),
    ("input imagery", "which satellites it is made from"),
    ("known artefacts", "what goes wrong in it"),
    ("validation sample", "how it was checked in the field"),
    ("licence of use", "who may use it for what"),
    ("tile size", "how large the pieces of the grid are"),
    ("compression of files", "how the download is packed"),
)
REGIONS = (
    "Brittany", "Bavaria", "Tuscany", "Andalusia", "Silesia", "Lapland", "Crete", "Transylvania", "Flanders", "Jutland",
    "Galicia", "Provence", "Tyrol", "Bohemia", "Dalmatia", "Thrace", "Estonia", "Iceland", "Madeira", "Guiana",
    "Kent", "Connacht", "Zealand", "Gotland", "Corsica", "Sardinia", "Algarve", "Alsace", "Friesland", "Carinthia",
    "Moravia", "Istria", "Epirus", "Anatolia", "Svalbard", "Malta", "Cyprus", "Kosovo", "Limburg", "Savoy",
)  # fmt: skip
YEARS = range(2000, 2026)
PER_DOCUMENT = 500
WIDTH = 384


class HashedEncoder:
    """Vectors from hashed words; needs no model."""

    name = "hashed"

    def encode(self, texts: list[str]) -> list[list[float]]:
        """Give one unit vector a text."""
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * WIDTH
        for word in search_words(text):
            digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
            for at in range(0, 8, 2):
                vector[int.from_bytes(digest[at : at + 2], "big") % WIDTH] += 1.0 if digest[at] & 1 else -1.0
        length = math.sqrt(sum(x * x for x in vector)) or 1.0
        return [x / length for x in vector]


@lru_cache
def _names() -> tuple[str, ...]:
    return tuple(product.title for product in load_catalogue().products)


def facts(count: int) -> Iterator[tuple[str, int, str, int]]:
    """Give different (product, topic, region, year), in an order that mixes them."""
    names = _names()
    total = len(names) * len(TOPICS) * len(REGIONS) * len(YEARS)
    step = next(step for step in range(total // 3, total) if math.gcd(step, total) == 1)
    for number in range(count):
        at = number * step % total
        at, name = divmod(at, len(names))
        at, topic = divmod(at, len(TOPICS))
        at, region = divmod(at, len(REGIONS))
        yield names[name], topic, REGIONS[region], YEARS[at]


def passage(fact: tuple[str, int, str, int]) -> Piece:
    """Write a fact as a passage of a manual."""
    name, topic, region, year = fact
    value = int.from_bytes(hashlib.blake2b(repr(fact).encode(), digest_size=2).digest(), "big") % 1000
    text = (
        f"For {name} the {TOPICS[topic][0]} in {region} is stated for the reference year {year}. "
        f"The responsible team reports {value} units there, after review of the production documents of that year."
    )
    return Piece(f"{name} > {TOPICS[topic][0]}", None, text)


def question(fact: tuple[str, int, str, int], *, loose: bool) -> str:
    """Ask for a fact, in the passage's words or in others."""
    name, topic, region, year = fact
    return f"{name}, {TOPICS[topic][loose]}, {region} {year}?"


def fill(index: Path, count: int, encoder: Any, chroma_url: str | None) -> None:
    """Write the passages as documents of a store, with vectors."""
    store = DocumentStore(index / "index.sqlite")
    vectors = encoder and PieceVectors(
        open_vectors(index, encoder.name, name=DOCUMENTS, chroma_url=chroma_url), encoder
    )
    every = facts(count)
    number = 0
    while part := list(islice(every, PER_DOCUMENT)):
        address = f"generated/{number}"
        one = document_id(address)
        pieces = [(piece_id(one, piece), piece) for piece in map(passage, part)]
        for begin in range(0, len(pieces) if vectors else 0, 250):
            vectors.add(one, "", pieces[begin : begin + 250])
        store.stage(one, 1, "", pieces)
        row = DocumentRow(
            one, "bench", address, None, f"Volume {number}", "1", None, f"volume {number}", "", None, None, READER,
            encoder.name if encoder else NO_EMBEDDING, 1, "", None,
        )  # fmt: skip
        store.publish(row, ())
        number += 1
    store.close()


Order = Callable[[str], list[str]]


def ways(index: Path, encoder: Any, chroma_url: str | None) -> dict[str, Order]:
    """Give the ways to search that are compared."""
    search = DocumentSearch(index, chroma_url=chroma_url)

    def words(text: str) -> list[str]:
        return search.keyword_ids(search_words(text), POOL)

    def vectors(text: str) -> list[str]:
        return search.vector_ids(encoder.encode([text]), encoder.name, POOL)

    def both(text: str) -> list[str]:
        found = list(fuse([words(text), vectors(text)]))[:10]
        search.load(found)
        return found

    if encoder is None:
        return {"words": words}
    return {"words": words, "vectors": vectors, "both, with texts": both}


def report(title: str, way: Order, asked: list[tuple[str, str]]) -> None:
    """Print recall and latency of one way for one kind of question."""
    way(asked[0][0])
    ranks, seconds, busy = [], [], []
    for text, wanted in asked:
        began, worked = time.perf_counter(), time.process_time()
        found = way(text)
        seconds.append(time.perf_counter() - began)
        busy.append(time.process_time() - worked)
        ranks.append(found.index(wanted) if wanted in found else 10**6)
    recall = [sum(rank < limit for rank in ranks) / len(ranks) for limit in (1, 5, 10)]
    p95 = statistics.quantiles(seconds, n=20)[18]
    print(
        f"| {title} | {recall[0]:.0%} | {recall[1]:.0%} | {recall[2]:.0%} | {statistics.median(seconds) * 1000:.0f} |"
        f" {p95 * 1000:.0f} | {statistics.median(busy) * 1000:.0f} |",
        flush=True,
    )


def main() -> None:
    """Fill an index, ask, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--encoder", choices=("bundled", "hashed", "none"), default="bundled")
    parser.add_argument("--chroma-url")
    parser.add_argument("--index", type=Path, help="keep the index in this folder, and use it when it is there")
    chosen = parser.parse_args()
    encoder: Any = load_encoder(BUNDLED) if chosen.encoder == "bundled" else HashedEncoder()
    encoder = None if chosen.encoder == "none" else encoder
    with tempfile.TemporaryDirectory() as folder:
        index = chosen.index or Path(folder)
        index.mkdir(parents=True, exist_ok=True)
        began = time.perf_counter()
        if not (index / "index.sqlite").exists():
            fill(index, chosen.passages, encoder, chosen.chroma_url)
        seconds = time.perf_counter() - began
        size = sum(path.stat().st_size for path in index.rglob("*") if path.is_file()) / 1e6
        print(f"{chosen.passages} passages in {seconds:.0f} s, {size:.0f} MB on disk\n")
        print("| search | recall@1 | @5 | @10 | median ms | p95 ms | median CPU ms |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        every = list(facts(chosen.passages))
        picked = random.Random(3).sample(range(len(every)), min(chosen.questions, len(every)))
        for title, way in ways(index, encoder, chosen.chroma_url).items():
            for loose in (False, True):
                asked = [(question(every[at], loose=loose), _id(at, every[at])) for at in picked]
                report(f"{title}, {'other' if loose else 'own'} words", way, asked)
        print(f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def _id(at: int, fact: tuple[str, int, str, int]) -> str:
    return piece_id(document_id(f"generated/{at // PER_DOCUMENT}"), passage(fact))


if __name__ == "__main__":
    main()
