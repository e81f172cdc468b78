"""The HTTP of the STAC client: one host, answers of bounded size, short waits."""

from typing import Any
from urllib.parse import urlsplit

from tools.errors import BackendUnavailable

MAX_ANSWER_BYTES = 64_000_000
LONGEST_WAIT_S = 60.0
_CHUNK = 65_536


def one_host_wire(url: str, *, user_agent: str, timeout_s: float, attempts: int) -> Any:
    """Make pystac-client's transport for one service.

    Links to the next page, redirects and all else that the service says lead only to the host of `url`.
    """
    from pystac_client.stac_api_io import StacApiIO
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    host = urlsplit(url).netloc.lower()

    class OneHost(HTTPAdapter):
        """Asks one host, also where a redirect leads elsewhere."""

        def send(self, request: Any, stream: bool = False, **how: Any) -> Any:  # type: ignore[override]  # all by name
            """Send, and take an answer of bounded size."""
            _check(str(request.url), host)
            answer = super().send(request, stream=True, **how)
            # Kept where requests keeps a body it has read.
            answer._content = _bounded(answer)
            return answer

    class OneHostIO(StacApiIO):
        """Reads addresses only: a link without a scheme would be a file of this machine."""

        def read_text(self, source: Any, *args: Any, **parameters: Any) -> str:
            """Read what a link leads to."""
            _check(str(getattr(source, "href", source)), host)
            return str(super().read_text(source, *args, **parameters))

    class ShortWaits(Retry):
        """Waits as long as a busy service asks, but not for hours."""

        def get_retry_after(self, response: Any) -> float | None:
            """Give the seconds to wait."""
            seconds = super().get_retry_after(response)
            return None if seconds is None else min(seconds, LONGEST_WAIT_S)

    retry = ShortWaits(total=attempts - 1, backoff_factor=0.3, status_forcelist=[429, 502, 503], allowed_methods=None)
    wire = OneHostIO(headers={"User-Agent": user_agent}, timeout=timeout_s)
    for scheme in ("http://", "https://"):
        wire.session.mount(scheme, OneHost(max_retries=retry))
    return wire


def _check(url: str, host: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.netloc.lower() != host:
        raise BackendUnavailable(
            f"The STAC service at {host} leads to {url.partition('?')[0][:120]!r}, which is not on its own host.",
            hint="If the service has moved, put its new address into the settings (CLMS_STAC_URL).",
        )


def _bounded(answer: Any) -> bytes:
    body = bytearray()
    for chunk in answer.iter_content(_CHUNK):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            answer.close()
            raise BackendUnavailable(
                f"An answer of the STAC service is larger than {MAX_ANSWER_BYTES / 1e6:.0f} MB.",
                hint="Ask for a smaller place or a shorter period.",
            )
    return bytes(body)
