"""The errors that autotrack raises on purpose: each says what to do about it.

They reach only code that asked autotrack a question (a reading call, the CLI, a backend that answers the forwarder).
Nothing in this module is ever raised into a training call; what goes wrong there is reported by `autotrack.guard`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class AutotrackError(Exception):
    """Base of every error that autotrack raises on purpose."""


class UsageError(AutotrackError, ValueError):
    """An argument or a setting that cannot be used; the message names it and what would be accepted."""


class QueryError(UsageError):
    """A query that cannot be understood: `position` and `length` say which characters of `text` are at fault."""

    def __init__(self, message: str, text: str, position: int, length: int = 1) -> None:
        super().__init__(message)
        self.text = text
        self.position = position
        self.length = max(1, length)
        self.add_note(self.pointer())  # Python shows it below the message

    def pointer(self) -> str:
        """The part of the query's line that is at fault and below it carets: two lines to print."""
        text = "".join(sign if sign.isprintable() else " " for sign in self.text)
        start = max(0, self.position - 60)
        ahead, behind = "…" if start else "", "…" if len(text) > start + 100 else ""
        carets = "^" * min(self.length, start + 100 - self.position)
        return f"{ahead}{text[start : start + 100]}{behind}\n{' ' * (len(ahead) + self.position - start)}{carets}"


class QueryTooSlow(AutotrackError):
    """A query took longer than `AUTOTRACK_QUERY_SECONDS` and was ended; the message says what to do."""


class RunNotFound(AutotrackError, LookupError):
    """No run, or more than one, fits the id, prefix or name that was given."""


class RunRemoved(RunNotFound):
    """The run was removed for good; the message says when, by whom and why. `run` is its id."""

    def __init__(self, message: str, run: str) -> None:
        super().__init__(message)
        self.run = run


class ModelNotFound(AutotrackError, LookupError):
    """The run has no model of that name, or nothing was kept of it; the message says why, and which there are."""


class RegistryConflict(AutotrackError):
    """A step of the registry came too late: somebody else was faster. It is in the log, and has changed nothing."""


class RegistryRefused(AutotrackError):
    """A protected alias stays where it is; `evidence` has what each gate said, where gates were asked."""

    def __init__(self, message: str, evidence: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.evidence = [dict(one) for one in evidence]


class BlobUnavailable(AutotrackError, OSError):
    """A file of a run is not in the home, and cannot be had from the team's object store; the message says why."""


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
