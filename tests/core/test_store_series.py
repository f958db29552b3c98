"""A chunk's bytes give back exactly what went in, and say so when they are damaged or of a later version."""

import math
import struct
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from autotrack.errors import StoreError
from autotrack.store.series import (
    HEADER,
    Points,
    decode,
    decode_all,
    encode,
    from_steps,
    joined,
    step_from_text,
    step_text,
    summary,
)


def points(steps: list, values: list[float], times: list[int] | None = None) -> Points:
    numerators, scale = from_steps(steps)
    at = np.array(times if times is not None else range(len(steps)), dtype=np.int64)
    return Points(numerators, scale, at, np.array(values, dtype=np.float64))


def exact_steps(found: Points) -> list:
    return [found.step(index) for index in range(len(found))]


integers = some.integers(-(2**63), 2**63 - 1)
decimals = some.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=7)
steps = some.one_of(integers, decimals.map(lambda number: format(number, "f")))


@given(some.lists(some.tuples(steps, some.floats(), integers), max_size=60))
def test_any_points_come_back_bit_by_bit(rows: list[tuple]) -> None:
    given_points = points([row[0] for row in rows] or [], [row[1] for row in rows], [row[2] for row in rows])
    found = decode(encode(given_points))
    assert exact_steps(found) == [Decimal(row[0]) for row in rows]
    assert found.values.tobytes() == given_points.values.tobytes()
    assert found.times.tolist() == [row[2] for row in rows]


@given(some.lists(some.lists(steps, min_size=1, max_size=9), min_size=1, max_size=6))
def test_chunks_of_different_scales_join_exactly(parts: list[list]) -> None:
    made = [points(part, [0.0] * len(part)) for part in parts]
    wanted = [Decimal(step) for part in parts for step in part]
    assert exact_steps(joined(made)) == wanted
    found = decode_all([encode(one) for one in made])
    assert exact_steps(found) == wanted
    assert exact_steps(found.by_step()) == sorted(wanted)


def test_steps_are_integers_where_they_can_be_and_exact_where_not() -> None:
    assert points([1, 2], [0.0, 0.0]).steps.dtype == np.int64
    assert points(["0.1", 2], [0.0, 0.0]).steps.tolist() == [0.1, 2.0]
    assert points(["1.0", "2.50"], [0.0, 0.0]).steps.tolist() == [1.0, 2.5]
    tiny = points([2**62, "0.000000000000000000000000000001"], [0.0, 0.0])
    assert exact_steps(decode(encode(tiny))) == [2**62, Decimal("1E-30")]
    assert tiny.steps.tolist() == [2.0**62, 1e-30]
    for text in ("0", "-7", "0.25", "-0.1", "123456789012345678901234567890.5"):
        assert step_text(step_from_text(text)) == text
    for wrong in ("nan", "Infinity", "x"):
        with pytest.raises(ValueError, match="step"):
            from_steps(["0.5", wrong])


def test_a_summary_passes_over_nan_and_keeps_infinities() -> None:
    told = summary(points([3, 1, "2.5"], [1.0, -math.inf, math.nan]))
    assert (told.count, told.nan_count, told.first_step, told.last_step) == (3, 1, 1, 3)
    assert (told.last, told.min, told.max, told.last_time) == (None, -math.inf, 1.0, 2)
    empty = summary(points([1], [math.nan]))
    assert (empty.last, empty.min, empty.max, empty.nan_count) == (None, None, None, 1)


def test_points_of_one_step_stay_in_the_order_of_arrival() -> None:
    found = points([2, 1, 2, 1], [0.0, 1.0, 2.0, 3.0]).by_step()
    assert found.steps.tolist() == [1, 1, 2, 2] and found.values.tolist() == [1.0, 3.0, 0.0, 2.0]


@pytest.mark.parametrize("damage", ["short", "empty", "altered", "truncated"])
def test_damaged_bytes_are_an_error_not_wrong_points(damage: str) -> None:
    data = encode(points(list(range(100)), [float(at) for at in range(100)]))
    broken = {
        "short": data[:10],
        "empty": b"",
        "altered": data[:40] + bytes([data[40] ^ 0xFF]) + data[41:],
        "truncated": data[:-7],
    }[damage]
    with pytest.raises(StoreError, match="damaged"):
        decode(broken)


def test_a_later_version_asks_for_an_upgrade() -> None:
    with pytest.raises(StoreError, match="upgrade"):
        decode(b"\x09" + encode(points([1], [1.0]))[1:])


def test_the_document_is_enough_to_write_a_reader() -> None:
    """Decoded here with what `docs/store.md` says, and none of the store's code."""
    import zlib

    text = (Path(__file__).parents[2] / "docs" / "store.md").read_text()
    assert f"`{HEADER.format}`" in text
    data = encode(points(["0.5", 1, 3], [0.25, math.nan, -1.0], [10, 30, 20]))
    version, kind, _, scale, count, *lengths = struct.unpack_from("<BBHIIIII", data)
    assert (version, kind, scale, count) == (1, 0, 1, 3)
    at, sections = 28 - 4, []
    assert at == HEADER.size
    for length in lengths:
        planes = zlib.decompress(data[at : at + length])
        sections.append([bytes(planes[plane * count + index] for plane in range(8)) for index in range(count)])
        at += length
    assert at == len(data)

    def summed(section: list[bytes]) -> list[int]:
        total, found = 0, []
        for word in section:
            total = (total + int.from_bytes(word, "little")) % 2**64
            found.append(total - 2**64 if total >= 2**63 else total)
        return found

    assert summed(sections[0]) == [5, 10, 30] and summed(sections[1]) == [10, 30, 20]
    values = [struct.unpack("<d", word)[0] for word in sections[2]]
    assert values[0] == 0.25 and math.isnan(values[1]) and values[2] == -1.0
