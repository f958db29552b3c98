"""Opening the local store to read it, brought up to what journals hold, so that a run is visible once it exists, and
giving back the models that it names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from autotrack.errors import RunNotFound, UsageError
from autotrack.forward.catching_up import take_in
from autotrack.guard import guarded
from autotrack.patching import scope
from autotrack.provenance.modelfiles import model_files
from autotrack.registry.loading import kept_in, read
from autotrack.registry.log import parse
from autotrack.session import session

if TYPE_CHECKING:
    from autotrack.provenance.fingerprint.membership import Membership
    from autotrack.store.query import Store


def open_store() -> Store:
    """The store of this process's settings. Raises `StoreError` where it cannot be opened."""
    from autotrack.store.query import Store

    settings = session.settings
    home = settings.resolved_home
    take_in(home, settings)
    return Store.open(home, settings)


def recorded_dataset(record: dict[str, Any], wanted: str) -> dict[str, Any]:
    """What a run's record has of its dataset `role` or `role/name`. Raises `RunNotFound`, `UsageError`."""
    role, _, name = wanted.partition("/")
    found = [one for one in record["datasets"] if one["role"] == role and name in ("", one["name"])]
    has = ", ".join(dict.fromkeys(f"{one['role']}/{one['name']}" for one in record["datasets"])) or "none"
    if not found:
        raise RunNotFound(f"run {record['id']} has no dataset {wanted!r}; it has {has}")
    told = [one["fingerprint"] for one in found if one["fingerprint"].get("value")] or [found[-1]["fingerprint"]]
    if len({str(one.get("value")) for one in told}) > 1:
        raise UsageError(f"run {record['id']} has several datasets {wanted!r}: say which; it has {has}")
    chosen: dict[str, Any] = told[-1]
    return chosen


def contained(record: dict[str, Any], wanted: str, data: Any) -> Membership:
    """Which rows of `data` were in a recorded dataset. Raises what `recorded_dataset` does."""
    from autotrack.provenance.fingerprint.membership import contains
    from autotrack.provenance.fingerprint.rowsets import RowSet
    from autotrack.store.remote_blobs import readable

    kept = recorded_dataset(record, wanted).get("row_set")
    if not kept:
        raise RunNotFound(
            f"run {record['id']}: no hashes of the rows of {wanted!r} were kept: nothing can be said of them"
        )
    try:
        with readable(session.settings.resolved_home, session.settings).open(kept["digest"]) as opened:
            rows = RowSet.decode(opened.read())
    except OSError as problem:
        raise RunNotFound(f"run {record['id']}: the hashes of the rows of {wanted!r} are gone ({problem})") from problem
    return contains(rows, data)


def kept_model(reference: str, name: str | None = None, digest: str | None = None) -> Any:
    """The model that `autotrack.load_model` gives for the same arguments."""
    with open_store() as store:
        model, run, version = _meant(store, reference, name)
    what = version or f"the model {model['name']!r} of run {run}"
    loaded = read(model, what, session.settings, digest)
    _tell(model, run, version)
    return loaded


def registered_now(
    name: str, run: str, model: str | None, aliases: Iterable[str] = (), why: str = ""
) -> dict[str, Any]:
    """What `autotrack.register_model` gives for the same arguments."""
    from autotrack.registry import changing, reading, writing

    if session.settings.reproduce is not None:  # a rerun of a script decides nothing
        with open_store() as store:
            kept = kept_in(store.run(run), model)
            known = reading.folded_if_known(store, name)
            version = known.versions.get(kept["digest"]) if known else None
            return (
                reading.resolve(store, f"{name}/{version.number}")
                if version
                else {**kept, "model": name, "version": None}
            )
    with writing.opened() as store:
        _, version = changing.register(name, run, model, aliases=aliases, why=why, store=store)
        return reading.resolve(store, f"{name}/{version.number}")


def _meant(store: Store, reference: str, name: str | None) -> tuple[dict[str, Any], str | None, str | None]:
    """What a reference names: the record of a model, its run, and as which version it is registered, if so asked for.

    `clf@production` and `clf/3` are versions where a model `clf` is registered. What is a registered name alone is its
    latest version, unless it is the id of a run; where a run is called so too, nothing is guessed.
    """
    from autotrack.registry import reading

    named = parse(reference)
    known = reading.folded_if_known(store, named.model)
    bare = str(named) == named.model
    if known is None or bare and reading.is_run(store, reference):
        if known is None and not bare and not reading.is_called(store, reference):
            reading.folded(store, named.model)  # says which models there are
        record = store.run(reference)
        return kept_in(record, name), record["id"], None
    if bare and reading.is_called(store, reference):
        latest = known.latest()
        example = f"{reference}/{latest.number}" if latest else f"{reference}@alias"
        raise UsageError(f"{reference!r} is a registered model and the name of a run: say {example}, or the run's id")
    if name is not None:
        raise UsageError(f"{reference} is one model, which needs no name; leave {name!r} out")
    found = reading.resolve(store, reference)
    return found, found["run"], f"{found['model']}/{found['version']}"


def _tell(model: dict[str, Any], run: str | None, version: str | None) -> None:
    """What is trained now, or next, in this process has that model as an input."""
    with guarded("lineage"):
        around = scope.current()
        inside = around.run if around is not None else None
        if session.settings.enabled is not False and (inside is None or inside.owner):
            told = {"by": "autotrack.load_model", "run": run, "name": model["name"], "bytes": model["bytes"]}
            told = {key: value for key, value in (told | {"registered": version}).items() if value is not None}
            model_files.used(model["digest"], told, inside, session.settings.resolved_home)
