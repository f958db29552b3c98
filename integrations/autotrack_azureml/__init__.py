"""Send runs to a workspace of Azure Machine Learning, which speaks MLflow's API.

    export MLFLOW_TRACKING_URI=azureml://westeurope.api.azureml.ms/mlflow/v1.0/subscriptions/…/workspaces/…
    export AUTOTRACK_BACKENDS=local,azureml

The address is the one that Azure shows for the workspace (`az ml workspace show --query mlflow_tracking_uri`). What is
sent where is what `autotrack_mlflow` says, with the differences of Azure ML: it has no logged models, so models are
folders of run artifacts, and files of a run are kept by the workspace's own artifact service.

Azure is asked with a token: `MLFLOW_TRACKING_TOKEN`, or else the one that `azure-identity` finds by the standard means
of Azure (`AZURE_CLIENT_ID`, `AZURE_TENANT_ID` and `AZURE_CLIENT_SECRET`, a managed identity, `az login`).
"""

from __future__ import annotations

from collections.abc import Callable

from autotrack.plugin import BackendPlugin, hookimpl


@hookimpl
def autotrack_register_backends(register: Callable[[BackendPlugin], None]) -> None:
    """Register the backend; its module is imported in the forwarder alone."""
    register(BackendPlugin(name="azureml", factory="autotrack_azureml.backend:AzureMlBackend", extra="azureml"))
