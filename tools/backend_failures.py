"""What an openEO service does wrong, told apart: dead, slow, lying, no login, no credits, too many requests."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from knowledge.errors import ClmsError
from tools.errors import BackendUnavailable, JobFailed, LoginExpired, LoginRefused, NoScenes, QuotaExhausted

TRY_LATER = "Check the address in the settings (CLMS_OPENEO_URL), or try again in a while."
NO_CREDITS = {"PaymentRequired", "InsufficientCredits", "CreditsInsufficient", "BillingPlanInvalid"}
NOT_KNOWN = {"AuthenticationRequired", "TokenInvalid", "CredentialsInvalid", "AuthenticationSchemeInvalid"}
"""Codes of openEO that a new login mends: https://github.com/Open-EO/openeo-api/blob/master/errors.json"""
_SECRET = re.compile(r"(?i)bearer\s+\S+|[\w-]{16,}\.[\w-]{16,}\.[\w-]+|[\w/+=-]{60,}")


@contextmanager
def failures_told(url: str, *, limits: str = "", account_url: str = "") -> Iterator[None]:
    """Turn what the client and the network raise into the project's failures.

    Args:
        url: Address of the service.
        limits: Its limits in words, for who has met them.
        account_url: Where users see what is left of their account.
    """
    import requests
    from openeo.rest import OpenEoApiError, OpenEoApiPlainError, OpenEoClientException
    from openeo.rest.auth.oidc import OidcException
    from openeo.utils.version import ApiVersionException

    try:
        yield
    except OpenEoApiError as error:
        raise refused(error, url, limits=limits, account_url=account_url) from error
    except OpenEoApiPlainError as error:
        status = error.http_status_code or 0
        raise _by_status(url, status, limits, account_url) or _no_openeo(url, status) from error
    except OidcException as error:
        text = f"The login service of {url} does not answer as it should."
        raise BackendUnavailable(text, "Try again in a while, or use the embedded hub.") from error
    except requests.Timeout as error:
        text = f"The openEO service at {url} did not answer in time."
        raise BackendUnavailable(text, "Ask for a smaller area or a shorter period, or try again later.") from error
    except requests.JSONDecodeError as error:
        raise BackendUnavailable(f"The openEO service at {url} answers nonsense.", TRY_LATER) from error
    except requests.RequestException as error:
        raise BackendUnavailable(f"The openEO service at {url} cannot be reached.", TRY_LATER) from error
    except (OpenEoClientException, ApiVersionException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackendUnavailable(f"The openEO service at {url} answers nonsense.", TRY_LATER) from error


def refused(error: Any, url: str, *, limits: str = "", account_url: str = "") -> ClmsError:
    """Tell an openEO error: what it means for the user, and what to do."""
    code, status = str(error.code), int(error.http_status_code or 0)
    if code == "NoDataAvailable":
        return NoScenes("The back-end has no data for this place and period.", "Try a longer period.")
    if code in NO_CREDITS:
        status = 402
    elif code in NOT_KNOWN and code != "AuthenticationRequired":
        return LoginExpired(f"The openEO service at {url} no longer accepts the login.", "Ask again to log in anew.")
    if told := _by_status(url, status, limits, account_url):
        return told
    if status in (502, 503, 504):
        return BackendUnavailable(f"The openEO service is busy: {short(error.message)}", TRY_LATER)
    return JobFailed(f"The back-end could not compute this: {short(error.message)}", "Try a smaller area or period.")


def _by_status(url: str, status: int, limits: str, account_url: str) -> ClmsError | None:
    """Tell what the HTTP status alone says."""
    if status == 401:
        return LoginRefused(f"The openEO service at {url} wants a login.", "Log in first, or use the embedded hub.")
    if status == 403:
        text = f"The openEO service at {url} does not allow this account to compute this."
        return BackendUnavailable(text, "Look whether the account is complete and its terms are accepted.")
    if status == 402:
        text = f"The account at {url} has no credits left for this."
        where = f" What is left is told at {account_url}." if account_url else ""
        return QuotaExhausted(
            text, f"Ask for a smaller area, wait until the credits are renewed, or use the embedded hub.{where}"
        )
    if status == 429:
        text = f"The openEO service at {url} takes no more requests for now."
        allowed = f" Its limits: {limits}." if limits else ""
        return QuotaExhausted(text, f"Wait a minute and ask again.{allowed}")
    return None


def _no_openeo(url: str, status: int) -> BackendUnavailable:
    return BackendUnavailable(f"The openEO service at {url} answered HTTP {status} without an openEO error.", TRY_LATER)


def check_root(url: str, found: str) -> None:
    """Refuse a service that leads to another host or off https: a login must not go there.

    Raises:
        BackendUnavailable: The root that the service names is not where the settings say.
    """
    asked, there = urlsplit(url if "://" in url else f"https://{url}"), urlsplit(found)
    if asked.hostname != there.hostname or (asked.scheme == "https" and there.scheme != "https"):
        raise BackendUnavailable(
            f"The openEO service at {url} leads to {short(found)}, which is not the host of the settings.",
            "If the service has moved, put its new address into the settings (CLMS_OPENEO_URL).",
        )


def short(text: object) -> str:
    """Cut what a service says to one line without anything like a token: it is shown, never trusted."""
    return _SECRET.sub("[hidden]", " ".join(str(text).split()))[:200]
