"""The login at a back-end, on the command line: shown, waited for, and the question asked again."""

from typing import TYPE_CHECKING

from ui.command import note

if TYPE_CHECKING:
    from assistant.agent import Assistant
    from assistant.schema import Answer


def log_in(assistant: "Assistant", answer: "Answer") -> bool:
    """Show where to log in and wait for it; False where no login was asked for, or none was made in time.

    The login is kept in memory, so it has to be used before the command ends.
    """
    asked = answer.question
    if asked is None or not asked.link:
        return False
    note(asked.text)
    note("Waiting for the login; Ctrl+C leaves.")
    services = assistant.services()
    return services.logins.wait(answer.session_id, services.openeo_url)
