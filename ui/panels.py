"""Draws the right side of the page: warnings, pictures, tables, files and sources as plain, accessible HTML."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from html import escape
from pathlib import Path

from assistant.phrases import translate
from assistant.schema import Answer
from knowledge.lexicon import Language
from knowledge.schema import Citation
from tools.schema import Artifact, Statistics, StatisticsRow
from ui.page_words import say

_PICTURES = ("map", "chart")
_FILES = {
    "files_look": ("map", "chart"),
    "files_use": ("table", "vector", "raster"),
    "files_rerun": ("notebook", "script", "graph"),
    "files_record": ("provenance", "metadata"),
}
"""What files are for, and the kinds that serve it."""
_INVENTED = ("synthetic", "synthét", "synthet", "sintétic", "sintetic")
"""How warnings on demo data begin that word in the five languages."""


def empty_html(language: Language) -> str:
    """Give what stands where results will be."""
    return f'<p class="quiet">{say(language, "results")}</p>'


def result_html(
    question: str,
    artifacts: Sequence[Artifact],
    answer: Answer | None,
    language: Language = "en",
    *,
    card: str = "",
    on_map: Collection[str] = (),
) -> str:
    """Give the whole panel for one question; sections without content are left out.

    Args:
        question: The user's words.
        artifacts: Files so far.
        answer: What came of it, when it is there.
        language: Of the labels.
        card: Product card as HTML.
        on_map: Ids of the pictures that the map shows as layers already; they are folded.
    """
    asked = f'<p class="asked">{say(language, "asked_for")} <q>{escape(question)}</q></p>'
    pictures = [_picture(one, language, folds=one.id in on_map) for one in artifacts if one.kind in _PICTURES]
    if answer is None:
        return "".join([asked, *pictures, _files(artifacts, language)])
    tables = [table_html(statistics, language) for statistics in answer.statistics]
    # A chart is followed by the table of what it shows.
    told = [asked, warnings_html(answer.warnings, language), *pictures, *tables, _files(artifacts, language)]
    return "".join([*told, card, _sources(answer.citations, language)])


def warnings_html(warnings: Iterable[str], language: Language = "en") -> str:
    """Give the warnings: those on invented data first and in sight, the others folded when they are many."""
    fake = [one for one in warnings if _is_invented(one)]
    others = [one for one in warnings if not _is_invented(one)]
    notes = "".join(_warning("note", one, language) for one in others)
    if len(others) > 2:
        notes = f"<details><summary>{say(language, 'notes', count=len(others))}</summary>{notes}</details>"
    return "".join(_warning("not_real", one, language) for one in fake) + notes


def table_html(statistics: Statistics, language: Language = "en") -> str:
    """Give one run's rows: value, valid pixels, valid share and outcome in words."""
    dated = any(row.date for row in statistics.rows)
    unit = f" ({translate(statistics.unit, language)})" if statistics.unit not in ("", "1") else ""
    keys = ["unit_head", *(["date_head"] if dated else []), "value_head", "valid_head", "share_head", "outcome_head"]
    heads = [say(language, key) + (unit if key == "value_head" else "") for key in keys]
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    rows = "".join(_row(row, language, dated=dated) for row in statistics.rows)
    name, method = say(language, "numbers"), escape(translate(statistics.method, language))
    return (
        f'<section aria-label="{name}"><h3>{name}</h3><p class="quiet">{method}</p>'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{name}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def kept_html(conversations: Sequence[tuple[str, str]], language: Language) -> str:
    """List conversations, given as id and first question, each with a button to open and one to delete it."""
    lines = "".join(
        f"<li><span>{escape(question)}</span>"
        + "".join(
            f'<button type="button" data-session="{escape(one, quote=True)}" data-todo="{todo}" '
            f'aria-label="{say(language, todo)}: {escape(question, quote=True)}">{say(language, todo)}</button>'
            for todo in ("open", "delete")
        )
        + "</li>"
        for one, question in conversations
    )
    return f'<p class="quiet">{say(language, "kept_hint")}</p><ul class="kept">{lines}</ul>'


def artifact_url(artifact: Artifact) -> str:
    """Give the address of a file, relative so that it also works behind a path prefix."""
    return f"artifacts/{escape(artifact.id, quote=True)}"


def folded(name: str, lines: Sequence[str]) -> str:
    """Give lines of text behind a heading to open; nothing without lines."""
    return f"<details><summary>{escape(name)}</summary>{bullets(lines)}</details>" if lines else ""


def bullets(lines: Sequence[str]) -> str:
    """Give lines of text as a list."""
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>" if lines else ""


def pixels_words(row: StatisticsRow, language: Language) -> str:
    """Tell how many of the pixels are valid; thousands stand apart, as a comma is the decimal mark elsewhere."""
    valid, total = (f"{count:,}".replace(",", "\u202f") for count in (row.valid_pixels, row.total_pixels))
    return say(language, "pixels_of", valid=valid, total=total)


def size_words(size_bytes: int) -> str:
    """Give a file size in the unit a person would use."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    return f"{size_bytes / 1e3:.0f} kB" if size_bytes < 1e6 else f"{size_bytes / 1e6:.1f} MB"


def _is_invented(warning: str) -> bool:
    return any(word in warning.lower() for word in _INVENTED)


def _warning(key: str, warning: str, language: Language) -> str:
    css = "note synthetic" if key == "not_real" else "note"
    return f'<p class="{css}" role="note"><strong>{say(language, key)}</strong> {escape(warning)}</p>'


def _picture(artifact: Artifact, language: Language, *, folds: bool) -> str:
    title = _title(artifact, language)
    url, label = artifact_url(artifact), escape(say(language, "full_size", title=title), quote=True)
    title = escape(title, quote=True)
    embed = (
        f'<a href="embed/{escape(artifact.id, quote=True)}" target="_blank" rel="noopener">{say(language, "embed")}</a>'
    )
    figure = (
        f'<figure><a href="{url}" target="_blank" rel="noopener" aria-label="{label}">'
        f'<img src="{url}" alt="{title}" loading="lazy"></a><figcaption>{title}. {embed}</figcaption></figure>'
    )
    return f"<details><summary>{say(language, 'as_picture')}</summary>{figure}</details>" if folds else figure


def _row(row: StatisticsRow, language: Language, *, dated: bool) -> str:
    value = say(language, "no_value") if row.value is None else f"{row.value:.4g}"
    date = f'<td class="date">{escape(row.date or "")}</td>' if dated else ""
    valid = pixels_words(row, language)
    label = escape(translate(row.label, language))
    return (
        f'<tr class="{row.outcome}"><th scope="row">{label}</th>{date}<td class="number">{value}</td>'
        f'<td class="number">{valid}</td>'
        f'<td class="number">{row.valid_share:.0%}</td><td>{say(language, f"outcome_{row.outcome}")}</td></tr>'
    )


def _files(artifacts: Sequence[Artifact], language: Language) -> str:
    if not artifacts:
        return ""
    name, ids = say(language, "files"), "&amp;".join(f"id={escape(one.id, quote=True)}" for one in artifacts)
    whole = f'<p><a class="whole" href="files.zip?{ids}" download>{say(language, "all_files")}</a></p>'
    heads = Counter(_head(one) for one in artifacts)
    groups = "".join(
        f"<div><h4>{say(language, use)}</h4>"
        f'<ul class="files">{"".join(_file(one, heads, language) for one in found)}</ul></div>'
        for use, kinds in _FILES.items()
        if (found := [one for one in artifacts if one.kind in kinds])
    )
    return f'<section aria-label="{name}"><h3>{name}</h3>{whole}<div class="uses">{groups}</div></section>'


def _file(artifact: Artifact, heads: Counter[str], language: Language) -> str:
    """Give the link of a file: what it is, and of what only where the answer has several of that."""
    title, head = _title(artifact, language), _head(artifact)
    words = title if heads[head] > 1 else translate(head, language)
    form = Path(artifact.path).suffix.removeprefix(".").upper() or artifact.kind
    return (
        f'<li><a href="{artifact_url(artifact)}" download title="{escape(title, quote=True)}">{escape(words)}</a> '
        f'<span class="quiet">{form}, {size_words(artifact.size_bytes)}</span></li>'
    )


def _head(artifact: Artifact) -> str:
    return artifact.title.partition(": ")[0]


def _title(artifact: Artifact, language: Language) -> str:
    head, colon, what = artifact.title.partition(": ")
    return f"{translate(head, language)}{colon}{translate(what, language)}"


def _sources(citations: Sequence[Citation], language: Language) -> str:
    unproved = f" ({say(language, 'not_verified')})"
    lines = [f"{translate(c.place, language)}: “{c.quote}”{'' if c.verified else unproved}" for c in citations]
    return folded(say(language, "sources", count=len(lines)), lines)
