"""What the backend `neptune` asks of the product's clients: one for Neptune 3, one for Neptune 2 do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol


class Client(Protocol):
    """What the backend asks of either client. Paths and values are such that Neptune takes them."""

    whole_numbers: tuple[int, int]
    """Smallest and largest integer that is kept as one."""
    non_finite: bool
    """Whether series hold NaN and infinities."""
    stopped: bool
    """Whether the client has given up for good."""
    states: str | None
    """Why a run that goes on in another process is not one run; None where it is."""

    def begin(self, run: str, name: str, project: str, time: int) -> None:
        """Open the run, if this process has not."""

    def values(self, run: str, values: Mapping[str, Any]) -> None:
        """Single values under their paths."""

    def step(self, step: Decimal) -> float | int | None:
        """A step as the client takes it; None where it would make another one of it."""
        ...

    def points(self, run: str, values: Mapping[str, float], step: float | int, time: int) -> None:
        """One point of each series."""

    def text(self, run: str, path: str, text: str, step: int, time: int) -> None:
        """One entry of a series of texts."""

    def file(self, run: str, path: str, digest: str, media_type: str, name: str) -> bool:
        """A file that is kept here; whether it is still there."""
        ...

    def words(self, run: str, path: str, words: set[str]) -> None:
        """Add words to a set."""

    def confirm(self) -> Sequence[tuple[str, str, str]]:
        """Wait until the server has everything; gives what it refused, as (run, what, why).

        Raises `BackendUnavailable` where it does not within its time.
        """
        ...

    def hold(self) -> None:
        """What was written counts."""

    def end(self, run: str) -> None:
        """Nothing more comes for the run, as far as is known."""

    def back(self) -> None:
        """What was written since `hold` does not count."""

    def close(self) -> None:
        """Let go of the server."""
