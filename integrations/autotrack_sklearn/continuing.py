"""Trainings of many calls: `partial_fit` in a loop and `warm_start` are one run for each estimator.

The run stays open between the calls. It ends with the first call that raises, when the estimator is dropped or fitted
from the start, and else with the process. Which call is the last nobody can know, so the weights are kept after the
1st, 2nd, 4th, 8th … call, when the model is used and that is cheap, and at the end of the process.
"""

from __future__ import annotations

import atexit
import gc
import os
import time
import weakref
from collections.abc import Generator, Mapping
from typing import Any

from autotrack.plugin import Leaf, Outcome, begin_leaf, current, guarded, rejoin_leaf
from autotrack_sklearn import fitted, models
from autotrack_sklearn.arguments import log_arguments
from autotrack_sklearn.estimators import innermost, log_params

SHARE = 0.02
"""The part of the time since the run began that keeping weights on use may take."""


class Course:
    """The training of one estimator so far."""

    def __init__(self, run: Any, *, owned: bool) -> None:
        self.run = run
        self.owned = owned
        self.calls = 0
        self.rows = 0
        self.kept_at = 0
        self.keeping = 0.0
        self.began = time.monotonic()
        self.points: dict[str, int] = {}

    def keep(self, estimator: Any) -> None:
        """Keep the weights as they are now."""
        started = time.monotonic()
        self.kept_at = self.calls
        fitted.keep(self.run, estimator, step=self.calls - 1)
        self.keeping += time.monotonic() - started


_courses: dict[int, tuple[weakref.ref[Any], Course]] = {}
_dropped: list[Course] = []
"""Courses whose estimators a collection of garbage took, to be ended at the next occasion."""

_collecting = False
_at_exit = False


def continues(estimator: Any, method: str) -> bool:
    """Whether this call may be one of many of the same training."""
    return method == "partial_fit" or bool(getattr(estimator, "warm_start", False))


def watch(method: str, estimator: Any, arguments: Mapping[str, Any]) -> Generator[None, Outcome, None]:
    """Record one call."""
    leaf, course = _begin(estimator)
    if leaf is None or course is None:
        return
    run = course.run
    with leaf:
        course.calls += 1
        if course.calls == 1 or method != "partial_fit":
            with guarded("sklearn"):
                log_params(run, estimator)
            with guarded("sklearn"):
                log_arguments(run, arguments)
        leaf.outcome = yield
        if leaf.outcome.error is not None:
            leaf.owns = course.owned
            _forget(id(estimator))
            return
        with guarded("sklearn"):
            models.own(estimator, run)
        if method == "partial_fit":
            with guarded("sklearn"):
                course.rows += _rows(arguments.get("X"))
                run.log_metrics({"samples_seen": course.rows}, step=course.calls - 1)
        if course.calls == 1 or method != "partial_fit":
            fitted.log_results(run, estimator)
            with guarded("sklearn"):
                fitted.log_importances(run, estimator, innermost(estimator))
        with guarded("sklearn"):
            fitted.log_curves(run, innermost(estimator), course.points)
        if course.calls & (course.calls - 1) == 0:
            with guarded("sklearn"):
                course.keep(estimator)


def used(estimator: Any) -> None:
    """The estimator predicts: its weights are of interest, and kept if they have changed and it costs little."""
    _end_dropped()
    course = _course_of(estimator)
    if course is None or course.kept_at == course.calls:
        return
    if course.keeping <= SHARE * (time.monotonic() - course.began):
        course.keep(estimator)


def finish(estimator: Any) -> None:
    """The estimator is fitted from the start: what it had learnt before is another training, and that has ended."""
    _end_dropped()
    course = _course_of(estimator)
    if course is not None:
        _forget(id(estimator))
        _close(course)


def _begin(estimator: Any) -> tuple[Leaf | None, Course | None]:
    _end_dropped()
    course = _course_of(estimator)
    around = current()
    lent = around.run if around is not None else None
    if course is not None and (lent is None or lent is course.run):
        return rejoin_leaf(course.run), course
    leaf = begin_leaf("sklearn", name=type(estimator).__name__)
    if leaf is None:
        return None, None
    course = Course(leaf.run, owned=leaf.owns)
    leaf.owns = False
    key = id(estimator)

    def gone(reference: weakref.ref[Any]) -> None:
        entry = _courses.get(key)
        if entry is None or entry[0] is not reference:
            return
        # A collection of garbage may have begun anywhere, in the journal's writer too: nothing is written there.
        if _collecting:
            _dropped.append(entry[1])
        else:
            _close(entry[1])
        _forget(key)

    _follow_collections()
    _courses[key] = (weakref.ref(estimator, gone), course)
    _finish_at_exit()
    return leaf, course


def _course_of(estimator: Any) -> Course | None:
    entry = _courses.get(id(estimator))
    if entry is None or entry[0]() is not estimator or entry[1].run.status != "running":
        return None
    return entry[1]


def _forget(key: int) -> None:
    _courses.pop(key, None)
    if not _courses and _note_collection in gc.callbacks:
        gc.callbacks.remove(_note_collection)


def _follow_collections() -> None:
    global _collecting
    if _note_collection not in gc.callbacks:
        _collecting = False
        gc.callbacks.append(_note_collection)


def _note_collection(phase: str, _details: Mapping[str, Any]) -> None:
    global _collecting
    _collecting = phase == "start"


def _end_dropped() -> None:
    while _dropped:
        _close(_dropped.pop())


def _close(course: Course) -> None:
    if course.run.status != "running":
        return
    with guarded("sklearn"):
        unkept = course.calls - course.kept_at
        if unkept and fitted.keeps_models():
            course.run.note("model", "the estimator was dropped before its last calls were kept", unkept)
        if course.owned:
            course.run.end("finished")


def _finish_at_exit() -> None:
    # Registered after the session's own, which it does when a run begins, so that this is called before it.
    global _at_exit
    if not _at_exit:
        _at_exit = True
        atexit.register(_keep_all)


def _keep_all() -> None:
    _end_dropped()
    for reference, course in list(_courses.values()):
        estimator = reference()
        if estimator is not None and course.kept_at < course.calls and course.run.status == "running":
            with guarded("sklearn"):
                course.keep(estimator)


def _rows(data: Any) -> int:
    shape = getattr(data, "shape", None)
    return int(shape[0]) if shape else len(data)


def _forget_in_child() -> None:
    # These trainings are the parent's; a copy that is dropped in a forked child ends nothing.
    _courses.clear()
    _dropped.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
