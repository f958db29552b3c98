"""Send runs to SageMaker.

The backend `sagemaker` keeps runs as classic experiments and models in the model registry, through boto3:

    pip install 'autotrack-ml[sagemaker]'
    export AWS_DEFAULT_REGION=eu-central-1 AWS_PROFILE=research
    export AUTOTRACK_BACKENDS=local,sagemaker

* a project is an experiment, a run the trial component `autotrack-<run id>`, in a trial of its own or in its parent's;
* params are parameters, tags AWS tags (one that AWS does not take is the parameter `autotrack.tag.<key>`);
* points are the component's metrics; those that SageMaker cannot keep (NaN, infinities, steps below 0) are noted;
* files and models go to S3 and are listed as output artifacts, datasets as input artifacts;
* a model that is registered is the next version of a model package group.

The backend `sagemaker-mlflow` sends them to a managed MLflow instead, as `autotrack_mlflow` says: `MLFLOW_TRACKING_URI`
is then the ARN of a tracking server or of an app, and AWS's credentials sign each request.

The standard variables of AWS configure both; `AUTOTRACK_SAGEMAKER_BUCKET` names another bucket than SageMaker's own
default, `AUTOTRACK_SAGEMAKER_IMAGE` the container that is to serve registered models.
"""

from __future__ import annotations

from collections.abc import Callable

from autotrack.plugin import BackendPlugin, hookimpl


@hookimpl
def autotrack_register_backends(register: Callable[[BackendPlugin], None]) -> None:
    """Register the backends; their modules are imported in the forwarder alone."""
    register(BackendPlugin("sagemaker", "autotrack_sagemaker.backend:SagemakerBackend", extra="sagemaker"))
    register(BackendPlugin("sagemaker-mlflow", "autotrack_sagemaker.managed:ManagedBackend", extra="sagemaker"))
