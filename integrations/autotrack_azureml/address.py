"""Where a workspace is, and the token that it wants with each request.

The forms of addresses are those of azureml-mlflow 1.62 (`_store/azureml_reststore.py`): whatever version of MLflow's
API the address names, Azure ML speaks 2.0.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from importlib import import_module
from ipaddress import ip_address
from threading import Lock
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from autotrack.errors import BackendUnavailable, UsageError
from autotrack.remote import Address, Bearer
from autotrack_mlflow.address import TRACKING_URI, certificate_from, verify_from

IDENTITY: Final = "MLFLOW_TRACKING_TOKEN, or AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET, or `az login`"

_PATH: Final = re.compile(
    "/mlflow/v[0-9.]+(/subscriptions/[^/]+/resourceGroups/[^/]+"
    "/providers/Microsoft.MachineLearningServices/workspaces/[^/]+)/?"
)
_CLOUDS: Final = {
    ".azure.us": ("https://management.usgovcloudapi.net/.default", "login.microsoftonline.us"),
    ".azure.cn": ("https://management.chinacloudapi.cn/.default", "login.chinacloudapi.cn"),
}
"""For the ends of hosts of sovereign clouds: what a token is asked for, and who is asked."""
_PUBLIC: Final = ("https://management.azure.com/.default", "login.microsoftonline.com")

_EARLY: Final = 300
"""Seconds before its end at which a token is replaced."""


def address_from(environ: Mapping[str, str]) -> Address:
    """The address of the workspace. Raises `UsageError` where `MLFLOW_TRACKING_URI` is none.

    `azureml://` is always https. In plain http, for a tunnel or a test, only this machine itself is spoken to, and with
    no token but one that was set by hand.
    """
    uri = environ.get(TRACKING_URI, "").strip()
    parts = urlsplit(uri)
    path = _PATH.fullmatch(parts.path)
    if parts.scheme not in ("azureml", "https", "http") or not parts.netloc or path is None:
        raise UsageError(
            f"{TRACKING_URI} is not the address of a workspace of Azure ML, azureml://<host>/mlflow/v1.0/subscriptions/"
            "<id>/resourceGroups/<name>/providers/Microsoft.MachineLearningServices/workspaces/<name>"
        )
    plain = parts.scheme == "http"
    if plain and not _is_this_machine(parts.hostname or ""):
        raise UsageError(f"{TRACKING_URI} would send a token in plain http to {parts.hostname}: use azureml://")
    host = parts.netloc.rpartition("@")[2]
    url = f"{'http' if plain else 'https'}://{host}/mlflow/v2.0{path[1]}"
    token = environ.get("MLFLOW_TRACKING_TOKEN")
    auth: AuthBase | None = None
    if token:
        auth = Bearer(token)
    elif not plain:
        auth = AzureIdentity(parts.hostname or "", environ)
    return Address(
        url, TRACKING_URI, IDENTITY, auth, verify=verify_from(environ), certificate=certificate_from(environ)
    )


class AzureIdentity(AuthBase):
    """A token of azure-identity's `DefaultAzureCredential`, asked for when it is first needed and as it grows old.

    Raises `UsageError` where azure-identity is missing.
    """

    def __init__(self, host: str, environ: Mapping[str, str], credential: Any = None) -> None:
        self._scope, authority = next((cloud for end, cloud in _CLOUDS.items() if host.endswith(end)), _PUBLIC)
        self._credential = credential or _default_credential(environ.get("AZURE_AUTHORITY_HOST") or authority)
        self._token = ""
        self._until = 0.0
        self._turn = Lock()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request. Raises `BackendUnavailable` where Azure gives no token."""
        request.headers["Authorization"] = f"Bearer {self._current()}"
        return request

    def _current(self) -> str:
        # Kept here: some of the credentials, such as the one of `az`, start a program for each token.
        with self._turn:
            if time.time() >= self._until - _EARLY:
                try:
                    given = self._credential.get_token(self._scope)
                except Exception as problem:  # azure-core's errors, and those of whatever it asks
                    reason = " ".join(str(problem).split())[:300]
                    raise BackendUnavailable(f"Azure gives no token: check {IDENTITY}: {reason}") from None
                self._token, self._until = given.token, float(given.expires_on)
            return self._token


def _default_credential(authority: str) -> Any:
    try:
        identity = import_module("azure.identity")
    except ImportError:
        raise UsageError(
            "the backend azureml needs a token: set MLFLOW_TRACKING_TOKEN, or pip install 'autotrack-ml[azureml]'"
        ) from None
    # Quick to give up, and nothing that asks a person: the forwarder has no terminal.
    return identity.DefaultAzureCredential(
        authority=authority,
        exclude_interactive_browser_credential=True,
        process_timeout=20,
        connection_timeout=5,
        read_timeout=20,
        retry_total=1,
    )


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
