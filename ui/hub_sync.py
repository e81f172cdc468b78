"""The command `hub sync`: tells what it would copy, then copies it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from ui.command import load_settings, note, told_plainly

if TYPE_CHECKING:
    from tools.hub.sync import SyncReport
    from tools.hub.sync_plan import Request, SyncPlan

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command("sync")
@click.option("--place", required=True, help="Place to copy: a name, a NUTS code, or west,south,east,north.")
@click.option("--collection", "collection_id", required=True, help="Collection at the source.")
@click.option("--since", required=True, type=_DAY, help="First day.")
@click.option("--until", type=_DAY, help="Last day.  [default: today]")
@click.option("--from", "stac_url", help="STAC API to copy from.  [default: CLMS_HUB_SYNC_URL]")
@click.option("--as", "name", default="", help="Name of the collection in the hub.  [default: the same]")
@click.option("--bands", default="", help="Bands, parted by commas, such as B04,B08,SCL.  [default: all files of data]")
@click.option("--max-cloud", type=click.FloatRange(0, 100), help="Leave out scenes with more cloud, in per cent.")
@click.option("--max-gb", type=click.FloatRange(0, min_open=True), help="Most gigabytes of copies in the hub; those not"
              " used for the longest time go.  [default: as the disk has room]")  # fmt: skip
@click.option("--max-kb-per-s", type=click.FloatRange(0, min_open=True), help="Bandwidth, in thousand bytes a second.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be copied.")
@told_plainly
def hub_sync(
    place: str,
    collection_id: str,
    since: datetime,
    until: datetime | None,
    stac_url: str | None,
    name: str,
    bands: str,
    max_cloud: float | None,
    max_gb: float | None,
    max_kb_per_s: float | None,
    dry_run: bool,
) -> None:
    """Copy the windows and bands of a place from a STAC API into the hub; a second run copies what is missing."""
    from contextlib import closing

    from assistant.setup import nuts_source
    from tools.hub.archive import Archive
    from tools.hub.http_ranges import RangeClient, parse_hosts
    from tools.hub.sync import run_sync
    from tools.hub.sync_plan import Request, plan_sync
    from tools.places import resolve_place
    from tools.stac import StacService

    last = (until or datetime.now(UTC)).date()
    if last < since.date():
        raise click.BadParameter("The last day lies before the first one.", param_hint="--until")
    settings = load_settings()
    request = Request(
        place=resolve_place(place, nuts=nuts_source(settings)),
        collection_id=collection_id,
        start=since.date(),
        end=last,
        bands=tuple(band.strip() for band in bands.split(",") if band.strip()),
        max_cloud_percent=max_cloud,
        name=name,
        max_bytes=None if max_gb is None else round(max_gb * 1e9),
    )
    url = (stac_url or settings.hub_sync_url).rstrip("/")
    hosts = parse_hosts(settings.hub_sync_hosts) | {urlsplit(url).netloc.lower()}
    archive = Archive(settings.hub_dir)
    timeout_s = min(settings.backend_timeout_s, 60.0)
    with closing(RangeClient(hosts, timeout_s=timeout_s, max_kb_per_s=max_kb_per_s)) as client:
        plan = plan_sync(archive, StacService(url, timeout_s=timeout_s), client, hosts, request)
        for line in _plan_lines(plan, max_kb_per_s):
            click.echo(line)
        if not dry_run:
            report = run_sync(archive, client, plan, note)
            for line in _report_lines(report, request):
                click.echo(line)
            if report.failures or (report.stopped and not report.full):
                raise click.exceptions.Exit(1)


def _plan_lines(plan: "SyncPlan", max_kb_per_s: float | None) -> Iterator[str]:
    """Tell the estimate, and what has to go for it."""
    from tools.words import counted, megabytes

    ask = plan.request
    yield (
        f"{ask.collection_id} at {ask.place.name}, {ask.start} to {ask.end}, from {plan.source_url}: "
        f"{counted(len(plan.items), 'scene')}."
    )
    yield from (f"- {one}" for one in plan.notes)
    damaged = sum(one.damaged for one in plan.items)
    if damaged:
        yield f"- {counted(damaged, 'copy').replace('copys', 'copies')} no longer as written: copied again."
    if not plan.missing:
        yield f"Nothing new: {counted(len(plan.items), 'scene')} in the hub, checked."
        return
    seconds = f", at least {plan.transfer_bytes / max_kb_per_s / 60_000:.0f} min" if max_kb_per_s else ""
    yield (
        f"To copy: {counted(plan.files, 'file')} of {counted(len(plan.missing), 'scene')}, "
        f"about {megabytes(plan.transfer_bytes)} to read{seconds}, {megabytes(plan.new_bytes)} to keep. "
        f"Copies in the hub now: {megabytes(plan.stored_bytes)}."
    )
    if plan.evicted:
        names = ", ".join(f"{one.collection}/{one.item}" for one in plan.evicted[:5])
        more = " …" if len(plan.evicted) > 5 else ""
        size = megabytes(sum(one.size for one in plan.evicted))
        yield (
            f"To stay under {megabytes(ask.max_bytes or 0)}, {counted(len(plan.evicted), 'copied scene')} ({size}) "
            f"not used for the longest time will go: {names}{more}. Your own files stay."
        )
    if plan.over_bytes > 0:
        yield (
            f"That is about {megabytes(plan.over_bytes)} more than the limit of {megabytes(ask.max_bytes or 0)}: "
            "the newest scenes are copied until it is reached."
        )


def _report_lines(report: "SyncReport", request: "Request") -> Iterator[str]:
    """Tell what was done, what was not, and how to go on."""
    from tools.words import counted, megabytes

    if report.copied:
        yield (
            f"{request.hub_id}: {counted(report.files, 'file')} of {counted(report.copied, 'scene')} copied, "
            f"{megabytes(report.received_bytes)} read; {counted(report.kept, 'scene')} there already. "
            f"Copies in the hub: {megabytes(report.stored_bytes)}."
        )
    if report.evicted:
        size = megabytes(sum(one.size for one in report.evicted))
        yield f"{counted(len(report.evicted), 'copied scene')} removed to make room ({size})."
    for failure in report.failures:
        yield f"failed: {failure}"
    if report.stopped:
        yield f"Stopped early: {report.stopped}."
    if report.full:
        yield "A higher --max-gb takes the rest."
    if report.failures or (report.stopped and not report.full):
        yield "Run the same command again: it goes on where this one ended."
