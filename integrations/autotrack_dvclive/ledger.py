"""What a run's folder holds, written down beside it, so that it takes every record once whatever is killed and when.

Before rows are appended the ledger says how long each file was; afterwards, up to which sequence the folder holds
which journal. A folder whose ledger still speaks of lengths was left in the middle: its files are cut back to them.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

NAME: Final = ".autotrack.json"


@dataclass
class Ledger:
    """Everything that is known of one run."""

    held: dict[str, int] = field(default_factory=dict)
    """For each journal the sequence of the last record."""
    lengths: dict[str, int] | None = None
    """While rows are being appended: how long each file was, by its path in the folder."""
    series: dict[str, str] = field(default_factory=dict)
    """For each metric the path of its file."""
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    """For each artifact of dvc.yaml its path, type and description."""
    latest: dict[str, float] = field(default_factory=dict)
    step: int | None = None
    params: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    """What autotrack.yaml says."""

    @classmethod
    def of(cls, folder: Path) -> Ledger:
        """The ledger of a folder, whose files are put in order. Raises `OSError`."""
        try:
            ledger = cls(**json.loads((folder / NAME).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return cls()
        if ledger.lengths is not None:
            for path, length in ledger.lengths.items():
                if (folder / path).exists():
                    os.truncate(folder / path, length)
            ledger.lengths = None
        return ledger

    def keep(self, folder: Path) -> None:
        """Write it down, in one step."""
        replace(folder / NAME, json.dumps(asdict(self)))


def replace(path: Path, text: str) -> None:
    """Give a file new content, in one step: a reader sees the old or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


__all__ = ["Ledger", "replace"]
