"""This process's place in its job, and what the processes that it starts are told of it.

A job is one training, in however many processes; its first rank records it, and every other process is silent. Ranks
are told by a process group of torch or by the variables of launchers. Below an open scope the environment names the
run, so that what is started there, by whatever means, is a part of it, as it would be in this process. With the scope
the variable goes again. Nothing here opens a run or knows what one is.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from typing import Any

RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "JSM_NAMESPACE_RANK", "PMI_RANK", "NODE_RANK")
"""Where launchers tell a process its rank: the first of them alone, or else the first that is not zero."""

HANDED = "AUTOTRACK_RUN_ID"
"""The variable that names the run which a process works for. Set by hand to an id, all its runs are that one."""
_WITHIN = "/within"
"""After the id that children are told below a container: trainings add to the run, runs are its children."""
_PART = "/part"
"""The same below a leaf: trainings belong to one that is recorded, and are not recorded again."""

_rank_in_group = 0
_scopes: list[tuple[Any, ...]] = []
"""The scopes that are open in this process, each as the last of those of its thread or task."""
_lock = threading.Lock()
_placed: str | None = None
_before: str | None = None
_forked_below: str | None = None
_forked_from_member = False


def rank() -> int:
    """This process's rank in its job, as a process group of torch or the launcher's variables tell it; else 0."""
    global _rank_in_group
    if _in_group():
        _rank_in_group = int(sys.modules["torch.distributed"].get_rank())
    if _rank_in_group:  # a group that has been destroyed since has told it too
        return _rank_in_group
    for variable in RANKS:
        text = os.environ.get(variable, "")
        if text.isdigit() and (int(text) or variable == "RANK"):
            return int(text)
    return 0


def is_rank() -> bool:
    """Whether this process is in a process group of torch that it joined itself, and was not forked from a member."""
    return not _forked_from_member and _in_group()


def repeats_main() -> bool:
    """Whether this process is a spawned one that imports the main module again: it repeats what its parent has done."""
    processes = sys.modules.get("multiprocessing.process")
    return processes is not None and getattr(processes.current_process(), "_inheriting", False)


def run_of_job(handed: str | None) -> str | None:
    """The id of the run that trainings of this process add to: of the setting or, where it was forked, its parent's."""
    handed = handed or _forked_below
    return handed.removesuffix(_PART).removesuffix(_WITHIN) if handed else None


def parent_of_runs(handed: str | None) -> str | None:
    """The id of the run that runs of the user's in this process are children of, if any."""
    handed = handed or _forked_below
    return run_of_job(handed) if handed and handed.endswith((_PART, _WITHIN)) else None


def is_worker(handed: str | None) -> bool:
    """Whether what trains here unasked is part of a training that another process records, or repeats one.

    A rank of that training (a process group is there) is none: the first one records.
    """
    handed = handed or _forked_below
    if repeats_main() or getattr(sys.modules.get("torch.utils.data._utils.worker"), "_worker_info", None) is not None:
        return True
    return handed is not None and handed.endswith(_PART) and not is_rank()


def entered(around: tuple[Any, ...]) -> None:
    """The last of these scopes, all those of its thread or task, was opened."""
    with _lock:
        _scopes.append(around)
        _tell(_told())


def left(scope: Any) -> None:
    """A scope was closed."""
    with _lock:
        _scopes[:] = [tuple(one for one in around if one is not scope) for around in _scopes if around[-1] is not scope]
        _tell(_told())


def inherited() -> Mapping[str, str]:
    """The environment as this process was given it, without what it tells its own children."""
    if _placed is None or os.environ.get(HANDED) != _placed:
        return os.environ
    environment = dict(os.environ)
    del environment[HANDED]
    return environment if _before is None else {**environment, HANDED: _before}


def _tell(value: str | None) -> None:
    global _placed, _before
    if value == _placed:
        return
    if _placed is None:
        _before = os.environ.get(HANDED)
    elif os.environ.get(HANDED) != _placed:  # the user has set it since
        _placed = _before = None
        return
    if value is not None:
        os.environ[HANDED] = value
    elif _before is not None:
        os.environ[HANDED] = _before
    else:
        del os.environ[HANDED]
    _placed = value


def _told() -> str | None:
    """What children are to be told: nothing, where several threads or tasks are in scopes of their own."""
    if not _scopes:
        return None
    around = [scope for scope in _scopes[-1] if scope.run is not None]
    if len(around) != len(_scopes) or any(a is not b[-1] for a, b in zip(around, _scopes, strict=True)):
        return None
    run = around[-1].run
    if run.home is None:  # nothing is kept of it
        return None
    part = any(scope.kind == "leaf" for scope in around)
    found: str = run.id + (_PART if part else _WITHIN)
    return found


def _in_group() -> bool:
    distributed = sys.modules.get("torch.distributed")
    is_initialized = getattr(distributed, "is_initialized", None)  # a build of torch without it, or half imported
    return is_initialized is not None and bool(is_initialized())


def _in_forked_child() -> None:
    global _lock, _forked_below, _forked_from_member
    _lock = threading.Lock()
    _forked_from_member = _in_group()
    if _placed is not None:
        _forked_below = _placed
    _scopes.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
