"""The command line of a recorded run, as it is run again elsewhere: another interpreter, another folder.

The recorded environment and the new folder enter; the words to run and the working folder leave. Paths below the old
root of the code are moved; whatever else the command names stays as it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autotrack.reproduce.refused import Refused

_HIDDEN: Final = re.compile(r"(^|[=/:])\*\*\*(\W|$)")
_WITH_VALUE: Final = ("-W", "-X", "--check-hash-based-pycs")
_NOTEBOOKS: Final = ("ipykernel_launcher", "ipykernel", "colab_kernel_launcher")


@dataclass(frozen=True)
class Launch:
    """What to run, and where."""

    words: list[str]
    working_folder: Path


def launch(
    environment: Mapping[str, Any], root: Path | None, folder: Path, python: Path, notebook: Path | None = None
) -> Launch:
    """The command of a run whose code was in `root` and is in `folder` now. Raises `Refused`.

    `notebook` holds the cells that had been executed, where the run was made in one: they are run in that order.
    """
    working_folder = _working_folder(environment.get("working_folder"), root, folder)
    if notebook is not None:
        told = ["-m", "IPython", "--no-banner", "--no-confirm-exit", "--colors=NoColor", str(notebook)]
        return Launch([str(python), *told], working_folder)
    words = [str(word) for word in environment.get("command") or ()]
    if len(words) < 2:
        raise Refused("the command line of the run is not recorded, or it was an interactive session")
    _refuse_hidden(words)
    _refuse_ranks(environment.get("variables") or {})
    at, kind = _program(words)
    options = [moved(word, root, folder) for word in words[1:at]]
    rest = [moved(word, root, folder) for word in words[at:]]
    if kind == "script":
        rest[:1] = _script(rest[0], working_folder, folder, python)
    elif kind == "-m" and (rest[0][2:] or (rest[1:] or [""])[0]) in _NOTEBOOKS:
        raise Refused("the run was made in a notebook, and the cells that were executed are not recorded")
    return Launch([str(python), *options, *rest], working_folder)


def moved(word: str, root: Path | None, folder: Path) -> str:
    """`word` with a path below `root`, alone or behind an equals sign, moved to `folder`."""
    if root is None:
        return word
    name, equals, value = word.partition("=")
    if equals and os.path.isabs(value):
        return f"{name}={_moved(value, root, folder)}"
    return _moved(word, root, folder)


def _moved(path: str, root: Path, folder: Path) -> str:
    old = str(root)
    if path == old or path.startswith(old.rstrip(os.sep) + os.sep):
        return str(folder) + path[len(old.rstrip(os.sep)) :]
    return path


def _refuse_hidden(words: Sequence[str]) -> None:
    hidden = []
    for before, word in zip(["", *words], words, strict=False):
        if _HIDDEN.search(word):
            hidden.append(before if word == "***" else word)
    if hidden:
        raise Refused(
            f"the command line held secrets, which are not recorded ({', '.join(hidden)}): let the script read them "
            "from the environment or from a file, then a run can be repeated"
        )


def _refuse_ranks(variables: Mapping[str, Any]) -> None:
    size = str(variables.get("WORLD_SIZE") or "1")
    if size.isdigit() and int(size) > 1:
        raise Refused(f"the run was the work of {size} processes, and the command of their launcher is not recorded")


def _program(words: Sequence[str]) -> tuple[int, str]:
    """Where the interpreter's own options end, and what comes then: `script`, `-m` or `-c`."""
    at = 1
    while at < len(words):
        word = words[at]
        if word in _WITH_VALUE:
            at += 2
        elif word.startswith("-") and len(word) > 1 and not word.startswith(("--", "-W", "-X")):
            for letter in word[1:]:
                if letter in "mc":
                    return at, f"-{letter}"
            at += 1
        elif word.startswith("-") and word != "-":
            at += 1
        elif word == "-":
            break
        else:
            return at, "script"
    raise Refused("the program of the run was typed in or read from standard input, and is not recorded")


def _working_folder(was: str | None, root: Path | None, folder: Path) -> Path:
    if not was or root is None:
        return folder
    relative = os.path.relpath(os.path.realpath(was), os.path.realpath(root))
    if relative == os.pardir or not relative.startswith(os.pardir):
        found = Path(os.path.normpath(folder / relative))
    else:  # somewhere else: nothing of it is known, and nothing in it is to be overwritten
        found = folder.parent / "working-folder"
    found.mkdir(parents=True, exist_ok=True)
    return found


def _script(name: str, working_folder: Path, folder: Path, python: Path) -> list[str]:
    if (working_folder / name).exists():  # an absolute path stays one
        inside = Path(os.path.realpath(working_folder / name)).is_relative_to(os.path.realpath(folder))
        if inside or Path(name).parent.name not in ("bin", "Scripts"):
            return [name]
    program = Path(name)
    if program.parent.name in ("bin", "Scripts"):
        if program.stem == "autotrack":
            return ["-m", "autotrack"]
        here = python.parent / program.name
        if here.exists():
            return [str(here)]
    raise Refused(f"the script {name} is not in the code that was kept of the run")


__all__ = ["Launch", "launch", "moved"]
