"""From a tree to a condition of SQL over the table `runs`. All that a query's author wrote is bound as parameters.

Every condition is true or false, never NULL, so that `not` means what it says.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ScalarSelect,
    Select,
    Table,
    and_,
    case,
    exists,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    true,
)

from autotrack.store import schema
from autotrack.store.asking.fields import DOCUMENTS, Field
from autotrack.store.asking.literals import SECOND, Literal, Span
from autotrack.store.asking.scalars import Expression, Scalars, any_of, compared, holds
from autotrack.store.asking.tree import All, AtLeastOne, Comparison, Node
from autotrack.store.schema import runs

SHORTEST: Final = 4
"""Letters of a hash, of which the beginning may stand for the whole."""

_LIMIT: Final = 2**63 - 1
_ALL: Final = 2**31 - 1


def condition(node: Node | None, dialect: str) -> Expression:
    """The condition that holds for the runs of which the tree is true."""
    if node is None:
        return true()
    return _Conditions(Scalars(dialect)).of(node)


class _Conditions:
    def __init__(self, scalars: Scalars) -> None:
        self.scalars = scalars

    def of(self, node: Node) -> Expression:
        if isinstance(node, All):
            return and_(*map(self.of, node.nodes))
        if isinstance(node, AtLeastOne):
            return or_(*map(self.of, node.nodes))
        if isinstance(node, Comparison):
            return self.comparison(node)
        return not_(self.of(node.node))

    def comparison(self, node: Comparison) -> Expression:
        asked = node.field
        if asked.kind in ("time", "duration") or asked.root in runs.c:
            return self.own(node)
        rows = Rows(asked, self.scalars)
        if node.operator == "null":
            return not_(rows.have(rows.there))
        found = rows.have(lambda value: self.fits(value, node))
        digests = [value for value in node.values if isinstance(value, str)]
        if asked.root == "datasets" and asked.path == ("value",) and node.operator == "=" and len(digests) > 0:
            # An index tells which runs may be meant, where the record would have to be read for each.
            linked = schema.links.c
            may = any_of([self.begins(linked.identity, value) for value in digests])
            wanted = select(linked.run_id).where(linked.relation == "dataset", may)
            return and_(runs.c.id.in_(wanted), found)
        return found

    def own(self, node: Comparison) -> Expression:
        """Of a column of the run itself."""
        asked = node.field
        if asked.root == "duration":
            value: Expression = runs.c.ended_at - runs.c.started_at
            there = runs.c.ended_at.is_not(None)
        else:
            value = runs.c[asked.root]
            there = value.is_not(None)
        if node.operator == "null":
            return not_(there)
        return and_(there, self.fits(value, node))

    def fits(self, value: Expression, node: Comparison) -> Expression:
        """Whether a value that is there compares so with one of the literals."""
        if node.operator == "~":
            shown = self.scalars.shown(value) if node.field.kind == "scalar" else value
            return self.scalars.contains(shown, str(node.values[0]))
        return any_of([self.one(value, node.operator, wanted, node.field) for wanted in node.values])

    def one(self, value: Expression, sign: str, wanted: Literal, asked: Field) -> Expression:
        if isinstance(wanted, Span):
            return _within(value, sign, wanted)
        if isinstance(wanted, str) and asked.shortened and sign == "=" and len(wanted) >= SHORTEST:
            text = self.scalars.text(value) if asked.kind == "scalar" else value
            return func.substr(text, 1, len(wanted)) == wanted
        if asked.kind == "scalar":
            assert isinstance(wanted, str | bool | Decimal)
            return self.scalars.scalar(value, sign, wanted)
        if isinstance(wanted, str):
            return compared(value if sign == "=" else self.scalars.orderly(value), sign, literal(wanted))
        assert isinstance(wanted, Decimal)
        if asked.kind == "float":
            return _float(value, sign, float(wanted))
        if asked.kind == "step" and wanted.is_finite():
            return self.scalars.decimal(value, sign, wanted)
        return _whole(value, sign, wanted * SECOND if asked.kind == "duration" else wanted)

    def begins(self, text: Expression, wanted: str) -> Expression:
        if len(wanted) < SHORTEST:
            return text == wanted
        text = self.scalars.orderly(text)
        return and_(text >= wanted, text < wanted + "\U0010ffff")


class Rows:
    """The rows of another table that hold a field: of one run there may be none, one, or several."""

    def __init__(self, asked: Field, scalars: Scalars) -> None:
        self.asked = asked
        self.table: Table = _TABLES.get(asked.root, schema.run_details)
        self.value: Expression = self._value(scalars)
        """What the field is in such a row; NULL where the row does not have it."""
        self.newest = self.table.c.id if asked.root in ("datasets", "models", "artifacts") else None
        """Of several rows, the one with the highest is shown."""

    def have(self, test: Callable[[Expression], Expression]) -> Expression:
        """Whether the run has a row whose value passes."""
        if isinstance(self.value, Column):
            return exists(self.select(self.table.c.run_id).where(test(self.value)))
        # What takes time to work out is worked out once: a database does not merge a subquery that has a limit.
        once = self.select(self.value.label("value")).limit(_ALL).subquery()
        return exists(select(once.c.value).where(test(once.c.value)))

    def shown(self) -> ScalarSelect[Any]:
        """The value that is shown and sorted by."""
        rows = self.select(self.value.label("value"))
        if self.newest is not None:
            rows = rows.add_columns(self.newest.label("place"))
        once = rows.limit(_ALL).subquery()
        statement = select(once.c.value).where(self.there(once.c.value))
        if self.newest is not None:
            statement = statement.order_by(once.c.place.desc()).limit(1)
        return statement.scalar_subquery()

    def there(self, value: Expression) -> Expression:
        """Whether a row's value is one: a NULL is not, nor is that of JSON, but in a metric it stands for NaN."""
        if self.asked.kind == "float":
            return true()
        return and_(value.is_not(None), value != "null") if self.asked.kind == "scalar" else value.is_not(None)

    def select(self, wanted: Expression) -> Select[Any]:
        """The rows of the run of the enclosing statement."""
        statement: Select[Any] = select(wanted).select_from(self.table).where(self.table.c.run_id == runs.c.id)
        if self.asked.key:
            column = self.table.c.role if self.asked.root == "datasets" else self.table.c.key
            statement = statement.where(column == self.asked.key)
        return statement.correlate(runs)

    def _value(self, scalars: Scalars) -> Expression:
        asked, columns = self.asked, self.table.c
        if asked.root in DOCUMENTS:
            return self._document(scalars)
        if asked.root == "error":
            return scalars.text(scalars.pick(columns.error, asked.path))
        if asked.path:
            return scalars.pick(columns.record, asked.path)
        value: Expression = columns[asked.part or "value"]
        return value

    def _document(self, scalars: Scalars) -> Expression:
        first, *rest = self.asked.path
        told = schema.provenance.c
        found: Expression = (
            select(told.value)
            .where(told.run_id == runs.c.id, told.kind == self.asked.root, told.key == first)
            .correlate(runs)
            .scalar_subquery()
        )
        later = scalars.pick(found, rest) if rest else found
        if self.asked.root not in self.table.c:
            return later
        # What was told later stands in place of what was told at the start.
        return case((found.is_not(None), later), else_=scalars.pick(self.table.c[self.asked.root], self.asked.path))


_TABLES: Final = {
    "params": schema.params,
    "tags": schema.tags,
    "metrics": schema.series,
    "datasets": schema.datasets,
    "models": schema.models,
    "artifacts": schema.artifacts,
}


def _within(value: Expression, sign: str, span: Span) -> Expression:
    start, end = literal(span.start, BigInteger), literal(span.end, BigInteger)
    return {
        "=": and_(value >= start, value < end),
        "<": value < start,
        "<=": value < end,
        ">": value >= end,
        ">=": value >= start,
    }[sign]


def _float(value: Expression, sign: str, wanted: float) -> Expression:
    if wanted != wanted:
        return value.is_(null())  # the tables' NaN
    return compared(value, sign, literal(wanted))


def _whole(value: Expression, sign: str, wanted: Decimal) -> Expression:
    """A whole number of 64 bits against any decimal."""
    if not wanted.is_finite() or abs(wanted) > _LIMIT:
        return value.is_not(None) if holds(Decimal(0), sign, wanted) else false()
    up, down = (int(wanted.to_integral_value(rounding)) for rounding in (ROUND_CEILING, ROUND_FLOOR))
    if sign == "=" and up != down:
        return false()
    return compared(value, sign, literal(up if sign in ("<", ">=") else down, BigInteger))
