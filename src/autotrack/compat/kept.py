"""Reading back what was recorded, for code that fetches: the local store's records, points and files."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from autotrack.errors import AutotrackError
from autotrack.session import session

_ID: Final = re.compile("[0-9a-f]{16}")

SYS_IDS: Final = ("neptune.id", "neptune.sys_id", "sys/id", "neptune.run_id", "sys/custom_run_id")
"""Tags under which a run of the product's own id may be found, such as one that was imported."""


def remember(run: str) -> None:
    """Know later, without reading the store, that a run of this id was begun in this home."""
    try:
        folder = session.settings.resolved_home / "compat"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / run).touch()
    except OSError:  # it is then read as new
        pass


def has_begun(run: str) -> bool:
    """Whether a run of this id was begun in this home."""
    return (session.settings.resolved_home / "compat" / run).exists()


def record_of(reference: str, project: str | None = None) -> dict[str, Any] | None:
    """The whole record of the run with this id of ours, or that has it as an id of the product's; None for none."""
    from autotrack.reading import open_store

    try:
        store = open_store()
        ours = reference.rpartition("-")[2]
        if _ID.fullmatch(ours):
            try:
                return store.run(ours)
            except LookupError:
                pass
        for record in store.records([one["id"] for one in store.runs(project=project)]):
            if any(record["tags"].get(tag) == reference for tag in SYS_IDS):
                return record
    except (AutotrackError, LookupError):
        pass
    return None


def records_in(project: str | None) -> list[dict[str, Any]]:
    """The whole records of a project's runs, newest first."""
    from autotrack.reading import open_store

    store = open_store()
    return store.records([one["id"] for one in store.runs(project=project)])


def points_of(run: str, key: str) -> list[dict[str, Any]]:
    """The points of one series, by step: `{step, time, value}`; none where there is no such series."""
    from autotrack.reading import open_store

    try:
        return open_store().series_dicts(run, key)
    except (AutotrackError, LookupError):
        return []


def file_of(run: str, name: str) -> bytes | None:
    """The content of the artifact that a run has kept last under this name; None where there is none."""
    record = record_of(run)
    found = [one for one in (record or {}).get("artifacts", ()) if one["name"] == name]
    if not found:
        return None
    from autotrack.store.remote_blobs import readable

    try:
        with readable(session.settings.resolved_home, session.settings).open(found[-1]["digest"]) as opened:
            return opened.read()
    except OSError:
        return None


def labels_in(text: str) -> set[str]:
    """The words of a tag that holds a set; what is no JSON list is one word."""
    try:
        held = json.loads(text)
    except ValueError:
        held = None
    return {str(word) for word in held} if isinstance(held, list) else {text} if text else set()
