"""Opening the local store to read it, brought up to what journals hold, so that a run is visible once it exists, and
giving back the models that it names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrack.errors import ModelNotFound
from autotrack.forward.catching_up import take_in
from autotrack.provenance import weights
from autotrack.provenance.lending import Lender
from autotrack.provenance.parts import PartDamaged
from autotrack.session import session

if TYPE_CHECKING:
    from autotrack.store.query import Store


def open_store() -> Store:
    """The store of this process's settings. Raises `StoreError` where it cannot be opened."""
    from autotrack.store.query import Store

    settings = session.settings
    home = settings.resolved_home
    take_in(home, settings)
    return Store.open(home, settings)


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
        return weights.load(path, model["format"], model.get("signature"))


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
