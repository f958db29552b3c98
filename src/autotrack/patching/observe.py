"""Observing a function of somebody else's: the only code that patches, and the only code that calls an original.

An observer is a generator function. It is given the `Call`, looks at it, yields once, and receives the `Outcome`:

    def watch_fit(call):
        run = open_run(call.args[0])
        outcome = yield
        close_run(run, outcome)

The original runs exactly once, with the very same arguments, outside any guard; its result and its exception pass
untouched. Whatever the observer raises is reported and goes no further.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeAlias

from autotrack import guard

_ABSENT: Any = object()


class Call(NamedTuple):
    """A call as it came: `args` holds the instance first where a method is observed. To look at, never to change."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Outcome(NamedTuple):
    """How the original ended: its `result`, or the `error` that it raised."""

    result: Any
    error: BaseException | None


Observer: TypeAlias = Callable[[Call], Generator[None, Outcome, None]]


class Patch:
    """One observed place: `owner.name`, which a class, a module or any object with that attribute may own."""

    def __init__(self, owner: Any, name: str, observer: Observer, part: str) -> None:
        self.owner = owner
        self.name = name
        self.part = part
        self.on = True
        self._observer = observer
        self._own = vars(owner).get(name, _ABSENT)
        self._original = getattr(owner, name)
        self._wrapper = self._wrap(self._own, self._original)
        setattr(owner, name, self._wrapper)

    def remove(self) -> None:
        """Put the original back; under a wrapper that another tool placed on top, stay there and do nothing."""
        self.on = False
        if vars(self.owner).get(self.name) is not self._wrapper:
            return
        if self._own is _ABSENT:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self._own)

    def _wrap(self, own: Any, original: Any) -> Any:
        if isinstance(own, staticmethod):
            return staticmethod(self._function(own.__func__))
        if isinstance(own, classmethod):
            return classmethod(self._function(own.__func__))
        return self._function(original)

    def _function(self, original: Callable[..., Any]) -> Callable[..., Any]:
        # A plain function, so that it pickles by reference and its signature, name and doc are the original's.
        @functools.wraps(original)
        def observed(*args: Any, **kwargs: Any) -> Any:
            if not self.on or guard.is_off(self.part):
                return original(*args, **kwargs)
            watching = self._begin(Call(original, args, dict(kwargs)))
            try:
                result = original(*args, **kwargs)
            except BaseException as error:
                self._finish(watching, Outcome(None, error))
                raise
            self._finish(watching, Outcome(result, None))
            return result

        return observed

    def _begin(self, call: Call) -> Generator[None, Outcome, None] | None:
        try:
            watching = self._observer(call)
            next(watching)
        except StopIteration:
            return None
        except Exception as error:
            guard.report(self.part, error)
            return None
        return watching

    def _finish(self, watching: Generator[None, Outcome, None] | None, outcome: Outcome) -> None:
        if watching is None:
            return
        try:
            watching.send(outcome)
        except StopIteration:
            return
        except Exception as error:
            guard.report(self.part, error)
            return
        watching.close()


def observe(owner: Any, name: str, observer: Observer, *, part: str) -> Patch:
    """Observe every call of `owner.name` until the returned patch is removed; faults are told under `part`."""
    return Patch(owner, name, observer, part)
