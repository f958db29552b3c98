"""The data of a run: whether they are what they were, before anything is run and after.

Records of datasets enter; a `Check` leaves, with a sentence for each dataset that differs. What can be seen before a
run is whether the files that were read are still there and of the same size; the run itself looks at their contents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from autotrack.provenance.blobs import Blobs
from autotrack.provenance.expecting import differ
from autotrack.reproduce.command import moved
from autotrack.reproduce.verdict import Check

_SENTENCES: Final = 5
_MOMENT: Final = 1.0
"""Seconds: sources tell the time of a file to the second."""


def by_sources(run: Mapping[str, Any], root: Path | None, code: Path) -> Check:
    """What can be told without running: of each dataset whose source was a file, whether that is there as it was."""
    check = Check(same=True)
    unseen = 0
    for one in run["datasets"]:
        files = list(files_of(one["fingerprint"]))
        unseen += not files
        for told in files:
            path = Path(moved(str(told["path"]), root, code))
            where = f"{_named(one)}: {told['path']}"
            try:
                size = path.stat().st_size
            except OSError:
                check.differences.append(f"{where} is not there")
                continue
            if path.is_file() and told.get("bytes") not in (None, size):
                check.differences.append(f"{where} had {told['bytes']} bytes and has {size}")
            elif not path.is_file() or not (path.is_relative_to(code) or _untouched(path, told)):
                unseen += 1  # below `code` lies what was kept with it, or copied
    if check.differences:
        check.same = False
    elif unseen or not run["datasets"]:
        check.same = None
        check.note = "not all of the data can be told from its source; the run itself looks at it before it trains"
    return check


def by_fingerprints(was: Mapping[str, Any], now: Mapping[str, Any], blobs: Blobs) -> Check:
    """What the two runs say of their data; `blobs` hold what their records name."""
    if not was["datasets"]:
        return Check(note="the run's record has no data")
    check = Check(same=True)
    for role, name in dict.fromkeys((one["role"], one["name"]) for one in was["datasets"]):
        before, after = _of(was, role, name), _of(now, role, name)
        if not after:
            check.differences.append(f"{role} data {name!r} were not used")
            continue
        answers = [differ(before, one) for one in after]
        if True in answers:
            check.differences.append(difference(role, name, before[0], after[answers.index(True)], blobs))
        elif None in answers and check.same:
            check.same, check.note = None, "not all of the data was identified"
    if check.differences:
        check.same = False
    return check


def difference(role: str, name: str, was: Mapping[str, Any], now: Mapping[str, Any], blobs: Blobs) -> str:
    """How one dataset differs, in a sentence: by column and range of rows where both records name their leaves."""
    told: list[str] = []
    if was.get("value") and now.get("value"):
        from autotrack.provenance.fingerprint import diff, sides
        from autotrack.provenance.fingerprint.telling import sentences

        try:
            before, after = (sides.Side.of_record(one, blobs.open) for one in (was, now))
            told = sentences(diff.difference(before, after))[:_SENTENCES]
        except ValueError:  # a blob that is damaged: that the data differ is known all the same
            pass
    return f"{role} data {name!r}: {'; '.join(told or _what(was, now)) or 'other values'}"


def files_of(fingerprint: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The files that a dataset was read from, each with its `path`, as far as its record and its parts say so."""
    source = fingerprint.get("source")
    for one in source if isinstance(source, list) else [source]:
        if isinstance(one, Mapping):
            if isinstance(one.get("path"), str):
                yield one
            for file in one.get("files") or ():
                if isinstance(file, Mapping) and isinstance(file.get("path"), str):
                    yield file
    for part in (fingerprint.get("parts") or {}).values():
        yield from files_of(part)


def _what(was: Mapping[str, Any], now: Mapping[str, Any], part: str = "") -> list[str]:
    before, after = was.get("parts") or {}, now.get("parts") or {}
    if before or after:
        found = []
        for name in {**before, **after}:
            if name not in after or name not in before:
                found.append(f"{name} {'is missing' if name not in after else 'is new'}")
            elif differ([before[name]], before[name] and after[name]) is not False:
                found += _what(before[name], after[name], f"{name}: ")
        return found
    found = [
        f"{part}{word} {was[key]} → {now[key]}"
        for key, word in (("n_rows", "rows"), ("n_columns", "columns"))
        if was.get(key) != now.get(key) and None not in (was.get(key), now.get(key))
    ]
    columns = [{one["name"]: one for one in record.get("columns") or ()} for record in (was, now)]
    for name in {**columns[0], **columns[1]}:
        a, b = columns[0].get(name), columns[1].get(name)
        if a is None or b is None:
            found.append(f"{part}column {name} {'is new' if a is None else 'is missing'}")
        elif a != b:
            what = f"{a.get('dtype')} → {b.get('dtype')}" if a.get("dtype") != b.get("dtype") else "changed"
            found.append(f"{part}column {name} {what}")
    return found or [f"{part}other values"]


def _of(run: Mapping[str, Any], role: str, name: str) -> list[Mapping[str, Any]]:
    return [one["fingerprint"] for one in run["datasets"] if (one["role"], one["name"]) == (role, name)]


def _named(one: Mapping[str, Any]) -> str:
    return f"{one['role']} data {one['name']!r}"


def _untouched(path: Path, told: Mapping[str, Any]) -> bool:
    try:
        then = datetime.fromisoformat(str(told.get("mtime")))
    except ValueError:
        return False
    return abs(path.stat().st_mtime - then.timestamp()) < _MOMENT


__all__ = ["by_fingerprints", "by_sources", "difference", "files_of"]
