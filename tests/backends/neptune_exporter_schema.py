"""The tables of `neptune-exporter` as a second witness: its published schema, field by field, and nothing of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

MILLISECONDS = pa.timestamp("ms", tz="UTC")
FIELDS = {
    "project_id": pa.string(),
    "run_id": pa.string(),
    "attribute_path": pa.string(),
    "attribute_type": pa.string(),
    "step": pa.decimal128(18, 6),
    "timestamp": MILLISECONDS,
    "int_value": pa.int64(),
    "float_value": pa.float64(),
    "string_value": pa.string(),
    "bool_value": pa.bool_(),
    "datetime_value": MILLISECONDS,
    "string_set_value": pa.list_(pa.string()),
    "file_value": pa.struct([("path", pa.string())]),
    "histogram_value": pa.struct(
        [("type", pa.string()), ("edges", pa.list_(pa.float64())), ("values", pa.list_(pa.float64()))]
    ),
}
SCHEMA = pa.schema(list(FIELDS.items()))


def read_tables(data: Path, schema: Any) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Each complete run below `data`: the folder of its project, and its rows, part by part."""
    for first in sorted(data.glob("*/*_part_0.parquet")):
        prefix = first.name.removesuffix("_part_0.parquet")
        parts = sorted(first.parent.glob(f"{prefix}_part_*.parquet"), key=lambda path: int(path.stem.split("_")[-1]))
        rows: list[dict[str, Any]] = []
        for part in parts:
            file = pq.ParquetFile(part)
            assert file.schema_arrow.equals(schema), file.schema_arrow
            assert file.metadata.row_group(0).column(0).compression == "SNAPPY"
            rows += file.read().to_pylist()
        yield first.parent.name, rows
