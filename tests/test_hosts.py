"""On loopback, the whole application answers to the names of this machine only."""

import httpx
import pytest

from assistant.settings import Settings
from ui.api import create_app

PATHS = ("/healthz", "/v1/models", "/api/products", "/mcp", "/")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example"])
async def test_a_page_elsewhere_reaches_nothing(settings: Settings, host: str) -> None:
    app = create_app(settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        for path in PATHS:
            assert (await client.get(path, headers={"Host": host})).status_code in (400, 421)


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost", "[::1]:7860"])
async def test_this_machine_is_served_under_all_its_names(settings: Settings, host: str) -> None:
    app = create_app(settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        assert (await client.get("/healthz", headers={"Host": host})).status_code == 200
