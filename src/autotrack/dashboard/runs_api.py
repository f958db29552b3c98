"""What the pages of many runs ask for: the list and its groups, what can be shown, comparisons, where all of it lies.

Requests enter; JSON leaves. Conditions, sorting and columns are in the language of `docs/query.md`, which knows what
may be asked. `app` mounts `routes`; `request.app.state` holds `store`, `home` and `settings`.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from sqlalchemy import func, select
from starlette.requests import Request
from starlette.routing import Route

from autotrack import __version__
from autotrack.dashboard import asked
from autotrack.dashboard.answers import question
from autotrack.errors import UsageError
from autotrack.store.asking.fields import condition
from autotrack.store.grouping import grouped
from autotrack.store.query import Store
from autotrack.store.records import Record, jsonable
from autotrack.store.schema import runs

PAGE: Final = 200
MOST_ROWS: Final = 1000
MOST_GROUPS: Final = 500
MOST_COMPARED: Final = 50
MOST_OFFSET: Final = 10_000_000


def _info(request: Request) -> Record:
    """`{version, home, store, projects: {name: count}, statuses: {status: count}, runs, api}`."""
    state = request.app.state
    with state.store.engine.connect() as connection:
        count = select(runs.c.project, runs.c.status, func.count()).group_by(runs.c.project, runs.c.status)
        found = list(connection.execute(count))
    projects: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    for project, status, number in found:
        projects[project] += number
        statuses[status] += number
    return {
        "version": __version__,
        "home": str(state.home),
        "store": state.store.engine.url.get_backend_name(),
        "projects": dict(sorted(projects.items())),
        "statuses": dict(statuses),
        "runs": statuses.total(),
    }


def _columns(request: Request) -> Record:
    found: Record = request.app.state.store.columns(asked.text(request, "where"))
    return found


def _runs(request: Request) -> Record:
    """`{total, offset, runs}`, or, with `group=`, `{groups: [{value, count, where}], total, left_out}`."""
    store: Store = request.app.state.store
    where, columns = asked.text(request, "where"), asked.text(request, "columns")
    group = asked.text(request, "group", longest=asked.LONGEST_KEY)
    if group:
        return _groups(store, where, group)
    sort = asked.text(request, "sort", "-started_at") or "-started_at"
    limit = asked.whole(request, "limit", PAGE, 0, MOST_ROWS)
    offset = asked.whole(request, "offset", 0, 0, MOST_OFFSET)
    found = store.find(where, sort=sort, columns=columns, limit=limit, offset=offset)
    for run in found.runs:
        run["values"] = jsonable(run["values"])
    return {"total": found.total, "offset": offset, "runs": found.runs}


def _groups(store: Store, where: str, field: str) -> Record:
    """The values of a field, those of most runs first, and last that of the runs that have none."""
    counted, total = grouped(store, where, field)
    groups = sorted(counted, key=lambda one: (one[0] is None, -one[1], str(one[0])))
    told = [
        {"value": jsonable(value), "count": count, "where": _both(where, condition(field, value))}
        for value, count in groups[:MOST_GROUPS]
    ]
    return {"groups": told, "total": total, "left_out": len(groups) - len(told)}


def _both(first: str, second: str) -> str:
    return f"({first}) and {second}" if first.strip() else second


def _compare(request: Request) -> Record:
    refs = asked.names(request, "runs", MOST_COMPARED)
    if not refs:
        raise UsageError("the address lacks runs=")
    found: Record = jsonable(request.app.state.store.compare(refs))
    return found


routes: Final = [
    Route("/api/info", question(_info, remembered=True)),
    Route("/api/columns", question(_columns, remembered=True)),
    Route("/api/runs", question(_runs, remembered=True)),
    Route("/api/compare", question(_compare, remembered=True)),
]

__all__ = ["routes"]
