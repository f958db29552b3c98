"""What is remembered of the delivery of one journal to one backend, across crashes.

It lies in `<home>/delivery/<writer>/<backend>.json`, replaced in one step; beside it are `<backend>.dead.jsonl`, the
events that the backend will never take, each with the reason, and `<backend>.lock`, held by whoever delivers.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from autotrack.events import Record

try:
    import fcntl
except ImportError:  # Windows: several forwarders are then kept apart by the journal's own process alone
    fcntl = None  # type: ignore[assignment]


class Progress:
    """The cursor of one backend in one journal, with everything else that must survive."""

    def __init__(self, home: Path, writer: str, backend: str) -> None:
        self.folder = home / "delivery" / writer
        self.backend = backend
        self.position = 0
        self.delivered = 0
        self.dead = 0
        self.done = False
        self.problem: str | None = None
        self.notes: dict[str, dict[str, list[Any]]] = {}
        """Per run: what could not be carried, as `{what: [count, why]}`."""
        self.state: dict[str, Any] = {}
        self.names: dict[str, dict[str, str]] = {}
        self.not_to: list[str] = []
        """Runs that this backend gets from somebody else, and not from us."""
        self._lock: int | None = None
        self.load()

    @property
    def path(self) -> Path:
        """The file that it is kept in."""
        return self.folder / f"{self.backend}.json"

    @property
    def letters(self) -> Path:
        """The file of the events that the backend will never take."""
        return self.folder / f"{self.backend}.dead.jsonl"

    def load(self) -> None:
        """Take up what an earlier process left."""
        try:
            kept = json.loads(self.path.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return
        for name in ("position", "delivered", "dead", "done", "problem", "notes", "state", "names", "not_to"):
            if name in kept:
                setattr(self, name, kept[name])

    def save(self) -> None:
        """Keep it; a reader sees the old or the new, never half."""
        self._make_folder()
        draft = self.folder / f".{self.backend}-{os.getpid()}"
        draft.write_text(
            json.dumps(
                {
                    "position": self.position,
                    "delivered": self.delivered,
                    "dead": self.dead,
                    "done": self.done,
                    "problem": self.problem,
                    "updated": time.time(),
                    "notes": self.notes,
                    "names": self.names,
                    "not_to": self.not_to,
                    "state": dict(self.state),
                }
            )
        )
        draft.replace(self.path)

    def note(self, run: str, what: str, why: str, count: int = 1) -> None:
        """Count something that the backend could not carry."""
        entry = self.notes.setdefault(run, {}).setdefault(what, [0, why])
        entry[0] += count

    def bury(self, record: Record, reason: str) -> None:
        """Set aside an event that the backend will never take."""
        self._make_folder()
        line = {
            "sequence": record.sequence,
            "reason": reason,
            "kind": type(record.event).__name__,
            "event": json.loads(msgspec.json.encode(record.event)),
        }
        with open(self.letters, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.dead += 1
        self.note(record.event.run, f"{type(record.event).__name__} refused", reason)

    def forget(self, runs: Collection[str]) -> None:
        """Let go of what is remembered of runs that were removed; not while another process delivers."""
        named = any(run in kept for kept in (self._read(self.path), self._read(self.letters)) for run in runs)
        if not named or not self.claim():
            return
        try:
            for run in runs:
                self.notes.pop(run, None)
                self.names.pop(run, None)
            if self.done:  # else the backend still needs what it knows
                self.state = _without(self.state, runs)
            if self.path.exists():
                self.save()
            lines = self._read(self.letters).splitlines(keepends=True)
            kept = [line for line in lines if _run_of_letter(line) not in runs]
            if len(kept) < len(lines):
                draft = self.folder / f".{self.letters.name}-{os.getpid()}"
                draft.write_text("".join(kept), encoding="utf-8")
                draft.replace(self.letters)
        finally:
            self.release()

    def _read(self, path: Path) -> str:
        try:
            return path.read_text(encoding="utf-8")
        except OSError:
            return ""

    def claim(self) -> bool:
        """Become the one that delivers; False where another process is."""
        if fcntl is None or self._lock is not None:
            return True
        self._make_folder()
        descriptor = os.open(self.folder / f"{self.backend}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        self.load()  # what the last one did after we had looked
        return True

    def _make_folder(self) -> None:
        # Not the home: where somebody has removed that, nothing makes it again. Raises `FileNotFoundError`.
        self.folder.parent.mkdir(exist_ok=True)
        self.folder.mkdir(exist_ok=True)

    def release(self) -> None:
        """Let another process deliver."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def all_progress(home: Path, writer: str) -> list[Progress]:
    """What is known of every backend's delivery of one journal."""
    folder = home / "delivery" / writer
    return [Progress(home, writer, path.stem) for path in sorted(folder.glob("*.json"))] if folder.is_dir() else []


def _without(value: Any, runs: Collection[str]) -> Any:
    """Without the entries, at any depth, that are kept under the id of one of these runs."""
    if isinstance(value, dict):
        return {key: _without(inner, runs) for key, inner in value.items() if key not in runs}
    return [_without(inner, runs) for inner in value] if isinstance(value, list) else value


def _run_of_letter(line: str) -> Any:
    try:
        return json.loads(line)["event"][1]
    except (ValueError, LookupError, TypeError):
        return None
