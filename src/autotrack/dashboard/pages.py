"""The pages themselves: files that are part of the program, read once, told apart by a fixed list of names.

No path of a request ever reaches the disk: what is served is what lay in `static/` when the server began.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from autotrack.dashboard.answers import refusal

FOLDER: Final = Path(__file__).parent / "static"

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".json": "application/json",
    "": "text/plain; charset=utf-8",
}

PATHS: Final = ("/", "/charts", "/run/{id:path}", "/compare", "/models", "/models/{name:path}")
"""Addresses of pages; the browser tells them apart."""


@dataclass(frozen=True)
class _File:
    content: bytes
    packed: bytes
    type: str
    tag: str


class Pages:
    """The files below a folder, by name."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files: dict[str, _File] = {}
        for path in sorted(folder.rglob("*")):
            kind = TYPES.get(path.suffix)
            if path.is_file() and kind is not None:
                content = path.read_bytes()
                tag = f'"{hashlib.sha256(content).hexdigest()[:24]}"'
                self._files[path.relative_to(folder).as_posix()] = _File(content, gzip.compress(content, 6), kind, tag)

    @property
    def routes(self) -> list[Route]:
        """For `app` to mount."""
        pages = [Route(path, self._page) for path in PATHS]
        return [*pages, Route("/favicon.ico", self._icon), Route("/static/{name:path}", self._static)]

    async def _page(self, request: Request) -> Response:
        return self._answer(request, "index.html")

    async def _icon(self, request: Request) -> Response:
        return self._answer(request, "icon.svg")

    async def _static(self, request: Request) -> Response:
        return self._answer(request, request.path_params["name"])

    def _answer(self, request: Request, name: str) -> Response:
        file = self._files.get(name)
        if file is None:
            return refusal(404, "there is no such file")
        headers = {"ETag": file.tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        if file.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        content = file.content
        if "gzip" in request.headers.get("accept-encoding", "") and len(file.packed) < len(content):
            content = file.packed
            headers["Content-Encoding"] = "gzip"
        return Response(content, headers={**headers, "Content-Type": file.type})


__all__ = ["PATHS", "Pages"]
