"""Reading a bundle of a snapshot without git: the pack that `snapshot` writes holds whole objects alone.

Bytes enter, in the formats of gitformat-bundle(5) and gitformat-pack(5), versions 2 and 3 of the former and 2 of the
latter; the files of the snapshot's tree leave. Every object is named by the hash of its content, so that the tree that
was asked for is the tree that comes out, or `Damaged` is raised.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_KINDS: Final = {1: b"commit", 2: b"tree", 3: b"blob", 4: b"tag"}
_BLOCK: Final = 1 << 14


class Damaged(Exception):
    """These bytes are no bundle of a snapshot, or not the one that was asked for."""


@dataclass(frozen=True)
class TreeFile:
    """A file of the tree: `mode` is 100644, 100755 or, for a symbolic link whose text `content` is, 120000."""

    path: str
    mode: str
    content: bytes


def tree_files(bundle: bytes, tree: str) -> Iterator[TreeFile]:
    """Every file of the tree named `tree`; submodules have none. Raises `Damaged`."""
    head, _, pack = bundle.partition(b"\n\n")
    if not head.startswith((b"# v2 git bundle\n", b"# v3 git bundle\n")):
        raise Damaged("it does not begin as a git bundle does")
    algorithm = "sha256" if b"@object-format=sha256" in head else "sha1"
    objects = _objects(pack, algorithm)
    yield from _walk(objects, tree, "")


def _objects(pack: bytes, algorithm: str) -> dict[str, tuple[bytes, bytes]]:
    size = 32 if algorithm == "sha256" else 20
    if (
        pack[:8] != b"PACK\0\0\0\2"
        or hashlib.new(algorithm, pack[:-size], usedforsecurity=False).digest() != pack[-size:]
    ):
        raise Damaged("its pack is not whole")
    found: dict[str, tuple[bytes, bytes]] = {}
    at = 12
    for _ in range(int.from_bytes(pack[8:12], "big")):
        byte = pack[at]
        kind, at = (byte >> 4) & 7, at + 1
        while byte & 0x80:  # the rest of the size, which inflating tells as well
            byte, at = pack[at], at + 1
        if kind not in _KINDS:
            raise Damaged("it holds differences, which a snapshot's bundle does not")
        content, at = _inflated(pack, at)
        named = hashlib.new(algorithm, b"%s %d\0" % (_KINDS[kind], len(content)), usedforsecurity=False)
        named.update(content)
        found[named.hexdigest()] = _KINDS[kind], content
    return found


def _inflated(pack: bytes, at: int) -> tuple[bytes, int]:
    """What is deflated at `at`, and where it ends."""
    inflate, parts = zlib.decompressobj(), []
    try:
        while not inflate.eof:
            block = pack[at : at + _BLOCK]
            if not block:
                raise Damaged("it ends too early")
            parts.append(inflate.decompress(block))
            at += len(block)
    except zlib.error as problem:
        raise Damaged(str(problem)) from None
    return b"".join(parts), at - len(inflate.unused_data)


def _walk(objects: dict[str, tuple[bytes, bytes]], tree: str, prefix: str) -> Iterator[TreeFile]:
    kind, content = objects.get(tree, (b"", b""))
    if kind != b"tree":
        raise Damaged(f"it has no tree {tree}")
    size, at = len(tree) // 2, 0
    while at < len(content):
        end = content.index(b"\0", at)
        mode, _, name = content[at:end].partition(b" ")
        at = end + 1 + size
        child, path = content[end + 1 : at].hex(), prefix + os.fsdecode(name)
        if mode == b"40000":
            yield from _walk(objects, child, path + "/")
        elif mode != b"160000":
            found = objects.get(child)
            if found is None:
                raise Damaged(f"it has no {path}")
            yield TreeFile(path, mode.decode(), found[1])
