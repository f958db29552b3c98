"""The backend: a batch becomes data points, then one or more requests for each of its runs."""

from __future__ import annotations

import gzip
import logging
import os
from collections.abc import Sequence
from typing import Final

from autotrack.backend import BackendContext, BackendUnavailable, Limits
from autotrack.events import Record
from autotrack.remote import Refused, Remote
from autotrack_otlp.encoding import Answer, Part, answer_from, as_json, as_protobuf
from autotrack_otlp.points import Translator, requests
from autotrack_otlp.variables import target_from

POINTS_PER_REQUEST: Final = 5_000
"""A collector takes 20 MiB at a time unless told otherwise; a point has about 50 bytes."""

RUNS: Final = "runs"
"""Where in the state it is kept what is known of runs."""

_MISCONFIGURED: Final = frozenset({404, 405, 406, 415})
"""Answers that speak of the request as such: no point is at fault."""

log = logging.getLogger("autotrack.otlp")


class OtlpBackend:
    """Delivers metrics by OTLP/HTTP."""

    limits = Limits(key_length=255, key_characters=r"[A-Za-z0-9_./-]")
    """What instruments may be called (OpenTelemetry's specification 1.55, "Metrics API"): what is safe to store."""

    def open(self, context: BackendContext) -> None:
        """Read the variables; no request is made. Raises `UsageError`."""
        self._context = context
        self._target = target_from(os.environ)
        self._remote = Remote(self._target.address)

    def check(self) -> str:
        """Send a request without points. Raises `BackendUnavailable`, `BackendRejected`."""
        self._send([])
        return f"{self._target.address.shown} takes metrics"

    def resume(self, writer: str) -> int | None:
        """No collector can be asked what it holds."""
        return None

    def deliver(self, batch: Sequence[Record]) -> int:
        """Send the points of a batch; what has no place is noted once the whole batch is held."""
        notes: list[tuple[str, str, str]] = []
        translator = Translator(
            self._context.state.get(RUNS, {}),
            self._context.settings.resolved_project,
            self._target.service,
            self._target.attributes,
            lambda *note: notes.append(note),
        )
        for record in batch:
            translator.take(record.event)
        for run, parts in translator.parts.items():
            for some in requests(parts, POINTS_PER_REQUEST):
                answer = self._send(some)
                why = f"refused: {answer.message}" if answer.message else "refused without a reason"
                notes += [(run, "points", f"{self._target.address.shown} {why}")] * answer.rejected
        self._context.state[RUNS] = translator.runs
        for note in notes:
            self._context.note(*note)
        return batch[-1].sequence

    def close(self) -> None:
        """Let go of the connections."""
        self._remote.close()

    def _send(self, parts: Sequence[Part]) -> Answer:
        target = self._target
        body = as_json(parts) if target.as_json else as_protobuf(parts)
        headers = {"Content-Type": "application/json" if target.as_json else "application/x-protobuf"}
        if target.compressed:
            body, headers["Content-Encoding"] = gzip.compress(body, 6, mtime=0), "gzip"
        try:
            response = self._remote.send("POST", data=body, headers=headers, seconds=target.seconds)
        except Refused as refusal:
            if refusal.status in _MISCONFIGURED:
                kind = headers["Content-Type"]
                raise BackendUnavailable(
                    f"{target.address.shown} answered {refusal.status}: it takes no metrics as {kind}; "
                    f"check {target.address.variable} and OTEL_EXPORTER_OTLP_PROTOCOL"
                ) from refusal
            raise
        answer = answer_from(response.content, response.headers.get("Content-Type", ""))
        if answer.message and not answer.rejected:
            log.warning("%s: %s", target.address.shown, answer.message)
        return answer
