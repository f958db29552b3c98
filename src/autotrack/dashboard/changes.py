"""`/api/changes`: the news of the store, as server-sent events
(https://html.spec.whatwg.org/multipage/server-sent-events.html).

Each `changed` carries `{version, runs}`: the ids of the runs that changed, or null where any may have. The first one
comes at once and names none; to a browser that was away for a while and missed something it has null.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from autotrack.dashboard.answers import refusal
from autotrack.dashboard.watching import Hub

BEAT: Final = 15.0
"""Seconds of silence after which a comment shows that the connection lives."""


async def changes(request: Request) -> Response:
    """The stream. It ends when the browser goes, or the server does."""
    hub: Hub = request.app.state.hub
    if request.method == "HEAD":
        return Response(media_type="text/event-stream")
    if hub.closed or hub.is_full:
        return refusal(503, "too many pages listen already: close some", {"Retry-After": "10"})
    missed = request.headers.get("last-event-id") not in (None, _name(hub))
    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(_stream(hub, missed), media_type="text/event-stream", headers=headers)


async def _stream(hub: Hub, missed: bool) -> AsyncIterator[bytes]:
    queue = hub.listen()
    try:
        yield b"retry: 1500\n" + _told(hub, {"version": hub.version, "runs": None if missed else []})
        while not hub.closed:
            try:
                told = await asyncio.wait_for(queue.get(), BEAT)
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if told is None:
                return
            yield _told(hub, told)
    finally:
        hub.leave(queue)


def _told(hub: Hub, news: dict[str, Any]) -> bytes:
    name = f"{hub.started}-{news['version']}".encode()
    return b"id: " + name + b"\nevent: changed\ndata: " + msgspec.json.encode(news) + b"\n\n"


def _name(hub: Hub) -> str:
    return f"{hub.started}-{hub.version}"


__all__ = ["changes"]
