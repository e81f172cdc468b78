"""Batch jobs: kept in SQLite, run one after another, each with its log and its results in a folder."""

import json
import logging
import shutil
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from knowledge.errors import ClmsError
from tools.hub.openeo_errors import JobCanceled, OpenEOError, storage_failure
from tools.hub.run import process_graph_of
from tools.hub.watch import LEVELS, Run

Json = dict[str, Any]
Work = Callable[[Json, Path, Run], Path]
log = logging.getLogger(__name__)
MAX_ATTEMPTS = 2
"""Starts of one job before it is given up: a job that ends the process each time must not do so for ever."""
_POLL_S = 1.0
_RETRY_S = 5.0
"""Seconds until a failed disk is tried again."""
_LOOK_S = 0.3
"""Seconds between two looks whether a running job was cancelled."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, body TEXT NOT NULL, status TEXT NOT NULL, progress REAL NOT NULL,
    created TEXT NOT NULL, updated TEXT NOT NULL, message TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (job TEXT PRIMARY KEY, run TEXT NOT NULL, attempts INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS logs (
    number INTEGER PRIMARY KEY, job TEXT NOT NULL, time TEXT NOT NULL, level TEXT NOT NULL, message TEXT NOT NULL);
"""


class Jobs:
    """All batch jobs of one archive.

    Several processes may hold the same jobs; the one that has the lock runs them. A job that was running when its
    process was killed is queued again by the next one that has the lock.
    """

    def __init__(self, folder: Path, work: Work) -> None:
        self._folder = folder
        self._work = work
        self._wake = threading.Event()
        self._worker: threading.Thread | None = None
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        with closing(self._connect()) as database:
            database.executescript(_SCHEMA)
        if any(job["status"] in ("queued", "running") for job in self.all()):
            self._ensure_worker()

    def create(self, body: Json) -> str:
        """Keep a new job and give its id."""
        job_id, now = f"j-{uuid.uuid4().hex}", _now()
        self._write("INSERT INTO jobs VALUES (?, ?, 'created', 0, ?, ?, '')", (job_id, json.dumps(body), now, now))
        return job_id

    def change(self, job_id: str, changes: Json) -> None:
        """Replace parts of a job that is not under way."""
        if self.get(job_id)["status"] in ("queued", "running"):
            raise OpenEOError("JobLocked", "The batch job is queued or running: cancel it first.")
        (body,) = self._rows("SELECT body FROM jobs WHERE id = ?", (job_id,))[0]
        self._write(
            "UPDATE jobs SET body = ?, updated = ? WHERE id = ?",
            (json.dumps({**json.loads(body), **changes}), _now(), job_id),
        )

    def all(self) -> list[Json]:
        """List all jobs, newest first."""
        return [_describe(row) for row in self._rows("SELECT * FROM jobs ORDER BY created DESC", ())]

    def get(self, job_id: str) -> Json:
        """Give one job."""
        rows = self._rows("SELECT * FROM jobs WHERE id = ?", (job_id,))
        if not rows:
            raise OpenEOError("JobNotFound", f"The batch job '{job_id}' does not exist.")
        return _describe(rows[0])

    def finished(self, job_id: str) -> Json:
        """Give one job, or say why it has no results."""
        job = self.get(job_id)
        if job["status"] != "finished":
            ((message,),) = self._rows("SELECT message FROM jobs WHERE id = ?", (job_id,))
            raise OpenEOError(
                "JobNotFinished", f"Batch job has no results: {message or 'it is ' + job['status'] + '.'}"
            )
        return job

    def start(self, job_id: str) -> None:
        """Queue a job that is not queued or running."""
        if self.get(job_id)["status"] in ("queued", "running"):
            return
        # Each start has a name of its own: a run cancelled before cannot mistake the new start for its own.
        self._write("INSERT OR REPLACE INTO runs VALUES (?, ?, 0)", (job_id, uuid.uuid4().hex))
        self._set(job_id, "queued", 0.0)
        self._note(job_id, "info", "Queued.")
        self._ensure_worker()
        self._wake.set()

    def cancel(self, job_id: str) -> None:
        """Stop a queued or running job."""
        if self.get(job_id)["status"] in ("queued", "running"):
            self._set(job_id, "canceled", 0.0)
            self._note(job_id, "info", "Cancelled.")

    def delete(self, job_id: str) -> None:
        """Stop a job and remove all that is left of it."""
        self.cancel(job_id)
        for table, column in (("jobs", "id"), ("runs", "job"), ("logs", "job")):
            self._write(f"DELETE FROM {table} WHERE {column} = ?", (job_id,))
        shutil.rmtree(self._folder / job_id, ignore_errors=True)

    def logs(self, job_id: str, level: str = "debug", after: str = "", limit: int | None = None) -> list[Json]:
        """List what happened to a job: entries at least this severe, after the one with this id."""
        self.get(job_id)
        if level not in LEVELS:
            raise OpenEOError("ProcessParameterInvalid", f"There is no log level {level!r}; use {', '.join(LEVELS)}.")
        wanted = LEVELS[: LEVELS.index(level) + 1]
        rows = self._rows(
            "SELECT number, time, level, message FROM logs WHERE job = ? AND number > ? ORDER BY number",
            (job_id, int(after) if after.isdigit() else 0),
        )
        found = [{"id": str(n), "time": t, "level": name, "message": m} for n, t, name, m in rows if name in wanted]
        return found[:limit]

    def result_files(self, job_id: str) -> list[Path]:
        """List the files of a finished job."""
        self.finished(job_id)
        return sorted((self._folder / job_id).iterdir())

    def _ensure_worker(self) -> None:
        with self._lock:
            if self._worker is None:
                self._worker = threading.Thread(target=self._run_all, name="openeo-jobs", daemon=True)
                self._worker.start()

    def _run_all(self) -> None:
        """Run what is queued for as long as the folder is there; a disk that fails for a while is waited for."""
        while self._folder.is_dir():
            try:
                with self._alone():
                    self._queue_interrupted()
                    while True:
                        self._run_next()
            except (OSError, sqlite3.Error) as error:
                if self._folder.is_dir():
                    log.warning("openEO jobs wait %g s: %s", _RETRY_S, storage_failure(error))
                    self._wake.wait(_RETRY_S)

    def _queue_interrupted(self) -> None:
        for job_id, status in self._rows("SELECT id, status FROM jobs ORDER BY updated", ()):
            if status == "running":
                self._set(job_id, "queued", 0.0)
                self._note(job_id, "warning", "The back-end stopped while the job was running; queued again.")

    def _run_next(self) -> None:
        queued = self._rows("SELECT id FROM jobs WHERE status = 'queued' ORDER BY updated LIMIT 1", ())
        if queued:
            self._run(queued[0][0])
        else:
            self._wake.wait(_POLL_S)
            self._wake.clear()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait until no other process runs the jobs; the lock of a killed one is gone with it."""
        with closing(sqlite3.connect(self._folder / "worker.sqlite", timeout=_POLL_S, isolation_level=None)) as lock:
            while not lock.in_transaction:
                try:
                    lock.execute("BEGIN EXCLUSIVE")
                except sqlite3.OperationalError:
                    if not self._folder.is_dir():
                        raise
                    time.sleep(_POLL_S)
            yield

    def _run(self, job_id: str) -> None:
        run_name, attempts = (self._rows("SELECT run, attempts FROM runs WHERE job = ?", (job_id,)) or [("", 0)])[0]
        if attempts >= MAX_ATTEMPTS:
            self._fail(job_id, run_name, f"The back-end stopped {attempts} times while the job was running.")
            return
        self._write("INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", (job_id, run_name, attempts + 1))
        self._move(job_id, run_name, "running", 0.0)
        self._note(job_id, "info", "Started.")
        unfinished, folder = self._folder / f"{job_id}.part", self._folder / job_id
        begun = time.monotonic()
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            self._work(process_graph_of(self.get(job_id)), unfinished, self._watched(job_id, run_name))
            if self._is_current(job_id, run_name):
                shutil.rmtree(folder, ignore_errors=True)
                unfinished.rename(folder)
                self._note(job_id, "info", f"Finished after {time.monotonic() - begun:.1f} s.")
                self._move(job_id, run_name, "finished", 100.0)
        except JobCanceled:
            log.info("openEO job %s was cancelled", job_id)
        except ClmsError as error:
            self._fail(job_id, run_name, str(error))
        except (OSError, sqlite3.OperationalError) as error:
            log.exception("openEO job %s failed on the disk", job_id)
            self._fail(job_id, run_name, str(storage_failure(error)))
        except Exception:  # a door: one broken job must not end the worker; the log has the traceback
            log.exception("openEO job %s failed", job_id)
            self._fail(job_id, run_name, f"The back-end failed; reference {job_id}.")
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _watched(self, job_id: str, run_name: str) -> Run:
        """Let a run report its progress and notes, and see when it is cancelled or replaced."""
        looked, current = time.monotonic(), True

        def cancelled() -> bool:
            nonlocal looked, current
            if current and time.monotonic() - looked > _LOOK_S:
                looked, current = time.monotonic(), self._is_current(job_id, run_name)
            return not current

        return Run(
            lambda share: self._move(job_id, run_name, "running", 100 * share),
            cancelled,
            lambda level, message: self._note(job_id, level, message),
        )

    def _is_current(self, job_id: str, run_name: str) -> bool:
        return bool(
            self._rows(
                "SELECT 1 FROM jobs JOIN runs ON job = id WHERE id = ? AND run = ? AND status = 'running'",
                (job_id, run_name),
            )
        )

    def _move(self, job_id: str, run_name: str, status: str, progress: float, message: str = "") -> None:
        """Set the state of a run, unless the job was cancelled, deleted or started anew meanwhile."""
        self._write(
            "UPDATE jobs SET status = ?, progress = ?, message = ?, updated = ? WHERE id = ?"
            " AND status IN ('queued', 'running') AND (SELECT run FROM runs WHERE job = id) = ?",
            (status, progress, message, _now(), job_id, run_name),
        )

    def _fail(self, job_id: str, run_name: str, message: str) -> None:
        self._note(job_id, "error", message)
        self._move(job_id, run_name, "error", 0.0, message)

    def _set(self, job_id: str, status: str, progress: float) -> None:
        sql = "UPDATE jobs SET status = ?, progress = ?, message = '', updated = ? WHERE id = ?"
        self._write(sql, (status, progress, _now(), job_id))

    def _note(self, job_id: str, level: str, message: str) -> None:
        self._write(
            "INSERT INTO logs (job, time, level, message) VALUES (?, ?, ?, ?)", (job_id, _now(), level, message)
        )

    def _rows(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with closing(self._connect()) as database:
            return database.execute(sql, values).fetchall()

    def _write(self, sql: str, values: tuple[Any, ...]) -> None:
        with closing(self._connect()) as database, database:
            database.execute(sql, values)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._folder / "jobs.sqlite", timeout=30)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _describe(row: tuple[Any, ...]) -> Json:
    job_id, body, status, progress, created, updated, _ = row
    given = json.loads(body)
    known = {key: given[key] for key in ("title", "description", "process") if given.get(key) is not None}
    return {**known, "id": job_id, "status": status, "progress": progress, "created": created, "updated": updated}
