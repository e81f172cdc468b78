"""Who a key or a token belongs to: API keys of the database, and bearer tokens of an OpenID Connect provider."""

import hashlib
import hmac
import re
import secrets
from typing import get_args

from assistant.access import NotAuthenticated, Role, User
from assistant.database import Database, tables
from assistant.oidc import Provider
from assistant.settings import Settings
from tools.errors import ToolInputError

KEY = re.compile(r"clms_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
NAME = re.compile(r"[\w.@-]{1,100}")
NOBODY = hashlib.sha256(b"").hexdigest()
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
"""Signatures with a public key only: with `none` or HS256 anybody who knows the public key could sign."""
LEEWAY_S = 30
ROLES: tuple[Role, ...] = get_args(Role)


class ApiKeys:
    """API keys, kept as hashes; a key is told once, when it is made."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, role: Role = "user") -> str:
        """Make a key for a user.

        Raises:
            ToolInputError: The name cannot be one, or has a key.
        """
        if not NAME.fullmatch(name):
            raise ToolInputError(f"{name!r} cannot be a user's name.", "Take letters, digits and . _ - @ only.")
        if name in dict(self.list()):
            raise ToolInputError(f"{name} has a key.", f"First revoke it: clms-assistant users revoke {name}.")
        number, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        row = {"id": number, "name": name, "role": role, "hash": _hash(secret)}
        with self._database.begin() as db:
            db.execute(tables().tables["api_key"].insert().values(**row))
        return f"clms_{number}_{secret}"

    def list(self) -> tuple[tuple[str, Role], ...]:
        """Give names and roles."""
        table = tables().tables["api_key"]
        with self._database.begin() as db:
            return tuple((row.name, row.role) for row in db.execute(table.select().order_by(table.c.name)))

    def revoke(self, name: str) -> None:
        """Make a user's key worthless.

        Raises:
            ToolInputError: There is none.
        """
        table = tables().tables["api_key"]
        with self._database.begin() as db:
            if not db.execute(table.delete().where(table.c.name == name)).rowcount:
                raise ToolInputError(f"{name} has no key.", "clms-assistant users list names those who have.")

    def find(self, key: str) -> User:
        """Give whose key this is.

        Raises:
            NotAuthenticated: Nobody's.
        """
        parts = KEY.fullmatch(key)
        if parts is None:
            raise _refused()
        table = tables().tables["api_key"]
        with self._database.begin() as db:
            row = db.execute(table.select().where(table.c.id == parts[1])).first()
        # Compared in constant time, and also where there is no such key: time must not tell.
        if not hmac.compare_digest(_hash(parts[2]), row.hash if row else NOBODY) or row is None:
            raise _refused()
        return User(name=row.name, role=row.role)


class Tokens:
    """Bearer tokens of one OpenID Connect provider."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.provider = Provider(settings.oidc_issuer or "", settings.oidc_jwks_url)

    def find(self, token: str) -> User:
        """Give whose token this is.

        Raises:
            NotAuthenticated: It is not signed by the provider, not for us, or no longer valid.
            BackendUnavailable: The provider does not tell its keys.
        """
        import jwt

        try:
            claims = jwt.decode(
                token,
                self.provider.key(token),
                algorithms=ALGORITHMS,
                audience=self._settings.oidc_audience,
                issuer=self._settings.oidc_issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise _refused() from error
        given = claims.get(self._settings.oidc_role_claim, ())
        named = [given] if isinstance(given, str) else given if isinstance(given, list) else []
        role: Role = next((role for role in reversed(ROLES) if role in named), "user")
        # Names of keys cannot hold a colon: no token can pass for the holder of a key.
        return User(name=f"oidc:{claims['sub']}", role=role)


def find_user(credential: str, keys: ApiKeys, tokens: Tokens | None) -> User:
    """Give who a credential belongs to.

    Raises:
        NotAuthenticated: Nobody.
    """
    if tokens and credential.count(".") == 2 and len(credential) < 16_000:
        return tokens.find(credential)
    return keys.find(credential)


def _refused() -> NotAuthenticated:
    """Make the error anew: one raised twice would keep the frames of both, and the secrets in them."""
    return NotAuthenticated("The key or token does not hold.", "Ask an admin for a key, or log in again.")


def _hash(secret: str) -> str:
    """Hash a secret; one of 256 random bits needs no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
