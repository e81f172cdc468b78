"""How fast documents are taken in, and how much memory that needs: against reading the same PDF's plain text.

Run `python -m evals.bench.ingest [--pages 300] [--documents 20] [--vectors]`. Each part runs in a process of its own,
so that its peak memory is its own.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_WORDS = """
    snow cover vegetation index pixel accuracy imperviousness grassland mowing sealed surface reference year sensor
    validation overall agreement class code projection update archive tile flag cloud shadow confidence layer
"""
WORDS = _WORDS.split()


def make_manual(path: Path, pages: int, seed: int) -> None:
    """Write a manual of so many pages, each with running header, two paragraphs and a ruled table of codes."""
    from fpdf import FPDF

    class Manual(FPDF):
        def header(self) -> None:
            self.set_font("Helvetica", "", 8)
            self.cell(0, 8, "Copernicus Land Monitoring Service", align="R")
            self.ln(12)

    pick = random.Random(seed)
    pdf = Manual()
    pdf.set_title(f"Generated manual {seed}")
    for page in range(pages):
        pdf.add_page()
        pdf.set_font("Helvetica", "B", 14)
        pdf.cell(0, 10, f"{page + 1} {' '.join(pick.choices(WORDS, k=3))}")
        pdf.ln(12)
        pdf.set_font("Helvetica", "", 10)
        for _ in range(2):
            pdf.multi_cell(0, 5, " ".join(pick.choices(WORDS, k=120)) + ".")
            pdf.ln(3)
        with pdf.table() as table:
            for code in range(12):
                row = table.row()
                for cell in (str(page * 100 + code), " ".join(pick.choices(WORDS, k=3)), "#00ff00"):
                    row.cell(cell)
    pdf.output(str(path))


def make_texts(folder: Path, documents: int) -> int:
    """Write Markdown documents like those of the technical library; gives their size in characters."""
    pick = random.Random(7)
    size = 0
    for number in range(documents):
        parts = [f"# Manual {number}"]
        for section in range(40):
            rows = [f"| {code} | {' '.join(pick.choices(WORDS, k=4))} |" for code in range(15)]
            parts += [f"## {' '.join(pick.choices(WORDS, k=3))} {section}", " ".join(pick.choices(WORDS, k=250)) + "."]
            parts += ["\n".join(["| Code | Label |", "| --- | --- |", *rows])]
        text = "\n\n".join(parts)
        (folder / f"manual_{number}.md").write_text(text)
        size += len(text)
    return size


def plain(path: Path) -> None:
    """Read the plain text of each page: the baseline."""
    import pdfplumber

    with pdfplumber.open(path) as pdf:
        for page in pdf.pages:
            page.extract_text()
            page.close()


def take_in(source: Path, index: Path, model: str) -> int:
    """Take documents into a new index; gives the passages."""
    from knowledge.ingest_documents import ingest_documents

    report = ingest_documents(index, [str(source)], embedding_model=model)
    assert not report.count("failed"), report
    return sum(one.passages for one in report.outcomes)


def part(name: str, source: Path, index: Path) -> None:
    """Run one part and print its figures as JSON."""
    from knowledge.catalogue import load_catalogue
    from knowledge.embeddings import BUNDLED, NO_EMBEDDING, load_encoder

    load_catalogue()
    if name == "vectors":
        load_encoder(BUNDLED)
    began = time.perf_counter()
    passages = 0
    if name == "make":
        make_manual(source, int(index.name), 1)
    elif name == "plain":
        plain(source)
    else:
        passages = take_in(source, index, BUNDLED if name == "vectors" else NO_EMBEDDING)
    seconds = time.perf_counter() - began
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"seconds": seconds, "passages": passages, "peak_mb": peak / 1024}))


def measure(name: str, source: Path, index: Path) -> dict[str, float]:
    """Run a part in its own process."""
    command = [sys.executable, "-m", "evals.bench.ingest", "--part", name, str(source), str(index)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Make the documents, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--documents", type=int, default=20)
    parser.add_argument("--vectors", action="store_true", help="also with the bundled encoder")
    parser.add_argument("--part", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part:
        part(chosen.part[0], Path(chosen.part[1]), Path(chosen.part[2]))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for pages in (chosen.pages // 10, chosen.pages):
            measure("make", folder / f"{pages}.pdf", folder / str(pages))  # apart: its memory is not to be counted
        (folder / "texts").mkdir()
        size = make_texts(folder / "texts", chosen.documents)
        print("| what | seconds | pages/s | passages | peak MB |\n| --- | --- | --- | --- | --- |")
        small, large = folder / f"{chosen.pages // 10}.pdf", folder / f"{chosen.pages}.pdf"
        runs = [
            ("plain text of the PDF (baseline)", "plain", large, chosen.pages),
            ("PDF", "words", large, chosen.pages),
            ("PDF, a tenth of the pages", "words", small, chosen.pages // 10),
            ("Markdown (a page: 2,500 characters)", "words", folder / "texts", size // 2500),
        ]
        runs += [("PDF with vectors", "vectors", large, chosen.pages)] if chosen.vectors else []
        for number, (title, kind, source, pages) in enumerate(runs):
            found = measure(kind, source, folder / f"index{number}")
            print(
                f"| {title} | {found['seconds']:.1f} | {pages / found['seconds']:.1f} | {found['passages']:.0f} |"
                f" {found['peak_mb']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
