"""NUTS regions by code, from a file of the user's or, where the network is allowed, from GISCO, kept on disk."""

import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from tools.errors import BackendUnavailable, PlaceNotFound
from tools.schema import Place

logger = logging.getLogger(__name__)

GISCO_HOST = "gisco-services.ec.europa.eu"
GISCO_URL = f"https://{GISCO_HOST}/distribution/v2/nuts/geojson"
FILE_NAME = "NUTS_RG_10M_2024_4326_LEVL_{level}.geojson"
GISCO_SOURCE = "GISCO NUTS 2024, 1:10 million (© EuroGeographics for the administrative boundaries)"
OWN_FILE_HINT = "Try again later, or put a NUTS file (GeoJSON) in the folder `nuts` of the data folder."
MAX_BYTES = 60_000_000
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


def _read(path: Path, code: str) -> Place | None:
    from pyproj import Geod
    from shapely.errors import ShapelyError
    from shapely.geometry import shape

    try:
        features = json.loads(path.read_text(encoding="utf-8"))["features"]
        feature = next((one for one in features if one["properties"].get("NUTS_ID") == code), None)
        if feature is None:
            return None
        outline = shape(feature["geometry"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ShapelyError) as error:
        raise PlaceNotFound(
            f"{path.name} in the NUTS folder cannot be read.", hint="Use a GISCO NUTS file in EPSG:4326, as GeoJSON."
        ) from error
    area = abs(Geod(ellps="WGS84").geometry_area_perimeter(outline)[0]) / 1e6
    name = feature["properties"].get("NAME_LATN") or feature["properties"].get("NUTS_NAME") or code
    fetched = path.name == FILE_NAME.format(level=len(code) - 2)
    return Place(
        name=f"{name} ({code})",
        kind="NUTS region",
        bbox=outline.bounds,
        geometry=feature["geometry"],
        area_km2=round(area, 2),
        source=GISCO_SOURCE if fetched else f"{path.name}, the user's own file of NUTS regions",
    )


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
