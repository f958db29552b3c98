r"""Folding text as a terminal does, so that a progress bar that was drawn a thousand times is one line.

Text with control characters enters, rows leave. Known are what progress bars use: carriage return and backspace, and of
the control sequences (ECMA-48) cursor up, down, left, right, to a column, erasing a line and what is below. All others,
such as colours, are left out. `Screen` is a terminal without width and height; `Thinned` follows one stream and says
what of it is worth writing down.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

_PART = re.compile(
    r"\x1b\[([0-9;?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.?|\n|\r|\x08+|[^\x1b\n\r\x08]+"
)
_MOVES = re.compile(r"[\r\x08\x1b]")

HELD: Final = 64
"""A display that moves the cursor up is redrawn within this many rows; those above them are settled."""

LONGEST_ROW: Final = 1 << 16
"""A row that is longer counts as settled so far."""

FIRST_LOOK: Final = 0.5
LONGEST_WAIT: Final = 60.0
"""Seconds between two looks at a row that is being redrawn: the first, doubled each time, and the most."""


class Screen:
    """Rows of text and a cursor."""

    def __init__(self) -> None:
        self.rows = [""]
        self.stamps = [0]
        """For each row, the number that the text had which changed it last."""
        self.row = self.column = 0
        self.up_to: int | None = None
        """The row that the cursor went up to last; None before it did, and when that row is dropped."""

    def feed(self, text: str, stamp: int = 0) -> None:
        """Write `text` at the cursor; it has the number `stamp`."""
        for part in _PART.finditer(text):
            found = part[0]
            sign = found[0]
            if sign == "\n":
                self.stamps[self.row] = max(stamp, self.stamps[self.row])
                self._go_to(self.row + 1)
                self.column = 0
            elif sign == "\r":
                self.column = 0
            elif sign == "\x08":
                self.column = max(0, self.column - len(found))
            elif sign == "\x1b":
                if part[2]:
                    self._control(part[1], part[2])
            else:
                row = self.rows[self.row]
                self.stamps[self.row] = stamp
                end = self.column + len(found)
                self.rows[self.row] = row[: self.column].ljust(self.column) + found + row[end:]
                self.column = end

    def drop(self, count: int) -> None:
        """Forget the first `count` rows; the cursor must be below them."""
        del self.rows[:count], self.stamps[:count]
        self.row -= count
        if self.up_to is not None:
            self.up_to = self.up_to - count if self.up_to >= count else None

    def _go_to(self, row: int) -> None:
        self.row = max(0, row)
        while len(self.rows) <= self.row:
            self.rows.append("")
            self.stamps.append(0)

    def _control(self, numbers: str, letter: str) -> None:
        first = numbers.partition(";")[0]
        count = min(int(first), 1000) if first.isdigit() else None
        row = self.rows[self.row]
        if letter in "AF":
            self._go_to(self.row - (count or 1))
            self.up_to = self.row
        elif letter in "BE":
            self._go_to(self.row + (count or 1))
        elif letter == "C":
            self.column += count or 1
        elif letter == "D":
            self.column = max(0, self.column - (count or 1))
        elif letter == "G":
            self.column = (count or 1) - 1
        elif letter == "K":
            self.rows[self.row] = "" if count == 2 else " " * self.column if count == 1 else row[: self.column]
        elif letter == "J" and not count:
            self.rows[self.row] = row[: self.column]
            del self.rows[self.row + 1 :], self.stamps[self.row + 1 :]
        if letter in "EF":
            self.column = 0


class Thinned:
    """One stream, of which only those states of its last rows are told that are worth it.

    What is told is text again, with control sequences where it takes back what was told before: `Screen` makes of it
    what it makes of the whole. `masked` is applied to what is told, whole rows at a time.
    """

    def __init__(self, masked: Callable[[str], str]) -> None:
        self._masked = masked
        self._screen = Screen()
        self._told = [""]
        self._due = 0.0
        self._wait = FIRST_LOOK
        self._asked = 0.0

    @property
    def at_rest(self) -> bool:
        """Whether everything has been told."""
        return self._told == self._screen.rows

    def take(self, text: str, now: float, *, last: bool = False) -> str:
        """`text` was written at `now` (seconds, of any clock that grows); gives what is to be told, perhaps nothing."""
        screen = self._screen
        at_rest = screen.rows == [""] == self._told and screen.column == 0 and screen.up_to is None
        if at_rest and not _MOVES.search(text):
            lines, end, text = text.rpartition("\n")
            whole = self._masked(lines + end) if end else ""
            if not text:
                return whole
            screen.feed(text)
            return whole + self._tell(0, now, last)
        screen.feed(text)
        self._asked = now
        return self._tell(self._settled(), now, last)

    def _settled(self) -> int:
        screen = self._screen
        if screen.up_to is None:
            return screen.row
        if len(screen.rows) > len(self._told):
            self._wait, self._due = FIRST_LOOK, min(self._due, self._asked + FIRST_LOOK)
        return min(screen.row, max(0, len(screen.rows) - HELD))

    def _tell(self, settled: int, now: float, last: bool) -> str:
        screen = self._screen
        if settled:
            self._wait, self._due = FIRST_LOOK, 0.0
        too_long = len(screen.rows[screen.row]) > LONGEST_ROW
        whole = last or too_long or now >= self._due
        rows = screen.rows if whole else [*screen.rows[:settled], ""]
        if not settled and (not whole or rows == self._told):
            return ""
        rows = self._masked("\n".join(rows)).split("\n")
        told = self._against(rows)
        self._told = rows[settled:] or [""]
        screen.drop(settled)
        if whole:
            self._due, self._wait = now + self._wait, min(2 * self._wait, LONGEST_WAIT)
        if too_long:
            self._screen, self._told = Screen(), [""]
        return told

    def _against(self, rows: list[str]) -> str:
        """What turns the rows that were told into `rows`, for one whose cursor is at the end of the former."""
        before = self._told
        same = 0
        while same < min(len(before), len(rows)) - 1 and before[same] == rows[same]:
            same += 1
        before, rows = before[same:], rows[same:]
        if len(before) == 1 and rows[0].startswith(before[0]):
            return "\n".join(rows)[len(before[0]) :]
        up = f"\x1b[{len(before) - 1}A" if len(before) > 1 else ""
        return f"{up}\r\x1b[J" + "\n".join(rows)


def folded(pieces: Iterable[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """The lines that remain of `(stream, text)`, as `(stream, line, index of the piece that changed it last)`.

    Each stream is a terminal of its own; the lines of several are in the order in which they were changed last.
    """
    screens: dict[str, Screen] = {}
    for index, (stream, text) in enumerate(pieces):
        screens.setdefault(stream, Screen()).feed(text, index)
    lines = []
    for stream, screen in screens.items():
        latest = 0
        for row, stamp in zip(screen.rows, screen.stamps, strict=True):
            latest = max(latest, stamp)
            lines.append((stream, row.rstrip(), latest))
        if not screen.rows[-1]:  # behind the last end of a line
            lines.pop()
    return sorted(lines, key=lambda line: line[2])


__all__ = ["Screen", "Thinned", "folded"]
