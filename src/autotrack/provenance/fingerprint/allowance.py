"""Which rows are hashed at a training call: that takes longer than the rest of a fingerprint.

Of small data always. Of larger data as far as all such hashing stays within a share of the processor time that the
process has used: a script that loads and fits for ten seconds can spare 200 ms, one that fits in 8 ms cannot. Where the
hashes of data of the same `value` are remembered, it is not hashed again.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from autotrack.provenance.fingerprint.identity import Fingerprint

ALWAYS: Final = 1 << 17
"""Cells whose rows are hashed in any case: about half a millisecond."""

SHARE: Final = 0.02

CELLS_PER_SECOND: Final = 1e8

MOST_REMEMBERED: Final = 64
MOST_HASHES: Final = 1 << 20
"""Hashes of rows that are remembered, of all datasets together: 8 MiB."""


class Allowance:
    """What this process may still spend, and the rows that it knows already. Safe for any number of threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Fingerprint] = OrderedDict()
        self._spent = 0.0
        self._lock = threading.Lock()

    def allows(self, cells: int) -> bool:
        """Whether the rows of so many cells may be hashed; if so, that is spent."""
        if cells <= ALWAYS:
            return True
        needed = cells / CELLS_PER_SECOND
        with self._lock:
            if self._spent + needed > SHARE * time.process_time():
                return False
            self._spent += needed
            return True

    def known(self, found: Fingerprint) -> Fingerprint | None:
        """`found` with the rows of data of the same value that was hashed before; of much data without their hashes."""
        with self._lock:
            before = self._known.get(found.value or "")
        return None if before is None else _with_rows(found, before)

    def remember(self, found: Fingerprint) -> None:
        """The rows of this data have been hashed."""
        if found.value is None or found.rows is None:
            return
        kept = replace(found if _hashes(found) <= MOST_HASHES else _without_hashes(found), grid=None)
        with self._lock:
            self._known[found.value] = kept
            self._known.move_to_end(found.value)
            while len(self._known) > MOST_REMEMBERED or sum(map(_hashes, self._known.values())) > MOST_HASHES:
                self._known.popitem(last=False)


def _with_rows(found: Fingerprint, before: Fingerprint) -> Fingerprint:
    parts = {name: _with_rows(part, before.parts[name]) for name, part in found.parts.items()}
    return replace(found, rows=before.rows, row_hashes=before.row_hashes, parts=parts)


def _without_hashes(found: Fingerprint) -> Fingerprint:
    parts = {name: _without_hashes(part) for name, part in found.parts.items()}
    return replace(found, row_hashes=None, parts=parts)


def _hashes(found: Fingerprint) -> int:
    own = 0 if found.row_hashes is None else len(found.row_hashes)
    return own + sum(map(_hashes, found.parts.values()))


allowance: Final = Allowance()
