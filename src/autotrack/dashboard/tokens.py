"""Tokens of the people who may look at a team's dashboard, in the store's database.

A name enters and a token leaves, once: what is kept is a salted hash of it. A token that a request brings enters and
the name of its owner leaves, or None. A token is 256 random bits, so that its hash need not be a slow one: no list of
likely passwords leads to it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine, delete, insert, select, update

from autotrack.errors import UsageError
from autotrack.store.engine import writing
from autotrack.store.schema import tokens_of_readers as tokens

ROLES: Final = ("reader",)
PREFIX: Final = "atk_"
"""By which a token that was committed or posted somewhere can be found."""
LONGEST_NAME: Final = 100
_LONGEST: Final = 200
"""Characters of what is looked at as a token at all."""


@dataclass(frozen=True)
class Token:
    """What is known of a token. Times are nanoseconds since the epoch."""

    name: str
    role: str
    created: int
    expires: int | None
    revoked: int | None

    @property
    def state(self) -> str:
        """`valid`, `expired` or `revoked`."""
        if self.revoked is not None:
            return "revoked"
        return "valid" if self.expires is None or self.expires > time.time_ns() else "expired"


def add(engine: Engine, name: str, role: str = "reader", days: float | None = None) -> str:
    """A new token for `name`, valid for so many days or until it is revoked. It cannot be shown again.

    Raises `UsageError` for a name that has a valid token, or that cannot be one, and for a role that there is not.
    """
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise UsageError(f"{name!r} cannot be the name of a token: use up to {LONGEST_NAME} printable characters")
    if role not in ROLES:
        raise UsageError(f"{role!r} is no role; use one of {', '.join(ROLES)}")
    if days is not None and not 0 < days < 36_500:
        raise UsageError("a token is valid for more than 0 days, and less than 100 years")
    token, now = PREFIX + secrets.token_urlsafe(32), time.time_ns()
    salt = secrets.token_hex(16)
    with writing(engine) as connection:
        known = {one.name: one for one in _listed(connection.execute(select(tokens).with_for_update()))}
        if name in known and known[name].state == "valid":
            raise UsageError(f"{name} has a token already: revoke it first (autotrack dashboard tokens revoke {name})")
        connection.execute(delete(tokens).where(tokens.c.name == name))
        connection.execute(
            insert(tokens).values(
                name=name,
                hash=f"{salt}${_hash(salt, token)}",
                role=role,
                created=now,
                expires=None if days is None else now + int(days * 86_400e9),
                revoked=None,
            )
        )
    return token


def check(engine: Engine, token: str) -> str | None:
    """Whose valid token this is, or None. It takes as long for a wrong one as for a right one."""
    if len(token) > _LONGEST:
        return None
    found = None
    with engine.connect() as connection:
        rows = list(connection.execute(select(tokens)))
    for row, told in zip(rows, _listed(rows), strict=True):
        salt, _, kept = row.hash.partition("$")
        same = hmac.compare_digest(kept, _hash(salt, token))
        if same and told.state == "valid":
            found = told.name
    return found


def listed(engine: Engine) -> list[Token]:
    """All tokens, by name, those that are no longer valid too."""
    with engine.connect() as connection:
        return _listed(connection.execute(select(tokens).order_by(tokens.c.name)))


def revoke(engine: Engine, name: str) -> None:
    """From now on the token of `name` is refused. Raises `UsageError` where there is none that is valid."""
    with writing(engine) as connection:
        done = connection.execute(
            update(tokens).where(tokens.c.name == name, tokens.c.revoked.is_(None)).values(revoked=time.time_ns())
        )
    if not done.rowcount:
        names = ", ".join(one.name for one in listed(engine) if one.state == "valid") or "nobody"
        raise UsageError(f"{name!r} has no token to revoke; there are tokens of {names}")


def _hash(salt: str, token: str) -> str:
    return hashlib.sha256(bytes.fromhex(salt) + token.encode(errors="surrogateescape")).hexdigest()


def _listed(rows: object) -> list[Token]:
    return [Token(row.name, row.role, row.created, row.expires, row.revoked) for row in rows]  # type: ignore[attr-defined]


__all__ = ["ROLES", "Token", "add", "check", "listed", "revoke"]
