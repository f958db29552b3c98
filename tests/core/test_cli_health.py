"""`sync`, `verify`, `doctor` and `plugins`: what is wrong is found, named, and never shown with its secrets."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = """
from autotrack.backend import BackendRejected, BackendUnavailable, Limits
from autotrack.plugin import BackendPlugin, Integration, hookimpl

@hookimpl
def autotrack_register_backends(register):
    for name in ("failing", "picky"):
        register(BackendPlugin(name=name, factory=f"odd:{name.title()}"))

@hookimpl
def autotrack_register_integrations(register):
    register(Integration(name="old", module="click.core", install="odd:install", requires=("click>=999",)))

class Failing:
    limits = Limits(key_characters=r"[\\\\w]", key_length=4)
    def open(self, context): pass
    def resume(self, writer): return None
    def deliver(self, batch): raise BackendUnavailable("the server is away: start it")
    def close(self): pass

class Picky(Failing):
    def deliver(self, batch):
        if any("bad" in getattr(record.event, "tags", ()) for record in batch):
            raise BackendRejected("no bad events here")
        return batch[-1].sequence
""".replace("\\\\", "\\")

RECORD = """
import autotrack
with autotrack.start_run("first") as run:
    run.log_metrics({"a long name": 1.0}, step=0)
    run.set_tags({"bad": "x"})
    run.log_artifact(b"hello", "hello.txt")
with autotrack.start_run("second") as run:
    run.log_metrics({"m": 1.0}, step=0)
"""


class House:
    def __init__(self, folder: Path) -> None:
        self.home, self.plugins = folder / "home", folder / "plugins"
        for name in ("odd", "broken"):
            info = self.plugins / f"{name}-1.dist-info"
            info.mkdir(parents=True)
            (info / "entry_points.txt").write_text(f"[autotrack]\n{name} = {name}\n")
        (self.plugins / "odd.py").write_text(PLUGIN)
        (self.plugins / "broken.py").write_text("import nothing_of_this_name\n")

    def __call__(self, *words: str, **more: str) -> subprocess.CompletedProcess:
        return self._run(["-m", "autotrack", *words], **more)

    def ask(self, *words: str, code: int = 0, **more: str) -> dict:
        done = self(*words, "--json", **more)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    def record(self, code: str = RECORD) -> None:
        assert self._run(["-c", code]).returncode == 0

    def _run(self, command: list[str], **more: str) -> subprocess.CompletedProcess:
        environment = {
            **os.environ,
            "AUTOTRACK_HOME": str(self.home),
            "AUTOTRACK_FORWARDER": "off",
            "PYTHONPATH": str(self.plugins),
            **more,
        }
        return subprocess.run(
            [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path)
    made.record()
    return made


def test_sync_delivers_and_says_what_remains_and_why(house: House) -> None:
    failed = house("sync", "--backends", "failing,local")
    assert failed.returncode == 1
    assert "autotrack: failing: the server is away: start it" in failed.stderr
    told = house.ask("sync", "--backends", "local")
    assert told["complete"]
    assert told["backends"][0]["remaining"] == 0
    assert house.ask("sync", "--backends", "failing", code=1)["backends"][0]["remaining"] == 1


def test_sync_to_another_backend_alone_keeps_what_the_store_lives_from(house: House) -> None:
    house.record('import autotrack\nwith autotrack.start_run("third") as run:\n    run.log_metric("m", 2.0, step=1)')
    told = house.ask("sync", "--backends", "picky")
    assert told["complete"]
    kept = [*(house.home / "journals").iterdir(), *(house.home / "archive").glob("*")]
    assert len(kept) == 2
    assert {run["name"] for run in house.ask("ls")} == {"first", "second", "third"}


def test_export_to_a_backend_sends_everything_and_says_what_is_not_carried(house: House) -> None:
    told = house.ask("export", "--to", "picky")
    assert told["complete"]
    assert {one["what"]: one["count"] for one in told["backends"][0]["not_carried"]} == {
        "name 'a long name'": 1,
        "TagsSet refused": 1,
    }
    assert "2 x" not in house("export", "--to", "picky").stdout  # the second time it has nothing to send
    done = house("export", "first", "--to", "picky")
    assert done.returncode == 2 and "all runs" in done.stderr


def test_sync_refuses_a_backend_that_does_not_exist_and_leaves_no_trace_of_it(house: House) -> None:
    done = house("sync", "--backends", "nowhere")
    assert done.returncode == 2
    assert re.search("there is no backend nowhere; there are .*failing, .*local", done.stderr)
    assert not (house.home / "delivery").exists()


def test_show_tells_what_a_backend_could_not_carry_for_this_run_alone(house: House) -> None:
    told = house.ask("sync", "--backends", "local,picky")
    assert told["backends"][1]["dead"] == 1
    first, second = (
        {one["backend"]: one for one in house.ask("show", name)["delivery"]} for name in ("first", "second")
    )
    assert (first["picky"]["dead"], second["picky"]["dead"]) == (1, 0)
    assert {one["what"] for one in first["picky"]["not_carried"]} == {"name 'a long name'", "TagsSet refused"}
    assert second["picky"]["not_carried"] == []
    assert first["local"]["lag"] == first["picky"]["lag"] == 0
    text = house("show", "first").stdout
    assert "is called 'a_lo' there" in text
    assert "picky.dead.jsonl" in text


def test_show_tells_the_lag_of_a_backend_that_fails(house: House) -> None:
    house("sync", "--backends", "failing,local")
    (failing,) = [one for one in house.ask("show", "first")["delivery"] if one["backend"] == "failing"]
    assert failing["problem"] == "the server is away: start it"
    assert failing["lag"] > 5


def test_verify_finds_a_changed_blob_a_lost_blob_and_a_changed_journal(house: House) -> None:
    blobs = list((house.home / "blobs").glob("??/*"))
    assert house.ask("verify")["blobs"]["checked"] == len(blobs) > 1
    assert "all is well" in house("verify").stdout
    (blob,) = (one for one in blobs if one.read_bytes() == b"hello")
    blob.chmod(0o600)
    blob.write_bytes(b"hullo")
    told = house.ask("verify", code=1)
    assert told["blobs"]["damaged"] == [blob.name]
    blob.unlink()
    (missing,) = house.ask("verify", code=1)["blobs"]["missing"]
    assert (missing["digest"], missing["name"]) == (blob.name, "hello.txt")
    assert f"missing: blob {blob.name} of artifact hello.txt" in house("verify").stdout


def test_verify_counts_damaged_frames_and_takes_a_torn_tail_for_no_damage(house: House) -> None:
    (segment,) = (house.home / "journals").glob("*/000001.atj")
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-3])
    told = house.ask("verify")
    assert told["journals"][0]["torn_bytes"] > 0
    middle = whole.index(b"hello.txt")
    segment.write_bytes(whole[:middle] + b"J" + whole[middle + 1 :])
    told = house.ask("verify", code=1)
    assert told["journals"][0]["damaged"] == 1


def test_verify_finds_a_damaged_archive(house: House) -> None:
    house("sync")
    (packed,) = (house.home / "archive").glob("*/000001.atj.gz")
    packed.write_bytes(packed.read_bytes()[:-20])
    told = house.ask("verify", code=1)
    assert "EOFError" in told["journals"][0]["problem"]


def test_doctor_tells_every_setting_with_its_origin_and_no_secret(house: House) -> None:
    url = "postgresql://me:hunter2@127.0.0.1:9/db?password=hunter3"
    more = {"AUTOTRACK_STORE_URL": url, "AUTOTRACK_MODELS": "sometimes", "AUTOTRACK_PROJECT": "churn"}
    done = house("doctor", "--json", **more)
    told = json.loads(done.stdout)
    rows = {row["name"]: row for row in told["settings"]}
    from autotrack import settings

    assert list(rows) == [name for name, *_ in settings.described()]
    assert (rows["project"]["value"], rows["project"]["origin"]) == ("churn", "environment")
    assert (rows["models"]["value"], rows["models"]["origin"], rows["models"]["ignored"]) == ("final", "default", True)
    assert rows["store_url"]["variable"] == "AUTOTRACK_STORE_URL"
    assert told["store"]["reachable"] is False
    assert any("AUTOTRACK_MODELS" in problem for problem in told["problems"])
    text = house("doctor", **more)
    assert text.returncode == 0
    assert "hunter" not in done.stdout + done.stderr + text.stdout + text.stderr


def test_doctor_tells_journals_that_wait_errors_of_the_forwarder_and_broken_plugins(house: House) -> None:
    house("sync", "--backends", "local,failing")
    (house.home / "forwarder.log").write_text(
        "2026-01-01 00:00:00,000 12 WARNING failing: https://me:hunter2@host/ is away\nall is well\n"
    )
    told = house.ask("doctor", AUTOTRACK_BACKENDS="local,failing,nowhere")
    assert told["journals"]["undelivered"][0]["backend"] == "failing"
    (line,) = told["forwarder_log"]["last_errors"]
    assert "is away" in line
    assert "hunter2" not in line
    problems = "\n".join(told["problems"])
    assert "plugin broken (broken): ModuleNotFoundError" in problems
    assert "AUTOTRACK_BACKENDS names nowhere" in problems
    assert told["versions"]["sqlalchemy"]
    text = house("doctor", AUTOTRACK_BACKENDS="local,failing")
    assert "failing lacks events of 1 journals (the server is away: start it): autotrack sync" in text.stdout


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_doctor_tells_a_home_that_cannot_be_written(house: House) -> None:
    house.home.chmod(0o500)
    try:
        assert not house.ask("doctor")["home"]["writable"]
    finally:
        house.home.chmod(0o700)


def test_plugins_tells_what_there_is_and_what_is_wrong(house: House) -> None:
    told = house.ask("plugins")
    assert {
        one["name"]: bool(one["problem"]) for one in told["found"] if one["name"] in ("odd", "broken", "local")
    } == {
        "odd": False,
        "broken": True,
        "local": False,
    }
    (old,) = [one for one in told["integrations"] if one["name"] == "old"]
    assert old["installed"]
    assert "click>=999 is needed" in old["problem"]
    assert {"local", "failing", "picky"} <= {one["name"] for one in told["backends"]}
    assert [one["name"] for one in told["backends"] if one["configured"]] == ["local"]
    text = house("plugins")
    assert text.stderr == ""
    assert "No module named 'nothing_of_this_name'" in text.stdout
