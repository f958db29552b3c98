"""Asking a self-hosted Neptune whether it would take runs: one request without credentials, one with them."""

from __future__ import annotations

import requests

from autotrack.errors import BackendUnavailable
from autotrack_neptune.token import Connection, address_in


def reached(where: Connection, client: str) -> str:
    """One line that says what answered. Raises `BackendUnavailable`, which names the variable to check."""
    token = where.token or ""
    address = address_in(token).rstrip("/")
    try:
        config = requests.get(f"{address}/api/backend/v1/clients/config", timeout=7)
        if config.status_code != 200:
            raise BackendUnavailable(f"{address} answers {config.status_code}: is it Neptune? check NEPTUNE_API_TOKEN")
        exchanged = requests.get(
            f"{address}/api/backend/v1/authorization/oauth-token",
            headers={"X-Neptune-Api-Token": token},
            timeout=7,
        )
    except requests.RequestException as problem:
        kind = type(problem).__name__
        raise BackendUnavailable(f"{address} cannot be reached ({kind}); it is named in NEPTUNE_API_TOKEN") from None
    if exchanged.status_code in (401, 403):
        raise BackendUnavailable(f"{address} does not accept NEPTUNE_API_TOKEN ({exchanged.status_code})")
    return f"{client} to {address}, project {where.project or 'of each run'}"
