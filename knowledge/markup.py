"""Reads HTML, Markdown, Quarto and DOCX into blocks; nothing in them is run, fetched or rendered."""

import re
import zipfile
from collections.abc import Iterator
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import IO, Any
from xml.parsers.expat import ExpatError

import yaml

from knowledge.blocks import Block, Reading, clean, table_text
from knowledge.errors import SourceInvalid
from knowledge.pandoc_tables import as_pipe_tables

MAX_UNPACKED_BYTES = 200_000_000
MAX_SPAN = 200
"""Most rows or columns one cell may claim; a page that claims more is not a table to read."""
MAX_CELLS = 200_000
MAX_FRONT_CHARS = 10_000
BLOCK_TAGS = frozenset((
    "address", "article", "blockquote", "body", "caption", "dd", "div", "dl", "dt", "figcaption", "figure", "h1", "h2",
    "h3", "h4", "h5", "h6", "li", "main", "ol", "p", "pre", "section", "table", "ul",
))  # fmt: skip
DROPPED_TAGS = (
    "script", "style", "noscript", "template", "iframe", "object", "embed", "svg", "math", "form", "button", "select",
    "nav", "header", "footer", "aside", "head", "img", "video", "audio",
)  # fmt: skip
HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(?:font-size|opacity)\s*:\s*0(?!\.?\d)|"
    r"(?:left|top|text-indent)\s*:\s*-\d{3}",
    re.I,
)
WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
TITLE_STYLE = "p[style-name='Title'] => h1.title:fresh\np[style-name='Subtitle'] => p:fresh"
HEADINGS = {f"h{level}": level for level in range(1, 7)}


def decoded(data: bytes, declared: str | None = None, *, is_html: bool = False) -> str:
    """Give the text of a file: byte order mark, then what was declared, then UTF-8, then a guess."""
    from bs4.dammit import UnicodeDammit

    wanted = [name for name in (declared, None if is_html else "utf-8") if name]
    found = UnicodeDammit(data, wanted, is_html=is_html)
    text = found.unicode_markup
    return text if text is not None else data.decode("utf-8", errors="replace")


def read_html(data: bytes | str, *, declared: str | None = None) -> Reading:
    """Read a page: title and dates from its head, text from its main part; scripts, menus and hidden parts go."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(data if isinstance(data, str) else decoded(data, declared, is_html=True), "lxml")
    meta = {
        str(tag.get("name") or tag.get("property") or "").lower(): str(tag.get("content") or "")
        for tag in soup.find_all("meta")
    }
    title = meta.get("og:title") or (soup.title.get_text() if soup.title else "")
    date = next((meta[name] for name in ("dcterms.date", "date", "article:modified_time") if meta.get(name)), None)
    return Reading(html_blocks(soup), clean(title) or None, meta.get("version") or None, iso_date(date))


def html_blocks(soup: Any) -> Iterator[Block]:
    """Give the visible text of a parsed page block by block, tables as rows."""
    for tag in soup.find_all(DROPPED_TAGS):
        tag.decompose()
    for tag in soup.find_all(lambda tag: tag.has_attr("hidden") or HIDDEN.search(str(tag.get("style", "")))):
        if not tag.decomposed:
            tag.decompose()
    root = soup.find("main") or soup.find("article") or soup
    for _, strings in groupby(_strings(root), key=lambda item: id(item[1])):
        parts = list(strings)
        owner = parts[0][1]
        if owner is not None and owner.name == "table":
            yield Block("table", table_text(_rows(owner)))
        elif text := clean("".join(text for text, _ in parts)):
            level = HEADINGS.get(owner.name, 0) if owner is not None else 0
            item = owner is not None and owner.name == "li"
            yield Block("heading", text, level) if level else Block("text", f"- {text}" if item else text)


def _strings(root: Any) -> Iterator[tuple[str, Any]]:
    """Give each piece of text with the block it stands in; all of a table belongs to the outermost table."""
    from bs4.element import Comment, NavigableString

    for node in root.descendants:
        if isinstance(node, Comment):
            continue
        if isinstance(node, NavigableString):
            yield str(node), _owner(node)
        elif node.name == "br":
            yield " ", _owner(node)


def _owner(node: Any) -> Any:
    block = None
    for parent in node.parents:
        if parent.name == "table" or (block is None and parent.name in BLOCK_TAGS):
            block = parent
    return block


def _rows(table: Any) -> list[list[str]]:
    """Lay a table out as a grid: a cell that spans rows or columns is repeated in each."""
    grid: dict[tuple[int, int], str] = {}
    rows = [row for row in table.find_all("tr") if row.find_parent("table") is table] or table.find_all("tr")
    for y, row in enumerate(rows):
        x = 0
        for cell in row.find_all(["td", "th"], recursive=False):
            while (y, x) in grid:
                x += 1
            if len(grid) > MAX_CELLS:
                break
            text = clean(cell.get_text(" "))
            for dy in range(_span(cell, "rowspan")):
                for dx in range(_span(cell, "colspan")):
                    grid[y + dy, x + dx] = text
            x += _span(cell, "colspan")
    width = max((x for _, x in grid), default=-1) + 1
    return [[grid.get((y, x), "") for x in range(width)] for y in range(len(rows))]


def _span(cell: Any, name: str) -> int:
    text = str(cell.get(name) or "1")
    return min(max(int(text), 1), MAX_SPAN) if text.isdecimal() else 1


def read_markdown(data: bytes | str, *, declared: str | None = None) -> Reading:
    """Read Markdown or Quarto: front matter for title, version and date; code cells are left out."""
    text = data if isinstance(data, str) else decoded(data, declared)
    front, body = _front_matter(text.replace("\r\n", "\n"))
    return Reading(
        _markdown_blocks(_without_quarto(body)),
        clean(front.get("title", "")) or None,
        clean(front.get("version", "")) or None,
        iso_date(front.get("date")),
    )


def _front_matter(text: str) -> tuple[dict[str, str], str]:
    if not text.startswith("---\n") or (end := text.find("\n---", 4, MAX_FRONT_CHARS)) < 0:
        return {}, text
    try:
        # BaseLoader keeps every value as written: version 1.10 must not become 1.1.
        found = yaml.load(text[4:end], Loader=yaml.BaseLoader)  # noqa: S506  # the safest loader there is
    except (yaml.YAMLError, RecursionError):
        return {}, text
    if not isinstance(found, dict):
        return {}, text
    return {str(k): v for k, v in found.items() if isinstance(v, str)}, text[end + 4 :]


def _without_quarto(text: str) -> str:
    """Drop what Quarto would run or lay out, and turn its tables and raw HTML tables into Markdown ones."""
    text = "\n".join(_without_cells(_without_comments(text).split("\n")))
    text = re.sub(r"\{\{<[^\n]{0,300}?>\}\}", "", text)
    text = re.sub(r"\[([^\[\]\n]{0,300})\]\{[^{}\n]{0,300}\}", r"\1", text)
    text = re.sub(r"(?<=[)\]])\{[^{}\n]{0,300}\}|(?<=\S) \{(?:[#.][a-z][^{}\n]{0,300}|-)\}", "", text)
    text = re.sub(r"^\[\^([\w-]{1,40})\]:", r"Note \1:", text, flags=re.M)
    text = re.sub(r"\[\^[\w-]{1,40}\]", "", text)
    return as_pipe_tables(_html_tables_as_markdown(text))


def _without_comments(text: str) -> str:
    parts, at = [], 0
    while (begin := text.find("<!--", at)) >= 0 and (end := text.find("-->", begin)) >= 0:
        parts.append(text[at:begin])
        at = end + 3
    return "".join([*parts, text[at:]])


def _without_cells(lines: list[str]) -> Iterator[str]:
    """Leave out cells of code that Quarto would run, raw parts that are not HTML, and the marks of its layout boxes."""
    fence, is_html = "", False
    for line in lines:
        mark = re.match(r" {0,3}(`{3,}|~{3,})", line)
        if fence and mark and line.strip() == fence:
            fence = ""
        elif fence:
            yield from [line] * is_html
        elif mark and "{" in line:
            fence, is_html = mark[1], "{=html}" in line
        elif not line.startswith(":::"):
            yield line


def _html_tables_as_markdown(text: str) -> str:
    """Replace raw HTML tables whole: a blank line inside would end them for a Markdown parser."""
    from bs4 import BeautifulSoup

    parts, lowered, at = [], text.lower(), 0
    while (begin := lowered.find("<table", at)) >= 0 and (end := lowered.find("</table>", begin)) >= 0:
        table = BeautifulSoup(text[begin : end + 8], "lxml").find("table")
        parts += [text[at:begin], "\n\n", table_text(_rows(table)), "\n\n"]
        at = end + 8
    return "".join([*parts, text[at:]])


def _markdown_blocks(text: str) -> Iterator[Block]:
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    depth: list[str] = []  # the open lists: their markers
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.type == "heading_open":
            yield Block("heading", _inline_text(tokens[at + 1]), int(token.tag[1]))
            at += 2
        elif token.type == "table_open":
            end = next(i for i in range(at, len(tokens)) if tokens[i].type == "table_close")
            yield Block("table", table_text(_table_rows(tokens[at:end])))
            at = end
        elif token.type in ("bullet_list_open", "ordered_list_open"):
            depth.append("")
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            depth.pop()
        elif token.type == "list_item_open":
            depth[-1] = f"{token.info}. " if token.info else "- "
        elif token.type == "inline" and (line := _inline_text(token)):
            yield Block("text", "  " * max(len(depth) - 1, 0) + (depth[-1] if depth else "") + line)
            depth = [*depth[:-1], "  "] if depth else depth
        elif token.type in ("fence", "code_block"):
            yield Block("text", "\n".join(clean(line) for line in token.content.splitlines()).strip())
        elif token.type == "html_block":
            yield from read_html(f"<body>{token.content}</body>").blocks
        at += 1


def _table_rows(tokens: list[Any]) -> list[list[str]]:
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(_inline_text(token))
    return rows


def _inline_text(token: Any) -> str:
    """Give the words of a line without emphasis, link targets, pictures or tags."""
    parts = []
    for child in token.children or ():
        if child.type in ("text", "code_inline"):
            parts.append(child.content)
        elif child.type in ("softbreak", "hardbreak") or (child.type == "html_inline" and "br" in child.content[:4]):
            parts.append(" ")
    return clean("".join(parts))


def read_docx(path: Path) -> Reading:
    """Read a Word document; its page headers and footers are not part of its text.

    Raises:
        SourceInvalid: not a Word document, or one that unpacks to too much.
    """
    import mammoth
    from bs4 import BeautifulSoup
    from lxml import etree

    try:
        with zipfile.ZipFile(path) as archive:
            if sum(item.file_size for item in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise SourceInvalid("The Word document unpacks to too much.", "Save it without its pictures.")
            core = archive.read("docProps/core.xml") if "docProps/core.xml" in archive.namelist() else b"<none/>"
        tags = etree.fromstring(core, etree.XMLParser(resolve_entities=False, no_network=True))
        with _without_hidden_runs(path) as file:
            html = mammoth.convert_to_html(file, convert_image=lambda _: [], style_map=TITLE_STYLE).value
    except (
        zipfile.BadZipFile,
        etree.XMLSyntaxError,
        ExpatError,
        LookupError,
        AttributeError,
        ValueError,
        OSError,
        RecursionError,
        RuntimeError,
    ) as error:  # what mammoth lets through of a broken file
        raise SourceInvalid("This is not a readable Word document.", "Save it again as .docx.") from error
    facts = {etree.QName(tag).localname: tag.text for tag in tags if tag.text and isinstance(tag.tag, str)}
    soup = BeautifulSoup(f"<body>{html}</body>", "lxml")
    first = soup.find("h1", class_="title")
    # What stands on the document is what readers call it; its properties often keep the template's title.
    title = clean(first.extract().get_text()) if first else clean(facts.get("title") or "")
    return Reading(html_blocks(soup), title or None, facts.get("version"), iso_date(facts.get("modified")))


def _without_hidden_runs(path: Path) -> IO[bytes]:
    """Copy a Word document without the runs that Word does not show (`w:vanish`), and without its pictures."""
    from lxml import etree

    copy = BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w", zipfile.ZIP_DEFLATED) as shown:
        for name in dict.fromkeys(archive.namelist()):
            data = b"" if name.startswith("word/media/") else archive.read(name)
            if name == "word/document.xml":
                root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False))
                for mark in root.findall(f".//{WORD}r/{WORD}rPr/{WORD}vanish"):
                    run = mark.getparent().getparent()
                    if mark.get(f"{WORD}val", "1") not in ("0", "false", "off") and run.getparent() is not None:
                        run.getparent().remove(run)
                data = etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True)
            shown.writestr(name, data)
    copy.seek(0)
    return copy


def iso_date(text: str | None) -> str | None:
    """Give an ISO date from the forms documents use; day before month, as in Europe. Unknown forms give None."""
    if not text:
        return None
    for pattern, order in (
        (r"(\d{4})-(\d{2})-(\d{2})", (1, 2, 3)),
        (r"D:(\d{4})(\d{2})(\d{2})", (1, 2, 3)),
        (r"(\d{1,2})[./](\d{1,2})[./](\d{4})", (3, 2, 1)),
    ):
        if found := re.match(pattern, text.strip()):
            year, month, day = (int(found[i]) for i in order)
            return f"{year:04d}-{month:02d}-{day:02d}" if 1 <= month <= 12 and 1 <= day <= 31 else None
    found = re.fullmatch(r"\d{4}(-\d{2})?", text.strip())
    return found[0] if found else None
