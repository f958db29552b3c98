"""From text to a tree, within bounds: a text that is too long, too deep or has too many conditions is refused.

query      = all { "or" all }
all        = one { "and" one }
one        = "not" one | "(" query ")" | comparison
comparison = field sign value | field ["not"] "in" "(" value {"," value} ")" | field "is" ["not"] "null"
sign       = "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~"
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from time import time_ns
from typing import Final, NoReturn

from autotrack.store.asking import literals
from autotrack.store.asking.fields import STATUSES, Field, field
from autotrack.store.asking.literals import Literal
from autotrack.store.asking.tree import All, AtLeastOne, Comparison, Node, Not
from autotrack.store.asking.words import Word, fault, quote, words

DEEPEST: Final = 30
"""Parentheses and `not` within each other."""

MOST_TERMS: Final = 50
"""Comparisons of a query."""

MOST_VALUES: Final = 200
"""Values of a query, those in lists included."""

MOST_FIELDS: Final = 100
"""Fields to sort by or to show."""

LONGEST_NEEDLE: Final = 200
"""Characters of a text to search for with `~`."""

_KEYWORDS: Final = ("and", "or", "not", "in", "is")


NEWEST: Final = ("-started_at",)
"""What runs are sorted by unless something else is asked for: those that started last come first."""


@dataclass(frozen=True)
class Order:
    """A field to sort by."""

    field: Field
    descending: bool
    name: str


def parse(text: str, now: int | None = None) -> Node | None:
    """The tree of a query; None of an empty one, which fits every run. Raises `QueryError`.

    `now`, in nanoseconds since the epoch, is what `7d ago` counts from.
    """
    reader = _Reader(text, time_ns() if now is None else now)
    if not reader.words:
        return None
    tree = reader.either(0)
    if reader.word is not None:
        closing = reader.word.text == ")"
        reader.fault("this parenthesis was never opened" if closing else "and, or, or the end has to stand here")
    return tree


def narrowed(where: str, **equal: str | None) -> str:
    """The text of a query that asks besides for fields of these values. Raises `QueryError` for the query itself."""
    more = [f"{name} = {quote(value)}" for name, value in equal.items() if value is not None]
    asked = [f"({where})"] if parse(where) is not None else []
    return " and ".join(asked + more)


def order(text: str) -> list[Order]:
    """Fields to sort by, with commas between, `-` before those that go down. Raises `QueryError`."""
    return list(_fields(text, signed=True))


def columns(text: str) -> dict[str, Field]:
    """Fields to show, with commas between, by their names as they are written. Raises `QueryError`."""
    return {one.name: one.field for one in _fields(text, signed=False)}


def _fields(text: str, signed: bool) -> list[Order]:
    reader, found = _Reader(text, 0), list[Order]()
    while (word := reader.word) is not None:
        descending = signed and not word.sign and not word.pieces[0][1] and word.text.startswith("-")
        if descending:
            first = word.pieces[0][0][1:]
            word = Word(word.text[1:], word.start + 1, pieces=((first, False), *word.pieces[1:]))
        if word.sign or not word.text:
            reader.fault("a field has to stand here, such as started_at")
        found.append(Order(field(word, text), descending, word.text))
        reader.at += 1
        if len(found) > MOST_FIELDS:
            reader.fault(f"at most {MOST_FIELDS} fields")
        if reader.word is not None and not reader.takes(","):
            reader.fault("a comma has to stand between fields")
    return found


class _Reader:
    def __init__(self, text: str, now: int) -> None:
        self.text, self.now = text, now
        self.words = words(text)
        self.at = self.terms = self.values = 0

    @property
    def word(self) -> Word | None:
        return self.words[self.at] if self.at < len(self.words) else None

    def fault(self, message: str) -> NoReturn:
        fault(message, self.text, self.word)

    def takes(self, sign: str) -> bool:
        found = self.word is not None and self.word.sign and self.word.text == sign
        self.at += found
        return found

    def means(self, *keywords: str) -> bool:
        found = self.word is not None and self.word.means(*keywords)
        self.at += found
        return found

    def either(self, depth: int) -> Node:
        nodes = [self.both(depth)]
        while self.means("or"):
            nodes.append(self.both(depth))
        return nodes[0] if len(nodes) == 1 else AtLeastOne(tuple(nodes))

    def both(self, depth: int) -> Node:
        nodes = [self.one(depth)]
        while self.means("and"):
            nodes.append(self.one(depth))
        return nodes[0] if len(nodes) == 1 else All(tuple(nodes))

    def one(self, depth: int) -> Node:
        if depth > DEEPEST:
            self.fault(f"a query goes at most {DEEPEST} parentheses deep")
        if self.means("not"):
            return Not(self.one(depth + 1))
        opening = self.word
        if self.takes("("):
            node = self.either(depth + 1)
            if not self.takes(")"):
                if self.word is None:
                    fault("this parenthesis is never closed", self.text, opening)
                self.fault("and, or, or a closing parenthesis has to stand here")
            return node
        return self.comparison()

    def comparison(self) -> Node:
        word = self.word
        if word is None or word.sign or word.means(*_KEYWORDS):
            self.fault("a field has to stand here, such as status or params.lr")
        assert word is not None
        self.terms += 1
        if self.terms > MOST_TERMS:
            self.fault(f"a query has at most {MOST_TERMS} conditions")
        asked = field(word, self.text)
        self.at += 1
        if self.means("is"):
            negated = self.means("not")
            if not self.means("null"):
                self.fault("null has to stand here: FIELD is null, or FIELD is not null")
            return _negated(Comparison(asked, "null"), negated)
        negated = self.means("not")
        if self.means("in"):
            return _negated(Comparison(asked, "=", self.list(asked)), negated)
        sign = self.word
        if negated or sign is None or not sign.sign or sign.text in "(),":
            self.fault(
                "in has to stand here" if negated else "one of = != < <= > >= ~ !~, in, or is null has to stand here"
            )
        assert sign is not None
        self.at += 1
        value = self.value(asked, sign)
        if sign.text in ("=", "=="):
            return Comparison(asked, "=", (value,))
        if sign.text in ("!=", "!~"):
            return Not(Comparison(asked, "=" if sign.text == "!=" else "~", (value,)))
        return Comparison(asked, sign.text, (value,))  # type: ignore[arg-type]

    def list(self, asked: Field) -> tuple[Literal, ...]:
        if not self.takes("("):
            self.fault("a list in parentheses has to stand here: in (1, 2)")
        equal = Word("=", 0, sign=True)
        found = [self.value(asked, equal)]
        while not self.takes(")"):
            if not self.takes(","):
                self.fault("a comma or a closing parenthesis has to stand here")
            found.append(self.value(asked, equal))
        return tuple(found)

    def value(self, asked: Field, sign: Word) -> Literal:
        word = self.word
        if word is None or word.sign:
            self.fault("a value has to stand here; text with spaces or signs in it has to be quoted")
        assert word is not None
        if len(word.pieces) != 1:
            self.fault("a value is quoted as a whole, and a space stands behind it")
        if word.means("null"):
            self.fault("null is asked for by: is null, is not null")
        self.values += 1
        if self.values > MOST_VALUES:
            self.fault(f"a query has at most {MOST_VALUES} values")
        self.at += 1
        text = word.pieces[0][0]
        if sign.text in ("~", "!~"):
            return self._needle(asked, word, text)
        if asked.kind in ("time", "duration"):
            return self._moment(asked, word, text)
        if asked.kind == "text" or (asked.kind == "scalar" and word.bare is None):
            return self._text(asked, word, text, sign)
        return self._number(asked, word, text, sign)

    def _needle(self, asked: Field, word: Word, text: str) -> str:
        if asked.kind not in ("text", "scalar"):
            fault("~ searches text, and this is a number; use = or <", self.text, word)
        if len(text) > LONGEST_NEEDLE:
            fault(f"a text to search for has at most {LONGEST_NEEDLE} characters", self.text, word)
        return text

    def _text(self, asked: Field, word: Word, text: str, sign: Word) -> str:
        if asked.root == "status" and text not in STATUSES:
            fault(f"there is no status {text!r}; there are {', '.join(STATUSES)}", self.text, word)
        if asked.root == "tags" and sign.text in ("<", "<=", ">", ">=") and word.bare and _is_number(text):
            fault(f'tags are text, without an order of numbers; to compare as text write "{text}"', self.text, word)
        return self._not_a_field(word, text)

    def _moment(self, asked: Field, word: Word, text: str) -> Literal:
        last = word
        while word.bare is not None and (follower := self.word) is not None and follower.bare is not None:
            if follower.means("ago") or literals.duration(f"1{follower.bare}") or literals.duration(follower.bare):
                text, last = f"{text} {follower.bare}", follower
                self.at += 1
            else:
                break
        whole = Word(self.text[word.start : last.start + len(last.text)], word.start)
        if asked.kind == "time":
            span = literals.time(text.replace(" ", "") if text.lower().endswith("ago") else text, self.now)
            if span is None:
                fault(
                    f"{text!r} is no time: write 2026-05-01, 2026-05-01T12:00:00Z, today, or 7d ago", self.text, whole
                )
            return span
        length = literals.duration(text)
        seconds = _decimal(text) if length is None else Decimal(length) / literals.SECOND
        if seconds is None or not seconds.is_finite():
            fault(f"{text!r} is no duration: write seconds, or 90s, 15min, 1h30m, 2d", self.text, whole)
        return seconds

    def _number(self, asked: Field, word: Word, text: str, sign: Word) -> Literal:
        try:
            value = literals.number(text)
        except ValueError as problem:
            fault(f"{text!r} {problem}", self.text, word)
        if value is not None:
            if value.is_nan() and sign.text not in ("=", "==", "!="):
                fault("nan has no order: use = nan or != nan", self.text, word)
            return value
        if asked.kind != "scalar":
            fault(f"{asked.word.text} is a number, and {text!r} is none", self.text, word)
        if text.lower() in ("true", "false"):
            if sign.text not in ("=", "==", "!="):
                fault("true and false have no order: use = or !=", self.text, word)
            return text.lower() == "true"
        return self._not_a_field(word, text)

    def _not_a_field(self, word: Word, text: str) -> str:
        if word.bare is not None and text.startswith(("params.", "metrics.", "tags.")):
            fault(f'a field is compared with a value; the text is written "{text}"', self.text, word)
        return text


def _negated(node: Node, negated: bool) -> Node:
    return Not(node) if negated else node


def _is_number(text: str) -> bool:
    return _decimal(text) is not None


def _decimal(text: str) -> Decimal | None:
    try:
        return literals.number(text)
    except ValueError:
        return None
