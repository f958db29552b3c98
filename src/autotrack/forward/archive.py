"""Putting delivered journals away: compressed in `<home>/archive`, or gone where only remote backends were wanted.

A backend that is configured later still gets the old runs from the archive.
"""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

from autotrack.journal.frames import SEGMENT_SUFFIX
from autotrack.journal.removed import is_removal
from autotrack.journal.writer import BALLAST
from autotrack.settings import Settings

LEVEL = 1
"""Journals shrink to a fraction at the fastest level; more would only take time from the training."""


def archive(home: Path, folder: Path, settings: Settings) -> None:
    """Put the journal in `folder` away. Only for one whose process has ended and that every backend has."""
    target = home / "archive" / folder.name
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.rename(target)
    except OSError:  # another process did it
        return
    if settings.keep == "auto" and "local" not in settings.backends and not is_removal(folder.name):
        shutil.rmtree(target, ignore_errors=True)
        return
    for segment in sorted(target.glob(f"*{SEGMENT_SUFFIX}")):
        packed = segment.with_name(segment.name + ".gz")
        draft = segment.with_name("." + packed.name)
        with segment.open("rb") as source, gzip.open(draft, "wb", compresslevel=LEVEL) as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        draft.replace(packed)
        segment.unlink()
    (target / BALLAST).unlink(missing_ok=True)
