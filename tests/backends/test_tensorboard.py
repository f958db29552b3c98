"""The TensorBoard backend: what it writes is read by TensorBoard's own classes, and shown by its real server."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from mlflow_server import Journal, Lent
from tensorboard_reader import Shown, events, folders, shown

from autotrack.errors import BackendUnavailable, UsageError
from autotrack.events import (
    ArtifactLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    RunEnded,
    TagsSet,
)
from autotrack_tensorboard.backend import TensorboardBackend
from autotrack_tensorboard.framing import Damage, crc32c, framed, records

START_SECONDS = 60


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the event files go."""
    for name in ("TENSORBOARD_LOGDIR", "TENSORBOARD_LOGGING_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AUTOTRACK_TENSORBOARD_DIR", str(tmp_path / "logs"))
    return tmp_path / "logs"


@pytest.fixture
def lent(tmp_path: Path) -> Lent:
    """What the forwarder lends."""
    return Lent(tmp_path / "home")


def opened(lent: Lent) -> TensorboardBackend:
    """An open backend; its state went through JSON, as the forwarder's does."""
    lent.context.state = json.loads(json.dumps(dict(lent.context.state)))
    backend = TensorboardBackend()
    backend.open(lent.context)
    return backend


def deliver(lent: Lent, *journals: Journal) -> None:
    """Deliver whole journals in a process of its own, as far as the backend can tell."""
    backend = opened(lent)
    for journal in journals:
        backend.deliver(journal.records)
    backend.close()


def the_run(logs: Path) -> Shown:
    """The only folder there."""
    (folder,) = folders(logs)
    return shown(folder)


def png(width: int, height: int) -> bytes:
    """A small picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + bytes(width) for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def training(lent: Lent, name: str = "baseline", lr: float = 0.1, status: str = "finished") -> Journal:
    """A run with all that TensorBoard has a page for."""
    journal = Journal(project="churn")
    journal.start(name)
    journal.add(ParamsLogged, {"lr": lr, "depth": 3, "name": "adam", "flag": True, "nothing": None, "big": 2**60})
    for step in range(5):
        journal.add(MetricsLogged, step, {"loss": 1 / (step + 1), "val/loss": 0.5})
    picture = png(4, 3)
    journal.add(ArtifactLogged, "roc.png", lent.keep(picture), len(picture), "image/png")
    journal.add(TagsSet, {"team": "risk"})
    journal.add(RunEnded, status)
    return journal


def test_checksums_are_those_of_the_standard_and_of_the_product():
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    from autotrack_tensorboard.framing import masked

    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720 and every catalogue of checksums
    for size in (0, 1, 7, 16_383, 16_384, 16_385, 70_001):
        data = bytes(index * 7 % 251 for index in range(size))
        assert masked(crc32c(data)) == masked_crc32c(data)


def test_every_record_is_read_by_the_products_loader_with_its_time(lent: Lent, logs: Path):
    journal = training(lent)
    deliver(lent, journal)
    (folder,) = folders(logs)
    assert folder.parent.name == "churn" and folder.name == f"baseline-{journal.run[:8]}"
    (file,) = folder.iterdir()
    read = events(file)
    assert read[0].file_version == "brain.Event:2"
    times = [event.wall_time for event in read if event.HasField("summary") and event.step == 3]
    points = [record.event for record in journal.records if isinstance(record.event, MetricsLogged)]
    assert points[3].time / 1e9 in times


def test_a_run_is_what_was_recorded(lent: Lent, logs: Path):
    deliver(lent, training(lent))
    run = the_run(logs)
    expected = [(step, struct.unpack("<f", struct.pack("<f", 1 / (step + 1)))[0]) for step in range(5)]
    assert [(step, value) for step, value, _ in run.scalars["loss"]] == expected
    assert run.hparams == {"lr": 0.1, "depth": 3.0, "name": "adam", "flag": True, "nothing": "None", "big": str(2**60)}
    assert run.merged("autotrack/params")["big"] == 2**60 and run.merged("autotrack/params")["nothing"] is None
    assert run.merged("autotrack/tags") == {"team": "risk"}
    assert run.images == {"roc.png": [png(4, 3)]}
    assert run.end == 1
    assert {what for _, what, _ in lent.notes} == {"digits of values"}


def test_what_a_float32_cannot_hold_is_told(lent: Lent, logs: Path):
    journal = Journal()
    journal.start()
    for value in (0.5, float("nan"), float("inf"), 0.1, 1e300):
        journal.add(MetricsLogged, 1, {"m": value})
    deliver(lent, journal)
    values = [value for _, value, _ in the_run(logs).scalars["m"]]
    assert values[0] == 0.5 and math.isnan(values[1]) and values[2] == values[4] == math.inf
    assert values[3] == struct.unpack("<f", struct.pack("<f", 0.1))[0]
    assert len(lent.notes) == 2


def test_files_and_late_params_are_told_as_not_carried(lent: Lent, logs: Path):
    journal = Journal()
    journal.start()
    journal.add(MetricsLogged, 1, {"m": 0.5})
    journal.add(ParamsLogged, {"late": 1})
    journal.add(ArtifactLogged, "report.html", lent.keep(b"<p>"), 3)
    journal.add(ArtifactLogged, "broken.png", lent.keep(b"no picture"), 10)
    journal.add(ModelLogged, "clf", "safetensors", lent.keep(b"weights"), 7, 4)
    journal.add(DatasetLogged, "train", "rows", {"value": "x1:abc", "n_rows": 10})
    deliver(lent, journal)
    run = the_run(logs)
    assert run.merged("autotrack/params") == {"late": 1}
    assert run.merged("datasets/train/rows") == {"value": "x1:abc", "n_rows": 10}
    assert run.merged("models/clf")["digest"] == lent.keep(b"weights")
    told = {what for _, what, _ in lent.notes}
    expected = {"param late on the page HParams", "artifact report.html", "artifact broken.png", "model clf"}
    assert told == expected


def test_a_journal_that_comes_before_the_one_that_names_the_run_shares_its_folder(lent: Lent, logs: Path):
    named = training(lent)
    other = Journal(named.run, "churn")
    other.add(MetricsLogged, 0, {"system/cpu": 0.5})
    first = opened(lent)
    first.deliver(other.records)
    (stand_in,) = folders(logs)
    second = opened(Lent(lent.context.home))
    second.deliver(named.records)
    other.add(MetricsLogged, 1, {"system/cpu": 0.25})
    first.deliver(other.records[1:])  # with the file still open
    assert not stand_in.exists()
    run = the_run(logs)
    assert run.folder.name.startswith("baseline-") and len(list(run.folder.iterdir())) == 2
    assert [value for _, value, _ in run.scalars["system/cpu"]] == [0.5, 0.25]
    assert len(run.scalars["loss"]) == 5
    first.close()
    second.close()


def test_a_write_that_was_not_acknowledged_is_cut_off(lent: Lent, logs: Path):
    journal = training(lent)
    backend = opened(lent)
    backend.deliver(journal.records[:4])
    state = json.dumps(dict(lent.context.state))
    backend.deliver(journal.records[4:])
    backend.close()
    before = the_run(logs)
    lent.context.state = json.loads(state)  # the forwarder was killed before it kept the newer one
    backend = opened(lent)
    backend.deliver(journal.records[4:7])
    backend.deliver(journal.records[7:])
    backend.close()
    assert the_run(logs) == before


def test_a_full_disk_leaves_whole_batches(lent: Lent, logs: Path, tmp_path: Path):
    resource = pytest.importorskip("resource")
    journal = Journal()
    journal.start()
    for step in range(2000):
        journal.add(MetricsLogged, step, {"m": float(step)})
    backend = opened(lent)
    backend.deliver(journal.records[:1001])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    (file,) = (path for path in logs.rglob("*tfevents*"))
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 1000, before[1]))
        with pytest.raises(BackendUnavailable, match="cannot be written"):
            backend.deliver(journal.records[1001:])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    backend.deliver(journal.records[1001:])
    backend.close()
    assert [value for _, value, _ in the_run(logs).scalars["m"]] == [float(step) for step in range(2000)]


def test_a_remote_address_is_refused_with_the_variable(lent: Lent, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AUTOTRACK_TENSORBOARD_DIR", "s3://bucket/logs")
    with pytest.raises(UsageError, match="AUTOTRACK_TENSORBOARD_DIR"):
        opened(lent)


def test_by_default_files_are_in_the_home(lent: Lent, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AUTOTRACK_TENSORBOARD_DIR")
    deliver(lent, training(lent))
    assert folders(lent.context.home / "tensorboard")


@pytest.mark.parametrize("fast", ["false", "true"])
def test_the_real_server_shows_runs_scalars_hparams_texts_and_images(lent: Lent, logs: Path, tmp_path: Path, fast: str):
    one, two = training(lent, "one", 0.1), training(lent, "two", 0.2, "failed")
    deliver(lent, one, two)
    names = {f"churn/{name}-{journal.run[:8]}" for name, journal in (("one", one), ("two", two))}
    with server(logs, tmp_path, fast) as url:
        seen = wait_for(lambda: requests.get(f"{url}/data/runs", timeout=5).json(), names)
        assert set(seen) == names
        (run,) = (name for name in names if "/one-" in name)
        points = requests.get(f"{url}/data/plugin/scalars/scalars", {"run": run, "tag": "loss"}, timeout=5).json()
        assert [[step, value] for _, step, value in points] == [
            [step, struct.unpack("<f", struct.pack("<f", 1 / (step + 1)))[0]] for step in range(5)
        ]
        texts = requests.get(f"{url}/data/plugin/text/text", {"run": run, "tag": "autotrack/tags"}, timeout=5).json()
        assert "risk" in texts[0]["text"]
        image = requests.get(f"{url}/data/plugin/images/images", {"run": run, "tag": "roc.png", "sample": 0}, timeout=5)
        query = image.json()[0]["query"]
        assert requests.get(f"{url}/data/plugin/images/individualImage?{query}", timeout=5).content == png(4, 3)
        body = {
            "experimentName": "",
            "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE"],
            "colParams": [{"hparam": "lr"}, {"hparam": "name"}],
            "startIndex": 0,
            "sliceSize": 10,
        }
        groups = requests.post(f"{url}/data/plugin/hparams/session_groups", json=body, timeout=5).json()
        found = {
            group["sessions"][0]["name"]: (group["hparams"]["lr"], group["sessions"][0]["status"])
            for group in groups["sessionGroups"]
        }
        assert set(found) == names
        assert sorted(found.values()) == [(0.1, "STATUS_SUCCESS"), (0.2, "STATUS_FAILURE")]


def wait_for(ask: Any, wanted: set[str]) -> Any:
    """What `ask` answers once it holds all that is wanted."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        found = ask()
        if wanted <= set(found) or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


@contextlib.contextmanager
def server(logs: Path, folder: Path, fast: str) -> Iterator[str]:
    """A running TensorBoard on a free loopback port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "tensorboard.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tensorboard.main", "--logdir", str(logs), "--host", "127.0.0.1"),
                *("--port", str(port), "--load_fast", fast, "--reload_interval", "1"),
            ],
            stdout=log,
            stderr=log,
            env={**os.environ, "TMPDIR": str(folder)},
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{url}/data/environment", timeout=5).ok:
                    break
            assert process.poll() is None and time.monotonic() < deadline, (folder / "tensorboard.log").read_text()
            time.sleep(0.1)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def test_a_torn_end_and_a_damaged_record_are_told_and_the_rest_is_read(tmp_path: Path):
    whole = [framed(bytes([number]) * 50) for number in range(4)]
    file = tmp_path / "events"
    bad = bytearray(whole[1])
    bad[20] ^= 1
    file.write_bytes(whole[0] + bad + whole[2] + whole[3][:-7])
    damage = Damage()
    with file.open("rb") as opened_file:
        assert [record[0] for record in records(opened_file, damage)] == [0, 2]
    assert (damage.bad, damage.torn, damage.unread) == (1, 59, 0)
