"""What runs were made of, and what they wrote, on a real MLflow server: exactly once, whatever is sent twice."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from autotrack.events import ConsoleLogged, DatasetLogged, ProvenanceLogged, RunEnded, TagsSet

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from mlflow_server import Journal, Lent, Server, faulty_proxy, lent, no_mlflow_settings, run_of

__all__ = ["lent", "no_mlflow_settings"]


def content(server: Server, run: dict[str, Any], name: str) -> bytes:
    return bytes.fromhex(server.ask("artifact", run["id"], f"autotrack/{name}"))


def record(server: Server, run: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(content(server, run, f"{kind}.json"))
    return found


def made(lent: Lent) -> Journal:
    journal = Journal()
    journal.start("made", code={"script": "/src/train.py"})
    code = {"kind": "git", "commit": "c0ffee", "branch": "main", "entry": "train.py", "remote": "https://x.org/y.git"}
    journal.add(ProvenanceLogged, "code", {**code, "dirty": True})
    lock, notebook = b"lock-version = '1.0'\n", b'{"cells": []}'
    environment = {"python": "3.12", "lock": {"digest": lent.keep(lock), "bytes": len(lock)}}
    journal.add(ProvenanceLogged, "environment", environment)
    journal.add(ProvenanceLogged, "notebook", {"notebook": {"digest": lent.keep(notebook), "bytes": 13}, "cells": 0})
    journal.add(ProvenanceLogged, "code", {"changed_during_run": ["train.py"], "dirty": False})
    for number in range(3):
        journal.add(ConsoleLogged, "stdout", f"line {number} ü\n")
    journal.add(ConsoleLogged, "stderr", "oh\n")
    journal.add(RunEnded, "finished")
    return journal


def check_made(server: Server, journal: Journal) -> None:
    run = run_of(server, journal)
    assert run["artifacts"] == [
        "autotrack/code.json",
        "autotrack/console.log",
        "autotrack/environment.json",
        "autotrack/notebook.ipynb",
        "autotrack/notebook.json",
        "autotrack/pylock.toml",
        "autotrack/run.json",
    ]
    code = record(server, run, "code")
    assert code["commit"] == "c0ffee" and code["dirty"] is False and code["changed_during_run"] == ["train.py"]
    assert record(server, run, "environment")["python"] == "3.12"
    assert content(server, run, "pylock.toml") == b"lock-version = '1.0'\n"
    assert content(server, run, "notebook.ipynb") == b'{"cells": []}'
    assert content(server, run, "console.log").decode() == "line 0 ü\nline 1 ü\nline 2 ü\noh\n"
    tags = run["tags"]
    assert (tags["mlflow.source.git.commit"], tags["mlflow.source.git.branch"]) == ("c0ffee", "main")
    assert (tags["mlflow.source.name"], tags["mlflow.source.git.repoURL"]) == ("train.py", "https://x.org/y.git")


def test_it_arrives_and_a_replay_changes_nothing(server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = made(lent)
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(journal.records)
    check_made(server, journal)
    backend.deliver(journal.records)
    for one in journal.records:
        backend.deliver([one])
    check_made(server, journal)
    backend.close()
    lent.context.state.clear()  # the process was killed before the forwarder kept anything
    again = lent.backend(server.url, monkeypatch)
    for one in journal.records:
        again.deliver([one])
    check_made(server, journal)
    assert not [key for key in lent.context.state if key.startswith("console:")]
    again.close()


def test_event_by_event(server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = made(lent)
    for one in journal.records:
        backend = lent.backend(server.url, monkeypatch)  # another process each time, with the state that was kept
        backend.deliver([one])
        backend.close()
    check_made(server, journal)


def test_an_older_value_does_not_replace_a_newer_one(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = made(lent)
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(journal.records)
    backend.deliver(journal.records[1:2])
    check_made(server, journal)
    backend.close()


def test_text_whose_upload_was_not_confirmed_is_there_once(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = made(lent)
    with faulty_proxy(server) as proxy:
        fails = [True]

        def lose_the_first(method: str, path: str) -> str:
            if method == "PUT" and path.endswith("console.log") and fails and fails.pop():
                return "lost"
            return ""

        proxy.fault = lose_the_first
        backend = lent.backend(proxy.url, monkeypatch)
        with pytest.raises(Exception, match="no answer"):
            backend.deliver(journal.records)
        backend.deliver(journal.records)
        backend.close()
    check_made(server, journal)


def test_a_chatty_run_is_not_uploaded_for_every_line(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal()
    journal.start("chatty")
    with faulty_proxy(server) as proxy:
        backend = lent.backend(proxy.url, monkeypatch)
        backend.deliver(journal.records)
        text = ""
        for number in range(300):
            text += f"epoch {number}: loss {1 / (number + 1):.6f}, accuracy {number / 300:.6f}\n"
            backend.deliver([journal.add(ConsoleLogged, "stdout", text.splitlines(keepends=True)[-1])])
        backend.deliver([journal.add(RunEnded, "finished")])
        uploads = [path for method, path in proxy.calls if method == "PUT" and path.endswith("console.log")]
        assert 2 <= len(uploads) <= 8
        late = journal.add(ConsoleLogged, "stderr", "after the end\n")
        backend.deliver([late])
        backend.deliver([late])
        backend.close()
    assert content(server, run_of(server, journal), "console.log").decode() == text + "after the end\n"


def test_a_file_that_is_gone_is_noted_and_stops_nothing(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal()
    journal.start("gone")
    journal.add(ProvenanceLogged, "environment", {"lock": {"digest": "0" * 64, "bytes": 1}})
    journal.add(ProvenanceLogged, "strange/kind", {"a": 1})
    journal.add(TagsSet, {"team": "risk"})
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(journal.records)
    run = run_of(server, journal)
    assert run["tags"]["team"] == "risk"
    assert run["artifacts"] == ["autotrack/environment.json", "autotrack/strange_kind.json"]
    assert [what for _, what, _ in lent.notes] == ["autotrack/pylock.toml"]
    backend.close()


def test_the_fingerprint_of_the_values_is_the_digest_of_the_dataset(
    server: Server, lent: Lent, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal()
    journal.start("data")
    value = "x1:" + "a" * 32
    journal.add(DatasetLogged, "train", "customers", {"value": value, "schema": "x1:" + "b" * 32, "strict": "x1:c"})
    backend = lent.backend(server.url, monkeypatch)
    backend.deliver(journal.records)
    assert [item["digest"] for item in run_of(server, journal)["datasets"]] == [value]
    backend.close()
