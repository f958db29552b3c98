"""What W&B's own client answers to a wish for the registry, what becomes of that, and that the stand-in is strict."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package

pytest.importorskip("graphql")
pytest.importorskip("jsonschema")

import requests
from wandb_files import environment_for_wandb, wandb_python
from wandb_operations import operations
from wandb_registry import Registry

from autotrack.backend import BackendContext, BackendUnavailable
from autotrack.settings import load
from autotrack_wandb.__main__ import main
from autotrack_wandb.linking import said_by
from autotrack_wandb.names import collection_name
from autotrack_wandb.place import place_from
from autotrack_wandb.registered import HASTE, Registered
from autotrack_wandb.waiting import Waiting

KEY = "local" + "0" * 40
DIGEST = "ab" * 32
ANSWERS = """
import json, os, sys
import requests
from autotrack_wandb.linking import answer_to
for refused, wish in json.load(sys.stdin):
    requests.post(os.environ["WANDB_BASE_URL"] + "/refuse", json=refused, timeout=10)
    print("answer", json.dumps(answer_to(wish)))
"""


def answers(server: Registry, folder: Path, *cases: tuple[dict[str, Any], dict[str, Any]]) -> list[dict[str, Any]]:
    """What W&B's client answers to wishes for one version whose artifact the server has; each with what is refused."""
    server.held.runs["r1"] = "churn"
    about = {"projectName": "churn", "artifactCollectionName": "run-r1-m", "runName": "r1", "digest": "d"}
    about |= {"artifactTypeName": "model", "metadata": json.dumps({"sha256": DIGEST})}
    server.held.upload("CreateArtifact", about)
    server.held.upload("CommitArtifact", {"artifactID": next(iter(server.held.artifacts))})
    wishes = []
    for refused, wanted in cases:
        version = {"version": 1, "digest": DIGEST, "run": "r1", "project": "churn", "told": {"version": 1}}
        wish = {
            "model": "clf",
            "collection": "clf",
            "registry": "model",
            "organization": "",
            "entity": "",
            "aliases": [],
        }
        wish |= {"versions": [version | {"aliases": wanted.get("aliases", [])}]}
        wishes.append((refused, wish | wanted))
    variables = HASTE | {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY, "WANDB_DIR": str(folder)}
    done = subprocess.run(
        [wandb_python(), "-c", ANSWERS],
        env=environment_for_wandb(folder, **variables),
        input=json.dumps(wishes),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert server.violations == []
    return [json.loads(line.removeprefix("answer ")) for line in done.stdout.splitlines() if line.startswith("answer ")]


def test_what_may_go_well_later_is_told_from_what_is_refused_with_the_servers_reason(tmp_path: Path) -> None:
    reason = "linking is only allowed within the same team"
    with Registry() as server:
        server.held.protected = {"production"}
        found = answers(
            server,
            tmp_path,
            ({"FetchRegistry": [500, "not now"]}, {}),
            ({"Viewer": [401, "not you"]}, {}),
            ({"RegistryCollections": [403, "not you"]}, {}),
            ({}, {"registry": "none"}),
            ({}, {"organization": "elsewhere"}),
            ({"LinkArtifact": [200, reason]}, {}),
            ({"LinkArtifact": [400, reason]}, {}),
            ({"Run": [404, "no such project"]}, {}),
            ({}, {"aliases": ["production", "trial"]}),
        )
        assert [bool(one["problem"]) for one in found] == [True] * 5 + [False] * 4
        assert [one["temporary"] for one in found] == [True] * 2 + [False] * 7
        for one in found[5:7]:
            ((what, why),) = one["notes"]
            assert what == "version 1 of the registered model clf" and reason in why
        assert found[7]["missing"] == [DIGEST]
        ((what, why),) = found[8]["notes"]
        assert what == "alias production of the registered model clf" and "protected" in why
        assert server.collection("clf").members[0].aliases == ["latest", "trial"]


def test_an_older_server_whose_answer_to_a_link_says_less_will_do(tmp_path: Path) -> None:
    with Registry(features=("ARTIFACT_REGISTRY_SEARCH",)) as server:
        (answer,) = answers(server, tmp_path, ({}, {"aliases": ["production"]}))
        assert answer == {"missing": [], "notes": [], "problem": None, "temporary": False}
        assert server.collection("clf").members[0].aliases == ["latest", "production"]


class Followed:
    """A model of one version, and W&B's client in the place of which a test answers."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, **version: Any) -> None:
        self.notes: dict[str, str] = {}
        self.about = {"version": 1, "digest": DIGEST, "run": "r1", "aliases": [], **version}
        place = place_from({"WANDB_API_KEY": KEY}, home)
        context = BackendContext(
            home, load({}, home=home), registered=lambda model: {"versions": [self.about], "aliases": {}, "log": []}
        )
        self.registered = Registered(place, context, lambda run, what, why: self.notes.update({what: why}))
        self._monkeypatch = monkeypatch

    def __call__(self, since: int, still_open: tuple[str, ...] = (), **answer: Any) -> bool:
        told = {"missing": [DIGEST], "notes": [], "problem": None, "temporary": False, **answer}
        self._monkeypatch.setattr(self.registered, "_ask", lambda *wish: told)
        return self.registered.follow("clf", Waiting("", since, (DIGEST,)), still_open)


def test_a_version_without_an_artifact_waits_for_its_run_for_a_day_and_then_it_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, what = time.time_ns(), "version 1 of the registered model clf"
    followed = Followed(tmp_path, monkeypatch)
    assert followed(now, still_open=("r1",)) is False
    with pytest.raises(BackendUnavailable, match=f"{what} waits for its run r1.*autotrack sync"):
        followed(now)
    assert followed.notes == {}
    assert followed(now - 25 * 3600 * 10**9) and "a day" in followed.notes[what]
    of_none = Followed(tmp_path, monkeypatch, run=None)
    assert of_none(now) and "from no run" in of_none.notes[what]
    folder = tmp_path / "wandb" / "offline-run-20260501_000000-r1-abc"
    folder.mkdir(parents=True)
    for name in ("run-r1.wandb", "run-r1.wandb.synced"):
        (folder / name).touch()
    assert followed(now) and "is uploaded" in followed.notes[what]


def test_what_fails_is_tried_again_and_says_what_to_look_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    followed = Followed(tmp_path, monkeypatch)
    with pytest.raises(BackendUnavailable, match=r"model clf \(HTTP 401\): check WANDB_API_KEY"):
        followed(0, problem="HTTP 401", temporary=True)
    assert followed(0, problem="no registry", missing=[]) and "AUTOTRACK_WANDB_REGISTRY" in str(followed.notes)
    with monkeypatch.context() as patched:
        patched.setattr("autotrack_wandb.registered.SECONDS", 0)
        patched.setattr("autotrack_wandb.registered.SECONDS_A_VERSION", 0)
        hangs = Followed(tmp_path, monkeypatch)
        with pytest.raises(BackendUnavailable, match="within 0 s"):
            hangs.registered.follow("clf", Waiting("", 0), ())


def test_a_reason_holds_neither_key_nor_login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert said_by(ValueError(f"no answer of\nhttps://me:secret@wandb.example/?{KEY}")) == (
        "no answer of https://wandb.example/?…"
    )


def test_names_are_never_two_alike() -> None:
    names = ["a b", "a_b", "a-b", "x" * 100, "x" * 200, "é"]
    found = [collection_name(name) for name in names]
    assert len(set(found)) == len(names) and all(re.fullmatch(r"[\w.-]{1,128}", one, re.ASCII) for one in found)
    assert collection_name("a-b") == "a-b"


def test_the_stand_in_refuses_what_the_sdk_would_not_send() -> None:
    text = operations()["operations"]["DeleteAliases"]
    right = {"artifactID": "a", "aliases": []}
    strange = [
        (text.replace("success", "success\n    artifact"), {"input": right}),
        (text, {"input": {**right, "more": 1}}),
        (text, {"input": {"aliases": []}}),
        (text, {"input": right, "more": 1}),
        (text.replace("deleteAliases", "removeAliases"), {"input": right}),
    ]
    with Registry() as server:
        for query, variables in strange:
            body = {"operationName": "DeleteAliases", "query": query, "variables": variables}
            assert requests.post(f"{server.url}/graphql", json=body, timeout=10).status_code == 400
        assert len(server.violations) == len(strange)


def test_the_command_says_how_it_is_used(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert main(["clf"]) == 2
    assert "python -m autotrack_wandb MODEL" in capsys.readouterr().err
