"""What differs between two datasets, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from autotrack.provenance.fingerprint.ranges import Range


@dataclass
class Difference:
    """What differs. A `None` is something that the two sides do not tell."""

    same: bool | None
    """Values, schema, and what stands for missing elements."""
    value: bool | None
    """The same values in the same order."""
    schema: bool | None
    rows: bool | None
    """The same rows in any order."""
    columns: list[dict[str, Any]] = field(default_factory=list)
    """`{name, change, row_ranges}`; change is `values`, `type`, `added`, `removed` or `renamed` (of what it `was`)."""
    order: str | None = None
    """`rows` or `columns`, where nothing but their order differs."""
    n_rows: list[int | None] = field(default_factory=list)
    added: int | None = None
    """Rows that only the second has."""
    removed: int | None = None
    added_rows: list[Range] = field(default_factory=list)
    """Where they are, if the second is at hand."""
    not_compared: list[Range] = field(default_factory=list)
    """Rows of which it is not known."""
    coverage: list[float] = field(default_factory=list)
    parts: list[list[str]] | None = None
    """The names of the parts, where they differ."""
    files: dict[str, Any] | None = None
    """`{added[], removed[], changed[], unknown[], renamed[[was, name]]}` of folders."""

    def record(self) -> dict[str, Any]:
        """As JSON has it: `{same, value, schema, rows, columns[…]}` and, where there is something to tell, the rest."""
        told = {
            name: getattr(self, name) for name in ("same", "value", "schema", "rows", "columns", "n_rows", "coverage")
        }
        for name in ("order", "added", "removed", "added_rows", "not_compared", "parts", "files"):
            if getattr(self, name) not in (None, []):
                told[name] = getattr(self, name)
        return told

    def __str__(self) -> str:
        from autotrack.provenance.fingerprint.telling import sentences

        return "\n".join(sentences(self))
