"""Where the exporter puts things (neptune-exporter 0.1.0, `utils.py`)."""

from __future__ import annotations

import hashlib
import re
from typing import Final

_NAME: Final = 100
"""Characters of a name that a path keeps, where the name is our own to choose."""


def folder_name(name: str) -> str:
    """A name as the exporter makes a part of a path of it: what is no letter, digit, `_` or `-` is `_`, and a digest.

    The digest is BLAKE2b of 8 bytes, in hexadecimal digits.
    """
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return "".join(letter if letter.isalnum() or letter in "_-" else "_" for letter in name) + f"-{digest}"


def file_name(name: str) -> str:
    """The last step of a name, as a file's name that every system takes."""
    last = re.sub(r"[^\w.=+-]+", "_", name.rpartition("/")[2])[-_NAME:].strip(". ")
    return last or "file"
