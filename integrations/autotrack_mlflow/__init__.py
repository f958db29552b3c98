"""Send runs to an MLflow tracking server, with its REST API alone: MLflow itself need not be installed.

    export MLFLOW_TRACKING_URI=https://mlflow.example.org
    export AUTOTRACK_BACKENDS=local,mlflow

What is sent where:

* a project is an experiment of the same name (`MLFLOW_EXPERIMENT_NAME`, if set, takes all runs instead);
* a run is a run, found again by its tag `autotrack.run_id`; a child names its parent in `mlflow.parentRunId`;
* params, metrics and tags are params, metrics and tags; a param that was logged again with another value keeps its
  first value, as MLflow wants it, and the newest is the tag `autotrack.param.<key>`;
* datasets are dataset inputs with their role as context, and their whole record as profile;
* models are MLflow 3 logged models with an `MLmodel` file, else run artifacts; XGBoost and scikit-learn models load
  with `mlflow.xgboost.load_model` and `mlflow.sklearn.load_model`; `register=` makes versions of registered models of
  them;
* artifacts are run artifacts, when the server takes uploads (`mlflow server --serve-artifacts`, the default), or signs
  addresses of a bucket;
* environment and code are the artifact `autotrack/run.json`; errors the tags `autotrack.error`, `autotrack.traceback`;
* notes stay in the local record; their counts are the tag `autotrack.notes`.

The standard variables of MLflow configure it: `MLFLOW_TRACKING_URI` (http or https), `MLFLOW_TRACKING_TOKEN` or
`MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, `MLFLOW_TRACKING_INSECURE_TLS`,
`MLFLOW_TRACKING_SERVER_CERT_PATH`, `MLFLOW_TRACKING_CLIENT_CERT_PATH`, `MLFLOW_EXPERIMENT_NAME`. The URI of a
workspace of Databricks is `databricks` or `databricks://profile`, with `DATABRICKS_HOST` and `DATABRICKS_TOKEN` or
`~/.databrickscfg`.
"""

from __future__ import annotations

from collections.abc import Callable

from autotrack.plugin import BackendPlugin, ImporterPlugin, Integration, hookimpl

MLFLOW = Integration(
    name="mlflow",
    module="mlflow.tracking.client",
    install="autotrack_mlflow.hooks:install",
    opt_in=True,
)


@hookimpl
def autotrack_register_integrations(register: Callable[[Integration], None]) -> None:
    """Register the source: what a script tells MLflow becomes a run too."""
    register(MLFLOW)


@hookimpl
def autotrack_register_backends(register: Callable[[BackendPlugin], None]) -> None:
    """Register the backend; its module is imported in the forwarder alone."""
    register(BackendPlugin(name="mlflow", factory="autotrack_mlflow.backend:MlflowBackend"))


@hookimpl
def autotrack_register_importers(register: Callable[[ImporterPlugin], None]) -> None:
    """Register the importer, which needs no MLflow either."""
    register(ImporterPlugin("mlflow", "autotrack_mlflow.importer:Importer", place="URL, DATABASE or FOLDER"))
