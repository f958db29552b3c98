"""Where event files go."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from autotrack.errors import UsageError

VARIABLES: Final = ("AUTOTRACK_TENSORBOARD_DIR", "TENSORBOARD_LOGDIR", "TENSORBOARD_LOGGING_DIR")
"""TensorBoard itself has no variable: the second is what wrappers of it use, the third is that of transformers."""


def folder_from(environ: Mapping[str, str], home: Path) -> Path:
    """The folder that TensorBoard is to look at. Raises `UsageError` for what is no folder of this machine."""
    for variable in VARIABLES:
        value = environ.get(variable, "").strip()
        if not value:
            continue
        if "://" in value:
            raise UsageError(f"{variable}={value!r} is no folder of this machine; event files are written to folders")
        path = Path(value).expanduser()
        # The forwarder may have been started elsewhere: relative to the folder that the home is in.
        return path if path.is_absolute() else home.parent / path
    return home / "tensorboard"


__all__ = ["VARIABLES", "folder_from"]
