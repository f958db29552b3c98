"""Where the server is and how it is reached: from MLflow's own variables, and for Databricks from Databricks' own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from requests.auth import AuthBase, HTTPBasicAuth

from autotrack.errors import UsageError
from autotrack.remote import Address, Bearer
from autotrack_mlflow.databricks_login import databricks_address, is_databricks

TRACKING_URI: Final = "MLFLOW_TRACKING_URI"
CREDENTIALS: Final = "MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"

_ELSEWHERE: Final = {"azureml": "azureml", "arn": "sagemaker-mlflow"}
"""Schemes that another backend speaks."""


def address_from(environ: Mapping[str, str], variable: str = TRACKING_URI) -> Address:
    """The address that MLflow's standard variables name. Raises `UsageError` naming the variable at fault."""
    uri = environ.get(variable, "").strip().rstrip("/")
    if not uri:
        raise UsageError(f"{variable} is not set; set it to the server's address, such as http://localhost:5000")
    if is_databricks(uri):
        return databricks_address(uri, environ, variable, verify_from(environ))
    scheme = urlsplit(uri).scheme
    if scheme in _ELSEWHERE:
        raise UsageError(f"{variable}={uri!r} is for the backend {_ELSEWHERE[scheme]}: name that in AUTOTRACK_BACKENDS")
    if scheme not in ("http", "https"):
        shown = Address(uri, variable).shown  # the address of a database may hold a password
        raise UsageError(
            f"{variable}={shown!r} is not a server's http or https address; for a database or a folder, "
            "start `mlflow server` on it and name that server's address"
        )
    user, password = environ.get("MLFLOW_TRACKING_USERNAME"), environ.get("MLFLOW_TRACKING_PASSWORD")
    token = environ.get("MLFLOW_TRACKING_TOKEN")
    auth: AuthBase | None = None
    if user and password:  # before the token, as in MLflow
        # As bytes: requests encodes text as latin-1, MLflow's client as UTF-8.
        auth = HTTPBasicAuth(user.encode(), password.encode())
    elif token:
        auth = Bearer(token)
    return Address(uri, variable, CREDENTIALS, auth, verify=verify_from(environ), certificate=certificate_from(environ))


def verify_from(environ: Mapping[str, str]) -> bool | str:
    """Whether certificates are checked, or against which authorities."""
    if environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").strip().lower() in ("1", "true"):
        return False
    return environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or True


def certificate_from(environ: Mapping[str, str]) -> str | None:
    """The certificate of the client."""
    return environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH") or None


__all__ = ["TRACKING_URI", "address_from", "certificate_from", "is_databricks", "verify_from"]
