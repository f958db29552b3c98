"""Where the project of this process is: its entry script, its folder, and the files of it that were imported.

The interpreter's own state enters (`__main__`, `sys.modules`, the working folder); nothing is imported or run to find
out. What was installed (`site-packages`, the standard library, the interpreter's folder of scripts) is no part of a
project.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import cache
from pathlib import Path

_INSTALLED = frozenset({"site-packages", "dist-packages"})
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
    working = Path.cwd()
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


def _is_installed(path: str) -> bool:
    folders = path.split(os.sep)
    return bool(_INSTALLED.intersection(folders)) or path.startswith(_interpreter())


@cache
def _interpreter() -> tuple[str, ...]:
    named = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "scripts")} | {
        os.path.dirname(sys.executable)
    }
    return tuple(os.path.abspath(path) + os.sep for path in named if path)
