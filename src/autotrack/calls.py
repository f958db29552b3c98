"""The calls by which a script has its trainings recorded: `enable`, `disable`, `start_run`, `current_run`.

They set what the session of this process does. `enable()` is light: plugins are found, and wait for their products.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autotrack.patching import job, scope
from autotrack.session import session

if TYPE_CHECKING:
    from autotrack.run import Run


def enable(
    *integrations: str,
    project: str | None = None,
    backends: Sequence[str] | None = None,
    home: str | os.PathLike[str] | None = None,
    **more: Any,
) -> None:
    """Record every training of this process: of all products that are installed, or of the named integrations.

    May come before or after the imports of the products, and again with other arguments. `AUTOTRACK_ENABLED=0` makes
    it do nothing. Raises `UsageError` for a setting that does not exist or a value that cannot be used, and
    `PluginError` for an integration that does not exist; nothing else.
    """
    if integrations:
        more["integrations"] = integrations
    loaded = session.configure(project=project, backends=backends, home=home, **more)
    from autotrack.plugins import plugins

    plugins.load()  # in any case: words that plugins add to a product, such as `report_to="autotrack"`, stay legal
    if loaded.enabled is False:
        return
    plugins.await_products(loaded.integrations, loaded.disabled_integrations)
    session.only_asked -= set(plugins.chosen(loaded.integrations, loaded.disabled_integrations))
    session.enabled, session.disabled = True, False


def disable() -> None:
    """Stop recording and put every observed attribute back. Runs that are open stay open until they end."""
    session.enabled, session.disabled = False, True
    if "autotrack.plugins" in sys.modules:
        from autotrack.plugins import plugins

        plugins.remove_all()


def start_run(
    name: str | None = None,
    *,
    tags: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    project: str | None = None,
    parent: str | None = None,
) -> Run:
    """Own a run: what trains in this thread until it ends is recorded in it.

    As `with start_run() as run:` it ends with the block, as `failed` where the block raises; otherwise call
    `run.end()`, or let the end of the process do it. A run that is started inside another is its child.
    """
    around = current_run()
    parent = parent or (around.id if around else job.parent_of_runs(session.settings.run_id))
    run = session.open_run(name, tags=tags, params=params, project=project, parent=parent)
    opened = scope.enter_container(run)
    run.when_ended.append(lambda: scope.leave(opened))
    return run


def current_run() -> Run | None:
    """The run that is recorded right now in this thread or task, or None."""
    innermost = scope.current()
    return innermost.run if innermost else None
