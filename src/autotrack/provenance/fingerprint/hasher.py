"""Which hash leaves, columns and tables are made with: XXH3-128, or inside `sealing` BLAKE3 with 256 bits.

XXH3 tells data apart that differ by accident or by work. It is no cryptographic hash: who wants two datasets with one
digest can make them. Where that matters, the same canonical bytes go through BLAKE3 as well.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from xxhash import xxh3_128

_local = threading.local()


def hasher(data: Any = b"") -> Any:
    """A hash that has taken in `data`, with `update` and `digest`."""
    make = getattr(_local, "make", None)
    return xxh3_128(data) if make is None else make(data)


def digest(data: Any) -> bytes:
    """The digest of `data`: 16 bytes, or 32 inside `sealing`."""
    found: bytes = hasher(data).digest()
    return found


@contextmanager
def sealing() -> Iterator[None]:
    """Have this thread hash with BLAKE3. Raises `ImportError` where the package blake3 is not installed."""
    from blake3 import blake3

    class Blake3:
        """As xxhash takes buffers: of any shape and type."""

        def __init__(self, data: Any) -> None:
            self._state = blake3(memoryview(data).cast("B"))
            self.digest = self._state.digest

        def update(self, data: Any) -> None:
            self._state.update(memoryview(data).cast("B"))

    _local.make = Blake3
    try:
        yield
    finally:
        _local.make = None
