"""What is particular to an openEO back-end: one YAML file for each in `backend_data/`, or a file of the user's own."""

import re
from functools import cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import ValidationError

from tools.errors import ToolInputError
from tools.schema import Frozen

FOLDER = Path(__file__).with_name("backend_data")
HUB, GENERIC = "hub", "generic"


class Encoding(Frozen):
    """How stored values of some bands become physical ones, where the collection's own metadata do not say."""

    bands: str
    """Regular expression for whole band names."""
    scale: float
    offset: float
    source: str
    """Where this is said."""


class CollectionMapping(Frozen):
    """One collection: what STAC and openEO call it."""

    stac: str
    openeo: str
    scl: str | None = None
    """The band with the scene classification."""
    encodings: tuple[Encoding, ...] = ()

    def encoding_of(self, band: str) -> Encoding | None:
        """Give the encoding that is known for a band."""
        return next((one for one in self.encodings if re.fullmatch(one.bands, band)), None)


class IdRule(Frozen):
    """Ids that follow a rule: the first group in capitals, what is neither letter nor digit as an underscore."""

    stac: str
    """Regular expression for whole STAC ids."""


class BackendMapping(Frozen):
    """One back-end."""

    id: str
    title: str
    hosts: tuple[str, ...] = ()
    """Host names by which the back-end is known from its address."""
    same_as_stac: bool = False
    """True where ids and bands are those of the STAC service, so nothing needs to be asked."""
    stac_url: str | None = None
    """STAC service with the scenes of this back-end."""
    login: Literal["none", "oidc", "when_asked"] = "when_asked"
    login_hosts: tuple[str, ...] = ()
    """Hosts that may ask for the login; empty: the service decides."""
    account_url: str = ""
    """Where users see what is left of their account."""
    sync_max_values: int | None = None
    """Pixels times bands times dates above which a run is a batch job; None: never."""
    costs: str = ""
    """What a run is paid with, and what is known of the price before it; empty where it costs nothing."""
    limits: str = ""
    """In words, for a user who has met them."""
    collections: tuple[CollectionMapping, ...] = ()
    rules: tuple[IdRule, ...] = ()

    def collection(self, stac_id: str) -> CollectionMapping | None:
        """Give what is known of a collection; None where only the back-end can tell."""
        if named := next((one for one in self.collections if one.stac == stac_id), None):
            return named
        for rule in self.rules:
            if match := re.fullmatch(rule.stac, stac_id):
                return CollectionMapping(stac=stac_id, openeo=re.sub(r"[^A-Z0-9]", "_", match[1].upper()))
        return None


def find_mapping(openeo_url: str, *, stac_url: str = "", name: str = "") -> BackendMapping:
    """Give the mapping of a back-end: by name or file, else by the host of its address, else the general one.

    Args:
        openeo_url: Address of the back-end.
        stac_url: Address of the STAC service: an archive that serves both under one base is a hub.
        name: Id of a mapping or path of a YAML file; empty to go by the address.

    Raises:
        ToolInputError: No mapping has this name, or the file is none.
    """
    if name:
        return load_mapping(name)
    host = host_of(openeo_url)
    if known := next((one for one in all_mappings().values() if host in one.hosts), None):
        return known
    base, other = openeo_url.rstrip("/").removesuffix("/openeo"), stac_url.rstrip("/").removesuffix("/stac")
    return all_mappings()[HUB if base == other and base != openeo_url.rstrip("/") else GENERIC]


def host_of(url: str) -> str:
    """Give the host of an address; without a scheme it is read as the openEO client reads it, as https."""
    return (urlsplit(url if "://" in url else f"https://{url}").hostname or "").lower()


def load_mapping(name: str) -> BackendMapping:
    """Give a mapping by its id or from a YAML file.

    Raises:
        ToolInputError: There is none of this name, or the file is none.
    """
    if known := all_mappings().get(name):
        return known
    path = Path(name)
    if path.suffix in (".yaml", ".yml") and path.is_file():
        return _read(path)
    raise ToolInputError(
        f"There is no openEO mapping called {name!r}.",
        f"Known: {', '.join(all_mappings())}; or give the path of a YAML file (CLMS_OPENEO_MAPPING).",
    )


@cache
def all_mappings() -> dict[str, BackendMapping]:
    """Give the mappings that come with the program, by id."""
    read = [_read(path) for path in sorted(FOLDER.glob("*.yaml"))]
    return {one.id: one for one in read}


def _read(path: Path) -> BackendMapping:
    import yaml

    try:
        return BackendMapping.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}" if first else "it is no YAML"
        raise ToolInputError(f"The mapping {path.name} cannot be read: {reason}.", "See docs/backends.md.") from error
