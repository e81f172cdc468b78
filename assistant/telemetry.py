"""Logging: one set-up for all doors, and short references that lead from a message to its traceback."""

import logging
import secrets

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


OURS = ("assistant", "tools", "knowledge", "ui", "evals", "__main__")


def configure_logging(level: str) -> None:
    """Send log lines to standard error: ours from `level` on, those of libraries only errors, or all at DEBUG.

    What a library warns of on its way, such as a connection it tries again, ends as an error that we tell in words.
    """
    own = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=own if own == logging.DEBUG else logging.ERROR, format=FORMAT)
    for name in OURS:
        logging.getLogger(name).setLevel(own)


def log_failure(logger: logging.Logger, what: str) -> str:
    """Log the current exception with its traceback and give the reference the user is shown."""
    reference = secrets.token_hex(4)
    logger.exception("%s failed, reference %s", what, reference)
    return reference
