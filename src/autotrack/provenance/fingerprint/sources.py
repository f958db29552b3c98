"""Where data came from, as far as the object or its path tells: a claim, which nothing here verifies.

What was passed to a training call enters; a small record leaves, `{kind, …, claimed: true}`, or None where nothing is
known. Products are told by the types of their objects, by their pointers beside a file and by the forms of their
addresses; none is imported, and nothing is opened but small text files. Logins and tokens in addresses are masked.

Kinds: `file` and `folder` `{path, bytes | files, mtime}`, with `dvc {md5 | hash, from}` where a pointer of DVC covers
them (https://dvc.org/doc/user-guide/project-structure); `huggingface` `{repo, commit, config, split, fingerprint}`;
`delta` `{path, version}`; `iceberg` `{path, metadata}`; `lakefs` `{uri, repo, ref, path}`; `uri` `{uri}`;
`sql` `{statement, database}`; `torchvision` `{dataset, path}`.
"""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from autotrack.provenance.fingerprint.pointers import delta_version, dvc, iceberg_metadata
from autotrack.provenance.masking import MASK, is_secret, mask_urls, masked

Record = dict[str, Any]

MOST_READS: Final = 64
"""Readings that are remembered, newest last."""
LONGEST_SQL: Final = 10_000

_URI = re.compile(r"[a-z][a-z0-9+.\-]{1,20}://\S+", re.IGNORECASE)
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_NAME = re.compile(r"[A-Za-z_]\w*")
_COMMIT = re.compile(r"@([0-9a-f]{40})(?:/|$)")
_HUB_URI = re.compile(r"hf://datasets/([^@\s]+?)@([0-9a-f]{40})(?:/|$)")
_HUB_CACHE = re.compile(r"datasets--([^/\\]+)[/\\]snapshots[/\\]([0-9a-f]{40})")


@dataclass(frozen=True)
class _Read:
    object: weakref.ref[Any]
    columns: tuple[str, ...]
    rows: int
    source: Record


_reads: deque[_Read] = deque(maxlen=MOST_READS)
_lock = threading.Lock()


def remember(made: Any, source: Record | None) -> None:
    """`made`, a table, was read from `source`. Neither is changed, and the table is not kept alive."""
    if source is None:
        return
    try:
        reference = weakref.ref(made)
        columns, rows = tuple(map(str, made.columns)), int(made.shape[0])
    except (TypeError, AttributeError):
        return
    with _lock:
        _reads.append(_Read(reference, columns, rows, source))


def source_of(data: Any) -> Record | None:
    """What is known of where `data` came from; of named parts, of the first that tells. Never raises."""
    try:
        if isinstance(data, dict) and data and all(isinstance(name, str) for name in data):
            return next((found for found in map(source_of, data.values()) if found is not None), None)
        found = _told(data)
    except Exception:  # a half-made object, a file that goes while it is looked at
        return None
    return None if found is None else {**found, "claimed": True}


def _told(data: Any) -> Record | None:
    if isinstance(data, os.PathLike) or (isinstance(data, str) and len(data) < 4096):
        return of_path(os.fspath(data))
    for kind in type(data).__mro__:
        tell = _TELLERS.get(f"{kind.__module__}.{kind.__qualname__}")
        if tell is not None:
            return tell(data)
    return None


def of_path(path: Any) -> Record | None:
    """A file, a folder or an address. None for a text that is neither."""
    path = os.fsdecode(path)
    if _URI.fullmatch(path):
        return _of_uri(path)
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    whole = os.path.abspath(path)
    shown = masked(whole)
    hub = _HUB_CACHE.search(os.path.realpath(path)) or _HUB_CACHE.search(whole)
    if hub:
        return {"kind": "huggingface", "repo": hub[1].replace("--", "/"), "commit": hub[2], "path": shown}
    if not os.path.isdir(path):
        told: Record = {"kind": "file", "path": shown, "bytes": status.st_size, "mtime": _iso(status.st_mtime)}
        return {**told, **dvc(whole)}
    if os.path.isdir(os.path.join(path, "_delta_log")):
        return {"kind": "delta", "path": shown, "version": delta_version(os.path.join(path, "_delta_log"))}
    iceberg = iceberg_metadata(os.path.join(path, "metadata"))
    if iceberg is not None:
        return {"kind": "iceberg", "path": shown, "metadata": iceberg}
    return {"kind": "folder", "path": shown, "mtime": _iso(status.st_mtime), **dvc(whole)}


def of_statement(statement: Any, connection: Any) -> Record:
    """A query and the database that it was put to; what looks like a secret in either is masked.

    Where a query names a secret at all (`where api_key <> '…'`), every text in it is masked.
    """
    text = str(statement)
    if any(map(is_secret, _NAME.findall(_LITERAL.sub("", text)))):
        text = _LITERAL.sub(f"'{MASK}'", text)
    return {
        "kind": "sql",
        "statement": masked(text if len(text) <= LONGEST_SQL else text[:LONGEST_SQL] + " …"),
        "database": _database(connection),
    }


def _database(connection: Any) -> str | None:
    if isinstance(connection, str):
        return masked(connection)
    url: Any = getattr(getattr(connection, "engine", connection), "url", None)  # SQLAlchemy's engine or connection
    if hasattr(url, "render_as_string"):
        return masked(str(url.render_as_string(hide_password=True)))
    kind = type(connection)
    return f"{kind.__module__}.{kind.__qualname__}"


def _of_uri(uri: str) -> Record:
    hub = _HUB_URI.match(uri)
    if hub:
        return {"kind": "huggingface", "repo": hub[1], "commit": hub[2], "uri": mask_urls(uri)}
    scheme, _, rest = uri.partition("://")
    if scheme.lower() == "lakefs":  # lakefs://<repository>/<ref>/<path>
        repo, _, rest = rest.partition("/")
        ref, _, path = rest.partition("/")
        return {"kind": "lakefs", "uri": mask_urls(uri), "repo": repo, "ref": ref, "path": path}
    if scheme.lower() == "file":
        return of_path(rest) or {"kind": "uri", "uri": mask_urls(uri)}
    return {"kind": "uri", "uri": mask_urls(uri)}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19] + "Z"


def _of_frame(frame: Any) -> Record | None:
    """The reading that gave this very frame, or the only one that had all of its columns and at least its rows."""
    with _lock:
        reads = list(_reads)
    for read in reversed(reads):
        if read.object() is frame:
            return read.source
    columns = set(map(str, frame.columns)) if hasattr(frame, "columns") else {str(frame.name)}
    if "None" in columns:
        return None
    fitting = [read for read in reads if columns <= set(read.columns) and len(frame) <= read.rows]
    if len({str(read.source) for read in fitting}) == 1:
        return {**fitting[-1].source, "by": "columns"}
    return None


def _of_hub(dataset: Any) -> Record | None:
    """A `Dataset` of the library `datasets`: what its builder noted, and the library's own fingerprint."""
    info = getattr(dataset, "info", None)
    told: Record = {"kind": "huggingface"}
    sums = getattr(info, "download_checksums", None) or {}
    for address in sums:
        found = _HUB_URI.search(str(address))
        if found:
            told |= {"repo": found[1], "commit": found[2]}
            break
        commit = _COMMIT.search(str(address))
        if commit:
            told["commit"] = commit[1]
    for key, name in (("dataset", "dataset_name"), ("config", "config_name"), ("version", "version")):
        value = getattr(info, name, None)
        if value is not None:
            told[key] = str(value)
    if getattr(dataset, "split", None) is not None:
        told["split"] = str(dataset.split)
    if sums:
        told["files"] = len(sums)
    if len(told) == 1:  # made in memory
        return None
    fingerprint = getattr(dataset, "_fingerprint", None)
    return {**told, "fingerprint": str(fingerprint)} if fingerprint else told


def _of_delta(table: Any) -> Record:
    return {"kind": "delta", "path": mask_urls(str(table.table_uri)), "version": int(table.version())}


def _of_torchvision(dataset: Any) -> Record | None:
    root = getattr(dataset, "root", None)
    if not isinstance(root, str | os.PathLike):
        return None
    return {
        "kind": "torchvision",
        "dataset": type(dataset).__name__,
        "path": masked(os.path.abspath(os.fsdecode(root))),
    }


def _of_memmap(array: Any) -> Record | None:
    return None if array.filename is None else of_path(array.filename)


def _of_files(paths: Sequence[Any]) -> Record | None:
    if not paths or not all(isinstance(path, os.PathLike) for path in (paths[0], paths[-1])):
        return None
    folder = os.path.dirname(os.path.abspath(os.fspath(paths[0])))
    return {"kind": "folder", "path": masked(folder), "files": len(paths), **dvc(folder)}


_TELLERS: Final[dict[str, Callable[[Any], Record | None]]] = {
    "builtins.list": _of_files,
    "builtins.tuple": _of_files,
    "datasets.arrow_dataset.Dataset": _of_hub,
    "datasets.iterable_dataset.IterableDataset": _of_hub,
    "deltalake.table.DeltaTable": _of_delta,
    "numpy.memmap": _of_memmap,
    "pandas.DataFrame": _of_frame,
    "pandas.Series": _of_frame,
    "pandas.core.frame.DataFrame": _of_frame,
    "pandas.core.series.Series": _of_frame,
    "torchvision.datasets.vision.VisionDataset": _of_torchvision,
}


def forget() -> None:
    """Forget all readings, for tests."""
    with _lock:
        _reads.clear()


__all__ = ["of_path", "of_statement", "remember", "source_of"]
