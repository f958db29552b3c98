"""Opening the local store to read it, brought up to what journals hold, so that a run is visible once it exists, and
giving back the models that it names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrack.errors import ModelNotFound, RunNotFound, UsageError
from autotrack.forward.catching_up import take_in
from autotrack.guard import guarded
from autotrack.patching import scope
from autotrack.provenance import weights
from autotrack.provenance.lending import Lender
from autotrack.provenance.modelfiles import model_files
from autotrack.provenance.parts import PartDamaged
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
    from autotrack.provenance.blobs import Blobs
    from autotrack.provenance.fingerprint.membership import contains
    from autotrack.provenance.fingerprint.rowsets import RowSet

    kept = recorded_dataset(record, wanted).get("row_set")
    if not kept:
        raise RunNotFound(
            f"run {record['id']}: no hashes of the rows of {wanted!r} were kept: nothing can be said of them"
        )
    try:
        with Blobs(session.settings.resolved_home).open(kept["digest"]) as opened:
            rows = RowSet.decode(opened.read())
    except OSError as problem:
        raise RunNotFound(f"run {record['id']}: the hashes of the rows of {wanted!r} are gone ({problem})") from problem
    return contains(rows, data)


def kept_model(reference: str, name: str | None = None) -> Any:
    """The last kept model of a run, or the last of this name, read by the plugin that knows its format."""
    with open_store() as store:
        record = store.run(reference)
    model = _chosen(record, name)
    with Lender(session.settings.resolved_home) as lender:
        try:
            path = lender.lend(model["digest"], f"model.{model['format']}")
        except FileNotFoundError:
            lost = f"its file {model['digest']} is not in {session.settings.resolved_home} any more"
            raise ModelNotFound(f"{_named(record, model['name'])} cannot be read: {lost}") from None
        except PartDamaged as problem:
            raise ModelNotFound(f"{_named(record, model['name'])} cannot be read: {problem}") from problem
        loaded = weights.load(path, model["format"], model.get("signature"))
    _tell(model, record)
    return loaded


def _tell(model: dict[str, Any], record: dict[str, Any]) -> None:
    """What is trained now, or next, in this process has that model as an input."""
    with guarded("lineage"):
        around = scope.current()
        run = around.run if around is not None else None
        if session.settings.enabled is not False and (run is None or run.owner):
            told = {"by": "autotrack.load_model", "run": record["id"], "name": model["name"], "bytes": model["bytes"]}
            model_files.used(model["digest"], told, run, session.settings.resolved_home)


def _chosen(record: dict[str, Any], name: str | None) -> dict[str, Any]:
    found = [model for model in record["models"] if name in (None, model["name"])]
    for model in reversed(found):
        if model["digest"] is not None:
            kept: dict[str, Any] = model
            return kept
    if found:
        reason = found[-1].get("problem") or "nothing says why"
        raise ModelNotFound(f"{_named(record, found[-1]['name'])} was not kept: {reason}")
    names = ", ".join(repr(model["name"]) for model in record["models"])
    raise ModelNotFound(
        f"run {record['id']} has no model" + (f" {name!r}; it has {names}" if name is not None and names else "")
    )


def _named(record: dict[str, Any], name: str) -> str:
    return f"the model {name!r} of run {record['id']}"
