"""What a run's process wrote, as one growing file of its MLflow run, `autotrack/console.log`.

A tag says how long the file is and up to where in each journal it holds the text: what comes again is known by it, and
what an upload added whose tag was never set is cut off and added again. The file is not sent anew for every line: text
waits, with the cursor, until there is a quarter of what has been sent, or the run ends.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from autotrack.backend import BackendContext
from autotrack.events import ConsoleLogged
from autotrack_mlflow.artifacts import Artifacts
from autotrack_mlflow.client import Client
from autotrack_mlflow.labels import Label, Labels, decoded
from autotrack_mlflow.runs import KnownRun, Runs, tags_of

TAG: Final = "autotrack.console"
FILE: Final = "console.log"

AT_LEAST: Final = 4096
"""Bytes of text that are worth an upload while the run goes on."""


class Console:
    """Sends what runs wrote."""

    def __init__(
        self, client: Client, context: BackendContext, runs: Runs, artifacts: Artifacts, labels: Labels
    ) -> None:
        self._client = client
        self._context = context
        self._runs = runs
        self._artifacts = artifacts
        self._labels = labels

    def send(self, known: KnownRun, events: Sequence[tuple[str, int, ConsoleLogged]], *, ended: bool) -> None:
        """Add `(writer, sequence, event)`s, each exactly once; with `ended`, all that waits is sent."""
        key = "console:" + known.run
        state: dict[str, Any] | None = self._context.state.get(key)
        waiting: list[Any] = [*(state["waiting"] if state else ()), *([w, s, e.text] for w, s, e in events)]
        size = sum(len(text) for _, _, text in waiting)
        if state is not None and not ended and size < max(AT_LEAST, state["sent"] // 4):
            if events:
                self._context.state[key] = {"waiting": waiting, "sent": state["sent"]}
            return
        sent = self._upload(known, waiting) if waiting else 0
        if ended:
            self._context.state.pop(key, None)
        elif waiting:  # where nothing is known of the file, text is sent at once: it may come after the run's end
            self._context.state[key] = {"waiting": [], "sent": sent}

    def _upload(self, known: KnownRun, waiting: Sequence[Any]) -> int:
        place = self._artifacts.place(known.run, "console", known.owner)
        if place is None:
            return 0
        held = decoded(tags_of(self._runs.get(known)).get(TAG))
        until: dict[str, int] = dict(held.get("until", {}))
        fresh = []
        for writer, sequence, text in waiting:
            if sequence > until.get(writer, -1):
                fresh.append(text)
                until[writer] = sequence
        length = int(held.get("bytes", 0))
        if not fresh:
            return length
        path = f"autotrack/{FILE}"
        before = (self._artifacts.read(place, known.id, path) or b"")[:length] if length else b""
        content = before + "".join(fresh).encode(errors="backslashreplace")
        place.upload(path, content)
        self._labels.send_tags(known, {TAG: Label(json.dumps({"bytes": len(content), "until": until}), False)})
        return len(content)
