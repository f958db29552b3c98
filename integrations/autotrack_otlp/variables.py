"""OpenTelemetry's variables (its specification 1.55, "OpenTelemetry Protocol Exporter"): where and how to send.

Each may be given for metrics alone, `OTEL_EXPORTER_OTLP_METRICS_…`, which then counts. Time-outs are milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from autotrack.errors import UsageError
from autotrack.remote import Address
from autotrack_otlp.encoding import Value

DEFAULT_ENDPOINT: Final = "http://localhost:4318"
DEFAULT_TIMEOUT: Final = 10_000
PROTOCOLS: Final = ("http/protobuf", "http/json")


@dataclass(frozen=True)
class Target:
    """Where metrics go, and how."""

    address: Address
    seconds: float
    compressed: bool
    as_json: bool
    service: str | None
    attributes: dict[str, Value]
    """Of every resource."""


def target_from(environ: Mapping[str, str]) -> Target:
    """Read the variables. Raises `UsageError` where they cannot be used."""

    def of(name: str) -> tuple[str, str]:
        for variable in (f"OTEL_EXPORTER_OTLP_METRICS_{name}", f"OTEL_EXPORTER_OTLP_{name}"):
            if value := environ.get(variable, "").strip():
                return value, variable
        return "", f"OTEL_EXPORTER_OTLP_{name}"

    protocol, variable = of("PROTOCOL")
    if protocol and protocol not in PROTOCOLS:
        raise UsageError(f"{variable}={protocol!r} is not spoken here: use {' or '.join(PROTOCOLS)}")
    compression, variable = of("COMPRESSION")
    if compression not in ("", "none", "gzip"):
        raise UsageError(f"{variable}={compression!r} cannot be used: use gzip or none")
    timeout, variable = of("TIMEOUT")
    if timeout and (not timeout.isdigit() or timeout == "0"):
        raise UsageError(f"{variable}={timeout!r} cannot be used: use a number of milliseconds, such as 10000")
    headers, headers_variable = of("HEADERS")
    endpoint, variable = of("ENDPOINT")
    if not (endpoint or DEFAULT_ENDPOINT).startswith(("http://", "https://")):
        raise UsageError(f"{variable}={endpoint!r} cannot be used: it begins with http:// or https://")
    if "_METRICS_" not in variable:
        endpoint = (endpoint or DEFAULT_ENDPOINT).rstrip("/") + "/v1/metrics"
    client, key = of("CLIENT_CERTIFICATE")[0], of("CLIENT_KEY")[0]
    address = Address(
        endpoint,
        variable,
        headers_variable,
        headers=pairs(headers, headers_variable),
        verify=of("CERTIFICATE")[0] or True,
        certificate=(client, key) if client and key else client or None,
    )
    attributes = pairs(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""), "OTEL_RESOURCE_ATTRIBUTES")
    service = environ.get("OTEL_SERVICE_NAME", "").strip() or attributes.get("service.name")
    seconds = int(timeout or DEFAULT_TIMEOUT) / 1000
    return Target(address, seconds, compression == "gzip", protocol == "http/json", service, {**attributes})


def pairs(text: str, variable: str) -> dict[str, str]:
    """`NAME=VALUE,NAME=VALUE`, values percent-encoded. Raises `UsageError`, which shows no value."""
    found = {}
    for part in text.split(","):
        name, given, value = part.partition("=")
        if not part.strip():
            continue
        if not given or not name.strip():
            raise UsageError(f"{variable} cannot be used: write NAME=VALUE,NAME=VALUE with values percent-encoded")
        found[name.strip()] = unquote(value.strip())
    return found


__all__ = ["Target", "pairs", "target_from"]
