"""Logging in where a token is demanded: the login page, the cookie it sets, and how often one may guess.

A token enters once, by the page's form, and is remembered in this process's memory under a random session that the
browser's cookie names; so the browser keeps no token, and one that was revoked opens nothing any more.
"""

from __future__ import annotations

import hashlib
import html
import secrets
import threading
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs, quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

COOKIE: Final = "autotrack-session"
LASTS: Final = 12 * 3600.0
"""Seconds until one logs in anew."""
MOST_SESSIONS: Final = 1000
LONGEST_TOKEN: Final = 512
GUESSES: Final = 10
"""Wrong tokens that one address, and ten times as many that all together, may send within `WINDOW` seconds."""
WINDOW: Final = 60.0
MOST_ADDRESSES: Final = 10_000


class Sessions:
    """Who has logged in, and who guesses. Safe to share between threads."""

    def __init__(self, check: Callable[[str], bool]) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._open: dict[bytes, tuple[str, float]] = {}
        self._wrong: dict[str, list[float]] = {}

    def is_good(self, token: str, request: Request) -> bool:
        """Whether the token opens the dashboard; a wrong one counts as a guess."""
        if 0 < len(token) <= LONGEST_TOKEN and self._check(token):
            return True
        now = time.monotonic()
        with self._lock:
            if len(self._wrong) > MOST_ADDRESSES:
                self._wrong.clear()
            for place in (_address(request), "*"):
                self._wrong[place] = [*self._recent(place, now), now][-10 * GUESSES :]
        return False

    def must_wait(self, request: Request) -> float:
        """Seconds until this address may try a token again; 0 where it may now."""
        now = time.monotonic()
        with self._lock:
            for place, most in ((_address(request), GUESSES), ("*", 10 * GUESSES)):
                recent = self._recent(place, now)
                if len(recent) >= most:
                    return recent[-most] + WINDOW - now
        return 0.0

    def knows(self, session: str) -> bool:
        """Whether a cookie names somebody who logged in, whose token is still good."""
        if not session:
            return False
        name = _hashed(session)  # compared by its hash: how long that takes tells nothing of the name
        with self._lock:
            token, until = self._open.get(name, ("", 0.0))
        if token and time.monotonic() < until and self._check(token):
            return True
        with self._lock:
            self._open.pop(name, None)
        return False

    async def login(self, request: Request) -> Response:
        """The login page, or, with a good token in its form, the cookie and the page that was wanted."""
        wanted = _local(request.query_params.get("next", "/"))
        if request.method != "POST":
            return _page(wanted)
        if wait := self.must_wait(request):
            told = f"Too many wrong tokens: try again in {int(wait) + 1} seconds."
            return _page(wanted, told, 429, {"Retry-After": str(int(wait) + 1)})
        token = await _sent(request)
        if not await run_in_threadpool(self.is_good, token, request):
            return _page(wanted, "This token opens nothing here.", 401)
        session = secrets.token_urlsafe(32)
        with self._lock:
            now = time.monotonic()
            for name in [name for name, (_, until) in self._open.items() if until < now]:
                del self._open[name]
            while len(self._open) >= MOST_SESSIONS:
                del self._open[next(iter(self._open))]
            self._open[_hashed(session)] = token, now + LASTS
        answer = RedirectResponse(wanted, 303, {"Cache-Control": "no-store"})
        answer.set_cookie(
            COOKIE,
            session,
            max_age=int(LASTS),
            httponly=True,
            samesite="strict",
            secure=request.headers.get("origin", "").startswith("https:"),  # a proxy speaks TLS, if anybody does
        )
        return answer

    def _recent(self, place: str, now: float) -> list[float]:
        return [moment for moment in self._wrong.get(place, ()) if now - moment < WINDOW]


def _hashed(session: str) -> bytes:
    return hashlib.sha256(session.encode()).digest()


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def _local(wanted: str) -> str:
    """An address within the dashboard. Browsers take `//host` and `/\\host` for other hosts."""
    plain = wanted.isprintable() and "\\" not in wanted
    return wanted if plain and wanted.startswith("/") and not wanted.startswith(("//", "/login")) else "/"


async def _sent(request: Request) -> str:
    """The token in the form that was sent; empty where there is none, or what was sent is no such form."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > 4 * LONGEST_TOKEN:
            return ""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return ""
    try:
        return parse_qs(body.decode(), max_num_fields=4).get("token", [""])[0].strip()
    except ValueError:
        return ""


def _page(wanted: str, told: str = "", status: int = 200, headers: dict[str, str] | None = None) -> Response:
    problem = f'<p class="note bad" role="alert">{html.escape(told)}</p>' if told else ""
    return HTMLResponse(
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in · autotrack</title>
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<script src="/static/lib/theme.js"></script>
<link rel="stylesheet" href="/static/theme.css">
<link rel="stylesheet" href="/static/login.css">
</head>
<body>
<main class="login">
<h1>autotrack</h1>
<p>This dashboard asks for a token. Whoever runs it makes one with <code>autotrack dashboard tokens add NAME</code>.</p>
{problem}
<form method="post" action="/login?next={html.escape(quote(wanted, safe=""))}">
<p><label for="token">Token</label></p>
<p><input id="token" name="token" type="password" autocomplete="current-password" required autofocus></p>
<p><button type="submit" class="primary">Log in</button></p>
</form>
</main>
</body>
</html>
""",
        status,
        # Without a referrer browsers would call the origin of the form "null", as they do for another site's.
        {"Cache-Control": "no-store", "Referrer-Policy": "same-origin", **(headers or {})},
    )


__all__ = ["COOKIE", "Sessions"]
