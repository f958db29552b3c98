"""A dashboard that is really served: what the tests of this folder ask, over HTTP."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from autotrack.dashboard.serving import Dashboard
from autotrack.settings import load


@contextmanager
def served(home: Path, host: str = "127.0.0.1", token: str | None = None, **settings: Any) -> Iterator[httpx.Client]:
    """A client of the dashboard of `home`, on a port of its own."""
    dashboard = Dashboard(load({}, home=home, **settings), host, 0, token)
    with dashboard.served():
        port = dashboard.port
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield client


def events(client: httpx.Client) -> Iterator[dict[str, Any]]:
    """The news of the dashboard, as they come."""
    with client.stream("GET", "/api/changes") as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))
