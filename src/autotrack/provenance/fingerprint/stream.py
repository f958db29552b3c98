"""Data that can only be seen as it passes: batches of a loader, a generator, `tf.data`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from autotrack.provenance.fingerprint.passing_over import hashes_of
from autotrack.provenance.fingerprint.pool import Pool
from autotrack.provenance.fingerprint.registry import read
from autotrack.provenance.fingerprint.rows import GOLDEN, RowSum, mix
from autotrack.provenance.fingerprint.tables import Parts

MOST_EPOCHS: Final = 32
"""Epochs that a record lists."""


@dataclass
class _Epoch:
    rows: RowSum = field(default_factory=RowSum)
    order: RowSum = field(default_factory=RowSum)
    batches: int = 0
    hashed: int = 0

    def record(self) -> dict[str, Any]:
        if self.hashed < self.batches or not self.batches:  # never a digest of a part that looks like one of all
            return {"n_rows": None, "batches": self.batches}
        return {
            "rows": self.rows.digest,
            "order": self.order.digest,
            "n_rows": self.rows.count,
            "batches": self.batches,
        }


class Stream:
    """Adds up the rows of batches as they pass; nothing is kept of them and nothing is taken from the stream.

        stream = Stream()
        for batch in loader:
            stream.update(batch)          # an array, a frame, or a tuple, list or mapping of such
        stream.end_epoch()
        stream.record()

    `rows` is the same for any batch size and any number of workers, and equals the `rows` of the same data in memory
    (parts of a tuple are named `0`, `1`, …). `order` differs where the same rows came in another order; it does not
    depend on the batch size either.
    """

    def __init__(self) -> None:
        self._now = _Epoch()
        self._whole: list[_Epoch] = []
        self._ended = 0
        self._pool = Pool()

    def update(self, batch: Any) -> None:
        """Add the rows of one batch, as they are now. What cannot be read counts as a batch not seen."""
        self._now.batches += 1
        if self._pool.takes(batch):
            if self._pool.is_full:
                self._take_pool()
            return
        self._take_pool()
        if self._pool.takes(batch):  # the first of another shape
            return
        self._add(batch, 1)

    def _take_pool(self) -> None:
        count = self._pool.batches
        if count:
            self._add(self._pool.taken(), count)

    def _add(self, batch: Any, count: int) -> None:
        """Add the rows of what was `count` batches."""
        now = self._now
        with np.errstate(all="ignore"):
            hashes = hashes_of(_batch(batch))
            if hashes is None:
                return
            now.hashed += count
            first = now.rows.count + 1
            places = np.arange(first, first + len(hashes), dtype=np.uint64) * np.uint64(GOLDEN)
            now.rows.add(hashes)
            now.order.add(mix(hashes + mix(places)))

    def end_epoch(self) -> None:
        """The stream began anew: what was added so far is one epoch. An epoch without batches is none."""
        if not self._now.batches:
            return
        self._take_pool()
        self._ended += 1
        if len(self._whole) < MOST_EPOCHS:
            self._whole.append(self._now)
        self._now = _Epoch()

    def record(self) -> dict[str, Any]:
        """`{stream: true, rows, order, n_rows, batches, coverage, method, n_epochs, epochs[{rows, order, …}]}`.

        `rows`, `order`, `n_rows` and `batches` are those of the first whole epoch. Where none is whole, they are those
        of what has passed: `method` is `stream+unfinished`, and digests have the prefix `x1p:`. Where a batch could
        not be read there is no digest, and `coverage` is the share of those that could. Of the epochs, the first
        `MOST_EPOCHS` are listed.
        """
        self._take_pool()
        whole = bool(self._whole)
        told = self._whole[0] if whole else self._now
        record = {"stream": True, **told.record()}
        record["coverage"] = told.hashed / told.batches if told.batches else 0.0
        record["method"] = "stream" if whole else "stream+unfinished"
        if not whole:
            for name in ("rows", "order"):
                if name in record:
                    record[name] = str(record[name]).replace("x1:", "x1p:")
        if self._ended > 1:
            record["n_epochs"] = self._ended
            record["epochs"] = [epoch.record() for epoch in self._whole]
        return record


def _batch(batch: Any) -> Any:
    """What passes: a tuple or list of arrays is parts, any other list is rows."""
    if isinstance(batch, list | tuple) and batch and all(_is_part(one) for one in batch):
        return Parts({str(index): _batch(one) for index, one in enumerate(batch) if one is not None})
    if isinstance(batch, Mapping):
        return Parts({str(name): _batch(one) for name, one in batch.items() if one is not None})
    return read(batch)


def _is_part(one: Any) -> bool:
    return hasattr(one, "shape") or isinstance(one, Mapping) or (isinstance(one, list | tuple) and _has_arrays(one))


def _has_arrays(one: Any) -> bool:
    return any(hasattr(item, "shape") for item in one)
