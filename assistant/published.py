"""What users gave away by an address: single pictures, and conversations to read; both end with the conversation."""

import hashlib
import json
import secrets
from typing import TYPE_CHECKING

from assistant.access import current_user
from assistant.database import Database, tables
from tools.errors import ArtifactNotFound

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Pictures:
    """Pictures that whoever has their address sees; the addresses themselves are not kept, only their hashes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, file_id: str) -> str:
        """Give a new address of a picture."""
        token = secrets.token_urlsafe(24)
        with self._database.begin() as db:
            db.execute(
                tables().tables["shared"].insert().values(token=_hash(token), artifact_id=file_id, owner=_name())
            )
        return token

    def find(self, token: str) -> str:
        """Give the id of the picture with this address.

        Raises:
            ArtifactNotFound: There is none, or it was ended.
        """
        shared = tables().tables["shared"]
        with self._database.begin() as db:
            row = db.execute(shared.select().where(shared.c.token == _hash(token))).first()
        if row is None:
            raise ArtifactNotFound("There is no picture at this address.", "Ask for a new address.")
        return str(row.artifact_id)

    def end(self, file_id: str) -> None:
        """End all addresses that the user gave to a picture."""
        shared = tables().tables["shared"]
        with self._database.begin() as db:
            db.execute(shared.delete().where(shared.c.artifact_id == file_id, shared.c.owner == _name()))


class Readings:
    """Pages of conversations that may be read by whoever has their link; nobody can go on with them by it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def share(self, session_id: str, page: str) -> str:
        """Keep the page of a conversation instead of an earlier one, and give the word its link ends with."""
        reading, token = tables().tables["reading"], _reading_token(session_id)
        with self._database.begin() as db:
            db.execute(reading.delete().where(reading.c.token == token))
            db.execute(reading.insert().values(token=token, session_id=session_id, page=page))
        return token

    def get(self, token: str) -> str:
        """Give the page of a conversation.

        Raises:
            ArtifactNotFound: There is none with this link.
        """
        reading = tables().tables["reading"]
        with self._database.begin() as db:
            row = db.execute(reading.select().where(reading.c.token == token)).first()
        if row is None:
            raise ArtifactNotFound("There is no shared conversation with this link.", "Ask for the link again.")
        return str(row.page)


def end_pictures(db: "Connection", session_id: str) -> None:
    """End the addresses that the owner of a conversation gave to its pictures; before its turns are deleted."""
    from sqlalchemy import select

    turn, owned, shared = (tables().tables[name] for name in ("turn", "owned", "shared"))
    told = db.scalars(select(turn.c.answer).where(turn.c.session_id == session_id))
    files = {one["id"] for answer in told for one in json.loads(answer)["artifacts"]}
    owners = select(owned.c.owner).where(owned.c.kind == "session", owned.c.key == session_id)
    db.execute(shared.delete().where(shared.c.artifact_id.in_(files), shared.c.owner.in_(owners)))


def _name() -> str:
    user = current_user()
    return user.name if user else ""


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _reading_token(session_id: str) -> str:
    """Name a conversation so that the link leads to it, but tells not the id by which one could go on."""
    return hashlib.sha256(f"read {session_id}".encode()).hexdigest()[:40]
