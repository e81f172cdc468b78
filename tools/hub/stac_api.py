"""The hub's STAC API: what `pystac-client` asks for, answered from the archive."""

import mimetypes
from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Body, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.routing import APIRoute

from knowledge.errors import ClmsError
from tools.errors import ToolInputError
from tools.hub.archive import Archive, Json
from tools.hub.stac_query import Search, collection_search, from_body, from_query_string

CONFORMANCE = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "https://api.stacspec.org/v1.0.0-rc.1/collection-search",
    "https://api.stacspec.org/v1.0.0-rc.1/collection-search#free-text",
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/simple-query",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#fields",
    "https://api.stacspec.org/v1.0.0/item-search#sort",
    "https://api.stacspec.org/v1.0.0/item-search#query",
    "https://api.stacspec.org/v1.0.0/item-search#filter",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-json",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
]
_GEOJSON = "application/geo+json"
_OPENAPI = "application/vnd.oai.openapi+json;version=3.1"


class NotInHubError(ClmsError):
    """The hub has no collection, item or asset of this id."""


class StacRoute(APIRoute):
    """Turns expected failures into the error body of the STAC API."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the usual handler."""
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handler(request)
            except NotInHubError as error:
                return _error(404, "NotFound", str(error))
            except ToolInputError as error:
                return _error(400, "InvalidParameterValue", str(error))
            except RequestValidationError:
                return _error(400, "InvalidParameterValue", "The request body is not a JSON object.")
            except HTTPException as error:
                return _error(error.status_code, "BadRequest", str(error.detail))

        return answer


def stac_router(archive: Archive) -> APIRouter:
    """Build the routes of the STAC API; mount them under `/stac`."""
    router = APIRouter(route_class=StacRoute, tags=["STAC"])
    _add_catalogue_routes(router, archive)
    _add_item_routes(router, archive)
    return router


def stac_root(request: Request) -> str:
    """Give the address of the STAC landing page, wherever the hub is mounted."""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}/stac"


def _error(status: int, code: str, description: str) -> JSONResponse:
    return JSONResponse({"code": code, "description": description}, status_code=status)


def _add_catalogue_routes(router: APIRouter, archive: Archive) -> None:
    @router.get("")
    @router.get("/", include_in_schema=False)
    def landing(request: Request) -> Json:
        """Describe the API and link to its parts."""
        return _landing(stac_root(request), archive)

    @router.get("/api")
    def service_description(request: Request) -> JSONResponse:
        """Describe the routes as OpenAPI."""
        return JSONResponse(request.app.openapi(), media_type=_OPENAPI)

    @router.get("/conformance")
    def conformance() -> Json:
        """List what the API conforms to."""
        return {"conformsTo": CONFORMANCE}

    @router.get("/collections")
    def collections(request: Request) -> Json:
        """List all collections, or those about something, somewhere, at some time."""
        root = stac_root(request)
        wanted = collection_search(dict(request.query_params))
        known = archive.collections() if wanted.terms is None else archive.collections_about(wanted.terms)
        found = [body for body in known if wanted.accepts(body)]
        return {
            "collections": [_linked_collection(body, root) for body in found[: wanted.limit]],
            "numberMatched": len(found),
            "numberReturned": len(found[: wanted.limit]),
            "links": [_link("self", f"{root}/collections"), _link("root", root)],
        }

    @router.get("/collections/{collection_id}")
    def collection(request: Request, collection_id: str) -> Json:
        """Describe one collection."""
        return _linked_collection(_collection(archive, collection_id), stac_root(request))

    @router.get("/queryables")
    def queryables(request: Request) -> JSONResponse:
        """Name the properties that a filter may use."""
        return _queryables(f"{stac_root(request)}/queryables")

    @router.get("/collections/{collection_id}/queryables")
    def collection_queryables(request: Request, collection_id: str) -> JSONResponse:
        """Name the properties that a filter on this collection may use."""
        _collection(archive, collection_id)
        return _queryables(f"{stac_root(request)}/collections/{quote(collection_id)}/queryables")


def _add_item_routes(router: APIRouter, archive: Archive) -> None:
    @router.get("/search")
    def search(request: Request) -> JSONResponse:
        """Search items by query string."""
        parameters = dict(request.query_params)
        url = f"{stac_root(request)}/search"
        found = from_query_string(parameters)
        return _page(archive, found, stac_root(request), str(request.url), _get_next(url, parameters))

    @router.post("/search")
    def search_by_body(request: Request, body: Annotated[Json, Body()]) -> JSONResponse:
        """Search items by JSON body."""
        root = stac_root(request)

        def next_link(token: str) -> Json:
            return _link("next", f"{root}/search", _GEOJSON) | {"method": "POST", "body": {**body, "token": token}}

        return _page(archive, from_body(body), root, f"{root}/search", next_link)

    @router.get("/collections/{collection_id}/items")
    def items(request: Request, collection_id: str) -> JSONResponse:
        """List or search the items of one collection."""
        _collection(archive, collection_id)
        parameters = dict(request.query_params)
        found = from_query_string({**parameters, "collections": ""} | {"collections": collection_id})
        url = f"{stac_root(request)}/collections/{quote(collection_id)}/items"
        return _page(archive, found, stac_root(request), str(request.url), _get_next(url, parameters))

    @router.get("/collections/{collection_id}/items/{item_id}")
    def item(request: Request, collection_id: str, item_id: str) -> JSONResponse:
        """Give one item."""
        body = _item(archive, collection_id, item_id)
        return JSONResponse(_linked_item(body, stac_root(request)), media_type=_GEOJSON)

    @router.get("/collections/{collection_id}/items/{item_id}/assets/{key}")
    @router.head("/collections/{collection_id}/items/{item_id}/assets/{key}", include_in_schema=False)
    def asset(collection_id: str, item_id: str, key: str) -> FileResponse:
        """Give the file of an asset; only files that the archive names can be reached."""
        body = _item(archive, collection_id, item_id)
        try:
            path = archive.asset_path(body, key)
        except ClmsError as error:
            raise NotInHubError(error.message, hint=error.hint) from error
        media_type = body["assets"][key].get("type") or mimetypes.guess_type(path.name)[0]
        return FileResponse(path, media_type=media_type, filename=path.name)


def _collection(archive: Archive, collection_id: str) -> Json:
    body = archive.collection(collection_id)
    if body is None:
        raise NotInHubError(f"The hub has no collection {collection_id!r}.", hint="See /collections.")
    return body


def _item(archive: Archive, collection_id: str, item_id: str) -> Json:
    body = archive.item(collection_id, item_id)
    if body is None:
        raise NotInHubError(f"Collection {collection_id!r} has no item {item_id!r}.")
    return body


def _page(archive: Archive, search: Search, root: str, url: str, next_link: Callable[[str], Json]) -> JSONResponse:
    page = archive.search(search.query, limit=search.limit, token=search.token)
    links = [_link("self", url, _GEOJSON), _link("root", root)]
    if page.next_token is not None:
        links.append(next_link(page.next_token))
    items = [_linked_item(body, root) for body in page.items]
    content = {
        "type": "FeatureCollection",
        "features": [fields.of(item) for item in items] if (fields := search.fields) else items,
        "links": links,
        "numberReturned": len(page.items),
    }
    return JSONResponse(content, media_type=_GEOJSON)


def _get_next(url: str, parameters: dict[str, str]) -> Callable[[str], Json]:
    def link(token: str) -> Json:
        return _link("next", f"{url}?{urlencode({**parameters, 'token': token})}", _GEOJSON) | {"method": "GET"}

    return link


def _link(rel: str, href: str, media_type: str = "application/json") -> Json:
    return {"rel": rel, "href": href, "type": media_type}


def _landing(root: str, archive: Archive) -> Json:
    return {
        "type": "Catalog",
        "stac_version": "1.0.0",
        "id": "clms-hub",
        "title": "CLMS Assistant hub",
        "description": "Collections held on this machine. Demo collections are synthetic and say so.",
        "conformsTo": CONFORMANCE,
        "links": [
            _link("self", root),
            _link("root", root),
            _link("conformance", f"{root}/conformance"),
            _link("data", f"{root}/collections"),
            _link("search", f"{root}/search", _GEOJSON) | {"method": "GET"},
            _link("search", f"{root}/search", _GEOJSON) | {"method": "POST"},
            _link("http://www.opengis.net/def/rel/ogc/1.0/queryables", f"{root}/queryables", "application/schema+json"),
            _link("service-desc", f"{root}/api", _OPENAPI),
            *(
                _link("child", f"{root}/collections/{quote(body['id'])}") | {"title": body.get("title", body["id"])}
                for body in archive.collections()
            ),
        ],
    }


_quoted = lru_cache(quote)
"""Of names that come again with every item."""


def _linked_collection(body: Json, root: str) -> Json:
    url = f"{root}/collections/{quote(body['id'])}"
    links = [
        _link("self", url),
        _link("root", root),
        _link("parent", root),
        _link("items", f"{url}/items", _GEOJSON),
        _link("http://www.opengis.net/def/rel/ogc/1.0/queryables", f"{url}/queryables", "application/schema+json"),
    ]
    return {**body, "links": [*links, *body.get("links", [])]}


def _linked_item(body: Json, root: str) -> Json:
    collection = f"{root}/collections/{_quoted(body['collection'])}"
    url = f"{collection}/items/{quote(body['id'])}"
    links = [
        _link("self", url, _GEOJSON),
        _link("root", root),
        _link("parent", collection),
        _link("collection", collection),
    ]
    assets = {key: {**asset, "href": f"{url}/assets/{_quoted(key)}"} for key, asset in body["assets"].items()}
    return {**body, "links": [*links, *body.get("links", [])], "assets": assets}


def _queryables(url: str) -> JSONResponse:
    properties = {
        "id": {"type": "string"},
        "collection": {"type": "string"},
        "datetime": {"type": "string", "format": "date-time"},
        "eo:cloud_cover": {"type": "number", "minimum": 0, "maximum": 100},
        "clms:synthetic": {"type": "boolean"},
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2019-09/schema",
        "$id": url,
        "type": "object",
        "title": "Queryables",
        "properties": properties,
        "additionalProperties": True,
    }
    return JSONResponse(schema, media_type="application/schema+json")
