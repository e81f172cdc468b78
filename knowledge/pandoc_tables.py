"""Turns the tables of Pandoc Markdown (grid, simple, multi-line) into pipe tables, which every parser reads."""

import re

from knowledge.blocks import table_text

_GRID = re.compile(r"^\s*\+(?:[-=:]+\+)+\s*$")
_DASHES = re.compile(r"^ {0,8}-{3,}(?: +-{2,})+\s*$")
_RULE = re.compile(r"^ {0,8}-{10,}\s*$")


def as_pipe_tables(text: str) -> str:
    """Replace each table that only Pandoc reads; all other lines stay as they are."""
    lines, made, at = text.split("\n"), [], 0
    while at < len(lines):
        if _GRID.match(lines[at]):
            table, at = _grid(lines, at)
            made += ["", table, ""]
        elif (dashes := _opening(lines, at)) is not None:
            table, at = _dashed(lines, at, dashes)
            made += ["", table, ""]
        else:
            made.append(lines[at])
            at += 1
    return "\n".join(made)


def _grid(lines: list[str], begin: int) -> tuple[str, int]:
    """Read a grid table: cells lie between the plus signs of its widest rule, rows between rules."""
    end = begin
    while end < len(lines) and lines[end].lstrip()[:1] in ("+", "|"):
        end += 1
    block = lines[begin:end]
    rules = [line for line in block if _GRID.match(line)]
    cuts = [found.start() for found in re.finditer(r"\+", max(rules, key=lambda line: line.count("+")))]
    rows: list[list[str]] = [[]]
    for line in block:
        if _GRID.match(line):
            rows.append([])
            continue
        parts = _cut(line, cuts)
        rows[-1] = [f"{old} {new}" for old, new in zip(rows[-1] or [""] * len(parts), parts, strict=True)]
    return table_text(rows), end


def _cut(line: str, cuts: list[int]) -> list[str]:
    """Cut a line at the columns; where a cell spans several there is no bar, and its text is not cut."""
    parts, start = [], cuts[0]
    for right in cuts[1:]:
        if right < len(line) and line[right] not in "|+":
            parts.append("")
            continue
        parts.append(line[start + 1 : right].strip())
        start = right
    return parts + [""] * (len(cuts) - 1 - len(parts))


def _opening(lines: list[str], at: int) -> int | None:
    """Give the line of the column dashes when a simple or multi-line table begins here."""
    if _RULE.match(lines[at]):  # multi-line: a full rule, the header, the dashes
        for line in range(at + 1, min(at + 12, len(lines))):
            if _DASHES.match(lines[line]):
                return line
            if _RULE.match(lines[line]):
                return None
        return None
    following = lines[at + 1] if at + 1 < len(lines) else ""
    if lines[at].strip() and _DASHES.match(following):
        return at + 1
    return at if _DASHES.match(lines[at]) else None


def _dashed(lines: list[str], begin: int, dashes: int) -> tuple[str, int]:
    """Read a table whose columns are the runs of dashes; in a multi-line table blank lines part the rows."""
    multiline = bool(_RULE.match(lines[begin]))
    starts = [found.start() for found in re.finditer("-+", lines[dashes])]
    header = _columns([line for line in lines[begin:dashes] if not _RULE.match(line)], starts)
    rows, part, end = [header], list[str](), dashes + 1
    while end < len(lines):
        line = lines[end]
        closed = bool(_RULE.match(line) or _DASHES.match(line))
        if closed or not line.strip():
            rows += [_columns(part, starts)] if part else []
            part = []
            if closed or not multiline:
                end += closed
                break
        else:
            part.append(line)
            if not multiline:
                rows, part = [*rows, _columns(part, starts)], []
        end += 1
    return table_text([*rows, _columns(part, starts)] if part else rows), end


def _columns(lines: list[str], starts: list[int]) -> list[str]:
    ends = [*starts[1:], None]
    return [
        " ".join(line[left:right].strip() for line in lines).strip() for left, right in zip(starts, ends, strict=True)
    ]
