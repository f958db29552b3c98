"""The backend `webhooks`, read back from a receiver on loopback that checks signatures: registered models alone."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # test modules are not a package
sys.path.insert(0, str(Path(__file__).parent.parent.parent / "backends"))

from subject import ReadModel, ReadRun
from webhook_receiver import SECRET, Receiver


class Subject:
    name = "webhooks"
    carries = frozenset({"registry"})
    url_variable = "AUTOTRACK_WEBHOOKS"
    listens: str | None = None

    def __init__(self, folder: Path) -> None:
        pass

    def start(self) -> dict[str, str]:
        self._receiver = Receiver()
        self.listens = self._receiver.host
        return {"AUTOTRACK_WEBHOOKS": self._receiver.url, "AUTOTRACK_WEBHOOK_SECRET": SECRET}

    def read(self) -> dict[str, ReadRun]:
        return {}

    def read_model(self, name: str) -> ReadModel:
        assert not self._receiver.forged
        told = sorted(self._receiver.messages.values(), key=lambda one: one["timestamp"])
        steps = [one["data"] for one in told if one["data"]["model"] == name]
        versions = {one["version"]: one["digest"] for one in steps if one["version"]}
        return ReadModel(
            [versions[number] for number in sorted(versions)],
            {alias: one["digest"] for alias, one in steps[-1]["after"]["aliases"].items()},
        )

    def stop(self) -> None:
        self._receiver.close()
