"""A run's config: params at the top, and one entry `autotrack` for what trackio has no place of its own for.

trackio replaces a config whole. So what is there is read, completed by what is new, and written back. Up to where each
journal is contained in it stands in it (`held`): what comes again is known by that, whatever the forwarder remembers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from autotrack.events import DatasetLogged, ParamsLogged, ProvenanceLogged, Record, RunEnded, RunStarted, TagsSet

OURS: Final = "autotrack"
TAKEN: Final = frozenset({OURS, "_Created", "_Username", "_Group"})
"""Keys that are not for params. The last three are trackio's own: its pages sort and group by them."""

CODE: Final = ("commit", "branch", "remote", "entry")
"""Of the code's record: what people look for. The rest stays in the local record."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST: Final = 2**63 - 1


def completed(
    config: Mapping[str, Any], run: str, records: list[Record], note: Callable[[str, str, str], None]
) -> dict[str, Any] | None:
    """The config with what these records add; None where it has all of it."""
    ours: dict[str, Any] = {"run_id": run, "held": {}, **config.get(OURS, {})}
    held = dict(ours["held"])
    new = {key: value for key, value in config.items() if key != OURS}
    changed = not config
    for record in records:
        if record.position <= ours["held"].get(record.writer, -1):
            continue
        changed = True
        held[record.writer] = record.position
        _add(record.event, new, ours, note)
    ours["held"] = held
    return {**new, OURS: plain(ours)} if changed else None


def _add(event: Any, config: dict[str, Any], ours: dict[str, Any], note: Callable[[str, str, str], None]) -> None:
    if isinstance(event, RunStarted):
        _begin(event, config, ours)
    elif isinstance(event, RunEnded):
        if event.time >= ours.get("status_time", 0):
            ours.update(status=event.status, status_time=event.time, ended_at=moment(event.time), error=event.error)
    elif isinstance(event, ParamsLogged):
        for key, value in event.params.items():
            name = key + "_" if key in TAKEN else key
            if name != key:
                note(event.run, f"param {key}", f"is called {name} there")
            config[clean(name)] = plain(value)
            if isinstance(value, int) and abs(value) > _LARGEST:
                note(event.run, f"param {key}", "an integer of over 64 bits is text there")
    elif isinstance(event, TagsSet):
        ours["tags"] = {**ours.get("tags", {}), **{clean(key): clean(value) for key, value in event.tags.items()}}
    elif isinstance(event, DatasetLogged):
        entry = {"role": event.role, "name": event.name, "fingerprint": event.record.get("value")}
        entry["n_rows"] = event.record.get("n_rows")
        others = [one for one in ours.get("datasets", []) if (one["role"], one["name"]) != (event.role, event.name)]
        ours["datasets"] = [*others, {key: plain(value) for key, value in entry.items()}]
    elif isinstance(event, ProvenanceLogged) and event.kind == "code":
        code = {key: plain(event.record[key]) for key in CODE if isinstance(event.record.get(key), str)}
        if code:
            ours["code"] = {**ours.get("code", {}), **code}


def _begin(event: RunStarted, config: dict[str, Any], ours: dict[str, Any]) -> None:
    if event.time >= ours.get("status_time", 0):
        ours.update(status="running", status_time=event.time, ended_at=None, error=None)
    if event.resumed and "started_at" in ours:
        return
    ours.update(name=event.name, project=event.project, started_at=moment(event.time))
    if event.parent:
        ours["parent_id"] = event.parent
    if event.integration:
        ours["integration"] = event.integration
    for key, record in (("environment", event.environment), ("code", event.code)):
        if record:
            ours[key] = {**plain(record), **ours.get(key, {})}
    config["_Created"] = moment(event.time)
    config["_Username"] = plain(event.environment.get("user"))
    config["_Group"] = event.parent


def moment(time: int) -> str:
    """Nanoseconds since the epoch as trackio writes times: ISO 8601 in UTC, to the microsecond."""
    return (_EPOCH + timedelta(microseconds=time // 1000)).isoformat(timespec="microseconds")


def plain(value: Any) -> Any:
    """A value as JSON that every reader takes: NaN and infinities as trackio spells them."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, int) and abs(value) > _LARGEST:
        return str(value)
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else clean(str(value))


def clean(text: str) -> str:
    """Text without halves of characters, which no JSON in UTF-8 holds."""
    return text.encode(errors="backslashreplace").decode()
