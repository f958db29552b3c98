"""The errors that autotrack raises on purpose: each says what to do about it.

They reach only code that asked autotrack a question (a reading call, the CLI, a backend that answers the forwarder).
Nothing in this module is ever raised into a training call; what goes wrong there is reported by `autotrack.guard`.
"""

from __future__ import annotations


class AutotrackError(Exception):
    """Base of every error that autotrack raises on purpose."""


class UsageError(AutotrackError, ValueError):
    """An argument or a setting that cannot be used; the message names it and what would be accepted."""


class RunNotFound(AutotrackError, LookupError):
    """No run, or more than one, fits the id, prefix or name that was given."""


class ModelNotFound(AutotrackError, LookupError):
    """The run has no model of that name, or nothing was kept of it; the message says why, and which there are."""


class JournalUnavailable(AutotrackError, OSError):
    """The journal cannot be opened where `AUTOTRACK_HOME` points."""


class StoreError(AutotrackError):
    """The local store cannot be opened or is of a version that this release cannot read."""


class PluginError(AutotrackError):
    """A plugin was asked for by name and cannot be used; the message says what is missing."""


class BackendUnavailable(AutotrackError):
    """The backend cannot take events now: try the same batch again later.

    `retry_after` is the number of seconds that the backend itself asked for, if it did.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class BackendRejected(AutotrackError):
    """The backend will never take this batch as it is: the forwarder narrows it down to the events at fault."""
