"""The backend `http` against a receiver on loopback: what leaves fits the schema, is signed, and is known again."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product
sys.path.insert(0, str(Path(__file__).parent.parent / "contract"))

from cases import record_all
from http_receiver import Receiver
from recorded import recording_into, writers

import autotrack
from autotrack.backend import BackendContext, BackendUnavailable
from autotrack.errors import UsageError
from autotrack.events import RegistryLogged
from autotrack.forward.catching_up import Delivered, sync, take_in
from autotrack.forward.progress import Progress
from autotrack.session import session
from autotrack.settings import load
from autotrack_http.backend import HttpBackend
from autotrack_http.sending import settings_from

SCHEMA = Path(__file__).parent.parent.parent / "docs" / "backends" / "http.schema.json"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    made = Receiver()
    for name, value in made.variables.items():
        monkeypatch.setenv(name, value)
    yield made
    made.close()


def delivered(home: Path) -> Delivered:
    return sync(home, load(home=home, backends="local,http"), ("http",))[0]


def recorded(home: Path, points: int = 50) -> Path:
    with recording_into(home), autotrack.start_run("first") as run:
        for step in range(points):
            run.log_metrics({"loss": step / 4}, step=step)
        run.log_artifact(b"hello", "hello.txt")
    return home


def test_whatever_is_recorded_fits_the_schema(receiver: Receiver, tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    record_all(tmp_path)
    with recording_into(tmp_path), autotrack.start_run("more") as run:
        run.log_params({"inf": float("inf"), "nan": float("nan"), "text": "NaN", "large": 2**63})
        run.log_console("stdout", "one\ntwo\r")
        run.note("rows", "too many", 3)
        run.log_provenance("code", {"commit": "abc", "dirty": None, "share": float("nan"), "files": [1, {"a": True}]})
        run.log_model(object(), "of no known type")
        for number, (action, record) in enumerate((("register", {}), ("alias", {"alias": "now"}), ("refuse", {}))):
            step = RegistryLogged(run.id, number, "clf", action, f"step-{number}", "ab" * 32, "somebody", "", record)
            session.sink().append_event(step)
        session.sink().append_event(RegistryLogged("", 5, "other", "alias", "step-5", None, record={"alias": "now"}))
    take_in(tmp_path, load({}, home=tmp_path))
    assert delivered(tmp_path).complete
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for line in receiver.lines.values():
        validator.validate(line)
    assert {line["kind"] for line in receiver.lines.values()} == set(schema["properties"]["kind"]["enum"])
    (params,) = [line["params"] for line in receiver.lines.values() if "inf" in line.get("params", ())]
    assert params == {"inf": {"float": "Infinity"}, "nan": {"float": "NaN"}, "text": "NaN", "large": 2**63}
    effects = [line["effect"] for line in receiver.lines.values() if line["kind"] == "registry"]
    assert effects == ["done", "done", "refused", "conflict"]
    line = dict(next(iter(receiver.lines.values())))
    for field in ("key", "kind", "time", "run"):  # the schema can say no
        assert not validator.is_valid({name: value for name, value in line.items() if name != field})
    assert not validator.is_valid({**line, "kind": "metrics"})


def test_the_same_lines_have_the_same_key_and_each_line_its_own_however_they_are_cut(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path)
    assert delivered(tmp_path).complete
    once, batches = dict(receiver.lines), list(receiver.batches)
    state = tmp_path / "delivery" / writers(tmp_path)[0] / "http.json"
    state.unlink()
    assert delivered(tmp_path).complete
    assert receiver.batches == batches * 2
    state.unlink()
    monkeypatch.setenv("AUTOTRACK_HTTP_MAX_BYTES", "1000")
    assert delivered(tmp_path).complete
    assert receiver.lines == once and len(set(receiver.batches)) > len(batches) + 5
    assert all(len(body) <= 1000 or body.count(b"\n") == 1 for body in receiver.raw[2:])
    assert b"".join(receiver.raw[2:]) == receiver.raw[0]


def test_a_line_beyond_the_bound_is_a_body_of_its_own(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOTRACK_HTTP_MAX_BYTES", "500")
    with recording_into(tmp_path), autotrack.start_run() as run:
        run.log_params({"long": "x" * 5000})
    assert delivered(tmp_path).complete
    long = [body.splitlines() for body in receiver.raw if len(body) > 500]
    assert {len(lines) for lines in long} == {1}
    assert any(len(json.loads(line).get("params", {}).get("long", "")) == 5000 for (line,) in long)


def test_what_the_server_finds_too_large_is_cut_smaller_and_only_what_never_fits_is_set_aside(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOTRACK_HTTP_COMPRESSION", "none")
    receiver.most_bytes = 6000
    with recording_into(tmp_path), autotrack.start_run() as run:
        for step in range(100):
            run.log_metrics({"loss": step / 4}, step=step)
        run.log_params({"long": "x" * 7000})
    assert delivered(tmp_path).complete
    assert len([line for line in receiver.lines.values() if line["kind"] == "metrics"]) == 100
    progress = Progress(tmp_path, writers(tmp_path)[0], "http")
    assert progress.dead == 1
    assert "413" in progress.notes[run.id]["ParamsLogged refused"][1]


def test_files_are_put_once_before_the_line_that_names_them(receiver: Receiver, tmp_path: Path) -> None:
    recorded(tmp_path)
    assert delivered(tmp_path).complete
    assert b"hello" in receiver.files.values()
    methods = [method for method, _, _ in receiver.requests]
    assert methods.index("PUT") < methods.index("POST")
    held = len(receiver.files)
    assert methods.count("PUT") == held > 1  # the list of packages is a file as well
    (tmp_path / "delivery" / writers(tmp_path)[0] / "http.json").unlink()
    assert delivered(tmp_path).complete
    assert [method for method, _, _ in receiver.requests].count("PUT") == held


def test_without_a_place_for_files_the_record_says_that_they_stay_here(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUTOTRACK_HTTP_BLOBS_URL")
    recorded(tmp_path)
    assert delivered(tmp_path).complete
    assert not receiver.files
    ((what, (count, why)),) = next(iter(Progress(tmp_path, writers(tmp_path)[0], "http").notes.values())).items()
    assert (what, count) == ("file of the artifact 'hello.txt'", 1)
    assert "AUTOTRACK_HTTP_BLOBS_URL" in why
    (line,) = [line for line in receiver.lines.values() if line["kind"] == "artifact"]
    assert line["bytes"] == 5


def test_headers_tokens_and_compression_are_as_the_variables_say(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path)
    assert delivered(tmp_path).complete
    (_, _, headers) = receiver.requests[-1]
    assert (headers["x-team"], headers["content-encoding"]) == ("risk, fraud", "gzip")
    monkeypatch.setenv("AUTOTRACK_HTTP_COMPRESSION", "none")
    (tmp_path / "delivery" / writers(tmp_path)[0] / "http.json").unlink()
    assert delivered(tmp_path).complete
    (_, _, headers) = receiver.requests[-1]
    assert "content-encoding" not in headers


def test_a_wrong_secret_is_told_and_costs_nothing(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path)
    with monkeypatch.context() as wrong:
        wrong.setenv("AUTOTRACK_HTTP_SECRET", "hunter2")
        problem = delivered(tmp_path).problem or ""
    assert receiver.refused == ["wrong signature"] * len(receiver.refused) != []
    assert "401" in problem and "AUTOTRACK_HTTP_SECRET" in problem and "hunter2" not in problem
    assert delivered(tmp_path).complete


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (404, "check AUTOTRACK_HTTP_URL"),
        (405, "check AUTOTRACK_HTTP_URL"),
        (409, "busy with the same request"),
        (415, "set AUTOTRACK_HTTP_COMPRESSION=none"),
        (308, "set AUTOTRACK_HTTP_URL to the final address"),
        (503, "answered 503"),
    ],
)
def test_an_answer_that_is_about_no_event_keeps_all_of_them(
    status: int, told: str, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUTOTRACK_HTTP_BLOBS_URL")
    recorded(tmp_path, points=2)
    receiver.answer = (status, {"Location": "https://elsewhere.example"})
    assert told in (delivered(tmp_path).problem or "")
    receiver.answer = None
    assert delivered(tmp_path).complete
    assert Progress(tmp_path, writers(tmp_path)[0], "http").dead == 0


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("AUTOTRACK_HTTP_URL", "", "needs AUTOTRACK_HTTP_URL"),
        ("AUTOTRACK_HTTP_URL", "example.org/runs", "needs AUTOTRACK_HTTP_URL"),
        ("AUTOTRACK_HTTP_COMPRESSION", "zstd", "use gzip or none"),
        ("AUTOTRACK_HTTP_MAX_BYTES", "1MB", "use a number of bytes"),
        ("AUTOTRACK_HTTP_HEADERS", "X-Team", "NAME=VALUE"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(variable: str, value: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        settings_from({"AUTOTRACK_HTTP_URL": "https://host/runs", variable: value})


def test_the_check_posts_no_lines_and_says_what_is_wrong(receiver: Receiver, tmp_path: Path) -> None:
    backend = HttpBackend()
    backend.open(BackendContext(tmp_path, load({})))
    assert backend.check() == f"{receiver.url}/runs takes events"
    assert receiver.raw == [b""] and not receiver.lines
    receiver.answer = (401, {})
    with pytest.raises(BackendUnavailable, match="check AUTOTRACK_HTTP_TOKEN"):
        backend.check()
    backend.close()
