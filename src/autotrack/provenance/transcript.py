"""The transcript of a run: what it writes to the console, folded, masked and within bounds, on its way to the journal.

Pieces enter as they are written, from any thread, and cost an append to a queue; whole lines leave at once as long as
they come not too fast, and in batches where they do. The first `HEAD` bytes of a run go into the
journal, what follows into a `Tail`, of which the end is kept.
"""

from __future__ import annotations

import time
from collections import deque
from threading import Lock, get_ident
from typing import Any, Final

from autotrack import guard
from autotrack.events import ConsoleLogged
from autotrack.journal.tail import JOINED, LEFT_OUT, WHY, Tail
from autotrack.provenance.folding import Thinned
from autotrack.provenance.masking import KEY_BLOCK, MASK, mask_tokens, mask_urls, masked

HEAD: Final = 512 << 10
"""Bytes of a run that are kept from its beginning; `Tail` keeps as many of its end."""

LONGEST_PIECE: Final = 128 << 10
"""Of more that is written at once, the first and the last half of this are kept."""

BURST: Final = 50
"""Lines that are recorded one by one before some have to wait for the next tick."""
REFILL: Final = 10
"""How many more may follow after each tick."""

MOST_PIECES: Final = 4096
LONG: Final = 4096
"""So many pieces wait, and none of more characters than this; who writes one more records them."""

TOO_MANY: Final = 1 << 16
"""With so many pieces, who writes one more waits for the thread that is recording them."""

PATIENCE: Final = 5.0
"""Seconds that a run's end waits for the thread that is recording."""

_OWN: Final = "autotrack: "
"""How lines of ours begin, on stderr."""

_HINTS: Final = (
    "pass", "secret", "credential", "token", "auth", "pwd", "key", "connection", "webhook", "bearer", "basic",
)  # fmt: skip
"""Some of these, in small letters, is in every name that tells a secret: text without needs only the fast look."""


class Transcript:
    """What one run has written, as far as it is recorded yet."""

    def __init__(self, run: Any) -> None:
        self.run = run
        self.pieces: deque[tuple[str, str]] = deque()
        """Pieces that wait, each with its stream. Who appends one calls `hear` where it ends a line or is `LONG`."""
        self._streams = {name: Thinned(_Masking()) for name in ("stdout", "stderr")}
        self._room = HEAD
        self._tail: Tail | None = None
        self._left_out = 0
        self._at_once = BURST
        self._lock = Lock()
        self._holder: int | None = None
        self._ended = False

    def hear(self, text: str) -> bool:
        """The piece `text` ends a line, or is long; gives whether something waits that `tick` is to record soon."""
        if self._at_once > 0:
            self._at_once -= 1
        elif len(self.pieces) < MOST_PIECES and len(text) < LONG:
            return True
        return self._take()

    def tick(self) -> bool:
        """Record what waits, a while after `hear` has said so; gives whether some of it still does."""
        self._at_once = min(BURST, self._at_once + REFILL)
        return self._take()

    def end(self) -> None:
        """Record all that there is."""
        self._ended = True
        self._take()

    def _take(self) -> bool:
        """Record what waits; gives whether some of it still does."""
        if self._holder == get_ident():  # a signal's handler, in the middle of this: it goes on after the handler
            return True
        patient = self._ended or len(self.pieces) > TOO_MANY
        if not self._lock.acquire(timeout=PATIENCE if patient else 0):  # another thread is at it
            return True
        self._holder = get_ident()
        try:
            if guard.faults["console"] >= guard.FAULTS_BEFORE_OFF:
                self.pieces.clear()
                return False
            with guard.guarded("console"):
                self._record(last=self._ended)
                if self._ended:
                    self._finish()
        finally:
            self._holder = None
            self._lock.release()
        return bool(self.pieces) or not all(stream.at_rest for stream in self._streams.values())

    def _finish(self) -> None:
        """Take the end of a long text into the journal, and say what is in neither place."""
        if self._tail is not None:
            for event in self._tail.take():
                if isinstance(event, ConsoleLogged):
                    self.run.log_console(event.stream, event.text)
                else:
                    self._left_out += event.count
            self._tail = None
        if self._left_out:
            self.run.note(LEFT_OUT, WHY, self._left_out)
            self._left_out = 0

    def abandon(self) -> None:
        """Write nothing any more: this is a forked child."""
        if self._tail is not None:
            self._tail.abandon()

    def _record(self, *, last: bool) -> None:
        pieces = self.pieces
        now = time.monotonic()
        while pieces:
            stream, text = pieces.popleft()
            if len(text) > LONGEST_PIECE:
                half, left_out = LONGEST_PIECE // 2, len(text) - LONGEST_PIECE
                text = f"{text[:half]}\n[{left_out} characters are left out here]\n{text[-half:]}"
                self._left_out += left_out
            parts, size = [text], len(text)
            while pieces and pieces[0][0] == stream and size < JOINED:
                parts.append(pieces.popleft()[1])
                size += len(parts[-1])
            text = "".join(parts)
            if stream == "stderr" and _OWN in text:
                text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith(_OWN))
            self._keep(stream, self._streams[stream].take(text, now))
        for stream, thinned in self._streams.items():
            if last or not thinned.at_rest:
                self._keep(stream, thinned.take("", now, last=last))

    def _keep(self, stream: str, text: str) -> None:
        if not text:
            return
        if self._tail is None:
            size = len(text) if text.isascii() else len(text.encode(errors="replace"))
            if size <= self._room:
                self._room -= size
                self.run.log_console(stream, text)
                return
            home = self.run.home
            if home is None:
                return
            self._tail = Tail(home, self.run.id)
        self._tail.append(ConsoleLogged(self.run.id, time.time_ns(), stream, text))


class _Masking:
    """Masks secrets in text that comes in pieces; of a private key, every line. Lines stay lines."""

    def __init__(self) -> None:
        self._in_key = False

    def __call__(self, text: str) -> str:
        if not self._in_key and KEY_BLOCK not in text:
            return _masked(text)
        return "\n".join(map(self._line, text.split("\n")))

    def _line(self, line: str) -> str:
        if KEY_BLOCK in line and "PRIVATE KEY" in line:
            self._in_key = "-----END" not in line
            return MASK
        if self._in_key and line:
            self._in_key = "-----END" not in line
            return MASK
        return _masked(line)


def _masked(text: str) -> str:
    small = text.lower()
    return masked(text) if any(hint in small for hint in _HINTS) else mask_tokens(mask_urls(text))


__all__ = ["Transcript"]
