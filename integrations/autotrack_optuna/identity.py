"""Which study a call works on: the same one under every object that leads to it, in this process and in others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Hashable
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

_known: WeakKeyDictionary[Any, dict[int, str]] = WeakKeyDictionary()
"""By storage in memory and study: the run that its study has."""


def key_of(study: Any) -> Hashable:
    """What two `Study` objects of one study in this process have in common."""
    return (address(study._storage) or id(study._storage), study._study_id)


def address(storage: Any) -> str | None:
    """Where a storage lies that other processes can open too, without login; None of one in memory."""
    inner = getattr(storage, "_backend", storage)  # behind the cache of a database, or the file of a journal
    url, path, host = (getattr(inner, name, None) for name in ("url", "_file_path", "_host"))
    if path is not None:
        return f"journal:{os.path.realpath(path)}"
    if isinstance(host, str):
        return f"grpc://{host}:{getattr(inner, '_port', '')}"
    if url is None:
        return None
    parts = urlsplit(str(url))
    if parts.scheme.startswith("sqlite"):
        file = str(url).partition(":///")[2].partition("?")[0]
        return f"sqlite:{os.path.realpath(file)}" if file and file != ":memory:" else None
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def shared_id(study: Any) -> str | None:
    """The id of the run of a study in a shared storage, which every process that works on it finds by itself.

    It comes from where the study lies, its name and its first trial: a study that was deleted and made anew under its
    old name is another. None for a study in memory, or without a trial.
    """
    place = address(study._storage)
    if place is None:
        return None
    try:
        first = study._storage.get_trial(study._storage.get_trial_id_from_study_id_trial_number(study._study_id, 0))
    except KeyError:
        return None
    marks = [place, study.study_name, str(first._trial_id)]
    if place.startswith("sqlite:"):  # which gives the ids of deleted trials away again; others may round the time
        marks.append(str(first.datetime_start))
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:16]


def known_id(study: Any) -> str | None:
    """The id of the run that a study in memory had before in this process."""
    return _known.get(study._storage, {}).get(study._study_id)


def know(study: Any, run_id: str) -> None:
    """Remember the run of a study in memory for as long as its storage lives."""
    _known.setdefault(study._storage, {})[study._study_id] = run_id
