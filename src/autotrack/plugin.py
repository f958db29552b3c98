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

from autotrack.contracts import BackendPlugin, Demo, Finding, Gate, Installation, Integration, ModelFormat, hookimpl
from autotrack.guard import guarded, warn_once
from autotrack.importing import ImporterPlugin
from autotrack.patching.job import rank
from autotrack.patching.observe import Call, Observer, Outcome, Switch, elements
from autotrack.patching.scope import (
    Leaf,
    Ongoing,
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
from autotrack.provenance.dataset import MOST_COLUMNS, describe
from autotrack.provenance.dataset import register as describe_with
from autotrack.provenance.defaults import declared, log_defaults
from autotrack.provenance.fingerprint.registry import is_readable, register_reader
from autotrack.provenance.origin import predicted, remember, run_behind, run_of, trained
from autotrack.provenance.params import mask_urls, plain
from autotrack.provenance.passing import Iteration, Passing
from autotrack.provenance.passing import expect as expect_stream
from autotrack.provenance.passing import follow as follow_stream
from autotrack.provenance.passing import is_awaited_by as awaits_streams
from autotrack.provenance.passing import prepare as prepare_streams
from autotrack.provenance.passing import register as follow_with
from autotrack.provenance.seeds import seed_seen, watch_seeds
from autotrack.provenance.told import Told, identify, tell
from autotrack.provenance.weights import Saved
from autotrack.session import session

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

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


def stretches(n_rows: int, take: Callable[[int, int], Any]) -> Any:
    """What a reader gives for `n_rows` rows of which `take(start, stop)` gives each stretch, as an object to read."""
    from autotrack.provenance.fingerprint import stretches

    return stretches.stretches(n_rows, take)


def open_child(parent: Run, name: str, integration: str, **details: Any) -> Run:
    """Start a run that is a part of `parent`, such as a trial of a study; `details` are those of `begin_leaf`."""
    return session.open_run(name, parent=parent.id, project=parent.project, integration=integration, **details)


def checkpoint_saved(run: Run, path: str | os.PathLike[str], step: Step | None = None) -> None:
    """Remember that the file or folder at `path` is a checkpoint of `run`: what resumes from it goes on with it."""
    with guarded("checkpoints"):
        if run.home is None:
            return
        from autotrack.provenance import checkpoints

        checkpoints.remember(run.home, run.id, path, step)
        if run.owner and os.path.isfile(path):
            from autotrack.provenance.modelfiles import model_files

            model_files.saved(path, "checkpoint", run, run.home, remember=False)


def run_behind_checkpoint(path: str | os.PathLike[str]) -> str | None:
    """The id of the run that saved the checkpoint at `path`, for `begin_leaf(…, continues=…)`; None where unknown."""
    from autotrack.provenance import checkpoints

    return checkpoints.run_behind(session.settings.resolved_home, path)


def data_read(made: Any, path: str | os.PathLike[str]) -> None:
    """The user has read the table `made` from a file or an address: its record says so where it is trained with."""
    from autotrack.provenance.fingerprint import sources

    sources.remember(made, sources.of_path(os.fspath(path)))


def data_queried(made: Any, statement: Any, connection: Any) -> None:
    """The user has read the table `made` with a query (or by the name of a table) from a database."""
    from autotrack.provenance.fingerprint import sources

    sources.remember(made, sources.of_statement(statement, connection))


def builds_on(run: Run, model: Any, by: str) -> None:
    """The training of `run` goes on from `model`: an object that another run has trained, or the path of a file."""
    with guarded("lineage"):
        from autotrack.provenance import modelfiles

        if model is None:
            return
        if not isinstance(model, str | os.PathLike):
            modelfiles.builds_on(run, model, by)
        elif run.owner and run.home is not None:
            modelfiles.model_files.loaded(model, by, run, run.home)


def model_loaded(path: str | os.PathLike[str], by: str) -> None:
    """The user has loaded a model from the file at `path` with `by`, such as `torch.load`: an input of the run.

    Of the run that is open, or of those that begin later in this process. Once it has been loaded, in any thread.
    """
    with guarded("lineage"):
        run = _recorded_run()
        if session.settings.enabled is not False and (run is None or run.owner):
            from autotrack.provenance.modelfiles import model_files

            model_files.loaded(path, by, run, session.settings.resolved_home)


def model_used(identity: str, by: str, **told: Any) -> None:
    """As `model_loaded`, for a model that has a name of its own which never changes, such as `hf:name@commit`."""
    with guarded("lineage"):
        run = _recorded_run()
        if session.settings.enabled is not False and (run is None or run.owner):
            from autotrack.provenance.modelfiles import model_files

            model_files.used(identity, {"by": by, **told}, run, session.settings.resolved_home)


def model_saved(path: str | os.PathLike[str], by: str, model: Any = None) -> None:
    """The user has saved a model to the file at `path` with `by`: an output of the run that trained it.

    That is the run of `model`, where this process has trained it, else the one that is open.
    """
    with guarded("lineage"):
        run = (run_of(model) if model is not None else None) or _recorded_run()
        if run is not None and run.owner and run.home is not None:
            from autotrack.provenance.modelfiles import model_files

            model_files.saved(path, by, run, run.home)


def watch_loading(by: str, argument: str) -> Observer:
    """An observer of what loads a model from the file that its parameter `argument` names: tells `model_loaded`."""

    def watch(call: Call) -> Generator[None, Outcome, None]:
        outcome = yield
        path = call.named().get(argument) if outcome.error is None else None
        if isinstance(path, str | os.PathLike):  # it may be the bytes of a model as well
            model_loaded(path, by)

    return watch


def watch_saving(by: str, argument: str, model: str = "self") -> Observer:
    """An observer of what saves its parameter `model` to the file that `argument` names: tells `model_saved`."""

    def watch(call: Call) -> Generator[None, Outcome, None]:
        outcome = yield
        given = call.named() if outcome.error is None else {}
        path = given.get(argument)
        if isinstance(path, str | os.PathLike):
            model_saved(path, by, given.get(model))

    return watch


def _recorded_run() -> Run | None:
    around = current()
    return around.run if around is not None else None


__all__ = [
    "MOST_COLUMNS",
    "BackendPlugin",
    "Call",
    "Demo",
    "Finding",
    "Gate",
    "ImporterPlugin",
    "Installation",
    "Integration",
    "Iteration",
    "Leaf",
    "ModelFormat",
    "Observer",
    "Ongoing",
    "Outcome",
    "Passing",
    "Saved",
    "Switch",
    "Told",
    "awaits_streams",
    "begin_leaf",
    "builds_on",
    "carried",
    "checkpoint_saved",
    "current",
    "data_queried",
    "data_read",
    "declared",
    "describe",
    "describe_with",
    "elements",
    "enter_container",
    "expect_stream",
    "follow_stream",
    "follow_with",
    "guarded",
    "hookimpl",
    "identify",
    "is_enabled",
    "is_readable",
    "is_silent",
    "leave",
    "log_defaults",
    "mask_urls",
    "model_loaded",
    "model_saved",
    "model_used",
    "observe_for_callback",
    "open_child",
    "plain",
    "predicted",
    "prepare_streams",
    "rank",
    "register_reader",
    "rejoin_leaf",
    "remember",
    "resume",
    "run_behind",
    "run_behind_checkpoint",
    "run_of",
    "seed_seen",
    "settings",
    "silence",
    "stretches",
    "tell",
    "trained",
    "warn_once",
    "watch_seeds",
]
