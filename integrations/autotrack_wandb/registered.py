"""Steps of registered models: a collection of W&B's registry is made equal to the log's model, whichever step came.

The name of a model enters, and its record as autotrack's registry has it now; what shall stand in W&B leaves, to a
process that has the SDK (`autotrack_wandb.linking`). A version is a link to the artifact of its run, so it waits until
that run is uploaded: it is no record of an offline file, and nothing but an artifact of the server can be linked.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from autotrack.backend import BackendContext, BackendUnavailable
from autotrack.turns import one_at_a_time
from autotrack_wandb.names import collection_name, run_id
from autotrack_wandb.online import mark_of
from autotrack_wandb.place import REGISTRY, Place
from autotrack_wandb.reading import first_run
from autotrack_wandb.waiting import Waiting

SECONDS, SECONDS_A_VERSION = 120, 5
"""Longest time for a model, and for each version of it beside."""
PATIENCE: Final = 24 * 3600 * 10**9
"""Nanoseconds that a step waits for the run of a version; after that it is noted, so that nothing waits for ever."""
ONLY_HERE: Final = frozenset({"protect", "unprotect", "refuse"})
"""Actions that are about neither versions nor where an alias points: in W&B only people can protect aliases."""
TOLD: Final = (
    *("version", "stage", "approvals", "objections", "annotations", "retired", "signed"),
    *("registered_at", "registered_by", "why"),
)
"""What an artifact's metadata tell of a version, with the names that it has in `autotrack models show --json`."""
HASTE: Final = {"WANDB__GRAPHQL_RETRY_MAX": "1", "WANDB__GRAPHQL_RETRY_WAIT_MAX_SECONDS": "1"}
"""The SDK's own settings of how long it tries: who delivers tries again later, and tells the reason meanwhile."""
CHECK: Final = "check WANDB_API_KEY, WANDB_ENTITY, WANDB_ORGANIZATION and WANDB_BASE_URL"

Record: TypeAlias = Mapping[str, Any]
Note: TypeAlias = Callable[[str, str, str], None]

_equal: dict[tuple[str, ...], str] = {}
"""What this process has made equal already: a model of many steps in many journals is then asked about once."""


class Registered:
    """Brings collections of the registry up to date."""

    def __init__(self, place: Place, context: BackendContext, note: Note) -> None:
        self._place = place
        self._context = context
        self._note = note

    def follow(self, model: str, waiting: Waiting, still_open: Collection[str] = ()) -> bool:
        """Make the collection equal to what the store says of the model; false where a run in `still_open` must end.

        Raises `BackendUnavailable` where it must be tried again. What is left out is noted.
        """
        if not self._place.has_key:
            raise BackendUnavailable("W&B is online and has no key: set WANDB_API_KEY, or WANDB_MODE=offline")
        # The record is read in turn: one that is older than what another process has just sent would undo that.
        with one_at_a_time(self._context.home, "wandb-registry"):
            record = self._context.registered(model)
            versions = record["versions"] if record else []
            if not set(waiting.registered) <= {one["digest"] for one in versions}:
                self._not_taken_in(model, waiting)
            elif record is None:
                self._note(waiting.run, f"registered model {model}", "the store does not know it any more")
            if record is None or not versions:
                return True
            missing = self._make_equal(model, waiting, record)
        if waiting.about is not None:
            missing = [one for one in missing if one["digest"] in waiting.about]
        later = [one for one in missing if one["run"] in still_open]
        for version in missing:
            if version not in later:
                self._missing(model, waiting, version)
        return not later

    def _not_taken_in(self, model: str, waiting: Waiting) -> None:
        if "local" in self._context.settings.backends:
            raise BackendUnavailable(f"a registration of {model} waits for the store to take it in")
        why = "it follows the log of the store, and there is none: add local to AUTOTRACK_BACKENDS"
        self._note(waiting.run, f"registered model {model} in W&B's registry", why)

    def _make_equal(self, model: str, waiting: Waiting, record: Record) -> list[Record]:
        """The versions of which W&B has no artifact."""
        place, collection = self._place, collection_name(model)
        if collection != model:
            self._note(waiting.run, f"registered model {model}", f"is called {collection} there")
        wish = {
            "model": model,
            "collection": collection,
            "registry": place.registry,
            "organization": place.organization,
            "entity": place.entity,
            "versions": [self._wished(one) for one in sorted(record["versions"], key=lambda one: one["version"])],
            "aliases": aliases_of(record),
        }
        text = json.dumps(wish, sort_keys=True, default=str)
        key = (place.url, place.registry, place.organization, place.entity, model)
        if _equal.get(key) == text:
            return []
        answer = self._ask(model, text, len(record["versions"]))
        for what, why in answer["notes"]:
            self._note(waiting.run, what, why)
        if answer["problem"]:
            self._refused(model, waiting, answer)
            return []
        if not answer["missing"] and not answer["notes"]:
            _equal[key] = text
        return [one for one in record["versions"] if one["digest"] in answer["missing"]]

    def _wished(self, version: Record) -> dict[str, Any]:
        told = {key: version.get(key) for key in TOLD}
        told["signed"] = {key: value for key, value in (told["signed"] or {}).items() if key != "record"}
        run = run_id(version["run"] or "")
        return {
            "version": version["version"],
            "digest": version["digest"],
            "run": run,
            "project": self._project(run),
            "aliases": sorted(version["aliases"]),
            "told": {key: value for key, value in told.items() if value not in (None, [], {}, "")},
        }

    def _project(self, run: str) -> str:
        for path in self._files(run):
            told = first_run(path)
            if told and told.get("project"):
                return str(told["project"])
        return self._place.project_of(self._context.settings.resolved_project)

    def _files(self, run: str) -> list[Path]:
        return sorted(self._place.folder.glob(f"offline-run-*-{run}-*/run-{run}.wandb")) if run else []

    def _refused(self, model: str, waiting: Waiting, answer: Record) -> None:
        said = answer["problem"]
        if answer["temporary"]:
            raise BackendUnavailable(f"{self._not_taken(model)} ({said}): {CHECK}")
        where = f"its registry {self._place.registry} ({REGISTRY}, WANDB_ORGANIZATION, WANDB_ENTITY)"
        self._note(waiting.run, f"registered model {model}", f"W&B refuses it for {where}: {said}")

    def _missing(self, model: str, waiting: Waiting, version: Record) -> None:
        what, files = f"version {version['version']} of the registered model {model}", []
        if not version["run"]:
            why = "it came from no run, and W&B links artifacts of runs"
        elif (files := self._files(run_id(version["run"]))) and all(mark_of(path).is_file() for path in files):
            why = "its run is uploaded, and W&B has no artifact of it"
        elif time.time_ns() - waiting.since < PATIENCE:
            raise BackendUnavailable(
                f"{what} waits for its run {version['run']}, of which W&B has no artifact: `autotrack sync` sends it"
            )
        else:
            why = "W&B has no artifact of its run, and the step has waited for that for a day"
        self._note(waiting.run, what, why)

    def _not_taken(self, model: str) -> str:
        return f"W&B at {self._place.url} has not taken the registered model {model}"

    def _ask(self, model: str, wish: str, versions: int) -> dict[str, Any]:
        seconds = SECONDS + SECONDS_A_VERSION * versions
        ours = ("WANDB_RUN_ID", "WANDB_NAME", "WANDB_RESUME", "WANDB_PROJECT")
        environment = HASTE | {name: value for name, value in os.environ.items() if name not in ours}
        problem = self._not_taken(model)
        with tempfile.TemporaryDirectory(prefix="autotrack-wandb-") as folder:
            # The SDK makes a folder for each run that it looks at.
            environment |= {"WANDB_MODE": "online", "WANDB_DIR": folder, "AUTOTRACK_ENABLED": "0"}
            try:
                done = subprocess.run(
                    [sys.executable, "-m", "autotrack_wandb.linking"],
                    env=environment,
                    input=wish.encode(),
                    capture_output=True,
                    timeout=seconds,
                    start_new_session=True,
                )
            except subprocess.TimeoutExpired:
                raise BackendUnavailable(f"{problem} within {seconds} s: {CHECK}") from None
            except OSError as failure:
                raise BackendUnavailable(f"W&B's client cannot be started: {failure}") from failure
        try:
            answer: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise BackendUnavailable(f"{problem}: its client ended with {done.returncode} ({said[:200]})") from None
        return answer


def aliases_of(record: Record) -> list[str]:
    """Every alias that the log has known: what people set in W&B beside those is left alone."""
    told = {step["record"].get("alias") for step in record["log"] if step["action"] in ("alias", "unalias")}
    return sorted({str(alias) for alias in told if alias} | set(record["aliases"]))
