"""Azure ML: a real MLflow server under the path of a workspace, without logged models, read by MLflow's own client."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "backends"))

from azureml_workspace import SCOPE, STATIC_PREFIX, Workspace

_SPEC = importlib.util.spec_from_file_location("contract_subject_of_mlflow", Path(__file__).with_name("mlflow.py"))
assert _SPEC is not None and _SPEC.loader is not None
_MLFLOW = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MLFLOW)


class Subject(_MLFLOW.Subject):  # type: ignore[name-defined, misc]
    name = "azureml"
    options = ("--static-prefix", STATIC_PREFIX)

    def start(self) -> dict[str, str]:
        self.server.start()
        self._workspace = Workspace(self.server)
        self.listens = self._workspace.url
        return {
            "MLFLOW_TRACKING_URI": f"{self._workspace.url}/mlflow/v1.0{SCOPE}",
            "MLFLOW_TRACKING_TOKEN": self._workspace.token,
        }

    def stop(self) -> None:
        self._workspace.close()
        super().stop()
