"""The hub as one web application: the STAC API and the openEO API over one archive."""

from pathlib import Path

from fastapi import FastAPI

from tools.hub.archive import Archive
from tools.hub.limits import Limits


def create_hub(hub_dir: Path, limits: Limits | None = None) -> FastAPI:
    """Build the hub's application over the archive in this folder."""
    from tools.hub.openeo_api import openeo_router
    from tools.hub.stac_api import stac_router

    archive = Archive(hub_dir)
    archive.remove_leftovers()
    # The interactive pages would load their scripts from a CDN, so they are off.
    app = FastAPI(title="CLMS Assistant hub", docs_url=None, redoc_url=None)
    app.include_router(stac_router(archive), prefix="/stac")
    app.include_router(openeo_router(archive, limits or Limits()), prefix="/openeo")
    return app
