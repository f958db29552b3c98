"""W&B's offline files as our backend writes them: read by the SDK's classes, and back by our own importer."""

from __future__ import annotations

import hashlib
import math
import sys
from pathlib import Path
from typing import Any, BinaryIO

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package
sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))

from recorded import Weights
from wandb_files import read_folder

import autotrack
from autotrack.errors import UsageError
from autotrack.events import (
    ArtifactLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    RunEnded,
    TagsSet,
)
from autotrack.forward.catching_up import sync
from autotrack.forward.progress import Progress
from autotrack.importing import run_id
from autotrack.session import session
from autotrack.settings import load
from autotrack.testing import recording
from autotrack_wandb.backend import WandbBackend
from autotrack_wandb.files import path_of
from autotrack_wandb.importer import Importer
from autotrack_wandb.log import BLOCK
from autotrack_wandb.names import ConfigPaths, metric_name
from autotrack_wandb.place import place_from


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)


def deliver(home: Path) -> str | None:
    (outcome,) = sync(home, load(home=home, backends="wandb"), ("wandb",))
    return outcome.problem


def test_a_run_is_a_folder_as_wandb_makes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "WANDB_DIR": str(tmp_path / "place"),
        "WANDB_ENTITY": "team",
        "WANDB_PROJECT": "elsewhere",
        "WANDB_RUN_GROUP": "night",
        "WANDB_JOB_TYPE": "train",
        "WANDB_TAGS": "a, b",
        "WANDB_NOTES": "why",
    }.items():
        monkeypatch.setenv(name, value)
    with recording(tmp_path / "home", project="churn"), autotrack.start_run("first") as run:
        run.set_tags({"kind": "risk", "bare": "true"})
        run.log_artifact(b"hello", "notes/hello.txt")
    assert deliver(tmp_path / "home") is None
    (file,) = read_folder(tmp_path / "place")
    path = Path(file["path"])
    assert path.name == f"run-{run.id}.wandb" and path.parent.parent == tmp_path / "place" / "wandb"
    assert path.parent.name.startswith("offline-run-") and f"-{run.id}-" in path.parent.name
    assert (file["id"], file["name"], file["entity"], file["project"]) == (run.id, "first", "team", "elsewhere")
    assert (file["group"], file["job_type"], file["notes"]) == ("night", "train", "why")
    assert file["tags"] == ["a", "b", "kind: risk", "bare"]
    assert file["files"] == {"notes/hello.txt": b"hello".hex()}
    assert file["config"]["autotrack"]["project"] == "churn"
    assert file["exit"] == {"code": 0, "not_complete": False}


def test_wandbs_own_step_counts_rows_and_the_true_one_is_every_metrics_x_axis(tmp_path: Path) -> None:
    with recording(tmp_path / "home"), autotrack.start_run() as run:
        for step in (10, 5, 5, 0.25, 2**53 + 1):
            run.log_metrics({"loss": 1.0, "a.b": 2.0}, step=step)
    assert deliver(tmp_path / "home") is None
    (file,) = read_folder(tmp_path / "home")
    assert [row["_step"] for row in file["history"]] == [0, 1, 2, 3, 4]
    assert [row["autotrack/step"] for row in file["history"]] == [10, 5, 5, {"float": "0.25"}, 2**53 + 1]
    assert file["metrics"] == {"autotrack/step": "", "loss": "autotrack/step", "a\\.b": "autotrack/step"}
    assert file["summary"]["loss"] == {"float": "1.0"}


def test_a_child_is_in_the_group_of_its_parent(tmp_path: Path) -> None:
    with recording(tmp_path / "home"), autotrack.start_run("outer") as outer, autotrack.start_run("inner"):
        pass
    assert deliver(tmp_path / "home") is None
    groups = {file["name"]: file["group"] for file in read_folder(tmp_path / "home")}
    assert groups == {"outer": "", "inner": outer.id}


def test_a_run_that_goes_on_after_its_end_has_another_file(tmp_path: Path) -> None:
    with recording(tmp_path / "home"):
        with autotrack.start_run("twice") as run:
            run.log_metrics({"loss": 1.0}, step=0)
        session.reopen_run(run)
        run.log_metrics({"loss": 0.5}, step=1)
        run.end("failed", ValueError("broke"))
    assert deliver(tmp_path / "home") is None
    first, second = read_folder(tmp_path / "home")
    assert first["id"] == second["id"] == run.id and first["path"] != second["path"]
    assert (first["exit"]["code"], second["exit"]["code"]) == (0, 1)
    assert (first["resumed"], second["resumed"]) == (False, True)


def test_blocks_hold_whatever_is_cut_and_added_at_their_edges(tmp_path: Path) -> None:
    """Rows of many lengths, delivered in many small batches: each begins at another place of a block."""
    from autotrack.forward import delivery

    home = tmp_path / "home"
    with recording(home), autotrack.start_run() as run:
        for step in range(2_000):
            run.log_metrics({"x" * (1 + step % 97): float(step)}, step=step)
    (writer,) = (folder.name for folder in (home / "journals").iterdir())
    before, delivery.BATCH = delivery.BATCH, 13
    try:
        one = delivery.Delivery("wandb", WandbBackend, home / "journals" / writer, home, load(home=home))
        while one.step():
            pass
        one.close()
    finally:
        delivery.BATCH = before
    (file,) = read_folder(home)
    assert Path(file["path"]).stat().st_size > 3 * BLOCK
    assert [row["autotrack/step"] for row in file["history"]] == list(range(2_000))
    assert not Progress(home, writer, "wandb").notes


class Kept:
    """Keeps in memory what the importer gives."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def keep(self, source: Path | bytes | BinaryIO) -> tuple[str, int]:
        if isinstance(source, Path):
            source = source.read_bytes()
        data = source if isinstance(source, bytes) else source.read()
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return digest, len(data)

    def not_carried(self, what: str, why: str, count: int = 1) -> None:
        pytest.fail(f"{what}: {why}")


def test_what_was_sent_to_wandb_comes_back_as_it_was(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with recording(home, project="churn") as recorded:
        with autotrack.start_run("there and back") as run:
            run.log_params({"lr": 0.1, "model.depth": 3, "model": "taken", "none": None, "flag": True})
            run.set_tags({"team": "risk", "long": "x" * 500})
            for step, value in ((0, 1 / 3), (0.25, math.inf), (7, -math.inf), (2**60, 5e-324)):
                run.log_metrics({"loss": value, "_step": value, "autotrack/step": value, "a.b": 1.0}, step=step)
            run.log_dataset([[1.0], [2.0]], role="train", name="rows")
            run.log_artifact(b"text", "a b/[c].txt")
            run.log_model(Weights(1.0, 2.0), "the model", step=3)
            with autotrack.start_run("inner"):
                pass
            run.end("pruned")
        before, inner = recorded.runs()
    assert deliver(home) is None
    moved = (home / "wandb").rename(tmp_path / "moved")
    foreign, child = Importer().runs(str(moved), {})
    kept = Kept()
    assert inner.parent and next(child.events(kept)).parent == run_id(foreign.origin)
    events: list[Any] = list(foreign.events(kept))
    assert foreign.name == events[0].name == "there and back" and events[0].project == "churn"
    metrics: dict[str, list[tuple[Any, float]]] = {}
    params: dict[str, Any] = {}
    tags: dict[str, str] = {}
    for event in events:
        if isinstance(event, MetricsLogged):
            for key, value in event.values.items():
                metrics.setdefault(key, []).append((event.step, value))
        elif isinstance(event, ParamsLogged):
            params |= event.params
        elif isinstance(event, TagsSet):
            tags |= event.tags
    assert metrics == before.metrics
    assert {key.rstrip("#"): value for key, value in params.items()} == before.params
    assert {key: value for key, value in tags.items() if not key.startswith("wandb.")} == before.tags
    assert [(one.role, one.name) for one in events if isinstance(one, DatasetLogged)] == [("train", "rows")]
    files = {one.name: kept.blobs[one.digest] for one in events if isinstance(one, ArtifactLogged)}
    assert files == {"a b/[c].txt": b"text"}
    (model,) = (one for one in events if isinstance(one, ModelLogged))
    assert (model.name, model.format, model.step) == ("the model", "safetensors", 3)
    assert kept.blobs[model.digest] == Weights(1.0, 2.0).file
    assert isinstance(events[-1], RunEnded) and events[-1].status == "pruned"


@pytest.mark.parametrize(
    ("variables", "online"),
    [
        ({}, False),
        ({"WANDB_API_KEY": "k"}, True),
        ({"WANDB_API_KEY": "k", "WANDB_MODE": "offline"}, False),
        ({"WANDB_API_KEY": "k", "WANDB_MODE": "dryrun"}, False),
        ({"WANDB_MODE": "online"}, True),
    ],
)
def test_it_is_online_with_a_key_unless_it_is_told_otherwise(
    variables: dict[str, str], online: bool, tmp_path: Path
) -> None:
    assert place_from(variables, tmp_path).online is online


def test_a_key_of_wandb_login_is_found_by_its_host(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("machine wandb.example.org login user password secret\n")
    (tmp_path / "keys").chmod(0o600)
    variables = {"NETRC": str(tmp_path / "keys")}
    assert not place_from(variables, tmp_path).has_key
    place = place_from(variables | {"WANDB_BASE_URL": "https://u:p@wandb.example.org:8080"}, tmp_path)
    assert place.has_key and place.online and place.url == "https://wandb.example.org:8080"


@pytest.mark.parametrize("mode", ["disabled", "sometimes"])
def test_a_mode_that_cannot_be_is_said(mode: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="WANDB_MODE"):
        place_from({"WANDB_MODE": mode}, tmp_path)


def test_names_and_places_are_never_two_alike() -> None:
    names = ["a", "_step", "_x", "autotrack/step", "autotrack/_step", "autotrack/user/step", ""]
    assert len({metric_name(name) for name in names}) == len(names)
    paths = ConfigPaths({})
    keys = ["a.b", "a", "a#", "a.b.c", "a.b.d", "x", "x.y", ".", "..", "", "autotrack.x", "_wandb", "a..b"]
    assert len({tuple(paths.of(key)) for key in keys}) == len(keys)
    assert paths.of("a.b") == ["a", "b"]
    files = ["a", "a/", "/a", "../a", "a//b", "a/b", "[a]", "_a_", "output.log", "autotrack/output.log", "x" * 300]
    assert len({path_of(name) for name in files}) == len(files)
    assert path_of("notes/hello.txt") == "notes/hello.txt"
