"""Reading `.wandb` files: which runs are in a place, and the records of a file in order, decoded.

Nothing of the SDK is used. A file whose end is torn off, as `kill -9` leaves it, gives what is whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from autotrack.errors import UsageError
from autotrack.protobuf import Damaged
from autotrack_wandb.log import is_log, payloads
from autotrack_wandb.schema import OUTLINE, RECORD, nanoseconds
from autotrack_wandb.wire import Message, decode


@dataclass(frozen=True)
class File:
    """One `.wandb` file, and what its first record of the run says."""

    path: Path
    run: dict[str, Any]

    @property
    def identity(self) -> str:
        """What its run is called in W&B, whole."""
        return f"{self.run.get('entity', '')}/{self.run.get('project', '')}/{self.run['run_id']}"

    @property
    def started(self) -> int:
        """When it was begun, in nanoseconds."""
        return nanoseconds(self.run.get("start_time", {}))

    @property
    def files(self) -> Path:
        """The folder of the run's files."""
        return self.path.parent / "files"


def files_in(place: Path) -> list[File]:
    """The files in a place: a `.wandb` file, the folder of a run, or any folder above. Raises `UsageError`."""
    if place.is_dir():
        paths = {path.resolve(): path for path in sorted(place.rglob("*.wandb"), reverse=True) if path.is_file()}
    elif place.is_file() and is_log(place):
        paths = {place.resolve(): place}
    else:
        raise UsageError(f"{place} is neither a folder nor a .wandb file")
    found = [File(path, run) for path in paths.values() if (run := first_run(path)) is not None]
    if not found:
        raise UsageError(f"there is no run of W&B in {place}: no .wandb file that names one")
    return sorted(found, key=lambda file: (file.started, str(file.path)))


def records(
    path: Path, damaged: Callable[[str], None], message: Message = RECORD
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of a file as (kind, fields), those that `message` has; what is damaged is told and passed over."""
    for payload in payloads(path, damaged):
        try:
            record = decode(message, payload)
        except Damaged:
            damaged("a record is damaged")
            continue
        for kind, fields in record.items():
            if kind not in ("num", "_info"):
                yield kind, fields


def path_of(item: dict[str, Any]) -> tuple[str, ...]:
    """Where the value of a config, summary or history item is."""
    return tuple(item.get("nested_key", ())) or (item.get("key", ""),)


def value_of(item: dict[str, Any]) -> Any:
    """Its value; None where it is no JSON."""
    try:
        return json.loads(item.get("value_json", "null"))
    except ValueError:
        return None


def apply(changes: dict[str, Any], target: dict[str, Any]) -> None:
    """Change a nested mapping as a config or summary record says."""
    for one in changes.get("update", ()):
        path = path_of(one)
        inner = target
        for step in path[:-1]:
            below = inner.get(step)
            inner[step] = inner = below if isinstance(below, dict) else {}
        inner[path[-1]] = value_of(one)
    for one in changes.get("remove", ()):
        path = path_of(one)
        found: Any = target
        for step in path[:-1]:
            found = found.get(step) if isinstance(found, dict) else None
        if isinstance(found, dict):
            found.pop(path[-1], None)


def flat(values: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Nested values under dotted keys, as W&B shows them."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value and "_type" not in value:
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def exact(text: str) -> int | str | None:
    """The number that a JSON text is, exactly: an integer, or a decimal as text; None for what is no step."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number) >= 1 << 63:
        return None
    return int(number) if number == number.to_integral_value() else format(number.normalize(), "f")


def first_run(path: Path) -> dict[str, Any] | None:
    """What a file's first record of its run says; None for what is no such file."""
    try:
        for kind, fields in records(path, lambda what: None, OUTLINE):
            if kind == "run" and fields.get("run_id"):
                return fields
    except (OSError, ValueError):
        return None
    return None
