"""`autotrack export --parquet`: the store as Parquet files, one a table, written as they are read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotrack.errors import PluginError, UsageError

if TYPE_CHECKING:
    from autotrack.store.query import Store


def write(store: Store, folder: Path, ids: Sequence[str] | None) -> dict[str, int]:
    """Write the tables of these runs, or of all, and return their numbers of rows.

    A file appears under its name when it is whole. Raises `PluginError` where pyarrow is missing, `UsageError` where
    the folder cannot be written.
    """
    from autotrack.store.asking.flat import TABLES

    arrow, parquet = _arrow()
    types = {
        "text": arrow.string(),
        "int": arrow.int64(),
        "float": arrow.float64(),
        "time": arrow.timestamp("ns", tz="UTC"),
    }
    counts: dict[str, int] = {}
    drafts: dict[str, Path] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, flat in TABLES.items():
            schema = arrow.schema([(column, types[kind]) for column, kind in flat.columns.items()])
            drafts[name] = folder / f".{name}-{os.getpid()}.parquet"
            counts[name] = 0
            with (
                store.reading() as connection,
                parquet.ParquetWriter(drafts[name], schema, compression="zstd") as file,
            ):
                for batch in flat.read(connection, ids):
                    arrays = [arrow.array(batch[column.name], type=column.type) for column in schema]
                    table = arrow.Table.from_arrays(arrays, schema=schema)
                    file.write_table(table)
                    counts[name] += table.num_rows
        for name, draft in drafts.items():
            draft.replace(folder / f"{name}.parquet")
    except OSError as problem:
        raise UsageError(f"{folder} cannot be written ({problem.strerror or problem}): choose a folder") from problem
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)
    return counts


def _arrow() -> Any:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as problem:
        raise PluginError(f"--parquet needs pyarrow ({problem}): pip install pyarrow") from None
