"""Delivering what no forwarder has: for readers, for `autotrack sync`, and for journals whose forwarder died."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autotrack.errors import AutotrackError
from autotrack.forward.archive import archive
from autotrack.forward.delivery import Delivery
from autotrack.forward.makers import maker
from autotrack.forward.progress import Progress
from autotrack.journal.closing import close_dead
from autotrack.journal.reader import archived, journals
from autotrack.settings import Settings

log = logging.getLogger("autotrack.forward")


@dataclass
class Delivered:
    """What `sync` did for one journal and one backend."""

    writer: str
    backend: str
    events: int
    complete: bool
    problem: str | None = None


def take_in(home: Path, settings: Settings) -> None:
    """Bring the local store up to what journals hold now, so that a reader sees every run that exists."""
    for folder in journals(home):
        close_dead(folder)
        deliver(folder, "local", home, settings)


def sync(
    home: Path, settings: Settings, backends: tuple[str, ...], seen: Callable[[Delivered], None] = lambda one: None
) -> list[Delivered]:
    """Deliver all journals, archived ones too, to `backends`. A failing backend is not tried again in this call."""
    outcomes: list[Delivered] = []
    failing: dict[str, str] = {}
    for folder in [*archived(home), *journals(home)]:
        gone = close_dead(folder)
        for name in backends:
            if name in failing:
                outcomes.append(Delivered(folder.name, name, 0, False, failing[name]))
                continue
            outcome = deliver(folder, name, home, settings)
            if outcome.problem and "another process" not in outcome.problem:
                failing[name] = outcome.problem
            outcomes.append(outcome)
            seen(outcome)
        if gone and folder.parent.name == "journals" and _has_all(home, folder, settings.backends):
            archive(home, folder, settings)
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
            return Delivered(folder.name, backend, 0, False, "another process is delivering it now")
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


def _steps(delivery: Delivery) -> Iterator[int]:
    while count := delivery.step():
        yield count


def _has_all(home: Path, folder: Path, backends: tuple[str, ...]) -> bool:
    return all(Progress(home, folder.name, name).done for name in backends)
