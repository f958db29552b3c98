"""Leakage: rows that a run was trained on and is judged by.

What `Run.log_dataset` was given enters, fingerprinted with the hashes of its rows; what is added to its record leaves:
`row_set {digest, bytes, rows, whole, part}`, which tells later whether a row was in that dataset, and, where the run
has seen data of the other kind before, `leakage {with, rows, of}`: `rows` of the `of` rows of the data for evaluation
have the same features as a row of the training data (the same bytes, where the rows are files). Of several such data it
is the one with most of them, and `others` has the rest. Where that cannot be told, `rows` is null and `why` says the
reason; it is never 0 by ignorance. Of large data an estimate with its interval is given.

Features are the part `X` (or what is called likewise), so that another label does not hide a row. The sets of a run are
remembered as long as the run itself, `IN_MEMORY` bytes of them in memory and the others as the blobs that they are.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from autotrack import guard
from autotrack.provenance.blobs import Blobs

if TYPE_CHECKING:
    from autotrack.provenance.fingerprint.identity import Fingerprint
    from autotrack.provenance.fingerprint.rowsets import RowSet

IN_MEMORY: Final = 1 << 20
"""Bytes of hashes that all runs of the process keep in memory together."""

FEATURES: Final = ("X", "x", "features", "inputs", "data", "dataset", "0")
"""Names of parts that hold features, in this order; else it is the first part."""

JUDGED_BY: Final = frozenset({"validation", "test"})


@dataclass(frozen=True)
class _Seen:
    role: str
    name: str
    value: str | None
    n_rows: int | None
    rows: RowSet | None
    blob: tuple[Path, str] | None
    """The home and the digest of its rows, where they are not kept in memory."""

    def load(self) -> RowSet | None:
        if self.rows is not None or self.blob is None:
            return self.rows
        from autotrack.provenance.fingerprint.rowsets import RowSet

        try:
            with Blobs(self.blob[0]).open(self.blob[1]) as opened:
                return RowSet.decode(opened.read())
        except (OSError, ValueError):
            return None


_seen: WeakKeyDictionary[Any, list[_Seen]] = WeakKeyDictionary()
_lock = threading.Lock()


def observe(run: Any, role: str, name: str, found: Fingerprint, files: RowSet | None = None) -> dict[str, Any]:
    """What the record of this dataset of `run` has beside its fingerprint. Warns once of rows that leak.

    `files` are the digests of the files that it consists of, if it does: their names and sizes are no features.
    """
    part, features = features_of(found)
    rows = files if files is not None else _row_set(part, features)
    record: dict[str, Any] = {}
    if rows is not None and run.home is not None:
        record["row_set"] = keep(rows, run.home)
    if role != "train" and role not in JUDGED_BY:
        return record
    blob = None
    if run.home is not None and "row_set" in record:
        blob = run.home, str(record["row_set"]["digest"])
    now = _Seen(role, name, features.value, features.n_rows, rows, blob)
    with _lock:
        before = _seen.setdefault(run, [])
        others = [one for one in before if (one.role == "train") != (role == "train")]
        before.append(_within_bounds(now))
    told = [_compared(other, now) if role != "train" else _compared(now, other, later=other) for other in others]
    if told:
        first, *rest = sorted(told, key=lambda one: -(one["rows"] or 0))
        record["leakage"] = {**first, "others": rest} if rest else first
    for one in told:
        _warn(run, f"{role}/{name}", one)
    return record


def features_of(found: Fingerprint) -> tuple[str, Fingerprint]:
    """The part that holds the features, and its name; parts within parts are named with a slash."""
    path: list[str] = []
    while found.parts:
        name = next((name for name in FEATURES if name in found.parts), next(iter(found.parts)))
        path.append(name)
        found = found.parts[name]
    return "/".join(path), found


def keep(rows: RowSet, home: Path) -> dict[str, Any]:
    """Keep the set as a blob, and say in the record which."""
    blob = Blobs(home).put_bytes(rows.encode())
    return {"digest": blob.digest, "bytes": blob.bytes, "rows": rows.n_rows, "whole": rows.whole, "part": rows.part}


def _row_set(part: str, features: Fingerprint) -> RowSet | None:
    if features.row_hashes is None:
        return None
    from autotrack.provenance.fingerprint.rowsets import RowSet

    columns = [(column.name, column.declared) for column in features.columns]
    covered = features.coverage >= 1 and len(features.row_hashes) == features.n_rows
    return RowSet.of(features.row_hashes, covered=covered, part=part, columns=columns)


def _within_bounds(seen: _Seen) -> _Seen:
    if seen.rows is None:
        return seen
    used = sum(one.rows.hashes.nbytes for run in _seen.values() for one in run if one.rows is not None)
    return seen if used + seen.rows.hashes.nbytes <= IN_MEMORY else replace(seen, rows=None)


def _compared(train: _Seen, judged: _Seen, later: _Seen | None = None) -> dict[str, Any]:
    """How many rows of `judged` are in `train`; `later` is the one that the record is not of."""
    other = later or train
    told: dict[str, Any] = {"with": f"{other.role}/{other.name}"}
    if train.value is not None and train.value == judged.value and train.value.startswith("x1:"):
        return {**told, "rows": judged.n_rows, "of": judged.n_rows, "same_data": True}
    trained, judging = train.load(), judged.load()
    if trained is None or judging is None:
        return {**told, "rows": None, "of": judged.n_rows, "why": "the hashes of rows were not taken, or are gone"}
    of = judging.n_rows
    why = _incomparable(trained, judging)
    if why:
        return {**told, "rows": None, "of": of, "why": why}
    from autotrack.provenance.fingerprint.rowsets import Share

    counted = Share.count(trained.look_up(judging.hashes))
    share = Share(counted.yes, counted.known, of)  # of a sketch, what it holds is a sample of its rows
    told |= {"rows": share.yes, "of": of}
    if share.known < of:
        return _estimated(told, share, trained)
    if not judging.covered or _widths(trained) != _widths(judging):
        told["at_least"] = True
        if not share.yes:
            return {**told, "rows": None, "why": "their numbers were rounded differently"}
    if share.yes:
        told["repeated_in_train"] = round(trained.repeated, 6)
    return told


def _estimated(told: dict[str, Any], share: Any, train: RowSet) -> dict[str, Any]:
    if not train.covered:
        found = {**told, "at_least": True} if share.yes else {**told, "rows": None}
        return {**found, "why": "not all rows of the training data were looked at"}
    interval = share.interval
    if interval is None:
        return {**told, "rows": None, "why": "too few rows to estimate by"}
    of = told["of"]
    low, high = (round(of * bound) for bound in interval)
    if not share.yes:
        return {**told, "rows": None, "interval": [low, high], "why": "no shared row among those that were sampled"}
    return {**told, "rows": round(of * share.yes / share.known), "interval": [low, high], "estimated": True}


def _incomparable(one: RowSet, other: RowSet) -> str:
    if len(one.columns) != len(other.columns):
        return "they have different numbers of columns"
    names = [[name for name, _ in rows.columns] for rows in (one, other)]
    if names[0] != names[1] and sorted(names[0]) == sorted(names[1]):
        return "their columns are in different orders"
    return ""


def _widths(rows: RowSet) -> list[str]:
    """The declared types as far as they round."""
    return [declared if declared in ("float32", "float16", "bfloat16") else "" for _, declared in rows.columns]


def _warn(run: Any, dataset: str, told: Mapping[str, Any]) -> None:
    rows, of = told["rows"], told["of"]
    if not rows or not of or told.get("same_data"):
        return
    if rows / of <= told.get(
        "repeated_in_train", 0.0
    ):  # rows as alike as those of the training data are among themselves
        return
    about = "about " if told.get("estimated") else "at least " if told.get("at_least") else ""
    first, second = (dataset, told["with"]) if not dataset.startswith("train/") else (told["with"], dataset)
    message = f"{about}{rows} of the {of} rows of {first} are also in {second}: scores on them say too much"
    run.note("leakage", message, rows)
    guard.warn_once(f"leakage:{first}:{second}", message)  # once, however many runs a search makes


__all__ = ["features_of", "keep", "observe"]
