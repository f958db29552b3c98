"""The dataset fingerprint, canon `x1`: which data this was, whatever library held it.

Data enters as it is passed to a training call and is neither changed, kept nor consumed; a `Fingerprint` leaves. The
way: a *reader* (`registry`) turns an object into a `Table`, or into named parts; a table's columns give *chunks*
(`chunks`) of 65,536 rows; a chunk has one canonical *leaf* digest (`leaves`) and a hash for each of its rows (`rows`);
leaves make columns, tables and datasets (`identity`), and are kept as a *grid* so that a diff needs no data. Data that
can only be seen as it passes goes through a `Stream`. The format is in `docs/fingerprint.md`; a change of it is a new
canon.

Importing this package imports no numpy: what is named here is loaded when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from autotrack.provenance.fingerprint.grid import Grid
    from autotrack.provenance.fingerprint.identity import Fingerprint, fingerprint
    from autotrack.provenance.fingerprint.registry import register_reader
    from autotrack.provenance.fingerprint.rows import row_hashes
    from autotrack.provenance.fingerprint.stream import Stream
    from autotrack.provenance.fingerprint.tables import Block, Column, Parts, Table

_HOME: Final = {
    "Block": "tables",
    "Column": "tables",
    "Fingerprint": "identity",
    "Grid": "grid",
    "Parts": "tables",
    "Stream": "stream",
    "Table": "tables",
    "fingerprint": "identity",
    "register_reader": "registry",
    "row_hashes": "rows",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Block",
    "Column",
    "Fingerprint",
    "Grid",
    "Parts",
    "Stream",
    "Table",
    "fingerprint",
    "register_reader",
    "row_hashes",
]
