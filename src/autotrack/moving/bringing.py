"""A whole import: every run that an importer finds, one after the other, then the store, then the proof.

A run that fails is told and the others go on. An import that was interrupted is simply made again: runs that are here
are passed over, and of those that went on since, what is new is brought.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autotrack.errors import AutotrackError, PluginError, UsageError
from autotrack.forward.catching_up import take_in
from autotrack.importing import ForeignRun, Importer, run_id
from autotrack.journal.removed import removed_runs
from autotrack.moving.writing import Brought, bring
from autotrack.plugins import plugins, resolve
from autotrack.settings import Settings
from autotrack.store.query import Store

try:
    import fcntl
except ImportError:  # Windows: two imports at once into one home are then the user's own affair
    fcntl = None  # type: ignore[assignment]


@dataclass
class Report:
    """How an import went."""

    product: str
    place: str
    runs: list[Brought] = field(default_factory=list)
    differences: dict[str, list[str]] = field(default_factory=dict)
    """For each run that the store does not hold as it was read, what differs."""
    file: Path | None = None
    """Where the report lies."""

    @property
    def complete(self) -> bool:
        """Whether all that was found is here."""
        return not self.differences and all(run.outcome != "failed" for run in self.runs)

    def record(self) -> dict[str, Any]:
        """The report as it is printed and kept."""
        lost: Counter[tuple[str, str]] = Counter()
        for run in self.runs:
            lost.update(run.not_carried)
        return {
            "product": self.product,
            "place": self.place,
            "complete": self.complete,
            "runs": {
                outcome: sum(run.outcome == outcome for run in self.runs)
                for outcome in ("imported", "continued", "known", "failed")
            },
            "events": sum(run.events for run in self.runs),
            "points": sum(run.counts.points for run in self.runs),
            "files": sum(run.files for run in self.runs),
            "file_bytes": sum(run.file_bytes for run in self.runs),
            "not_carried": [{"what": what, "why": why, "count": count} for (what, why), count in sorted(lost.items())],
            "problems": [
                *({"run": run.origin, "problem": run.problem} for run in self.runs if run.problem),
                *({"run": run, "problem": word} for run, words in self.differences.items() for word in words),
            ],
        }

    def whole(self) -> dict[str, Any]:
        """The report with a row for each run."""
        rows = [
            {
                "origin": run.origin,
                "run": run.run,
                "name": run.name,
                "outcome": run.outcome,
                "events": run.events,
                "series": {
                    key: {"points": count, "checksum": f"{total:016x}"}
                    for key, (count, total) in sorted(run.counts.series.items())
                },
                "not_carried": [
                    {"what": what, "why": why, "count": count} for (what, why), count in sorted(run.not_carried.items())
                ],
            }
            for run in self.runs
        ]
        return {**self.record(), "rows": rows}


def importer(name: str) -> Importer:
    """The importer of a product. Raises `UsageError` where there is none, `PluginError` where it lacks something."""
    known = plugins.load().importers
    plugin = known.get(name)
    if plugin is None:
        raise UsageError(f"there is no importer {name!r}; there are {', '.join(sorted(known)) or 'none'}")
    try:
        made: Importer = resolve(plugin.factory)()
    except ImportError as problem:
        way_out = f": pip install 'autotrack-ml[{plugin.extra}]'" if plugin.extra else ""
        raise PluginError(f"importing from {name} needs something that is not installed ({problem}){way_out}") from None
    return made


def bring_all(
    product: str,
    place: str,
    options: Mapping[str, str],
    home: Path,
    settings: Settings,
    seen: Callable[[Brought], None] = lambda run: None,
) -> Report:
    """Import every run in `place`, bring the store up to date, and compare it with what was read.

    Raises `UsageError` and `PluginError`, and `AutotrackError` where another import into this home goes on.
    """
    report = Report(product, place)
    with _alone(home):
        met: set[str] = set()
        for foreign in importer(product).runs(place, options):
            if run_id(foreign.origin) in met:
                continue
            met.add(run_id(foreign.origin))
            one = _brought(home, foreign, settings)
            report.runs.append(one)
            seen(one)
        take_in(home, settings)
        _compare(report, home, settings)
        report.file = _keep(report, home)
    return report


def _brought(home: Path, foreign: ForeignRun, settings: Settings) -> Brought:
    try:
        return bring(home, foreign, settings.backends)
    except Exception as problem:  # whatever a file of another product holds: the others go on
        reason = str(problem) if isinstance(problem, AutotrackError) else f"{type(problem).__name__}: {problem}"
        return Brought(foreign.origin, run_id(foreign.origin), foreign.name, "failed", problem=reason)


def _compare(report: Report, home: Path, settings: Settings) -> None:
    if not report.runs:
        return
    with Store.open(home, settings) as store:
        for run in report.runs:
            if run.outcome == "failed" or run.run in removed_runs(home):
                continue
            words = list(run.counts.differences(store, run.run))
            if words:
                report.differences[run.run] = words


def _keep(report: Report, home: Path) -> Path:
    folder = home / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{report.product}-{os.getpid()}.json"
    draft = file.with_name(f".{file.name}")
    draft.write_text(json.dumps(report.whole(), indent=1))
    draft.replace(file)
    return file


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    home.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    descriptor = os.open(home / "import.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AutotrackError(f"another import into {home} goes on; wait for its end") from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(descriptor)
