"""Sparse matrices of scipy: stretches of rows with sorted columns, summed duplicates and explicit zeros; never dense.

An explicit zero is kept, since a model may treat it otherwise than a missing one; so a sparse matrix is never equal to
a dense one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autotrack.provenance.fingerprint.arrays import declared_type
from autotrack.provenance.fingerprint.chunks import NULL, Chunk, SparseRows
from autotrack.provenance.fingerprint.tables import Column, Table


def read_sparse(matrix: Any) -> Table | None:
    """A two-dimensional sparse matrix or array in any of scipy's formats."""
    if len(matrix.shape) != 2:
        return None
    rows = matrix if matrix.format == "csr" else matrix.tocsr()
    n_rows, width = (int(size) for size in matrix.shape)

    def read(start: int, stop: int) -> Chunk:
        pointers = rows.indptr[start : stop + 1]
        first, last = int(pointers[0]), int(pointers[-1])
        columns, values = rows.indices[first:last], rows.data[first:last]
        lengths = np.diff(pointers)
        if not _in_order(columns, pointers - first):
            stretch = rows[start:stop].copy()
            stretch.sum_duplicates()
            columns, values, lengths = stretch.indices, stretch.data, np.diff(stretch.indptr)
        return SparseRows(stop - start, None, NULL, width, lengths, columns, values)

    size = int(rows.data.nbytes + rows.indices.nbytes + rows.indptr.nbytes)
    return Table(n_rows, [Column("", f"sparse<{declared_type(matrix.dtype)}>", read, size)], {"width": width})


def _in_order(columns: Any, pointers: Any) -> bool:
    """Whether each row's columns grow strictly: then nothing needs to be sorted or summed."""
    if len(columns) < 2:
        return True
    grows = np.diff(columns) > 0
    starts = pointers[1:-1]
    starts = starts[(starts > 0) & (starts < len(columns))]
    grows[starts - 1] = True  # from one row to the next they may fall
    return bool(grows.all())
