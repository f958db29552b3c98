"""The module `neptune.typing`."""

from __future__ import annotations

import abc
import contextlib
from typing import Any, TypeAlias

from autotrack.compat.neptune.container import MetadataContainer
from autotrack.compat.neptune.objects import NeptuneObjectCallback

NeptuneObject: TypeAlias = MetadataContainer
SupportsNamespaces: TypeAlias = MetadataContainer
"""What has paths below it."""


class ProgressBarCallback(contextlib.AbstractContextManager["ProgressBarCallback"]):
    """Base of progress bars of the user's: taken, and never called."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    @abc.abstractmethod
    def update(self, *, by: int, total: int | None = None) -> None:
        """Show that it goes on."""


ProgressBarType: TypeAlias = bool | type[ProgressBarCallback]

__all__ = ["NeptuneObject", "NeptuneObjectCallback", "ProgressBarCallback", "ProgressBarType", "SupportsNamespaces"]
