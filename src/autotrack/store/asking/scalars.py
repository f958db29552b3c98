"""Expressions of SQL over values as the tables hold them, for both databases: JSON as text, decimals as text, text.

Where a cast could fail for what the tables may hold (NaN and half a surrogate pair in JSON, an escaped NUL), it is
kept behind a CASE that looks first, since PostgreSQL would end the whole query. On SQLite, `functions` does it.
"""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Boolean,
    ColumnElement,
    Double,
    Numeric,
    String,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    literal_column,
    null,
    or_,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from autotrack.store.asking.functions import lower

Expression = ColumnElement[Any]

SPECIAL: Final = {"NaN": Decimal("NaN"), "Infinity": Decimal("Infinity"), "-Infinity": Decimal("-Infinity")}
_MARK: Final = "\ufdd0"
_END: Final = "\ufdd1"
"""Characters that no JSON of ours holds, since it is ASCII."""

_SIDE_BY_SIDE: Final = 25
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Keys that mean the same in a path of SQLite's and in ours."""

_KELVIN_AND_OTHERS: Final = {
    "\u03b8": "\u03f4",
    "\u00df": "\u1e9e",
    "\u03c9": "\u2126",
    "k": "\u212a",
    "\u00e5": "\u212b",
}
"""Capitals that are not the capital of their small letter."""


class Scalars:
    """The expressions in the words of one database, `sqlite` or `postgresql`."""

    def __init__(self, dialect: str) -> None:
        self.postgresql = dialect == "postgresql"

    # Text

    def orderly(self, text: Expression) -> Expression:
        """Text that compares by its code points, wherever the server stands."""
        return text.collate("C") if self.postgresql else text

    def contains(self, text: Expression, needle: str) -> Expression:
        """Whether it holds the needle, in whatever case; letters are compared one by one."""
        if not needle:
            return text.is_not(None)
        small = "".join(map(lower, needle))
        if not self.postgresql:
            if not small.isascii():
                return func.instr(func.autotrack_small(text), small) > 0
            return func.instr(func.replace(func.lower(text), "\u212a", "k"), small) > 0  # the one that becomes ASCII
        folded: Expression = text
        for letter in dict.fromkeys(small):
            for capital in capitals(letter):
                folded = func.replace(folded, capital, letter)
        return func.strpos(folded, small) > 0

    # Decimals

    def decimal(self, text: Expression, sign: str, value: Decimal) -> Expression:
        """`text sign value`, both as decimals; the text must be that of a finite one."""
        if self.postgresql:
            return compared(cast(text, Numeric), sign, literal(value, Numeric))
        # Nearly all values are far enough from this one for SQLite to tell by itself, without rounding mattering.
        near = float(value)
        rough: Expression = cast(text, Double)
        clear = func.abs(rough - literal(near, Double)) > literal(abs(near) * 1e-12 + 1e-300, Double)
        exactly = compared(func.autotrack_compare(text, str(value)), sign, literal(0))
        return case((clear, compared(rough, sign, literal(near, Double))), else_=exactly)

    # Scalars in JSON

    def is_text(self, scalar: Expression) -> Expression:
        """Whether the JSON is a string."""
        return func.substr(scalar, 1, 1) == '"'

    def is_number(self, scalar: Expression) -> Expression:
        """Whether the JSON is a finite number."""
        if self.postgresql:
            return scalar.op("~", return_type=Boolean())("^-?[0-9]")
        glob = scalar.op("GLOB", return_type=Boolean())
        return or_(glob("[0-9]*"), glob("-[0-9]*"))

    def text(self, scalar: Expression) -> Expression:
        """The text of a JSON string; NULL of anything else."""
        plain = func.substr(scalar, 2, func.length(scalar) - 2)
        escaped = (func.strpos if self.postgresql else func.instr)(scalar, "\\") > 0
        decoded: Expression = func.autotrack_text(scalar)
        if self.postgresql:
            decoded = cast(_sound(scalar), JSON).op("#>>", return_type=Text())(literal_column("'{}'"))
        return case((~self.is_text(scalar), null()), (escaped, decoded), else_=plain)

    def shown(self, scalar: Expression) -> Expression:
        """The text that stands for the JSON: that of a string, else the JSON itself; NULL of null."""
        return case((scalar == "null", null()), (self.is_text(scalar), self.text(scalar)), else_=scalar)

    def number(self, scalar: Expression) -> Expression:
        """A JSON number as a 64-bit float, to sort by; NULL of anything else and of NaN."""
        finite: Expression = func.autotrack_number(scalar)
        special = finite
        if self.postgresql:
            beyond = case((func.substr(scalar, 1, 1) == "-", "-Infinity"), else_="Infinity")
            too_large = func.abs(cast(scalar, Numeric)) > literal(Decimal(sys.float_info.max), Numeric)
            digits = case((too_large, beyond), else_=scalar)
            finite, special = cast(digits, Double), cast(scalar, Double)
        return case((self.is_number(scalar), finite), (scalar.in_(("Infinity", "-Infinity")), special), else_=null())

    def scalar(self, scalar: Expression, sign: str, value: str | Decimal | bool) -> Expression:
        """`scalar sign value`: numbers with numbers, text with text; false where the two are of different kinds."""
        if isinstance(value, bool):
            return scalar == ("true" if value else "false")
        if isinstance(value, str) and sign == "=" and value.isascii() and value.isprintable():
            return scalar == json.dumps(value)  # both databases write it so, and need not decode each to see
        if isinstance(value, str):
            text = self.text(scalar) if sign == "=" else self.orderly(self.text(scalar))
            return and_(self.is_text(scalar), compared(text, sign, literal(value, String)))
        named = [name for name, number in SPECIAL.items() if holds(number, sign, value)]
        found = [scalar == name for name in named]
        if value.is_finite():
            # An `and` would not do: the order in which its sides are looked at is the database's own choice.
            found.append(case((self.is_number(scalar), self.decimal(scalar, sign, value)), else_=false()))
        elif holds(Decimal(0), sign, value):
            found.append(self.is_number(scalar))
        return or_(*found) if found else false()

    def pick(self, document: Expression, path: Sequence[str]) -> Expression:
        """The JSON at a path within a JSON document; NULL where there is none."""
        if not self.postgresql:
            slow = func.autotrack_pick(document, json.dumps(path))
            if sqlite3.sqlite_version_info < (3, 38) or not all(map(_PLAIN.fullmatch, path)):
                return slow
            quick = document.op("->", return_type=Text())("".join(["$", *(f".{key}" for key in path)]))
            return case((func.json_valid(document), quick), else_=slow)
        keys = cast(list(path), ARRAY(Text))
        found: Expression = cast(cast(_sound(document), JSONB).op("#>", return_type=JSONB)(keys), Text)
        for name in SPECIAL:
            found = func.replace(found, f'"{_MARK}{name}"', name)
        return found


def any_of(conditions: Sequence[Expression]) -> Expression:
    """Whether one of them holds, however many they are: databases bound how deep a condition goes."""
    if len(conditions) <= _SIDE_BY_SIDE:
        return or_(*conditions) if conditions else false()
    parts = [conditions[start : start + _SIDE_BY_SIDE] for start in range(0, len(conditions), _SIDE_BY_SIDE)]
    # Parentheses alone would be taken away.
    return any_of([case((any_of(part), true()), else_=false()) for part in parts])


def capitals(small: str) -> list[str]:
    """All letters of which this is the small form."""
    forms = dict.fromkeys((small.upper(), small.title(), _KELVIN_AND_OTHERS.get(small, "")))
    return [form for form in forms if len(form) == 1 and form != small and lower(form) == small]


def holds(number: Decimal | float, sign: str, value: Decimal | float) -> bool:
    """`number sign value`, where not-a-number equals itself and has no order."""
    if number != number or value != value:
        return sign == "=" and number != number and value != value
    return {
        "=": number == value,
        "<": number < value,
        "<=": number <= value,
        ">": number > value,
        ">=": number >= value,
    }[sign]


def compared(first: Expression, sign: str, second: Expression) -> Expression:
    """`first sign second`."""
    found: Expression = {
        "=": first.__eq__,
        "<": first.__lt__,
        "<=": first.__le__,
        ">": first.__gt__,
        ">=": first.__ge__,
    }[sign](second)
    return found


def _sound(document: Expression) -> Expression:
    """JSON that PostgreSQL takes: without NUL, half a surrogate pair, and bare words for floats."""

    def every(text: Expression, pattern: str, replacement: str) -> Expression:
        return func.regexp_replace(text, pattern, replacement, "g")

    # An escaped backslash first, so that every other backslash begins an escape.
    text: Expression = func.replace(document, "\\\\", "\\u005c")
    text = func.replace(text, "\\u0000", "\\u2400")
    text = every(text, r"\\u(d[89ab][0-9a-f]{2})(?!\\ud[c-f][0-9a-f]{2})", r"\\ufffd")
    text = every(text, r"(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f][0-9a-f]{2}", r"\\ufffd")
    escapes = case((func.strpos(document, "\\u") > 0, text), else_=document)
    # Both marks come behind a string, where they go again, and around a bare word, where they become its quotes.
    marked = every(escapes, r'("(?:[^"\\]|\\.)*")|(-?(?:NaN|Infinity))', rf"\1{_MARK}\2{_END}")
    marked = func.replace(func.replace(func.replace(marked, _MARK + _END, ""), _MARK, f'"{_MARK}'), _END, '"')
    bare = document.op("~", return_type=Boolean())("NaN|Infinity")
    return case((bare, marked), else_=escapes)
