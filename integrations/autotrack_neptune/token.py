"""What Neptune's own variables say: where the server is, in which project runs go, and whether it is reached at all."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from autotrack.errors import UsageError

ENDED: Final = (
    "Neptune's hosted service ended on 2026-03-05, and NEPTUNE_API_TOKEN points to it ({host}): nothing can be sent "
    "there. Take neptune out of AUTOTRACK_BACKENDS, bring over the runs that lie on disk with `autotrack import "
    "neptune PATH`, or use the token of a self-hosted Neptune"
)


@dataclass(frozen=True)
class Connection:
    """Where runs go. `token` is None where the server is not reached."""

    mode: str
    """`async` or `offline`."""
    token: str | None
    project: str | None

    def project_of(self, own: str) -> str:
        """The project of a run, as `workspace/name`. Raises `UsageError` where nothing says it."""
        name = self.project or own
        if name.count("/") != 1 or not all(name.split("/")):
            if self.token is None and self.project is None:
                return f"autotrack/{name.replace('/', '_')}"  # on disk; `neptune sync` may be told another
            raise UsageError(f"set NEPTUNE_PROJECT=workspace/project: {name!r} is no project of Neptune's")
        return name


def connection(environ: Mapping[str, str]) -> Connection:
    """Read NEPTUNE_MODE, NEPTUNE_API_TOKEN and NEPTUNE_PROJECT. Raises `UsageError`, which names the one at fault."""
    mode = environ.get("NEPTUNE_MODE", "").strip().lower() or "async"
    if mode not in ("async", "sync", "offline"):
        raise UsageError(f"NEPTUNE_MODE={mode}: use async, or offline to write to disk for `neptune sync`")
    project = environ.get("NEPTUNE_PROJECT", "").strip() or None
    if mode == "offline":
        return Connection("offline", None, project)
    token = environ.get("NEPTUNE_API_TOKEN", "").strip()
    if not token:
        raise UsageError("set NEPTUNE_API_TOKEN to the token of a self-hosted Neptune, or NEPTUNE_MODE=offline")
    host = urlsplit(address_in(token)).hostname or ""
    if host == "neptune.ai" or host.endswith(".neptune.ai"):
        raise UsageError(ENDED.format(host=host))
    return Connection("async", token, project)


def address_in(token: str) -> str:
    """The server's address in a token, which is JSON in base64. Raises `UsageError`; the token is never shown."""
    try:
        held = json.loads(base64.b64decode(token, validate=False))
        address = held.get("api_url") or held["api_address"]
    except (binascii.Error, ValueError, KeyError, AttributeError, TypeError):
        raise UsageError("NEPTUNE_API_TOKEN is no token of Neptune's: copy it anew from your server's pages") from None
    return str(address)
