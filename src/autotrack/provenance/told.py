"""What stands in the place of data that is gone: how it was described, and identified, while it was there.

An integration describes and identifies data while it is there; `describe` and `run.log_dataset` take the `Told` later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrack import guard
from autotrack.provenance import dataset
from autotrack.provenance.fingerprint import registry

if TYPE_CHECKING:
    from autotrack.provenance.fingerprint.tables import Identified


class Told:
    """A record in the place of the data that it describes.

    `data`, where there is any, is read for the fingerprint: an `Identified`, the path of a file, named parts.
    """

    def __init__(self, record: dict[str, Any], data: Any = None) -> None:
        self.record = record
        self.data = data

    def described(self) -> dict[str, Any]:
        """A copy of the record, for somebody to add to."""
        return _copied(self.record)


def tell(data: Any) -> Told:
    """`data` as it is now, described and identified at once, and not kept."""
    return Told(dataset.describe(data, identify=False), identify(data))


def identify(data: Any) -> Identified | None:
    """The fingerprint of `data` as it is now, for a reader to give when it is gone; None where it cannot be read."""
    if "fingerprint" in guard.off:
        return None
    with guard.guarded("fingerprint"):
        found = registry.read(data)
        if found is None:
            return None
        from autotrack.provenance.fingerprint.identity import at_training
        from autotrack.provenance.fingerprint.tables import Identified

        return Identified(at_training(found, dataset.seconds))
    return None


def _copied(record: dict[str, Any]) -> dict[str, Any]:
    return {key: _copied(value) if isinstance(value, dict) else value for key, value in record.items()}


_NAME = f"{Told.__module__}.{Told.__qualname__}"
dataset.register(_NAME, Told.described)
registry.register_reader(_NAME, lambda told: told.data)
