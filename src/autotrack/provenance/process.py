"""What this process is: the environment and the code of its runs, taken once, without starting a program."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

from autotrack.journal.liveness import host_name
from autotrack.provenance.masking import masked_command


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
        "working_folder": _working_folder(),
        "command": masked_command(sys.orig_argv),
    }


@cache
def code() -> dict[str, Any]:
    """The script and, in a git checkout, its commit and branch as `.git` tells them."""
    found: dict[str, Any] = {}
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if main:
        found["script"] = os.path.abspath(main)
    start = Path(main).resolve().parent if main else Path(_working_folder())
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


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""
