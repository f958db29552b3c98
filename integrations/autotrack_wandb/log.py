"""The framing of a `.wandb` file: LevelDB's log of records, behind W&B's own header of 7 bytes.

After `core/pkg/leveldb/record.go` of wandb 0.31. The file is a row of blocks of 32 KiB, the first with the header
`:W&B`, 0xBEE1, 0 in front. A block holds chunks, each with a CRC-32 (IEEE) of its type and data, a length of two bytes
and a type; a record that does not fit goes on in the next block. The last bytes of a block, fewer than 7, are zero.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

HEADER: Final = b":W&B\xe1\xbe\x00"
BLOCK: Final = 32 * 1024
_CHUNK: Final = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def framed(payload: bytes, at: int) -> bytes:
    """What is to be written at the position `at` of a file so that it goes on with this record."""
    out = bytearray()
    begun = False
    while True:
        room = BLOCK - (at + len(out)) % BLOCK
        if room < _CHUNK.size:
            out += bytes(room)
            room = BLOCK
        part, payload = payload[: room - _CHUNK.size], payload[room - _CHUNK.size :]
        kind = (_MIDDLE if payload else _LAST) if begun else (_FIRST if payload else _FULL)
        out += _CHUNK.pack(zlib.crc32(part, zlib.crc32(bytes((kind,)))), len(part), kind) + part
        if not payload:
            return bytes(out)
        begun = True


def is_log(path: Path) -> bool:
    """Whether the file begins as a `.wandb` file does."""
    with open(path, "rb") as file:
        return file.read(len(HEADER))[:6] == HEADER[:6]


def payloads(path: Path, damaged: Callable[[str], None]) -> Iterator[bytes]:
    """The records of a file, in order. A part that is damaged, or torn off at the end, is told and passed over.

    Raises `OSError`, and `ValueError` for a file that does not begin as such a file does.
    """
    with open(path, "rb") as file:
        if file.read(len(HEADER))[:6] != HEADER[:6]:
            raise ValueError(f"{path} is no .wandb file")
        block, at = HEADER + file.read(BLOCK - len(HEADER)), len(HEADER)
        record: list[bytes] | None = None
        while block:
            while at + _CHUNK.size <= len(block):
                checksum, length, kind = _CHUNK.unpack_from(block, at)
                if not checksum and not length and not kind:  # the rest of a block that was reserved and never written
                    break
                data = block[at + _CHUNK.size : at + _CHUNK.size + length]
                if len(data) < length:
                    record = None
                    damaged("the last record is torn off" if len(block) < BLOCK else "a chunk is longer than its block")
                    break
                if zlib.crc32(data, zlib.crc32(bytes((kind,)))) != checksum:
                    record = None
                    damaged("a block is damaged from one record on")
                    break
                at += _CHUNK.size + length
                if kind in (_FULL, _FIRST):
                    if record is not None:
                        damaged("a record has no end")
                    record = [data]
                elif record is None:  # the rest of a record whose beginning was damaged
                    continue
                else:
                    record.append(data)
                if kind in (_FULL, _LAST):
                    yield b"".join(record)
                    record = None
            block, at = file.read(BLOCK), 0
        if record is not None:
            damaged("the last record is torn off")
