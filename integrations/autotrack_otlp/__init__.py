"""Send metrics to anything that takes OpenTelemetry's protocol, OTLP over HTTP: one data point for each step.

    export OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318
    export AUTOTRACK_BACKENDS=local,otlp

* a series is a gauge, each of its points a data point with the attribute `step` and its own time;
* run, project, params and tags are attributes of the resource;
* the gauge `autotrack.run` tells a run's start, outcome and error;
* datasets, models and artifacts have no place in metrics: they stay in the local record, which says so.

OpenTelemetry's own variables configure it, those for metrics before those for all signals:
`OTEL_EXPORTER_OTLP_[METRICS_]ENDPOINT`, `_HEADERS`, `_TIMEOUT`, `_COMPRESSION`, `_PROTOCOL`, `_CERTIFICATE`,
`_CLIENT_CERTIFICATE`, `_CLIENT_KEY`; `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`. No SDK is needed: the SDK's own
gauges keep the last value of each export alone.
"""

from __future__ import annotations

from collections.abc import Callable

from autotrack.plugin import BackendPlugin, hookimpl


@hookimpl
def autotrack_register_backends(register: Callable[[BackendPlugin], None]) -> None:
    """Register the backend; its module is imported in the forwarder alone."""
    register(BackendPlugin(name="otlp", factory="autotrack_otlp.backend:OtlpBackend"))
