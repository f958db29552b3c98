"""The backend: MLflow's, at an address of Azure ML, with Azure's files."""

from __future__ import annotations

import os

from autotrack_azureml.address import address_from
from autotrack_azureml.files import WorkspacePlaces
from autotrack_mlflow.backend import MlflowBackend
from autotrack_mlflow.client import Client
from autotrack_mlflow.places import Places


class AzureMlBackend(MlflowBackend):
    """Delivers runs to a workspace of Azure ML."""

    product = "Azure ML"

    def connect(self) -> Client:
        """The client of the workspace that `MLFLOW_TRACKING_URI` names."""
        return Client(address_from(os.environ))

    def places(self, client: Client) -> Places:
        """Files are kept by the workspace's artifact service."""
        return WorkspacePlaces(client)
