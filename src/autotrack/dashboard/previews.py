"""Looking into files of runs without trusting them: a picture, a text, a table, or a reason why not.

A blob and the name that the run gave it enter; a small dictionary for the page leaves. What a file is, is told by its
bytes where bytes tell it. Nothing is executed or unpickled, and no more is read than the bounds below.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, BinaryIO, Final

from autotrack.provenance.blobs import Blobs
from autotrack.store.records import jsonable

MOST_BYTES: Final = 256 << 10
"""Of a text or a table in text, so much is looked at."""
MOST_ROWS: Final = 200
MOST_COLUMNS: Final = 60
LONGEST_CELL: Final = 400
EXACT: Final = 1 << 53
"""Whole numbers from here on are shown as text: in a browser they would be others."""
LARGEST_PARQUET: Final = 512 << 20

_MAGIC: Final = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))
_SEPARATORS: Final = {"csv": ",", "tsv": "\t"}


def image_type(head: bytes) -> str | None:
    """The media type of a raster image that browsers draw, by its first 12 bytes; None for everything else."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)


def preview(blobs: Blobs, digest: str, name: str) -> dict[str, Any]:
    """What can be shown of the blob: `{kind: image|html|text|json|table|none, …}`.

    `image` has its `type`; `text` and `json` have `text`, `table` has `columns` and `rows`; both have `truncated`;
    `none` says `why`. Raises `FileNotFoundError` where the blob is not kept, `PartDamaged` where it is damaged.
    """
    ending = name.rpartition(".")[2].lower()
    with blobs.open(digest) as opened:
        data = opened.read(MOST_BYTES + 1)
    kind = image_type(data)
    if kind is not None:
        return {"kind": "image", "type": kind}
    if data[:4] == b"PAR1":
        return _guarded(lambda: _parquet(blobs, digest), "this Parquet file cannot be read")
    truncated = len(data) > MOST_BYTES
    data = data[:MOST_BYTES]
    if b"\0" in data[:8192]:
        return _none("it is no text and no picture: download it to look at it")
    text = data.decode(errors="replace")
    if truncated:  # not half a line, which would be another value
        text = text[: text.rfind("\n") + 1] or text
    if ending == "svg" and "<svg" in text:
        return {"kind": "image", "type": "image/svg+xml"}
    if ending in ("html", "htm"):
        return {"kind": "html"}
    if ending in _SEPARATORS:
        return _guarded(lambda: _separated(text, _SEPARATORS[ending], truncated), "it is no table")
    if ending in ("jsonl", "ndjson"):
        found = _records(text, truncated)
        if found is not None:
            return found
    if ending in ("json", "ipynb") and not truncated:
        return _json(text)
    return {"kind": "text", "text": text, "truncated": truncated}


def _none(why: str) -> dict[str, Any]:
    return {"kind": "none", "why": why}


def _guarded(read: Callable[[], dict[str, Any]], otherwise: str) -> dict[str, Any]:
    try:
        return read()
    except Exception as problem:  # whatever a reader makes of a file that somebody has damaged or made up
        return _none(f"{otherwise}: {str(problem)[:200]}")


def _table(columns: Iterable[Any], rows: Iterable[Iterable[Any]], *, truncated: bool) -> dict[str, Any]:
    names = [_cell(name) for name in columns]
    held = [[_cell(value) for value in list(row)[:MOST_COLUMNS]] for row in rows]
    wide = len(names) > MOST_COLUMNS
    return {
        "kind": "table",
        "columns": names[:MOST_COLUMNS],
        "rows": held[:MOST_ROWS],
        "truncated": truncated or wide or len(held) > MOST_ROWS,
        "left_out_columns": len(names) - MOST_COLUMNS if wide else 0,
    }


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < EXACT):
        return value
    if isinstance(value, float):
        return jsonable(value) if not math.isfinite(value) else value
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL] + "…"


def _separated(text: str, separator: str, truncated: bool) -> dict[str, Any]:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    first = next(rows, [])
    some = [row for row, _ in zip(rows, range(MOST_ROWS + 1), strict=False)]
    return _table(first, some, truncated=truncated)


def _records(text: str, truncated: bool) -> dict[str, Any] | None:
    try:
        found = [json.loads(line) for line in text.splitlines()[: MOST_ROWS + 1] if line.strip()]
    except (ValueError, RecursionError):
        return None
    return _of_records(found, truncated)


def _of_records(found: Any, truncated: bool) -> dict[str, Any] | None:
    """A table of JSON objects, or None where they are something else."""
    if not isinstance(found, list) or not found or not all(isinstance(one, dict) for one in found):
        return None
    some = found[: MOST_ROWS + 1]
    columns = list(dict.fromkeys(key for one in some for key in one))
    rows = [[_plain(one.get(key)) for key in columns[:MOST_COLUMNS]] for one in some]
    return _table(columns, rows, truncated=truncated or len(found) > MOST_ROWS)


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def _json(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
        table = _of_records(told, False)
        if table is not None:
            return table
        pretty = json.dumps(told, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):  # it says that it is JSON, and is none
        return {"kind": "text", "text": text, "truncated": False}
    if len(pretty) > 4 * MOST_BYTES:  # a list of lists of numbers becomes long when it is indented
        pretty = text
    return {"kind": "json", "text": pretty, "truncated": False}


def _parquet(blobs: Blobs, digest: str) -> dict[str, Any]:
    if find_spec("pyarrow") is None:
        return _none("tables in Parquet are shown where pyarrow is installed: pip install pyarrow")
    if blobs.size(digest) > LARGEST_PARQUET:
        return _none("it is too large to be looked into here: download it")
    with _seekable(blobs, digest) as opened:
        file = import_module("pyarrow.parquet").ParquetFile(opened)
        names = [field.name for field in file.schema_arrow]
        batch = next(file.iter_batches(batch_size=MOST_ROWS, columns=names[:MOST_COLUMNS], use_threads=False), None)
        columns = [column.to_pylist() for column in batch.columns] if batch is not None else []
        total = file.metadata.num_rows
    rows = list(zip(*columns, strict=True))
    return _table(names, rows, truncated=total > len(rows)) | {"total": total}


def _seekable(blobs: Blobs, digest: str) -> BinaryIO:
    opened = blobs.open(digest)
    if opened.seekable():
        return opened
    with opened:  # kept in parts: rebuilt in memory, within the bound above
        return io.BytesIO(opened.read())


__all__ = ["image_type", "preview"]
