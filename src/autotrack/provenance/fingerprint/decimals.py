"""Decimal numbers and integers of any size: as ordinary numbers where they are such, and as text where not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from autotrack.provenance.fingerprint.chunks import Decimals, Numbers


def as_numbers(chunk: Decimals) -> Numbers | None:
    """The same as ordinary numbers, if all of them are integers of 64 bits or all of them exact doubles."""
    values: Any = chunk.values
    whole = [int(value) for value in values if _fits(value) and value == int(value)]
    if len(whole) == len(values):
        low, high = min(whole, default=0), max(whole, default=0)
        if low >= 0:
            return Numbers(chunk.n, chunk.valid, chunk.missing, np.array(whole, np.uint64))
        if high < 1 << 63:
            return Numbers(chunk.n, chunk.valid, chunk.missing, np.array(whole, np.int64))
    try:
        doubles = [float(value) for value in values]
    except OverflowError:  # an integer beyond the range of doubles
        return None
    if all(double == value for double, value in zip(doubles, values, strict=True)):
        return Numbers(chunk.n, chunk.valid, chunk.missing, np.array(doubles, np.float64))
    return None


def _fits(value: Any) -> bool:
    return bool(-(1 << 63) <= value < 1 << 64)


def decimal_text(value: Any) -> str:
    """A finite decimal number or integer, written in the only way without zeros at the end of its digits."""
    sign, digits, exponent = Decimal(value).as_tuple()
    if not isinstance(exponent, int):
        return "-Infinity" if sign else "Infinity"
    text = "".join(map(str, digits)).lstrip("0")
    kept = text.rstrip("0")
    if not kept:
        return "0"
    return f"{'-' if sign else ''}{kept}E{exponent + len(text) - len(kept)}"
