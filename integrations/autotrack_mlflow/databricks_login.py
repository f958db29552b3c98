"""Where a workspace of Databricks is and who speaks to it: from Databricks' own variables, or `~/.databrickscfg`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from configparser import ConfigParser, Error
from pathlib import Path
from threading import Lock
from typing import Final
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from autotrack.errors import BackendUnavailable, UsageError
from autotrack.remote import Address, Bearer, Refused, Remote

_ENTRIES: Final = ("host", "token", "client_id", "client_secret", "username", "password", "insecure")
_EARLY: Final = 60
"""Seconds before its end at which a token is replaced."""


def is_databricks(uri: str) -> bool:
    """Whether a URI means a workspace of Databricks: `databricks`, or `databricks://profile`."""
    return uri == "databricks" or uri.startswith("databricks://")


def databricks_address(uri: str, environ: Mapping[str, str], variable: str, verify: bool | str) -> Address:
    """The workspace that a URI means. Raises `UsageError` where nothing says which, or who speaks to it.

    A profile, of the URI or of `DATABRICKS_CONFIG_PROFILE`, is read from `~/.databrickscfg`; without one the variables
    come first, then the profile `DEFAULT`, as in MLflow (`_get_databricks_creds_config` in 3.17).
    """
    named = uri.removeprefix("databricks").removeprefix("://") or environ.get("DATABRICKS_CONFIG_PROFILE", "")
    if ":" in named:
        raise UsageError(f"{variable}={uri!r} names a secret scope, which only Databricks' own runtime can read")
    found = {} if named else {entry: environ.get("DATABRICKS_" + entry.upper(), "") for entry in _ENTRIES}
    where = ""
    if not found.get("host") or not _ways(found):
        path = Path(environ.get("DATABRICKS_CONFIG_FILE") or "~/.databrickscfg").expanduser()
        found, where = _profile(path, named or "DEFAULT"), f", of the profile {named or 'DEFAULT'} of {path}"
        if not found.get("host") or not _ways(found):
            raise UsageError(
                f"{variable}={uri!r} needs DATABRICKS_HOST and DATABRICKS_TOKEN, or a profile in {path}: the profile "
                f"{named or 'DEFAULT'!r} has no host and token"
            )
    host = found["host"].strip().rstrip("/")
    url = host if urlsplit(host).scheme in ("http", "https") else "https://" + host
    if found.get("insecure", "").strip().lower() in ("1", "true"):
        verify = False
    way = _ways(found)[0]
    credentials = " and ".join("DATABRICKS_" + entry.upper() for entry in way) + where
    auth: AuthBase
    if way == ("token",):
        auth = Bearer(found["token"])
    elif way[0] == "client_id":
        auth = ServicePrincipal(url, found["client_id"], found["client_secret"], credentials, verify)
    else:
        auth = HTTPBasicAuth(found["username"].encode(), found["password"].encode())
    return Address(url, "DATABRICKS_HOST", credentials, auth, verify=verify)


class ServicePrincipal(AuthBase):
    """Signs in as a service principal (OAuth 2.0, client credentials, at the workspace's `/oidc/v1/token`)."""

    def __init__(self, url: str, client: str, secret: str, credentials: str, verify: bool | str) -> None:
        # As bytes: requests encodes text as latin-1.
        auth = HTTPBasicAuth(client.encode(), secret.encode())
        self._remote = Remote(Address(url, "DATABRICKS_HOST", credentials, auth, verify=verify))
        self._token = ""
        self._until = 0.0
        self._turn = Lock()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request. Raises `BackendUnavailable` where the workspace gives no token."""
        with self._turn:
            if time.monotonic() >= self._until - _EARLY:
                self._renew()
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def _renew(self) -> None:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            answer = self._remote.send(
                "POST", "/oidc/v1/token", data=b"grant_type=client_credentials&scope=all-apis", headers=form
            ).json()
            self._token = str(answer["access_token"])
            self._until = time.monotonic() + float(answer.get("expires_in", 3600))
        except (Refused, ValueError, KeyError, TypeError) as problem:
            told = str(problem)[:200] if isinstance(problem, Refused) else "its answer has no token"
            check = self._remote.address.credentials
            raise BackendUnavailable(f"Databricks gives no token: check {check}: {told}") from None


def _ways(found: Mapping[str, str]) -> list[tuple[str, ...]]:
    """The ways to sign in that are complete."""
    ways: tuple[tuple[str, ...], ...] = (("token",), ("client_id", "client_secret"), ("username", "password"))
    return [way for way in ways if all(found.get(entry) for entry in way)]


def _profile(path: Path, name: str) -> dict[str, str]:
    # Each profile for itself: an ordinary parser would send the token of DEFAULT to the host of another.
    parser = ConfigParser(interpolation=None, default_section="")
    try:
        parser.read(path, encoding="utf-8")
    except (Error, OSError, UnicodeDecodeError) as problem:
        raise UsageError(f"{path} cannot be read: {type(problem).__name__}") from None
    return dict(parser[name]) if parser.has_section(name) else {}
