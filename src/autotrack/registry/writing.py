"""Taking a step: it enters a journal, as everything that is recorded does, and its place in the log tells its effect.

What is to happen to a model enters; a `RegistryLogged` event in a journal of its own leaves, is taken into the store at
once and goes on to every other backend as the events of a run do. Nothing is written where the store cannot be reached.
Of two people who do the same at once both are told what became of it: the order of the log decides.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autotrack.errors import AutotrackError, RegistryConflict, RegistryRefused, StoreError, UsageError
from autotrack.events import RegistryLogged
from autotrack.forward import catching_up
from autotrack.forward.archive import archive
from autotrack.forward.progress import Progress
from autotrack.journal import liveness
from autotrack.journal.writer import Writer
from autotrack.provenance.masking import masked
from autotrack.registry import log, reading
from autotrack.registry.log import Step
from autotrack.registry.registered import RegisteredModel, Version, evidence_of
from autotrack.registry.views import fold
from autotrack.session import session
from autotrack.settings import Settings
from autotrack.store.query import Store

PATIENCE: Final = 30.0
"""Seconds that a step waits to be taken in while other processes take in the same journal."""


@dataclass(frozen=True)
class Taken:
    """A step that was taken, and the model as it was right after it."""

    model: RegisteredModel
    record: dict[str, Any]
    """The step as `autotrack.registry.reading.model` lists it in `log`."""


def opened() -> Store:
    """The store of this process's settings, with all that journals hold. Raises `StoreError`, `UsageError`."""
    settings = session.settings
    if settings.enabled is False:
        raise UsageError("AUTOTRACK_ENABLED=0 turns everything off, the registry too; unset it first")
    home = settings.resolved_home
    store = Store.open(home, settings)
    try:
        catching_up.take_in(home, settings)
    except BaseException:
        store.close()
        raise
    return store


def step(
    model: str,
    action: str,
    digest: str | None = None,
    why: str = "",
    record: Mapping[str, Any] | None = None,
    run: str = "",
    *,
    store: Store | None = None,
) -> Taken:
    """Take one step, and say what became of it. `autotrack.registry.log` tells the actions and their records.

    Raises `UsageError` for what is no step, `StoreError` before anything is written where the store cannot be reached,
    `RegistryConflict` where somebody else was faster, `RegistryRefused` where a protected alias does not let it.
    """
    if store is None:
        with opened() as found:
            return step(model, action, digest, why, record, run, store=found)
    settings = session.settings
    before = reading.steps(store, model)
    # Clocks differ. What somebody has seen before he took a step was earlier than it, whatever the clocks say.
    now = max([time.time_ns(), *(one.time + 1 for one in before)])
    who, reason = settings.resolved_user, str(masked(why))
    new = Step(secrets.token_hex(16), now, model, action, digest, run, who, reason, dict(record or {}))
    log.check(new)
    folder = _written(new, settings)
    _have_taken_in(store, new, folder, settings)
    _hand_on(folder, settings)
    return _outcome(store, new)


def move_alias(
    model: str, alias: str, version: int | None, why: str = "", *, force: bool = False, store: Store | None = None
) -> dict[str, Any] | None:
    """Let an alias point to a version, by default the latest; gives the step, or None where it points there already.

    A protected alias asks its gates first (`autotrack.registry.promoting`): where one refuses, that is a step too and
    `RegistryRefused` is raised. With `force` and a reason it is moved all the same. Raises `ModelNotFound` and what
    `step` raises.
    """
    if store is None:
        with opened() as found:
            return move_alias(model, alias, version, why, force=force, store=found)
    if force and not why.strip():
        raise UsageError("forcing needs a reason: say why")
    known = reading.folded(store, model)
    wanted = reading.chosen(known, log.Reference(model, version=version))
    if alias not in known.aliases:  # one that a training has made may be called as it likes
        log.check_alias(alias)
    check_usable(known, wanted)
    now = known.aliases[alias].digest if alias in known.aliases else None
    if now == wanted.digest:
        return None
    if alias in known.protected:
        return _promoted(store, str(log.Reference(model, version=wanted.number)), alias, why, force)
    return step(model, "alias", wanted.digest, why, {"alias": alias, "from": now}, store=store).record


def check_usable(known: RegisteredModel, version: Version) -> None:
    """Raise `RegistryConflict` for a version that is retired."""
    if version.retired:
        name = f"{known.name}/{version.number}"
        raise RegistryConflict(f"{name} is retired; bring it back with: autotrack models restore {name}")


def _promoted(store: Store, reference: str, alias: str, why: str, force: bool) -> dict[str, Any] | None:
    from autotrack.registry import gates, promoting  # not loaded where nothing is protected

    made = promoting.promote(reference, alias, why, force=force, store=store)
    if not made.moved:
        what = f"{made.promotion.model}@{alias}"
        raise RegistryRefused(f"{what} stays where it is: {gates.refusals(made.results)}", made.results)
    return made.step


def _written(new: Step, settings: Settings) -> Path:
    """Write the step into a journal of its own; gives the journal's folder. Raises `AutotrackError`."""
    from autotrack import __version__

    home = settings.resolved_home
    event = RegistryLogged(
        new.run, new.time, new.model, new.action, new.id, new.digest, new.who, new.why, dict(new.record)
    )
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not (home / ".gitignore").exists():
            (home / ".gitignore").write_text("*\n")
        writer = Writer(home / "journals", version=__version__, backends=settings.backends)
    except OSError as problem:
        raise AutotrackError(f"nothing was changed: {home} cannot be written ({problem})") from problem
    try:
        if not writer.append_event(event, essential=True):
            raise AutotrackError(f"nothing was changed: the disk of {home} is full or cannot be written")
    finally:
        writer.close()
        liveness.let_go(writer.folder)  # a process that takes many steps must not hold a descriptor for each
    return writer.folder


def _have_taken_in(store: Store, new: Step, folder: Path, settings: Settings) -> None:
    """See to it that the store has the step, whoever takes it in. Raises `StoreError` where it does not come."""
    deadline = time.monotonic() + PATIENCE
    while True:
        outcome = catching_up.deliver(folder, "local", settings.resolved_home, settings)
        try:
            if any(one.id == new.id for one in reading.steps(store, new.model)):
                return
            problem = outcome.problem or "it was passed over"
        except StoreError as failure:
            problem = str(failure)
        if problem != catching_up.BUSY or time.monotonic() > deadline:
            raise StoreError(
                f"the step is written and not in the store yet ({problem}); it counts as soon as the store can be "
                "reached: autotrack sync"
            )
        time.sleep(0.02)


def _hand_on(folder: Path, settings: Settings) -> None:
    """Put the journal away, or have it delivered to the backends that are not the store."""
    home = settings.resolved_home
    if all(Progress(home, folder.name, name).done for name in settings.backends):
        archive(home, folder, settings)
    elif settings.forwarder != "off":
        from autotrack.forward.start import Forwarder

        Forwarder.start(settings, folder)


def _outcome(store: Store, new: Step) -> Taken:
    found = fold(reading.steps(store, new.model))[new.model]
    (entry,) = [entry for entry in found.log if entry.step.id == new.id]
    taken = Taken(found, reading.entry_record(found, entry))
    if new.action == "refuse" or entry.effect == "done":
        return taken
    what = f"{new.model}@{new.alias}" if new.alias else new.model
    if entry.effect == "conflict":
        raise RegistryConflict(f"{what}: {new.action} had no effect, since {entry.because}; look again, then decide")
    raise RegistryRefused(f"{what}: {new.action} had no effect, since {entry.because}", evidence_of(new))
