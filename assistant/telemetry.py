"""Logging: one set-up for all doors, and short references that lead from a message to its traceback."""

import logging
import secrets

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure_logging(level: str) -> None:
    """Send log lines of our packages and of libraries to standard error from `level` on."""
    logging.basicConfig(level=level.upper(), format=FORMAT)


def log_failure(logger: logging.Logger, what: str) -> str:
    """Log the current exception with its traceback and give the reference the user is shown."""
    reference = secrets.token_hex(4)
    logger.exception("%s failed, reference %s", what, reference)
    return reference
