"""The metadata of a client that is not installed: frameworks ask for its version before they use it."""

from __future__ import annotations

from importlib.metadata import Distribution
from typing import Any, Final

VERSIONS: Final = {"neptune": "1.14.0", "neptune_scale": "0.30.0"}
"""The version of the client that each drop-in stands in for."""


class StandIn(Distribution):
    """A distribution, as far as its name and version."""

    def __init__(self, product: str) -> None:
        self._product = product

    def read_text(self, filename: str) -> str | None:
        """The file METADATA; None for all others."""
        if filename not in ("METADATA", "PKG-INFO"):
            return None
        name = self._product.replace("_", "-")
        return f"Metadata-Version: 2.1\nName: {name}\nVersion: {VERSIONS[self._product]}\n"

    def locate_file(self, path: Any) -> Any:
        """Nowhere: there are no files."""
        return path
