"""The schema of a table as data: names, order and declared types of its columns, and what else its reader tells."""

from __future__ import annotations

import json

from autotrack.provenance.fingerprint.hasher import digest
from autotrack.provenance.fingerprint.tables import Block, Table


def named(table: Table) -> list[tuple[str, str]]:
    """The name and declared type of each column, in order."""
    told: list[tuple[str, str]] = []
    for column in table.columns:
        if isinstance(column, Block):
            told += [(name, column.declared) for name in column.names]
        else:
            told.append((column.name, column.declared))
    return told


def schema_digest(table: Table, names: list[tuple[str, str]]) -> bytes:
    """The digest of a table's schema; `names` as `named` gives them."""
    described = {"columns": names, **({"details": dict(table.details)} if table.details else {})}
    return digest(b"x1 schema\0" + json.dumps(described, sort_keys=True, separators=(",", ":")).encode())
