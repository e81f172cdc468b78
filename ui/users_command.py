"""The command group `users`: API keys."""

import click

from ui.command import load_settings, told_plainly


@click.group()
def users() -> None:
    """Give API keys to users, and take them back."""


@users.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice(["user", "trainer", "admin"]), default="user", show_default=True)
@told_plainly
def users_add(name: str, role: str) -> None:
    """Make an API key for NAME and print it, this once."""
    from assistant.access import User
    from assistant.users import ApiKeys

    click.echo(ApiKeys(load_settings().database).add(name, User.model_validate({"name": name, "role": role}).role))


@users.command("list")
@told_plainly
def users_list() -> None:
    """List who has a key."""
    from assistant.users import ApiKeys

    for name, role in ApiKeys(load_settings().database).list():
        click.echo(f"{name}: {role}")


@users.command("revoke")
@click.argument("name")
@told_plainly
def users_revoke(name: str) -> None:
    """Make the key of NAME worthless."""
    from assistant.users import ApiKeys

    ApiKeys(load_settings().database).revoke(name)
    click.echo(f"The key of {name} is revoked.")
