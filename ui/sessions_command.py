"""The commands on kept conversations: list, export, delete, expire."""

import click

from ui.command import load_settings, note, told_plainly


@click.group()
def sessions() -> None:
    """List, export and delete the conversations kept here."""


@sessions.command("list")
@told_plainly
def sessions_list() -> None:
    """List the conversations, the latest first: id, questions, first and last day."""
    from assistant.sessions import Sessions

    for one in Sessions(load_settings().database).listed():
        click.echo(f"{one.session_id}  {one.turns:4d}  {one.first:%Y-%m-%d}  {one.last:%Y-%m-%d}")


@sessions.command("export")
@click.argument("session_id")
@told_plainly
def sessions_export(session_id: str) -> None:
    """Print a conversation as JSON, oldest question first."""
    import json

    from assistant.sessions import Sessions

    turns = Sessions(load_settings().database).history(session_id, limit=100_000)
    if not turns:
        raise click.ClickException(
            f"No conversation {session_id!r} is kept here. List them: clms-assistant sessions list."
        )
    told = [{"question": one.question, "answer": one.answer.model_dump(mode="json")} for one in turns]
    click.echo(json.dumps({"session_id": session_id, "turns": told}, indent=2, ensure_ascii=False))


@sessions.command("delete")
@click.argument("session_id")
@told_plainly
def sessions_delete(session_id: str) -> None:
    """Delete a conversation, with the runs that wait in it and what was said of its answers."""
    from assistant.sessions import Sessions

    Sessions(load_settings().database).delete(session_id)
    note("Deleted.")


@sessions.command("expire")
@click.option("--days", type=click.IntRange(min=1), help="Days without a question.  [default: CLMS_SESSION_DAYS]")
@told_plainly
def sessions_expire(days: int | None) -> None:
    """Delete the conversations that nothing was asked in for some days."""
    from assistant.sessions import Sessions

    settings = load_settings()
    limit = days or settings.session_days
    if not limit:
        raise click.ClickException("Say after how many days: --days, or CLMS_SESSION_DAYS.")
    note(f"{Sessions(settings.database).expire(limit)} conversations deleted.")
