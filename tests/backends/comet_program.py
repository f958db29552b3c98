"""Run by the interpreter that has Comet: its own uploader reads offline experiments, against a double of the server.

`python comet_program.py FOLDER` answers each line of standard input with all archives in the folder, as JSON: what
`comet upload` checked against its schemas and would have sent.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("COMET_LOGGING_CONSOLE", "ERROR")
os.environ["COMET_OFFLINE_SAMPLING_SIZE"] = "1000000"

from comet_ml.offline import OfflineSender


class Told:
    """What the connection, the API client and the manager of uploads are told; anything else is nothing."""

    base_url = server_address = "http://127.0.0.1"

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.found: dict[str, Any] = {"tags": [], "params": {}, "metrics": [], "others": {}, "log": [], "files": []}

    def add_run(self, project: str, workspace: str | None, offline: bool) -> Any:
        self.found |= {"project": project, "workspace": workspace}
        return SimpleNamespace(
            run_id="1",
            project_id="2",
            is_github=False,
            focus_link="",
            feature_toggles={},
            s3_direct_access_enabled=False,
        )

    def add_tags(self, tags: list[str]) -> None:
        self.found["tags"] += tags

    def get_upload_url(self, kind: str) -> str:
        return f"http://127.0.0.1/{kind}"

    def log_parameters_batch(self, items: list[Any], compress: bool) -> None:
        for item in items:
            sent = item.message.to_message_dict()["param"]
            self.found["params"][sent["paramName"]] = sent["paramValue"]

    def log_metrics_batch(self, items: list[Any], compress: bool) -> None:
        self.found["metrics"] += [item.message.to_batch_message_dict() for item in items]

    def send_stdout_batch(self, batch_items: list[Any], compress: bool, experiment_key: str) -> None:
        for item in batch_items:
            self.found["log"].append([bool(item.message.stderr), item.message.output])

    def log_experiment_other(self, experiment_key: str, key: str, value: Any) -> None:
        self.found["others"][key] = value

    def set_experiment_git_metadata(self, experiment_key: str, **git: Any) -> None:
        self.found["git"] = git

    def update_experiment_error_status(self, experiment_key: str, is_alive: bool, error_value: str) -> None:
        self.found["error"] = error_value

    def offline_experiment_start_end_time(self, run: str, start: int | None, end: int) -> None:
        self.found |= {"start": start, "end": end}

    def upload_file_thread(self, options: Any) -> None:
        content = Path(options.file_path).read_bytes()
        Path(options.file_path).unlink()  # as the real one does
        given = options.additional_params
        self.found["files"].append([options.upload_type, given["fileName"], given.get("groupingName"), content.hex()])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def nothing(*values: Any, **named: Any) -> None:
            self.found.setdefault("other calls", []).append(name)

        return nothing


class Sender(OfflineSender):
    """Comet's own, but for what carries its files to the server."""

    def _init_file_upload_manager(self) -> None:
        self.file_upload_manager = self.connection


def read(archive: Path) -> dict[str, Any]:
    folder = tempfile.mkdtemp()
    try:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
        told = Told(folder)
        sender = Sender("key", folder, raise_validation_error_for_tests=True, connection=told, rest_api_client=told)
        sender.send()
        return {**told.found, "key": sender.experiment_id, "left": sorted(os.listdir(folder))}
    finally:
        shutil.rmtree(folder)


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr
    for _ in sys.stdin:
        found = [read(path) for path in sorted(Path(sys.argv[1]).glob("*.zip"))]
        print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    main()
