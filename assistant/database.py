"""One database for conversations, feedback and users: SQLite in the data folder, or PostgreSQL by URL."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge.errors import ClmsError

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection, Engine, MetaData

WAIT_S = 30
"""So long a write waits for another process's."""


class DatabaseUnavailable(ClmsError):
    """The database of the settings does not answer."""


class Database:
    """Short transactions on one database; its tables are made when they are missing."""

    def __init__(self, where: Path | str) -> None:
        """Keep where it lies: a file for SQLite, or an address such as `postgresql://…`. Nothing is opened yet."""
        self.where = where

    @property
    def is_empty(self) -> bool:
        """True where nothing was ever kept: reading must not need a disk that can be written."""
        return isinstance(self.where, Path) and (not self.where.exists() or not self.where.stat().st_size)

    @contextmanager
    def begin(self) -> Iterator["Connection"]:
        """Give a connection in a transaction, kept when the block ends well.

        Raises:
            sqlite3.Error: The file cannot be read or written.
            DatabaseUnavailable: The server does not answer.
        """
        from sqlalchemy.exc import DBAPIError, SQLAlchemyError

        try:
            with self._engine().begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            if isinstance(error, DBAPIError) and isinstance(error.orig, sqlite3.Error):
                raise error.orig from error
            # The address may hold a password: it is never told.
            raise DatabaseUnavailable(
                "The database does not answer.", "Check CLMS_DATABASE_URL and that the server runs."
            ) from error

    def _engine(self) -> "Engine":
        if isinstance(self.where, Path):
            self.where.parent.mkdir(parents=True, exist_ok=True)
            if self.is_empty:
                _engine.cache_clear()  # the file may have been deleted since: its tables are made anew
        return _engine(self.where)


def utc_now() -> datetime:
    """Give the time as the database keeps it: UTC, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


@cache
def tables() -> "MetaData":
    """Give all tables."""
    from sqlalchemy import MetaData

    made = MetaData()
    _of_conversations(made)
    _of_users(made)
    _of_questions_under_way(made)
    return made


def _text(name: str, **more: Any) -> "Column[str]":
    from sqlalchemy import Column, Text

    return Column(name, Text, nullable=False, **more)


def _when(name: str, **more: Any) -> "Column[datetime]":
    from sqlalchemy import Column, DateTime

    return Column(name, DateTime, nullable=False, default=utc_now, **more)


def _number() -> "Column[int]":
    from sqlalchemy import Column, Integer

    return Column("id", Integer, primary_key=True)


def _of_conversations(made: "MetaData") -> None:
    from sqlalchemy import Boolean, Column, Table

    Table(
        "turn", made, _number(), _text("session_id", index=True), _when("asked_at"), _text("question"), _text("answer")
    )
    Table("state", made, _text("session_id", primary_key=True), _text("state"))
    Table(
        "waiting",
        made,
        _text("fingerprint", primary_key=True),
        _text("session_id", primary_key=True),
        Column("anyone", Boolean, nullable=False),
        _when("asked_at"),
        _text("run"),
    )
    Table(
        "feedback",
        made,
        _number(),
        _text("session_id", index=True),
        _when("given_at"),
        _text("country", index=True),
        _text("product_id", index=True),
        _text("feedback"),
    )
    Table(
        "reading",
        made,
        _text("token", primary_key=True),
        _text("session_id", index=True),
        _when("made_at"),
        _text("page"),
    )


def _of_users(made: "MetaData") -> None:
    from sqlalchemy import BigInteger, Column, Table

    key: dict[str, Any] = {"primary_key": True}
    Table(
        "api_key", made, _text("id", **key), _text("name", unique=True), _text("role"), _text("hash"), _when("made_at")
    )
    Table("owned", made, _text("kind", **key), _text("key", **key), _text("owner", **key))
    amount = Column("amount", BigInteger, nullable=False)
    Table("usage", made, _text("owner", **key), _text("day", **key), _text("what", **key), amount)
    Table("shared", made, _text("token", **key), _text("artifact_id", index=True), _text("owner"), _when("made_at"))


def _of_questions_under_way(made: "MetaData") -> None:
    from sqlalchemy import Boolean, Column, Integer, Table

    Table(
        "job",
        made,
        _text("id", primary_key=True),
        _text("session_id", index=True),
        _text("owner", index=True),
        _text("question"),
        _text("state"),
        _text("progress"),
        Column("followed", Boolean, nullable=False),
        _when("asked_at"),
        _when("seen_at", index=True),
    )
    Table(
        "event",
        made,
        _text("job_id", primary_key=True),
        Column("number", Integer, primary_key=True),
        _text("session_id", index=True),
        _when("happened_at", index=True),
        _text("event"),
    )


@lru_cache(maxsize=4)
def _engine(where: Path | str) -> "Engine":
    from sqlalchemy import URL, create_engine, event
    from sqlalchemy.schema import CreateIndex, CreateTable

    if isinstance(where, Path):
        if where.exists() and not os.access(where.parent, os.W_OK):
            return _engine_to_read(where)
        options = {"connect_args": {"timeout": WAIT_S}, "max_overflow": -1}
        engine = create_engine(URL.create("sqlite", database=str(where)), **options)
        event.listen(engine, "connect", _write_ahead)
    else:
        address = where.replace("postgres://", "postgresql://", 1).replace("postgresql://", "postgresql+psycopg://", 1)
        engine = create_engine(address, pool_pre_ping=True, connect_args={"connect_timeout": WAIT_S})
    # Several threads and processes may be the first at once: each statement says that it may be done already.
    with engine.begin() as connection:
        for table in tables().sorted_tables:
            connection.execute(CreateTable(table, if_not_exists=True))
            for index in table.indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))
    return engine


def _engine_to_read(where: Path) -> "Engine":
    """Open a file in a folder that nobody can write to: its log could not be opened beside it."""
    from sqlalchemy import create_engine

    address = f"{where.absolute().as_uri()}?immutable=1"
    return create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True, check_same_thread=False))


def _write_ahead(connection: sqlite3.Connection, _: Any) -> None:
    """Have SQLite keep what is written in a log first: a killed process loses nothing, and nobody waits for the disk.

    A machine that loses its power can lose its last answers, never older ones.
    """
    with suppress(sqlite3.OperationalError):  # the folder can only be read, or another process is about it
        connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
