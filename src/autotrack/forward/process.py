"""The forwarder: `python -m autotrack.forward.process HOME JOURNAL`.

It tails one journal and serves each backend from a thread of its own, so that one that fails, is slow or blocks for
ever delays no other. It watches the trainer; when that is gone it closes the runs that stayed open. It ends when every
backend has everything, or some time after the trainer ended: what is left then waits for `autotrack sync`.
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

from autotrack import settings as settings_module
from autotrack.errors import AutotrackError, BackendUnavailable, PluginError, UsageError
from autotrack.forward.archive import archive
from autotrack.forward.catching_up import adopt_orphans
from autotrack.forward.delivery import BATCH, Delivery
from autotrack.forward.makers import maker
from autotrack.journal.closing import close_dead
from autotrack.journal.liveness import is_alive
from autotrack.journal.writer import BALLAST
from autotrack.settings import Settings

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

log = logging.getLogger("autotrack.forward")


class Served:
    """One backend's thread."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.finished = threading.Event()
        self.wake = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=f"to-{delivery.name}", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

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
                count = delivery.step()
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
            if delivery.is_complete():
                delivery.finish()
                delivery.close()
                return
            idle = QUICK if count else min(idle * 1.2, SLOW)
            self._sleep(idle)

    def _sleep(self, seconds: float) -> None:
        if self.wake.wait(seconds):
            self.wake.clear()


def serve(home: Path, folder: Path, settings: Settings) -> None:
    """Deliver the journal in `folder` until all is done."""
    served = [Served(Delivery(name, maker(name), folder, home, settings)) for name in dict.fromkeys(settings.backends)]
    for one in served:
        one.start()
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
                for one in served:
                    one.wake.set()
            if not gone and time.monotonic() - looked < QUICK:
                continue
            looked = time.monotonic()
            if not is_alive(folder):
                close_dead(folder, seen_now=True)
                gone_since = time.monotonic()
                for one in served:
                    one.wake.set()
        else:
            if time.monotonic() - gone_since > PATIENCE:
                log.warning("giving up for now: autotrack sync delivers the rest")
                return
            next(one for one in served if not one.finished.is_set()).finished.wait(QUICK)
    if all(one.delivery.progress.done for one in served):
        archive(home, folder, settings)
    adopt_orphans(home, settings)


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
