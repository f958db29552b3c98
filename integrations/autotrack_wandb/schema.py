"""The messages of W&B's transaction log that are written and read here, as tables of their fields.

After `wandb_internal.proto` of wandb 0.31 (package `wandb_internal`). W&B keeps old files readable, so numbers stay.
Whatever is not in these tables is skipped in reading and never written.
"""

from __future__ import annotations

from typing import Final

from autotrack_wandb.wire import VARINT, Field, Message

TIMESTAMP: Final[Message] = {"seconds": Field(1, VARINT), "nanos": Field(2, VARINT)}
ITEM: Final[Message] = {"key": Field(1), "nested_key": Field(2, repeated=True), "value_json": Field(16)}
CHANGES: Final[Message] = {"update": Field(1, ITEM, True), "remove": Field(2, ITEM, True)}
"""`ConfigRecord` and `SummaryRecord`."""
HISTORY: Final[Message] = {"item": Field(1, ITEM, True), "step": Field(2, {"num": Field(1, VARINT)})}
OUTPUT: Final[Message] = {"output_type": Field(1, VARINT), "timestamp": Field(2, TIMESTAMP), "line": Field(3)}
"""`OutputRecord` and `OutputRawRecord`; the type is 0 for stderr, 1 for stdout."""
FILE: Final[Message] = {"path": Field(1), "policy": Field(2, VARINT), "type": Field(3, VARINT)}
FILES: Final[Message] = {"files": Field(1, FILE, True)}
STATS: Final[Message] = {"timestamp": Field(2, TIMESTAMP), "item": Field(3, ITEM, True)}
MANIFEST_ENTRY: Final[Message] = {
    "path": Field(1),
    "digest": Field(2),
    "ref": Field(3),
    "size": Field(4, VARINT),
    "local_path": Field(6),
    "skip_cache": Field(8, VARINT),
}
MANIFEST: Final[Message] = {
    "version": Field(1, VARINT),
    "storage_policy": Field(2),
    "storage_policy_config": Field(3, {"key": Field(1), "value_json": Field(2)}, True),
    "contents": Field(4, MANIFEST_ENTRY, True),
    "manifest_file_path": Field(5),
}
ARTIFACT: Final[Message] = {
    "run_id": Field(1),
    "project": Field(2),
    "entity": Field(3),
    "type": Field(4),
    "name": Field(5),
    "digest": Field(6),
    "description": Field(7),
    "metadata": Field(8),
    "user_created": Field(9, VARINT),
    "aliases": Field(11, repeated=True),
    "manifest": Field(12, MANIFEST),
    "finalize": Field(14, VARINT),
    "client_id": Field(15),
    "sequence_client_id": Field(16),
    "digest_algorithm": Field(20),
}
ALERT: Final[Message] = {"title": Field(1), "text": Field(2), "level": Field(3)}
METRIC: Final[Message] = {
    "name": Field(1),
    "glob_name": Field(2),
    "step_metric": Field(4),
    "options": Field(6, {"step_sync": Field(1, VARINT), "hidden": Field(2, VARINT), "defined": Field(3, VARINT)}),
}
GIT: Final[Message] = {"remote_url": Field(1), "commit": Field(2)}
RUN: Final[Message] = {
    "run_id": Field(1),
    "entity": Field(2),
    "project": Field(3),
    "config": Field(4, CHANGES),
    "summary": Field(5, CHANGES),
    "run_group": Field(6),
    "job_type": Field(7),
    "display_name": Field(8),
    "notes": Field(9),
    "tags": Field(10, repeated=True),
    "sweep_id": Field(12),
    "host": Field(13),
    "start_time": Field(17, TIMESTAMP),
    "resumed": Field(18, VARINT),
    "git": Field(21, GIT),
}
EXIT: Final[Message] = {
    "exit_code": Field(1, VARINT),
    "runtime": Field(2, VARINT),
    "not_complete": Field(3, VARINT),
}
ENVIRONMENT: Final[Message] = {
    "os": Field(1),
    "python": Field(2),
    "started_at": Field(3, TIMESTAMP),
    "args": Field(5, repeated=True),
    "program": Field(6),
    "git": Field(9, GIT),
    "root": Field(11),
    "host": Field(12),
    "username": Field(13),
    "executable": Field(14),
    "cpu_count": Field(16, VARINT),
    "cpu_count_logical": Field(17, VARINT),
    "gpu_type": Field(18),
    "gpu_count": Field(19, VARINT),
    "writer_id": Field(199),
}
RECORD: Final[Message] = {
    "num": Field(1, VARINT),
    "history": Field(2, HISTORY),
    "summary": Field(3, CHANGES),
    "output": Field(4, OUTPUT),
    "config": Field(5, CHANGES),
    "files": Field(6, FILES),
    "stats": Field(7, STATS),
    "artifact": Field(8, ARTIFACT),
    "tbrecord": Field(9, {"log_dir": Field(1)}),
    "alert": Field(10, ALERT),
    "metric": Field(12, METRIC),
    "output_raw": Field(13, OUTPUT),
    "run": Field(17, RUN),
    "exit": Field(18, EXIT),
    "header": Field(21, {"version_info": Field(1, {"producer": Field(1), "min_consumer": Field(2)})}),
    "use_artifact": Field(25, {"id": Field(1), "type": Field(2), "name": Field(3)}),
    "environment": Field(26, ENVIRONMENT),
    "output_logger": Field(27, {"line": Field(1)}),
    "_info": Field(200, {"stream_id": Field(1)}),
}

OUTLINE: Final[Message] = {
    "history": Field(2, {"step": HISTORY["step"]}),
    "config": RECORD["config"],
    "run": RECORD["run"],
    "environment": RECORD["environment"],
}
"""What is looked at before a file is read whole: the rest is skipped, which is quick."""


def timestamp(time: int) -> dict[str, int]:
    """Nanoseconds since the epoch as the fields of a `Timestamp`."""
    return {"seconds": time // 1_000_000_000, "nanos": time % 1_000_000_000}


def nanoseconds(timestamp: dict[str, int]) -> int:
    """And back."""
    return timestamp.get("seconds", 0) * 1_000_000_000 + timestamp.get("nanos", 0)
