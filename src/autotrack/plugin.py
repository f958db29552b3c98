"""What an author of an integration imports, and nothing else of autotrack.

A plugin is a module, registered by an entry point in the group `autotrack`, that implements one of the hooks of
`autotrack.hookspecs`. An integration is data plus one function: `install`, named by a string, is called once, when the
product's module has been fully imported, with an `Installation` to place observers through.

    from autotrack.plugin import Integration, hookimpl

    @hookimpl
    def autotrack_register_integrations(register):
        register(Integration(name="acme", module="acme.train", install="autotrack_acme.hooks:install"))

An observer (`autotrack.patching.observe`) looks at one call; `begin_leaf` begins to record it as a training:

    def watch_train(call):
        leaf = begin_leaf("acme", name="acme.train")
        if leaf is None:                      # part of another training: silent
            return
        with leaf:
            with guarded("acme"):
                leaf.run.log_params(call.kwargs)
            leaf.outcome = yield

A backend's author imports `autotrack.backend`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from autotrack.contracts import BackendPlugin, Demo, Installation, Integration, ModelFormat, hookimpl
from autotrack.guard import guarded, warn_once
from autotrack.patching.job import rank
from autotrack.patching.observe import Call, Observer, Outcome
from autotrack.patching.scope import (
    Leaf,
    begin_leaf,
    carried,
    current,
    enter_container,
    is_silent,
    leave,
    rejoin_leaf,
    resume,
    silence,
)
from autotrack.provenance import checkpoints
from autotrack.provenance.dataset import MOST_COLUMNS, describe
from autotrack.provenance.dataset import register as describe_with
from autotrack.provenance.origin import predicted, remember, run_behind, run_of, trained
from autotrack.provenance.params import mask_urls, plain
from autotrack.provenance.weights import Saved
from autotrack.session import session

if TYPE_CHECKING:
    from autotrack.events import Step
    from autotrack.run import Run
    from autotrack.settings import Settings


def settings() -> Settings:
    """The settings in force in this process."""
    return session.settings


def is_enabled(integration: str) -> bool:
    """Whether the integration records unasked: after `enable()`, or with `AUTOTRACK_ENABLED=1`, until `disable()`.

    For extension points that a product asks whether or not `enable()` has been called, such as entry points. What they
    give passes `explicit=True` to `begin_leaf`.
    """
    return session.records_unasked(integration)


def observe_for_callback(integration: Integration) -> None:
    """Place the integration's observers for a callback that a user makes, where `enable()` has not placed them.

    They then see every training; `begin_leaf` opens a run for those alone that pass `explicit=True`.
    """
    from autotrack.plugins import plugins

    session.settings  # noqa: B018  what the settings tell the guard must hold before anything is observed
    if integration.name not in plugins.installed:
        session.only_asked.add(integration.name)
        plugins.install_now(integration)


def open_child(parent: Run, name: str, integration: str, **details: Any) -> Run:
    """Start a run that is a part of `parent`, such as a trial of a study; `details` are those of `begin_leaf`."""
    return session.open_run(name, parent=parent.id, project=parent.project, integration=integration, **details)


def checkpoint_saved(run: Run, path: str | os.PathLike[str], step: Step | None = None) -> None:
    """Remember that the file or folder at `path` is a checkpoint of `run`: what resumes from it goes on with it."""
    with guarded("checkpoints"):
        if run.home is not None:
            checkpoints.remember(run.home, run.id, path, step)


def run_behind_checkpoint(path: str | os.PathLike[str]) -> str | None:
    """The id of the run that saved the checkpoint at `path`, for `begin_leaf(…, continues=…)`; None where unknown."""
    return checkpoints.run_behind(session.settings.resolved_home, path)


__all__ = [
    "MOST_COLUMNS",
    "BackendPlugin",
    "Call",
    "Demo",
    "Installation",
    "Integration",
    "Leaf",
    "ModelFormat",
    "Observer",
    "Outcome",
    "Saved",
    "begin_leaf",
    "carried",
    "checkpoint_saved",
    "current",
    "describe",
    "describe_with",
    "enter_container",
    "guarded",
    "hookimpl",
    "is_enabled",
    "is_silent",
    "leave",
    "mask_urls",
    "observe_for_callback",
    "open_child",
    "plain",
    "predicted",
    "rank",
    "rejoin_leaf",
    "remember",
    "resume",
    "run_behind",
    "run_behind_checkpoint",
    "run_of",
    "settings",
    "silence",
    "trained",
    "warn_once",
]
