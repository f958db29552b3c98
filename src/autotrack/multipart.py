"""A file as the body of a form (multipart/form-data, RFC 7578), read from the disk while it is sent."""

from __future__ import annotations

import io
from typing import IO, Final

BOUNDARY: Final = "autotrack-1f0c6a7e5b1d4f0f9f6d3f"


class Multipart(io.RawIOBase):
    """One file in one field. `file_name` has no quotes."""

    def __init__(self, field: str, file_name: str, content: IO[bytes], size: int) -> None:
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{file_name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        ends = head.encode(), f"\r\n--{BOUNDARY}--\r\n".encode()
        self._parts: list[IO[bytes]] = [io.BytesIO(ends[0]), content, io.BytesIO(ends[1])]
        self._length = sum(map(len, ends)) + size

    @property
    def content_type(self) -> str:
        """For the header."""
        return f"multipart/form-data; boundary={BOUNDARY}"

    def __len__(self) -> int:
        return self._length

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, up to `size`."""
        if size < 0:
            return b"".join(part.read() for part in self._parts)
        while self._parts:
            if found := self._parts[0].read(size):
                return found
            del self._parts[0]
        return b""

    def readable(self) -> bool:
        """As a file."""
        return True


__all__ = ["BOUNDARY", "Multipart"]
