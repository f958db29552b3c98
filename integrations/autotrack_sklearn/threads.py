"""Work that scikit-learn hands to threads is part of the training that handed it out.

`Parallel` takes a copy of the configuration where the work is begun and gives that very copy to every task, whichever
thread makes or runs it. So the copy tells a task which scopes it belongs to, and nothing is stored on the task, which
may be pickled for another process.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator
from typing import Any

from autotrack.plugin import Call, Outcome, carried, resume

MOST = 256
"""More calls of `Parallel` than this are not open at once; older ones are forgotten."""

_scopes: OrderedDict[int, tuple[Any, Any]] = OrderedDict()


def watch_config(call: Call) -> Generator[None, Outcome, None]:
    """`Parallel` begins: remember the scopes with the configuration that its tasks will carry."""
    scopes = carried()
    if not scopes:
        return
    outcome = yield
    if outcome.error is None:
        _scopes[id(outcome.result)] = (outcome.result, scopes)  # holding it keeps the id from being used again
        while len(_scopes) > MOST:
            _scopes.popitem(last=False)


def watch_task(call: Call) -> Generator[None, Outcome, None]:
    """A task runs: be inside the scopes of the thread that began it."""
    config = vars(call.args[0]).get("config")
    found = _scopes.get(id(config))
    if found is None or found[0] is not config or found[1] == carried():
        return
    with resume(found[1]):
        yield
