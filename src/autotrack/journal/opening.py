"""Opening the journal of this process: where that cannot be, a stand-in that counts what is lost."""

from __future__ import annotations

from autotrack import guard
from autotrack.journal.unwritable import Nowhere, Unwritable
from autotrack.journal.writer import Writer
from autotrack.settings import Settings


def open_journal(settings: Settings, version: str) -> Writer | Unwritable | Nowhere:
    """A journal in the settings' home; `version` is that of autotrack. Never raises for a folder or a disk."""
    if settings.enabled is False:
        return Nowhere()
    home = settings.resolved_home
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not (home / ".gitignore").exists():
            (home / ".gitignore").write_text("*\n")
        writer = Writer(home / "journals", version=version, backends=settings.backends)
    except OSError as problem:
        return Unwritable(problem)
    guard.warn_once("recording", f"recording to {home} (see: autotrack ls)")
    return writer
