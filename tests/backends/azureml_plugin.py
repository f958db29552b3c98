"""Run by an interpreter that has azureml-mlflow: reads a run through Azure's own plugin, and logs one of its own.

Usage: `python azureml_plugin.py HOST SCOPE TOKEN RUN`; prints one JSON object. The plugin's credential and host are put
where it keeps them (`_AzureMLServiceContextLoader`): by itself it asks Azure, over https.
"""

from __future__ import annotations

import json
import sys

import mlflow
from azureml.mlflow._internal.service_context_loader import _AzureMLServiceContextLoader as Loader
from azureml.mlflow._internal.utils import ServiceContext
from mlflow import MlflowClient


class Token:
    """What a credential of Azure gives."""

    def __init__(self, token: str) -> None:
        self.token = token

    def get_token(self, *scopes: str) -> Token:
        return self


class Cloud:
    """A cloud that nobody is asked about."""

    def _get_default_scope(self) -> str:
        return "scope"


def main() -> None:
    host, scope, token, ours = sys.argv[1:]
    _, _, subscription, _, group, _, _, _, workspace = scope.split("/")
    uri = f"azureml://{host.partition('//')[2]}/mlflow/v1.0{scope}"
    Loader.add_service_context(uri, ServiceContext(host, subscription, workspace, group, Token(token), cloud=Cloud()))
    mlflow.set_tracking_uri(uri)
    client = MlflowClient()
    experiments = {item.experiment_id: item.name for item in client.search_experiments()}
    (run,) = client.search_runs(list(experiments), f"tags.`autotrack.run_id` = '{ours}'")
    own = client.create_run(run.info.experiment_id, run_name="by the plugin")
    client.log_metric(own.info.run_id, "loss", 0.5)
    client.set_terminated(own.info.run_id)
    answer = {
        "params": run.data.params,
        "status": run.info.status,
        "experiment": experiments[run.info.experiment_id],
        "loss": [[point.step, point.value] for point in client.get_metric_history(run.info.run_id, "loss")],
        "alias": int(client.get_model_version_by_alias("churn", "now").version),
        "own": own.info.run_name,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
