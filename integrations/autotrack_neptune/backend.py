"""The backend `neptune`: runs go to a self-hosted Neptune through its client, for 3 (`neptune-scale`) or 2 (`neptune`).

Records of one journal enter; what leaves are calls of the client's public API, each run under our id. What Neptune
cannot keep is left out here and noted, since the client would drop it with a line in a log. A batch counts once the
client says that the server has it, or, with NEPTUNE_MODE=offline, that it is on disk.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from autotrack.backend import BackendContext, Limits
from autotrack.errors import BackendUnavailable, UsageError
from autotrack.events import (
    ArtifactLogged,
    ConsoleLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    Record,
    RunEnded,
    RunStarted,
    TagsSet,
    WriterEnded,
    WriterStarted,
)
from autotrack_neptune import naming
from autotrack_neptune.attributes import iso, rounded
from autotrack_neptune.client import Client
from autotrack_neptune.columns import typed
from autotrack_neptune.paths import CODE, DATASETS, ENVIRONMENT, INTEGRATION, MODELS, PARENT, Paths
from autotrack_neptune.token import Connection, connection

CLIENT_VARIABLE: Final = "AUTOTRACK_NEPTUNE_CLIENT"
"""`neptune-scale` or `neptune`, where both are installed; unset, it is `neptune-scale`."""
TEXT: Final = 200_000
"""Characters of a text: a value may have a mebibyte."""
SETS: Final = ("sys/tags", "sys/group_tags")
_OUT_OF_RANGE: Final = ("at steps out of range", "Neptune's steps are from 0 to 10¹²")
_UNTRUE: Final = ("at finer steps", "Neptune's steps have six decimals, and the client counts them in 64-bit floats")
_NOT_FINITE: Final = ("that are not finite", "the series of Neptune 2 hold no NaN and no infinity")
_NOT_RISING: Final = ("at steps that do not rise", "Neptune takes rising steps alone")
"""Why a point is not carried: what is noted, and why."""


class NeptuneBackend:
    """Delivers runs to a self-hosted Neptune."""

    limits = Limits(key_length=200, param_length=TEXT, tag_length=TEXT)

    def open(self, context: BackendContext) -> None:
        """Read the variables. Raises `UsageError` for the hosted service, and where no client is installed."""
        self._context = context
        self._where = connection(os.environ)
        self._client_name = chosen_client(os.environ)
        self._client: Client | None = None
        self._notes: Counter[tuple[str, str, str]] = Counter()
        self._logged: int | None = None
        """The position up to which this process has logged, confirmed or not; None: what the state says."""
        self._known: dict[str, dict[str, Any]] = {}
        """What is known of runs; it is part of the state once it is confirmed, since that may be saved at any time."""
        self._ended: set[str] = set()

    def check(self) -> str:
        """Ask the server, or offline the disk. Raises `BackendUnavailable`."""
        if self._where.mode == "offline":
            return f"{self._client_name}, offline: written to disk for `neptune sync`"
        from autotrack_neptune.reaching import reached

        return reached(self._where, self._client_name)

    def resume(self, writer: str) -> int | None:
        """Neptune keeps no cursor of ours."""
        return None

    def deliver(self, batch: Sequence[Record]) -> int:
        """Log a batch and have it confirmed; the same batch again is confirmed alone, where this process logged it."""
        last = batch[-1]
        client = self._opened(last.writer)
        state = self._context.state
        logged = self._logged if self._logged is not None else int(state.get("position", -1))
        if last.position > logged:
            notes = self._notes.copy()
            try:
                for record in batch:
                    if record.position > logged:
                        self._take(client, record)
            except BaseException:
                self._notes, self._logged = notes, None
                self._known.clear()
                client.back()
                raise
            self._logged = last.position
        try:
            refused = client.confirm()
        except BackendUnavailable:
            if client.stopped:  # it will send nothing more: the batch is logged anew when it comes again
                self._logged = None
                self._known.clear()
                self._notes.clear()
                client.back()
            raise
        for run, what, why in refused:
            self._note(run, what, why)
        client.hold()
        state["position"] = last.position
        state.setdefault("runs", {}).update(copy.deepcopy(self._known))
        for (run, what, why), count in self._notes.items():
            for _ in range(count):
                self._context.note(run, what, why)
        self._notes.clear()
        for run in self._ended:
            client.end(run)
            self._known.pop(run, None)
        self._ended.clear()
        return last.sequence

    def close(self) -> None:
        """Let go of the server."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _opened(self, writer: str) -> Client:
        # Here and not in `open`: the forwarder reads the state anew once it has claimed the journal.
        if self._client is None:
            if self._client_name == "neptune-scale":
                from autotrack_neptune.scale_client import ScaleClient

                self._client = ScaleClient(self._context, self._where, writer)
            else:
                from autotrack_neptune.legacy_client import LegacyClient

                self._client = LegacyClient(self._context, self._where, writer)
        return self._client

    def _take(self, client: Client, record: Record) -> None:
        event = record.event
        if isinstance(event, WriterStarted | WriterEnded):
            return
        run = event.run
        if run not in self._known:
            self._known[run] = copy.deepcopy(self._context.state.get("runs", {}).get(run, {}))
        paths = Paths(self._known[run])
        if isinstance(event, RunStarted):
            self._begin(client, event, paths)
            return
        client.begin(run, run, self._where.project_of(self._context.settings.resolved_project), event.time)
        if isinstance(event, MetricsLogged):
            self._points(client, event, paths)
        elif isinstance(event, ParamsLogged):
            client.values(run, {paths.param(key): self._value(client, one) for key, one in event.params.items()})
        elif isinstance(event, TagsSet):
            client.values(run, {paths.tag(key): text for key, text in event.tags.items()})
            for path in SETS:
                if path in event.tags:
                    client.words(run, path, words_of(event.tags[path]))
        elif isinstance(event, ArtifactLogged):
            if not client.file(run, paths.file(event.name), event.digest, event.media_type, event.name):
                self._note(run, f"artifact {event.name}", "its file is not on this machine any more")
        elif isinstance(event, ModelLogged):
            self._model(client, event, record, paths)
        elif isinstance(event, DatasetLogged):
            held = {"role": event.role, "name": event.name, "time": iso(event.time), "record": event.record}
            client.values(run, {f"{DATASETS}{record.writer}-{record.sequence}": self._json(run, held, "dataset")})
        elif isinstance(event, ConsoleLogged):
            owner = "" if paths.begun else f"{record.writer}/"
            client.text(
                run,
                f"runtime/{owner}{event.stream}",
                event.text.rstrip("\n"),
                paths.next_line(event.stream),
                event.time,
            )
        elif isinstance(event, RunEnded):
            values: dict[str, Any] = {naming.STATUS: event.status}
            if event.error:
                values[naming.ERROR] = self._json(run, event.error, "error")
            client.values(run, values)
            self._ended.add(run)

    def _begin(self, client: Client, event: RunStarted, paths: Paths) -> None:
        self._ended.discard(event.run)
        if event.resumed and client.states:
            self._note(event.run, "a run that goes on", client.states)
        client.begin(event.run, event.name, self._where.project_of(event.project), event.time)
        paths.begin()
        values: dict[str, Any] = {
            naming.RUN_ID: event.run,
            naming.STATUS: "running",
            "autotrack/name": event.name,
            "autotrack/project": event.project,
            INTEGRATION: event.integration,
            PARENT: event.parent,
        }
        for path, record in ((ENVIRONMENT, event.environment), (CODE, event.code)):
            if record:
                values[path] = self._json(event.run, record, path)
        client.values(event.run, {path: one for path, one in values.items() if one})

    def _points(self, client: Client, event: MetricsLogged, paths: Paths) -> None:
        step, number = rounded(event.step), None
        unfit: tuple[str, str] | None = _OUT_OF_RANGE
        if step is not None and step >= 0:
            number = client.step(step) if step == Decimal(event.step) else None
            unfit = _UNTRUE if number is None else None
        kept: dict[str, float] = {}
        for key, value in event.values.items():
            reason = unfit or (None if client.non_finite or math.isfinite(value) else _NOT_FINITE)
            if reason is None and not paths.rises(key, step):
                reason = _NOT_RISING
            if reason is None:
                kept[paths.metric(key)] = value
            else:
                self._note(event.run, f"points of {key} {reason[0]}", reason[1])
        if kept and number is not None:
            client.points(event.run, kept, number, event.time)

    def _model(self, client: Client, event: ModelLogged, record: Record, paths: Paths) -> None:
        wanted = ("name", "format", "step", "signature", "problem", "register", "aliases", "digest", "bytes")
        held = {key: getattr(event, key) for key in wanted if getattr(event, key) not in (None, [])}
        path = f"models/{event.name}"
        if event.digest is not None:
            if client.file(event.run, path, event.digest, "application/octet-stream", event.name):
                held["path"] = path
            else:
                self._note(event.run, f"model {event.name}", "its file is not on this machine any more")
        held["time"] = iso(event.time)
        told = self._json(event.run, held, f"model {event.name}")
        client.values(event.run, {f"{MODELS}{record.writer}-{record.sequence}": told})

    def _value(self, client: Client, value: Any) -> Any:
        kind, typed_value = typed(value)
        smallest, largest = client.whole_numbers
        if kind == "int" and not smallest <= typed_value <= largest:
            return float(typed_value) if int(float(typed_value)) == typed_value else str(typed_value)
        if kind == "float" and not math.isfinite(typed_value) and smallest > -(2**63):
            return str(typed_value)  # the client for 2.x drops it
        return typed_value

    def _json(self, run: str, held: Any, what: str) -> str:
        text = json.dumps(held, ensure_ascii=False, sort_keys=True, default=str)
        if len(text) > TEXT:
            self._note(run, what, f"its record has {len(text)} characters: the local record has it")
            return json.dumps(
                {key: one for key, one in held.items() if key not in ("record", "signature")}, default=str
            )[:TEXT]
        return text

    def _note(self, run: str, what: str, why: str) -> None:
        self._notes[run, what, why] += 1


def chosen_client(environ: Mapping[str, str]) -> str:
    """Which client to use: the one that is installed, or that the variable names. Raises `UsageError` for none."""
    installed = [
        name
        for name, package in (("neptune-scale", "neptune_scale"), ("neptune", "neptune"))
        if importlib.util.find_spec(package) is not None
    ]
    wanted = environ.get(CLIENT_VARIABLE, "").strip()
    if wanted and wanted not in ("neptune-scale", "neptune"):
        raise UsageError(f"{CLIENT_VARIABLE}={wanted!r}: use neptune-scale (Neptune 3) or neptune (Neptune 2)")
    if wanted and wanted not in installed:
        raise UsageError(f"{CLIENT_VARIABLE} names {wanted}, which is not installed: pip install {wanted}")
    if not installed:
        raise UsageError(
            "no client of Neptune is installed: pip install neptune-scale (Neptune 3) or neptune (Neptune 2)"
        )
    return wanted or installed[0]


def words_of(text: str) -> set[str]:
    """The words of a tag that holds a set: a JSON list, or one word."""
    try:
        held = json.loads(text)
    except ValueError:
        held = None
    return {str(word) for word in held} if isinstance(held, list) else {text} if text else set()


__all__ = ["Client", "Connection", "NeptuneBackend", "chosen_client"]
