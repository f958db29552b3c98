"""A word of 64 bits for each element, that depends on its value and on nothing around it.

Of a number it is the bits of the double that equals it; integers without such a double, texts, points in time and all
others have words of their own. Equal elements have equal words, in whatever chunk, library or width. A row's hash is
made of them (`rows`).
"""

from __future__ import annotations

import struct
from functools import singledispatch
from typing import Final

import numpy as np
from xxhash import xxh3_64_intdigest

from autotrack.provenance.fingerprint.chunks import (
    NULL,
    Array,
    Chunk,
    Decimals,
    Instants,
    Lists,
    Missing,
    Mixed,
    Numbers,
    SparseRows,
    Structs,
    Tensors,
    Texts,
)
from autotrack.provenance.fingerprint.decimals import as_numbers, decimal_text
from autotrack.provenance.fingerprint.instants import seconds_and_rest
from autotrack.provenance.fingerprint.leaves import INSTANTS, TENSOR, Leaf, leaf, matrix_leaves
from autotrack.provenance.fingerprint.numbers import native

GOLDEN: Final = 0x9E3779B97F4A7C15
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)
MASK: Final = (1 << 64) - 1
STRIP: Final = 1 << 12

ABSENT: Final = np.uint64(0x7FF8000000000000)
"""The word of a missing element: the bits of a NaN, which no number has."""

_NEGATIVE_ZERO: Final = np.uint64(1 << 63)
_BIG: Final = np.uint64(0x1D8E4E27C47D124F)
_TEXT, _BINARY, _DECIMAL = 12, 13, 18
_COMPLEX: Final = np.uint64(0x589965CC75374CC3)
_LIST: Final = np.uint64(0x8EBC6AF09C88C6E3)
_STRUCT: Final = np.uint64(0x589965CC75374CC4)
_SPARSE: Final = np.uint64(0x2D358DCCAA6C78A5)
_EXACT: Final = 1 << 53


def mix(words: Array) -> Array:
    """SplitMix64's finaliser (Steele, Lea and Flood, 2014), in place: a bijection of 64 bits without structure left.

    `words` is contiguous. It goes through all steps a strip at a time, which stays in the nearest cache.
    """
    flat = words.reshape(-1)
    space = np.empty(min(STRIP, len(flat)), np.uint64)
    for start in range(0, len(flat), STRIP):
        strip = flat[start : start + STRIP]
        mix_strip(strip, space[: len(strip)])
    return words


def mix_strip(strip: Array, scratch: Array) -> None:
    """The same for a strip, with room of its length."""
    np.right_shift(strip, _30, out=scratch)
    np.bitwise_xor(strip, scratch, out=strip)
    np.multiply(strip, _FIRST, out=strip)
    np.right_shift(strip, _27, out=scratch)
    np.bitwise_xor(strip, scratch, out=strip)
    np.multiply(strip, _SECOND, out=strip)
    np.right_shift(strip, _31, out=scratch)
    np.bitwise_xor(strip, scratch, out=strip)


def mixed(number: int) -> int:
    """`mix` of one number."""
    number &= MASK
    number = (number ^ (number >> 30)) * int(_FIRST) & MASK
    number = (number ^ (number >> 27)) * int(_SECOND) & MASK
    return number ^ (number >> 31)


def key(position: int) -> np.uint64:
    """The key of a column, by its place."""
    return np.uint64(mixed((position + 1) * GOLDEN))


def keys(first: int, count: int) -> Array:
    """The keys of `count` columns from `first` on."""
    places = np.arange(first + 1, first + count + 1, dtype=np.uint64)
    return mix(places * np.uint64(GOLDEN))


def name_key(name: str) -> np.uint64:
    """The key of a named part or field."""
    return np.uint64(xxh3_64_intdigest(name.encode("utf-8", "surrogatepass")))


def words(chunk: Chunk) -> Array | None:
    """The word of each element: an array of its own, of length n; None where there is no canonical form."""
    found = _words(chunk)
    if found is None or chunk.valid is None:
        return found
    whole = np.full(chunk.n, ABSENT)
    whole[chunk.valid] = found
    return whole


def number_words(values: Array) -> Array:
    """The words of real numbers, as `native` gives them: the bits of the double that equals each.

    Integers beyond 2^53 may have no such double, and have a word of their own.
    """
    doubles = values.astype(np.float64, order="C")  # else one value that stands for a row would keep its strides
    if values.dtype.kind == "f":
        found = doubles.view(np.uint64)
        zero = found == _NEGATIVE_ZERO
        if zero.any():
            found[zero] = 0
        nan = np.isnan(doubles)
        if nan.any():
            found[nan] = ABSENT
        return found
    found = doubles.view(np.uint64)
    if values.dtype.itemsize == 8 and values.size and (int(values.max()) > _EXACT or int(values.min()) < -_EXACT):
        _mark_big(values, doubles, found)
    return found


def _mark_big(values: Array, doubles: Array, found: Array) -> None:
    # A double of 2^63 or 2^64 cannot be cast back; no integer that has become one of them is exact but those of uint64.
    limit = 2.0**64 if values.dtype.kind == "u" else 2.0**63
    inside = doubles < limit
    back = np.zeros_like(values)
    back[inside] = doubles[inside].astype(values.dtype)
    big = ~inside | (back != values)
    found[big] = mix((values[big].astype(np.uint64) ^ _BIG) + (values[big] < 0) * np.uint64(GOLDEN))


@singledispatch
def _words(chunk: Chunk) -> Array | None:
    return None


@_words.register
def _missing(chunk: Missing) -> Array:
    return np.full(chunk.n, ABSENT)


@_words.register
def _numbers(chunk: Numbers) -> Array | None:
    try:
        values = native(chunk.values)
    except TypeError:
        return None
    if values.dtype.kind != "c":
        return number_words(values)
    real, imaginary = number_words(values.real), number_words(values.imag)
    absent = np.isnan(values)
    plain = ~values.imag.astype(bool)
    found = np.where(plain, real, mix(real + _COMPLEX) + mix(imaginary + key(1)))
    found[absent] = ABSENT
    return found


@_words.register
def _texts(chunk: Texts) -> Array:
    if chunk.words is not None:
        return chunk.words.copy()
    ends = np.cumsum(chunk.lengths, dtype=np.int64).tolist()
    data = bytes(chunk.data)  # slices of bytes are cheaper than those of other buffers
    seed = _BINARY if chunk.binary else _TEXT
    stretches = zip([0, *ends], ends, strict=False)
    return np.array([xxh3_64_intdigest(data[start:end], seed) for start, end in stretches], np.uint64)


@_words.register
def _instants(chunk: Instants) -> Array:
    seconds, rest = seconds_and_rest(chunk.values, chunk.unit, chunk.kind)
    seed = np.uint64(
        mixed(INSTANTS[chunk.kind] + (1000 if chunk.unit in ("Y", "M") and chunk.kind == "duration" else 0))
    )
    found = mix(seconds.astype(np.uint64) + seed)
    return found if rest is None else found + np.where(rest != 0, mix(rest.astype(np.uint64) ^ seed), np.uint64(0))


@_words.register
def _decimals(chunk: Decimals) -> Array | None:
    numbers = as_numbers(chunk)
    if numbers is not None:
        return _numbers(numbers)
    found = []
    for value in chunk.values:
        one = as_numbers(Decimals(1, None, 0, [value]))
        if one is not None:
            found.append(int(number_words(one.values)[0]))
        else:
            found.append(xxh3_64_intdigest(decimal_text(value).encode(), _DECIMAL))
    return np.array(found, np.uint64)


@_words.register
def _lists(chunk: Lists) -> Array | None:
    inside = words(chunk.elements)
    if inside is None:
        return None
    lengths = chunk.lengths.astype(np.int64)
    ends = np.cumsum(lengths)
    starts = ends - lengths
    places = np.arange(len(inside), dtype=np.int64) - np.repeat(starts, lengths)
    keys = mix((places.astype(np.uint64) + np.uint64(1)) * np.uint64(GOLDEN))
    return mix(_segments(mix(inside + keys), starts, ends) + _LIST + lengths.astype(np.uint64))


def _segments(values: Array, starts: Array, ends: Array) -> Array:
    """Sums of stretches, modulo 2^64."""
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values, out=sums[1:])
    return sums[ends] - sums[starts]


@_words.register
def _structs(chunk: Structs) -> Array | None:
    count = chunk.n if chunk.valid is None else int(np.count_nonzero(chunk.valid))
    total = np.full(count, _STRUCT)
    for name, field in chunk.fields.items():
        inside = words(field)
        if inside is None:
            return None
        there = inside != ABSENT
        total[there] += mix(inside[there] + name_key(name))
    return mix(total)


@_words.register
def _mixed(chunk: Mixed) -> Array | None:
    found = np.empty(len(chunk.which), np.uint64)
    for kind, group in chunk.groups.items():
        inside = words(group)
        if inside is None:
            return None
        found[chunk.which == kind] = inside
    return found


@_words.register
def _tensors(chunk: Tensors) -> Array | None:
    """Of each tensor the leaf that it would have alone: hashing its bytes is faster than hashing each number."""
    inside = chunk.elements
    if not isinstance(inside, Numbers):
        return None
    shape = struct.pack(f"<{len(chunk.shape) + 1}Q", len(chunk.shape), *chunk.shape)
    if inside.valid is not None:
        each = _with_gaps(inside, chunk.n)
        return None if each is None else _tensor_words(shape, [leaf(one) for one in each])
    try:
        values = native(inside.values)
    except TypeError:
        return None
    size = len(values) // chunk.n if chunk.n else 0
    if not size or values.dtype.kind == "c":
        return None if chunk.n else np.empty(0, np.uint64)
    return _tensor_words(shape, matrix_leaves(np.ascontiguousarray(values).reshape(chunk.n, size)))


def _tensor_words(shape: bytes, leaves: list[Leaf]) -> Array:
    return np.array([xxh3_64_intdigest(shape + one.digest, TENSOR) for one in leaves], np.uint64)


def _with_gaps(inside: Numbers, n: int) -> list[Numbers] | None:
    """The elements of each tensor, some of which are missing."""
    if inside.values.dtype.kind == "c" or not n or inside.valid is None:
        return None
    each = inside.valid.reshape(n, -1)
    values = np.split(inside.values, np.cumsum(each.sum(axis=1))[:-1])
    return [Numbers(len(valid), valid, NULL, some) for valid, some in zip(each, values, strict=True)]


@_words.register
def _sparse(chunk: SparseRows) -> Array | None:
    try:
        values = native(chunk.values)
    except TypeError:
        return None
    if values.dtype.kind == "c":
        return None
    keys = mix((chunk.columns.astype(np.uint64) + np.uint64(1)) * np.uint64(GOLDEN))
    lengths = chunk.lengths.astype(np.int64)
    ends = np.cumsum(lengths)
    return mix(_segments(mix(number_words(values) + keys), ends - lengths, ends) + _SPARSE + np.uint64(chunk.width))
