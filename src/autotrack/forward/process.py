"""The forwarder: `python -m autotrack.forward.process HOME JOURNAL`.

It tails one journal and serves each backend from a thread of its own, so that one that fails, is slow or blocks for
ever delays no other. It watches the trainer; when that is gone it closes the runs that stayed open. It ends when every
backend has everything, or some time after the trainer ended: what is left then waits for `autotrack sync`. With
`AUTOTRACK_SYSTEM_METRICS` it also writes a journal, of samples, and delivers that as well.
"""

from __future__ import annotations

import logging
import os
import random
import select
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from autotrack import settings as settings_module
from autotrack.errors import AutotrackError, BackendUnavailable, PluginError, UsageError
from autotrack.forward.archive import archive
from autotrack.forward.catching_up import adopt_orphans
from autotrack.forward.delivery import BATCH, Delivery
from autotrack.forward.makers import maker
from autotrack.forward.progress import Progress
from autotrack.journal.closing import close_dead
from autotrack.journal.liveness import is_alive
from autotrack.journal.writer import BALLAST
from autotrack.settings import Settings

if TYPE_CHECKING:
    from autotrack.forward.sampling import Sampler

QUICK, SLOW = 0.5, 2.0
"""Seconds between looks at the journal: quick while events come, slow while none do. The end wakes at once.

Looking more often would take a processor from the training: readers take in what is not delivered yet by themselves.
"""
LOOK = 0.1
"""Seconds between looks at the trainer."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
"""Seconds before a failing backend is tried again: doubled each time."""
PATIENCE = 600.0
"""Seconds after the trainer's end that a failing backend is still tried."""
LAST_SAMPLE = 1.0
"""Seconds after the trainer's end that the sampler may take to end."""

log = logging.getLogger("autotrack.forward")


class Served:
    """One backend's thread."""

    def __init__(self, delivery: Delivery, *, expects_more: bool = False) -> None:
        self.delivery = delivery
        self.expects_more = expects_more
        """Whether a further journal may come, of samples."""
        self.finished = threading.Event()
        self.wake = threading.Event()
        self._left = [delivery]
        self._thread = threading.Thread(target=self._serve, name=f"to-{delivery.name}", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def also(self, delivery: Delivery) -> None:
        """Deliver this journal too: always after the trainer's, whose runs its samples belong to."""
        self._left.append(delivery)

    def expect_no_more(self, without: Path | None = None) -> None:
        """End when what there is has been delivered, leaving out the journal in the folder `without`."""
        for one in tuple(self._left):
            if one.folder == without:
                self._left.remove(one)
        self.expects_more = False
        self.wake.set()

    def _serve(self) -> None:
        try:
            self._deliver_all()
        except BaseException:  # a thread that dies unseen would leave its backend without events
            log.exception("delivery to %s ended by a fault", self.delivery.name)
        finally:
            self.finished.set()

    def _deliver_all(self) -> None:
        delivery, pause, idle = self.delivery, FIRST_PAUSE, QUICK
        while True:
            try:
                count = 0
                for delivery in tuple(self._left):
                    count = max(count, delivery.step())
                    if count == BATCH:
                        break
            except (UsageError, PluginError, ImportError) as problem:
                delivery.failed(str(problem))
                log.error("%s cannot be used: %s", delivery.name, problem)
                return
            except Exception as problem:
                if not delivery.folder.exists():  # somebody removed the home: `serve` says so
                    return
                asked = problem.retry_after if isinstance(problem, BackendUnavailable) else None
                delivery.failed(f"{problem}" if isinstance(problem, AutotrackError) else repr(problem))
                log.warning("%s: %s", delivery.name, problem)
                self._sleep(asked if asked is not None else pause * random.uniform(0.75, 1.25))
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            if count == BATCH:
                continue
            for one in tuple(self._left):
                if one.is_complete():
                    one.finish()
                    one.close()
                    self._left.remove(one)
            if not self._left and not self.expects_more:
                return
            idle = QUICK if count else min(idle * 1.2, SLOW)
            self._sleep(idle)

    def _sleep(self, seconds: float) -> None:
        if self.wake.wait(seconds):
            self.wake.clear()


def serve(home: Path, folder: Path, settings: Settings) -> None:
    """Deliver the journal in `folder` until all is done."""
    sampling = settings.system_metrics is not None
    served = [
        Served(Delivery(name, maker(name), folder, home, settings), expects_more=sampling)
        for name in dict.fromkeys(settings.backends)
    ]
    for one in served:
        one.start()
    sampler = _start_sampler(home, folder, settings, served) if sampling else None
    gone_since: float | None = None
    watch = _watch(folder)
    looked = time.monotonic()
    ended_in_order = False
    while not all(one.finished.is_set() for one in served):
        if not folder.exists():
            log.warning("%s is gone: nothing is left to deliver", folder)
            return
        if gone_since is None:
            gone = watch.wait(LOOK)
            if not ended_in_order and not (folder / BALLAST).exists():  # the writer's last act
                ended_in_order = True
                _last_round(served, sampler)
            if not gone and time.monotonic() - looked < QUICK:
                continue
            looked = time.monotonic()
            if not is_alive(folder):
                close_dead(folder, seen_now=True)
                gone_since = time.monotonic()
                _last_round(served, sampler)
        else:
            if time.monotonic() - gone_since > PATIENCE:
                log.warning("giving up for now: autotrack sync delivers the rest")
                return
            next(one for one in served if not one.finished.is_set()).finished.wait(QUICK)
    for journal in (folder, sampler.folder if sampler is not None else None):
        if journal is not None and all(Progress(home, journal.name, one.delivery.name).done for one in served):
            archive(home, journal, settings)
    adopt_orphans(home, settings)


def _start_sampler(home: Path, folder: Path, settings: Settings, served: list[Served]) -> Sampler:
    from autotrack.forward.sampling import Sampler

    def deliver_too(samples: Path) -> None:
        for one in served:
            name = one.delivery.name
            one.also(Delivery(name, maker(name), samples, home, settings))

    sampler = Sampler(home, folder, settings, deliver_too)
    sampler.start()
    return sampler


def _last_round(served: list[Served], sampler: Sampler | None) -> None:
    """The trainer's journal has ended: deliver the rest at once."""
    without = None
    if sampler is not None and not sampler.stop(LAST_SAMPLE):
        log.warning("system metrics: a source blocks; what was sampled is delivered later")
        without = sampler.folder
    for one in served:
        one.expect_no_more(without)


class _Watch:
    """Waits for the trainer's end: woken by its pidfd where there is one, else only by the clock."""

    def __init__(self, pid: int) -> None:
        self._descriptor: int | None = None
        if hasattr(os, "pidfd_open"):
            try:
                self._descriptor = os.pidfd_open(pid)
            except OSError:
                pass

    def wait(self, seconds: float) -> bool:
        """Return when the process ended, or after `seconds`; whether it was seen to end."""
        if self._descriptor is None:
            time.sleep(seconds)
            return False
        ended, _, _ = select.select([self._descriptor], [], [], seconds)
        if ended:
            os.close(self._descriptor)
            self._descriptor = None
        return bool(ended)


def _watch(folder: Path) -> _Watch:
    return _Watch(int(folder.name.split("-")[1]))


def main(arguments: list[str]) -> None:
    """Be the forwarder."""
    if hasattr(os, "setsid"):
        try:
            os.setsid()
        except OSError:  # already a leader, as when started by hand
            pass
        os.closerange(3, 256)
        os.nice(10)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(process)d %(levelname)s %(message)s")
    home, folder = Path(arguments[0]), Path(arguments[1])
    settings = settings_module.load()
    try:
        serve(home, folder, settings)
    except Exception:
        log.exception("the forwarder of %s failed; autotrack sync delivers what is left", folder.name)
    # A backend may still block in its thread: nothing that it holds is lost, and it must not keep the process.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
