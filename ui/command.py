"""What every command does: read settings, tell progress, turn failures into sentences."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from assistant.settings import Settings


def told_plainly(command: Callable[..., None]) -> Callable[..., None]:
    """Turn expected failures into a sentence and exit status 1, and the unexpected into a reference."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        from knowledge.errors import ClmsError

        try:
            command(*args, **kwargs)
        except ClmsError as error:
            raise click.ClickException(str(error)) from error
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:  # a door shows a reference, never a traceback
            import logging

            from assistant.storage import storage_failure
            from assistant.telemetry import log_failure

            if told := storage_failure(error, load_settings().data_dir):
                raise click.ClickException(str(told)) from error
            reference = log_failure(logging.getLogger(__name__), "The command")
            raise click.ClickException(f"Something unexpected went wrong (reference {reference}).") from error

    return run


def load_settings(**changes: Any) -> "Settings":
    """Read the settings, some of them given on the command line."""
    from pydantic import ValidationError

    from assistant.settings import Settings, point_libraries_at
    from assistant.telemetry import configure_logging

    try:
        settings = Settings(**{name: value for name, value in changes.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = "CLMS_" + "_".join(str(part) for part in first["loc"]).upper()
        raise click.ClickException(f"The setting {name} is not valid: {first['msg']}.") from error
    configure_logging(settings.log_level, form=settings.log_format, hidden=settings.secrets)
    point_libraries_at(settings)
    return settings


def note(message: str) -> None:
    """Tell progress on standard error, so that standard output stays the answer."""
    click.echo(message, err=True)
