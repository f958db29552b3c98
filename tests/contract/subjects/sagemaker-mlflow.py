"""SageMaker's managed MLflow: a real MLflow server, reached with an ARN and signatures."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "backends"))

pytest.importorskip("botocore", reason="botocore is not installed: pip install boto3")

from sagemaker_gate import ARN, KEY, SECRET

_SPEC = importlib.util.spec_from_file_location("contract_subject_of_mlflow", Path(__file__).with_name("mlflow.py"))
assert _SPEC is not None and _SPEC.loader is not None
_MLFLOW = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MLFLOW)


class Subject(_MLFLOW.Subject):  # type: ignore[name-defined, misc]
    name = "sagemaker-mlflow"
    url_variable = "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT"

    def variables(self) -> dict[str, str]:
        # Without a gate that checks signatures: they hold for one host, and the battery's proxy is another. That they
        # are right is tested in `test_sagemaker_mlflow.py`.
        return {
            "MLFLOW_TRACKING_URI": ARN,
            "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT": self.server.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }
