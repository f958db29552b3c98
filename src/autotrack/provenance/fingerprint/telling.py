"""A `Difference` in words: one sentence for each thing that differs, the most telling first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from autotrack.provenance.fingerprint.difference import Difference

MOST: Final = 20
"""Columns and files that are named; beyond, they are counted."""
MOST_RANGES: Final = 5


def sentences(found: Difference) -> list[str]:
    """The sentences."""
    return list(_sentences(found))


def _sentences(found: Difference) -> Iterator[str]:
    if found.same:
        yield "the same data: same values, same schema"
        return
    if found.value:
        yield "same values, another schema" if found.schema is False else "same values, other marks for what is missing"
    elif found.order == "rows":
        yield "same rows in another order"
    elif found.order == "columns":
        yield "same columns in another order"
    elif found.value is None and found.rows:
        yield "the same rows, in an order that is not known"
    elif found.value is None:
        yield _unknown(found)
    if found.files is None:
        yield from _rows(found)
    if found.parts is not None:
        yield f"divided otherwise: {_parts(found.parts[0])} became {_parts(found.parts[1])}"
    if found.files is not None:
        for word in ("changed", "added", "removed"):
            yield from _listed(f"{{}} {word}", found.files[word], "file")
        yield from _listed("{} could not be compared", found.files["unknown"], "file")
        yield from _listed("{} renamed", [f"{was} → {name}" for was, name in found.files["renamed"]], "file")
    else:
        yield from _columns(found)
    if found.not_compared:
        yield f"rows {_ranges(found.not_compared)} could not be compared without the data"
    if found.value is False and not (found.columns or found.order or found.added or found.removed or found.files):
        if found.parts is not None and not found.not_compared:
            yield "every column has the same values"
        elif not found.not_compared:
            yield "the values differ; the record does not tell where"


def _unknown(found: Difference) -> str:
    covered = [share for share in found.coverage if share < 1]
    if covered and min(covered) > 0:
        return f"not known: of one dataset only {min(covered):.1%} was looked at"
    return "not known whether the values are the same: one side has no fingerprint of them"


def _rows(found: Difference) -> Iterator[str]:
    was, now = found.n_rows
    if found.order == "rows":
        return
    if found.added or found.removed:
        if found.added == found.removed:
            yield f"{_count(found.added or 0, 'row')} changed" + _where(found)
            return
        if found.added:
            yield f"{_count(found.added, 'row')} added" + _where(found)
        if found.removed:
            yield f"{_count(found.removed, 'row')} removed"
    elif was is not None and now is not None and was != now:
        yield f"{_count(abs(now - was), 'row')} {'more' if now > was else 'fewer'}: {was} became {now}"


def _where(found: Difference) -> str:
    told = any(column["row_ranges"] == found.added_rows for column in found.columns)
    return f": {_ranges(found.added_rows)}" if found.added_rows and not told else ""


def _columns(found: Difference) -> Iterator[str]:
    for column in found.columns[:MOST]:
        name = f"{column['part']}.{column['name']}" if "part" in column else column["name"] or "the only column"
        types = " → ".join(column.get("type", ()))
        if column["change"] == "values":
            ranges = column["row_ranges"]
            word = "row" if len(ranges) == 1 and ranges[0][1] - ranges[0][0] == 1 else "rows"
            yield f"{name} changed in {word} {_ranges(ranges)}" + (f" ({types})" if types else "")
        elif column["change"] == "renamed":
            yield f"{column['was']} is now called {name}" + (f" ({types})" if types else "")
        elif column["change"] == "type":
            yield f"{name} {types}" + (", rounded" if column.get("rounded") else "")
        else:
            yield f"{name} {column['change']}"
    if len(found.columns) > MOST:
        yield f"and {len(found.columns) - MOST} more columns"


def _listed(sentence: str, names: list[str], word: str) -> Iterator[str]:
    if not names:
        return
    shown = ", ".join(names[:MOST]) + (", …" if len(names) > MOST else "")
    yield f"{sentence.format(_count(len(names), word))}: {shown}"


def _parts(names: list[str]) -> str:
    return ", ".join(name or "one table" for name in names)


def _ranges(ranges: list[Any]) -> str:
    shown = [str(start) if stop - start == 1 else f"{start}–{stop}" for start, stop in ranges[:MOST_RANGES]]
    return ", ".join(shown) + (f" and {len(ranges) - MOST_RANGES} more ranges" if len(ranges) > MOST_RANGES else "")


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


__all__ = ["sentences"]
