"""One folder of event files, told as the events that autotrack would have recorded.

Files are read side by side, in the order of their events' times, so that a run of any size needs little memory. What a
text of autotrack's own says is told as what it was.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from autotrack import protobuf
from autotrack.events import (
    AnyEvent,
    ArtifactLogged,
    MetricsLogged,
    ParamsLogged,
    RunEnded,
    RunStarted,
    Scalar,
    Status,
    TagsSet,
)
from autotrack.importing import Keeping, run_id
from autotrack_tensorboard.framing import Damage
from autotrack_tensorboard.messages import EXPERIMENT, FAILURE, SESSION_END, SESSION_START
from autotrack_tensorboard.reading import Event, Value, event_files, number, strings, value

_ENDINGS: Final = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpg", b"GIF8": "gif", b"RIFF": "wav", b"BM": "bmp"}
_MEDIA: Final = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif", "wav": "audio/wav", "md": "text/markdown"}
_STATUSES: Final = ("finished", "failed", "killed", "pruned")


class Telling:
    """Tells one folder."""

    def __init__(self, folder: Path, keeping: Keeping, *, keep_purged: bool) -> None:
        self._files = event_files(folder)
        self._folder = folder
        self._keeping = keeping
        self._keep_purged = keep_purged
        self._plugins: dict[str, str] = {}
        self._lost: Counter[tuple[str, str]] = Counter()
        self._used: Counter[str] = Counter()
        self._exact: set[str] = set()
        """Params that a text of autotrack's own has told."""
        self._ended: RunEnded | None = None
        self._status: Status | None = None
        self._error: str | None = None
        self._last = 0

    def events(self, origin: str, name: str, project: str, parent: str | None) -> Iterator[AnyEvent]:
        """The whole run."""
        run = run_id(origin)
        restarts, began = self._survey()
        self._last = began
        yield RunStarted(run, began, name, project, run_id(parent) if parent else None, "tensorboard")
        yield TagsSet(run, began, {"tensorboard.id": origin.removeprefix("tensorboard:"), "tensorboard.run": name})
        damages = [Damage() for _ in self._files]
        streams = [self._numbered(index, damage) for index, damage in enumerate(damages)]
        for _, index, place, event in heapq.merge(*streams, key=lambda item: item[0]):
            purged = not self._keep_purged and any(
                (where > (index, place)) and event.step >= step for where, step in restarts
            )
            yield from self._tell(run, event, purged)
        for file, damage in zip(self._files, damages, strict=True):
            self._tell_damage(file.name, damage)
        self._tell_restarts(restarts)
        for (what, why), count in self._lost.items():
            self._keeping.not_carried(what, why, count)
        yield self._end(run)

    def _survey(self) -> tuple[list[tuple[tuple[int, int], int]], int]:
        """Where a process started again, and at which step; and when all began."""
        restarts: list[tuple[tuple[int, int], int]] = []
        began: float | None = None
        for index, file in enumerate(self._files):
            for place, event in enumerate(file.events(Damage())):
                if event.time > 0:
                    began = event.time if began is None else min(began, event.time)
                if event.restart and (event.step > 0 or index > 0 or place > 1):
                    restarts.append(((index, place), event.step))
        return restarts, _nanoseconds(began or 0.0)

    def _numbered(self, index: int, damage: Damage) -> Iterator[tuple[float, int, int, Event]]:
        latest = 0.0
        for place, event in enumerate(self._files[index].events(damage)):
            latest = max(latest, event.time)  # a clock that was put back leaves the order of writing
            yield latest, index, place, event

    def _tell(self, run: str, event: Event, purged: bool) -> Iterator[AnyEvent]:
        time = _nanoseconds(event.time)
        self._last = max(self._last, time)
        points: dict[str, float] = {}
        for message in event.values:
            try:
                told = value(message)
                plugin = told.plugin or self._plugins.get(told.tag, "")
                if told.plugin:
                    self._plugins.setdefault(told.tag, told.plugin)
                point = self._point(told, plugin)
                if point is None:
                    yield from self._other(run, time, event.step, told, plugin)
                elif purged:
                    self._lost[
                        "points before a restart", "TensorBoard hides them: a later process went on earlier"
                    ] += 1
                elif told.tag in points:
                    yield MetricsLogged(run, time, event.step, {told.tag: point})
                else:
                    points[told.tag] = point
            except ValueError:
                self._lost["damaged values", "they cannot be decoded"] += 1
        if points:
            yield MetricsLogged(run, time, event.step, points)
        if event.graph:
            yield self._file(run, time, "graph.pb", event.graph)
        if event.other:
            self._lost[event.other, "it has no place in a run"] += 1

    def _point(self, told: Value, plugin: str) -> float | None:
        if told.kind == "simple_value":
            return protobuf.as_float(told.data)
        if told.kind == "tensor" and plugin in ("scalars", ""):
            return number(protobuf.as_bytes(told.data))
        return None

    def _other(self, run: str, time: int, step: int, told: Value, plugin: str) -> Iterator[AnyEvent]:
        if told.tag in (SESSION_START, SESSION_END) or plugin == "hparams":
            yield from self._hparams(run, time, told)
        elif told.kind in ("image", "audio"):
            at = 4
            encoded = [
                protobuf.as_bytes(one) for place, one in protobuf.fields(protobuf.as_bytes(told.data)) if place == at
            ]
            yield self._file(run, time, f"{told.kind}s/{told.tag}/{step}", encoded[0] if encoded else b"")
        elif told.kind == "tensor" and plugin in ("images", "audio"):
            # Of images the first two strings are width and height; of audio each second one is a label.
            held = strings(protobuf.as_bytes(told.data))
            files = held[2:] if plugin == "images" else held[::2]
            for index, content in enumerate(files):
                more = f"-{index}" if len(files) > 1 else ""
                yield self._file(run, time, f"{plugin}/{told.tag}/{step}{more}", content)
        elif told.kind == "tensor" and plugin == "text":
            held = strings(protobuf.as_bytes(told.data))
            yield from self._text(
                run, time, step, told.tag, "\n\n".join(one.decode("utf-8", "replace") for one in held)
            )
        else:
            what = {"histo": "histograms", "histograms": "histograms", "pr_curves": "precision-recall curves"}
            kind = what.get(plugin) or what.get(told.kind) or (f"data of the plugin {plugin}" if plugin else "tensors")
            self._lost[kind, "autotrack's series hold single numbers"] += 1

    def _text(self, run: str, time: int, step: int, tag: str, content: str) -> Iterator[AnyEvent]:
        ours = _own(content) if tag.startswith("autotrack/") else None
        if tag == "autotrack/params" and ours is not None:
            self._exact.update(ours)
            yield ParamsLogged(run, time, ours)
        elif tag == "autotrack/tags" and ours is not None:
            yield TagsSet(run, time, {key: str(text) for key, text in ours.items()})
        elif tag == "autotrack/run" and ours is not None:
            told = {"autotrack.run_id": ours.get("id"), "autotrack.name": ours.get("name")}
            yield TagsSet(run, time, {key: str(text) for key, text in told.items() if text})
        elif tag == "autotrack/status" and content in _STATUSES:
            self._status = next(one for one in _STATUSES if one == content)
        elif tag == "autotrack/error":
            self._error = content
        else:
            name = tag.removesuffix("/text_summary")  # which torch adds
            yield self._file(run, time, f"text/{name}/{step}.md", content.encode())

    def _hparams(self, run: str, time: int, told: Value) -> Iterator[AnyEvent]:
        for at, content in protobuf.fields(told.content):
            if told.tag == SESSION_START and at == 3:
                told_here = _params(protobuf.as_bytes(content))
                params = {key: param for key, param in told_here.items() if key not in self._exact}
                if params:
                    yield ParamsLogged(run, time, params)
            elif told.tag == SESSION_END and at == 4:
                held = dict(protobuf.fields(protobuf.as_bytes(content)))
                ended = _nanoseconds(protobuf.as_double(held[2])) if 2 in held else time
                self._ended = RunEnded(run, ended or time, "failed" if held.get(1) == FAILURE else "finished")
        if told.tag not in (SESSION_START, SESSION_END, EXPERIMENT):
            self._lost["data of the plugin hparams", "it has no place in a run"] += 1

    def _file(self, run: str, time: int, name: str, content: bytes) -> ArtifactLogged:
        if "." not in name.rpartition("/")[2]:
            ending = next((known for magic, known in _ENDINGS.items() if content.startswith(magic)), "bin")
            name = f"{name}.{ending}"
        self._used[name] += 1
        if self._used[name] > 1:  # the same tag and step again
            stem, _, ending = name.rpartition(".")
            name = f"{stem}-{self._used[name]}.{ending}"
        digest, size = self._keeping.keep(content)
        media = _MEDIA.get(name.rpartition(".")[2], "application/octet-stream")
        return ArtifactLogged(run, time, name, digest, size, media)

    def _tell_damage(self, name: str, damage: Damage) -> None:
        if damage.torn:
            self._keeping.not_carried(f"{damage.torn} bytes at the end of {name}", "the last record is not whole")
        if damage.bad:
            self._keeping.not_carried(f"records of {name}", "they are damaged", damage.bad)
        if damage.unread:
            self._keeping.not_carried(f"the last {damage.unread} bytes of {name}", "a record's length is damaged")

    def _tell_restarts(self, restarts: list[tuple[tuple[int, int], int]]) -> None:
        for _, step in restarts:
            kept = "they are kept" if self._keep_purged else "see the points before a restart"
            self._keeping.not_carried(
                f"a restart at step {step}", f"TensorBoard hides earlier points from there: {kept}"
            )

    def _end(self, run: str) -> RunEnded:
        error = {"type": "", "message": self._error, "traceback": ""} if self._error else None
        if error and self._error:
            head, _, rest = self._error.partition("\n")
            kind, _, message = head.partition(": ")
            traceback = "\n".join(line.removeprefix("    ") for line in rest.strip("\n").splitlines())
            error = {"type": kind, "message": message, "traceback": traceback}
        ended = self._ended
        # TensorBoard has no status but on its page HParams: a run that says nothing has ended when it said the last.
        status = self._status or (ended.status if ended else "finished")
        return RunEnded(run, max(self._last, ended.time if ended else 0), status, error)


def _params(start: bytes) -> dict[str, Scalar]:
    params: dict[str, Scalar] = {}
    for at, entry in protobuf.fields(start):
        if at != 1:
            continue
        held = dict(protobuf.fields(protobuf.as_bytes(entry)))
        kinds = dict(protobuf.fields(protobuf.as_bytes(held.get(2, b""))))
        found: Scalar = None
        if 2 in kinds:
            found = protobuf.as_double(kinds[2])
        elif 3 in kinds:
            found = protobuf.as_text(kinds[3])
        elif 4 in kinds:
            found = bool(kinds[4])
        params[protobuf.as_text(held.get(1, b""))] = found
    return params


def _own(content: str) -> dict[str, Any] | None:
    try:
        found = json.loads(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _nanoseconds(seconds: float) -> int:
    # By whole microseconds: a double of these days cannot tell more, and a product of it would make digits up.
    return round(seconds * 1e6) * 1000 if 0 <= seconds < 1e11 else 0


__all__ = ["Telling"]
