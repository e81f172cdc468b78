"""User-defined processes: process graphs kept by id, that other graphs call like any process."""

import inspect
import json
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from tools.hub.executor import calls
from tools.hub.openeo_errors import OpenEOError

Json = dict[str, Any]
_ID = re.compile(r"\w{1,100}")
_SCHEMA = "CREATE TABLE IF NOT EXISTS processes (id TEXT PRIMARY KEY, body TEXT NOT NULL)"
_LISTED = ("id", "summary", "description", "parameters", "returns", "categories", "deprecated", "experimental", "links")


class UserProcesses:
    """All user-defined processes of one archive."""

    def __init__(self, path: Path, predefined: Mapping[str, Any]) -> None:
        self._path = path
        self._predefined = frozenset(predefined)
        with closing(self._connect()) as database, database:
            database.execute(_SCHEMA)

    def all(self) -> dict[str, Json]:
        """Give the definitions by id."""
        with closing(self._connect()) as database:
            rows = database.execute("SELECT id, body FROM processes ORDER BY id").fetchall()
        return {process_id: json.loads(body) for process_id, body in rows}

    def listed(self) -> list[Json]:
        """List the processes without their graphs."""
        return [{key: body[key] for key in _LISTED if key in body} for body in self.all().values()]

    def get(self, process_id: str) -> Json:
        """Give one definition."""
        found = self.all().get(process_id)
        if found is None:
            raise OpenEOError("ProcessGraphNotFound", f"There is no user-defined process '{process_id}'.")
        return found

    def put(self, process_id: str, body: Json) -> None:
        """Keep a process, in place of one of the same id."""
        if not _ID.fullmatch(process_id):
            raise OpenEOError("ProcessGraphIdInvalid", "A process id has letters, digits and underscores only.")
        if process_id in self._predefined:
            raise OpenEOError("PredefinedProcessExists", f"A predefined process is called '{process_id}' already.")
        if not isinstance(body.get("process_graph"), dict):
            raise OpenEOError("ProcessGraphMissing", "The request has no process graph.")
        signature_of(body)
        refuse_recursion(process_id, {**self.all(), process_id: body})
        with closing(self._connect()) as database, database:
            text = json.dumps({**body, "id": process_id})
            database.execute("INSERT OR REPLACE INTO processes VALUES (?, ?)", (process_id, text))

    def delete(self, process_id: str) -> None:
        """Remove a process."""
        self.get(process_id)
        with closing(self._connect()) as database, database:
            database.execute("DELETE FROM processes WHERE id = ?", (process_id,))

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=30)


def signature_of(definition: Json) -> inspect.Signature:
    """Read the parameters of a definition as those of a Python function; optional ones default to no-data."""
    parameters = definition.get("parameters") or []
    if not isinstance(parameters, list) or not all(isinstance(one, dict) for one in parameters):
        raise OpenEOError("ProcessParameterInvalid", "The parameters of a process are a list of objects.")
    names = [one.get("name") for one in parameters]
    if len(set(names)) != len(names) or not all(isinstance(name, str) and name.isidentifier() for name in names):
        raise OpenEOError("ProcessParameterInvalid", "Each parameter needs a name of its own.")
    return inspect.Signature([
        inspect.Parameter(
            one["name"],
            inspect.Parameter.KEYWORD_ONLY,
            default=one.get("default") if one.get("optional") or "default" in one else inspect.Parameter.empty,
        )
        for one in parameters
    ])  # fmt: skip


def refuse_recursion(process_id: str, definitions: Mapping[str, Json]) -> None:
    """Refuse a process that calls itself, be it through others."""
    pending, seen = [process_id], set[str]()
    while pending:
        for name in calls(definitions[pending.pop()]["process_graph"]):
            if name == process_id:
                raise OpenEOError("ProcessGraphInvalid", f"The process '{process_id}' would call itself.")
            if name in definitions and name not in seen:
                seen.add(name)
                pending.append(name)
