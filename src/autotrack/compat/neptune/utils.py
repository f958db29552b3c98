"""The module `neptune.utils`: what code imports from it. The name is the product's."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from autotrack.compat.neptune.container import MetadataContainer
from autotrack.compat.neptune.types import StringifyValue
from autotrack.compat.neptune.typing import ProgressBarCallback


def stringify_unsupported(value: Any, expand: bool = False) -> StringifyValue | dict[str, Any]:
    """The value, or each value of a mapping, marked: what the client has no type for becomes text.

    With `expand`, lists, tuples and sets are mappings of their numbers.
    """
    if isinstance(value, Mapping):
        return {str(key): stringify_unsupported(one, expand) for key, one in value.items()}
    if expand and isinstance(value, list | tuple | set):
        return {str(number): stringify_unsupported(one, expand) for number, one in enumerate(value)}
    return StringifyValue(value)


def stop_synchronization_callback(neptune_object: MetadataContainer) -> None:
    """Stop an object: what the client calls when it falls behind, which the drop-in never does."""
    neptune_object.stop()


class NullProgressBar(ProgressBarCallback):
    """Shows nothing."""

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        return None

    def update(self, *, by: int, total: int | None = None) -> None:
        """Show nothing."""


class TqdmProgressBar(NullProgressBar):
    """Shows nothing: reading the local record takes no time worth a bar."""

    def __init__(
        self,
        *args: Any,
        description: str | None = None,
        unit: str | None = None,
        unit_scale: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)


__all__ = ["NullProgressBar", "TqdmProgressBar", "stop_synchronization_callback", "stringify_unsupported"]
