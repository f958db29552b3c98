"""A receiver of OTLP metrics: decodes with OpenTelemetry's own message classes, and holds each point once.

What a point is told by is OTLP's: its resource, metric, attributes and time.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import pytest

pytest.importorskip("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)


@dataclass(frozen=True)
class Held:
    """One data point."""

    metric: str
    resource: dict[str, Any]
    attributes: dict[str, Any]
    time: int
    value: float | int


class Receiver:
    """Listens on loopback, as a collector does."""

    def __init__(self) -> None:
        self.points: dict[tuple[Any, ...], Held] = {}
        self.received = 0
        """Points, those that came again as well."""
        self.requests: list[dict[str, str]] = []
        self.answer: tuple[int, dict[str, str]] | None = None
        self.partial: tuple[int, str] | None = None
        """(points that are rejected of each request, why)"""
        self._lock = Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                with receiver._lock:
                    status, headers, content = receiver._take(self, body)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _take(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(headers)
        if self.answer:
            return (*self.answer, b"")
        if request.path != "/v1/metrics":
            return 404, {}, b""
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        as_json = headers["content-type"] == "application/json"
        if as_json:
            message = json_format.Parse(body, ExportMetricsServiceRequest())
        else:
            message = ExportMetricsServiceRequest.FromString(body)
        for part in message.resource_metrics:
            self._hold(part)
        answer = ExportMetricsServiceResponse()
        if self.partial:
            answer.partial_success.rejected_data_points, answer.partial_success.error_message = self.partial
        content = json_format.MessageToJson(answer).encode() if as_json else answer.SerializeToString()
        return 200, {"Content-Type": headers["content-type"]}, content

    def _hold(self, part: Any) -> None:
        resource = _attributes(part.resource.attributes)
        for scope in part.scope_metrics:
            assert scope.scope.name == "autotrack"
            for metric in scope.metrics:
                assert metric.WhichOneof("data") == "gauge"
                for point in metric.gauge.data_points:
                    attributes = _attributes(point.attributes)
                    self.received += 1
                    value = getattr(point, point.WhichOneof("value"))
                    held = Held(metric.name, resource, attributes, point.time_unix_nano, value)
                    identity = (repr(resource), metric.name, repr(attributes), held.time)
                    first = self.points.setdefault(identity, held)
                    assert repr(first.value) == repr(value), "one point, two values"


def _attributes(attributes: Any) -> dict[str, Any]:
    found = {one.key: _value(one.value) for one in attributes}
    assert len(found) == len(attributes), "an attribute is there twice"
    return found


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None
