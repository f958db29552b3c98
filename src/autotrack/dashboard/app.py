"""The application: which addresses there are. The store and its settings enter; an ASGI application leaves.

Pages and JSON go through `access`, errors leave as JSON that names no place of this machine.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from autotrack.dashboard import models_api, run_api, runs_api, series_api
from autotrack.dashboard.access import Access
from autotrack.dashboard.answers import Remembered, failed, refusal
from autotrack.dashboard.changes import changes
from autotrack.dashboard.pages import Pages
from autotrack.dashboard.watching import Hub
from autotrack.settings import Settings
from autotrack.store.query import Store


def application(
    store: Store, home: Path, settings: Settings, hub: Hub, check: Callable[[str], bool] | None = None
) -> Access:
    """The dashboard of one store. `check` tells whether a token is good; without it only loopback is answered."""
    app = Starlette(
        routes=[
            *runs_api.routes,
            *series_api.routes,
            *run_api.routes,
            *models_api.routes,
            Route("/api/changes", changes),
            *Pages().routes,
        ],
        exception_handlers={HTTPException: _refused, Exception: _failed},
    )
    app.router.redirect_slashes = False
    app.state.store, app.state.home, app.state.settings, app.state.hub = store, home, settings, hub
    app.state.charts, app.state.remembered = series_api.Charts(), Remembered()
    return Access(app, check)


async def _refused(request: Request, problem: Any) -> Response:
    told = {404: "there is nothing at this address", 405: "the dashboard only shows: GET and HEAD"}
    return refusal(problem.status_code, told.get(problem.status_code, str(problem.detail)), problem.headers)


async def _failed(request: Request, problem: Exception) -> Response:
    return failed(problem)


__all__ = ["application"]
