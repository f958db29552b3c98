"""A backup is whole or not there, is made beside trainings, and comes back as the very same home."""

import gzip
import hashlib
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import autotrack
from autotrack.errors import UsageError
from autotrack.provenance import packing, snapshots
from autotrack.provenance.blobs import Blobs
from autotrack.reading import kept_model
from autotrack.settings import Settings
from autotrack.store.query import Store
from autotrack.upkeep.backing_up import back_up
from autotrack.upkeep.checking import check
from autotrack.upkeep.manifest import BackupDamaged
from autotrack.upkeep.restoring import restore

sys.path.insert(0, str(Path(__file__).parent))
import upkeep_homes as homes


def everything(home: Path) -> dict[str, Any]:
    """What users see of a home: records, points, and the bytes of every file."""
    with Store.open(home, homes.settings_of(home)) as store:
        runs = store.runs()
        told: dict[str, Any] = {
            run["id"]: (
                store.run(run["id"]),
                {key: store.series_dicts(run["id"], key) for key in store.keys(run["id"])},
            )
            for run in runs
        }
        with store.engine.connect() as connection:
            told["registry"] = [tuple(row) for row in connection.exec_driver_sql("SELECT * FROM registry ORDER BY id")]
    blobs = Blobs(home)
    for digest in blobs.digests():
        with blobs.open(digest) as opened:
            told[digest] = hashlib.sha256(opened.read()).hexdigest()
    return json.loads(json.dumps(told, default=str))


def is_whole(home: Path, settings: Settings | None = None) -> bool:
    settings = settings or homes.settings_of(home)
    with Store.open(home, settings) as store:
        return not check(home, settings, store).damaged


@pytest.mark.parametrize("name", ["runs.tar.gz", "runs.tar.zst", "runs"])
def test_what_is_restored_equals_what_was_backed_up(tmp_path: Path, name: str) -> None:
    if name.endswith(".zst"):
        pytest.importorskip("zstandard")
    home, place, new = tmp_path / "home", tmp_path / "backups" / name, tmp_path / "new"
    ids = homes.some_runs(home)
    (home / "cache").mkdir()
    (home / "cache" / "x").write_text("found out again")
    (home / "forwarder.log").write_text("https://me:hunter2@host is away\n")
    made = back_up(home, homes.settings_of(home), place)
    assert made.runs == 3 and not made.damaged and sorted(os.listdir(place.parent)) == [name]
    restored = restore(place, new, homes.settings_of(new))
    assert (restored.runs, restored.files, restored.bytes) == (3, made.files, made.bytes)
    assert everything(new) == everything(home) and is_whole(new)
    assert not (new / "cache").exists() and not (new / "forwarder.log").exists()
    with homes.recorded(new):
        assert kept_model(ids[2]).layers == (homes.layer(1), homes.layer(102))
        with autotrack.start_run("goes on") as run:
            run.log_metrics({"m": 1.0})
    homes.deliver(new)
    assert is_whole(new) and len(everything(new)) == len(everything(home)) + 1


def test_only_what_is_new_is_copied_into_a_folder_and_what_is_gone_leaves_it(tmp_path: Path) -> None:
    home, place = tmp_path / "home", tmp_path / "backup"
    homes.some_runs(home, 2)
    orphan = Blobs(home).put_bytes(b"orphan" * 1000)
    first = back_up(home, homes.settings_of(home), place)
    inodes = {path: path.stat().st_ino for top in ("blobs", "parts", "archive") for path in (place / top).rglob("*.*")}
    homes.age(home)
    assert any(one["kind"] == "blobs" for one in homes.ask(home, "gc")["freed"])
    with homes.recorded(home), autotrack.start_run() as run:
        run.log_artifact(b"new" * 5000, "new.txt")
    homes.deliver(home)
    second = back_up(home, homes.settings_of(home), place)
    assert first.copied == first.bytes and second.runs == 3
    assert second.copied < second.bytes - 40_000, "models were there"
    assert {path: path.stat().st_ino for path in inodes} == inodes
    assert not list(place.rglob(orphan.digest)) and len(list(place.glob("state-*"))) == 1
    restore(place, tmp_path / "new", homes.settings_of(tmp_path / "new"))
    assert everything(tmp_path / "new") == everything(home)


WRITER = """
import sys, time
sys.path.insert(0, sys.argv[2])
import upkeep_homes as homes
import autotrack
from pathlib import Path
with homes.recorded(Path(sys.argv[1]), forwarder="process"):
    run = autotrack.start_run("live")
    print("ready", flush=True)
    for number in range(10**9):
        run.log_metrics({"loss": float(number)}, step=number)
        if number % 50 == 0:
            run.log_artifact(b"content %d" % number, f"a{number}")
            run.log_model(homes.Net(homes.layer(1), homes.layer(number)), f"m{number}")
            time.sleep(0.2)
"""


def test_a_backup_beside_a_training_is_consistent(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    arguments = [sys.executable, "-c", WRITER, str(home), str(Path(__file__).parent)]
    writer = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=homes.environment_of(home))
    try:
        assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
        sizes = []
        for number, name in enumerate(("folder", "folder")):
            back_up(home, homes.settings_of(home), tmp_path / name)
            new = tmp_path / f"new{number}"
            restore(tmp_path / name, new, homes.settings_of(new))
            told = homes.ask(new, "verify")
            assert told["damaged"] is False and told["blobs"]["missing"] == [], told
            with Store.open(new, homes.settings_of(new)) as store:
                run = store.run("live")
            steps = run["metrics"]["loss"]
            assert (steps["first_step"], steps["last_step"]) == (0, steps["count"] - 1)
            assert run["status"] == "killed", "nobody writes in the copy"
            assert all(model["digest"] for model in run["models"])
            sizes.append(steps["count"])
        assert sizes[0] < sizes[1]
    finally:
        writer.kill()
        writer.wait()


def size_of(path: Path) -> int:
    """Bytes of a file that may be renamed meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@pytest.mark.parametrize("name", ["runs.tar.gz", "runs"])
def test_a_backup_that_is_killed_leaves_nothing_under_its_name_and_hurts_none_before_it(
    tmp_path: Path, name: str
) -> None:
    home, place = tmp_path / "home", tmp_path / "backups" / name
    homes.some_runs(home, 1)
    for number in range(60):
        Blobs(home).put_bytes(homes.layer(number, 300_000))
    command = [sys.executable, "-m", "autotrack", "backup", str(place), "--replace"]

    def killed(when: Callable[[], bool]) -> None:
        process = subprocess.Popen(command, env=homes.environment_of(home), stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not when() and process.poll() is None:
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it was still at work"

    def copied() -> int:
        """Bytes in what is not finished; os.walk, as folders may go while they are listed."""
        tops = [*place.parent.glob(f".{name}-*.draft"), place / "blobs"]
        listed = [Path(at) / file for top in tops for at, _, files in os.walk(top) for file in files]
        return sum(size_of(path) for path in listed)

    killed(lambda: place.parent.exists() and copied() > 2_000_000)
    assert not place.exists()
    assert homes.command(home, "backup", str(place)).returncode == 0
    for number in range(200, 240):
        Blobs(home).put_bytes(homes.layer(number, 300_000))
    before = copied()
    killed(lambda: copied() > before + 2_000_000)
    new = tmp_path / "new"
    assert restore(place, new, homes.settings_of(new)).runs == 1
    assert is_whole(new) and len(homes.blob_files(home)) - len(homes.blob_files(new)) == 40
    assert homes.command(home, "backup", str(place), "--replace").returncode == 0
    restore(place, tmp_path / "newer", homes.settings_of(tmp_path / "newer"))
    assert everything(tmp_path / "newer") == everything(home)


def packed(place: Path, files: dict[str, bytes], **odd: Any) -> Path:
    """A tar archive with these files, and a manifest that fits them."""
    listed = [
        {"path": name, "at": f"home/{name}", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in files.items()
    ]
    manifest = {"format": "autotrack-backup", "version": 1, "files": listed, **odd.pop("manifest", {})}
    with gzip.open(place, "wb") as stream, tarfile.open(fileobj=stream, mode="w|") as tar:
        for name, data in {**{f"home/{name}": data for name, data in files.items()}, "manifest.json": None}.items():
            data = json.dumps(manifest).encode() if data is None else data
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in odd.items() if name != "manifest.json" else ():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data if info.isreg() else b""))
    return place


@pytest.mark.parametrize(
    "path", ["../outside", "/etc/cron.d/x", "a/../../outside", "a//b", "./a", "C:/x", "a\\..\\x", "blobs/../../x"]
)
def test_a_path_that_leads_out_of_the_home_is_refused(tmp_path: Path, path: str) -> None:
    new = tmp_path / "in" / "new"
    place = packed(tmp_path / "b.tar.gz", {path: b"evil"})
    with pytest.raises(BackupDamaged, match="nothing was restored"):
        restore(place, new, homes.settings_of(new))
    folder = tmp_path / "folder"
    folder.mkdir()
    digest = hashlib.sha256(b"evil").hexdigest()
    for places in ({"path": path, "at": "x"}, {"path": "x", "at": path}):
        (folder / "x").write_bytes(b"evil")
        told = {"format": "autotrack-backup", "version": 1, "files": [{**places, "bytes": 4, "sha256": digest}]}
        (folder / "manifest.json").write_text(json.dumps(told))
        with pytest.raises(BackupDamaged, match="nothing was restored"):
            restore(folder, new, homes.settings_of(new))
    assert sorted(os.listdir(tmp_path)) == ["b.tar.gz", "folder", "in"] and os.listdir(tmp_path / "in") == []


@pytest.mark.parametrize(
    ("kind", "target"), [(tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "home/a"), (b"3", "")]
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes, target: str) -> None:
    place = packed(tmp_path / "b.tar.gz", {"a": b"", "link": b""}, type=kind, linkname=target)
    with pytest.raises(BackupDamaged, match="which is no file: nothing was restored"):
        restore(place, tmp_path / "new", homes.settings_of(tmp_path / "new"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x").symlink_to("/etc/passwd")
    told = [{"path": "x", "at": "x", "bytes": 1, "sha256": "0" * 64}]
    (tmp_path / "folder" / "manifest.json").write_text(
        json.dumps({"format": "autotrack-backup", "version": 1, "files": told})
    )
    with pytest.raises(BackupDamaged, match="is a link"):
        restore(tmp_path / "folder", tmp_path / "new", homes.settings_of(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_damaged_backup_is_refused_whatever_was_damaged(tmp_path: Path) -> None:
    home, new = tmp_path / "home", tmp_path / "new"
    homes.some_runs(home, 1)
    place = tmp_path / "b.tar.gz"
    back_up(home, homes.settings_of(home), place)
    whole = place.read_bytes()
    for damaged in (whole[:-30], whole[: len(whole) // 2], whole[:5000] + b"\0" * 50 + whole[5050:], b"no backup"):
        (tmp_path / "damaged.tar.gz").write_bytes(damaged)
        with pytest.raises((BackupDamaged, UsageError)):
            restore(tmp_path / "damaged.tar.gz", new, homes.settings_of(new))
    for odd in ({"files": []}, {"version": 2}, {"format": "zip"}, {"files": [{"path": "b", "at": "b"}]}):
        with pytest.raises(BackupDamaged):
            restore(packed(tmp_path / "odd.tar.gz", {"a": b"1"}, manifest=odd), new, homes.settings_of(new))
    folder = tmp_path / "folder"
    back_up(home, homes.settings_of(home), folder)
    blob = next((folder / "blobs").glob("??/*"))
    content = blob.read_bytes()
    for wrong in (content[:-1], content + b"x", b"X" + content[1:], None):
        blob.unlink()
        if wrong is not None:
            blob.write_bytes(wrong)
        refused = homes.command(home, "restore", str(folder), "--home", str(new))
        assert refused.returncode == 1 and "nothing was restored" in refused.stderr
        blob.write_bytes(content)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    assert not new.exists() and homes.ask(home, "restore", str(folder), "--check")["runs"] == 1


def test_wrong_uses_say_what_to_do(tmp_path: Path) -> None:
    home = tmp_path / "home"
    homes.some_runs(home, 1)
    settings = homes.settings_of(home)
    back_up(home, settings, tmp_path / "b.tar.gz")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    for place, message in (
        (home / "inside", "lies in the home itself"),
        (tmp_path / "b.tar.gz", "--replace"),
        (tmp_path / "b.zip", "ends in .tar.gz or .tar.zst, or a folder"),
        (tmp_path / "mine", "is no backup of autotrack"),
    ):
        with pytest.raises(UsageError, match=message):
            back_up(home, settings, place)
    with pytest.raises(UsageError, match="there is no home"):
        back_up(tmp_path / "nothing", settings, tmp_path / "c")
    with pytest.raises(UsageError, match="is not empty"):
        restore(tmp_path / "b.tar.gz", home, settings)
    with pytest.raises(UsageError, match="is no backup of autotrack"):
        restore(tmp_path / "mine", tmp_path / "new", settings)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "mine"
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / ".gitignore").write_text("*\n")
    restore(tmp_path / "b.tar.gz", empty, settings)
    assert is_whole(empty)


def test_a_backup_holds_no_secret_and_whatever_else_lies_in_the_home(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    home = tmp_path / "home"
    homes.some_runs(home, 1)
    name = snapshots.take(home, snapshots.IN_PARTS, packing.keep(home, [homes.layer(77)]).encode())
    key = (tmp_path / "state" / "autotrack" / "snapshot-key").read_bytes()
    (home / "tensorboard" / "run").mkdir(parents=True)
    (home / "tensorboard" / "run" / "events").write_bytes(b"points")
    with sqlite3.connect(home / "store.db") as store:
        store.execute("INSERT INTO tokens VALUES ('ana', 'hash-of-a-token', 'reader', 1, NULL, NULL)")
    place = tmp_path / "folder"
    back_up(home, homes.settings_of(home), place)
    content = [path.read_bytes() for path in place.rglob("*") if path.is_file()]
    assert not any(key in data or b"hash-of-a-token" in data for data in content)
    assert b"points" in content and list(place.rglob(f"{name}.snapshot"))
    assert not re.search(r"alive|ballast|\.lock", "\n".join(str(path) for path in place.rglob("*")))


def test_a_damaged_blob_is_copied_as_it_is_and_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    homes.some_runs(home, 1)
    blob = next(path for path in (home / "blobs").glob("??/*") if path.read_bytes() == b"artifact 0")
    blob.write_bytes(b"artifact X")
    told = homes.ask(home, "backup", str(tmp_path / "b"), code=1)
    assert told["damaged"] == [blob.name]
    blob.write_bytes(b"artifact 0")
    assert homes.ask(home, "backup", str(tmp_path / "b"))["damaged"] == []
    restore(tmp_path / "b", tmp_path / "new", homes.settings_of(tmp_path / "new"))
    assert is_whole(tmp_path / "new")
