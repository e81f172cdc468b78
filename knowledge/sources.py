"""Finds the documents a source leads to: a file, a folder, a web address, a library index or the portal."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from knowledge.blocks import Reading, clean
from knowledge.errors import SourceGone, SourceInvalid
from knowledge.fetch import Fetcher
from knowledge.portal import PortalItem, is_portal, portal_items
from knowledge.readers import SUFFIXES, kind_of, read_document

MOST_LINKS = 5000
MAX_FILE_BYTES = 300_000_000
_LINK = re.compile(r"\[([^\[\]]{1,300})\]\(\s*<?([^)\s>]{1,1000})>?[^)]{0,300}\)")


@dataclass(frozen=True)
class Validators:
    """What a server gave to ask again with: whether a document has changed."""

    etag: str | None = None
    modified: str | None = None


@dataclass(frozen=True)
class Content:
    """A document's bytes, ready to be read."""

    digest: str
    read: Callable[[], Reading]
    validators: Validators
    done: Callable[[], None] = lambda: None
    """Throws temporary files away."""


@dataclass(frozen=True)
class Found:
    """One document that a source leads to."""

    address: str
    """What it is known by: an absolute path or a web address."""
    url: str | None
    """Where a person reads it; None for a local file."""
    title: str | None
    open: Callable[[Validators], Content | None]
    """Takes what its server gave last time; None when it has not changed."""


@dataclass(frozen=True)
class Source:
    """A source and all it leads to."""

    root: str
    many: bool
    """True when documents that it no longer names are to be retired."""
    found: Iterator[Found]
    count: int | None = None
    """How many documents there are; None when that is known at the end only."""


def open_source(source: str, fetcher: Fetcher) -> Source:
    """Tell what a source is and begin to list its documents.

    Raises:
        SourceInvalid: no such file, or an address that is not allowed.
        SourceGone: see `Fetcher.get`.
        SourceUnavailable: see `Fetcher.get`.
    """
    if re.match(r"[a-z][a-z0-9+.-]+://", source, re.I):
        fetcher.check(source)
        if is_portal(source):
            return Source(source, True, _portal(source, fetcher))
        if urlsplit(source).path.endswith("llms.txt"):
            listed = list(_index(source, fetcher))
            return Source(source, True, iter(listed), len(listed))
        return Source(source, False, iter([_page(source, source, None, fetcher)]), 1)
    path = Path(source).expanduser().absolute()
    if path.is_dir():
        files = list(_files(path))
        return Source(str(path), True, map(_file, files), len(files))
    if path.suffix.lower() not in SUFFIXES:
        raise SourceInvalid(f"{path.name} is not read.", f"Give one of {', '.join(sorted(SUFFIXES))}, or a folder.")
    return Source(str(path), False, iter([_file(path)]), 1)


def _files(folder: Path) -> Iterator[Path]:
    """List the documents of a folder, in order; links out of it and hidden files are not followed."""
    for parent, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent) / name
            if path.suffix.lower() in SUFFIXES and not name.startswith((".", "~$")) and not path.is_symlink():
                yield path


def _file(path: Path) -> Found:
    def opened(_: Validators) -> Content | None:
        try:
            if path.stat().st_size > MAX_FILE_BYTES:
                raise SourceInvalid(f"The file is larger than {MAX_FILE_BYTES / 1e6:.0f} MB.", "Split it.")
            digest = _digest(path)
        except FileNotFoundError as error:
            raise SourceGone("There is no such file.", "Check its name.") from error
        except OSError as error:
            raise SourceInvalid(f"The file cannot be read: {error.strerror}.", "Check who may read it.") from error
        return Content(digest, lambda: read_document(path, kind_of(path, name=path.name), name=path.name), Validators())

    return Found(str(path), None, None, opened)


def _page(address: str, url: str, title: str | None, fetcher: Fetcher) -> Found:
    def opened(last: Validators) -> Content | None:
        body = fetcher.get(address, etag=last.etag, modified=last.modified)
        if body is None:
            return None
        name = urlsplit(body.url).path

        def read() -> Reading:
            kind = kind_of(body.path, name=name, media_type=body.media_type)
            return read_document(body.path, kind, name=name, charset=body.charset)

        last = Validators(body.etag, body.modified)
        return Content(_digest(body.path), read, last, lambda: body.path.unlink(missing_ok=True))

    return Found(address, url, title, opened)


def _index(address: str, fetcher: Fetcher) -> Iterator[Found]:
    """List the links of an `llms.txt`: sections of Markdown links, https://llmstxt.org."""
    body = fetcher.get(address)
    if body is None:
        raise SourceInvalid("The index sent nothing.", "Check the address.")
    kind_of(body.path, name="llms.txt", media_type=body.media_type)
    text = body.path.read_bytes().decode("utf-8", errors="replace")
    body.path.unlink(missing_ok=True)
    links = list(dict.fromkeys((clean(title), urljoin(body.url, link)) for title, link in _LINK.findall(text)))
    seen: set[str] = set()
    for title, target in links[:MOST_LINKS]:
        link = target.partition("#")[0]
        if link not in seen and urlsplit(link).path.lower().endswith(tuple(SUFFIXES)):
            seen.add(link)
            yield _page(link, re.sub(r"\.llms\.md$", ".html", link), title, fetcher)
    if not seen:
        raise SourceInvalid("The index names no document.", "Check the address.")


def _portal(address: str, fetcher: Fetcher) -> Iterator[Found]:
    for item in portal_items(address, fetcher):
        yield Found(item.url, item.url, item.title, _opened_item(item))


def _opened_item(item: PortalItem) -> Callable[[Validators], Content | None]:
    digest = hashlib.sha256(repr(item).encode()).hexdigest()
    reading = Reading(iter(item.blocks), item.title, None, item.date)
    return lambda _: Content(digest, lambda: reading, Validators())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
