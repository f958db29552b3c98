"""Where the project of this process is: its entry script, its folder, and the files of it that were imported.

The interpreter's own state enters (`__main__`, `sys.modules`, the working folder); nothing is imported or run to find
out. What was installed (`site-packages`, the standard library, the interpreter's folder of scripts) is no part of a
project.
"""

from __future__ import annotations

import os
import struct
import sys
import sysconfig
import time
from functools import cache
from pathlib import Path

from autotrack.provenance.process import started_in

_INSTALLED = frozenset({"site-packages", "dist-packages"})
_ROUNDED = 0.1
"""Seconds that the time at which a process began may be too early: it is told on another clock than the files'."""
CODE = (".py", ".pyw", ".ipynb", ".so", ".pyd")
"""What modules of a project are, by their endings."""


@cache
def entry() -> Path | None:
    """The script that runs, or the module of `python -m`; None in a notebook, at a prompt and for an installed program.

    To be asked first while the script runs: the interpreter forgets its name with its last line.
    """
    main = sys.modules.get("__main__")
    file = vars(main).get("__file__") if main is not None else None
    if not isinstance(file, str):
        return None
    path = Path(os.path.abspath(file))
    return path if path.is_file() and not _is_installed(str(path)) else None


def folder() -> Path:
    """The folder that the project's files are below, as far as can be told without git. Raises `OSError`.

    That of the entry script; for a module in a package, that of the outermost package; where the script lies below
    the working folder, the working folder, since it is started from there. Else the working folder.
    """
    working = Path(started_in())
    script = entry()
    if script is None:
        return working
    spec = vars(sys.modules["__main__"]).get("__spec__")
    depth = spec.name.count(".") if spec is not None else 0
    home = script.parents[min(depth, len(script.parents) - 1)]
    broad = working == Path(working.anchor) or working == Path(os.path.expanduser("~"))
    return working if not broad and working in (home, *home.parents) else home


def start() -> Path:
    """Where to look for a repository: at the entry script, else in the working folder. Raises `OSError`."""
    script = entry()
    return script.resolve().parent if script is not None else Path.cwd()


def imported(root: Path) -> set[str]:
    """Paths, relative and with `/`, of the sources below `root` that this process has imported, and its script."""
    inside = os.path.realpath(root).rstrip(os.sep) + os.sep
    script = entry()
    files = {str(script)} if script is not None else set()
    for module in list(sys.modules.values()):
        file = getattr(module, "__dict__", {}).get("__file__")  # asking the module might load one that is lazy
        if isinstance(file, str) and file.endswith(CODE) and not _is_installed(file := os.path.abspath(file)):
            files.add(file)
    folders = {folder: os.path.realpath(folder) for folder in {os.path.dirname(file) for file in files}}
    real = (os.path.join(folders[os.path.dirname(file)], os.path.basename(file)) for file in files)
    return {file[len(inside) :].replace(os.sep, "/") for file in real if file.startswith(inside)}


def written_since_read(root: Path) -> set[str]:
    """Of the sources below `root` that this process has read, those that were written since, by paths as `imported`.

    The script was read when the process began. When a module was read its compiled form tells, in which Python notes
    the time and the size of the source; of a module without one it is not known, and it is not told.
    """
    begun = _begun()
    if begun is None:
        return set()
    script = entry()
    found = {str(script)} if script is not None and _written(str(script), begun) else set()
    for module in list(sys.modules.values()):
        known = getattr(module, "__dict__", {})
        file, compiled = known.get("__file__"), known.get("__cached__")
        if not isinstance(file, str) or not isinstance(compiled, str) or not file.endswith(".py"):
            continue
        if _written(file, begun) and not _is_installed(os.path.abspath(file)) and _is_another(file, compiled):
            found.add(os.path.abspath(file))
    inside = os.path.realpath(root).rstrip(os.sep) + os.sep
    real = (os.path.realpath(file) for file in found)
    return {file[len(inside) :].replace(os.sep, "/") for file in real if file.startswith(inside)}


def _written(file: str, begun: float) -> bool:
    try:
        return os.stat(file).st_mtime > begun + _ROUNDED
    except OSError:
        return False


def _is_another(file: str, compiled: str) -> bool:
    """Whether the source is not the one that `compiled` (PEP 552) was made of; False where it does not say."""
    try:
        with open(compiled, "rb") as opened:
            flags, written, size = struct.unpack("<4xIII", opened.read(16))
        status = os.stat(file)
    except (OSError, struct.error):
        return False
    return not flags and (written, size) != (int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF)


@cache
def _begun() -> float | None:
    """When this process began, in seconds since 1970; None where the system does not tell."""
    try:
        with open("/proc/self/stat", "rb") as opened:
            ticks = float(opened.read().rpartition(b")")[2].split()[19])
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        pass
    try:
        import psutil

        return float(psutil.Process().create_time())
    except Exception:  # not installed, or not allowed
        return None


def _is_installed(path: str) -> bool:
    folders = path.split(os.sep)
    return bool(_INSTALLED.intersection(folders)) or path.startswith(_interpreter())


@cache
def _interpreter() -> tuple[str, ...]:
    named = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "scripts")} | {
        os.path.dirname(sys.executable)
    }
    return tuple(os.path.abspath(path) + os.sep for path in named if path)
