"""From the text of a query to its words, each with its place, so that an error can point at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NoReturn

from autotrack.errors import QueryError

LONGEST: Final = 10_000
"""Characters of a query."""

_SIGNS: Final = ("!=", "!~", "<=", ">=", "==", "=", "<", ">", "~", "(", ")", ",")
_QUOTES: Final = "\"'"
_ENDS: Final = frozenset("()=<>~!,\"'")


@dataclass(frozen=True)
class Word:
    """One word: a sign, or pieces of text that stand together, each with whether it was quoted."""

    text: str
    """As it is written."""
    start: int
    sign: bool = False
    pieces: tuple[tuple[str, bool], ...] = field(default=())

    @property
    def bare(self) -> str | None:
        """The text of a word without quotes, else None."""
        return self.pieces[0][0] if len(self.pieces) == 1 and not self.pieces[0][1] else None

    @property
    def quoted(self) -> str | None:
        """The text of a word that is quoted as a whole, else None."""
        return self.pieces[0][0] if len(self.pieces) == 1 and self.pieces[0][1] else None

    def means(self, *keywords: str) -> bool:
        """Whether it is one of these keywords, in whatever case."""
        return self.bare is not None and self.bare.lower() in keywords


def fault(message: str, text: str, word: Word | None) -> NoReturn:
    """Refuse the text because of this word, or of its end."""
    if word is None:
        raise QueryError(message, text, len(text))
    raise QueryError(message, text, word.start, len(word.text))


def words(text: str) -> list[Word]:
    """The words of a query. Raises `QueryError`."""
    if len(text) > LONGEST:
        raise QueryError(f"a query has at most {LONGEST:,} characters, and this one {len(text):,}", text, LONGEST)
    for place, sign in enumerate(text):
        if sign == "\0" or "\ud800" <= sign <= "\udfff":
            raise QueryError(f"a query cannot hold the character U+{ord(sign):04X}", text, place)
    return list(_cut(text))


def _cut(text: str) -> Iterator[Word]:
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        sign = next((one for one in _SIGNS if text.startswith(one, at)), None)
        if sign is not None:
            yield Word(sign, at, sign=True)
            at += len(sign)
            continue
        start, pieces = at, []
        while at < len(text) and (text[at] in _QUOTES or _is_bare(text[at])):
            piece, end = _quoted(text, at) if text[at] in _QUOTES else _bare(text, at)
            pieces.append((piece, text[at] in _QUOTES))
            at = end
        if not pieces:
            raise QueryError("a lone '!': use != or !~, or not", text, at)
        yield Word(text[start:at], start, pieces=tuple(pieces))


def _is_bare(sign: str) -> bool:
    return sign not in _ENDS and not sign.isspace()


def _bare(text: str, at: int) -> tuple[str, int]:
    end = at
    while end < len(text) and _is_bare(text[end]):
        end += 1
    return text[at:end], end


def _quoted(text: str, at: int) -> tuple[str, int]:
    """The text between quotes; within, a backslash stands before a quote or a backslash, and else for itself."""
    quote, held, end = text[at], [], at + 1
    while end < len(text):
        if text[end] == "\\" and text[end + 1 : end + 2] in ("\\", *_QUOTES):
            held.append(text[end + 1])
            end += 2
        elif text[end] == quote:
            return "".join(held), end + 1
        else:
            held.append(text[end])
            end += 1
    raise QueryError("a quote that is not closed", text, at)


def quote(text: str) -> str:
    """`text` between quotes, so that it reads as this text."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
