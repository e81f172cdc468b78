"""The command line: ask, serve, ingest, hub, doctor. Slow imports wait until a command needs them."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ui.command import load_settings as _settings
from ui.command import note as _note
from ui.command import told_plainly as _told_plainly
from ui.feedback_command import feedback
from ui.hub_sync import hub_sync
from ui.login_prompt import log_in
from ui.mcp_command import mcp
from ui.places_command import places
from ui.sessions_command import sessions
from ui.users_command import users

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from assistant.schema import Answer, Event
    from assistant.settings import Settings
    from knowledge.lexicon import Language


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="clms-assistant")
def main() -> None:
    """Ask about the land surface; get a Copernicus product with reasons, and a computation anyone can run again."""


def _usable_day(context: click.Context, option: click.Parameter, day: datetime | None) -> datetime | None:
    from assistant.schema import FIRST_TODAY, LAST_TODAY

    if day and not FIRST_TODAY <= day.date() <= LAST_TODAY:
        raise click.BadParameter(f"{day.date()} is not between {FIRST_TODAY} and {LAST_TODAY}.", context, option)
    return day


@main.command()
@click.argument("question")
@click.option("--area", type=click.Path(path_type=Path, exists=True), help="File with polygons, or a folder of them.")
@click.option("--collection", "collection_id", help="Collection to compute on.")
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    callback=_usable_day,
    help="Day that 'this summer' is relative to.  [default: the real day]",
)
@click.option("--session", "session_id", help="Conversation to go on with, as an earlier answer names it.")
@click.option("--language", type=click.Choice(["en", "fr", "de", "es", "it"]), help="Language to answer in.")
@click.option("--yes", is_flag=True, help="Run a large computation without asking first.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@_told_plainly
def ask(
    question: str,
    area: Path | None,
    collection_id: str | None,
    today: datetime | None,
    session_id: str | None,
    language: "Language | None",
    yes: bool,
    as_json: bool,
) -> None:
    """Answer QUESTION and exit; what is asked back is answered at the prompt, where there is a terminal."""
    from assistant.agent import Assistant
    from tools.areas import read_polygons

    settings = _settings()
    polygons = read_polygons(area, max_bytes=settings.max_area_bytes) if area else None
    assistant = Assistant(settings)
    day = today.date() if today else None
    try:
        assistant.prepare(_note)
        words: str | None = question
        while words is not None:
            about: dict[str, Any] = {"today": day, "area": polygons, "collection_id": collection_id}
            events = assistant.stream(words, session_id=session_id, approve=yes, language=language, **about)
            answer = asyncio.run(_ask(events, quiet=as_json))
            if log_in(assistant, answer):
                session_id = answer.session_id
                continue
            click.echo(answer.model_dump_json(indent=2) if as_json else _as_text(answer))
            session_id, words = answer.session_id, None if as_json else _reply(answer)
    finally:
        assistant.close()


def _reply(answer: "Answer") -> str | None:
    """Let the user choose what was asked back; without a terminal, say how to answer, and give None."""
    if answer.question is None or not answer.question.options:
        return None
    options = answer.question.options
    if not sys.stdin.isatty():
        click.echo(f'To answer: clms-assistant ask "{options[0]}" --session {answer.session_id}')
        return None
    for number, option in enumerate(options, 1):
        _note(f"{number}. {option}")
    chosen: int = click.prompt("Number, or 0 to leave", type=click.IntRange(0, len(options)), default=0, err=True)
    return options[chosen - 1] if chosen else None


async def _ask(events: "AsyncIterator[Event]", *, quiet: bool) -> "Answer":
    """Follow the events, tell the steps on standard error, give the answer."""
    from assistant.schema import AnswerEvent, ErrorEvent

    async for event in events:
        if isinstance(event, AnswerEvent):
            return event.answer
        if isinstance(event, ErrorEvent):
            reference = f" (reference {event.reference})" if event.reference else ""
            raise click.ClickException(f"{event.message}{reference} {event.hint}".strip())
        if not quiet and (step := _step(event)):
            _note(step)
    raise click.ClickException("The question was not answered.")


def _step(event: "Event") -> str:
    if event.type == "tool_progress":
        return f"  {event.message}"
    if event.type == "tool_finished" and event.seconds >= 0.05:
        return f"{event.name}: {event.outcome}, {event.seconds:.1f} s"
    return ""


def _as_text(answer: "Answer") -> str:
    lines = [answer.text + answer.follow_up_text]
    extra = [warning for warning in answer.warnings if warning not in answer.text]
    if extra:
        lines += ["", "Warnings:", *(f"- {warning}" for warning in extra)]
    if answer.artifacts:
        lines += ["", "Files:", *(f"- {artifact.title}: {artifact.path}" for artifact in answer.artifacts)]
    return "\n".join(lines)


@main.command()
@click.option("--host", help="Address to serve on.  [default: loopback]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to serve on; 0 takes a free one.")
@_told_plainly
def serve(host: str | None, port: int | None) -> None:
    """Serve the page, the HTTP API and the embedded hub on one port."""
    import uvicorn

    from assistant.agent import Assistant
    from ui.api import create_app
    from ui.gate import check_exposure
    from ui.heads import TimedHeads

    settings = _settings(host=host, port=port)
    check_exposure(settings)
    settings = settings.model_copy(update={"port": _usable_port(settings.host, settings.port)})
    Assistant(settings).prepare(_note)
    app = create_app(settings)
    shown = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    click.echo(f"CLMS Assistant: http://{shown}:{settings.port}")
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_level=settings.log_level.lower(),
        log_config=None if settings.log_format == "json" else uvicorn.config.LOGGING_CONFIG,
        access_log=settings.log_format == "text",
        http=TimedHeads,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_s,
    )


def _usable_port(host: str, port: int) -> int:
    """Give the port, or a free one for 0; say so in words when it is taken."""
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise click.ClickException(
                f"Cannot serve on {host}:{port}: {error.strerror}. Try another --port."
            ) from error
        return int(probe.getsockname()[1])


@main.command()
@click.argument("sources", nargs=-1)
@_told_plainly
def ingest(sources: tuple[str, ...]) -> None:
    """Build or refresh the search index; a second run changes nothing.

    Without SOURCES the product cards are read. A source is a file, a folder or an address of PDF, HTML, Markdown,
    Quarto or DOCX; an llms.txt index; or the portal's API (an address that ends in /api or /@search).
    """
    from knowledge.ingest import build_index

    settings = _settings()
    report = build_index(
        settings.index_dir,
        embedding_model=settings.embedding_model,
        chroma_url=settings.chroma_url,
        on_progress=lambda done, total: _note(f"Building the search index: {done} of {total} passages"),
        on_wait=_note,
    )
    click.echo(
        f"Index in {settings.index_dir}: {report.added} added, {report.changed} changed, {report.unchanged} unchanged, "
        f"{report.removed} removed; embedding: {report.embedding}."
    )
    if sources:
        _ingest_documents(settings, sources)


def _ingest_documents(settings: "Settings", sources: tuple[str, ...]) -> None:
    """Take documents in; tell each that is not as it was, and end with status 1 when one failed."""
    from knowledge.ingest_documents import Progress, ingest_documents

    shown = sys.stderr.isatty()

    def tell(at: Progress) -> None:
        clear = "\r\033[K" if shown else ""
        # At once, so that a run that breaks off has told what it did.
        if at.finished and at.finished.outcome != "unchanged":
            click.echo(clear, err=True, nl=False)
            click.echo(at.finished.line)
        if shown:
            click.echo(f"{clear}{at.line[:120]}", err=True, nl=False)

    report = ingest_documents(
        settings.index_dir,
        sources,
        embedding_model=settings.embedding_model,
        hosts=settings.ingest_hosts,
        chroma_url=settings.chroma_url,
        on_progress=tell,
        on_wait=_note,
    )
    if shown:
        click.echo("\r\033[K", err=True, nl=False)
    counts = ", ".join(f"{report.count(one)} {one}" for one in ("added", "changed", "unchanged", "retired", "failed"))
    click.echo(f"Documents: {counts}; embedding: {report.embedding}.")
    if report.count("failed"):
        raise click.exceptions.Exit(1)


@main.group()
def catalogue() -> None:
    """Look into the catalogue: what it holds and what it does not know."""


@catalogue.command("list")
@click.option("--theme", help="Only products of this theme, such as forest or water.")
@_told_plainly
def catalogue_list(theme: str | None) -> None:
    """List the products."""
    from knowledge.cards import list_lines
    from knowledge.catalogue import load_catalogue

    click.echo("\n".join(list_lines(load_catalogue(), theme)))


@catalogue.command("show")
@click.argument("name")
@_told_plainly
def catalogue_show(name: str) -> None:
    """Show all that is known of a product or edition: NAME is an id, abbreviation or alias."""
    from knowledge.cards import show_lines
    from knowledge.catalogue import load_catalogue

    click.echo("\n".join(show_lines(load_catalogue(), name)))


@catalogue.command("check")
@click.option(
    "--products",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of product files to check.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 when a text every product must have is missing.")
@_told_plainly
def catalogue_check(products: Path | None, strict: bool) -> None:
    """Check the product files and list what they do not know."""
    from knowledge.catalogue import load_catalogue
    from knowledge.gaps import find_gaps, gap_lines

    loaded = load_catalogue(products)
    gaps = find_gaps(loaded)
    click.echo("\n".join(gap_lines(gaps, len(loaded.products))))
    if strict and any(gap.required for gap in gaps):
        raise click.exceptions.Exit(1)


@main.group()
def hub() -> None:
    """Manage the embedded hub: its archive and its STAC and openEO services."""


@hub.command("add")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--collection", "collection_id", required=True, help="Collection to add to; made when missing.")
@click.option("--datetime", "when", help="Date of the files, for formats that do not hold one.")
@click.option("--title", help="Title of the collection.")
@click.option("--scale", type=float, help="Physical value = stored value x scale + offset.")
@click.option("--offset", type=float, help="See --scale.")
@_told_plainly
def hub_add(
    files: tuple[Path, ...],
    collection_id: str,
    when: str | None,
    title: str | None,
    scale: float | None,
    offset: float | None,
) -> None:
    """Add GeoTIFF, COG or netCDF FILES to the archive."""
    from tools.hub.add import add_files

    report = add_files(
        _settings().hub_dir, files, collection_id=collection_id, datetime=when, title=title, scale=scale, offset=offset
    )
    count = report.items if isinstance(report.items, int) else len(report.items)
    click.echo(f"{report.collection_id}: {count} items added, bands {', '.join(map(str, report.bands))}.")
    for note in report.notes:
        click.echo(f"- {note}")


@hub.command("demo")
@_told_plainly
def hub_demo() -> None:
    """Make the synthetic demo archive when it is missing."""
    from tools.hub.demo import ensure_demo

    made = ensure_demo(_settings().hub_dir, today=datetime.now(UTC).date(), on_progress=_note)
    click.echo("Demo archive made." if made else "The demo archive is already there.")


@hub.command("list")
@_told_plainly
def hub_list() -> None:
    """List the collections of the archive."""
    from tools.hub.archive import Archive

    for collection in Archive(_settings().hub_dir).collections():
        click.echo(f"{collection['id']}: {collection.get('title') or collection.get('description', '')}")


hub.add_command(hub_sync)
main.add_command(mcp)
main.add_command(sessions)
main.add_command(feedback)
main.add_command(users)
main.add_command(places)


@hub.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on.")
@click.option("--port", type=click.IntRange(0, 65535), default=7861, show_default=True, help="Port to serve on.")
@_told_plainly
def hub_serve(host: str, port: int) -> None:
    """Serve only the hub's STAC and openEO APIs."""
    import uvicorn

    from tools.hub.app import create_hub
    from ui.gate import check_exposure, guard
    from ui.heads import TimedHeads

    settings = _settings(host=host)
    check_exposure(settings)
    port = _usable_port(host, port)
    click.echo(f"STAC: http://{host}:{port}/stac  openEO: http://{host}:{port}/openeo")
    app = create_hub(settings.hub_dir, settings.hub_limits)
    guard(app, settings)
    uvicorn.run(app, host=host, port=port, http=TimedHeads, log_level=settings.log_level.lower())


@main.command()
@_told_plainly
def doctor() -> None:
    """Print versions, where packages were loaded from, settings with secrets hidden, index and hub state."""
    from ui.doctor import report

    for line in report(_settings()):
        click.echo(line)


if __name__ == "__main__":
    sys.exit(main())
