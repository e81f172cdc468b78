"""The openEO API 1.2 over the archive: capabilities, collections, processes, validation, results and batch jobs."""

import logging
import sqlite3
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.routing import APIRoute

from knowledge.errors import ClmsError
from tools.hub.archive import Archive
from tools.hub.cluster import Cluster
from tools.hub.cube_cache import CubeCache
from tools.hub.jobs import Jobs, Work
from tools.hub.limits import Limits
from tools.hub.openeo_errors import OpenEOError, storage_failure
from tools.hub.process_specs import process_specs
from tools.hub.results import MEDIA_TYPES, media_type
from tools.hub.run import process_graph_of, run_to_file, validation_errors
from tools.hub.user_processes import UserProcesses, refuse_recursion
from tools.hub.watch import Run

Json = dict[str, Any]
JsonBody = Annotated[Json, Body()]
Limit = Annotated[int | None, Query(ge=1)]
API_VERSION = "1.2.0"
_PIECE_BYTES = 1_000_000
log = logging.getLogger(__name__)


class OpenEORoute(APIRoute):
    """A route whose failures have openEO's shape: id, code, message."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler so that no failure leaves in another shape."""
        handler = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await handler(request)
            except (RequestValidationError, HTTPException):
                text = "The request's body or parameters are not what the API describes, or the body is no JSON object."
                return error_response(OpenEOError("InvalidRequest", text))
            except RecursionError:
                return error_response(OpenEOError("ProcessGraphInvalid", "The request is nested too deeply."))
            except ClmsError as error:
                return error_response(error)
            except (OSError, sqlite3.OperationalError) as error:
                log.exception("openEO request failed on the disk")
                return error_response(storage_failure(error))
            except Exception:  # a door: the traceback is logged, the caller sees its reference
                reference = uuid.uuid4().hex
                log.exception("openEO request failed, reference %s", reference)
                return error_response(
                    OpenEOError("Internal", f"The back-end failed; reference {reference}."), reference
                )

        return guarded


def error_response(error: ClmsError, reference: str | None = None) -> JSONResponse:
    """Write a failure as openEO does."""
    known = error if isinstance(error, OpenEOError) else OpenEOError("ProcessGraphInvalid", str(error))
    body = {"id": reference or uuid.uuid4().hex, "code": known.code, "message": str(known), "links": []}
    return JSONResponse(body, known.status)


def openeo_router(archive: Archive, limits: Limits) -> APIRouter:
    """Build the openEO routes over an archive."""
    # Not the threads of the requests: each thread that computes keeps memory, and there is one for each client.
    threads = ThreadPoolExecutor(limits.runs, thread_name_prefix="openeo-run")

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        yield
        threads.shutdown(wait=False, cancel_futures=True)

    router = APIRouter(route_class=OpenEORoute, tags=["openEO"], lifespan=lifespan)
    _add_discovery(router, archive)
    cubes, cluster = CubeCache(limits.kept_bytes), Cluster(limits.dask_scheduler)

    user = UserProcesses(archive.hub_dir / "processes.sqlite", {spec["id"]: spec for spec in process_specs()})
    slots = threading.BoundedSemaphore(limits.runs)

    def work(graph: Json, folder: Path, run: Run) -> Path:
        # Others wait: memory is that of so many runs, however many ask at once.
        with slots:
            return run_to_file(
                archive, graph, folder, run, limits=limits, cubes=cubes, cluster=cluster, user=user.all()
            )

    def apart(graph: Json, folder: Path, run: Run) -> Path:
        return threads.submit(work, graph, folder, run).result()

    _add_processing(router, archive, apart, user)
    _add_user_processes(router, archive, user)
    jobs = Jobs(archive.hub_dir / "jobs", work)
    _add_jobs(router, jobs)
    _add_job_results(router, jobs)
    return router


def base_url(request: Request) -> str:
    """Give the address of the API's root as this caller sees it, without the final slash."""
    path = request.scope["path"]
    marker = path.find("/openeo")
    return str(request.url.replace(path=path[: marker + len("/openeo")] if marker >= 0 else "", query="")).rstrip("/?")


def _add_discovery(router: APIRouter, archive: Archive) -> None:
    @router.get("/.well-known/openeo")
    def well_known(request: Request) -> Json:
        return {"versions": [{"url": base_url(request), "api_version": API_VERSION, "production": False}]}

    @router.get("/")
    def capabilities(request: Request) -> Json:
        return _capabilities(base_url(request), router)

    @router.get("/conformance")
    def conformance() -> Json:
        return {"conformsTo": _CONFORMANCE}

    @router.get("/collections")
    def collections() -> Json:
        return {"collections": [c for c in archive.collections() if c.get("clms:kind") != "vector"], "links": []}

    @router.get("/collections/{collection_id}")
    def collection(collection_id: str) -> Json:
        found = archive.collection(collection_id)
        if found is None:
            raise OpenEOError("CollectionNotFound", f"The collection '{collection_id}' does not exist.")
        return {"links": [], **found}

    @router.get("/processes")
    def processes() -> Json:
        return {"processes": process_specs(), "links": []}

    @router.get("/file_formats")
    def file_formats() -> Json:
        titles = {"GTIFF": "GTiff", "NETCDF": "netCDF", "ZARR": "Zarr"}
        kinds = {"JSON": ["raster", "table", "vector"], "CSV": ["table"]}
        return {
            "input": {},
            "output": {
                titles.get(name, name): {"gis_data_types": kinds.get(name, ["raster"]), "parameters": {}}
                for name in MEDIA_TYPES
            },
        }


_CONFORMANCE = [
    "https://api.openeo.org/1.2.0",
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
]


def _capabilities(url: str, router: APIRouter) -> Json:
    endpoints: dict[str, set[str]] = {}
    for route in router.routes:
        if isinstance(route, APIRoute):
            endpoints.setdefault(route.path, set()).update((route.methods or set()) - {"HEAD"})
    return {
        "api_version": API_VERSION,
        "backend_version": "0.1.0",
        "stac_version": "1.0.0",
        "type": "Catalog",
        "id": "clms-assistant-hub",
        "title": "CLMS Assistant hub",
        "description": "openEO over the rasters kept on this machine.",
        "conformsTo": _CONFORMANCE,
        "production": False,
        "endpoints": [{"path": path, "methods": sorted(methods)} for path, methods in endpoints.items()],
        "links": [
            {"rel": "self", "href": f"{url}/", "type": "application/json"},
            {"rel": "data", "href": f"{url}/collections", "type": "application/json"},
            {"rel": "conformance", "href": f"{url}/conformance", "type": "application/json"},
        ],
    }


def _add_processing(router: APIRouter, archive: Archive, work: Work, user: UserProcesses) -> None:
    @router.post("/validation")
    def validation(body: JsonBody) -> Json:
        graph = process_graph_of(body)
        errors = validation_errors(archive, graph, user.all())
        return {"errors": [{"code": e.code, "message": str(e)} for e in errors]}

    @router.post("/result")
    def result(body: JsonBody) -> Response:
        graph = process_graph_of(body)
        with ExitStack() as until_sent:
            path = work(graph, until_sent.enter_context(archive.temporary_folder("result")), Run())
            size = {"Content-Length": str(path.stat().st_size)}
            pieces = _pieces(path, until_sent.pop_all())
            return StreamingResponse(pieces, headers=size, media_type=media_type(path))


def _pieces(path: Path, until_sent: ExitStack) -> Iterator[bytes]:
    """Give a file piece by piece: large results and slow clients take no memory."""
    with until_sent, path.open("rb") as file:
        yield from iter(lambda: file.read(_PIECE_BYTES), b"")


def _add_user_processes(router: APIRouter, archive: Archive, user: UserProcesses) -> None:
    @router.get("/process_graphs")
    def list_user_processes() -> Json:
        return {"processes": user.listed(), "links": []}

    @router.get("/process_graphs/{process_id}")
    def describe_user_process(process_id: str) -> Json:
        return user.get(process_id)

    @router.put("/process_graphs/{process_id}")
    def store_user_process(process_id: str, body: JsonBody) -> Response:
        graph = process_graph_of(body)
        known = {**user.all(), process_id: body}
        refuse_recursion(process_id, known)
        errors = validation_errors(archive, graph, known)
        if errors:
            raise errors[0]
        user.put(process_id, body)
        return Response(status_code=200)

    @router.delete("/process_graphs/{process_id}", status_code=204)
    def delete_user_process(process_id: str) -> Response:
        user.delete(process_id)
        return Response(status_code=204)


def _add_jobs(router: APIRouter, jobs: Jobs) -> None:
    @router.get("/jobs")
    def list_jobs() -> Json:
        return {"jobs": [{k: v for k, v in job.items() if k != "process"} for job in jobs.all()], "links": []}

    @router.post("/jobs", status_code=201)
    def create(request: Request, body: JsonBody) -> Response:
        process_graph_of(body)
        job_id = jobs.create(body)
        url = f"{base_url(request)}/jobs/{job_id}"
        return Response(status_code=201, headers={"Location": url, "OpenEO-Identifier": job_id})

    @router.get("/jobs/{job_id}")
    def describe(job_id: str) -> Json:
        return jobs.get(job_id)

    @router.patch("/jobs/{job_id}", status_code=204)
    def change(job_id: str, body: JsonBody) -> Response:
        if "process" in body:
            process_graph_of(body)
        jobs.change(job_id, body)
        return Response(status_code=204)

    @router.delete("/jobs/{job_id}", status_code=204)
    def delete(job_id: str) -> Response:
        jobs.delete(job_id)
        return Response(status_code=204)


def _add_job_results(router: APIRouter, jobs: Jobs) -> None:
    @router.post("/jobs/{job_id}/results", status_code=202)
    def start(job_id: str) -> Response:
        jobs.start(job_id)
        return Response(status_code=202)

    @router.delete("/jobs/{job_id}/results", status_code=204)
    def cancel(job_id: str) -> Response:
        jobs.cancel(job_id)
        return Response(status_code=204)

    @router.get("/jobs/{job_id}/logs")
    def logs(job_id: str, level: str = "debug", offset: str = "", limit: Limit = None) -> Json:
        return {"level": level, "logs": jobs.logs(job_id, level, offset, limit), "links": []}

    @router.get("/jobs/{job_id}/results")
    def results(request: Request, job_id: str) -> Json:
        return _results_item(jobs.finished(job_id), jobs.result_files(job_id), f"{base_url(request)}/jobs/{job_id}")

    @router.get("/jobs/{job_id}/results/{name}")
    def download(job_id: str, name: str) -> Response:
        files = {path.name: path for path in jobs.result_files(job_id)}
        if name not in files:
            raise OpenEOError("FileNotFound", f"The job has no file '{name}'.")
        return FileResponse(files[name])


def _results_item(job: Json, files: list[Path], url: str) -> Json:
    """Describe a job's results as a STAC item."""
    assets = {
        path.name: {"href": f"{url}/results/{path.name}", "type": media_type(path), "roles": ["data"]} for path in files
    }
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": job["id"],
        "geometry": None,
        "properties": {"datetime": job["updated"], "created": job["created"], "title": job.get("title")},
        "assets": assets,
        "links": [{"rel": "canonical", "href": f"{url}/results", "type": "application/geo+json"}],
    }
