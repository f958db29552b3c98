"""Waiting for a product to be imported: a hook runs once its module is there whole, and never makes an import fail.

One finder stands first on `sys.meta_path`. It finds nothing itself: for a module that is awaited it asks the finders
behind it and has the loader they give call us after it has executed the module.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from autotrack import guard

Hook = Callable[[ModuleType], None]


class _Finder:
    def __init__(self) -> None:
        self.awaited: dict[str, list[Hook]] = {}
        self.unseen: set[str] = set()
        """Awaited modules whose import was under way when they were awaited, or whose loader cannot be followed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if self.unseen:  # not always: there are loops that look for a missing module at each step
            run_ready()
        if name not in self.awaited:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is None or not _call_after(spec.loader):
                    self.unseen.add(name)
                return spec
        return None


_finder = _Finder()


def when_imported(name: str, hook: Hook) -> None:
    """Call `hook(module)` once `name` has been fully imported: now, if it is; never, if it never is."""
    _finder.awaited.setdefault(name, []).append(hook)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    run_ready()


def forget() -> None:
    """Await nothing any more and leave `sys.meta_path` as it was."""
    _finder.awaited.clear()
    _finder.unseen.clear()
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


def run_ready() -> None:
    """Run the hooks of awaited modules that have become whole, such as one that was half imported when awaited."""
    for name in list(_finder.awaited):
        module = sys.modules.get(name)
        if module is None:
            continue
        if getattr(getattr(module, "__spec__", None), "_initializing", False):
            _finder.unseen.add(name)
            if type(module.__spec__) is ModuleSpec:
                module.__spec__.__class__ = _HalfImported
            continue
        _finder.unseen.discard(name)
        for hook in _finder.awaited.pop(name, ()):
            with guard.guarded(f"hook of {name}"):
                hook(module)


class _HalfImported(ModuleSpec):
    """The spec of a module whose import is under way, for as long as it is: the import's last step is to note its end.

    Else the module would be met at the next import of any other, and what is called until then would not be seen.
    """

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "_initializing" and not value:
            super().__setattr__("__class__", ModuleSpec)
            with guard.guarded("imports"):
                run_ready()


def _call_after(loader: object) -> bool:
    """Have the hooks called when `loader` has executed the module; False where it cannot be told to."""
    execute = getattr(loader, "exec_module", None)
    if execute is None:
        return False

    def exec_module(module: ModuleType) -> None:
        try:
            del loader.exec_module  # type: ignore[attr-defined]
        except AttributeError:
            pass
        execute(module)
        spec = module.__spec__
        if spec is not None and module.__name__ in _finder.awaited:
            for hook in _finder.awaited.pop(module.__name__):
                with guard.guarded(f"hook of {module.__name__}"):
                    hook(module)

    try:
        loader.exec_module = exec_module  # type: ignore[attr-defined]
    except AttributeError:  # a loader without a __dict__: the next import finds the module whole
        return False
    return True
