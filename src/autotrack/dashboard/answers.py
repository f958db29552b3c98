"""Answers: JSON that is quick to make, and errors that say what to do without saying where anything lies.

What an endpoint returns enters; a response leaves. An answer carries a tag of its content, so that a browser that has
it already gets 304; a long one is compressed for who is not on this machine.
"""

from __future__ import annotations

import gzip
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import msgspec
import xxhash
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from autotrack.errors import AutotrackError, QueryError, QueryTooSlow, StoreError, UsageError

log = logging.getLogger("autotrack.dashboard")

COMPRESSED: Final = 32 << 10
"""Bytes from which an answer that leaves this machine is compressed."""

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")

REMEMBERED: Final = 32 << 20
"""Bytes of answers that are remembered."""

LASTS: Final = 30.0
"""Seconds that an answer is remembered at most: a query may speak of the last hour."""

_encode = msgspec.json.Encoder().encode


class Remembered:
    """Answers that hold as long as the store does not change. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[str, tuple[int, float, bytes]] = OrderedDict()
        self._size = 0

    def get(self, name: str, version: int, make: Callable[[], Any]) -> bytes:
        """The JSON under this name, made anew if the store has had another version since."""
        now = time.monotonic()
        with self._lock:
            held = self._held.get(name)
        if held is not None and held[0] == version and now - held[1] < LASTS:
            return held[2]
        body = _encode(make())
        with self._lock:
            before = self._held.pop(name, None)
            self._held[name] = version, now, body
            self._size += len(body) - (0 if before is None else len(before[2]))
            while self._size > REMEMBERED and self._held:
                self._size -= len(self._held.popitem(last=False)[1][2])
        return body


def question(tell: Callable[[Request], Any], *, remembered: bool = False) -> Callable[[Request], Any]:
    """An endpoint that answers with the JSON of what `tell` returns, worked out in a thread.

    With `remembered` an answer that depends on the store and the address alone is worked out once.
    """

    def told(request: Request) -> Any:
        if not remembered:
            return tell(request)
        state = request.app.state
        version = state.hub.version  # before the store is read: what changes meanwhile makes the answer an old one
        found: bytes = state.remembered.get(f"{request.url.path}?{request.url.query}", version, lambda: tell(request))
        return found

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(_answered, told, request)

    return endpoint


def answer(request: Request, told: Any) -> Response:
    """`told` as JSON. Floats must be numbers: what is none becomes null, unless `jsonable` has written it as text."""
    body = told if isinstance(told, bytes) else _encode(told)
    tag = f'W/"{xxhash.xxh3_64_hexdigest(body)}"'
    headers = {"Cache-Control": "no-cache", "ETag": tag, "Vary": "Accept-Encoding"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if len(body) >= COMPRESSED and _is_compressed_for(request):
        body = gzip.compress(body, 1)
        headers["Content-Encoding"] = "gzip"
    return Response(body, media_type="application/json", headers=headers)


def refusal(status: int, why: str, headers: dict[str, str] | None = None, **told: Any) -> Response:
    """An error as JSON: `{error, …}`."""
    return Response(
        _encode({"error": why, **told}),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def failed(problem: Exception) -> Response:
    """What a question that has no answer is answered with."""
    if isinstance(problem, QueryError):
        return refusal(400, str(problem), position=problem.position, length=problem.length)
    if isinstance(problem, UsageError):
        return refusal(400, str(problem))
    if isinstance(problem, QueryTooSlow):
        return refusal(503, str(problem))
    if isinstance(problem, StoreError | SQLAlchemyError):  # may name the database's place: that is for the server's log
        log.warning("the store cannot be read: %s", problem)
        return refusal(503, "the store cannot be read now; the dashboard's own output says why", {"Retry-After": "2"})
    if isinstance(problem, AutotrackError):
        return refusal(404 if isinstance(problem, LookupError) else 409, str(problem))
    log.error("a request failed", exc_info=problem)
    return refusal(500, "this cannot be answered because of a fault; the dashboard's own output says which")


def _answered(tell: Callable[[Request], Any], request: Request) -> Response:
    try:
        told = tell(request)
    except Exception as problem:
        return failed(problem)
    return told if isinstance(told, Response) else answer(request, told)


def _is_compressed_for(request: Request) -> bool:
    near = request.client is not None and request.client.host in LOOPBACK
    return not near and "gzip" in request.headers.get("accept-encoding", "")


__all__ = ["LOOPBACK", "Remembered", "answer", "failed", "question", "refusal"]
