"""Who may look: every request passes here before anything else sees it, and every answer gets its headers here.

Bound to loopback, the dashboard answers to loopback names alone, so that no page of another site reaches it by giving
that site's name this address. Bound elsewhere, it asks for a token. Requests only read; the one POST there is logs in.
Pages of other sites can neither read answers (nothing here ever allows it) nor have requests made in a person's name.
"""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autotrack.dashboard.answers import refusal
from autotrack.dashboard.sessions import COOKIE, Sessions

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})

LONGEST_ADDRESS: Final = 12_000
"""Bytes of a path with its query."""

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "frame-src 'self'",  # an HTML artifact, sandboxed by its own answer
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    )
)

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex",
}
"""Of every answer that does not say otherwise itself."""


class Access:
    """The ASGI middleware. `check` tells whether a token is good; None where none is asked for, on loopback."""

    def __init__(self, app: ASGIApp, check: Callable[[str], bool] | None = None) -> None:
        self._app = app
        self.sessions = None if check is None else Sessions(check)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or let it pass."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no WebSocket is spoken here
            await send({"type": "websocket.close", "code": 1008})
            return

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answered = self._refused(scope)
        if answered is None and self.sessions is not None:
            answered = await self._unknown(scope, receive)
        await (answered or self._app)(scope, receive, headed)

    def _refused(self, scope: Scope) -> ASGIApp | None:
        """What is wrong with the request whoever asks."""
        headers, path = Headers(scope=scope), scope["path"]
        method = scope["method"]
        logs_in = method == "POST" and path == "/login" and self.sessions is not None
        if method not in ("GET", "HEAD") and not logs_in:
            allow = {"Allow": "GET, HEAD"}
            return refusal(405, "the dashboard only shows: GET and HEAD; changes are made with autotrack itself", allow)
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > LONGEST_ADDRESS:
            return refusal(414, f"the address has more than {LONGEST_ADDRESS} bytes")
        hosts = headers.getlist("host")
        if len(hosts) != 1 or (self.sessions is None and _name_of(hosts[0]) not in LOOPBACK_NAMES):
            return refusal(421, "this dashboard answers to localhost alone; open the address that it printed")
        if _is_foreign(headers, hosts[0], scope.get("scheme", "http"), path):
            return refusal(403, "a page of another site may not ask the dashboard")
        return None

    async def _unknown(self, scope: Scope, receive: Receive) -> ASGIApp | None:
        """What one who has shown no good token gets; None lets the request pass."""
        assert self.sessions is not None
        request, path = Request(scope, receive), scope["path"]
        if path == "/login":
            return await self.sessions.login(request)
        if path.startswith("/static/"):  # the program itself, which is no secret: the login page is drawn with it
            return None
        return await run_in_threadpool(self._stranger, self.sessions, request)  # the store may be asked

    def _stranger(self, sessions: Sessions, request: Request) -> ASGIApp | None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if token:
            if wait := sessions.must_wait(request):
                return too_many(wait)
            if kind.lower() == "bearer" and sessions.is_good(token.strip(), request):
                return None
        elif sessions.knows(_cookie(request)):
            return None
        path, query = request.url.path, request.url.query
        if not path.startswith(("/api/", "/files/")):
            asked = f"{path}?{query}" if query else path
            return refusal(303, "log in first", {"Location": f"/login?next={quote(asked, safe='')}"})
        challenge = {"WWW-Authenticate": 'Bearer realm="autotrack"'}
        return refusal(401, "this needs a token: log in at /login, or send Authorization: Bearer TOKEN", challenge)


def too_many(wait: float) -> ASGIApp:
    """The answer to somebody who guesses."""
    seconds = str(int(wait) + 1)
    return refusal(429, f"too many wrong tokens: try again in {seconds} seconds", {"Retry-After": seconds})


def _name_of(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.rpartition(":")[0].lower() if host.count(":") == 1 else host.lower()


def _is_foreign(headers: Headers, host: str, scheme: str, path: str) -> bool:
    """Whether a page of another origin makes the request. Following a link from there to a page of ours is none.

    Ports of one machine are one *site* to browsers, so `same-site` counts as foreign
    (https://www.w3.org/TR/fetch-metadata/). A proxy that speaks TLS is not seen from here, so schemes are not compared.
    """
    site = headers.get("sec-fetch-site", "none")
    follows = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    if site not in ("none", "same-origin") and not (follows and not path.startswith(("/api/", "/files/", "/login"))):
        return True
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2].lower() != host.lower()


def _cookie(request: Request) -> str:
    try:
        found = SimpleCookie(request.headers.get("cookie", ""))
    except CookieError:
        return ""
    return found[COOKIE].value if COOKIE in found else ""


__all__ = ["HEADERS", "POLICY", "Access"]
