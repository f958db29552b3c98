"""What the battery asks of each backend: a place of its own, variables that lead there, and the product's own reader.

`test_backends.py` runs the same tests on every subject below `subjects/`: one module a backend, with a class `Subject`
that is made with a fresh folder. What a product cannot carry is said in `carries`, and must then be told as a note.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

EVERYTHING: Final = frozenset(
    {
        "nan",  # points that are not a number
        "infinities",
        "fractional_steps",
        "equal_points",  # the same key, step, time and value twice, as two points
        "repeated_steps",  # two values of one series at one step
        "times",  # of points, in milliseconds or finer
        "exact_values",  # 64-bit floats as they are
        "changed_params",  # the newest value of a param that was logged again
        "param_types",  # numbers and booleans as such, not as text
        "tags",
        "nested",
        "status",
        "error",  # the message of a failed run
        "datasets",
        "models",
        "artifacts",
        "resumed",  # a run that goes on in another process is one run there
        "registry",  # steps of registered models: versions and aliases
    }
)


@dataclass
class ReadRun:
    """One run as the product's own reader gives it, in our words."""

    name: str
    status: str | None = None
    """One of autotrack's words, as far as the product tells them apart; None where it has none."""
    params: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    """For each series under the name it has there: (step as decimal text, value), in the order of the reader."""
    times: dict[str, list[float]] = field(default_factory=dict)
    """Beside each point of `metrics` its time, in seconds since the epoch. Needed where `times` are carried."""
    tags: dict[str, str] = field(default_factory=dict)
    """Without those that the backend adds by itself."""
    parent: str | None = None
    """Our id of its parent."""
    datasets: list[tuple[str, str]] = field(default_factory=list)
    """(role, name)"""
    models: dict[str, bytes] = field(default_factory=dict)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    error: str | None = None


@dataclass
class ReadModel:
    """A registered model as the product's own reader gives it, in our words."""

    versions: list[str] = field(default_factory=list)
    """Digests, the oldest version first."""
    aliases: dict[str, str] = field(default_factory=dict)
    """The digest that each points to."""


class Subject(Protocol):
    """One backend under test."""

    name: str
    """As in AUTOTRACK_BACKENDS."""
    carries: frozenset[str]
    """Of `EVERYTHING`, what the product can carry."""
    url_variable: str | None
    """For a product that is reached by HTTP: the variable that holds the address: faults can then stand in between."""
    listens: str | None
    """The address that its server has, once it was started; the battery puts a proxy in front of it."""

    def __init__(self, folder: Path) -> None:
        """A place of its own below `folder`. Skips the test (`pytest.skip`) where the product is not installed.

        The battery's homes are the folders below `folder / "homes"`: only the local store has its reader look there.
        """

    def start(self) -> dict[str, str]:
        """Start its server if it has one; give the environment variables that lead the backend there."""
        ...

    def read(self) -> dict[str, ReadRun]:
        """Every run that is there now, by our id, as the product's own reader gives them (in a process of its own
        where that changes the process). Twice the same run, or one without our id, is an `AssertionError`.
        """
        ...

    def read_model(self, name: str) -> ReadModel:
        """A registered model that is there now. Only for those that carry `registry`."""
        ...

    def stop(self) -> None:
        """End what `start` started."""
