"""Communes (LAU) of a place: from GISCO's file of Europe, fetched where the network is allowed, and kept."""

import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools import gazetteer
from tools.errors import AreaInvalid, BackendUnavailable, NotCovered, TooLarge, ToolInputError
from tools.schema import Bbox, Place, Polygons

if TYPE_CHECKING:
    from tools.nuts import NutsSource

logger = logging.getLogger(__name__)

LAU_URL = "https://gisco-services.ec.europa.eu/distribution/v2/lau/gpkg"
LAU_FILE = "LAU_RG_01M_2024_4326.gpkg"
LAU_SOURCE = "GISCO LAU 2024, 1:1 million (© EuroGeographics for the administrative boundaries)"
DEADLINE_S = 1200.0
"""Seconds for the whole file."""
MOST = 5_000
"""More communes than these are not computed at once."""
SHARE = 0.5
"""A commune counts where more than this share of it, or of the place, lies in both."""
OFFSHORE_DEG = 0.3
"""A commune outside all outlines, an island left out at their scale, is of the nearest region within this distance."""
GISCO_CODES = {"GR": "EL", "GB": "UK"}
"""Countries that GISCO calls otherwise than ISO does."""
MINOR = 0.01
"""A country with less than this share of a place is none of it: outlines of two scales never quite agree."""
MAGIC = b"SQLite format 3\x00"
"""How a GeoPackage begins."""
COLUMNS = ["GISCO_ID", "CNTR_CODE", "LAU_NAME"]
GET_THEM = "Fetch them with `clms-assistant places fetch`, or attach a file with your polygons."

BY_OUTLINE = (
    "Which communes are of the place was told by its outline, drawn at another scale: on its border one may be missing "
    "or too many."
)
LEFT_OUT = (
    "The communes of {place} in {countries} are not here and are left out; `clms-assistant places fetch` gets them."
)


def find_communes(place: Place, source: "NutsSource | None") -> Polygons:
    """Return the communes of a place.

    Raises:
        NotCovered: No file of communes is here and the network is not allowed, or it has none there.
        BackendUnavailable: GISCO does not give its file.
        TooLarge: The place has more of them than are computed at once.
    """
    files, wanted = kept_files(source), _countries(place)
    read = _Read()
    for path in files:
        if path.name != LAU_FILE or read.lacks(wanted):
            read.add(path, place)
    if read.lacks(wanted) and source and source.lau_url and source.lau_folder / LAU_FILE not in files:
        try:
            files = [*files, fetch_communes(source)]
            read.add(files[-1], place)
        except BackendUnavailable:
            if not read.found:
                raise
    if not files:
        raise NotCovered(f"Boundaries of communes of {place.name} are not here.", GET_THEM)
    if not read.found:
        raise read.broken or NotCovered(f"The communes kept here have none in {place.name}.", GET_THEM)
    if len(read.found) > MOST:
        raise TooLarge(f"{place.name} has {len(read.found)} communes, more than {MOST}.", "Name a smaller region.")
    collection = {"type": "FeatureCollection", "features": [*read.found.values()]}
    told = [] if place.kind == "country" else [BY_OUTLINE]
    if lacking := wanted - read.countries:
        told.append(LEFT_OUT.format(place=place.name, countries=", ".join(sorted(lacking))))
    return Polygons(name=f"communes of {place.name}", source=LAU_SOURCE, collection=collection, warnings=tuple(told))


@dataclass
class _Read:
    """What files of communes give for a place."""

    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    countries: set[str] = field(default_factory=set)
    """Those with communes in or around the place, as GISCO calls them."""
    broken: NotCovered | None = None
    """Told only where no other file has the communes."""

    def lacks(self, wanted: set[str]) -> bool:
        return not self.found or not wanted <= self.countries

    def add(self, path: Path, place: Place) -> None:
        try:
            features, countries = _inside(path, place)
        except NotCovered as error:
            self.broken = error
            logger.warning("%s", error.message)
            return
        self.found |= {one["id"]: one for one in features}
        self.countries |= countries


def _countries(place: Place) -> set[str]:
    """Give the countries that a place lies in, as GISCO calls them."""
    country = gazetteer.country_of_box(place.bbox)
    codes = {country} if country else gazetteer.countries_within(_ground(place), MINOR)
    return {GISCO_CODES.get(code, code) for code in codes}


def kept_files(source: "NutsSource | None") -> list[Path]:
    """List the files of communes on disk: those of single countries first, for they are small."""
    files = source.lau_folder.glob("*.gpkg") if source else ()
    return sorted(files, key=lambda path: (path.name == LAU_FILE, path.name))


def fetch_communes(source: "NutsSource") -> Path:
    """Fetch GISCO's file of Europe, or ask whether the one that is here is still the latest; give where it lies.

    Raises:
        BackendUnavailable: GISCO cannot be reached, or gives something else; what was here stays.
    """
    from knowledge.errors import ClmsError
    from knowledge.fetch import Fetcher

    path, note = source.lau_folder / LAU_FILE, source.lau_folder / f"{LAU_FILE}.etag"
    source.lau_folder.mkdir(parents=True, exist_ok=True)
    etag = note.read_text() if path.is_file() and note.is_file() else None
    with tempfile.TemporaryDirectory(dir=source.lau_folder) as folder:
        fetcher = Fetcher(
            Path(folder), hosts=", ".join(source.hosts), timeout_s=source.timeout_s,
            deadline_s=DEADLINE_S, max_bytes=source.max_bytes, backoff_s=source.backoff_s,
        )  # fmt: skip
        try:
            got = fetcher.get(f"{source.lau_url}/{LAU_FILE}", etag=etag)
            if got is None:
                return path
            fetched = got.path.rename(got.path.with_suffix(".gpkg"))
            _check(fetched)
        except ClmsError as error:
            told = f"GISCO does not give the boundaries of communes: {error.message}"
            raise BackendUnavailable(told, "Try again later, or attach a file with your polygons.") from error
        finally:
            fetcher.close()
        fetched.replace(path)
        note.write_text(got.etag or "")
    logger.info("fetched %s", LAU_FILE)
    return path


def keep_countries(source: "NutsSource", codes: Sequence[str]) -> list[Path]:
    """Fetch the communes and keep those of some countries, each in a small file of its own.

    The file of Europe goes again, where it was not here before.

    Raises:
        ToolInputError: The file has no communes of a country.
        BackendUnavailable: GISCO does not give its file.
    """
    import pyogrio.raw

    had = (source.lau_folder / LAU_FILE).is_file()
    whole, kept = fetch_communes(source), []
    for code in codes:
        name = GISCO_CODES.get(code.upper(), code.upper())
        where = f"CNTR_CODE = '{name}'" if name.isalpha() else "1 = 0"
        meta, _, shapes, values = pyogrio.raw.read(whole, columns=COLUMNS, where=where)
        if not len(shapes):
            raise ToolInputError(f"GISCO's file has no communes of {code[:20]}.", "Give a code such as FR.")
        path = whole.with_name(f"LAU_2024_{name}.gpkg")
        fields = {"fields": meta["fields"], "crs": meta["crs"], "geometry_type": meta["geometry_type"]}
        with tempfile.TemporaryDirectory(dir=whole.parent) as folder:
            written = Path(folder) / path.name
            pyogrio.raw.write(written, shapes, values, driver="GPKG", **fields)
            written.replace(path)
        kept.append(path)
    if not had:
        whole.unlink()
    return kept


def _check(path: Path) -> None:
    """Refuse what is no file of communes."""
    import pyogrio
    from pyogrio.errors import DataSourceError

    from tools.area_files import check_tables

    try:
        with path.open("rb") as file:  # GDAL would also follow what other formats point at
            sqlite = file.read(len(MAGIC)) == MAGIC
        if sqlite:
            check_tables(path)
        fields = set(pyogrio.read_info(path)["fields"]) if sqlite else set()
    except DataSourceError:
        fields = set()
    if not fields.issuperset(COLUMNS):
        raise ToolInputError("what it sent holds no communes.")


def _inside(path: Path, place: Place) -> tuple[list[dict[str, Any]], set[str]]:
    """Read the communes around a place from the indexed file; give its own, and the countries of all."""
    import pyogrio.raw
    import shapely
    from pyogrio.errors import DataLayerError, DataSourceError

    country = gazetteer.country_of_box(place.bbox)
    code = GISCO_CODES.get(country, country)
    where = f"CNTR_CODE = '{code}'" if code else None
    try:
        _check(path)
        _, _, shapes, values = pyogrio.raw.read(path, bbox=_wide(place.bbox), columns=COLUMNS, where=where)
    except (DataSourceError, DataLayerError, ToolInputError, AreaInvalid) as error:
        raise NotCovered(f"{path.name} cannot be read.", "Delete it and fetch it again.") from error
    outlines = shapely.make_valid(shapely.from_wkb(shapes))
    own = _owns(outlines, place, whole=place.kind == "country")
    rows = zip(outlines[own], *(column[own] for column in values), strict=True)
    features = [
        {"type": "Feature", "id": str(code), "properties": {"name": str(name)}, "geometry": _polygonal(outline)}
        for outline, code, _, name in rows
    ]
    return features, {str(one) for one in values[1]}


def _owns(outlines: Any, place: Place, *, whole: bool) -> Any:
    """Tell which communes are of a place: those of a region share more ground with it than with its neighbours."""
    import numpy
    import shapely
    from shapely.geometry import shape

    around = _ground(place)
    shapely.prepare(around)
    shared = shapely.area(shapely.intersection(outlines, around))
    inside = shared > SHARE * numpy.minimum(shapely.area(outlines), around.area)
    others = gazetteer.neighbours(place.bbox, OFFSHORE_DEG) if place.geometry else None
    if others is None and not whole:
        return inside
    beyond = shapely.union_all([shape(one) for one in others or ()])
    foreign = shapely.area(shapely.intersection(outlines, beyond))
    own_m, other_m = shapely.distance(outlines, around), shapely.distance(outlines, beyond)
    nearer = (own_m < OFFSHORE_DEG) & ~(own_m >= other_m)  # NaN where there are no others
    return numpy.where(shared + foreign > 0, shared > foreign, nearer)


def _ground(place: Place) -> Any:
    from shapely.geometry import box, shape

    return shape(place.geometry) if place.geometry else box(*place.bbox)


def _polygonal(outline: Any) -> dict[str, Any]:
    """Give the polygons of a repaired outline as GeoJSON."""
    import shapely

    parts = [one for one in shapely.get_parts(outline) if one.geom_type in {"Polygon", "MultiPolygon"}]
    found: dict[str, Any] = json.loads(shapely.to_geojson(shapely.union_all(parts)))
    return found


def _wide(bbox: Bbox) -> Bbox:
    west, south, east, north = bbox
    return west - OFFSHORE_DEG, south - OFFSHORE_DEG, east + OFFSHORE_DEG, north + OFFSHORE_DEG
