"""Reproducing a run, from its record to the verdict: the steps in their order.

A store, a recorded run and options enter; a `Verdict` leaves. Whatever is made lies below one new folder:
`rerun-1/<name of the project>` is the restored code, `rerun-1/output.txt` what the rerun wrote, `venv` its environment.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from autotrack.errors import UsageError
from autotrack.forward.catching_up import take_in
from autotrack.reproduce import environments
from autotrack.reproduce.cells import goes_on
from autotrack.reproduce.command import launch
from autotrack.reproduce.curves import Tolerance, compare, is_clock, learned
from autotrack.reproduce.data import by_fingerprints, by_sources, difference
from autotrack.reproduce.recorded import Recorded, Remade
from autotrack.reproduce.refused import Refused
from autotrack.reproduce.rerun import OUTPUT, rerun
from autotrack.reproduce.restoring import NOT_KEPT, restored
from autotrack.reproduce.suspects import Suspect, libraries_told, suspects
from autotrack.reproduce.verdict import REPRODUCED, Check, Verdict, judge
from autotrack.reproduce.weighing import weigh

if TYPE_CHECKING:
    from autotrack.settings import Settings
    from autotrack.store.query import Store

WIDER: Final = 2.0
"""How many times as far from a repeat as repeats are from each other the recorded value may be."""


@dataclass(frozen=True)
class Options:
    """What `autotrack reproduce` may be told."""

    into: Path | None = None
    """A folder that does not exist yet, or is empty; by default a temporary one, which goes if the run comes again."""
    env: str = "current"
    check: bool = False
    repeat: int = 1
    tolerance: Tolerance = field(default_factory=Tolerance)
    data: Mapping[str, Path] = field(default_factory=dict)


def reproduce(
    store: Store,
    recorded: Recorded,
    options: Options,
    settings: Settings,
    say: Callable[[str], None] = lambda line: None,
) -> Verdict:
    """Run the recorded run again and compare. Raises `UsageError` for a folder that is not empty."""
    base = _folder(options.into)
    verdict = Verdict(recorded.run["id"], tolerance=options.tolerance, folder=str(base))
    try:
        _go_through(store, recorded, options, settings, base, verdict, say)
    except Refused as problem:
        verdict.word, verdict.why = "refused", str(problem)
        verdict.suspects = _behind_refusal(verdict)
    finally:
        if options.into is None and (verdict.word in REPRODUCED or options.check or verdict.word is None):
            shutil.rmtree(base, ignore_errors=True)
            verdict.folder = None
    return verdict


def _go_through(
    store: Store,
    recorded: Recorded,
    options: Options,
    settings: Settings,
    base: Path,
    verdict: Verdict,
    say: Callable[[str], None],
) -> None:
    code = restored(recorded, base / "rerun-1", options.data, verdict.code)
    say(f"the code is in {code}")
    python = _environment(recorded, options, base, code, verdict.environment)
    verdict.data = by_sources(recorded.run, recorded.root, code)
    notebook = _notebook(recorded, base)
    command = launch(recorded.environment, recorded.root, code, python, notebook)
    if options.check:
        return
    if not os.access(recorded.home, os.W_OK):
        raise Refused(f"new runs cannot be recorded in {recorded.home}: copy it to where you may write")
    ids: list[str] = []
    for number in range(1, options.repeat + 1):
        if number > 1:
            code = restored(recorded, base / f"rerun-{number}", options.data, Check())
            command = launch(recorded.environment, recorded.root, code, python, notebook)
        folder = base / f"rerun-{number}"
        say(f"running {' '.join(command.words)}; what it writes is in {folder / OUTPUT}")
        own = options.env == "venv"
        imports = environments.own_imports(_pins(recorded) or {}, recorded.root, code)
        remade = rerun(recorded, command, code, folder, recorded.home, own_environment=own, imports=imports)
        take_in(recorded.home, settings)
        found = remade.runs.get(recorded.run["id"])
        verdict.run = verdict.run or found
        if remade.mismatch is not None:
            _stopped(store, recorded, remade, verdict)
            return
        if found is None:
            _absent(remade)
        assert found is not None
        ids.append(found)
    verdict.repeats = ids[1:]
    _compare(store, recorded, ids, verdict)


def _folder(into: Path | None) -> Path:
    if into is None:
        return Path(os.path.realpath(tempfile.mkdtemp(prefix="autotrack-reproduce-")))
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise UsageError(f"{into} is there already: name a folder that is new or empty")
    into.mkdir(parents=True, exist_ok=True)
    return Path(os.path.realpath(into))


def _notebook(recorded: Recorded, base: Path) -> Path | None:
    """The cells that had been executed when the run began, as a notebook; None where it was made in none."""
    kept = recorded.run["notebook"].get("notebook")
    if not isinstance(kept, Mapping):
        return None
    try:
        with recorded.blobs.open(kept["digest"]) as opened:
            (base / "notebook.ipynb").write_bytes(goes_on(opened.read()))
    except OSError:
        return None
    return base / "notebook.ipynb"


def _environment(recorded: Recorded, options: Options, base: Path, code: Path, check: Check) -> Path:
    """The interpreter to run with; `check` is told how its environment compares with the recorded one."""
    pins = _pins(recorded)
    version = recorded.environment.get("python")
    if options.env == "venv":
        if pins is None:
            raise Refused("the installed distributions were not recorded, so no environment can be made of them")
        python = environments.make(base / "venv", pins, version, recorded.root, code)
        check.same, check.note = True, "made anew"
        return python
    if pins is None:
        check.note = "the installed distributions were not recorded"
        return Path(sys.executable)
    was = {name: pin.version for name, pin in pins.items()}
    check.differences = environments.differences(was, environments.installed(), _concerned(recorded))
    here = ".".join(map(str, sys.version_info[:3]))
    if version not in (None, here):
        check.differences.insert(0, {"name": "Python", "was": version, "now": here})
    check.same = not check.differences
    return Path(sys.executable)


def _pins(recorded: Recorded, run: Mapping[str, Any] | None = None) -> dict[str, environments.Pin] | None:
    lock = (recorded.environment if run is None else run["environment"]).get("lock")
    if not isinstance(lock, Mapping):
        return None
    try:
        with recorded.blobs.open(lock["digest"]) as opened:
            return environments.pins(opened.read())
    except OSError:
        return None


def _concerned(recorded: Recorded) -> list[str]:
    """The distributions that the run's integration is for, which are named first."""
    if recorded.run["integration"] is None:
        return []
    from importlib.metadata import packages_distributions

    found = packages_distributions().get(recorded.run["integration"], [])
    return [environments.normalized(name) for name in found]


def _stopped(store: Store, recorded: Recorded, remade: Remade, verdict: Verdict) -> None:
    """The rerun stopped before training, since its data differ."""
    told = remade.mismatch
    assert told is not None
    what = difference(told["role"], told["name"], told["was"], told["now"], recorded.blobs)
    verdict.run = told["run"]
    verdict.word, verdict.why = "diverged", f"the data differ, so nothing was trained ({what})"
    verdict.data = Check(False, [what])
    verdict.suspects = [Suspect("data", what)]
    for now in store.records([told["run"]]):  # data that are made by chance differ with their seed
        found = suspects(recorded.run, now, [], [])
        verdict.suspects += [one for one in found if one.kind == "seed"]


def _absent(remade: Remade) -> None:
    last = remade.said.strip().splitlines()[-1:] or ["it said nothing"]
    if remade.exit_code:
        raise Refused(f"the script ended with {remade.exit_code} before that run began: {last[0]}")
    raise Refused(
        "the script ended without making that run again: perhaps its name or what it trains depends on chance"
    )


def _behind_refusal(verdict: Verdict) -> list[Suspect]:
    """What may have kept the run from beginning, of what was seen before: files that are gone, distributions.

    First are files that the reason names, and for a module that is not found those that the run had imported.
    """
    why = verdict.why or ""
    no_module = "ModuleNotFoundError" in why or "ImportError" in why
    found = [Suspect("code", str(one)) for one in verdict.code.differences if str(one).startswith(NOT_KEPT)]
    found += [Suspect("data", str(one)) for one in verdict.data.differences]
    if no_module:
        found += libraries_told(verdict.environment.differences)

    def named(one: Suspect) -> bool:
        name = Path(one.what.removeprefix(NOT_KEPT).partition(": ")[0]).name
        return name in why or (no_module and re.search(rf"\b{re.escape(Path(name).stem)}\b", why) is not None)

    return sorted(found, key=lambda one: (not named(one), one.kind == "code" and not no_module))


def _compare(store: Store, recorded: Recorded, ids: list[str], verdict: Verdict) -> None:
    was = recorded.run
    news = store.records(ids)
    now = news[0]
    verdict.data = by_fingerprints(was, now, recorded.blobs)
    keys = [key for key in was["metrics"] if not is_clock(key)]
    verdict.not_compared = [key for key in was["metrics"] if is_clock(key)]
    if len(ids) > 1:
        verdict.learned = learned(store, ids, keys)
    wider = {key: WIDER * width for key, width in verdict.learned.items()}
    verdict.series = compare(store, was["id"], ids, keys, verdict.tolerance, wider)
    drift = max(
        (one.largest for new in news[1:] for one in weigh(now["models"], new["models"], recorded.home, Tolerance())),
        default=0.0,
    )
    verdict.models = weigh(was["models"], now["models"], recorded.home, verdict.tolerance, WIDER * drift)
    verdict.params = {
        key: [was["params"].get(key), now["params"].get(key)]
        for key in {**was["params"], **now["params"]}
        if was["params"].get(key) != now["params"].get(key)
    }
    verdict.word, verdict.why = judge(verdict.series, verdict.models)
    if was["status"] == "finished" and now["status"] != "finished":
        said = (now["error"] or {}).get("message") or ""
        verdict.word, verdict.why = "diverged", f"the rerun {now['status']}: {said}"
    libraries = _libraries(recorded, now, verdict)
    if verdict.word in ("diverged", "within-tolerance"):
        verdict.suspects = suspects(was, now, verdict.data.differences, libraries)


def _libraries(recorded: Recorded, now: Mapping[str, Any], verdict: Verdict) -> list[dict[str, Any]]:
    """The distributions that differ, as the rerun itself has recorded them."""
    was, new = _pins(recorded), _pins(recorded, now)
    if was is None or new is None:
        return [one for one in verdict.environment.differences if one["name"] != "Python"]
    versions = [{name: pin.version for name, pin in pins.items()} for pins in (was, new)]
    found = environments.differences(versions[0], versions[1], _concerned(recorded))
    pythons = [one for one in verdict.environment.differences if one["name"] == "Python"]
    verdict.environment.differences = pythons + found
    verdict.environment.same = not verdict.environment.differences
    return found


__all__ = ["Options", "reproduce"]
