"""How a file goes that somebody might claim at the same moment: set aside first, looked at once more, then removed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

ASIDE: Final = ".gc"
"""Ends the name of a file that is about to go; it begins with a dot."""


def remove_file(path: Path, before: float, *, dry_run: bool) -> int | None:
    """Its size; None where somebody has claimed it since `before`. Raises `OSError`."""
    status = path.stat()
    if status.st_mtime >= before:
        return None
    if dry_run:
        return status.st_size
    aside = path.with_name(f".{path.name}{ASIDE}")
    path.rename(aside)
    # Whoever claims it from here on finds nothing, and keeps it anew; whoever did so before has changed its time.
    if aside.stat().st_mtime >= before:
        put_back(aside, path)
        return None
    aside.unlink()
    return status.st_size


def put_back(aside: Path, path: Path) -> None:
    """Let it have its name again, unless it was kept anew meanwhile."""
    try:
        os.link(aside, path)
    except FileExistsError:  # it was kept anew meanwhile
        pass
    except OSError:  # a file system without links
        aside.rename(path)
        return
    aside.unlink()


def remove_folder(path: Path, *, dry_run: bool) -> int:
    """The size of all that is in it. Raises `OSError`."""
    size = sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
    if not dry_run:
        shutil.rmtree(path)
    return size
