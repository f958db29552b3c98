"""Running a user's script as `python` itself would: the same `__main__`, `sys.argv` and `sys.path`, the same traceback.

A command line enters; what leaves is a function that becomes that program when it is called. What Python's own
`Modules/main.c` does is done here in its order. An exception of the script leaves through our frames, and Python prints
it and ends the process as it always does; a hook around the user's own `sys.excepthook` keeps our frames out of print.
"""

from __future__ import annotations

import builtins
import io
import os
import pkgutil
import runpy
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader, SourcelessFileLoader
from types import CodeType, ModuleType, TracebackType
from typing import Any

from autotrack.errors import UsageError

Ended = Callable[[BaseException | None], None]


@dataclass(frozen=True)
class Program:
    """A program that is yet to run: `arrange` makes this process look like it, `execute` runs it."""

    arrange: Callable[[], None]
    execute: Callable[[], None]


_ours: list[ModuleType] = []
"""The `__main__` that was there before: kept alive, since this very code may run in it."""


def script(name: str, arguments: list[str]) -> Program:
    """What `python NAME ARGUMENTS` runs: a file, or a folder or zip file that holds a `__main__.py`.

    Raises `UsageError` where there is no such script.
    """
    path = name if os.path.isabs(name) else os.path.join(os.getcwd(), name)
    if os.path.isdir(path) or _is_zip(path):
        return Program(lambda: _put_archive_first(path, [name, *arguments]), lambda: _run_module("__main__", False))
    try:
        with io.open_code(path) as file:
            content = file.read()
    except OSError as problem:
        raise UsageError(f"cannot open the script {name}: {problem.strerror}") from None

    def arrange() -> None:
        main = sys.modules["__main__"]
        main.__file__, main.__dict__["__cached__"] = path, None
        main.__loader__ = (SourcelessFileLoader if path.endswith(".pyc") else SourceFileLoader)("__main__", path)
        _put_first(os.path.dirname(os.path.realpath(path)), [name, *arguments])

    return Program(arrange, lambda: exec(_compiled(content, path), sys.modules["__main__"].__dict__))


def module(name: str, arguments: list[str]) -> Program:
    """What `python -m NAME ARGUMENTS` runs."""
    return Program(lambda: _put_first(os.getcwd(), ["-m", *arguments]), lambda: _run_module(name, True))


def become(program: Program, begin: Callable[[], Ended]) -> int:
    """Run the program as `__main__`. What it raises passes on.

    `begin` is called when this process looks like the program's, before its first line; what it returns, at the end
    with the exception that the program raised, or None.
    """
    _ours.append(sys.modules["__main__"])
    main = sys.modules["__main__"] = ModuleType("__main__")
    main.__dict__["__builtins__"] = builtins
    if sys.version_info < (3, 14):
        main.__annotations__ = {}
    program.arrange()
    ended = begin()
    try:
        program.execute()
    except BaseException as error:
        theirs = error.__traceback__ = _without_ours(error.__traceback__)
        ended(error)
        _print_only(error, theirs)
        raise
    ended(None)
    return 0


def _put_first(folder: str, command: list[str]) -> None:
    """Put the program's folder where Python puts it, in the place of our own; `python -P` has neither."""
    sys.argv[:] = command
    if not sys.flags.safe_path:
        sys.path[0] = folder


def _put_archive_first(path: str, command: list[str]) -> None:
    if sys.flags.safe_path:
        sys.path.insert(0, "")
    sys.argv[:], sys.path[0] = command, path


def _run_module(name: str, alter_argv: bool) -> None:
    # What `python -m` itself calls: `runpy.run_module` would put other frames into the traceback.
    run: Any = vars(runpy)["_run_module_as_main"]
    run(name, alter_argv)


def _compiled(content: bytes, path: str) -> CodeType:
    if path.endswith(".pyc"):
        read: Any = vars(pkgutil)["read_code"]
        code = read(io.BytesIO(content))
        if isinstance(code, CodeType):
            return code
    # `dont_inherit`: our own `from __future__` is not the script's.
    return compile(content, path, "exec", dont_inherit=True)


def _without_ours(traceback: TracebackType | None) -> TracebackType | None:
    while traceback is not None and traceback.tb_frame.f_globals is globals():
        traceback = traceback.tb_next
    return traceback


def _print_only(error: BaseException, theirs: TracebackType | None) -> None:
    hook = sys.excepthook

    def printed(kind: type[BaseException], value: BaseException, traceback: TracebackType | None) -> None:
        sys.excepthook = hook
        if value is error:
            value, traceback = value.with_traceback(theirs), theirs
        hook(kind, value, traceback)

    sys.excepthook = printed


def _is_zip(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False
