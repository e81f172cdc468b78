"""Who asks, what is theirs, and how much they may still use today."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from assistant.database import Database, tables
from assistant.schema import AnswerEvent, ArtifactEvent, Event
from knowledge.errors import ClmsError
from tools.errors import ArtifactNotFound
from tools.schema import Frozen

Role = Literal["user", "trainer", "admin"]
Owned = Literal["session", "artifact"]
Emit = Callable[[Event | None], None]
Counted = Literal["questions", "pixels", "credits"]


class NotAuthenticated(ClmsError):
    """Nobody is named, or the key or token does not hold."""


class NotPermitted(ClmsError):
    """The role does not allow it."""


class QuotaExceeded(ClmsError):
    """What the user may use in a day is used."""

    code = "quota_exceeded"

    def __init__(self, message: str, hint: str, retry_after_s: int) -> None:
        super().__init__(message, hint)
        self.retry_after_s = retry_after_s
        """Seconds until the quota is new."""


class User(Frozen):
    """Who asks."""

    name: str
    role: Role = "user"


@dataclass(frozen=True)
class Quotas:
    """The most that a user may use in a day (UTC); 0: no limit."""

    questions: int = 0
    pixels: int = 0
    credits: int = 0


_user: ContextVar[User | None] = ContextVar("user", default=None)


_elsewhere: list[Callable[[], User | None]] = []


def current_user() -> User | None:
    """Give who asks; None where nobody was told apart."""
    return _user.get() or next((user for find in _elsewhere if (user := find())), None)


def find_user_also(find: Callable[[], User | None]) -> None:
    """Take who asks from here too, for work that is done away from its request."""
    if find not in _elsewhere:
        _elsewhere.append(find)


@contextmanager
def acting_as(user: User | None) -> Iterator[None]:
    """Let what happens inside be done by this user."""
    token = _user.set(user)
    try:
        yield
    finally:
        _user.reset(token)


class Access:
    """Keeps users apart; where no user is required, everything is everybody's."""

    def __init__(self, database: Database, *, required: bool = False, quotas: Quotas | None = None) -> None:
        self._database = database
        self._quotas = quotas or Quotas()
        self.required = required

    def user(self) -> User | None:
        """Give who asks.

        Raises:
            NotAuthenticated: A user is required and none is named.
        """
        user = current_user()
        if self.required and user is None:
            raise NotAuthenticated("Who asks is not known.", "Send an API key or a token.")
        return user if self.required else None

    def need_role(self, *roles: Role) -> None:
        """Let only these roles pass; where no user is required, all.

        Raises:
            NotPermitted: The user has another role.
        """
        if (user := self.user()) and user.role not in roles:
            raise NotPermitted(f"This needs the role {' or '.join(roles)}; yours is {user.role}.", "Ask an admin.")

    def claim(self, kind: Owned, key: str) -> None:
        """Make something the user's; a file that several users made alike belongs to all of them."""
        if user := self.user():
            self._insert("owned", kind=kind, key=key, owner=user.name)

    def owns(self, kind: Owned, key: str) -> bool:
        """Tell whether something is the user's."""
        user = self.user()
        return user is None or user.name in self._owners(kind, key)

    def need(self, kind: Owned, key: str) -> None:
        """Let only an owner pass.

        Raises:
            ArtifactNotFound: It is another user's, or there is none: which of the two is not told.
        """
        if not self.owns(kind, key):
            what = "conversation" if kind == "session" else "file"
            raise ArtifactNotFound(f"There is no {what} with this id.", "Ask the question again to make it anew.")

    def begin(self, session_id: str) -> None:
        """Let the user ask one more question, in a conversation of theirs."""
        self.open_session(session_id)
        self.count("questions")

    def claiming(self, emit: Emit) -> Emit:
        """Make each file that is told of the user's who asks now."""
        user = self.user() if self.required and current_user() else None

        def claim(event: Event | None) -> None:
            if user:
                made = [event.artifact] if isinstance(event, ArtifactEvent) else []
                made += event.answer.artifacts if isinstance(event, AnswerEvent) else []
                with acting_as(user):
                    for artifact in made:
                        self.claim("artifact", artifact.id)
            emit(event)

        return claim

    def need_session(self, session_id: str) -> None:
        """Let only the owner of a conversation pass, and everybody to one that has not begun."""
        if self.user() and self._owners("session", session_id):
            self.need("session", session_id)

    def may_ask(self, session_id: str | None) -> None:
        """Tell beforehand whether the user can ask, in this conversation.

        Raises:
            ArtifactNotFound: The conversation is another user's.
            QuotaExceeded: Today's questions are used.
        """
        if session_id:
            self.need_session(session_id)
        self.check("questions")

    def open_session(self, session_id: str) -> None:
        """Take a conversation for the user; a new one becomes theirs.

        Raises:
            ArtifactNotFound: It is another user's.
        """
        self.need_session(session_id)
        self.claim("session", session_id)

    def count(self, what: Counted, amount: int = 1, *, spent: bool = False) -> None:
        """Take from the user's quota of today; what is `spent` already is taken in any case, or given back.

        Raises:
            QuotaExceeded: It does not suffice; nothing is taken.
        """
        from sqlalchemy import case

        limit = self._limit(what)
        if (user := self.user()) is None or not limit:
            return
        usage, day = tables().tables["usage"], _today()
        self._insert("usage", owner=user.name, day=day, what=what, amount=0)
        mine = (usage.c.owner == user.name, usage.c.day == day, usage.c.what == what)
        # One statement, so that two questions at once cannot both take what is left.
        after = usage.c.amount + amount
        take = usage.update().where(*mine, *(() if spent else (after <= limit,)))
        with self._database.begin() as db:
            taken = db.execute(take.values(amount=case((after < 0, 0), else_=after))).rowcount
        if not taken:
            raise _exceeded(what, amount, limit - self.left(what), limit)

    def check(self, what: Counted) -> None:
        """Tell beforehand when nothing of today's quota is left.

        Raises:
            QuotaExceeded: Nothing is left.
        """
        limit = self._limit(what)
        if self.user() and limit and self.left(what) <= 0:
            raise _exceeded(what, 1, limit, limit)

    def left(self, what: Counted) -> int:
        """Give what is left of today's quota."""
        user, usage = self.user(), tables().tables["usage"]
        name = user.name if user else ""
        mine = usage.select().where(usage.c.owner == name, usage.c.day == _today(), usage.c.what == what)
        with self._database.begin() as db:
            row = db.execute(mine).first()
        return self._limit(what) - (int(row.amount) if row else 0)

    def _limit(self, what: Counted) -> int:
        return int(getattr(self._quotas, what))

    def _owners(self, kind: Owned, key: str) -> frozenset[str]:
        owned = tables().tables["owned"]
        with self._database.begin() as db:
            rows = db.execute(owned.select().where(owned.c.kind == kind, owned.c.key == key)).all()
        return frozenset(row.owner for row in rows)

    def _insert(self, table: str, **row: Any) -> None:
        """Add a row that may be there already."""
        from sqlalchemy import text

        names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
        with self._database.begin() as db:
            db.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values}) ON CONFLICT DO NOTHING"), row)


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


_USED: dict[Counted, str] = {
    "questions": "Your questions for today are used: {used:,} of {limit:,}.",
    "pixels": "Your pixels for today are used: {used:,} of {limit:,}; this one needs {amount:,}.",
    "credits": "Your credits for today are used: {used:,} of {limit:,}; this one needs {amount:,}.",
}


def _exceeded(what: Counted, amount: int, used: int, limit: int) -> QuotaExceeded:
    now = datetime.now(UTC)
    midnight = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
    return QuotaExceeded(
        _USED[what].format(used=used, limit=limit, amount=amount),
        "The quota is new at 00:00 UTC.",
        max(1, int((midnight - now).total_seconds())),
    )
