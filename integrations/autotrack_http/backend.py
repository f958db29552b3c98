"""The backend: a batch becomes files that are put, then lines that are posted, in bodies of bounded size."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from autotrack.backend import BackendContext, Limits
from autotrack.events import ArtifactLogged, ModelLogged, Record, RegistryLogged
from autotrack.remote import Refused
from autotrack_http.lines import files, line
from autotrack_http.sending import BLOBS_URL, Sender, settings_from
from autotrack_http.steps import Outcomes


class HttpBackend:
    """Delivers events to an HTTP server."""

    limits = Limits(registry=True)

    def open(self, context: BackendContext) -> None:
        """Read the variables; no request is made. Raises `UsageError`."""
        self._context = context
        self._settings = settings_from(os.environ)
        self._sender = Sender(self._settings)
        self._held: set[str] = set()
        """Digests of the files that are known to be there."""

    def check(self) -> str:
        """Post nothing. Raises `BackendUnavailable`, `BackendRejected`."""
        self._sender.post(b"")
        return f"{self._settings.address.shown} takes events"

    def resume(self, writer: str) -> int | None:
        """The server is not asked what it holds: it knows each event by its key."""
        return None

    def deliver(self, batch: Sequence[Record]) -> int:
        """Send a batch: first the files, so that no line names one that is not there."""
        notes: list[tuple[str, str, str]] = []
        for record in batch:
            for what, digest in files(record.event):
                problem = self._upload(digest)
                # What a run was made of has a place of its own in the local record, which nobody misses a file of.
                if problem is not None and isinstance(record.event, ArtifactLogged | ModelLogged):
                    notes.append((record.event.run, f"file of the {what}", problem))
        for body in self._bodies(batch):
            self._sender.post(body)
        for note in notes:
            self._context.note(*note)
        return batch[-1].sequence

    def close(self) -> None:
        """Let go of the connections."""
        self._sender.close()

    def _upload(self, digest: str) -> str | None:
        if not self._sender.uploads:
            return f"stays here: {BLOBS_URL} is not set"
        if digest in self._held:
            return None
        path = self._context.blob(digest)
        if not path.is_file():
            return "is not on this machine any more"
        try:
            self._sender.upload(digest, path, path.stat().st_size)
        except Refused as refusal:
            return f"was refused: {refusal}"
        self._held.add(digest)
        return None

    def _bodies(self, batch: Sequence[Record]) -> Iterator[bytes]:
        """Bodies of at most the size that was set; a line that is longer by itself is a body of its own."""
        lines: list[bytes] = []
        size = 0
        outcomes = Outcomes(self._context)
        for record in batch:
            step = record.event
            told = line(record, outcomes.of(step) if isinstance(step, RegistryLogged) else {})
            if told is None:
                continue
            if lines and size + len(told) > self._settings.max_bytes:
                yield b"".join(lines)
                lines, size = [], 0
            lines.append(told)
            size += len(told)
        if lines:
            yield b"".join(lines)
