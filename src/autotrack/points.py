"""Points: how metrics get into the journal, the hot path.

A mapping of values enters; an encoded event leaves, before the call returns. Everything that `log_metrics` does not
need lives in other methods, most of them in `autotrack.run`, whose runs these points belong to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autotrack import guard
from autotrack.events import METRICS_TAG, Event, NoteLogged, Sink, Step, encode
from autotrack.scalars import as_number, exact_step

if TYPE_CHECKING:
    from decimal import Decimal

_PLAIN = frozenset((float, int))
_time_ns = time.time_ns


class Points:
    """What a run has of the journal, and its series.

    Steps are exact: integers, or decimals such as `0.25`. Without a step a series goes on at the step after its last.
    """

    def __init__(self, run: str, sink: Callable[[], Sink]) -> None:
        """`sink` is asked for the journal at each event, so that a forked child writes to its own."""
        self.id = run
        self._sink = sink
        self.append = self._first_append
        """Appends an encoded event to this process's journal: bound at the first use, and anew in a forked child."""
        self._next_step: dict[str, int] = {}
        self._highest_step = -1

    def log_metrics(
        self, metrics: Mapping[str, float], step: Step | float | Decimal | None = None, *, not_to: Sequence[str] = ()
    ) -> None:
        """Record one point of each series in `metrics`, all at `step`.

        Values are floats, NaN and infinities included; numpy scalars and 0-d arrays are converted, and what is no
        number is left out with one warning. When this returns the points survive the death of the process.
        `not_to` names backends that get these very points from somebody else, and must not get them twice.
        """
        try:
            # One sum tells that all are plain numbers: with text, None or a list it raises, and a numpy scalar, a
            # tensor or a decimal gives another type. Looking at each value would cost twice as much.
            if type(step) is int and type(sum(metrics.values())) in _PLAIN and not not_to:
                if step > self._highest_step:
                    self._highest_step = step
                self.append(encode((METRICS_TAG, self.id, _time_ns(), step, metrics)))
                return
        except Exception:  # the careful way says what it is
            pass
        with guard.guarded("log_metrics"):
            self._log_metrics_carefully(metrics, step, not_to)

    def log_metric(self, key: str, value: float, step: Step | float | Decimal | None = None) -> None:
        """Record one point of one series."""
        self.log_metrics({key: value}, step)

    def note(self, what: str, why: str, count: int = 1) -> None:
        """Say in the record that something is missing from it, or was changed."""
        with guard.guarded("note"):
            from autotrack.provenance.masking import masked

            self._append(NoteLogged(self.id, _time_ns(), what, count, masked(why)))

    def unbind(self) -> None:
        """Ask for the journal again at the next event: the one at hand is closed, or another process's."""
        self.append = self._first_append

    def _first_append(self, payload: bytes) -> bool:
        self.append = self._sink().append
        return self.append(payload)

    def _append(self, event: Event, *, essential: bool = False) -> None:
        self._sink().append_event(event, essential=essential)

    def _log_metrics_carefully(self, metrics: Mapping[str, Any], step: Any, not_to: Sequence[str]) -> None:
        values: dict[str, float] = {}
        for key, value in metrics.items():
            name = key if type(key) is str else str(key)
            number = as_number(value)
            if number is None:
                if guard.warn_once(f"metric:{self.id}:{name}", f"metric {name!r} is not a number and is left out"):
                    self.note(f"metric {name}", f"a {type(value).__name__} is not a number")
            else:
                values[name] = number
        if not values:
            return
        if step is None:
            for at, part in self._by_next_step(values).items():
                self.append(encode((METRICS_TAG, self.id, _time_ns(), at, part, not_to)))
            return
        exact = exact_step(step)
        if isinstance(exact, int) and exact > self._highest_step:
            self._highest_step = exact
        self.append(encode((METRICS_TAG, self.id, _time_ns(), exact, values, not_to)))

    def _by_next_step(self, values: dict[str, float]) -> dict[int, dict[str, float]]:
        parts: dict[int, dict[str, float]] = {}
        for key, value in values.items():
            at = max(self._next_step.get(key, 0), self._highest_step + 1)
            self._next_step[key] = at + 1
            parts.setdefault(at, {})[key] = value
        return parts
