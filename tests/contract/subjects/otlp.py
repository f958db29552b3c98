"""The backend `otlp`, read back from a receiver on loopback that decodes with OpenTelemetry's own classes."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # test modules are not a package
sys.path.insert(0, str(Path(__file__).parent.parent.parent / "backends"))

from subject import EVERYTHING, ReadRun


class Subject:
    name = "otlp"
    carries = EVERYTHING - {"equal_points", "datasets", "models", "artifacts", "registry"}
    url_variable = "OTEL_EXPORTER_OTLP_ENDPOINT"
    listens: str | None = None

    def __init__(self, folder: Path) -> None:
        from otlp_receiver import Receiver  # skips where OpenTelemetry's messages are not installed

        self._receiver = Receiver()

    def start(self) -> dict[str, str]:
        self.listens = self._receiver.url
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self._receiver.url}

    def read(self) -> dict[str, ReadRun]:
        found: dict[str, ReadRun] = defaultdict(lambda: ReadRun(name=""))
        for point in sorted(self._receiver.points.values(), key=lambda point: point.time):
            resource = point.resource
            read = found[resource["autotrack.run.id"]]
            read.name = resource.get("autotrack.run.name", read.name)
            read.parent = resource.get("autotrack.run.parent", read.parent)
            read.params |= _below("autotrack.param.", resource)
            read.tags |= _below("autotrack.tag.", resource)
            if point.metric == "autotrack.run":
                read.status = point.attributes["status"]
                read.error = point.attributes.get("exception.message")
                assert point.value == (read.status == "running")
            else:
                read.metrics.setdefault(point.metric, []).append((str(point.attributes["step"]), point.value))
                read.times.setdefault(point.metric, []).append(point.time / 1e9)
        return dict(found)

    def stop(self) -> None:
        self._receiver.close()


def _below(prefix: str, attributes: dict[str, object]) -> dict[str, object]:
    return {key.removeprefix(prefix): value for key, value in attributes.items() if key.startswith(prefix)}
