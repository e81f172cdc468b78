"""An openEO service on loopback that behaves like CDSE: its own identity provider, ids, bands and batch jobs.

The numbers are real: behind it a hub computes on tiny rasters. The files hold whole numbers with an offset, as STAC
says; like CDSE, the service hands out values with the offset applied and the scale left to the caller.
"""

import asyncio
import json
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from numpy.typing import NDArray
from rasterio.warp import transform_bounds

from tools.hub.app import create_hub
from tools.hub.archive import Archive
from tools.hub.files import Band, Grid, collection_json, item_json, raster_asset, write_cog

Json = dict[str, Any]
SCALE, OFFSET = 0.0001, -0.1
STAC_ID, OPENEO_ID, SERVED = "sentinel-2-l2a", "SENTINEL2_L2A", "behind-the-service"
DAYS = (date(2025, 6, 5), date(2025, 6, 15), date(2025, 6, 25))
SIZE, WEST, NORTH, CRS = 16, 600_000.0, 5_330_000.0, "EPSG:32630"
NAMES = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir"}
KEPT = ("content-type", "location", "openeo-identifier")
PUBLIC = ("", ".well-known/openeo", "collections", "processes", "file_formats", "conformance", "credentials/oidc")


def make_archive(hub_dir: Path) -> dict[str, NDArray[np.float64]]:
    """Write the scenes twice: as the STAC service lists them and as the openEO service hands them out.

    Returns the reflectance of each band, dates by rows by columns, NaN where the scene classification says cloud.
    """
    random, archive = np.random.default_rng(11), Archive(hub_dir)
    stored = {name: random.integers(900, 6000, (len(DAYS), SIZE, SIZE)).astype("uint16") for name in NAMES}
    classes = random.choice([4, 4, 5, 9], (len(DAYS), SIZE, SIZE)).astype("uint8")
    listed = [Band(f"{name}_10m", 10.0, common, SCALE, OFFSET, 0.0) for name, common in NAMES.items()]
    served = [Band(name, 10.0, common, 1.0, 0.0, -32768.0) for name, common in NAMES.items()]
    grid = Grid(CRS, (10.0, 0.0, WEST, 0.0, -10.0, NORTH), SIZE, SIZE)
    for collection_id, bands, scl in ((STAC_ID, listed, "SCL_20m"), (SERVED, served, "SCL")):
        files = {band.name: stored[band.name[:3]] for band in bands}
        if collection_id == SERVED:
            files = {name: values.astype("int16") - 1000 for name, values in files.items()}
        everything = [*bands, Band(scl, 10.0, nodata=0.0, role="scl")]
        items = [
            _item(
                hub_dir, collection_id, day, grid, everything, {n: v[place] for n, v in {**files, scl: classes}.items()}
            )
            for place, day in enumerate(DAYS)
        ]
        head = {"id": collection_id, "title": "Sentinel-2", "description": "Test scenes.", "license": "CC0-1.0"}
        archive.put([collection_json(head, items=items, bands=everything)], items)
    clear = np.where(classes == 9, np.nan, 1.0)
    return {name: (values * SCALE + OFFSET) * clear for name, values in stored.items()}


def _item(hub_dir: Path, collection_id: str, day: date, grid: Grid, bands: list[Band], files: dict[str, Any]) -> Json:
    (hub_dir / collection_id).mkdir(parents=True, exist_ok=True)
    assets = {}
    for band in bands:
        href = f"{collection_id}/{day}_{band.name}.tif"
        write_cog(hub_dir / href, files[band.name], grid, nodata=band.nodata)
        assets[band.name] = raster_asset(href, band, grid, data_type=str(files[band.name].dtype), title=band.name)
    properties = {"datetime": f"{day}T10:50:00Z", "eo:cloud_cover": 20.0}
    return item_json(f"S2_{day}", collection_id, geometry=grid.footprint, properties=properties, assets=assets)


def bounds() -> tuple[float, float, float, float]:
    """Give the outer edges of the scenes, degrees."""
    return transform_bounds(CRS, "EPSG:4326", WEST, NORTH - SIZE * 10, WEST + SIZE * 10, NORTH)


@dataclass
class Cdse:
    """What the service knows and does; tests turn its knobs."""

    url: str = ""
    stac_url: str = ""
    token_life_s: float = 600.0
    refuse: list[tuple[int, str, str]] = field(default_factory=list)
    """Status, code and message that the next computations are refused with, one each."""
    slow_s: float = 0.0
    tells_scale: bool = False
    other_collections: int = 0
    """Land collections that the STAC service lists before the scenes, 200 to a page."""
    pages: int = 0
    """Pages of collections asked for."""
    verify_host: str = ""
    """Where the login page is said to be; empty: here."""
    costs: float | None = None
    """Credits that a run is said to have cost."""
    estimate: float | None = None
    """Credits that a job is estimated at; None: the service estimates nothing."""
    hold_jobs: bool = False
    """True while no job leaves the queue."""
    job_error: str = ""
    given: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Access token to user and end."""
    refresh: dict[str, str] = field(default_factory=dict)
    codes: dict[str, Json] = field(default_factory=dict)
    """User code to device code, and user once one has entered it."""
    owners: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str, Json]] = field(default_factory=list)
    """Method, path and body of what was asked with a login."""
    client: tuple[str, str] = ("robot", "robot-secret-nobody-may-see-anywhere")

    def log_in(self, code: str, user: str = "ada") -> None:
        """Do what the user does on the login page."""
        self.codes[code]["user"] = user

    def secrets(self) -> list[str]:
        """Give all that must never be seen outside."""
        return [*self.given, *self.refresh, *(one["device_code"] for one in self.codes.values()), self.client[1]]

    def issue(self, user: str) -> Json:
        """Make tokens."""
        access, refresh = (f"{kind}-{secrets.token_urlsafe(40)}" for kind in ("access", "refresh"))
        self.given[access] = (user, time.monotonic() + self.token_life_s)
        self.refresh[refresh] = user
        return {"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 600}

    def user_of(self, header: str) -> str:
        """Give the user of an Authorization header.

        Raises:
            Refused: There is none, or it is no longer good.
        """
        if not header:
            raise Refused(401, "AuthenticationRequired", "Unauthorized.")
        token = header.removeprefix("Bearer oidc/CDSE/")
        user, until = self.given.get(token, ("", 0.0))
        if not user or time.monotonic() > until:
            raise Refused(403, "TokenInvalid", "Authorization token has expired or is invalid. Please log in again.")
        return user


class Refused(Exception):
    """An openEO error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@contextmanager
def cdse_server(hub_dir: Path) -> Iterator[Cdse]:
    """Serve the archive of `make_archive` as CDSE would."""
    listener = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listener.getsockname()[1]}"
    state = Cdse(url=f"{base}/openeo", stac_url=f"{base}/stac")
    server = uvicorn.Server(uvicorn.Config(_app(state, hub_dir, base), log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield state
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


def _app(state: Cdse, hub_dir: Path, base: str) -> FastAPI:
    app, hub = FastAPI(), create_hub(hub_dir)
    app.state.hub_dir = hub_dir
    transport = httpx.ASGITransport(app=hub)
    _add_identity(app, state, base)

    @app.exception_handler(Refused)
    def refused(_: Request, error: Refused) -> JSONResponse:
        return JSONResponse({"id": "r-1", "code": error.code, "message": error.message}, error.status)

    async def forward(request: Request, body: bytes) -> Response:
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            headers = {"Content-Type": "application/json"} if body else {}
            found = await client.request(
                request.method, request.url.path, params=request.query_params, content=body, headers=headers
            )
        kept = {
            k: v for k, v in found.headers.items() if k.lower() in ("content-type", "location", "openeo-identifier")
        }
        return Response(_as_cdse(state, request.url.path, found.content), found.status_code, kept)

    @app.get("/stac/collections")
    async def collections(request: Request, page: int = 0) -> Json:
        told = json.loads((await forward(request, b"")).body)
        return _page(state, told, page, base)

    @app.api_route("/stac{path:path}", methods=["GET", "POST"])
    async def stac(path: str, request: Request) -> Response:
        return await forward(request, await request.body())

    @app.api_route("/openeo/{path:path}", methods=["GET", "POST", "DELETE"])
    async def openeo(path: str, request: Request) -> Response:
        body = await request.body()
        if path in PUBLIC or path.startswith("collections/"):
            return await forward(request, body)
        user = state.user_of(request.headers.get("Authorization", ""))
        state.requests.append((request.method, path, json.loads(body or b"{}")))
        await _misbehave(state, request.method, path, user)
        if path.endswith("/estimate"):
            return JSONResponse({"costs": state.estimate})
        answer = await forward(request, body.replace(f'"{OPENEO_ID}"'.encode(), f'"{SERVED}"'.encode()))
        if path == "jobs" and request.method == "POST":
            state.owners[answer.headers["openeo-identifier"]] = user
        if path == "result" and state.costs is not None:
            answer.headers["OpenEO-Costs"] = str(state.costs)
        return answer

    return app


async def _misbehave(state: Cdse, method: str, path: str, user: str) -> None:
    """Refuse, wait and hide what is another user's, as told."""
    parts = path.split("/")
    if parts[0] == "jobs" and len(parts) > 1 and state.owners.get(parts[1]) != user:
        raise Refused(404, "JobNotFound", f"The batch job '{parts[1]}' does not exist.")
    computes = path == "result" or (parts[0] == "jobs" and parts[-1] == "results" and method == "POST")
    if computes and state.refuse:
        raise Refused(*state.refuse.pop(0))
    if computes and state.slow_s:
        await asyncio.sleep(state.slow_s)


def _as_cdse(state: Cdse, path: str, content: bytes) -> bytes:
    """Change what the hub says into what CDSE would say."""
    if path.rstrip("/") == "/openeo":
        told = json.loads(content)
        told["endpoints"].append({"path": "/credentials/oidc", "methods": ["GET"]})
        if state.estimate is not None:
            told["endpoints"].append({"path": "/jobs/{job_id}/estimate", "methods": ["GET"]})
        return json.dumps(told).encode()
    if path in ("/stac/collections", "/openeo/collections"):
        told = json.loads(content)
        kept = [_collection(state, path, one) for one in told["collections"] if one["id"] == _behind(path)]
        return json.dumps({**told, "collections": kept}).encode()
    parts = path.strip("/").split("/")
    if parts[:2] == ["openeo", "jobs"] and len(parts) == 3 and content:
        return json.dumps(_job_as_cdse(state, json.loads(content))).encode()
    if parts[-1] == "logs" and state.job_error:
        return json.dumps(
            {"level": "error", "logs": [{"id": "1", "level": "error", "message": state.job_error}]}
        ).encode()
    return content


def _job_as_cdse(state: Cdse, told: Json) -> Json:
    """Describe a job with its costs; one that was started, as the knobs say."""
    told |= {"costs": state.costs} if state.costs is not None else {}
    if told["status"] != "created" and state.hold_jobs:
        return {**told, "status": "queued", "progress": 0}
    return {**told, "status": "error"} if told["status"] != "created" and state.job_error else told


def _page(state: Cdse, told: Json, page: int, base: str) -> Json:
    """Give one page of all collections, in the order of their ids."""
    state.pages += 1
    stub = {**told["collections"][0], "summaries": {}, "item_assets": {"data": {"gsd": 300}}}
    every = [{**stub, "id": f"clms_layer-{number}_cog"} for number in range(state.other_collections)]
    every += told["collections"]
    more = (
        [{"rel": "next", "href": f"{base}/stac/collections?page={page + 1}"}] if len(every) > 200 * (page + 1) else []
    )
    return {"collections": every[200 * page : 200 * (page + 1)], "links": more}


def _behind(path: str) -> str:
    return STAC_ID if path.startswith("/stac") else SERVED


def _collection(state: Cdse, path: str, told: Json) -> Json:
    """Describe the one collection in the words of CDSE: by assets in STAC, by cube dimensions in openEO."""
    if path.startswith("/stac"):
        bands = told["summaries"].pop("bands")
        told["item_assets"] = {
            band["name"]: {
                "gsd": band["gsd"], "data_type": "uint16", "raster:scale": band["scale"],
                "raster:offset": band["offset"],
                "bands": [{"name": band["name"][:3], "eo:common_name": band.get("common_name")}],
            }
            for band in bands if band["name"] != "SCL_20m"
        } | {"SCL_20m": {"gsd": 20}}  # fmt: skip
        return told
    names = {**NAMES, "SCL": None}
    encoded = {"scale": 0.0001, "offset": 0.0} if state.tells_scale else {}
    return {
        "type": "Collection", "stac_version": "1.0.0", "id": OPENEO_ID, "title": "Sentinel-2 L2A", "links": [],
        "description": "Served with the offset applied.", "license": "other", "extent": told["extent"],
        "cube:dimensions": {**told["cube:dimensions"], "bands": {"type": "bands", "values": list(names)}},
        "summaries": {
            "eo:bands": [{"name": name} | ({"common_name": word} if word else {}) for name, word in names.items()],
            "raster:bands": [
                {"name": name, "openeo:gsd": {"value": 10, "unit": "m"}, **(encoded if word else {})}
                for name, word in names.items()
            ],
        },
    }  # fmt: skip


def _add_identity(app: FastAPI, state: Cdse, base: str) -> None:
    """Add what openEO says of logins, and the identity provider."""
    issuer = f"{base}/oidc"
    grants = ["urn:ietf:params:oauth:grant-type:device_code+pkce", "refresh_token"]

    @app.get("/openeo/credentials/oidc")
    def providers() -> Json:
        client = {"id": "public-client", "grant_types": grants}
        known = {"id": "CDSE", "issuer": issuer, "title": "Stand-in", "scopes": ["openid"], "default_clients": [client]}
        return {"providers": [known]}

    @app.get("/openeo/collections/{collection_id}")
    def collection(collection_id: str) -> Json:
        hub = Archive(app.state.hub_dir).collection(SERVED)
        if collection_id != OPENEO_ID or hub is None:
            raise Refused(404, "CollectionNotFound", f"Collection '{collection_id}' does not exist.")
        return _collection(state, "/openeo", hub)

    @app.get("/oidc/.well-known/openid-configuration")
    def discovery() -> Json:
        ends = {"token_endpoint": f"{issuer}/token", "device_authorization_endpoint": f"{issuer}/device"}
        return {"issuer": issuer, "scopes_supported": ["openid", "offline_access"], **ends}

    @app.post("/oidc/device")
    async def device() -> Json:
        code = f"{secrets.token_hex(2)}-{secrets.token_hex(2)}".upper()
        state.codes[code] = {"device_code": f"device-{secrets.token_urlsafe(40)}", "user": ""}
        page = f"{state.verify_host or issuer}/verify"
        links = {"verification_uri": page, "verification_uri_complete": f"{page}?user_code={code}"}
        return {
            "device_code": state.codes[code]["device_code"],
            "user_code": code,
            "interval": 1,
            "expires_in": 60,
            **links,
        }

    @app.post("/oidc/token")
    async def token(request: Request) -> Response:
        asked = dict(pair.split("=", 1) for pair in (await request.body()).decode().split("&"))
        if asked["grant_type"] == "client_credentials":
            good = (asked["client_id"], asked.get("client_secret")) == state.client
            return JSONResponse(state.issue("robot")) if good else JSONResponse({"error": "invalid_client"}, 401)
        if asked["grant_type"] == "refresh_token":
            user = state.refresh.get(asked["refresh_token"])
            return JSONResponse(state.issue(user)) if user else JSONResponse({"error": "invalid_grant"}, 400)
        user = next((one["user"] for one in state.codes.values() if one["device_code"] == asked["device_code"]), "")
        if user:
            return JSONResponse(state.issue(user))
        return JSONResponse({"error": "authorization_pending"}, 400)
