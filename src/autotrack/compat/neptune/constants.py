"""The client's constants."""

from __future__ import annotations

from typing import Final

ANONYMOUS_API_TOKEN: Final = "ANONYMOUS"
NEPTUNE_DATA_DIRECTORY: Final = ".neptune"
OFFLINE_DIRECTORY: Final = "offline"
ASYNC_DIRECTORY: Final = "async"
SYNC_DIRECTORY: Final = "sync"
OFFLINE_NAME_PREFIX: Final = "offline/"
MAX_32_BIT_INT: Final = 2**31 - 1
MIN_32_BIT_INT: Final = -(2**31)

__version__: Final = "1.14.0"
"""As in the module `neptune.version`."""

__all__ = [
    "ANONYMOUS_API_TOKEN",
    "ASYNC_DIRECTORY",
    "MAX_32_BIT_INT",
    "MIN_32_BIT_INT",
    "NEPTUNE_DATA_DIRECTORY",
    "OFFLINE_DIRECTORY",
    "OFFLINE_NAME_PREFIX",
    "SYNC_DIRECTORY",
]
