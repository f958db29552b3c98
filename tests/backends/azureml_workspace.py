"""A workspace of Azure ML on loopback: a real MLflow server under Azure's path, with a token and without some APIs."""

from __future__ import annotations

import secrets
from typing import Any

from gate import Answer, Gate, Request
from mlflow_server import Server

SCOPE = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws"
STATIC_PREFIX = "/mlflow/v2.0" + SCOPE


class Workspace(Gate):
    """The server as Azure ML shows it, at `uri`."""

    def __init__(self, server: Server, tls: Any = None) -> None:
        self.token = secrets.token_hex(16)
        super().__init__(server.url, self._look, tls=tls)
        scheme = "http" if tls is None else "azureml"
        self.uri = f"{scheme}://127.0.0.1:{self.port}/mlflow/v1.0{SCOPE}"

    def _look(self, request: Request) -> Answer | None:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return Answer(401)
        if "/logged-models" in request.path or request.path.endswith("/runs/outputs"):
            return Answer(404)  # as in azure-sdk-for-python#44896
        if "/model-versions/search" in request.path and "AND" in request.path:
            return Answer(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "one comparison, please"})
        return None
