"""The identities: from tables to `value`, `schema`, `rows` and `strict`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from autotrack.errors import UsageError
from autotrack.provenance.fingerprint.allowance import ALWAYS, allowance
from autotrack.provenance.fingerprint.grid import Grid, PartGrid
from autotrack.provenance.fingerprint.hasher import digest as hashed
from autotrack.provenance.fingerprint.leaves import parts_digest
from autotrack.provenance.fingerprint.passing_over import Pass, plan_for, seconds_for, width_of
from autotrack.provenance.fingerprint.registry import read
from autotrack.provenance.fingerprint.rows import RowSum, joined
from autotrack.provenance.fingerprint.schema import named, schema_digest
from autotrack.provenance.fingerprint.tables import Identified, Parts, Table

CANON = "x1:"
PARTIAL = "x1p:"


@dataclass(frozen=True)
class ColumnIdentity:
    """One column: its name, declared type, and digest (`x1:` and 32 hexadecimal digits; partial `x1p:`)."""

    name: str
    declared: str
    value: str


@dataclass(frozen=True)
class Fingerprint:
    """What identifies a dataset. Digests are `x1:` and 32 hexadecimal digits.

    One that is not of all the data has the prefix `x1p:`, a `coverage` below 1 and a `method` that says what was looked
    at; it never equals a full one. Where nothing could be looked at (`coverage` 0), there is none.
    """

    value: str | None
    """The same values in the same order."""
    schema: str | None
    """Names, order, declared types, category order, time zone, index."""
    rows: str | None
    """The same multiset of rows: two lanes of 64 bits, which add up over shards. None where it was not computed."""
    strict: str | None
    """Value and schema, NaN and null apart."""
    coverage: float
    """The share of the cells that was looked at, from 0 to 1; of named parts, the mean of theirs."""
    method: str
    """`full`; else `head+strided` (past the budget), `stopped` (by the clock), `opaque`, or several joined by `+`."""
    n_rows: int | None
    columns: Sequence[ColumnIdentity] = ()
    """Of a dataset without parts."""
    parts: Mapping[str, Fingerprint] = field(default_factory=dict)
    grid: Grid | None = field(default=None, repr=False)
    sealed: str | None = None
    """`x1b3:` and 64 hexadecimal digits: what `strict` covers, by BLAKE3. None where it was not asked for."""
    row_hashes: Any = field(default=None, repr=False, compare=False)
    """uint64 of each row where `rows` was computed and they were asked for (`keep_rows`), else None."""

    def record(self) -> dict[str, Any]:
        """The keys of a dataset's record: `value schema rows strict coverage method`, as far as there are."""
        told = {"value": self.value, "schema": self.schema, "rows": self.rows, "strict": self.strict}
        told |= {"sealed": self.sealed}
        return {
            **{name: digest for name, digest in told.items() if digest is not None},
            "coverage": int(self.coverage * 10_000) / 10_000,  # rounded down: a part is never told as the whole
            "method": self.method,
        }

    def diff(self, other: Any) -> Any:
        """What differs from another fingerprint, or from data: see `autotrack.provenance.fingerprint.diff`."""
        from importlib import import_module

        return import_module("autotrack.provenance.fingerprint.diff").diff(self, other)


UNREAD = Fingerprint(None, None, None, None, 0.0, "opaque", None)
"""Of data that nobody can read."""


def fingerprint(
    data: Any,
    *,
    rows: bool = True,
    keep_rows: bool = False,
    seconds: float | None = None,
    integrity: str | None = None,
) -> Fingerprint:
    """Identify `data`, without changing, keeping or consuming it.

    `rows` decides whether the multiset of rows is computed, `keep_rows` whether its hashes stay in `row_hashes`.
    `seconds` is a budget: where reading everything would take longer, by the size and kinds of the columns, a part that
    depends on them alone is read. None reads everything. `integrity="blake3"` adds `sealed`.

    Raises `UsageError` for another word, `ImportError` where the package blake3 is not installed.
    """
    if integrity not in (None, "blake3"):
        raise UsageError(f"integrity is 'blake3' or None, not {integrity!r}")
    found = read(data)
    with np.errstate(all="ignore"):
        done = of_table_or_parts(found, rows=rows, keep_rows=keep_rows, seconds=seconds)
    if integrity is None:
        return done
    from autotrack.provenance.fingerprint.sealing import seal

    return replace(done, sealed=seal(data))


def at_training(found: Table | Parts | Identified | None, seconds: float) -> Fingerprint:
    """The fingerprint of what is trained with: rows are hashed as far as that is allowed, and their hashes kept."""
    found = resolved(found)
    with np.errstate(all="ignore"):
        small = cells_of(found) <= ALWAYS
        done = of_table_or_parts(found, rows=small, keep_rows=True, seconds=seconds)
        if small or done.coverage < 1:
            return done
        known = allowance.known(done)
        if known is not None and known.row_hashes is not None:
            return known
        if allowance.allows(cells_of(found)):
            done = of_table_or_parts(found, rows=True, keep_rows=True)
            allowance.remember(done)
            return done
        return known or done


def resolved(found: Table | Parts | Identified | None) -> Table | Parts | Identified | None:
    """The same, with all parts read, so that no reader is asked twice."""
    if isinstance(found, Parts):
        return Parts({name: resolved(read(part)) for name, part in found.parts.items()})
    return found


def cells_of(found: Table | Parts | Identified | None) -> int:
    """How many cells there are to look at, of named parts together."""
    if isinstance(found, Parts):
        return sum(cells_of(read(part)) for part in found.parts.values())
    return 0 if not isinstance(found, Table) else found.n_rows * max(1, width_of(found))


def of_table_or_parts(
    found: Table | Parts | Identified | None, *, rows: bool, keep_rows: bool = False, seconds: float | None = None
) -> Fingerprint:
    """The fingerprint of what a reader gave."""
    if found is None:
        return UNREAD
    if isinstance(found, Identified):
        return found.fingerprint
    if isinstance(found, Table):
        return _of_table(found, rows, keep_rows, seconds)
    read_parts = {str(name): read(part) for name, part in found.parts.items()}
    needed = 0.0 if seconds is None else sum(seconds_for(part, rows) for part in read_parts.values())
    parts = {
        name: of_table_or_parts(part, rows=rows, keep_rows=rows, seconds=_share(seconds, part, needed, rows))
        for name, part in read_parts.items()
    }
    return _of_parts(parts, keep_rows)


def _share(seconds: float | None, part: Table | Parts | Identified | None, needed: float, rows: bool) -> float | None:
    return seconds if seconds is None or not needed else seconds * seconds_for(part, rows) / needed


def _of_table(table: Table, rows: bool, keep_rows: bool, seconds: float | None) -> Fingerprint:
    done = Pass(table, plan_for(table, rows, seconds), rows, keep_rows, seconds)
    done.run()
    partial = done.coverage < 1
    prefix = PARTIAL if partial else CANON
    names = named(table)
    schema = schema_digest(table, names)
    digests = done.column_digests()
    value = done.value(digests)
    strict = hashed((b"x1 partial strict\0" if partial else b"x1 strict\0") + value + schema + done.marks)
    return Fingerprint(
        value=prefix + value.hex() if done.coverage else None,
        schema=CANON + schema.hex(),
        rows=None if done.rows is None or partial else done.rows.digest,
        strict=prefix + strict.hex() if done.coverage else None,
        coverage=done.coverage,
        method=done.method,
        n_rows=table.n_rows,
        columns=[
            ColumnIdentity(name, declared, (CANON if whole else PARTIAL) + digest.hex())
            for (name, declared), digest, whole in zip(names, digests, done.whole, strict=True)
        ],
        grid=Grid([PartGrid("", table.n_rows, table.rows_per_leaf, names, done.leaves)]),
        row_hashes=done.row_hashes,
    )


def _of_parts(parts: Mapping[str, Fingerprint], keep_rows: bool) -> Fingerprint:
    coverage = sum(part.coverage for part in parts.values()) / len(parts) if parts else 0.0
    counts = [part.n_rows for part in parts.values() if part.n_rows is not None]
    n_rows = counts[0] if counts else None
    if not any(part.value for part in parts.values()):
        return replace(UNREAD, n_rows=n_rows, parts=parts)
    partial = coverage < 1
    elsewhere = next((part.value[:4] for part in parts.values() if part.value and part.value.startswith("x1d:")), CANON)
    prefix = PARTIAL if partial else elsewhere
    value = parts_digest({name: _raw(part.value) for name, part in parts.items()}, partial=partial)
    schema = parts_digest({name: _raw(part.schema) for name, part in parts.items()})
    strict = parts_digest({name: _raw(part.strict) for name, part in parts.items()}, partial=partial)
    hashes = joined({name: part.row_hashes for name, part in parts.items()})
    total = RowSum()
    if hashes is not None:
        total.add(hashes)
    methods = dict.fromkeys(word for part in parts.values() for word in part.method.split("+") if word != "full")
    grids = [
        replace(inside, name=f"{name}/{inside.name}" if inside.name else name)
        for name, part in parts.items()
        if part.grid is not None
        for inside in part.grid.parts
    ]
    return Fingerprint(
        value=prefix + value.hex(),
        schema=CANON + schema.hex(),
        rows=total.digest if hashes is not None else None,
        strict=prefix + strict.hex(),
        coverage=coverage,
        method="+".join(methods) or "full",
        n_rows=n_rows,
        parts={name: part if keep_rows else replace(part, row_hashes=None) for name, part in parts.items()},
        grid=Grid(grids),
        row_hashes=hashes if keep_rows else None,
    )


def _raw(digest: str | None) -> bytes:
    return bytes(16) if digest is None else bytes.fromhex(digest.partition(":")[2])
