"""Batch jobs: kept in SQLite, run one after another by a worker thread, results in a folder each."""

import json
import logging
import queue
import shutil
import sqlite3
import threading
import uuid
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from knowledge.errors import ClmsError
from tools.hub.openeo_errors import JobCanceled, OpenEOError, storage_failure
from tools.hub.run import process_graph_of
from tools.hub.watch import Run

Json = dict[str, Any]
Work = Callable[[Json, Path, Run], Path]
log = logging.getLogger(__name__)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, body TEXT NOT NULL, status TEXT NOT NULL, progress REAL NOT NULL,
    created TEXT NOT NULL, updated TEXT NOT NULL, message TEXT NOT NULL);
UPDATE jobs SET status = 'error', message = 'The back-end stopped while the job was running.'
    WHERE status IN ('queued', 'running');
"""


class Jobs:
    """All batch jobs of one archive."""

    def __init__(self, folder: Path, work: Work) -> None:
        self._folder = folder
        self._work = work
        self._cancelled: set[str] = set()
        self._queue: queue.Queue[str] = queue.Queue()
        self._worker: threading.Thread | None = None
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        with closing(self._connect()) as database:
            database.executescript(_SCHEMA)

    def create(self, body: Json) -> str:
        """Keep a new job and give its id."""
        job_id, now = f"j-{uuid.uuid4().hex}", _now()
        self._write("INSERT INTO jobs VALUES (?, ?, 'created', 0, ?, ?, '')", (job_id, json.dumps(body), now, now))
        return job_id

    def all(self) -> list[Json]:
        """List all jobs, newest first."""
        with closing(self._connect()) as database:
            return [_describe(row) for row in database.execute("SELECT * FROM jobs ORDER BY created DESC")]

    def get(self, job_id: str) -> Json:
        """Give one job."""
        with closing(self._connect()) as database:
            row = database.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is None:
            raise OpenEOError("JobNotFound", f"The batch job '{job_id}' does not exist.")
        return _describe(row)

    def finished(self, job_id: str) -> Json:
        """Give one job, or say why it has no results."""
        job = self.get(job_id)
        if job["status"] != "finished":
            message = self._message(job_id) or f"The job is {job['status']}."
            raise OpenEOError("JobNotFinished", f"Batch job has no results: {message}")
        return job

    def start(self, job_id: str) -> None:
        """Queue a job that is not queued or running."""
        if self.get(job_id)["status"] in ("queued", "running"):
            return
        self._cancelled.discard(job_id)
        self._set(job_id, "queued", 0.0)
        self._queue.put(job_id)
        with self._lock:
            if self._worker is None:
                self._worker = threading.Thread(target=self._run_all, name="openeo-jobs", daemon=True)
                self._worker.start()

    def cancel(self, job_id: str) -> None:
        """Ask a queued or running job to stop."""
        if self.get(job_id)["status"] in ("queued", "running"):
            self._cancelled.add(job_id)
            self._set(job_id, "canceled", 0.0)

    def delete(self, job_id: str) -> None:
        """Stop a job and remove all that is left of it."""
        self.cancel(job_id)
        self._write("DELETE FROM jobs WHERE id = ?", (job_id,))
        shutil.rmtree(self._folder / job_id, ignore_errors=True)

    def logs(self, job_id: str) -> list[Json]:
        """List what a user should know about a job's run."""
        job, message = self.get(job_id), self._message(job_id)
        return [{"id": "1", "level": "error", "message": message, "time": job["updated"]}] if message else []

    def result_files(self, job_id: str) -> list[Path]:
        """List the files of a finished job."""
        self.finished(job_id)
        return sorted((self._folder / job_id).iterdir())

    def _run_all(self) -> None:
        while True:
            self._run(self._queue.get())

    def _run(self, job_id: str) -> None:
        if job_id in self._cancelled:
            return
        self._set(job_id, "running", 0.0)
        run = Run(lambda share: self._set(job_id, "running", 100 * share), lambda: job_id in self._cancelled)
        folder = self._folder / job_id
        try:
            folder.mkdir(exist_ok=True)
            self._work(process_graph_of(self.get(job_id)), folder, run)
        except JobCanceled:
            self._set(job_id, "canceled", 0.0)
        except ClmsError as error:
            self._set(job_id, "error", 0.0, str(error))
        except (OSError, sqlite3.OperationalError) as error:
            log.exception("openEO job %s failed on the disk", job_id)
            self._set(job_id, "error", 0.0, str(storage_failure(error)))
        except Exception:  # a door: one broken job must not end the worker; the log has the traceback
            log.exception("openEO job %s failed", job_id)
            self._set(job_id, "error", 0.0, f"The back-end failed; reference {job_id}.")
        else:
            self._set(job_id, "finished", 100.0)

    def _message(self, job_id: str) -> str:
        with closing(self._connect()) as database:
            row = database.execute("SELECT message FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return str(row[0]) if row else ""

    def _set(self, job_id: str, status: str, progress: float, message: str = "") -> None:
        # A cancelled job stays so, whatever a block that was still running reports later.
        if job_id in self._cancelled and status != "canceled":
            return
        sql = "UPDATE jobs SET status = ?, progress = ?, message = ?, updated = ? WHERE id = ?"
        self._write(sql, (status, progress, message, _now(), job_id))

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
