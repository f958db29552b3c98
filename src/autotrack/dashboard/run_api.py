"""What the page of one run asks for: `/api/run/…`, `/api/datadiff` and the files under `/files/…`.

Requests enter, JSON and bytes leave. A run is named by its id alone, and a file by a digest that this run's record
holds. Files go out so that no browser runs them in the dashboard's name: sandboxed, never sniffed, and as a download
unless they are pictures. `app` mounts `routes`; `request.app.state` holds `store`, `home` and `settings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import quote

from sqlalchemy import func, select
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from autotrack.dashboard import asked, code_view
from autotrack.dashboard.answers import question
from autotrack.dashboard.packages import packages
from autotrack.dashboard.previews import image_type, preview
from autotrack.dashboard.tensors import tensors
from autotrack.errors import AutotrackError, RunNotFound, UsageError
from autotrack.forward.deliveries import deliveries
from autotrack.lineage.graph import lineage
from autotrack.provenance.blobs import BLOCK
from autotrack.provenance.parts import PartDamaged
from autotrack.reading import recorded_dataset
from autotrack.registry.reading import with_registered
from autotrack.store import schema
from autotrack.store.query import Store
from autotrack.store.records import HEADER, Record, header, iso, jsonable
from autotrack.store.remote_blobs import readable

MOST_CHILDREN: Final = 500
MOST_CONSOLE: Final = 512 << 10
"""Characters of the console in one answer; the page asks on with `after`."""
LINEAGE_DEPTH: Final = 3
HEAD: Final = 64
"""Bytes of a file by which its kind is told."""

SANDBOX: Final = "sandbox; default-src 'none'"
SANDBOXED_PAGE: Final = f"{SANDBOX}; style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'"


class Look:
    """What one request looks at."""

    def __init__(self, request: Request) -> None:
        state = request.app.state
        self.request = request
        self.store: Store = state.store
        self.home: Path = state.home
        self.blobs = readable(self.home, state.settings)
        self.ref = str(request.path_params.get("run", ""))

    def record(self) -> Record:
        """The record of the run that the address names, by its id. Raises `RunNotFound`."""
        return _by_id(self.store, self.ref)

    def digest(self, record: Record) -> str:
        """The digest that is asked for, if it is one of this run's. Raises `RunNotFound`."""
        digest = self.request.path_params.get("digest") or asked.needed(self.request, "digest")
        if digest not in _digests(record):
            raise RunNotFound(f"run {record['id']} has no file {str(digest)[:64]!r}")
        return str(digest)


def endpoint(tell: Callable[[Look], Any]) -> Callable[[Request], Any]:
    """An endpoint that answers with the JSON of what `tell` returns."""

    def told(request: Request) -> Any:
        try:
            found = tell(Look(request))
        except FileNotFoundError:
            raise RunNotFound(
                "the file is not kept here: it was removed, or never left the machine that wrote it"
            ) from None
        except PartDamaged as problem:
            raise AutotrackError(f"the file is damaged ({problem})") from problem
        return found if isinstance(found, Response) else jsonable(found)

    return question(told)


def _by_id(store: Store, run: str) -> Record:
    record = store.run(run)
    if record["id"] != run:
        raise RunNotFound(f"no run has the id {run!r}")
    return record


def _digests(told: Any) -> set[str]:
    """Every digest that the record names."""
    found: set[str] = set()
    waiting = [told]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if isinstance(one.get("digest"), str):
                found.add(one["digest"])
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return found


def _run(look: Look) -> Record:
    record = look.record()
    with look.store.engine.connect() as connection:
        below = schema.runs.c.parent_id == record["id"]
        first = select(*HEADER).where(below).order_by(schema.runs.c.started_at, schema.runs.c.id).limit(MOST_CHILDREN)
        record["children"] = [header(row) for row in connection.execute(first)]
        record["children_total"] = connection.execute(select(func.count()).where(below)).scalar_one()
        above = select(*HEADER).where(schema.runs.c.id == record["parent_id"])
        row = connection.execute(above).first() if record["parent_id"] else None
    record["parent"] = header(row) if row is not None else None
    return with_registered(look.store, record)


def _console(look: Look) -> Record:
    after = asked.whole(look.request, "after", 0, 0, 10**17)
    run = _known(look)
    table, pieces, size = schema.console, [], 0
    with look.store.engine.connect() as connection:
        wanted = select(table).where(table.c.run_id == run, table.c.id > after).order_by(table.c.id)
        more = False
        for row in connection.execution_options(yield_per=200).execute(wanted):
            if size > MOST_CONSOLE:
                more = True
                break
            size += len(row.text)
            after = row.id
            pieces.append({"id": row.id, "stream": row.stream, "text": row.text, "time": iso(row.time)})
    return {"pieces": pieces, "after": after, "more": more}


def _known(look: Look) -> str:
    if look.store.resolve(look.ref) != look.ref:
        raise RunNotFound(f"no run has the id {look.ref!r}")
    return look.ref


def _code(look: Look) -> Record:
    record = look.record()
    path = look.request.query_params.get("path")
    if path is None:
        return code_view.code(look.blobs, record)
    found = code_view.source(look.blobs, record, path)
    if found is None:
        raise RunNotFound(f"the capsule of run {record['id']} has no file {path!r}")
    return found


def _packages(look: Look) -> Record:
    return packages(look.blobs, look.record())


def _lineage(look: Look) -> Record:
    return lineage(look.store, _known(look), LINEAGE_DEPTH).as_dict()


def _delivery(look: Look) -> list[Record]:
    return deliveries(look.request.app.state.settings, look.record())


def _model(look: Look) -> Record:
    record = look.record()
    digest = look.digest(record)
    found = next((one for one in reversed(record["models"]) if one["digest"] == digest), None)
    if found is None:
        raise RunNotFound(f"run {record['id']} has no model {digest[:12]}")
    return tensors(look.blobs, digest, found["format"]) | {"format": found["format"], "bytes": found["bytes"]}


def _preview(look: Look) -> Record:
    record = look.record()
    digest = look.digest(record)
    return preview(look.blobs, digest, _name(record, digest, look.request.query_params.get("name")))


def _name(record: Record, digest: str, wanted: str | None = None) -> str:
    """What the run calls the file: `wanted` where it has that name too, since equal files share a digest."""
    names = [str(one["name"]) for one in record["artifacts"] if one["digest"] == digest]
    names += [f"{one['name']}.{one['format']}" for one in record["models"] if one["digest"] == digest]
    code = record.get("code") or {}
    for key, name in (("bundle", "sources.bundle"), ("archive", "sources.tar")):
        if isinstance(code.get(key), dict) and code[key].get("digest") == digest:
            names.append(name)
    if wanted in names:
        return str(wanted)
    return names[-1] if names else digest


def _file(look: Look) -> Response:
    record = look.record()
    digest = look.digest(record)
    name = _name(record, digest, look.request.path_params.get("name"))
    size = look.blobs.size(digest)
    opened = look.blobs.open(digest)
    try:
        head = opened.read(HEAD)
    except BaseException:
        opened.close()
        raise
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(Path(name).name, safe='')}",
        "Content-Security-Policy": SANDBOX,
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "private, max-age=3600",
    }
    kind, ending = image_type(head), name.rpartition(".")[2].lower()
    if kind is not None:
        headers["Content-Disposition"] = headers["Content-Disposition"].replace("attachment", "inline")
    elif ending == "svg":  # drawn in an <img>, where it runs nothing; opened by itself it is a download
        kind = "image/svg+xml"
    elif ending in ("html", "htm") and look.request.query_params.get("framed") == "1":
        kind = "text/html; charset=utf-8"
        headers["Content-Security-Policy"] = SANDBOXED_PAGE
        del headers["Content-Disposition"]
    return StreamingResponse(_blocks(head, opened), media_type=kind or "application/octet-stream", headers=headers)


def _blocks(head: bytes, opened: BinaryIO) -> Iterator[bytes]:
    with opened:
        yield head
        while block := opened.read(BLOCK):
            yield block


def _datadiff(look: Look) -> Record:
    from autotrack.provenance.fingerprint.diff import difference
    from autotrack.provenance.fingerprint.sides import Side

    sides = []
    for name in ("a", "b"):
        run, colon, wanted = asked.needed(look.request, name, 2000).partition(":")
        if not colon:
            raise UsageError(f"{name}= is RUN:role")
        sides.append(Side.of_record(recorded_dataset(_by_id(look.store, run), wanted), look.blobs.open))
    found = difference(*sides)
    return found.record() | {"told": str(found).splitlines()}


routes: Final = [
    Route("/api/run/{run}", endpoint(_run)),
    Route("/api/run/{run}/console", endpoint(_console)),
    Route("/api/run/{run}/code", endpoint(_code)),
    Route("/api/run/{run}/packages", endpoint(_packages)),
    Route("/api/run/{run}/lineage", endpoint(_lineage)),
    Route("/api/run/{run}/delivery", endpoint(_delivery)),
    Route("/api/run/{run}/model", endpoint(_model)),
    Route("/api/run/{run}/preview", endpoint(_preview)),
    Route("/api/datadiff", endpoint(_datadiff)),
    Route("/files/{run}/{digest}/{name:path}", endpoint(_file)),
]
"""For `app` to mount; GET and HEAD only, as Starlette's routes are."""

__all__ = ["routes"]
