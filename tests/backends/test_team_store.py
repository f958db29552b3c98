"""A store for a team: files in an object store, rows in a database, and never a row whose file is not there.

Real servers on the loopback interface: moto's S3, and PostgreSQL where several write at once. What a network does is
done by a way to them that is cut and mended.
"""

import hashlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url

pytest.importorskip("obstore", reason="obstore is not installed: pip install obstore")

import autotrack
from autotrack.backend import BackendContext
from autotrack.errors import BackendUnavailable, BlobUnavailable, UsageError
from autotrack.events import (
    AnyEvent,
    ArtifactLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    ProvenanceLogged,
    Record,
    RunStarted,
)
from autotrack.provenance import packing
from autotrack.provenance.blobs import Blobs
from autotrack.session import session
from autotrack.settings import Settings
from autotrack.store import objects, remote_blobs
from autotrack.store.backend import LocalBackend
from autotrack.store.query import Store
from autotrack.store.remote_blobs import lender, readable, send_all

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))
from postgresql_server import new_database, running_server
from proxy import Proxy
from s3_server import S3, running_s3
from tcp_proxy import Way


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with running_s3() as server:
        yield server


@pytest.fixture(autouse=True)
def never_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    objects._silent.clear()
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")


@dataclass
class Person:
    """Somebody with a home of their own and a store that is shared."""

    home: Path
    settings: Settings
    notes: list[tuple[str, str, str]] = field(default_factory=list)

    def backend(self) -> LocalBackend:
        backend = LocalBackend()
        backend.open(BackendContext(self.home, self.settings, note=lambda *told: self.notes.append(told)))
        return backend

    def deliver(self, *events: AnyEvent, writer: str = "w") -> None:
        backend = self.backend()
        try:
            backend.deliver([Record(writer, at, at * 10, event) for at, event in enumerate(events, 1)])
        finally:
            backend.close()

    def run(self, ref: str) -> dict[str, Any]:
        with Store.open(self.home, self.settings) as store:
            return store.run(ref)

    def blobs(self) -> Blobs:
        return readable(self.home, self.settings)


@dataclass
class Team:
    """Two people with one store and one bucket."""

    ada: Person
    bob: Person
    bucket: str
    s3: S3

    def kept(self) -> dict[str, bytes]:
        return self.s3.objects(self.bucket)


@pytest.fixture
def team(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    bucket = s3.bucket()
    settings = Settings(store_url=f"sqlite:///{tmp_path / 'team.db'}", blobs_url=f"s3://{bucket}/runs")
    return Team(Person(tmp_path / "ada", settings), Person(tmp_path / "bob", settings), bucket, s3)


def started(run: str = "r") -> RunStarted:
    return RunStarted(run, 1, "name", "project")


def model(digest: str, size: int, run: str = "r") -> ModelLogged:
    return ModelLogged(run, 2, "model", "acme", digest, size)


def in_parts(home: Path, content: bytes) -> tuple[str, int]:
    """Keep a file in parts, as weights are; its digest and size."""
    blob = Blobs(home).put_recipe(packing.keep(home, [memoryview(content)], len(content)))
    return blob.digest, blob.bytes


# What is sent


def test_whatever_a_record_names_is_in_the_bucket_and_readable_from_an_empty_home(team: Team) -> None:
    blobs = Blobs(team.ada.home)
    contents = {name: (name * 1000).encode() for name in ("artifact", "bundle", "lock", "rows", "grid", "state", "old")}
    kept = {name: blobs.put_bytes(content) for name, content in contents.items()}
    named = {name: {"digest": blob.digest, "bytes": blob.bytes} for name, blob in kept.items()}
    weights = os.urandom(3 << 20)
    digest, size = in_parts(team.ada.home, weights)
    team.ada.deliver(
        RunStarted("r", 1, "name", "project", environment={"lock": named["old"]}),
        model(digest, size),
        ArtifactLogged("r", 3, "a.txt", kept["artifact"].digest, kept["artifact"].bytes),
        ProvenanceLogged("r", 4, "code", {"kind": "git", "bundle": named["bundle"]}),
        ProvenanceLogged("r", 5, "environment", {"lock": named["lock"], "python": "3.11"}),
        ProvenanceLogged("r", 6, "randomness", {"state": named["state"]}),
        DatasetLogged("r", 7, "train", "d", {"row_set": named["rows"], "parts": {"x": {"grid": named["grid"]}}}),
    )
    expected = {hashlib.sha256(content).hexdigest(): content for content in [*contents.values(), weights]}
    assert team.kept() == {f"runs/{digest[:2]}/{digest}": content for digest, content in expected.items()}

    record = team.bob.run("r")
    assert record["models"][0]["digest"] == digest and not list(team.bob.home.glob("blobs"))
    for name, content in expected.items():
        with team.bob.blobs().open(name) as opened:
            assert opened.read() == content
        assert team.bob.blobs().verify(name) and team.bob.blobs().size(name) == len(content)
    with lender(team.bob.home, team.bob.settings) as lent:
        path = lent.lend(digest, "model.acme")
        assert path.name == "model.acme" and path.read_bytes() == weights


def test_a_large_file_arrives_whole_and_only_once(team: Team) -> None:
    content = os.urandom((12 << 20) + 7)  # three parts
    digest, size = in_parts(team.ada.home, content)
    team.ada.deliver(started(), model(digest, size))
    first = team.s3.client.head_object(Bucket=team.bucket, Key=f"runs/{digest[:2]}/{digest}")
    team.ada.deliver(started("s"), model(digest, size, "s"), writer="v")
    again = team.s3.client.head_object(Bucket=team.bucket, Key=f"runs/{digest[:2]}/{digest}")
    assert first["ContentLength"] == size and first["LastModified"] == again["LastModified"]
    assert team.bob.blobs().verify(digest)


def test_a_half_object_is_sent_again(team: Team) -> None:
    blob = Blobs(team.ada.home).put_bytes(b"whole" * 100)
    key = f"runs/{blob.digest[:2]}/{blob.digest}"
    team.s3.client.put_object(Bucket=team.bucket, Key=key, Body=b"whole")
    team.ada.deliver(started(), model(blob.digest, blob.bytes))
    assert team.kept() == {key: b"whole" * 100}


def test_rows_without_files_do_not_wait_and_rows_with_files_come_after_them(team: Team, monkeypatch: Any) -> None:
    blob = Blobs(team.ada.home).put_bytes(b"weights")
    events = [
        started(),
        MetricsLogged("r", 2, 0, {"loss": 1.0}),
        model(blob.digest, 7),
        MetricsLogged("r", 3, 1, {"loss": 0.5}),
    ]
    with Way(team.s3.port) as way:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{way.port}")
        way.cut()
        with pytest.raises(BackendUnavailable, match="cannot be reached now"):
            team.ada.deliver(*events)
        record = team.bob.run("r")
        assert record["metrics"]["loss"]["count"] == 1 and record["models"] == []
        way.mend()
        objects._silent.clear()
        team.ada.deliver(*events)
    record = team.bob.run("r")
    assert record["metrics"]["loss"]["count"] == 2 and [one["digest"] for one in record["models"]] == [blob.digest]


def test_a_file_that_is_lost_or_damaged_is_never_named_as_if_it_were_there(team: Team) -> None:
    blobs = Blobs(team.ada.home)
    gone, damaged, weights = blobs.put_bytes(b"gone"), blobs.put_bytes(b"damaged" * 10), os.urandom(1 << 21)
    blobs.path(gone.digest).unlink()
    blobs.path(damaged.digest).chmod(0o600)
    blobs.path(damaged.digest).write_bytes(b"Damaged" * 10)
    in_packs, size = in_parts(team.ada.home, weights)
    (pack,) = (team.ada.home / "parts").glob("*-*")
    with pack.open("r+b") as opened:
        opened.write(b"\0" * 100)
    team.ada.deliver(
        started(),
        ArtifactLogged("r", 2, "gone.txt", gone.digest, 4),
        model(damaged.digest, 70),
        model(in_packs, size),
        ProvenanceLogged("r", 4, "inputs", {"x": {"digest": "ab" * 32, "bytes": 5}}),
    )
    assert team.kept() == {}
    record = team.bob.run("r")
    assert record["artifacts"] == [] and [one["digest"] for one in record["models"]] == [None, None]
    assert all("never reached the team's object store" in one["problem"] for one in record["models"])
    (note,) = record["notes"]
    assert note["what"] == "artifacts" and "gone.txt" in note["why"] and "not in the home any more" in note["why"]
    assert record["inputs"]["x"]["bytes"] == 5  # says what a file elsewhere was; no blob of ours


def test_what_was_sent_before_may_go_from_the_home(team: Team) -> None:
    blob = Blobs(team.ada.home).put_bytes(b"weights")
    team.ada.deliver(started(), model(blob.digest, 7))
    Blobs(team.ada.home).path(blob.digest).unlink()
    team.ada.deliver(started("s"), model(blob.digest, 7, "s"), writer="v")
    assert [one["digest"] for one in team.bob.run("s")["models"]] == [blob.digest]
    with team.ada.blobs().open(blob.digest) as opened:
        assert opened.read() == b"weights"


def test_a_home_whose_runs_were_there_first_sends_its_files_later(team: Team) -> None:
    alone = Person(team.ada.home, replace_settings(team.ada.settings, blobs_url=None))
    blobs = Blobs(team.ada.home)
    kept = [blobs.put_bytes(b"one"), blobs.put_bytes(b"two")]
    digest, size = in_parts(team.ada.home, b"three" * 1000)
    alone.deliver(started(), model(kept[0].digest, 3), model(digest, size))
    assert team.kept() == {}
    assert send_all(team.ada.home, str(team.ada.settings.blobs_url)) == (3, 3)
    assert send_all(team.ada.home, str(team.ada.settings.blobs_url)) == (3, 0)
    assert team.bob.blobs().verify(kept[1].digest) and team.bob.blobs().verify(digest)


def replace_settings(settings: Settings, **changed: Any) -> Settings:
    import dataclasses

    return dataclasses.replace(settings, **changed)


# What goes wrong


def test_a_bucket_that_is_not_there_says_so(team: Team) -> None:
    blob = Blobs(team.ada.home).put_bytes(b"weights")
    ada = Person(team.ada.home, replace_settings(team.ada.settings, blobs_url="s3://no-such-bucket/runs"))
    with pytest.raises(BackendUnavailable, match=r"no-such-bucket.* is not there: make it, or correct AUTOTRACK_BLOBS"):
        ada.deliver(started(), model(blob.digest, 7))
    team.ada.deliver(started(), model(blob.digest, 7))  # kept, and it comes again
    assert team.bob.run("r")["models"][0]["digest"] == blob.digest


class Refusing:
    """A server that answers each request as S3 does when it refuses."""

    def __init__(self, status: int, code: str, seconds: float = 0.0) -> None:
        released = self.released = threading.Event()
        body = (
            f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no key planted-secret</Message></Error>".encode()
        )

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                released.wait(seconds)
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __enter__(self) -> "Refusing":
        return self

    def __exit__(self, *error: object) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize(
    ("status", "code"), [(403, "AccessDenied"), (403, "InvalidAccessKeyId"), (403, "SignatureDoesNotMatch"), (401, "X")]
)
def test_credentials_that_are_refused_are_told_with_the_variables_and_without_the_secret(
    team: Team, monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    blob = Blobs(team.ada.home).put_bytes(b"weights")
    with Refusing(status, code) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        with pytest.raises(BackendUnavailable, match="refuses these credentials") as caught:
            team.ada.deliver(started(), model(blob.digest, 7))
        with pytest.raises(BlobUnavailable, match="AWS_ACCESS_KEY_ID"):
            team.bob.blobs().open(blob.digest)
    told = str(caught.value)
    assert code in told or code == "X"
    assert "AWS_ACCESS_KEY_ID" in told and "list, read and write" in told
    assert "planted-secret" not in told and "\n" not in told and len(told) < 400


def test_without_credentials_it_says_which_variables_to_set(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with Refusing(404, "none") as metadata:  # what a cloud's machine would ask
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", metadata.url)
        blob = Blobs(team.ada.home).put_bytes(b"weights")
        with pytest.raises(BackendUnavailable, match="no credentials"):
            team.ada.deliver(started(), model(blob.digest, 7))


def test_a_server_that_never_answers_is_waited_for_within_bounds(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "SECONDS", 0.5)
    blob = Blobs(team.ada.home).put_bytes(b"weights")
    with Refusing(200, "slow", seconds=30) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        with pytest.raises(BackendUnavailable, match="cannot be reached now"):
            team.ada.deliver(started(), model(blob.digest, 7))
        with pytest.raises(BackendUnavailable, match="cannot be reached now"):  # at once: it was asked a moment ago
            team.ada.deliver(started(), model(blob.digest, 7))


def test_a_slow_server_and_one_that_fails_now_and_then_get_everything(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = itertools.cycle(["slow", "", "503", "", "slow", "", "lost", ""])
    proxy = Proxy(f"http://127.0.0.1:{team.s3.port}")
    proxy.fault = lambda request: next(answers)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    digest, size = in_parts(team.ada.home, os.urandom(6 << 20))
    blob = Blobs(team.ada.home).put_bytes(b"small")
    events = [started(), model(digest, size), model(blob.digest, 5)]
    deadline = time.monotonic() + 60
    while True:  # as the forwarder does
        try:
            team.ada.deliver(*events)
            break
        except BackendUnavailable:
            assert time.monotonic() < deadline
            objects._silent.clear()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{team.s3.port}")
    assert [one["digest"] for one in team.bob.run("r")["models"]] == [digest, blob.digest]
    assert team.bob.blobs().verify(digest) and team.bob.blobs().verify(blob.digest)
    proxy.close()


@pytest.mark.parametrize("other", [b"Weights", b"less", b""])
def test_bytes_that_were_changed_in_the_bucket_are_refused(team: Team, other: bytes) -> None:
    blob = Blobs(team.ada.home).put_bytes(b"weights")
    team.ada.deliver(started(), model(blob.digest, 7))
    team.s3.client.put_object(Bucket=team.bucket, Key=f"runs/{blob.digest[:2]}/{blob.digest}", Body=other)
    for _ in range(2):
        with pytest.raises(BlobUnavailable, match="does not have the bytes that were kept"):
            team.bob.blobs().open(blob.digest)
    assert not team.bob.blobs().verify(blob.digest)
    assert [path for path in (team.bob.home / "fetched").rglob("*") if path.is_file()] == []


def test_a_blob_that_is_nowhere_is_not_found_and_an_unreachable_store_is_told_apart(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = team.bob.blobs()
    with pytest.raises(FileNotFoundError):
        blobs.open("ab" * 32)
    assert not blobs.has("ab" * 32)
    assert not team.bob.home.exists()  # looking makes nothing
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BlobUnavailable, match="cannot be reached now"):
        team.bob.blobs().open("ab" * 32)
    with pytest.raises(BlobUnavailable, match="cannot be told"):
        team.bob.blobs().has("ab" * 32)


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "ftp://host/x",
        "https://bucket.s3.amazonaws.com",
        "/folder",
        "s3://user:word@bucket/x",
        "az://c/x?sig=word",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_showing_it(tmp_path: Path, url: str) -> None:
    person = Person(tmp_path, Settings(blobs_url=url))
    with pytest.raises(UsageError, match="AUTOTRACK_BLOBS_URL") as caught:
        person.backend()
    assert "word" not in str(caught.value)


def test_without_obstore_it_says_what_to_install(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = Blobs(team.ada.home).put_bytes(b"weights")
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(UsageError, match=r"autotrack-ml\[team\]"):
        team.ada.deliver(started(), model(blob.digest, 7))


# What was fetched


def test_what_was_fetched_is_asked_for_once_and_bounded(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = Blobs(team.ada.home)
    kept = [blobs.put_bytes(bytes([number]) * 1000) for number in range(6)]
    team.ada.deliver(started(), *(model(blob.digest, blob.bytes) for blob in kept))
    monkeypatch.setattr(remote_blobs, "MOST_BYTES", 2500)
    for age, blob in enumerate(kept):
        assert team.bob.blobs().verify(blob.digest)
        path = team.bob.blobs().path(blob.digest)
        assert path.stat().st_mode & 0o777 == 0o600
        os.utime(path, (1e9 + age, 1e9 + age))  # as if used long ago
    left = {path.name for path in (team.bob.home / "fetched").rglob("*") if path.is_file()}
    assert left == {blob.digest for blob in kept[-2:]}  # and that which was just fetched is never the one to go
    assert (team.bob.home / ".gitignore").read_text() == "*\n"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert team.bob.blobs().verify(kept[-1].digest)  # nobody is asked


def test_many_who_fetch_one_file_at_once_all_get_it(team: Team) -> None:
    blob = Blobs(team.ada.home).put_bytes(os.urandom(6 << 20))
    team.ada.deliver(started(), model(blob.digest, blob.bytes))
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(team.bob.blobs().verify(blob.digest))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [True] * 6
    assert len([path for path in (team.bob.home / "fetched").rglob("*") if path.is_file()]) == 1


# Those who read


def in_home(person: Person, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    named = {"AUTOTRACK_HOME": person.home, "AUTOTRACK_STORE_URL": person.settings.store_url,
             "AUTOTRACK_BLOBS_URL": person.settings.blobs_url, "AUTOTRACK_CODE": "0"}  # fmt: skip
    given = {**os.environ, **{name: str(value) for name, value in named.items()}, **environment}
    return subprocess.run([sys.executable, *command], env=given, capture_output=True, text=True, timeout=120)


TRAINED = """
import numpy, autotrack
with autotrack.start_run("first") as run:
    run.log_dataset(numpy.arange(20.0).reshape(10, 2), role="train", name="points")
    run.log_artifact(b"a report", "report.txt")
import sys
assert not {"obstore", "boto3", "sqlalchemy"} & set(sys.modules), "imported where something trains"
"""


def test_another_person_reads_what_somebody_trained_and_a_dead_store_is_told(team: Team) -> None:
    trained = in_home(team.ada, "-c", TRAINED, AUTOTRACK_FORWARDER="off")
    assert trained.returncode == 0, trained.stderr
    dead = in_home(team.ada, "-m", "autotrack", "ls", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert "newer events are not taken in" in dead.stderr and "cannot be reached now" in dead.stderr
    sync = in_home(team.ada, "-m", "autotrack", "sync", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert sync.returncode == 1 and "cannot be reached now" in sync.stderr
    assert in_home(team.ada, "-m", "autotrack", "sync").returncode == 0

    listed = in_home(team.bob, "-m", "autotrack", "ls", "--json")
    assert '"first"' in listed.stdout and '"finished"' in listed.stdout, listed.stderr
    np = pytest.importorskip("numpy")
    table = team.bob.home.parent / "rows.npy"
    np.save(table, np.arange(20.0).reshape(10, 2))
    same = in_home(team.bob, "-m", "autotrack", "data", "diff", "first:train", str(table), "--json")
    assert '"same": true' in same.stdout, same.stderr
    assert not list(team.bob.home.glob("blobs/*"))  # what was fetched lies apart from what was recorded here


def test_the_doctor_asks_the_object_store(team: Team) -> None:
    Blobs(team.ada.home).put_bytes(b"any")
    well = in_home(team.ada, "-m", "autotrack", "doctor")
    assert str(team.ada.settings.blobs_url) in well.stdout, well.stdout
    dead = in_home(team.ada, "-m", "autotrack", "doctor", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert "cannot be reached now" in dead.stdout and "planted-secret" not in dead.stdout


# A shared folder


def test_a_shared_folder_serves_as_object_store_and_is_never_made(tmp_path: Path) -> None:
    share = tmp_path / "the share"
    settings = Settings(store_url=f"sqlite:///{tmp_path / 'team.db'}", blobs_url=share.as_uri())
    ada, bob = Person(tmp_path / "ada", settings), Person(tmp_path / "bob", settings)
    digest, size = in_parts(ada.home, os.urandom(6 << 20))
    with pytest.raises(BackendUnavailable, match="mount it, or make it"):
        ada.deliver(started(), model(digest, size))
    assert not share.exists()
    share.mkdir()
    ada.deliver(started(), model(digest, size))
    assert [path.name for path in share.rglob("*") if path.is_file()] == [digest]
    assert bob.blobs().verify(digest)
    assert bob.run("r")["models"][0]["digest"] == digest


# Everybody at once


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with running_server() as url:
        yield url


STEPS = 400
PEOPLE = ("ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal")
KILLED, CUT_OFF = "bob", "gus"


def training(tmp_path: Path, name: str, environment: dict[str, str]) -> "subprocess.Popen[str]":
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy(Path(__file__).parent / "team_program.py", folder)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return subprocess.Popen(
        [sys.executable, "team_program.py", name, str(STEPS)], cwd=folder, stdin=subprocess.PIPE,
        env=environment | {"AUTOTRACK_HOME": str(folder / ".autotrack")}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_eight_who_write_at_once_one_killed_and_one_cut_off_lose_and_double_nothing(
    s3: S3, postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, bucket = new_database(postgresql), s3.bucket()
    named = {"AUTOTRACK_STORE_URL": url, "AUTOTRACK_BLOBS_URL": f"s3://{bucket}/runs", "AUTOTRACK_PROJECT": "team"}
    common = {**os.environ, **s3.environment(), **named}
    with Way(make_url(url).port or 0) as to_rows, Way(s3.port) as to_files:
        far = {**common, **s3.environment(to_files.port)}
        far["AUTOTRACK_STORE_URL"] = make_url(url).set(port=to_rows.port).render_as_string(hide_password=False)
        children = {name: training(tmp_path, name, far if name == CUT_OFF else common) for name in PEOPLE}
        for child in children.values():
            assert child.stdout is not None and child.stdout.readline() == "half\n", child.communicate()
        to_rows.cut()
        to_files.cut()
        children[KILLED].kill()
        errors = {name: child.communicate("\n", timeout=120)[1] for name, child in children.items()}
        codes = {name: child.returncode for name, child in children.items()}
        assert codes == {name: -signal.SIGKILL if name == KILLED else 0 for name in PEOPLE}, errors
        bob = Person(tmp_path / "nobody", Settings(store_url=url, blobs_url=named["AUTOTRACK_BLOBS_URL"]))
        with Store.open(bob.home, bob.settings) as store:
            done = {name: "killed" if name == KILLED else "finished" for name in PEOPLE}
            wait_until(lambda: done == statuses(store) | {CUT_OFF: done[CUT_OFF]}, 120)
            assert statuses(store).get(CUT_OFF) != "finished"  # nothing of its end came through
            to_rows.mend()
            to_files.mend()
            wait_until(lambda: done == statuses(store), 120)  # by its own forwarder, which kept on trying

    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    with Store.open(bob.home, bob.settings) as store:
        runs = store.records([one["id"] for one in store.runs()])
        assert sorted(run["name"] for run in runs) == list(PEOPLE)
        for run in runs:
            assert run["status"] == ("killed" if run["name"] == KILLED else "finished"), run["name"]
            steps, _, values = store.series(run["id"], "loss")
            assert len(steps) == STEPS or run["name"] == KILLED and len(steps) == STEPS // 2 + 1
            assert steps.tolist() == list(range(len(steps))) and values.tolist() == [1 / (at + 1) for at in steps]
            assert [one["name"] for one in run["artifacts"]] == ["report.txt"]
            assert len(run["datasets"]) == 1
            assert len(run["models"]) == (0 if run["name"] == KILLED else 1)
            digests = set(every_digest(run))
            assert len(digests) >= 4, run["name"]  # the report, the code, the environment, the rows of the data
            for digest in digests:
                assert bob.blobs().verify(digest), f"{digest} of {run['name']}"
        assert {one["code"]["bundle"]["digest"] for one in runs} <= {path.name for path in bob.home.rglob("*")}
    session.configure(home=bob.home, store_url=url, blobs_url=bob.settings.blobs_url)
    try:
        model = autotrack.load_model("ada")  # from a file that was fetched
    finally:
        session.configure()
    assert model.classes_.tolist() == [0, 1] and model.coef_.any()


def statuses(store: Store) -> dict[str, str]:
    return {str(run["name"]): str(run["status"]) for run in store.runs()}


def every_digest(value: Any) -> Iterator[str]:
    """What a record names, wherever it does."""
    if isinstance(value, dict):
        if value.get("digest") and "bytes" in value:
            yield value["digest"]
        for item in value.values():
            yield from every_digest(item)
    elif isinstance(value, list):
        for item in value:
            yield from every_digest(item)


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.3)


# Credentials that AWS's own tools keep


def test_a_profile_of_aws_is_used_and_one_that_is_not_there_is_told(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = key\naws_secret_access_key = planted-secret\n")
    (tmp_path / "config").write_text("[profile work]\nregion = us-east-1\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "work")
    blob = Blobs(team.ada.home).put_bytes(b"weights")
    team.ada.deliver(started(), model(blob.digest, 7))
    assert team.bob.blobs().verify(blob.digest)
    monkeypatch.setenv("AWS_PROFILE", "home")
    with pytest.raises(BackendUnavailable, match=r"no credentials .*home.*AWS_PROFILE"):
        team.ada.deliver(started("s"), model(blob.digest, 7, "s"), writer="v")
