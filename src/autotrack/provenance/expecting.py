"""In a process that `autotrack reproduce` has started: which recorded run each of its runs repeats, with which data.

The file that `AUTOTRACK_REPRODUCE` names enters; what is found leaves as files beside it. Runs are matched in the order
in which they begin, by name and integration, over all processes of the rerun: whoever creates `claim-N.json` first has
the N-th. Where data differ from what was recorded, the training stops before it has begun: `DataDiffers` is a
`SystemExit`, which guards let pass.

Shared random generators that the recorded run drew from without a seed are brought to the states in which they were at
its begin, if those were kept: what follows is drawn again as it was.

The file is `{run, runs[{id, name, integration, stops, datasets[{role, name, fingerprint}], unseeded{states, names}}]}`;
`run` is the id of the run that was asked for, and `stops` says whether its data stop the rerun; `unseeded` is there
where it was, `states` being the file that they are kept in. A claim is `{run, repeats}`, and
`mismatch.json` is `{run, repeats, role, name, was, now}` with the records of a dataset.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from autotrack.settings import Settings

EXIT_CODE: Final = 65
"""With which a rerun whose data differ ends (`EX_DATAERR` of sysexits.h)."""

MISMATCH: Final = "mismatch.json"

REPEATS: Final = "reproduces"
"""The kind of what the record of a rerun says: `{run}`, the id of the run that it repeats."""


class DataDiffers(SystemExit):
    """Raised before a training that would begin with other data than the run that it repeats."""


def expecting(settings: Settings) -> Expecting | None:
    """The witness of a rerun; None in every other process."""
    return Expecting(settings.reproduce) if settings.reproduce is not None else None


class Expecting:
    """Holds the runs of this process to what was recorded."""

    def __init__(self, file: Path) -> None:
        self._folder = file.parent
        self._runs: list[dict[str, Any]] = msgspec.json.decode(file.read_bytes())["runs"]
        self._seen: set[str] = set()

    def begun(self, run: Any) -> None:
        """Find out which recorded run this one repeats."""
        if run.id in self._seen:  # it goes on
            return
        place = len(self._seen)
        self._seen.add(run.id)
        (self._folder / f"begun-{run.id}").touch()
        expected = self._claimed(run, place)
        if expected is not None:
            run.log_provenance(REPEATS, {"run": expected["id"]})
            run.when_described.append(self._check(run, expected))
            self._restore(run, expected.get("unseeded"))

    def ending(self, run: Any) -> None:
        """Nothing is to be done."""

    def close(self) -> None:
        """Nothing is to be done."""

    def forked(self) -> None:
        """Begin to count anew."""
        self._seen = set()

    def _claimed(self, run: Any, place: int) -> dict[str, Any] | None:
        same = [one for one in self._runs if (one["name"], one["integration"]) == (run.name, run.integration)]
        if not same and place < len(self._runs) and _is_like(self._runs[place], run, alone=len(self._runs) == 1):
            same = [self._runs[place]]
        for expected in same:
            try:
                with open(self._folder / f"claim-{self._runs.index(expected)}.json", "xb") as file:
                    file.write(msgspec.json.encode({"run": run.id, "repeats": expected["id"]}))
                return expected
            except FileExistsError:
                pass
        return None

    def _restore(self, run: Any, unseeded: Mapping[str, Any] | None) -> None:
        if unseeded is None:
            return
        from autotrack.provenance.randomness import restore

        try:
            restored = restore(Path(unseeded["states"]).read_bytes(), unseeded["names"])
        except OSError as problem:
            run.note("random states", f"they were kept, and cannot be read: {problem.strerror}")
        else:
            run.log_provenance("randomness", {"restored": restored})

    def _check(self, run: Any, expected: dict[str, Any]) -> Callable[[str, str, Mapping[str, Any]], None]:
        def seen(role: str, name: str, record: Mapping[str, Any]) -> None:
            was = [one["fingerprint"] for one in expected["datasets"] if (one["role"], one["name"]) == (role, name)]
            if not expected["stops"] or record.get("stream") or not was or differ(was, record) is not True:
                return
            told = {"run": run.id, "repeats": expected["id"], "role": role, "name": name, "was": was[0], "now": record}
            draft = self._folder / f"mismatch-{os.getpid()}"
            draft.write_bytes(msgspec.json.encode(told, enc_hook=str))
            os.replace(draft, self._folder / MISMATCH)
            error = DataDiffers(EXIT_CODE)
            run.end("killed", error)
            raise error

        return seen


def _is_like(expected: Mapping[str, Any], run: Any, *, alone: bool) -> bool:
    """Whether a run of another name may be the expected one: its name holds the time of day, or chance has made it."""
    if expected["integration"] != run.integration:
        return False
    return alone or re.sub(r"\d+", "0", expected["name"]) == re.sub(r"\d+", "0", run.name)


def has_begun(file: Path, run: str) -> bool:
    """Whether a run was begun by the rerun that `file` belongs to, in any of its processes."""
    return (file.parent / f"begun-{run}").exists()


def differ(was: Iterable[Mapping[str, Any]], now: Mapping[str, Any]) -> bool | None:
    """Whether data differ from each of the recorded ones; None where the records cannot tell.

    A digest of a part of the data says nothing where another part was looked at; a number of rows does.
    """
    answers = [_differs(one, now) for one in was]
    if False in answers:
        return False
    return None if None in answers else True


def _differs(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool | None:
    if was.get("value") is not None and was.get("value") == now.get("value"):
        return False
    if was.get("value") is not None and now.get("value") is not None and _extent(was) == _extent(now):
        return True
    for size in ("n_rows", "n_columns"):
        if was.get(size) is not None and now.get(size) is not None and was[size] != now[size]:
            return True
    origins = was.get("begins_with"), now.get("begins_with")
    # What a pipeline makes of the same is for its code to say.
    return True if all(origins) and _differs(*origins) else None  # type: ignore[arg-type]


def _extent(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """What of the data was looked at: it depends on their size and types alone."""
    if record.get("coverage", 1) >= 1:
        return ("all",)
    return (record["coverage"], record.get("method"), record.get("n_rows"), record.get("n_columns"))


__all__ = ["DataDiffers", "differ", "expecting", "has_begun"]
