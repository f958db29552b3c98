"""Uploading: a run's finished file is handed to the SDK's own `wandb sync`, in a process of its own.

Why so: the file on disk is complete before anything is sent, so that neither a killed forwarder nor a dead server loses
a point; W&B's client knows its protocol, its artifact stores and its retries; and it can be ended at a deadline. A
record is acknowledged when its file is uploaded. Sent again, a run's first file replaces its rows line by line; a file
that goes on with the run resumes it, at a step that the SDK keeps beside the file (`.syncstate`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

import requests

from autotrack.errors import BackendUnavailable, UsageError
from autotrack_wandb.place import Place
from autotrack_wandb.reading import File, first_run

try:
    import fcntl
except ImportError:  # Windows: the order of the parts alone has to do
    fcntl = None  # type: ignore[assignment]

SECONDS: Final = 120.0
"""Time for one run, beside that for its files."""
BYTES_A_SECOND: Final = 500_000
"""A slower line than this is taken for none."""
_turn = Lock()
"""Of this process: what holds the locks of files is a process."""
_PROBLEM: Final = re.compile(r"(?m)^(?:wandb: ERROR|Error:)(?! Find detailed) *(.*)$")
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")


class Uploader:
    """Uploads one file at a time."""

    def __init__(self, place: Place) -> None:
        """Raises `UsageError` where the SDK is not installed."""
        self._place = place
        found = importlib.util.find_spec("wandb")
        if found is None or found.origin is None:  # a folder `wandb` with runs in it is no package
            raise UsageError(
                "uploading to W&B needs its SDK: pip install 'autotrack-ml[wandb]'; or set WANDB_MODE=offline and "
                "upload the files elsewhere with `wandb sync`"
            )

    def upload(self, path: Path) -> None:
        """Upload a file that is complete, unless the very same is uploaded. Raises `BackendUnavailable`."""
        if not self._place.has_key:
            raise BackendUnavailable("W&B is online and has no key: set WANDB_API_KEY, or WANDB_MODE=offline")
        mark = mark_of(path)
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        if mark.is_file() and mark.read_text() == content:
            return
        self._reach()
        with _alone(path):
            goes_on = self._goes_on(path)
            mark.unlink(missing_ok=True)
            told = self._sync(path, goes_on)
            self._check(told, mark)
            mark.write_text(content)  # the SDK asks only whether it is there

    def _check(self, told: str, mark: Path) -> None:
        problem = _PROBLEM.search(told)
        if problem or not mark.is_file():
            mark.unlink(missing_ok=True)
            said = problem.group(1).strip() if problem else "no reason given"
            raise BackendUnavailable(
                f"W&B at {self._place.url} has not taken a run ({said[:200]}): check WANDB_API_KEY, WANDB_ENTITY and "
                "WANDB_BASE_URL"
            )

    def _goes_on(self, path: Path) -> bool:
        """Whether rows of the run's other files are there already; a file that goes on waits for the first one."""
        own = File(path, first_run(path) or {})
        others = [
            File(other, told)
            for other in path.parent.parent.glob(f"offline-run-*/{path.name}")
            if other != path and (told := first_run(other)) is not None
        ]
        first = min([own, *others], key=lambda file: (bool(file.run.get("resumed")), file.started, str(file.path)))
        if first is not own and not first.run.get("resumed") and not mark_of(first.path).is_file():
            raise BackendUnavailable(f"{path.parent.name} waits for {first.path.parent.name}, the run's first file")
        return bool(own.run.get("resumed")) or any(mark_of(other.path).is_file() for other in others)

    def _reach(self) -> None:
        # The SDK tries for hours where nobody answers.
        try:
            requests.head(self._place.url, timeout=(5, 10), allow_redirects=False)
        except requests.RequestException as problem:
            raise BackendUnavailable(f"no answer from {self._place.url}: {str(problem)[:200]}") from None

    def _sync(self, path: Path, goes_on: bool) -> str:
        size = sum(file.stat().st_size for file in path.parent.rglob("*") if file.is_file())
        seconds = SECONDS + size / BYTES_A_SECOND
        ours = ("WANDB_RUN_ID", "WANDB_NAME", "WANDB_RESUME", "WANDB_SILENT", "WANDB_QUIET")
        environment = {name: value for name, value in os.environ.items() if name not in ours}
        environment |= {"WANDB_MODE": "online", "WANDB_DIR": str(self._place.folder.parent)}
        if goes_on:
            environment["WANDB_RESUME"] = "allow"
        try:
            done = subprocess.run(
                [sys.executable, "-m", "wandb", "sync", "--include-synced", str(path.parent)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            raise BackendUnavailable(f"W&B at {self._place.url} did not take a run within {seconds:.0f} s") from None
        except OSError as problem:
            raise BackendUnavailable(f"wandb sync cannot be started: {problem}") from problem
        return _COLOURS.sub("", done.stdout.decode("utf-8", "replace"))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Upload no other file of the same run meanwhile, in this process or another. Raises `BackendUnavailable`."""
    if fcntl is None:
        yield
        return
    # Each run has a byte of its own to lock, in a file that holds none.
    place = int.from_bytes(hashlib.sha256(path.name.encode()).digest()[:7], "big")
    with _turn, open(path.parent.parent / ".autotrack.lock", "ab") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):
            raise BackendUnavailable(f"another process uploads a part of {path.stem}") from None
        except OSError:  # a file system without locks
            pass
        yield


def mark_of(path: Path) -> Path:
    """The SDK's mark beside a file that is uploaded."""
    return path.with_suffix(".wandb.synced")
