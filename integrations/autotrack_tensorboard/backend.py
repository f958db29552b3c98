"""The backend: one event file for each run and journal, below one folder that TensorBoard looks at.

Records enter, in order; encoded events are gathered for each run and appended at the end of the batch, so that a batch
is in the files whole or not at all. What TensorBoard has no place for is noted then.
"""

from __future__ import annotations

import json
import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from autotrack.appended import Appended, RunFolders
from autotrack.backend import BackendContext, Limits
from autotrack.events import (
    ArtifactLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    ProvenanceLogged,
    Record,
    RunEnded,
    RunStarted,
    Scalar,
    TagsSet,
    WriterEnded,
    WriterStarted,
)
from autotrack_tensorboard import messages
from autotrack_tensorboard.framing import framed
from autotrack_tensorboard.place import folder_from

LONGEST_TEXT: Final = 1_000_000
LARGEST_IMAGE: Final = 32_000_000
MOST_OPEN: Final = 64
"""Files that stay open between batches."""

RUN, PARAMS, TAGS, STATUS, ERROR = (f"autotrack/{name}" for name in ("run", "params", "tags", "status", "error"))


class Share:
    """What a batch adds to one run's file."""

    def __init__(self, name: tuple[str, ...] = ()) -> None:
        self.name = name
        self.events: list[bytes] = []
        self.time = 0
        self.ended = False


class TensorboardBackend:
    """Writes runs as event files."""

    limits = Limits(integer_steps=True)

    def open(self, context: BackendContext) -> None:
        """Find the folder. Raises `UsageError` for one that is no folder of this machine."""
        self._context = context
        self._folders = RunFolders(folder_from(os.environ, context.home))
        self._files: dict[str, Appended] = {}
        self._tags: dict[str, bytes] = {}

    def check(self) -> str:
        """Whether the folder can be written. Raises `BackendUnavailable`."""
        with self._folders.locked():
            return f"event files go below {self._folders.root}"

    def resume(self, writer: str) -> int | None:
        """The files' lengths are in the state: the forwarder's cursor goes with them."""
        return None

    def deliver(self, batch: Sequence[Record]) -> int:
        """Append a batch. Where a file cannot be written, none of it counts."""
        self._notes: Counter[tuple[str, str, str]] = Counter()
        self._shares: dict[str, Share] = {}
        # Changed only once all is written: the forwarder may keep the state although a batch failed.
        self._waiting = dict(self._context.state.get("params", {}))
        for record in batch:
            if not isinstance(record.event, WriterStarted | WriterEnded):
                self._take(record)
        touched: list[Appended] = []
        try:
            for run, share in self._shares.items():
                touched.append(self._write(run, share, batch[-1].writer))
        except BaseException:
            for name in list(self._files):
                self._files.pop(name).close()  # opened again, it is cut back to what counts
            raise
        for file in touched:
            file.hold()
        self._context.state["params"] = self._waiting
        self._close([run for run, share in self._shares.items() if share.ended])
        for (run, what, why), count in self._notes.items():
            for _ in range(count):
                self._context.note(run, what, why)
        return batch[-1].sequence

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _take(self, record: Record) -> None:
        event = record.event
        run, time = event.run, event.time
        share = self._shares.setdefault(run, Share())
        share.time = share.time or time
        if isinstance(event, MetricsLogged):
            self._begin_session(share, run, time)
            step = _step(event.step)
            share.events.append(messages.point(time, step, event.values, self._tags))
            for value in event.values.values():
                if not messages.is_float32(value):
                    self._notes[run, "digits of values", "TensorBoard's scalars are 32-bit floats"] += 1
            if step != event.step:
                self._notes[run, "steps", "TensorBoard's steps are 64-bit integers"] += 1
        elif isinstance(event, RunStarted):
            share.name = (event.project, event.name)
            if not event.resumed:
                self._waiting[run] = {"time": time, "params": {}}
            self._text(record, RUN, _described(event))
            for name, told in (("environment", event.environment), ("code", event.code)):
                if told:
                    self._text(record, f"autotrack/{name}", told)
        elif isinstance(event, ParamsLogged):
            self._text(record, PARAMS, event.params)
            self._keep_params(run, event.params)
        elif isinstance(event, TagsSet):
            self._text(record, TAGS, event.tags)
        elif isinstance(event, DatasetLogged):
            self._text(record, f"datasets/{event.role}/{event.name}", event.record)
        elif isinstance(event, ModelLogged):
            self._model(record, event)
        elif isinstance(event, ArtifactLogged):
            self._artifact(record, event)
        elif isinstance(event, ProvenanceLogged):
            if event.kind == "code":
                self._text(record, "autotrack/code", event.record)
        elif isinstance(event, RunEnded):
            self._end(record, event, share)

    def _begin_session(self, share: Share, run: str, time: int) -> None:
        session = self._waiting.get(run)
        if session is None or session["params"] is None:
            return
        # TensorBoard keeps the first that a run has: it is written when the params are likely to be complete.
        start = messages.session_start(run, session["time"], session["params"])
        share.events.append(messages.event(time, 0, start))
        self._waiting[run] = {"time": session["time"], "params": None}

    def _keep_params(self, run: str, params: Mapping[str, Scalar]) -> None:
        session = self._waiting.get(run)
        if session is not None and session["params"] is not None:
            self._waiting[run] = {**session, "params": {**session["params"], **params}}
        else:
            for key in params:
                self._notes[
                    run, f"param {key} on the page HParams", "TensorBoard keeps what came before the points"
                ] += 1

    def _end(self, record: Record, event: RunEnded, share: Share) -> None:
        run, time = event.run, event.time
        self._begin_session(share, run, time)
        if self._waiting.pop(run, None) is None:
            why = "TensorBoard keeps the first end of a run; the newest is its text autotrack/status"
            self._notes[run, "the outcome on the page HParams", why] += 1
        else:
            status = messages.SUCCESS if event.status == "finished" else messages.FAILURE
            share.events.append(messages.event(time, 0, messages.session_end(status, time)))
        self._put_text(record, STATUS, event.status)
        if event.error:
            shown = "\n".join("    " + line for line in event.error.get("traceback", "").splitlines())
            message = f"{event.error.get('type', '')}: {event.error.get('message', '')}\n\n{shown}"
            self._put_text(record, ERROR, message)
        share.ended = True

    def _model(self, record: Record, event: ModelLogged) -> None:
        told: dict[str, Any] = {
            "format": event.format,
            "digest": event.digest,
            "bytes": event.bytes,
            "step": event.step,
        }
        if event.signature:
            told["signature"] = event.signature
        self._text(record, f"models/{event.name}", told)
        if event.digest is not None:
            self._notes[event.run, f"model {event.name}", "TensorBoard keeps no files: its digest is told there"] += 1

    def _artifact(self, record: Record, event: ArtifactLogged) -> None:
        what = f"artifact {event.name}"
        if not event.name.lower().endswith(".png") and event.media_type != "image/png":
            self._notes[event.run, what, "TensorBoard keeps no files but PNG images"] += 1
            return
        blob = self._context.blob(event.digest)
        if not blob.is_file():
            self._notes[event.run, what, "its file is not on this machine any more"] += 1
            return
        content = blob.read_bytes() if event.bytes <= LARGEST_IMAGE else b""
        size = messages.png_size(content)
        if size is None:
            self._notes[event.run, what, f"it is no PNG of at most {LARGEST_IMAGE} bytes"] += 1
            return
        summary = messages.image(event.name, content, *size)
        self._shares[event.run].events.append(messages.event(event.time, record.sequence, summary))

    def _text(self, record: Record, tag: str, told: Mapping[str, Any]) -> None:
        content = json.dumps(told, indent=2, default=str, ensure_ascii=False)
        if len(content) > LONGEST_TEXT:
            self._notes[record.event.run, f"text {tag}", f"texts are kept up to {LONGEST_TEXT} characters there"] += 1
            return
        self._put_text(record, tag, "\n".join("    " + line for line in content.splitlines()))

    def _put_text(self, record: Record, tag: str, content: str) -> None:
        # The step orders the texts of one tag; the sequence is the one number that grows with them.
        summary = messages.text(tag, content[:LONGEST_TEXT])
        self._shares[record.event.run].events.append(messages.event(record.event.time, record.sequence, summary))

    def _write(self, run: str, share: Share, writer: str) -> Appended:
        key = f"{run}\0{writer}"
        file = self._files.get(key)
        if file is None or share.name:
            with self._folders.locked():
                folder = self._folders.of(run, share.name)
                if file is None:
                    names = self._context.state.setdefault("files", {})
                    name = names.setdefault(run, _file_name(share.time, run, writer))
                    file = self._files[key] = Appended(folder, name, self._context.state)
        if file.is_new:
            share.events.insert(0, messages.version(share.time))
        file.append(b"".join(map(framed, share.events)))
        return file

    def _close(self, ended: Sequence[str]) -> None:
        gone = [key for key in self._files if key.partition("\0")[0] in ended]
        for key in list(self._files) if len(self._files) > MOST_OPEN else gone:
            self._files.pop(key).close()


def _file_name(time: int, run: str, writer: str) -> str:
    # The product reads the files of a folder in the order of their names, which begin with the time of the first event.
    host = "".join(c if c.isalnum() or c in ".-" else "_" for c in socket.gethostname())[:60]
    tail = "".join(c if c.isalnum() else "_" for c in run)[:32]
    return f"events.out.tfevents.{time // 1_000_000_000:010d}.{host}.{writer}.{tail}"


def _described(event: RunStarted) -> dict[str, Any]:
    told = {"id": event.run, "name": event.name, "project": event.project, "integration": event.integration}
    return {**told, **({"parent": event.parent} if event.parent else {})}


def _step(step: Any) -> int:
    return max(-(1 << 63), min((1 << 63) - 1, int(step)))


__all__ = ["TensorboardBackend"]
