"""What this process is: the environment and the code of its runs, taken once, without starting a program."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

from autotrack.journal.liveness import host_name
from autotrack.provenance.masking import masked_command
from autotrack.settings import imported_in


@cache
def environment() -> dict[str, Any]:
    """Python, operating system, host, pid, working folder and command line, secrets masked."""
    system = os.uname() if hasattr(os, "uname") else None
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "implementation": sys.implementation.name,
        "executable": sys.executable,
        "system": f"{system.sysname} {system.release} {system.machine}" if system else sys.platform,
        "host": host_name(),
        "processors": os.cpu_count(),
        "working_folder": started_in(),
        "command": masked_command(sys.orig_argv),
    }


@cache
def code() -> dict[str, Any]:
    """The script and, in a git checkout, its commit and branch as `.git` tells them."""
    found: dict[str, Any] = {}
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if main:
        found["script"] = os.path.abspath(main)
    start = Path(main).resolve().parent if main else Path(started_in())
    for folder in (start, *start.parents):
        head = folder / ".git" / "HEAD"
        if not head.is_file():
            continue
        text = head.read_text(errors="replace").strip()
        found["repository"] = str(folder)
        if text.startswith("ref: "):
            reference = text[5:]
            found["branch"] = reference.removeprefix("refs/heads/")
            text = _reference(folder / ".git", reference)
        if text:
            found["commit"] = text
        break
    return found


def _reference(git: Path, reference: str) -> str:
    try:
        return (git / reference).read_text().strip()
    except OSError:
        pass
    try:
        for line in (git / "packed-refs").read_text().splitlines():
            if line.endswith(" " + reference):
                return line.split()[0]
    except OSError:
        pass
    return ""


@cache
def started_in() -> str:
    """The folder that this process was started in, as far as can be told: a script, or Hydra, may have gone elsewhere.

    Python makes the path of a script absolute when it starts; else it is where autotrack was imported.
    """
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    if isinstance(file, str) and getattr(main, "__spec__", None) is None:
        for word in sys.orig_argv[1:]:
            if word and not os.path.isabs(word) and file.endswith(os.sep + word):
                return file[: -len(word) - 1] or os.sep
    return imported_in()
