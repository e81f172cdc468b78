"""NUTS regions by code, from a file of the user's or, where the network is allowed, from GISCO, kept on disk."""

import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import BackendUnavailable, NotCovered, PlaceNotFound
from tools.names import fold
from tools.schema import Place, Polygons

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

logger = logging.getLogger(__name__)

GISCO_HOST = "gisco-services.ec.europa.eu"
GISCO_URL = f"https://{GISCO_HOST}/distribution/v2/nuts/geojson"
FILE_NAME = "NUTS_RG_10M_2024_4326_LEVL_{level}.geojson"
GISCO_SOURCE = "GISCO NUTS 2024, 1:10 million (© EuroGeographics for the administrative boundaries)"
OWN_FILE_HINT = "Try again later, or put a NUTS file (GeoJSON) in the folder `nuts` of the data folder."
MAX_BYTES = 60_000_000
LEAST_SHARE = 0.1
"""Share of a region, or of a place inside it, that they must have in common."""
CODE = re.compile(r"(?:NUTS\s*)?([A-Z]{2}[A-Z0-9]{0,3})")
COUNTRIES = """
AL AT BA BE BG CH CY CZ DE DK EE EL ES FI FR HR HU IE IS IT LI LT LU LV ME MK MT NL NO PL PT RO RS SE SI SK TR UK XK
"""
CODE_LETTERS = frozenset(COUNTRIES.split())


@dataclass(frozen=True)
class NutsSource:
    """Where NUTS boundaries may come from."""

    folder: Path
    """GeoJSON files with a property NUTS_ID: the user's own, and what was fetched."""
    url: str = ""
    """Folder of GISCO's files; empty where the network is not allowed."""
    hosts: frozenset[str] = frozenset({GISCO_HOST})
    """Hosts that may be asked."""
    timeout_s: float = 30.0
    lau_url: str = ""
    """Folder of GISCO's file of communes; empty where the network is not allowed."""
    max_bytes: int = 600_000_000
    """Largest file of communes."""
    backoff_s: float = 1.0

    @property
    def lau_folder(self) -> Path:
        """Where the communes that were fetched are kept."""
        return self.folder / "lau"


def is_nuts_code(text: str) -> bool:
    """Tell whether a text is written like a NUTS code, for example FRH0."""
    match = CODE.fullmatch(text.strip())
    return match is not None and match[1][:2] in CODE_LETTERS and len(match[1]) > 2


def find_nuts(text: str, source: NutsSource | None) -> Place | None:
    """Return a NUTS region; None when no file has it and the network is not allowed.

    Raises BackendUnavailable when GISCO does not answer, PlaceNotFound when it has no such code.
    """
    if source is None:
        return None
    code = text.strip().removeprefix("NUTS").strip()
    for path in sorted(source.folder.glob("*.geojson")) if source.folder.is_dir() else []:
        if place := _read(path, code):
            return place
    if not source.url:
        return None
    if place := _read(_fetch(source, level=len(code) - 2), code):
        return place
    raise PlaceNotFound(f"NUTS 2024 has no region {code}.", hint="Older editions had other codes; name the region.")


def find_named(name: str, source: NutsSource | None) -> list[Place]:
    """Return the NUTS 3 regions with a name, such as a German Landkreis; cities that are districts come last.

    Raises:
        BackendUnavailable: GISCO does not answer.
    """
    files = sorted(source.folder.glob("*.geojson")) if source and source.folder.is_dir() else []
    files += [_fetch(source, level=3)] if source and source.url else []
    found: dict[str, str] = {}
    for path in files:
        for feature in _features(path):
            code, (own, _, kind) = str(feature["properties"].get("NUTS_ID", "")), _name(feature).partition(",")
            if len(code) == 5 and fold(own) == fold(name) and code not in found:
                found[code] = "city" if "stadt" in fold(kind) else ""
    rural = [code for code, kind in found.items() if not kind] or list(found)
    return [place for code in sorted(rural) if (place := find_nuts(code, source))]


def find_regions(level: int, place: Place, source: NutsSource | None) -> Polygons:
    """Return the NUTS regions of a level that a place consists of or lies in.

    A neighbour whose outline, drawn at another scale, only comes a little over the border is none of them.

    Raises:
        NotCovered: No file here has regions of this level there, and the network is not allowed.
        BackendUnavailable: GISCO does not answer.
    """
    files = sorted(source.folder.glob("*.geojson")) if source and source.folder.is_dir() else []
    found = next((regions for path in files if (regions := _regions_in(path, level, place))), None)
    if not found and source and source.url:
        found = _regions_in(_fetch(source, level=level), level, place)
    if not found:
        raise NotCovered(
            f"Boundaries of NUTS {level} regions of {place.name} are not here.",
            hint="Set CLMS_FETCH_NUTS=true to fetch them from GISCO, put a NUTS file (GeoJSON) in the folder `nuts` of "
            "the data folder, or attach a file with your regions.",
        )
    return found


def _regions_in(path: Path, level: int, place: Place) -> Polygons | None:
    from shapely.geometry import box, shape

    around = shape(place.geometry) if place.geometry else box(*place.bbox)
    kept = []
    for feature in _features(path):
        code = str(feature["properties"].get("NUTS_ID", ""))
        if len(code) != level + 2:
            continue
        outline = _outline(feature, path)
        shared = outline.intersection(around).area
        if shared > LEAST_SHARE * min(outline.area, around.area):
            properties = {"name": f"{_name(feature)} ({code})"}
            kept.append({"type": "Feature", "id": code, "properties": properties, "geometry": feature["geometry"]})
    if not kept:
        return None
    collection = {"type": "FeatureCollection", "features": kept}
    return Polygons(name=f"NUTS {level} regions of {place.name}", source=_source(path, level), collection=collection)


def _read(path: Path, code: str) -> Place | None:
    from pyproj import Geod

    feature = next((one for one in _features(path) if one["properties"].get("NUTS_ID") == code), None)
    if feature is None:
        return None
    outline = _outline(feature, path)
    area = abs(Geod(ellps="WGS84").geometry_area_perimeter(outline)[0]) / 1e6
    return Place(
        name=f"{_name(feature)} ({code})",
        kind="NUTS region",
        bbox=outline.bounds,
        geometry=feature["geometry"],
        area_km2=round(area, 2),
        source=_source(path, len(code) - 2),
    )


def _features(path: Path) -> list[dict[str, Any]]:
    """Read the features of a file that have properties."""
    try:
        features = json.loads(path.read_text(encoding="utf-8"))["features"]
        return [one for one in features if isinstance(one["properties"], dict)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(path) from error


def _outline(feature: dict[str, Any], path: Path) -> "BaseGeometry":
    from shapely import make_valid
    from shapely.errors import ShapelyError
    from shapely.geometry import shape

    try:
        return make_valid(shape(feature["geometry"]))
    except (ValueError, KeyError, TypeError, AttributeError, ShapelyError) as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> PlaceNotFound:
    return PlaceNotFound(
        f"{path.name} in the NUTS folder cannot be read.", hint="Use a GISCO NUTS file in EPSG:4326, as GeoJSON."
    )


def _name(feature: dict[str, Any]) -> str:
    properties = feature["properties"]
    return str(properties.get("NAME_LATN") or properties.get("NUTS_NAME") or properties["NUTS_ID"])


def _source(path: Path, level: int) -> str:
    fetched = path.name == FILE_NAME.format(level=level)
    return GISCO_SOURCE if fetched else f"{path.name}, the user's own file of NUTS regions"


def _fetch(source: NutsSource, *, level: int) -> Path:
    """Fetch the file of one level, once; only from the hosts on the list, and without following elsewhere."""
    import httpx

    name = FILE_NAME.format(level=level)
    path = source.folder / name
    if path.is_file():
        return path
    url = httpx.URL(f"{source.url}/{name}")
    if url.host not in source.hosts:
        raise BackendUnavailable(f"{url.host} is not a host for NUTS boundaries.", hint="Use GISCO, or your own file.")
    content = bytearray()
    try:
        with httpx.stream("GET", url, timeout=source.timeout_s, headers={"User-Agent": "clms-assistant"}) as answer:
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > MAX_BYTES:
                    raise BackendUnavailable("GISCO's answer is too large to be its file.", hint=OWN_FILE_HINT)
        known = json.loads(content)["features"][0]["properties"]["NUTS_ID"]
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        raise BackendUnavailable("GISCO does not give the NUTS boundaries.", hint=OWN_FILE_HINT) from error
    logger.info("fetched %s, which begins with %s", name, known)
    source.folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)
    return path
