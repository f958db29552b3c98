"""The tables of one run, written anew: rows into parts of some 50 MB, and part 0 last, for with it the run is there.

Names, compression and the size of a part are those of neptune-exporter 0.1.0 (`storage/parquet_writer.py`).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from autotrack_neptune.arrow import SCHEMA, pa, pq
from autotrack_neptune.places import folder_name
from autotrack_neptune.rows import Batch, Rows
from autotrack_neptune.spool import Spool

PART_BYTES: Final = 50 * 1024 * 1024


def write(root: Path, run: str, spool: Spool) -> None:
    """Write all tables and files of a run, if it has ended. Called while the spool is locked. Raises `OSError`."""
    rows = Rows(run, spool.events, lambda digest: spool.blob(digest))
    if not rows.ended:
        return
    project = folder_name(rows.project)
    folder = root / "data" / project
    folder.mkdir(parents=True, exist_ok=True)
    drafts = _drafts(rows.batches(), folder, folder_name(run))
    _write_record(rows.record(), root / "files" / project / rows.record_place)
    for place, digest in rows.files.places.items():
        _link(spool.blob(digest), root / "files" / project / place)
    finals = [draft.with_suffix("") for draft in drafts]
    for old in spool.written:
        if (root / old) not in finals:
            (root / old).unlink(missing_ok=True)
    if len(finals) > 1:
        finals[0].unlink(missing_ok=True)  # a reader takes the run for complete while it is there
    for draft, final in reversed(list(zip(drafts, finals, strict=True))):
        draft.replace(final)
    spool.remember([final.relative_to(root).as_posix() for final in finals])


def _drafts(batches: Iterator[Batch], folder: Path, name: str) -> list[Path]:
    drafts: list[Path] = []
    writer: Any = None
    try:
        for batch in batches:
            if writer is not None and drafts[-1].stat().st_size > PART_BYTES:
                writer.close()
                writer = None
            if writer is None:
                drafts.append(folder / f"{name}_part_{len(drafts)}.parquet.tmp")
                writer = pq.ParquetWriter(drafts[-1], SCHEMA, compression="snappy")
            writer.write_batch(_record_batch(batch))
    finally:
        if writer is not None:
            writer.close()
    return drafts


def _record_batch(batch: Batch) -> Any:
    columns = []
    for field in SCHEMA:
        values = batch.columns.get(field.name)
        columns.append(pa.nulls(batch.rows, field.type) if values is None else pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _write_record(record: dict[str, Any], place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name(f".run-{os.getpid()}.tmp")
    draft.write_text(json.dumps(record, ensure_ascii=False, sort_keys=True, indent=1, default=str), encoding="utf-8")
    draft.replace(place)


def _link(source: Path, target: Path) -> None:
    if target.exists() or not source.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{os.getpid()}.tmp")
    draft.unlink(missing_ok=True)
    try:
        os.link(source, draft)
    except OSError:  # a file system without links
        shutil.copyfile(source, draft)
    draft.replace(target)
