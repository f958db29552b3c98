"""The events: typed, frozen records of what happened, and the journal's schema.

`Run` creates them, the journal keeps them, backends receive them. On disk an event is a MessagePack array that begins
with the event's tag, then its fields in the order below (https://msgpack.org, via msgspec's `array_like`). Fields may
be added at the end with a default; none is ever removed, reordered or given another meaning.

Times are nanoseconds since the epoch. Steps are exact: an `int`, or a decimal as text (`"0.25"`), never a binary
fraction. Metric values are 64-bit floats, NaN and infinities included.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias

import msgspec

Scalar: TypeAlias = str | int | float | bool | None
Step: TypeAlias = int | str
Status: TypeAlias = Literal["running", "finished", "failed", "killed", "pruned"]

SCHEMA: Final = 1
"""Version of this schema; written in every segment's first event."""


class Event(msgspec.Struct, frozen=True, array_like=True, kw_only=False):
    """What every event carries: the run it belongs to (empty for the writer's own events) and when it happened."""

    run: str
    time: int


class WriterStarted(Event, frozen=True, array_like=True, tag=1):
    """First event of every segment: which process writes this journal, and where its events are to go."""

    writer: str
    pid: int
    pid_started: float
    host: str
    boot: str
    version: str
    backends: list[str]
    schema: int = SCHEMA


class RunStarted(Event, frozen=True, array_like=True, tag=2):
    """A run begins, or goes on (`resumed`). Only the writer that started a run may end it."""

    name: str
    project: str
    parent: str | None = None
    integration: str | None = None
    environment: dict[str, Any] = {}
    code: dict[str, Any] = {}
    resumed: bool = False
    not_to: list[str] = []
    """Backends that get this run from the framework itself, through its own logger, and must not get it twice."""


class ParamsLogged(Event, frozen=True, array_like=True, tag=3):
    """Hyperparameters under flat dotted keys. A key that comes again replaces the value; both stay retrievable."""

    params: dict[str, Scalar]


class MetricsLogged(Event, frozen=True, array_like=True, tag=4):
    """One point of one or more series, all at the same step."""

    step: Step
    values: dict[str, float]
    not_to: tuple[str, ...] = ()
    """As of the run's start, where that cannot say it: the run is the user's own, or starts in another journal."""


class TagsSet(Event, frozen=True, array_like=True, tag=5):
    """Free text labels; a later value replaces an earlier one."""

    tags: dict[str, str]


class DatasetLogged(Event, frozen=True, array_like=True, tag=6):
    """A dataset in a role (`train`, `validation`, `test`, `predict`), described by `autotrack.provenance.dataset`."""

    role: str
    name: str
    record: dict[str, Any]


class ModelLogged(Event, frozen=True, array_like=True, tag=7):
    """Saved weights.

    Either `digest` names a blob in a safe format, or `snapshot` names a spooled snapshot that the forwarder converts
    into one before any backend sees the event, or `problem` says why nothing was kept.
    """

    name: str
    format: str
    digest: str | None = None
    bytes: int | None = None
    step: Step | None = None
    snapshot: str | None = None
    signature: dict[str, Any] | None = None
    problem: str | None = None
    register: str | None = None
    """The name under which backends that have a registry of models are to register it."""
    aliases: list[str] = []
    """Words that then point to this version, such as `champion`."""


class ArtifactLogged(Event, frozen=True, array_like=True, tag=8):
    """Any other file of a run, kept as a blob under its SHA-256."""

    name: str
    digest: str
    bytes: int
    media_type: str = "application/octet-stream"


class NoteLogged(Event, frozen=True, array_like=True, tag=9):
    """Something that the record lacks or that was changed, counted: never lossy in silence."""

    what: str
    count: int
    why: str


class RunEnded(Event, frozen=True, array_like=True, tag=10):
    """The run's outcome. `error` is `{type, message, traceback}` when there was one."""

    status: Status
    error: dict[str, str] | None = None


class WriterEnded(Event, frozen=True, array_like=True, tag=11):
    """The writing process closed its journal in order."""


class ProvenanceLogged(Event, frozen=True, array_like=True, tag=12):
    """What a run was made of, beside its data: `kind` is `code`, `environment`, `notebook` or `randomness`.

    A record that comes again with keys of the one before replaces those. A value `{digest, bytes}` names a blob.
    """

    kind: str
    record: dict[str, Any]


class ConsoleLogged(Event, frozen=True, array_like=True, tag=13):
    """Text that the run's process wrote to `stream`, which is `stdout` or `stderr`, in the order of writing."""

    stream: str
    text: str


class RegistryLogged(Event, frozen=True, array_like=True, tag=14):
    """One step in the life of a registered model: `autotrack.registry.log` says which there are and what they hold.

    `run` is the run that took it or that the version came from, or empty.
    """

    model: str
    """The registered name."""
    action: str
    id: str
    """Of this step, for ever: whoever sees it twice has seen one step."""
    digest: str | None = None
    """The version that it is about."""
    who: str = ""
    why: str = ""
    record: dict[str, Any] = {}


AnyEvent: TypeAlias = (
    WriterStarted
    | RunStarted
    | ParamsLogged
    | MetricsLogged
    | TagsSet
    | DatasetLogged
    | ModelLogged
    | ArtifactLogged
    | NoteLogged
    | RunEnded
    | WriterEnded
    | ProvenanceLogged
    | ConsoleLogged
    | RegistryLogged
)

encode = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes | memoryview], AnyEvent] = msgspec.msgpack.Decoder(AnyEvent).decode

METRICS_TAG: Final = 4
"""`MetricsLogged` is encoded on the hot path as the plain tuple `(METRICS_TAG, run, time, step, values)`."""


def decode(payload: bytes | memoryview) -> AnyEvent:
    """The event that was encoded. Raises `msgspec.DecodeError` for what is none of this schema."""
    try:
        return _decode(payload)
    except msgspec.ValidationError:
        # The hot path does not look at keys, nor at each value: flags and keys that are no text are put right here.
        loose = msgspec.msgpack.decode(payload)
        if isinstance(loose, list) and len(loose) == 5 and loose[0] == METRICS_TAG:
            loose[4] = {str(key): float(value) for key, value in loose[4].items()}
            return msgspec.convert(loose, MetricsLogged)
        raise


class Record(msgspec.Struct, frozen=True):
    """An event as a backend receives it.

    `(writer, sequence)` identifies it for ever: a backend that sees the same pair again must not count it twice.
    `position` is where its journal goes on after it; positions grow in the order of delivery.
    """

    writer: str
    sequence: int
    position: int
    event: AnyEvent


class Sink(Protocol):
    """Where a run's events go: the journal's writer, or a stand-in that counts what it cannot keep."""

    home: Path | None
    """The folder that blobs go to; None where nothing is kept."""

    def append(self, payload: bytes) -> bool:
        """Append an encoded event; whether it is kept."""
        ...

    def append_event(self, event: Event, *, essential: bool = False) -> bool:
        """Encode and append an event; whether it is kept."""
        ...
