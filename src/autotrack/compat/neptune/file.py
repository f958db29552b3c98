"""The class `File`: a file on disk, content of its own, or a picture, chart or object made into content."""

from __future__ import annotations

import os
from enum import Enum
from io import IOBase
from typing import Any

from autotrack.compat.neptune import rendering
from autotrack.compat.neptune.exceptions import NeptuneException


class Value:
    """Base of all of them."""


class Atom(Value):
    """A single value."""


class FileType(Enum):
    """Where the content of a `File` is."""

    LOCAL_FILE = "LOCAL_FILE"
    IN_MEMORY = "IN_MEMORY"
    STREAM = "STREAM"


class File(Atom):
    """A file: of this path, or with content of its own."""

    def __init__(self, path: str | None = None, file_composite: Any = None) -> None:
        self._path = path
        self._content: bytes | None = None
        self._stream: IOBase | None = None
        self._extension = os.path.splitext(path)[1][1:] if path else ""

    @staticmethod
    def from_path(path: str, *, extension: str | None = None) -> File:
        """The file at `path`, as it is when it is uploaded."""
        made = File(path)
        made._extension = extension or made._extension
        return made

    @staticmethod
    def from_content(content: str | bytes, *, extension: str | None = None) -> File:
        """A file with this content; text is UTF-8."""
        made = File()
        made._content = content.encode() if isinstance(content, str) else bytes(content)
        made._extension = extension or ("txt" if isinstance(content, str) else "bin")
        return made

    @staticmethod
    def from_stream(stream: IOBase, *, seek: int | None = 0, extension: str | None = None) -> File:
        """What can be read from `stream`, from `seek` on; it is read when it is uploaded."""
        if seek is not None and stream.seekable():
            stream.seek(seek)
        made = File()
        made._stream = stream
        made._extension = extension or "bin"
        return made

    @staticmethod
    def as_image(image: Any, autoscale: bool = True) -> File:
        """A PNG of a picture, figure, array or tensor."""
        return File.from_content(rendering.as_png(image, autoscale), extension="png")

    @staticmethod
    def as_html(chart: Any, **kwargs: Any) -> File:
        """A page of a chart, figure or table."""
        return File.from_content(rendering.as_html(chart, **kwargs), extension="html")

    @staticmethod
    def as_pickle(obj: Any) -> File:
        """The object, pickled."""
        return File.from_content(rendering.as_pickle(obj), extension="pkl")

    @staticmethod
    def create_from(value: Any, **kwargs: Any) -> File:
        """The file that `value` is or can be made into. Raises `TypeError` for what cannot."""
        if isinstance(value, File):
            return value
        if isinstance(value, str | os.PathLike):
            return File.from_path(os.fspath(value))
        if isinstance(value, IOBase):
            return File.from_stream(value)
        if File.is_convertable_to_image(value) or rendering.is_array(value):
            return File.as_image(value)
        if File.is_convertable_to_html(value) or rendering.is_table(value):
            return File.as_html(value, **kwargs)
        raise TypeError(f"value of {type(value)} cannot be uploaded")

    @staticmethod
    def is_convertable(value: Any) -> bool:
        """Whether `create_from` makes a file of an object of this kind."""
        return (
            isinstance(value, File)
            or rendering.is_picture(value)
            or rendering.is_chart(value)
            or rendering.is_table(value)
            or rendering.is_array(value)
        )

    @staticmethod
    def is_convertable_to_image(value: Any) -> bool:
        """Whether assigning it uploads a picture."""
        return rendering.is_picture(value)

    @staticmethod
    def is_convertable_to_html(value: Any) -> bool:
        """Whether assigning it uploads a page."""
        return rendering.is_chart(value)

    @property
    def extension(self) -> str:
        """What the name ends in, without the dot."""
        return self._extension

    @property
    def file_type(self) -> FileType:
        """Where the content is."""
        if self._stream is not None:
            return FileType.STREAM
        return FileType.IN_MEMORY if self._content is not None else FileType.LOCAL_FILE

    @property
    def path(self) -> str:
        """The path of a file on disk. Raises `NeptuneException` for one with content of its own."""
        if self._path is None:
            raise NeptuneException(f"`path` attribute is not supported for {self.file_type}")
        return self._path

    @property
    def content(self) -> bytes:
        """The content of one that has its own. A stream is read once. Raises `NeptuneException` for a path."""
        if self._stream is not None:
            read = self._stream.read()
            self._content, self._stream = (read.encode() if isinstance(read, str) else read), None
        if self._content is None:
            raise NeptuneException(f"`content` attribute is not supported for {self.file_type}")
        return self._content

    def source(self) -> str | bytes:
        """What is to be kept: a path, or content."""
        return self._path if self._path is not None else self.content
