"""autotrack: instrument once, send anywhere.

    import autotrack
    autotrack.enable()

records every training of the process: params, metrics, datasets, models and the outcome, on an embedded local store and
on any other configured backend. Importing this module is light: no framework, no database and no tracking SDK comes in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrack.calls import current_run, disable, enable, start_run
from autotrack.provenance import weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from autotrack.provenance.fingerprint import Fingerprint
    from autotrack.provenance.fingerprint.membership import Membership
    from autotrack.run import Run
    from autotrack.store.asking.results import Runs, Series

__version__ = "0.1.0.dev0"


def runs(
    project: str | None = None,
    *,
    status: str | None = None,
    limit: int | None = None,
    where: str = "",
    sort: str | Sequence[str] = ("-started_at",),
    columns: str | Sequence[str] = (),
) -> Runs:
    """Runs of the local store, newest first, each with `id name project status started_at parent_id` and more.

    `where` is a query: `"metrics.val_loss.min < 0.3 and params.lr >= 1e-3"`. `sort` and `columns` name fields, such as
    `-metrics.val_loss.min`; what a run has in the columns is in its `values`. The list has `to_pandas()`, `to_polars()`
    and `to_arrow()`. Raises `QueryError`, which says where in the query the fault is.
    """
    from autotrack.reading import open_store
    from autotrack.store.asking.results import listed

    with open_store() as store:
        return listed(store, project, status, limit, where, sort, columns)


def series(run: str | Mapping[str, Any] | Run | Iterable[str | Mapping[str, Any] | Run], key: str) -> Series:
    """The points of one metric of a run, or of several, by step: each has `run key step time value`.

    A run is what `get_run` takes, or a record. Of several runs those without such a metric are passed over. The answer
    has `to_pandas()`, `to_polars()` and `to_arrow()`. Raises `RunNotFound`; `StoreError` where none has the metric.
    """
    from autotrack.reading import open_store
    from autotrack.store.asking.results import points_of

    with open_store() as store:
        return points_of(store, run, key)


def get_run(reference: str) -> dict[str, Any]:
    """The whole record of one run, by its id, an unambiguous beginning of it, or its name.

    Raises `autotrack.errors.RunNotFound` where none or several fit.
    """
    from autotrack.reading import open_store
    from autotrack.registry.reading import with_registered

    store = open_store()
    return with_registered(store, store.run(reference))


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


def load_model(run: str, name: str | None = None, *, digest: str | None = None) -> Any:
    """A kept model: a version of a registered model, or what a run has kept.

    `clf@production` is where that alias points, `clf/3` a version, `clf` the latest version that is not retired. Else
    `run` is a run, as `get_run` takes it: of that the last model called `name`, or without a name the last of all.

    The answer is what the plugin of the model's package makes of the file: the model, or of a torch module its state
    dict. The file's SHA-256 is checked first, and no code that it brings along is run: a format that would run some,
    such as a pickle, is refused, unless `digest` is the SHA-256 that you expect. With `digest` any other is refused.
    Raises `RunNotFound`, `ModelNotFound`, `UsageError` where a run and a registered model have the same name, and
    `PluginError` where something must be installed.
    """
    from autotrack.reading import kept_model

    return kept_model(run, name, digest)


def register_model(
    name: str, run: str | Run, model: str | None = None, *, aliases: Iterable[str] = (), why: str = ""
) -> dict[str, Any]:
    """Make a model that a run has kept the next version of `name`; gives the version's record, with `version`.

    `run` is a run or what `get_run` takes, `model` the name of one of several that it has kept; by default it is the
    last. `aliases` then point to the version, as far as they let it. A model that is a version of `name` already stays
    that version. Raises `RunNotFound`, `ModelNotFound`, `UsageError` for a name that cannot be, `StoreError`,
    `RegistryConflict` where somebody moves an alias at the same time, and `RegistryRefused` for a protected alias.
    """
    from autotrack.reading import registered_now

    return registered_now(name, run if isinstance(run, str) else run.id, model, aliases, why)


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
    "register_model",
    "runs",
    "series",
    "start_run",
]
