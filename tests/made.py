"""Documents made for tests: PDF with running headers, tables and line numbers, and Word."""

import zlib
from collections.abc import Sequence
from pathlib import Path

from docx import Document
from fpdf import FPDF

RUNNING = "Copernicus Land Monitoring Service - Snow manual"


class _Manual(FPDF):
    def header(self) -> None:
        self.set_font("Helvetica", "", 8)
        self.cell(0, 8, RUNNING, align="R")
        self.ln(12)

    def footer(self) -> None:
        self.set_y(-15)
        self.set_font("Helvetica", "", 8)
        self.cell(0, 8, f"Issue 2.1   Page {self.page_no()} of {{nb}}", align="C")


def manual_pdf(path: Path, pages: Sequence[tuple[str, Sequence[str]]], table: Sequence[Sequence[str]] = ()) -> Path:
    """Write a manual: one page a chapter (heading, paragraphs); the table, ruled, goes on the last page."""
    pdf = _Manual()
    pdf.set_title("Snow cover - Product User Manual")
    pdf.set_auto_page_break(True, 20)
    for heading, paragraphs in pages:
        pdf.add_page()
        pdf.set_font("Helvetica", "B", 16)
        pdf.cell(0, 10, heading)
        pdf.ln(12)
        pdf.set_font("Helvetica", "", 11)
        for text in paragraphs:
            pdf.multi_cell(0, 6, text)
            pdf.ln(4)
    if table:
        with pdf.table() as drawn:
            for cells in table:
                row = drawn.row()
                for cell in cells:
                    row.cell(cell)
    pdf.output(str(path))
    return path


def columns_pdf(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    """Write a table without rules: words in columns."""
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", "", 11)
    pdf.multi_cell(0, 6, "The codes of the layer are listed here, each with its meaning and its colour.")
    for row in rows:
        for cell in row:
            pdf.cell(50, 6, cell)
        pdf.ln()
    pdf.output(str(path))
    return path


def prose_pdf(path: Path, left: str, right: str, *, step: float = 0.0) -> Path:
    """Write a heading, two columns of prose, the right one `step` millimetres lower, and a last line over both."""
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", "B", 16)
    pdf.text(20, 30, "Validation of the layers in two columns of running text")
    pdf.set_font("Helvetica", "", 9)
    for x, text, y in ((20, left, 40), (110, right, 40 + step)):
        pdf.set_xy(x, y)
        pdf.multi_cell(80, 5, text, align="L")
    pdf.text(
        20, 200, "This line stands below both columns and runs over the whole width of the page, as notes often do."
    )
    pdf.output(str(path))
    return path


def hidden_pdf(path: Path, seen: str, hidden: str) -> Path:
    """Write text that can be seen, white on black too, and text that cannot, in several ways."""
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", "", 10)
    pdf.text(20, 30, f"{seen} in black.")
    pdf.set_fill_color(0, 0, 60)
    pdf.rect(15, 40, 120, 10, style="F")
    pdf.set_text_color(255, 255, 255)
    pdf.text(20, 46, f"{seen} in white on dark blue.")
    pdf.text(20, 60, f"{hidden} in white.")
    pdf.set_text_color(250, 251, 252)
    pdf.text(20, 70, f"{hidden} in nearly white.")
    pdf.set_text_color(0, 0, 60)
    pdf.text(60, 48, f"{hidden} in the colour of its ground.")
    pdf.set_text_color(0, 0, 0)
    pdf.set_font("Helvetica", "", 1)
    pdf.text(20, 80, f"{hidden} in tiny letters.")
    pdf.set_font("Helvetica", "", 10)
    pdf.text(20, 400, f"{hidden} below the page.")
    with pdf.local_context(text_mode="INVISIBLE"):
        pdf.text(20, 90, f"{hidden} not painted.")
    pdf.output(str(path))
    return path


def small_print_pdf(path: Path, text: str) -> Path:
    """Write a contents line and small print, whose spaces are narrower than the gaps between large letters."""
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", "", 6)
    pdf.cell(0, 5, f"1 Scope {'. ' * 40}7")
    pdf.ln(20)
    pdf.multi_cell(0, 4, text)
    pdf.output(str(path))
    return path


def numbered_pdf(path: Path, lines: Sequence[str]) -> Path:
    """Write a draft: each line has its number in the margin."""
    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("Helvetica", "", 11)
    for number, line in enumerate(lines, 1):
        pdf.set_x(8)
        pdf.cell(22, 6, str(number))
        pdf.cell(0, 6, line)
        pdf.ln()
    pdf.output(str(path))
    return path


def locked_pdf(path: Path) -> Path:
    """Write a PDF that asks for a password."""
    pdf = FPDF()
    pdf.set_encryption(owner_password="owner", user_password="secret")
    pdf.add_page()
    pdf.set_font("Helvetica", "", 11)
    pdf.cell(0, 6, "Hidden text")
    pdf.output(str(path))
    return path


def scanned_pdf(path: Path) -> Path:
    """Write a PDF of pictures alone."""
    pdf = FPDF()
    pdf.add_page()
    pdf.rect(10, 10, 100, 100, style="F")
    pdf.output(str(path))
    return path


def word_document(path: Path) -> Path:
    """Write a Word document with headings, a table and page headers."""
    document = Document()
    document.core_properties.title = "Lake ice manual"
    document.sections[0].header.paragraphs[0].text = "Running header of the office"
    document.add_heading("Lake ice", level=1)
    document.add_heading("Codes", level=2)
    document.add_paragraph("Each pixel holds one code.")
    table = document.add_table(rows=0, cols=2)
    for row in (("Code", "Meaning"), ("10", "ice"), ("20", "open water")):
        cells = table.add_row().cells
        cells[0].text, cells[1].text = row
    document.save(str(path))
    return path


def unlettered_pdf(text: str) -> bytes:
    """Make a PDF whose bullet is a sign that the font names no letter for."""
    stream = b"BT /F 11 Tf 60 700 Td (\x7f ) Tj /G 11 Tf (%b) Tj ET" % text.encode()
    encoding = b"<< /Type /Encoding /Differences [127 /unnamed.sign] >>"
    return _raw_pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R"
        b" /Resources << /Font << /F 5 0 R /G 6 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Symbols /Encoding %b >>" % encoding,
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )


def swollen_pdf(megabytes: int, filler: bytes = b" ") -> bytes:
    """Make a small PDF whose page unpacks to many megabytes."""
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(filler * (1_000_000 // len(filler))) for _ in range(megabytes)) + packer.flush()
    return _raw_pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%b\nendstream" % (len(packed), packed),
    )


def _raw_pdf(*parts: bytes) -> bytes:
    """Write objects 1, 2, 3… with their table."""
    data, starts = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        starts.append(len(data))
        data += b"%d 0 obj\n%b\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % start for start in starts)
    count = len(parts) + 1
    return data + b"xref\n0 %d\n0000000000 65535 f \n%btrailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        count, table, count, len(data),
    )  # fmt: skip
