"""The operations of `neptune` 1.x, each applied to what was found so far (`neptune/internal/operation.py`, 1.14)."""

from __future__ import annotations

import base64
import binascii
import glob
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from autotrack_neptune.attributes import Entry, File, Found, Moment, from_number, from_seconds

_TAKEN: Final = "the server has taken the file, and it is no longer here"
_GONE: Final = "the file is not where it was"


@dataclass(frozen=True)
class Context:
    """Where an operation was found."""

    found: Found
    folder: Path
    version: int
    acknowledged: int
    """Up to which version the server has taken them."""
    time: int | None

    @property
    def missing(self) -> str:
        """Why a file of this operation may be missing."""
        return _TAKEN if self.version <= self.acknowledged else _GONE


Operation = dict[str, Any]


def _assign(context: Context, path: str, operation: Operation) -> None:
    context.found.assign(path, operation["value"], context.time)


def _assign_float(context: Context, path: str, operation: Operation) -> None:
    context.found.assign(path, float(operation["value"]), context.time)


def _assign_datetime(context: Context, path: str, operation: Operation) -> None:
    context.found.assign(path, Moment(int(operation["value"]) * 1_000_000), context.time)


def _log_floats(context: Context, path: str, operation: Operation) -> None:
    for point in operation["values"]:
        step, time = from_number(point.get("step")), from_seconds(point["ts"])
        context.found.points.add(path, step, time, float(point["value"]))


def _log_strings(context: Context, path: str, operation: Operation) -> None:
    entries = context.found.texts.setdefault(path, [])
    for point in operation["values"]:
        step = from_number(point.get("step"))
        if step is None:
            step = context.found.next_step(path)
        context.found.last_steps[path] = step
        entries.append(Entry(step, from_seconds(point["ts"]), str(point["value"])))


def _log_images(context: Context, path: str, operation: Operation) -> None:
    found = context.found
    for point in operation["values"]:
        step = from_number(point.get("step"))
        if step is None:
            step = found.next_step(path)
        found.last_steps[path] = step
        image, time = point["value"], from_seconds(point["ts"])
        image = {"data": image} if isinstance(image, str) else image or {}
        try:
            content = base64.b64decode(image.get("data") or "", validate=True)
        except (binascii.Error, ValueError):
            found.lost["images", "cannot be decoded"] += 1
            continue
        suffix = _image_suffix(content)
        found.files.setdefault(path, []).append(File(content, suffix, step, time))
        told = {key: image[key] for key in ("name", "description") if image.get(key)}
        if told:
            line = json.dumps({"file": f"{step}{suffix}", **told}, ensure_ascii=False)
            found.texts.setdefault(f"{path}/descriptions", []).append(Entry(step, time, line))


def _image_suffix(content: bytes) -> str:
    for start, suffix in ((b"\x89PNG", ".png"), (b"\xff\xd8\xff", ".jpg"), (b"GIF8", ".gif"), (b"<svg", ".svg")):
        if content.startswith(start):
            return suffix
    return ""


def _clear(context: Context, path: str, operation: Operation) -> None:
    for held in (context.found.texts, context.found.files):
        held.pop(path, None)
    context.found.texts.pop(f"{path}/descriptions", None)
    context.found.last_steps.pop(path, None)
    context.found.points.clear(path)


def _config_float_series(context: Context, path: str, operation: Operation) -> None:
    told = {key: operation[key] for key in ("min", "max", "unit") if operation.get(key) is not None}
    if told:
        context.found.tags[f"neptune.series.{path}"] = json.dumps(told, ensure_ascii=False)


def _add_strings(context: Context, path: str, operation: Operation) -> None:
    context.found.change_set(path, set(operation["values"]), set(), context.time)


def _remove_strings(context: Context, path: str, operation: Operation) -> None:
    context.found.change_set(path, set(), set(operation["values"]), context.time)


def _clear_string_set(context: Context, path: str, operation: Operation) -> None:
    context.found.assign(path, (), context.time)


def _upload_file(context: Context, path: str, operation: Operation) -> None:
    ext = str(operation.get("ext") or "")
    place = operation.get("file_path") or context.folder / "upload_path" / str(operation["tmp_file_name"])
    suffix = f".{ext}" if ext else ""
    context.found.files[path] = [File(Path(place), suffix, time=context.time, missing=context.missing)]


def _upload_file_content(context: Context, path: str, operation: Operation) -> None:
    content = base64.b64decode(operation["file_content"])
    ext = str(operation.get("ext") or "")
    context.found.files[path] = [File(content, f".{ext}" if ext else "", time=context.time)]


def _upload_file_set(context: Context, path: str, operation: Operation) -> None:
    found, globs = context.found, [str(pattern) for pattern in operation["file_globs"]]
    held = {} if str(operation.get("reset")) != "False" else {file.inner: file for file in found.files.get(path, [])}
    matched = sorted({os.path.abspath(name) for pattern in globs for name in glob.glob(pattern, recursive=True)})
    if globs and not matched:
        found.lost["files", context.missing] += 1
    root = _common_root(matched, context.folder)
    for name in matched:
        inside = [Path(folder, file) for folder, _, files in os.walk(name) for file in sorted(files)]
        for place in inside if os.path.isdir(name) else [Path(name)]:
            inner = os.path.relpath(place, root) if root else str(place).lstrip("/")
            held[inner] = File(place, time=context.time, inner=inner.replace(os.sep, "/"), missing=context.missing)
    found.files[path] = list(held.values())


def _common_root(paths: list[str], folder: Path) -> str | None:
    """What the client takes names within a set of files to be relative to."""
    try:
        root = os.path.commonpath(paths)
    except ValueError:
        return None
    if os.path.isfile(root):
        root = os.path.dirname(root)
    data = next((parent for parent in folder.resolve().parents if parent.name == ".neptune"), None)
    if data is not None and root.startswith(f"{data.parent}{os.sep}"):
        return str(data.parent)  # where the client ran, if it kept its data where it does by default
    return root


def _delete_files(context: Context, path: str, operation: Operation) -> None:
    gone = {str(name) for name in operation["file_paths"]}
    held = context.found.files.get(path, [])
    context.found.files[path] = [
        file
        for file in held
        if not any(file.inner == name or (file.inner or "").startswith(f"{name}/") for name in gone)
    ]


def _delete_attribute(context: Context, path: str, operation: Operation) -> None:
    context.found.forget(path)
    context.found.last_steps.pop(path, None)


def _track_files(context: Context, path: str, operation: Operation) -> None:
    entries = [{"path": entry[0], "destination": entry[1]} for entry in operation["entries"]]
    held = context.found.files.get(path, [])
    before = json.loads(held[0].source) if held and isinstance(held[0].source, bytes) else []
    content = json.dumps([*before, *entries], ensure_ascii=False).encode()
    context.found.files[path] = [File(content, time=context.time, inner="files_list.json", of="artifact")]


def _assign_artifact(context: Context, path: str, operation: Operation) -> None:
    content = json.dumps({"hash": operation["hash"]}).encode()
    context.found.files[path] = [File(content, time=context.time, inner="artifact.json", of="artifact")]


def _copy_attribute(context: Context, path: str, operation: Operation) -> None:
    found, source = context.found, "/".join(operation["source_path"])
    if operation.get("container_id") == found.id and found.value(source) is not None:
        found.assign(path, found.value(source), context.time)
    elif operation.get("container_id") == found.id and source in found.files:
        found.files[path] = [replace(file) for file in found.files[source]]
    else:
        found.lost["copies of attributes", "are of another run, which only the server knows"] += 1


OPERATIONS: Final[dict[str, Callable[[Context, str, Operation], None]]] = {
    "AssignFloat": _assign_float,
    "AssignInt": _assign,
    "AssignBool": _assign,
    "AssignString": _assign,
    "AssignDatetime": _assign_datetime,
    "AssignArtifact": _assign_artifact,
    "UploadFile": _upload_file,
    "UploadFileContent": _upload_file_content,
    "UploadFileSet": _upload_file_set,
    "DeleteFiles": _delete_files,
    "LogFloats": _log_floats,
    "LogStrings": _log_strings,
    "LogImages": _log_images,
    "ClearFloatLog": _clear,
    "ClearStringLog": _clear,
    "ClearImageLog": _clear,
    "ConfigFloatSeries": _config_float_series,
    "AddStrings": _add_strings,
    "RemoveStrings": _remove_strings,
    "ClearStringSet": _clear_string_set,
    "DeleteAttribute": _delete_attribute,
    "TrackFilesToArtifact": _track_files,
    "ClearArtifact": _delete_attribute,
    "CopyAttribute": _copy_attribute,
}
