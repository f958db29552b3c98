"""Delivering what no forwarder has: for readers, for `autotrack sync`, and for journals whose forwarder died."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autotrack import guard
from autotrack.errors import AutotrackError
from autotrack.forward.archive import archive
from autotrack.forward.delivery import Delivery
from autotrack.forward.makers import maker
from autotrack.forward.progress import Progress
from autotrack.journal.closing import close_dead
from autotrack.journal.reader import Journal, archived, journals
from autotrack.journal.removed import is_removal
from autotrack.settings import Settings

log = logging.getLogger("autotrack.forward")

BUSY = "another process is delivering it now"
PATIENCE = 60.0
"""Seconds that `sync` waits for another process that gets no further."""


@dataclass
class Delivered:
    """What `sync` did for one journal and one backend."""

    writer: str
    backend: str
    events: int
    complete: bool
    problem: str | None = None


def take_in(home: Path, settings: Settings) -> None:
    """Bring the local store up to what journals hold now, so that a reader sees every run that exists.

    What cannot be taken in now, as where a team's object store gives no answer, is told once and stays in its journal.
    """
    for folder in journals(home):
        close_dead(folder)
        outcome = deliver(folder, "local", home, settings)
        if outcome.problem and settings.blobs_url is not None:
            guard.warn_once("take in", f"newer events are not taken in: {outcome.problem}")


def sync(
    home: Path, settings: Settings, backends: tuple[str, ...], seen: Callable[[Delivered], None] = lambda one: None
) -> list[Delivered]:
    """Deliver all journals, archived ones too, to `backends`. A failing backend is not tried again in this call.

    What another process is delivering is waited for, as far as it is written now.
    """
    from autotrack.store.refilling import last_step, order_steps  # not where a forwarder feeds other backends alone

    outcomes: list[Delivered] = []
    failing: dict[str, str] = {}
    before = last_step(home, settings) if "local" in backends else None
    # Tombstones first: what was removed for good is then never written into a new store.
    for folder in sorted([*archived(home), *journals(home)], key=lambda one: (not is_removal(one.name), one.name)):
        gone = close_dead(folder)
        for name in backends:
            if name in failing:
                outcomes.append(Delivered(folder.name, name, 0, False, failing[name]))
                continue
            outcome = deliver(folder, name, home, settings)
            if outcome.problem == BUSY:
                outcome = _wait(folder, name, home, settings, ended=gone)
            if outcome.problem and outcome.problem != BUSY:
                failing[name] = outcome.problem
            outcomes.append(outcome)
            seen(outcome)
        if gone and folder.parent.name == "journals" and _has_all(home, folder, settings.backends):
            archive(home, folder, settings)
    if before is not None and any(one.events for one in outcomes if one.backend == "local"):
        order_steps(home, settings, before)
    return outcomes


def adopt_orphans(home: Path, settings: Settings) -> None:
    """Deliver, once, what forwarders that died left of journals whose process is gone."""
    for folder in journals(home):
        if not close_dead(folder):
            continue
        for name in settings.backends:
            deliver(folder, name, home, settings)
        if _has_all(home, folder, settings.backends):
            archive(home, folder, settings)


def deliver(folder: Path, backend: str, home: Path, settings: Settings) -> Delivered:
    """Deliver what one journal holds now to one backend; what goes wrong is in the answer."""
    delivery = Delivery(backend, maker(backend), folder, home, settings)
    total = 0
    try:
        if delivery.progress.done and backend != "local":
            return Delivered(folder.name, backend, 0, True)
        if not delivery.open():
            return Delivered(folder.name, backend, 0, False, BUSY)
        for count in _steps(delivery):
            total += count
        complete = delivery.is_complete()
        if complete:
            delivery.finish()
        return Delivered(folder.name, backend, total, complete)
    except FileNotFoundError:  # archived by another process at this moment: it is delivered
        return Delivered(folder.name, backend, total, True)
    except Exception as problem:
        reason = str(problem) if isinstance(problem, AutotrackError) else repr(problem)
        delivery.failed(reason)
        return Delivered(folder.name, backend, total, False, reason)
    finally:
        delivery.close()


def _wait(folder: Path, backend: str, home: Path, settings: Settings, *, ended: bool) -> Delivered:
    """Wait until another process has delivered what the journal holds now, or take over where it left."""
    last = Progress(home, folder.name, backend)
    end = max((record.position for record in Journal(folder).records(last.position)), default=last.position)
    before, patient_until = last.position, time.monotonic() + PATIENCE
    while time.monotonic() < patient_until:
        now = Progress(home, folder.name, backend)
        if not folder.exists():  # delivered, and archived or removed
            return Delivered(folder.name, backend, 0, True)
        if now.problem:
            return Delivered(folder.name, backend, 0, False, now.problem)
        if now.done or now.position >= end and not ended:
            return Delivered(folder.name, backend, 0, now.done)
        outcome = deliver(folder, backend, home, settings)
        if outcome.problem != BUSY:
            return outcome
        if now.position != before:
            before, patient_until = now.position, time.monotonic() + PATIENCE
        time.sleep(0.2)
    return Delivered(folder.name, backend, 0, False, BUSY)


def _steps(delivery: Delivery) -> Iterator[int]:
    while count := delivery.step():
        yield count


def _has_all(home: Path, folder: Path, backends: tuple[str, ...]) -> bool:
    return all(Progress(home, folder.name, name).done for name in backends)
