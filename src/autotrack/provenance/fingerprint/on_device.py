"""Tensors in the memory of a GPU: added up there, so that four numbers come back and never the tensor.

`rows` is that of the same numbers anywhere else. `value` cannot be: xxh3 does not run there. It is a sum over elements,
each mixed with its place, modulo 2^64 in two lanes; its prefix is `x1d:`, so it never equals a digest of the canon. Its
arithmetic is that of `rows`; torch has no unsigned integers to shift, so that shifts are masked.
"""

from __future__ import annotations

import struct
import sys
from typing import Any, Final

from xxhash import xxh3_128_hexdigest

from autotrack.provenance.fingerprint.rows import ABSENT, GOLDEN, LANES, RowSum, key
from autotrack.provenance.fingerprint.tables import MOST_COLUMNS, Identified

PREFIX: Final = "x1d:"
AT_ONCE: Final = 1 << 22
"""Elements that are looked at together: the memory that it takes on the device is about 200 MB."""

_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_BIG = 0x1D8E4E27C47D124F
_EXACT = 1 << 53


def identified(tensor: Any) -> Identified | None:
    """The fingerprint of a dense tensor of real numbers; None of others, and of one that holds no data (`meta`)."""
    if tensor.is_complex() or tensor.is_meta:
        return None
    from autotrack.provenance.fingerprint.identity import Fingerprint

    value, rows = sums(tensor)
    n_rows = int(tensor.shape[0]) if tensor.dim() else 1
    return Identified(Fingerprint(value, None, rows, None, 1.0, "device", n_rows))


def sums(tensor: Any) -> tuple[str, str | None]:
    """`value` and `rows` of a dense tensor of real numbers; `rows` is None where rows are tensors themselves."""
    torch = sys.modules["torch"]
    tensor = tensor.detach()
    n_rows = int(tensor.shape[0]) if tensor.dim() else 1
    matrix = tensor.reshape(n_rows, -1)
    width = int(matrix.shape[1])
    has_rows = tensor.dim() <= 2 and 0 < width <= MOST_COLUMNS
    keys = torch.tensor([_signed(int(key(place))) for place in range(width)] if has_rows else [0], dtype=torch.int64)
    keys = keys.to(tensor.device)
    total = torch.zeros(4, dtype=torch.int64, device=tensor.device)
    step = max(1, AT_ONCE // max(1, width))
    for start in range(0, n_rows, step):
        words = _words(torch, matrix[start : start + step])
        if has_rows:
            hashes = _mix((_mix(words + keys)).sum(dim=1))
            total[:2] += torch.stack([_mix(hashes ^ _signed(lane)).sum() for lane in LANES])
        places = torch.arange(start * width, start * width + words.numel(), device=tensor.device) + 1
        mixed = _mix(words.reshape(-1) + _mix(places * _signed(GOLDEN)))
        total[2:] += torch.stack([_mix(mixed ^ _signed(lane)).sum() for lane in LANES])
    first, second, *value = total.tolist()  # the one copy from the device
    shape = struct.pack(f"<{tensor.dim()}q2q", *tensor.shape, *value)
    return PREFIX + xxh3_128_hexdigest(shape), RowSum(n_rows, first, second).digest if has_rows else None


def _words(torch: Any, values: Any) -> Any:
    """The words of numbers, as `rows.number_words` makes them."""
    doubles = values.to(torch.float64)
    if values.dtype.is_floating_point:
        doubles = doubles + 0.0  # makes -0.0 to 0.0
        words = doubles.view(torch.int64)
        return torch.where(doubles.isnan(), torch.full_like(words, _signed(int(ABSENT))), words)
    words = doubles.view(torch.int64)
    if values.dtype != torch.int64:
        return words
    inside = doubles < 2.0**63
    back = torch.where(inside, doubles, torch.zeros_like(doubles)).to(torch.int64)
    big = ((values > _EXACT) | (values < -_EXACT)) & (~inside | (back != values))
    marked = _mix((values ^ _BIG) + (values < 0).to(torch.int64) * _signed(GOLDEN))
    return torch.where(big, marked, words)


def _mix(words: Any) -> Any:
    words = (words ^ _shifted(words, 30)) * _signed(_FIRST)
    words = (words ^ _shifted(words, 27)) * _signed(_SECOND)
    return words ^ _shifted(words, 31)


def _shifted(words: Any, bits: int) -> Any:
    """A logical shift to the right."""
    return (words >> bits) & ((1 << (64 - bits)) - 1)


def _signed(number: int) -> int:
    """The int64 with the bits of a uint64."""
    return number - (1 << 64) if number >> 63 else number
