"""autotrack: instrument once, send anywhere.

    import autotrack
    autotrack.enable()

records every training of the process: params, metrics, datasets, models and the outcome, on an embedded local store and
on any other configured backend. Importing this module is light: no framework, no database and no tracking SDK comes in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrack.provenance import weights
from autotrack.session import current_run, disable, enable, start_run

if TYPE_CHECKING:
    from autotrack.provenance.fingerprint import Fingerprint
    from autotrack.provenance.fingerprint.membership import Membership
    from autotrack.run import Run

__version__ = "0.1.0.dev0"


def runs(project: str | None = None, *, status: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
    """Runs of the local store, newest first, each with `id name project status started_at parent_id` and more."""
    from autotrack.reading import open_store

    return open_store().runs(project=project, status=status, limit=limit)


def get_run(reference: str) -> dict[str, Any]:
    """The whole record of one run, by its id, an unambiguous beginning of it, or its name.

    Raises `autotrack.errors.RunNotFound` where none or several fit.
    """
    from autotrack.reading import open_store

    return open_store().run(reference)


def fingerprint(data: Any, *, integrity: str | None = None) -> Fingerprint:
    """What identifies `data`: `value`, `schema`, `rows` and `strict`, whatever library holds it.

    Arrays, frames, tables, tensors, lists and sparse matrices can be read, and mappings of such as named parts. All of
    it is read, and neither changed, kept nor consumed; of what nobody can read, every digest is None and `coverage` 0.
    With `integrity="blake3"` it is also `sealed`, by a hash that nobody can deceive; needs the extra `integrity`.
    """
    from autotrack.provenance.fingerprint.identity import fingerprint as identify

    return identify(data, integrity=integrity)


def contains(run: str, data: Any, role: str = "train") -> Membership:
    """Which rows of `data` were in the training set of a run, told from its record alone.

    `run` is what `get_run` takes; `role` may be another role than `train`, or `role/name`. The answer has `answers`,
    for each row 1 (yes), 0 (no) or -1 (unknown), and `why` not all are known. Rows are compared by their features,
    columns by their names. Raises `RunNotFound` where there is no such dataset, or nothing was kept of its rows.
    """
    from autotrack.reading import contained

    return contained(get_run(run), role, data)


def load_model(run: str, name: str | None = None) -> Any:
    """A kept model of a run: the last that has this name, or without a name the last of all.

    `run` is what `get_run` takes. The answer is what the plugin of the model's package makes of the file: the model, or
    of a torch module its state dict. No code that a file brings along is run. Raises `RunNotFound`, `ModelNotFound`,
    and `PluginError` where something must be installed.
    """
    from autotrack.reading import kept_model

    return kept_model(run, name)


weights.kept = load_model  # Run.load_model asks for it; a run knows nothing of the store


def __getattr__(name: str) -> Any:
    if name == "Run":
        from autotrack.run import Run

        return Run
    raise AttributeError(f"module 'autotrack' has no attribute {name!r}")


__all__ = [
    "Run",
    "__version__",
    "contains",
    "current_run",
    "disable",
    "enable",
    "fingerprint",
    "get_run",
    "load_model",
    "runs",
    "start_run",
]
