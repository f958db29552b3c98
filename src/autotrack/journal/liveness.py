"""Whether the process behind a journal still lives.

The writer holds a POSIX record lock on its `alive` file. The kernel drops it when the process ends, however it ends; a
forked child does not inherit it, and it holds across containers that share the folder. Where locks do not work (some
network file systems, Windows), the pid and its start time on the same host decide, and a writer of another host counts
as alive.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

ALIVE: Final = "alive"

_held: dict[str, int] = {}
"""Journals of this very process: closing any descriptor of their `alive` file would drop the lock."""


def hold(folder: Path) -> None:
    """Take the lock that says this process lives, for as long as it does."""
    descriptor = os.open(folder / ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.write(descriptor, f"{os.getpid()} {process_started(os.getpid())} {host_name()}\n".encode())
    if fcntl is not None:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # no lock service here: the pid decides
            pass
    _held[str(folder)] = descriptor


def let_go(folder: Path) -> None:
    """Give up the lock of a journal that this process has ended."""
    descriptor = _held.pop(str(folder), None)
    if descriptor is not None:
        os.close(descriptor)


def forget_held() -> None:
    """In a forked child: the parent's journals are not this process's."""
    for descriptor in _held.values():
        try:
            os.close(descriptor)
        except OSError:
            pass
    _held.clear()


def is_alive(folder: Path) -> bool:
    """Whether the process that writes the journal in `folder` lives."""
    if str(folder) in _held:
        return True
    try:
        descriptor = os.open(folder / ALIVE, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        text = os.read(descriptor, 4096).decode(errors="replace").split()
        if fcntl is not None:
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            except PermissionError:
                return True
            except OSError:
                return _process_lives(text)
            return False
        return _process_lives(text)
    finally:
        os.close(descriptor)


def host_name() -> str:
    """The name of this machine."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    import socket

    return socket.gethostname()


def process_started(pid: int) -> float:
    """When the process began, in seconds on a clock of its host: with the pid, a name that is never reused."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return float(stat.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        pass
    try:
        import psutil

        return float(psutil.Process(pid).create_time())
    except Exception:  # psutil absent or the process gone: pid alone must do
        return 0.0


def _process_lives(text: list[str]) -> bool:
    if len(text) < 3:
        return False
    pid, started, host = int(text[0]), float(text[1]), text[2]
    if host != host_name():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    now = process_started(pid)
    return now == 0.0 or abs(now - started) < 1.0
