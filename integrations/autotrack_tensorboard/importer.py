"""Bringing event files in: each folder with event files is a run.

A folder below another that has event files too is a run whose parent that is, as the writers of torch make them for
`add_hparams` and `add_scalars`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from autotrack.errors import UsageError
from autotrack.events import AnyEvent
from autotrack.importing import ForeignRun, Keeping
from autotrack_tensorboard.reading import event_files
from autotrack_tensorboard.telling import Telling

OPTIONS: Final = ("project", "purged")


class Importer:
    """Reads event files of any writer."""

    def runs(self, place: str, options: Mapping[str, str]) -> Iterator[ForeignRun]:
        """The folders with event files at and below `place`, in the order of their names.

        Options: `project`, the project of the runs, by default the name of the folder; `purged=keep` keeps points that
        TensorBoard no longer shows after a restart. Raises `UsageError`.
        """
        unknown = sorted(set(options) - set(OPTIONS))
        if unknown:
            raise UsageError(f"the importer tensorboard knows no option {unknown[0]!r}; it knows {', '.join(OPTIONS)}")
        if options.get("purged", "drop") not in ("keep", "drop"):
            raise UsageError("the option purged is keep or drop")
        root = Path(place).expanduser()
        if not root.is_dir():
            raise UsageError(f"{place} is no folder")
        root = root.resolve()
        found = sorted(Path(at) for at, _, names in os.walk(root) if any("tfevents" in name for name in names))
        if not found:
            raise UsageError(f"{place} holds no event files: their names have `tfevents` in them")
        known = set(found)
        for folder in found:
            parent = next((one for one in folder.parents if one in known), None)
            name = folder.name if folder == root else folder.relative_to(root).as_posix()
            yield ForeignRun(
                origin(folder),
                name,
                partial(
                    _events,
                    folder,
                    name=name,
                    project=options.get("project") or root.name or "tensorboard",
                    parent=origin(parent) if parent else None,
                    keep_purged=options.get("purged") == "keep",
                ),
            )


def origin(folder: Path) -> str:
    """What identifies a folder's run wherever it lies: its first file's name holds a time, a host and a process."""
    return f"tensorboard:{folder.name}/{event_files(folder)[0].name}"


def _events(
    folder: Path, keeping: Keeping, *, name: str, project: str, parent: str | None, keep_purged: bool
) -> Iterator[AnyEvent]:
    telling = Telling(folder, keeping, keep_purged=keep_purged)
    yield from telling.events(origin(folder), name, project, parent)


__all__ = ["Importer", "origin"]
