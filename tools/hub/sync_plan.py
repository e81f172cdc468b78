"""Finds what a sync has to copy, and estimates it before anything is: scenes, megabytes, what has to go."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from tools.errors import BackendUnavailable, NoScenes, ToolInputError
from tools.hub.add import SAFE_ID
from tools.hub.archive import Archive
from tools.hub.copied_items import COPIED_FROM, Meaning, known_meanings
from tools.hub.copies import CopiedItem, Copies, Copy
from tools.hub.http_ranges import RangeClient, RemoteRefused, host_allowed
from tools.hub.remote_cog import HEADER_BYTES, open_remote, window_of
from tools.hub.source_items import SourceAsset, choose_assets, source_asset
from tools.scene_items import Json, access, clean, newest_versions
from tools.schema import Place
from tools.stac import StacService
from tools.words import counted

MAX_ITEMS = 5_000
OVERVIEWS = 4 / 3
"""A copy with its overviews, each a quarter of the one before, to its pixels alone."""


@dataclass(frozen=True)
class Request:
    """What to copy, and where to."""

    place: Place
    collection_id: str
    start: date
    end: date
    bands: tuple[str, ...] = ()
    """Names of bands; none: every file of data."""
    max_cloud_percent: float | None = None
    name: str = ""
    """Id of the collection in the hub; empty: the same as at the source."""
    max_bytes: int | None = None
    """Most bytes that all copies in the hub may take."""

    @property
    def hub_id(self) -> str:
        """Id of the collection in the hub."""
        return self.name or self.collection_id


@dataclass(frozen=True)
class ItemPlan:
    """One scene: the files that are wanted of it, and those of them that have to be copied."""

    item: Json
    wanted: tuple[SourceAsset, ...]
    missing: tuple[SourceAsset, ...]
    damaged: int
    """Copies that are not as they were written, and are copied again."""


@dataclass(frozen=True)
class SyncPlan:
    """A sync that has not begun."""

    request: Request
    source_url: str
    collection: Json
    items: tuple[ItemPlan, ...]
    """The newest first."""
    meanings: Mapping[str, Meaning]
    transfer_bytes: int
    """Estimate of what is read."""
    new_bytes: int
    """Estimate of the room that the copies take."""
    stored_bytes: int
    """Size of all copies in the hub now."""
    evicted: tuple[CopiedItem, ...]
    """Copies that have to go, as far as the estimate tells."""
    notes: tuple[str, ...]

    @property
    def missing(self) -> tuple[ItemPlan, ...]:
        """Scenes of which files have to be copied."""
        return tuple(one for one in self.items if one.missing)

    @property
    def over_bytes(self) -> int:
        """How much the limit is exceeded by, even after all that may go has gone; below zero: not at all."""
        limit = self.request.max_bytes
        after = self.stored_bytes + self.new_bytes - sum(one.size for one in self.evicted)
        return 0 if limit is None else after - limit

    @property
    def files(self) -> int:
        """How many files have to be copied."""
        return sum(len(one.missing) for one in self.items)


def plan_sync(
    archive: Archive, service: StacService, client: RangeClient, hosts: frozenset[str], ask: Request
) -> SyncPlan:
    """Find the scenes and bands, compare with what the hub has, and estimate the rest from the headers of some files.

    Raises:
        ToolInputError: no such collection or band, or the hub's collection of this name is not a copy of this one.
        NoScenes: the search finds nothing, or nothing that may be copied.
        BackendUnavailable: the service or the files do not answer.
    """
    existing = _own_copy(archive, service, ask)
    collection = service.collection(ask.collection_id)
    found, notes = _found(service, ask)
    meanings = {**_told_meanings(collection), **known_meanings(existing or {})}
    copies = Copies(archive.hub_dir)
    skipped: Counter[str] = Counter()
    plans = []
    for item in found:
        wanted = _wanted(item, ask, hosts, meanings, skipped)
        if wanted:
            plans.append(_item_plan(item, wanted, copies, ask))
    notes += [f"{counted(count, 'scene')} left out: {reason}." for reason, count in skipped.items()]
    if not plans:
        raise NoScenes(f"Nothing of {ask.collection_id} can be copied. {' '.join(notes)}".strip())
    transfer, new = _estimate(plans, ask, client)
    stored = copies.total_bytes()
    evicted = _to_evict(copies, {str(plan.item["id"]) for plan in plans}, ask, stored + new)
    return SyncPlan(
        ask, service.url, collection, tuple(plans), meanings, transfer, new, stored, tuple(evicted), tuple(notes)
    )


def _own_copy(archive: Archive, service: StacService, ask: Request) -> Json | None:
    """Give the hub's collection of this name when it is a copy of this source."""
    if not SAFE_ID.fullmatch(ask.hub_id):
        raise ToolInputError(
            f"{ask.hub_id!r} cannot name a collection of the hub.", hint="Give the copy another name with --as."
        )
    existing = archive.collection(ask.hub_id)
    if existing is not None and existing.get(COPIED_FROM) != {"stac": service.url, "collection": ask.collection_id}:
        raise ToolInputError(
            f"The hub has a collection {ask.hub_id!r} that is not a copy of this one; it stays as it is.",
            hint="Give the copy another name with --as.",
        )
    return existing


def _found(service: StacService, ask: Request) -> tuple[list[Json], list[str]]:
    """Search the scenes; give those to consider, the newest first, and what was left out."""
    pairs = service.items(ask.collection_id, ask.place.bbox, start=ask.start, end=ask.end, limit=MAX_ITEMS + 1)
    if not pairs:
        raise NoScenes(
            f"{ask.collection_id} has no scene at {ask.place.name} from {ask.start} to {ask.end}.",
            hint="Ask for a longer period, or look whether the collection reaches the place.",
        )
    if len(pairs) > MAX_ITEMS:
        raise ToolInputError(f"There are more than {MAX_ITEMS:,} scenes.", hint="Ask for a shorter period.")
    touching = [pair for pair in pairs if _touches(pair[1], ask.place)]
    limit = 100.0 if ask.max_cloud_percent is None else ask.max_cloud_percent
    clear = [(scene, item) for scene, item in touching if (scene.cloud_cover_percent or 0.0) <= limit]
    ordered = sorted(clear, key=lambda pair: (pair[0].datetime, pair[0].id), reverse=True)
    items = newest_versions(item for _, item in ordered)
    reasons = (
        (len(pairs) - len(touching), f"outside {ask.place.name}"),
        (len(touching) - len(clear), f"cloud cover above {limit:g} %"),
        (len(clear) - len(items), "given twice, or a newer version is there"),
    )
    return items, [f"{counted(count, 'scene')} left out: {reason}." for count, reason in reasons if count]


def _touches(item: Json, place: Place) -> bool:
    """Tell whether an item's outline touches the place's; an outline that cannot be read may."""
    import shapely
    from shapely.errors import ShapelyError

    if place.geometry is None:
        return True
    try:
        shapes = [shapely.make_valid(shapely.geometry.shape(one)) for one in (item["geometry"], place.geometry)]
    except (ShapelyError, ValueError, TypeError, KeyError, AttributeError):
        return True
    return bool(shapes[0].intersects(shapes[1]))


def _told_meanings(collection: Json) -> dict[str, Meaning]:
    """Give scale and offset of the bands for which the source collection tells them."""
    described = collection.get("item_assets")
    item: Json = {"id": "", "properties": {}, "assets": described if isinstance(described, dict) else {}}
    found = (source_asset(item, key) for key, asset in item["assets"].items() if isinstance(asset, dict))
    return {one.key: (one.scale, one.offset) for one in found if one.scale is not None}


def _wanted(
    item: Json, ask: Request, hosts: frozenset[str], meanings: dict[str, Meaning], skipped: Counter[str]
) -> list[SourceAsset]:
    """Give the files wanted of an item; none, with the reason counted, when it cannot be copied as it is."""
    try:
        keys = choose_assets(item, ask.bands)
    except ToolInputError as error:
        skipped[f"{error.message} {error.hint}".rstrip(".")] += 1
        return []
    found = []
    for key in keys:
        asset, (_, needs) = source_asset(item, key), access(item["assets"][key], item)
        meaning = meanings.get(key, (asset.scale, asset.offset))
        if asset.grid and window_of(asset.grid, ask.place.bbox) is None:
            continue
        if needs != "nothing":
            skipped[f"its files need {needs}"] += 1
            return []
        if not host_allowed(asset.href, hosts):
            skipped[f"its files lie at {clean(asset.href.partition('?')[0], 60)}…, a host no setting allows "
                    "(CLMS_HUB_SYNC_HOSTS)"] += 1  # fmt: skip
            return []
        if asset.scale is not None and (asset.scale, asset.offset or 0.0) != (meaning[0], meaning[1] or 0.0):
            skipped[f"its numbers have another scale or offset ({asset.scale:g}, {asset.offset or 0:g}) than those of "
                    f"the collection ({meaning[0]}, {meaning[1]})"] += 1  # fmt: skip
            return []
        found.append(asset)
    if not found:
        skipped[f"no pixel in the box around {ask.place.name}"] += 1
    for asset in found:
        meanings.setdefault(asset.key, (asset.scale, asset.offset))
    return found


def _item_plan(item: Json, wanted: Sequence[SourceAsset], copies: Copies, ask: Request) -> ItemPlan:
    kept = copies.of_item(ask.hub_id, str(item["id"]))
    missing, damaged = [], 0
    for asset in wanted:
        copy = kept.get(asset.key)
        if copy is None or not covers(copy, asset, ask):
            missing.append(asset)
        elif not copies.is_whole(copy):
            missing.append(asset)
            damaged += 1
    return ItemPlan(item, tuple(wanted), tuple(missing), damaged)


def covers(copy: Copy, asset: SourceAsset, ask: Request) -> bool:
    """Tell whether a copy holds all pixels of the place, and comes from the same file."""
    window = window_of(copy.source, ask.place.bbox)
    return copy.href == asset.href and (window is None or copy.window.holds(window))


def _estimate(plans: Sequence[ItemPlan], ask: Request, client: RangeClient) -> tuple[int, int]:
    """Estimate the bytes to read and to keep: per band from the header of one file, for the others by their pixels."""
    by_key: dict[str, list[SourceAsset]] = {}
    for plan in plans:
        for asset in plan.missing:
            by_key.setdefault(asset.key, []).append(asset)
    parts = [_estimate_band(assets, ask, client) for assets in by_key.values()]
    return sum(read for read, _ in parts), sum(kept for _, kept in parts)


def _estimate_band(assets: Sequence[SourceAsset], ask: Request, client: RangeClient) -> tuple[int, int]:
    """Measure some files from the first to the last; the mean, weighed by pixels, stands for all."""
    windows = [None if one.grid is None else window_of(one.grid, ask.place.bbox) for one in assets]
    pixels = read = kept = 0
    failures: list[RemoteRefused | BackendUnavailable] = []
    for place in sorted({0, len(assets) // 2, len(assets) - 1}):
        try:
            with open_remote(client, assets[place].href) as cog:
                window = windows[place] = window_of(cog.grid, ask.place.bbox)
                if window is not None:
                    pixels += window.pixels
                    read += cog.transfer_bytes(window)
                    kept += cog.stored_bytes(window)
        except (RemoteRefused, BackendUnavailable) as error:
            failures.append(type(error)(f"{assets[place].key}: {error.message}", hint=error.hint))
    if failures and not pixels:
        raise failures[0]
    known = [window.pixels for window in windows if window]
    mean = sum(known) / max(len(known), 1)
    share = sum(window.pixels if window else mean for window in windows) / max(pixels, 1)
    return round(read * share) + HEADER_BYTES * len(assets), round(kept * share * OVERVIEWS)


def _to_evict(copies: Copies, wanted: set[str], ask: Request, total: int) -> list[CopiedItem]:
    """Choose what has to go so that everything fits: what was not used for the longest time, nothing asked for now."""
    found: list[CopiedItem] = []
    over = 0 if ask.max_bytes is None else total - ask.max_bytes
    for one in copies.items() if over > 0 else []:
        if over <= 0:
            break
        if one.collection == ask.hub_id and one.item in wanted:
            continue
        found.append(one)
        over -= one.size
    return found
