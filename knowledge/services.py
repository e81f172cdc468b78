"""Where an edition can be had: each service is available, checked and absent, or not verified."""

from typing import Literal

from knowledge.schema import CdseEntry, Edition, Service

CHECKED = "August 2026"
"""When the list of data sets on CDSE was read."""
State = Literal["available", "absent", "unverified"]
CDSE_SERVICES = {"stac": "stac", "openeo": "openeo", "sentinelhub": "shub", "s3": "s3", "odata": "odata"}
"""Our name of a service, and its name in the list of CDSE."""
NOT_CHECKED = "not checked"


def services(edition: Edition) -> tuple[Service, ...]:
    """Tell for every service whether it offers the edition, under which ids, and how that is known."""
    return (
        *(_on_cdse(edition, name, listed) for name, listed in CDSE_SERVICES.items()),
        _wekeo(edition),
        _wms(edition),
        _portal(edition),
    )


def _on_cdse(edition: Edition, name: str, listed: str) -> Service:
    if edition.cdse is not None:
        return _listed(edition.cdse, name, listed)
    elsewhere = edition.openeo_elsewhere if name == "openeo" else ()
    if elsewhere:
        return Service(name=name, state="unverified", ids=elsewhere, basis="ids seen in public examples")
    if "cdse" in edition.absent_from or name in edition.absent_from:
        return Service(name=name, state="absent", basis=f"not among the data sets of CDSE in {CHECKED}")
    return Service(name=name, state="unverified", basis=NOT_CHECKED)


def _listed(entry: CdseEntry, name: str, listed: str) -> Service:
    """Read one column of the CDSE list; an id reported after it was read stays unverified."""
    ids, basis = {
        "stac": (entry.stac_collections, entry.stac_basis),
        "openeo": ((entry.openeo_collection,) if entry.openeo_collection else (), entry.openeo_basis),
        "sentinelhub": (tuple(f"byoc-{value}" for value in entry.sentinelhub_byoc.values()), None),
        "s3": ((entry.s3_prefix,) if entry.s3_prefix else (), None),
        "odata": ((entry.dataset_id,), None),
    }[name]
    there = entry.services.get(listed)
    state: State = "unverified" if there is None else "available" if there else "absent"
    if state == "absent":
        if name == "openeo" and ids:
            return Service(name=name, state="unverified", ids=ids, basis=basis or NOT_CHECKED)
        return Service(name=name, state=state, basis=f"checked in {CHECKED}")
    return Service(name=name, state=state, ids=ids, basis="; ".join(filter(None, (f"listed in {CHECKED}", basis))))


def _wekeo(edition: Edition) -> Service:
    ids = edition.wekeo or (("EO:JRC:DAT:CLMS",) if "wekeo-global" in edition.routes else ())
    if ids:
        return Service(name="wekeo", state="available", ids=ids, basis="ids read from public sources")
    if "wekeo" in edition.absent_from:
        return Service(name="wekeo", state="absent", basis="the address answers that it is not there")
    return Service(name="wekeo", state="unverified", basis=NOT_CHECKED)


def _wms(edition: Edition) -> Service:
    found = edition.ogc_services
    if "wms" in edition.absent_from:
        return Service(name="wms", state="absent", basis="checked")
    basis = "; ".join(dict.fromkeys(s.basis for s in found if s.basis)) or NOT_CHECKED
    return Service(name="wms", state="unverified", ids=tuple(s.url for s in found), basis=basis)


def _portal(edition: Edition) -> Service:
    if "portal" in edition.absent_from:
        return Service(name="portal", state="absent", basis=f"not in the portal's list of {CHECKED}")
    if edition.url or edition.portal_category or "portal" in edition.routes:
        ids = (edition.url,) if edition.url else ()
        return Service(name="portal", state="available", ids=ids, basis=f"in the portal's list of {CHECKED}")
    return Service(name="portal", state="unverified", basis=NOT_CHECKED)
