"""Batch jobs: large runs that a back-end queues; with progress, stop, bounded results, and found again later."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tools.backend_failures import TRY_LATER, short
from tools.credits import Charge, free, reserve, settle
from tools.errors import BackendUnavailable, JobFailed, JobWaiting, TooLarge
from tools.locks import LockHeld, take_lock

CHUNK_BYTES = 1_000_000
LOOK_S = 0.2
"""Seconds between two looks whether the user has stopped the run."""
LONGEST_POLL_S = 30.0
POLL_GROWTH = 1.5
MAX_HICCUPS = 5
"""Failed looks at a job in a row, after which the service counts as gone; the job itself goes on over there."""
HICCUPS = {408, 429, 500, 502, 503, 504}
MOST_AT_ONCE = 16
"""Runs of one graph at the same time that are remembered; a restart does not find further ones."""
UNDER_WAY = ("created", "queued", "running")


def _silent(message: str) -> None:
    """Take progress and tell nobody."""


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Batch:
    """How batch jobs are run."""

    title: str = "CLMS Assistant"
    on_progress: Callable[[str], None] = _silent
    cancelled: Callable[[], bool] = _never
    notes: Path | None = None
    """Folder that remembers which job is for which graph, so that a restart finds it; None: none is kept."""
    poll_s: float = 0.5
    service: str = ""
    """Name of the service that stays when its address does not; empty: the address."""
    of_run: "RunJobs | None" = None
    """The run that the jobs are part of: what is finished is kept until all of it is."""
    delete: bool = False
    """Whether a job is deleted when its run has ended well, as on a hub, where it takes room."""
    patience_s: float = 3600.0
    """After so long the job is left alone; asked again, it is found by its note."""
    charge: Charge = free


@dataclass(frozen=True)
class RunJobs:
    """The jobs of one run of several graphs: a run that is killed between two finds the finished ones again."""

    folder: Path
    """Holds the notes of this run alone; gone when it has ended well."""
    fetched: dict[str, Callable[[], object]] = field(default_factory=dict)
    """Deletes a job, by its id."""


_RUN: ContextVar[RunJobs | None] = ContextVar("run", default=None)


def current_run() -> RunJobs | None:
    """Give the run that the code is in."""
    return _RUN.get()


@contextmanager
def jobs_of_run(folder: Path) -> Iterator[None]:
    """Keep the jobs within the block until it ends well; then forget them, and delete those to be deleted."""
    import requests
    from openeo.rest import OpenEoClientException

    run = RunJobs(folder)
    token = _RUN.set(run)
    try:
        yield
    finally:
        _RUN.reset(token)
    for delete in run.fetched.values():
        with suppress(OpenEoClientException, requests.RequestException):  # the hub may be gone; only room is lost
            delete()
    shutil.rmtree(folder, ignore_errors=True)


def run_job(connection: Any, graph: dict[str, Any], target: Path, batch: Batch, *, max_bytes: int) -> None:
    """Run a graph as a batch job and write its one result to `target`.

    Raises:
        JobFailed: It failed over there, was stopped, or gave no file.
        JobWaiting: It is not done after `patience_s`.
        TooLarge: The result is larger than allowed.
    """
    with _own_note(batch, _key(batch.service or connection.root_url, graph)) as note:
        job, reserved = _earlier(connection, batch, note)
        if job is None:
            job = connection.create_job(process_graph=graph, title=batch.title)
            _remember(note, job.job_id)
        if job.status() == "created":
            reserved = reserve(connection, job, batch.charge)
            _remember(note, job.job_id, reserved)
            job.start()
        try:
            _wait(job, batch)
            _fetch_result(connection, job, target, max_bytes)
        except (JobFailed, TooLarge):
            _forget(note)
            _pay(job, reserved, batch)
            raise
        _pay(job, reserved, batch)
        if batch.of_run is None:
            _forget(note)
            return
        _remember(note, job.job_id)
        if batch.delete:
            batch.of_run.fetched[job.job_id] = job.delete


def _pay(job: Any, reserved: int | None, batch: Batch) -> None:
    """Settle what a job cost; one without anything reserved was paid by the run that saw its end."""
    if reserved is not None:
        settle(job, reserved, batch.charge)


def _wait(job: Any, batch: Batch) -> None:
    started, told, told_at, poll_s, hiccups = time.monotonic(), "", 0.0, batch.poll_s, 0
    while True:
        state, hiccups = _look(job, hiccups)
        status, waited = str(state.get("status")), time.monotonic() - started
        if status == "finished":
            return
        if status in ("error", "canceled"):
            raise _ended(job, status)
        if status not in (*UNDER_WAY, "unknown"):
            raise BackendUnavailable(
                f"The openEO service tells a job's status nobody knows: {short(status)}.", TRY_LATER
            )
        words = _words(job.job_id, state)
        if words != told or waited - told_at >= 60:
            batch.on_progress(f"{words}, {waited:.0f} s so far")
            told, told_at = words, waited
        if waited >= batch.patience_s:
            raise JobWaiting(
                f"The batch job {job.job_id} is still {status} after {waited / 60:.0f} minutes; it goes on over there.",
                "Ask the same again later: the job is found again, and nothing is computed twice.",
            )
        _sleep(job, batch, poll_s)
        poll_s = min(poll_s * POLL_GROWTH, LONGEST_POLL_S)


def _look(job: Any, hiccups: int) -> tuple[dict[str, Any], int]:
    """Ask for the state of a job; a few failures in a row are forgiven, for the job goes on meanwhile."""
    import requests
    from openeo.rest import OpenEoApiPlainError

    try:
        state = job.describe()
        if not isinstance(state, dict):
            raise TypeError("not a job")
    except (OpenEoApiPlainError, requests.ConnectionError, requests.Timeout) as error:
        if hiccups >= MAX_HICCUPS or getattr(error, "http_status_code", 503) not in HICCUPS:
            raise
        return {"status": "unknown"}, hiccups + 1
    return state, 0


def _sleep(job: Any, batch: Batch, seconds: float) -> None:
    """Wait, and stop the job when the user stops the run."""
    until = time.monotonic() + seconds
    while True:
        if batch.cancelled():
            job.stop()
            raise JobFailed(f"The batch job {job.job_id} was stopped.", "Ask again to start it anew.")
        if (left := until - time.monotonic()) <= 0:
            return
        time.sleep(min(left, LOOK_S))


def _words(job_id: str, state: dict[str, Any]) -> str:
    progress = state.get("progress")
    share = f", {progress:.0f} %" if isinstance(progress, int | float) and 0 < progress <= 100 else ""
    return f"Batch job {short(job_id)}: {short(state.get('status'))}{share}"


def _ended(job: Any, status: str) -> JobFailed:
    if status == "canceled":
        return JobFailed(f"The batch job {job.job_id} was stopped over there.", "Ask again to start it anew.")
    reasons = [str(entry.get("message", "")) for entry in job.logs(level="error")]
    reason = f": {short(reasons[-1])}" if reasons else " and says no reason"
    return JobFailed(f"The batch job {job.job_id} failed{reason}.", "Try a smaller area or period.")


def _fetch_result(connection: Any, job: Any, target: Path, max_bytes: int) -> None:
    """Download the one file of a finished job."""
    from openeo.rest import OpenEoApiError

    try:
        found = job.get_results().get_assets()
    except OpenEoApiError as error:
        if error.http_status_code not in (404, 410):
            raise
        raise JobFailed(
            f"The result of the batch job {job.job_id} is gone.", "Ask again to compute it anew."
        ) from error
    assets = [one for one in found if "data" in (one.metadata.get("roles") or ["data"])]
    if len(assets) != 1:
        raise JobFailed(f"The batch job {job.job_id} gave {len(assets)} files where one was expected.", TRY_LATER)
    link = connection.build_url(str(assets[0].href))
    if not _same_or_secure(link, connection.root_url):
        raise BackendUnavailable("The openEO service hands out its result at an address that is not safe.", TRY_LATER)
    with connection.get(link, stream=True) as answer:
        save_bounded(answer, target, max_bytes)


def save_bounded(answer: Any, target: Path, max_bytes: int) -> None:
    """Write an answer to a file, not more than allowed.

    Raises:
        TooLarge: There is more.
    """
    size = 0
    with target.open("wb") as stream:
        for chunk in answer.iter_content(CHUNK_BYTES):
            size += len(chunk)
            if size > max_bytes:
                raise TooLarge(
                    f"The result is larger than {max_bytes / 1e6:.0f} MB.",
                    "Ask for a smaller area, or raise CLMS_MAX_RESULT_MB.",
                )
            stream.write(chunk)


def _same_or_secure(link: str, root_url: str) -> bool:
    there, root = urlsplit(link), urlsplit(root_url)
    return there.netloc == root.netloc or there.scheme == "https"


def _key(url: str, graph: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps([url, graph], sort_keys=True).encode()).hexdigest()


@contextmanager
def _own_note(batch: Batch, key: str) -> Iterator[Path | None]:
    """Give the note of a graph that no other run has at the same time, here or in another process.

    Two runs of one graph have a job each, so that stopping one does not stop the other's. The lock of a killed
    process is gone with it: whoever asks next takes its note, and finds its job.
    """
    names = [batch.notes / f"{key}-{number}" for number in range(MOST_AT_ONCE)] if batch.notes else []
    for name in names:
        try:
            lock = take_lock(name.with_suffix(".lock"))
        except LockHeld:
            continue
        if lock:
            with closing(lock):
                yield name.with_suffix(".txt")
            return
    yield None


def _earlier(connection: Any, batch: Batch, note: Path | None) -> tuple[Any, int | None]:
    """Give the job that an earlier run left for this graph, while this account can see it and it may still finish.

    Gives the credits that are reserved for it, too; None where it is paid.
    """
    from openeo.rest import OpenEoApiError

    try:
        job_id, _, reserved = (note.read_text(encoding="utf-8") if note else "").partition(" ")
    except (OSError, ValueError):
        return None, None
    if not job_id:
        return None, None
    job = connection.job(job_id)
    try:
        status = job.status()
    except OpenEoApiError as error:
        if error.http_status_code in (403, 404, 410):
            return None, None  # Gone, or another account's.
        raise
    if status not in (*UNDER_WAY, "finished"):
        return None, None
    batch.on_progress(f"Found the batch job {short(job_id)} again: {status}")
    return job, int(reserved) if reserved.isdecimal() else None


def _remember(note: Path | None, job_id: str, reserved: int | None = None) -> None:
    """Write down the job of a graph, and the credits reserved for it until it is paid.

    Without the note a restart computes anew, so a full disk is no failure.
    """
    if note is None:
        return
    part = note.with_suffix(".part")  # nobody else's: the lock is held
    try:
        part.write_text(job_id if reserved is None else f"{job_id} {reserved}", encoding="utf-8")
        part.replace(note)
    except OSError:
        _forget(part)


def _forget(note: Path | None) -> None:
    if note is not None:
        with suppress(OSError):
            note.unlink(missing_ok=True)
