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
from types import FunctionType
from typing import Any, NamedTuple, TypeAlias

from autotrack import guard

_ABSENT: Any = object()


class Call(NamedTuple):
    """A call as it came: `args` holds the instance first where a method is observed. To look at, never to change."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def named(self) -> dict[str, Any]:
        """The arguments by the names of the function's parameters, defaults included.

        Positions beyond what the signature allows are named too: a decorator may still take keyword-only arguments so.
        """
        from inspect import Parameter, signature

        parameters = signature(self.function).parameters
        defaults = {name: it.default for name, it in parameters.items() if it.default is not Parameter.empty}
        return {**defaults, **dict(zip(parameters, self.args, strict=False)), **self.kwargs}


def elements(argument: Any) -> list[Any]:
    """The elements of an argument that is a list, tuple or set, and of any other none.

    Another iterable could be read only once, and that is for the product to do.
    """
    return list(argument) if isinstance(argument, list | tuple | set | frozenset) else []


class Outcome(NamedTuple):
    """How the original ended: its `result`, or the `error` that it raised."""

    result: Any
    error: BaseException | None


Observer: TypeAlias = Callable[[Call], Generator[None, Outcome, None] | None]
"""Looks at a call: a generator looks at it before, is sent the outcome at its `yield`, and ends; a plain function,
which costs less, looks at it before only."""


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
        self.lift()

    def lift(self) -> bool:
        """Remove it; returns whether the original is back, or somebody else's wrapper lies on top."""
        self.on = False
        if vars(self.owner).get(self.name) is not self._wrapper:
            return False
        if self._own is _ABSENT:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self._own)
        return True

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
            if not self.on or self.part in guard.off:
                return original(*args, **kwargs)
            watching = begin(self._observer, Call(original, args, dict(kwargs)), self.part)
            try:
                result = original(*args, **kwargs)
            except BaseException as error:
                finish(watching, Outcome(None, error), self.part)
                raise
            finish(watching, Outcome(result, None), self.part)
            return result

        return observed


class Switch:
    """A place that is observed while the switch is on; in between the original stands there, and calls cost nothing."""

    def __init__(self, owner: Any, name: str, observer: Observer, part: str) -> None:
        self._make = functools.partial(Patch, owner, name, observer, part)
        self._patch: Patch | None = None
        self._removed = False

    def on(self) -> None:
        """Observe from now on."""
        if self._removed:
            return
        if self._patch is None:
            self._patch = self._make()
        else:  # it has stayed there, below another tool's wrapper
            self._patch.on = True

    def off(self) -> None:
        """Observe no more, until it is switched on again."""
        patch = self._patch
        if patch is not None:
            self._patch = None if patch.lift() else patch

    def remove(self) -> None:
        """Switch off for good."""
        self._removed = True
        self.off()


def observe(owner: Any, name: str, observer: Observer, *, part: str) -> Patch:
    """Observe every call of `owner.name` until the returned patch is removed; faults are told under `part`."""
    return Patch(owner, name, observer, part)


class CodePatch:
    """An observed function that is changed in place: whoever holds it, and since whenever, calls the observer.

    For a plain function of a module, which `from product import train` takes by value, and which is on its way already
    while the arguments of its call are made. Its code is replaced; the function stays the same object, and what calls
    the original is a copy of it.
    """

    def __init__(self, function: Any, observer: Observer, part: str) -> None:
        if not isinstance(function, FunctionType) or function.__closure__:
            raise LookupError(f"{function!r} is not a function that closes over nothing")
        self._function: Any = function
        self._code, self._keywords = function.__code__, function.__kwdefaults__
        original = FunctionType(self._code, function.__globals__, function.__name__, function.__defaults__)
        original.__kwdefaults__ = self._keywords
        functools.update_wrapper(original, function)
        del vars(original)["__wrapped__"]
        holder = _Holder(original)
        self._inner = Patch(holder, "function", observer, part)
        self._had_wrapped = vars(function).get("__wrapped__", _ABSENT)
        vars(function)["__wrapped__"] = original  # where `inspect` finds the signature and the source
        # A keyword that the old code does not know does no harm, so that a call in another thread finds either whole.
        function.__kwdefaults__ = {**(self._keywords or {}), "_autotrack_observed": holder.function}
        self._stub = _stub.__code__.replace(co_name=function.__name__)
        function.__code__ = self._stub

    def remove(self) -> None:
        """Put the original code back, unless another tool has replaced it since."""
        self._inner.on = False
        if self._function.__code__ is not self._stub:
            return
        self._function.__code__ = self._code
        self._function.__kwdefaults__ = self._keywords
        if self._had_wrapped is _ABSENT:
            del self._function.__wrapped__
        else:
            self._function.__wrapped__ = self._had_wrapped


def _stub(*args: Any, _autotrack_observed: Callable[..., Any], **kwargs: Any) -> Any:
    return _autotrack_observed(*args, **kwargs)


class CellPatch:
    """An observed function inside the closure of another, such as the one that a decorator wraps.

    Every name that was bound to the outer function before, anywhere, sees the observer.
    """

    def __init__(self, function: Any, variable: str, observer: Observer, part: str) -> None:
        try:
            index = function.__code__.co_freevars.index(variable)
        except (AttributeError, ValueError):
            raise LookupError(f"{function!r} has no closure over {variable!r}") from None
        self._cell = function.__closure__[index]
        self._original = self._cell.cell_contents
        holder = _Holder(self._original)
        self._inner = Patch(holder, "function", observer, part)
        self._wrapper = holder.function
        self._cell.cell_contents = self._wrapper

    def remove(self) -> None:
        """Put the original back, unless another tool has replaced it since."""
        self._inner.on = False
        if self._cell.cell_contents is self._wrapper:
            self._cell.cell_contents = self._original


class _Holder:
    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function


class ContextPatch:
    """An observed function that returns a context manager: the observer spans the `with` block, not the call."""

    def __init__(self, owner: Any, name: str, observer: Observer, part: str) -> None:
        self.on = True
        self.owner, self.name, self.part = owner, name, part
        self._original = original = getattr(owner, name)
        self._observer = observer

        @functools.wraps(original)
        def observed(*args: Any, **kwargs: Any) -> Any:
            manager = original(*args, **kwargs)
            if not self.on or part in guard.off:
                return manager
            return _ObservedBlock(manager, part, observer, Call(original, args, kwargs))

        self._wrapper = observed
        setattr(owner, name, observed)

    def remove(self) -> None:
        """Put the original back; under another tool's wrapper, stay there and do nothing."""
        self.on = False
        if getattr(self.owner, self.name) is self._wrapper:
            setattr(self.owner, self.name, self._original)


class _ObservedBlock:
    __slots__ = ("_call", "_manager", "_observer", "_part", "_watching")

    def __init__(self, manager: Any, part: str, observer: Observer, call: Call) -> None:
        self._manager, self._part, self._observer, self._call = manager, part, observer, call
        self._watching: Generator[None, Outcome, None] | None = None

    def __enter__(self) -> Any:
        self._watching = begin(self._observer, self._call, self._part)
        try:
            return self._manager.__enter__()
        except BaseException as error:
            finish(self._watching, Outcome(None, error), self._part)
            raise

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> Any:
        try:
            return self._manager.__exit__(kind, error, traceback)
        finally:
            finish(self._watching, Outcome(None, error), self._part)


def begin(observer: Observer, call: Call, part: str) -> Generator[None, Outcome, None] | None:
    """Run an observer up to its `yield`; None where it does not want to see the outcome, or failed."""
    try:
        watching = observer(call)
        if watching is None:
            return None
        next(watching)
    except StopIteration:
        return None
    except Exception as error:
        guard.report(part, error)
        return None
    return watching


def finish(watching: Generator[None, Outcome, None] | None, outcome: Outcome, part: str) -> None:
    """Tell an observer how the call ended."""
    if watching is None:
        return
    try:
        watching.send(outcome)
    except StopIteration:
        return
    except Exception as error:
        guard.report(part, error)
        return
    watching.close()
