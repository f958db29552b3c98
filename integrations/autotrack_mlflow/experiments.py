"""Experiments: where the runs of a project go, created by whoever comes first."""

from __future__ import annotations

from collections.abc import Callable

from autotrack.backend import BackendContext, BackendUnavailable
from autotrack_mlflow.client import Client, Refused

NAME_LENGTH = 500


class Experiments:
    """Finds or creates the experiment of a project; what it found is kept in the backend's state."""

    def __init__(
        self, client: Client, context: BackendContext, override: str | None, folder: Callable[[], str] | None = None
    ) -> None:
        self._client = client
        self._context = context
        self._override = override
        self._folder = folder
        """For a server whose experiments lie in folders: where those go that the user does not name."""

    def of(self, project: str) -> tuple[str, str]:
        """Id and name of the experiment for `project`."""
        wanted = self.expected(project)
        remembered = self._context.state.get("experiment:" + wanted)
        if remembered:
            return str(remembered[0]), str(remembered[1])
        found = self._find_or_create(wanted)
        self._context.state["experiment:" + wanted] = list(found)
        return found

    def expected(self, project: str) -> str:
        """The name that the experiment for `project` has unless it was deleted."""
        name = self._override or project
        if self._folder is not None and not name.startswith("/"):
            if "folder" not in self._context.state:
                self._context.state["folder"] = self._folder()
            name = f"{self._context.state['folder']}/{name.replace('/', '-')}"
        return name[:NAME_LENGTH]

    def forget(self, project: str) -> None:
        """Look the experiment up again next time: the one that is remembered was deleted."""
        self._context.state.pop("experiment:" + self.expected(project), None)

    def known(self) -> list[str]:
        """Ids of the experiments that this backend has sent runs to."""
        return [str(value[0]) for key, value in self._context.state.items() if key.startswith("experiment:")]

    def all(self) -> list[str]:
        """Ids of all active experiments on the server."""
        found: list[str] = []
        token = ""
        while True:
            body = {"max_results": 1000, **({"page_token": token} if token else {})}
            answer = self._client.post("experiments/search", body)
            found += [item["experiment_id"] for item in answer.get("experiments", ())]
            token = answer.get("next_page_token", "")
            if not token:
                return found

    def _find_or_create(self, wanted: str) -> tuple[str, str]:
        # A deleted experiment keeps its name, and restoring it would bring back all the runs that somebody deleted:
        # the runs go to a new one beside it.
        for number in range(1, 100):
            name = wanted if number == 1 else f"{wanted[: NAME_LENGTH - 3]}-{number}"
            active = self._active(name)
            if active is None:
                try:
                    return str(self._client.post("experiments/create", {"name": name})["experiment_id"]), name
                except Refused as refusal:
                    if refusal.code != "RESOURCE_ALREADY_EXISTS":
                        raise
                active = self._active(name)  # another process created it in between
            if active:
                return active, name
        raise BackendUnavailable(f"experiment {wanted!r} and its successors are all deleted in MLflow")

    def _active(self, name: str) -> str | None:
        """The id of the experiment, empty if it is deleted, None if there is none."""
        try:
            found = self._client.get("experiments/get-by-name", experiment_name=name)["experiment"]
        except Refused as refusal:
            if refusal.is_missing:
                return None
            raise
        return "" if found.get("lifecycle_stage") == "deleted" else str(found["experiment_id"])
