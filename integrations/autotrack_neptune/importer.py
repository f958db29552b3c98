"""`autotrack import neptune PATH`: runs out of what Neptune left on disk, whichever of its three formats they are in.

PATH is a folder (or a file) in which all three are looked for: the files of `neptune-exporter`, the folders of
`neptune` 1.x (`.neptune/offline`, `.neptune/async`), the SQLite files of `neptune-scale`. No server is asked and no
client of Neptune's is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

from autotrack.errors import PluginError, UsageError
from autotrack.importing import ForeignRun
from autotrack_neptune import exported, offline, scale

OPTIONS: Final = {
    "project": "the project that all runs are put into, instead of their own",
    "files": "the folder of the exporter's files, where it does not lie beside its data",
}


class Importer:
    """Finds the runs of all three formats."""

    def runs(self, place: str, options: Mapping[str, str]) -> Iterator[ForeignRun]:
        """Every run below `place`.

        Raises `UsageError` where there is none and for an option that is not known, `PluginError` without pyarrow.
        """
        unknown = sorted(set(options) - set(OPTIONS))
        if unknown:
            known = ", ".join(f"{name} ({what})" for name, what in OPTIONS.items())
            raise UsageError(f"-o {unknown[0]}: there is no such option; there are {known}")
        root = Path(place).expanduser()
        if not root.exists():
            raise UsageError(f"{place}: there is no such folder")
        tables = exported.find(root)
        folders = offline.find(root)
        databases = [root] if root.name == scale.FILE else sorted(root.rglob(scale.FILE))
        if not (tables or folders or databases):
            raise UsageError(
                f"{place}: nothing of Neptune's is here. Looked for were *_part_0.parquet (neptune-exporter), "
                f"data-*.log (neptune 1.x) and {scale.FILE} (neptune-scale)"
            )
        if tables:
            try:
                import_module("autotrack_neptune.arrow")
            except ImportError:
                raise PluginError("tables are read with pyarrow: pip install 'autotrack-ml[neptune]'") from None
        return self._runs(tables, folders, databases, options)

    def _runs(
        self, tables: list[exported.Parts], folders: list[Path], databases: list[Path], options: Mapping[str, str]
    ) -> Iterator[ForeignRun]:
        project, taken = options.get("project"), set[str]()
        files = options.get("files")
        yield from exported.runs(tables, project, Path(files).expanduser() if files else None, taken)
        yield from offline.runs(folders, project, taken)
        yield from scale.runs(databases, project, taken)
