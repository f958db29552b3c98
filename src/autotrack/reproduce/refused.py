"""Why a run cannot be run again: told to the user, as the verdict `refused`."""

from __future__ import annotations

from autotrack.errors import AutotrackError


class Refused(AutotrackError):
    """The record does not hold what is needed, or running it would not be running the same; the message says what."""
