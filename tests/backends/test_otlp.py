"""The backend `otlp` against a receiver that decodes with OpenTelemetry's own message classes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.proto")

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product
sys.path.insert(0, str(Path(__file__).parent.parent / "contract"))

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from otlp_receiver import Held, Receiver
from recorded import recording_into, writers

import autotrack
import autotrack_otlp.backend as backend_module
from autotrack.backend import BackendContext, BackendUnavailable
from autotrack.errors import UsageError
from autotrack.forward.catching_up import Delivered, sync
from autotrack.forward.progress import Progress
from autotrack.session import session
from autotrack.settings import load
from autotrack_otlp.backend import OtlpBackend
from autotrack_otlp.encoding import Answer, Part, Point, answer_from, as_json, as_protobuf
from autotrack_otlp.variables import target_from

ATTRIBUTES = {"text": "ü🙂", "empty": "", "yes": True, "no": False, "low": -(2**63), "high": 2**63 - 1, "half": 0.5}
PARTS = [
    Part(
        {**ATTRIBUTES, "nan": float("nan"), "nothing": None},
        {
            "loss": [
                Point(1_750_000_000_123_456_789, 0.1, {"step": 2**62}),
                Point(1, -5e-324, {"step": -3}),
                Point(2, float("-inf"), {"step": "0.25"}),
            ],
            "autotrack.run": [Point(2**63, 1, {"status": "running"}), Point(5, -1, {})],
        },
    ),
    Part({}, {"m" * 300: [Point(1, float("inf"), {})]}),
]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    made = Receiver()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.url)
    yield made
    made.close()


def delivered(home: Path) -> Delivered:
    return sync(home, load(home=home, backends="local,otlp"), ("otlp",))[0]


def again(home: Path) -> Delivered:
    (home / "delivery" / writers(home)[0] / "otlp.json").unlink()
    return delivered(home)


def recorded(home: Path, points: int = 20) -> str:
    with recording_into(home), autotrack.start_run("first", params={"lr": 0.5}) as run:
        for step in range(points):
            run.log_metrics({"loss": step / 4}, step=step)
    return run.id


def series(receiver: Receiver, metric: str = "loss") -> list[Held]:
    return [point for point in receiver.points.values() if point.metric == metric]


def test_our_protobuf_is_byte_for_byte_what_opentelemetry_writes() -> None:
    ours = as_protobuf(PARTS)
    theirs = ExportMetricsServiceRequest.FromString(ours)
    assert theirs.SerializeToString(deterministic=True) == ours
    value = theirs.resource_metrics[0].resource.attributes[4].value
    assert (value.WhichOneof("value"), value.int_value) == ("int_value", -(2**63))


def test_our_json_says_what_our_protobuf_says() -> None:
    from_json = json_format.Parse(as_json(PARTS), ExportMetricsServiceRequest())
    # Compared as text: a NaN differs from itself.
    assert str(from_json) == str(ExportMetricsServiceRequest.FromString(as_protobuf(PARTS)))


@pytest.mark.parametrize("protocol", ["http/protobuf", "http/json"])
@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_every_step_is_a_data_point_in_each_encoding(
    protocol: str, compression: str, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    run = recorded(tmp_path, 3000)
    assert delivered(tmp_path).complete
    assert sorted((point.attributes["step"], point.value) for point in series(receiver)) == [
        (step, step / 4) for step in range(3000)
    ]
    assert {point.resource["autotrack.run.id"] for point in series(receiver)} == {run}
    assert receiver.requests[-1].get("content-encoding", "none") == compression
    assert receiver.requests[-1]["content-type"] == {
        "http/protobuf": "application/x-protobuf",
        "http/json": "application/json",
    }.get(protocol)


def test_the_resource_tells_run_project_and_params_and_what_the_variables_say(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=lab%20two,team=risk")
    run = recorded(tmp_path)
    assert delivered(tmp_path).complete
    assert series(receiver)[0].resource == {
        "deployment.environment": "lab two",
        "team": "risk",
        "service.name": "battery",
        "autotrack.run.id": run,
        "autotrack.run.name": "first",
        "autotrack.project": "battery",
        "autotrack.param.lr": 0.5,
    }
    monkeypatch.setenv("OTEL_SERVICE_NAME", "trainer")
    assert again(tmp_path).complete
    assert {point.resource["service.name"] for point in series(receiver)} == {"battery", "trainer"}


def test_points_of_a_run_that_goes_on_in_its_process_still_tell_its_params(receiver: Receiver, tmp_path: Path) -> None:
    with recording_into(tmp_path):
        run = session.open_run("stages", params={"lr": 0.5})
        run.log_metrics({"loss": 1.0}, step=0)
        run.end()
        session.reopen_run(run)
        run.log_metrics({"loss": 2.0}, step=1)
        run.end()
    assert delivered(tmp_path).complete
    assert [point.resource["autotrack.param.lr"] for point in series(receiver)] == [0.5, 0.5]
    told = sorted(series(receiver, "autotrack.run"), key=lambda point: point.time)
    assert [point.attributes["status"] for point in told][-3:] == ["finished", "running", "finished"]


def test_what_is_sent_again_is_the_very_same_points_however_it_is_cut(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recording_into(tmp_path), autotrack.start_run("first") as run:
        for step in range(30):
            run.log_metrics({"loss": step / 4}, step=step)
            run.log_params({f"at {step}": step})
    assert delivered(tmp_path).complete
    once = dict(receiver.points)
    monkeypatch.setattr(backend_module, "POINTS_PER_REQUEST", 7)
    monkeypatch.setattr("autotrack.forward.delivery.BATCH", 11)
    requests = len(receiver.requests)
    assert again(tmp_path).complete
    assert len(receiver.requests) - requests > 8
    assert receiver.points == once and receiver.received == 2 * len(once)


def test_points_that_the_collector_rejects_are_counted_with_its_reason(receiver: Receiver, tmp_path: Path) -> None:
    receiver.partial = (3, "too old")
    run = recorded(tmp_path)
    assert delivered(tmp_path).complete
    count, why = Progress(tmp_path, writers(tmp_path)[0], "otlp").notes[run]["points"]
    assert count == 3 and why.endswith("refused: too old")


@pytest.mark.parametrize("content_type", ["application/json", "application/x-protobuf"])
@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xff", b"\x0a\x7f", b"null", b"[]", b"\x0a\x02\x08", b"<html>"])
def test_an_answer_that_nobody_can_read_is_a_plain_yes(body: bytes, content_type: str) -> None:
    assert answer_from(body, content_type) == Answer()


@pytest.mark.parametrize("status", [404, 405, 415, 500, 503])
def test_an_answer_that_is_about_no_point_keeps_all_of_them(status: int, receiver: Receiver, tmp_path: Path) -> None:
    recorded(tmp_path)
    receiver.answer = (status, {})
    problem = delivered(tmp_path).problem or ""
    assert str(status) in problem
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in problem or status >= 500
    receiver.answer = None
    assert delivered(tmp_path).complete
    assert len(series(receiver)) == 20 and Progress(tmp_path, writers(tmp_path)[0], "otlp").dead == 0


def test_an_integer_beyond_64_bits_is_sent_as_text_and_that_is_told(receiver: Receiver, tmp_path: Path) -> None:
    with recording_into(tmp_path), autotrack.start_run("first") as run:
        run.log_params({"large": 2**63})
    assert delivered(tmp_path).complete
    assert series(receiver, "autotrack.run")[-1].resource["autotrack.param.large"] == str(2**63)
    assert "param 'large'" in Progress(tmp_path, writers(tmp_path)[0], "otlp").notes[run.id]


def test_headers_reach_the_collector_and_a_refusal_names_their_variable(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "authorization=Bearer%20hunter2, x-team=risk")
    backend = OtlpBackend()
    backend.open(BackendContext(tmp_path, load({})))
    assert backend.check() == f"{receiver.url}/v1/metrics takes metrics"
    assert receiver.requests[-1]["authorization"] == "Bearer hunter2" and receiver.requests[-1]["x-team"] == "risk"
    receiver.answer = (401, {})
    with pytest.raises(BackendUnavailable, match="check OTEL_EXPORTER_OTLP_METRICS_HEADERS") as refusal:
        backend.check()
    assert "hunter2" not in str(refusal.value)
    backend.close()


def test_the_variables_for_metrics_go_before_those_for_all_signals() -> None:
    assert target_from({}).address.url == "http://localhost:4318/v1/metrics"
    assert target_from({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1/p/"}).address.url == "http://c:1/p/v1/metrics"
    both = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "https://m/as/it/is",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "5000",
        "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": "250",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "ca.pem",
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "client.pem",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": "client.key",
    }
    target = target_from(both)
    assert (target.address.url, target.seconds) == ("https://m/as/it/is", 0.25)
    assert (target.address.verify, target.address.certificate) == ("ca.pem", ("client.pem", "client.key"))


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "begins with http"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc", "use http/protobuf or http/json"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "use gzip or none"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s", "number of milliseconds"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2", "NAME=VALUE"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(variable: str, value: str, told: str) -> None:
    with pytest.raises(UsageError, match=f"^{variable}.*{told}"):
        target_from({variable: value})
