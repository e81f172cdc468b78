"""How long a product search takes after warm-up, against encoding the question, which is most of its work.

Run `python -m evals.bench.catalogue [--rounds 3]`. All questions of the eval cases are asked in turn. Other work on the
machine lengthens the elapsed time, but hardly the processor time: both are given.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from evals.schema import load_cases
from knowledge.embeddings import BUNDLED, load_encoder
from knowledge.ingest import build_index
from knowledge.retrieval import Retriever


def timed(do: Callable[[], object]) -> tuple[float, float]:
    """Give elapsed and processor milliseconds."""
    began, worked = time.perf_counter(), time.process_time()
    do()
    return (time.perf_counter() - began) * 1000, (time.process_time() - worked) * 1000


def line(title: str, spent: list[tuple[float, float]]) -> str:
    """Write one row: 10th percentile, median and 95th percentile, elapsed and of the processor."""
    cells = []
    for kind in zip(*spent, strict=True):
        cuts = statistics.quantiles(kind, n=20)
        cells += [f"{cuts[1]:.0f}", f"{statistics.median(kind):.0f}", f"{cuts[18]:.0f}"]
    return f"| {title} | {' | '.join(cells)} |"


def main() -> None:
    """Build an index, warm up, ask, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    questions = [case.question for case in load_cases()]
    with tempfile.TemporaryDirectory() as folder:
        build_index(Path(folder), embedding_model=BUNDLED)
        retriever = Retriever(Path(folder), embedding_model=BUNDLED)
        words = Retriever(Path(folder), embedding_model="none")
        encoder = load_encoder(BUNDLED)
        for one in (retriever, words):
            one.warm_up()
            for question in questions[:5]:
                one.products(question)
        rows: dict[str, list[tuple[float, float]]] = {
            "encoding (baseline)": [],
            "search": [],
            "search by words only": [],
        }
        for question in questions * rounds:
            rows["encoding (baseline)"].append(timed(partial(encoder.encode, [question])))
            rows["search"].append(timed(partial(retriever.products, question)))
            rows["search by words only"].append(timed(partial(words.products, question)))
    print(f"{len(questions)} questions, {rounds} rounds\n")
    print("| what | p10 ms | median ms | p95 ms | p10 CPU ms | median CPU ms | p95 CPU ms |\n|" + " --- |" * 7)
    for title, spent in rows.items():
        print(line(title, spent))


if __name__ == "__main__":
    main()
