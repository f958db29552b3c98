"""The folder that a run is run again in: its code as it was, and the data that the code expects beside it.

A recorded run and a new folder enter; the folder of the code leaves, named as the old one was. Files that were read as
data and were not kept with the code are copied from where they were, if they are still there; others can be named.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from autotrack.provenance.code.restore import CannotRestore, restore
from autotrack.reproduce.data import files_of
from autotrack.reproduce.recorded import Recorded
from autotrack.reproduce.refused import Refused
from autotrack.reproduce.verdict import Check

NOT_KEPT: Final = "not kept: "
"""How the difference begins that is a file which the capsule does not hold; not imported, it may be no loss."""


def restored(recorded: Recorded, folder: Path, data: Mapping[str, Path], check: Check) -> Path:
    """Put code and data below `folder`, and tell `check` what is not as it was. Raises `Refused`."""
    code = _kept(recorded)
    root = recorded.root
    target = folder / (root.name if root is not None and root.name else "code")
    folder.mkdir(parents=True)
    try:
        given_back = restore(code, recorded.blobs, target)
    except (CannotRestore, OSError) as problem:
        raise Refused(f"the code cannot be restored: {problem}") from problem
    check.same = True
    _place(data, root, target)
    _copy_read(recorded, target)
    imported = {str(one.get("path")) for one in code.get("not_in_capsule") or ()}
    for one in given_back.missing:
        place = one.partition(": ")[0]
        if not (target / place).exists():
            check.differences.append(f"{NOT_KEPT}{one}")
            check.same = False if place in imported or check.same is False else None
    for name in code.get("changed_during_run") or ():
        path = name.get("path") if isinstance(name, dict) else name
        check.same = False
        check.differences.append(f"{path} changed while the run went on")
    return target


def _kept(recorded: Recorded) -> Mapping[str, Any]:
    """The record of the code: of the run or, since it is kept once for a process, of another of its process."""
    for run in [recorded.run, *recorded.runs]:
        if run["code"].get("kind"):
            found: Mapping[str, Any] = run["code"]
            return found
    raise Refused("the code of this run was not kept (the setting `code` was off, or it could not be read)")


def _place(data: Mapping[str, Path], root: Path | None, target: Path) -> None:
    for place, source in data.items():
        path = Path(place)
        if path.is_absolute() and root is not None and path.is_relative_to(root):
            path = path.relative_to(root)
        goal = Path(os.path.normpath(target / path))
        if not goal.is_relative_to(target):
            raise Refused(f"{place} is outside of the project {root}: put {source} there yourself")
        if not source.exists():
            raise Refused(f"{source} is not there")
        goal.parent.mkdir(parents=True, exist_ok=True)
        if goal.is_symlink() or goal.is_file():
            goal.unlink()
        goal.symlink_to(source.absolute(), target_is_directory=source.is_dir())


def _copy_read(recorded: Recorded, target: Path) -> None:
    """Copy what was read as data from below the old root: a link would let a script write into it."""
    root = recorded.root
    if root is None:
        return
    for run in recorded.runs:
        for dataset in run["datasets"]:
            for told in files_of(dataset["fingerprint"]):
                path = Path(told["path"])
                path = path if path.is_absolute() else root / path
                if not path.is_relative_to(root) or not path.exists():
                    continue
                goal = target / path.relative_to(root)
                if goal.exists():
                    continue
                goal.parent.mkdir(parents=True, exist_ok=True)
                if path.is_dir():
                    shutil.copytree(path, goal)
                else:
                    shutil.copy2(path, goal)


__all__ = ["restored"]
