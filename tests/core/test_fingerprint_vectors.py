"""The published test vectors hold: a digest that was recorded once must be found again by every later version."""

import datetime as dt
import json
import struct
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from xxhash import xxh3_128_hexdigest

from autotrack.provenance.fingerprint import fingerprint, row_hashes

VECTORS = json.loads((Path(__file__).parents[2] / "docs" / "fingerprint-vectors.json").read_text(encoding="utf-8"))
DATA = {vector["what"]: vector for vector in VECTORS["data"]}
ALL_BITS = (1 << 64) - 1


def made(what: str):
    return eval(DATA[what]["python"], {"np": np, "dt": dt, "Decimal": Decimal})


@pytest.mark.parametrize("what", DATA)
def test_data_has_its_published_digests(what) -> None:
    found, vector = fingerprint(made(what)), DATA[what]
    assert {name: getattr(found, name) for name in ("value", "schema", "rows", "strict")} == {
        name: vector[name] for name in ("value", "schema", "rows", "strict")
    }
    assert [f"{number:016x}" for number in row_hashes(made(what))[:3].tolist()] == vector["row_hashes"]


@pytest.mark.parametrize("vector", VECTORS["leaves"], ids=lambda vector: vector["what"])
def test_a_leaf_is_the_hash_of_its_published_bytes(vector) -> None:
    assert xxh3_128_hexdigest(bytes.fromhex(vector["bytes"])) == vector["digest"]
    (part,) = fingerprint(made(vector["what"])).grid.parts
    assert part.leaf(0, 0).hex() == vector["digest"]


def test_a_value_follows_from_its_leaves_as_published() -> None:
    leaf = bytes.fromhex(next(one["digest"] for one in VECTORS["leaves"] if one["what"] == "small integers"))
    column = bytes.fromhex(xxh3_128_hexdigest(b"x1 column\0" + leaf))
    table = xxh3_128_hexdigest(b"x1 table\0" + struct.pack("<QQQ", 3, 65_536, 1) + column)
    assert DATA["small integers"]["value"] == "x1:" + table
    schema = xxh3_128_hexdigest(b'x1 schema\0{"columns":[["","object"]],"details":{"dims":1}}')
    assert DATA["small integers"]["schema"] == "x1:" + schema
    strict = xxh3_128_hexdigest(b"x1 strict\0" + bytes.fromhex(table) + bytes.fromhex(schema))
    assert DATA["small integers"]["strict"] == "x1:" + strict


def test_rows_follow_from_the_values_as_published() -> None:
    def mix(number: int) -> int:
        number &= ALL_BITS
        number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & ALL_BITS
        number = (number ^ number >> 27) * 0x94D049BB133111EB & ALL_BITS
        return number ^ number >> 31

    key = mix(0x9E3779B97F4A7C15)
    words = [struct.unpack("<Q", struct.pack("<d", number))[0] for number in (1.0, 2.0, 3.0)]
    hashes = [mix(mix(word + key)) for word in words]
    assert [f"{number:016x}" for number in hashes] == DATA["small integers"]["row_hashes"]
    lanes = [sum(mix(one ^ lane) for one in hashes) & ALL_BITS for lane in (0xA0761D6478BD642F, 0xE7037ED1A0B428DB)]
    assert DATA["small integers"]["rows"] == f"x1:{lanes[0]:016x}{lanes[1]:016x}"
