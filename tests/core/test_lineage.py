"""What a run came from and what came of it, over runs that real processes journalled."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import autotrack
from autotrack.lineage import Graph, lineage
from autotrack.plugin import builds_on, describe_with, model_loaded, model_saved, model_used, remember
from autotrack.provenance import modelfiles
from autotrack.reading import open_store
from autotrack.testing import Recorded, recording


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    with recording(tmp_path / "home") as found:
        yield found


def around(run: str, depth: int = 5) -> Graph:
    with open_store() as store:
        return lineage(store, run, depth)


def edges(graph: Graph) -> set[tuple[str, str, str]]:
    def name(node: str) -> str:
        told = graph.nodes[node]
        return told.name if told.kind == "run" and told.name else node

    return {(name(edge.source), edge.relation, name(edge.target)) for edge in graph.edges}


def weights(folder: Path, content: bytes = b"weights", name: str = "model.bin") -> tuple[Path, str]:
    path = folder / name
    path.write_bytes(content)
    return path, f"model:{hashlib.sha256(content).hexdigest()}"


def test_a_saved_file_that_another_run_loads_links_the_two(recorded: Recorded, tmp_path: Path) -> None:
    with autotrack.start_run("first") as first:
        path, model = weights(tmp_path)
        model_saved(path, "acme.save")
    with autotrack.start_run("second") as second:
        model_loaded(path, "acme.load")
    expected = {("first", "output", model), (model, "input", "second")}
    assert edges(around(second.id)) == edges(around(first.id)) == expected
    (edge,) = around(second.id).into(f"run:{second.id}", "input")
    assert edge.told["by"] == "acme.load" and "before" not in edge.told


def test_a_copy_under_another_name_is_known_by_its_digest(recorded: Recorded, tmp_path: Path) -> None:
    with autotrack.start_run("first"):
        path, model = weights(tmp_path)
        model_saved(path, "acme.save")
    copy, _ = weights(tmp_path, name="somewhere-else.bin")
    os.utime(copy, (1, 1))
    path.unlink()
    with autotrack.start_run("second") as second:
        model_loaded(copy, "acme.load")
    assert edges(around(second.id)) == {("first", "output", model), (model, "input", "second")}


def test_an_artifact_that_is_loaded_leads_to_its_run(recorded: Recorded, tmp_path: Path) -> None:
    with autotrack.start_run("first") as first:
        path, model = weights(tmp_path)
        first.log_artifact(path)
        first.log_artifact(b"nothing that anybody loads", "other.txt")
    with autotrack.start_run("second") as second:
        model_loaded(path, "acme.load")
    assert edges(around(second.id)) == edges(around(first.id))
    assert edges(around(first.id)) == {("first", "output", model), (model, "input", "second")}


def test_what_is_loaded_before_a_run_belongs_to_those_that_follow_but_not_to_their_parts(
    recorded: Recorded, tmp_path: Path
) -> None:
    path, model = weights(tmp_path)
    model_loaded(path, "acme.load")
    with autotrack.start_run("study") as study, autotrack.start_run("trial"):
        pass
    with autotrack.start_run("next") as following:
        pass
    graph = around(study.id)
    assert edges(graph) == {(model, "input", "study"), ("study", "child", "trial")}
    (edge,) = graph.into(graph.root, "input")
    assert edge.told["before"] is True
    assert edges(around(following.id)) == {(model, "input", "next")}


def test_enabling_anew_forgets_nothing(recorded: Recorded, tmp_path: Path) -> None:
    with autotrack.start_run("first"):
        pass
    path, model = weights(tmp_path)
    model_loaded(path, "acme.load")
    autotrack.enable(home=recorded.home, forwarder="off", strict=True, project="other")
    with autotrack.start_run("second") as second:
        pass
    assert edges(around(second.id)) == {(model, "input", "second")}


def test_a_large_file_is_hashed_aside_and_still_in_the_record(recorded: Recorded, tmp_path: Path) -> None:
    content = os.urandom(1 << 20) * 8
    with autotrack.start_run("first"):
        path, model = weights(tmp_path, content)
        model_saved(path, "acme.save")
    with autotrack.start_run("second") as second:
        model_loaded(path, "acme.load")
    assert edges(around(second.id)) == {("first", "output", model), (model, "input", "second")}


def test_a_checkpoint_too_large_to_hash_while_training_is_known_by_where_it_lies(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modelfiles, "MOST_SAVED", 3)
    with autotrack.start_run("first"):
        path, model = weights(tmp_path)
        model_saved(path, "acme.save")
    assert autotrack.get_run("first").get("outputs") is None
    with autotrack.start_run("second") as second:
        model_loaded(path, "acme.load")
    assert edges(around(second.id)) == {("first", "output", model), (model, "input", "second")}


def test_a_run_that_reads_its_own_checkpoint_has_no_input(recorded: Recorded, tmp_path: Path) -> None:
    with autotrack.start_run("first"):
        path, _ = weights(tmp_path)
        model_saved(path, "acme.save")
        model_loaded(path, "acme.load")
    assert "inputs" not in autotrack.get_run("first")


def test_a_file_that_was_replaced_is_not_taken_for_what_was_saved(recorded: Recorded, tmp_path: Path) -> None:
    with autotrack.start_run("first"):
        path, model = weights(tmp_path)
        model_saved(path, "acme.save")
    path.write_bytes(b"other weights")
    with autotrack.start_run("second") as second:
        model_loaded(path, "acme.load")
    graph = around(second.id)
    assert model not in graph.nodes and not any(edge.relation == "output" for edge in graph.edges)


def test_a_model_that_this_process_trained_links_without_a_file(recorded: Recorded) -> None:
    class Model:
        pass

    model = Model()
    with autotrack.start_run("first") as first:
        remember(model, first)
    with autotrack.start_run("second") as second:
        builds_on(second, model, "init_model")
    assert edges(around(second.id)) == edges(around(first.id)) == {("first", "input", "second")}


def test_a_model_of_a_hub_is_an_input_by_its_name_and_commit(recorded: Recorded) -> None:
    with autotrack.start_run("first") as first:
        model_used("hf:acme/base@c0ffee", "transformers.from_pretrained", name="acme/base")
    graph = around(first.id)
    assert edges(graph) == {("model:hf:acme/base@c0ffee", "input", "first")}
    assert graph.nodes["model:hf:acme/base@c0ffee"].told["digest"] is None


class Table:
    """Data of a type that a plugin knows, with the fingerprint that it carries."""

    def __init__(self, value: str) -> None:
        self.value = value


def test_runs_with_the_same_data_share_its_node(recorded: Recorded) -> None:
    describe_with(f"{__name__}.Table", lambda table: {"value": table.value, "n_rows": 2})
    ids = []
    for name, value in (("first", "x1:aa"), ("second", "x1:aa"), ("third", "x1:bb")):
        with autotrack.start_run(name) as run:
            run.log_dataset(Table(value), role="train", name=name)
            ids.append(run.id)
    nodes = [{node.id for node in around(one).nodes.values() if node.kind == "dataset"} for one in ids]
    assert nodes == [{"dataset:x1:aa"}, {"dataset:x1:aa"}, {"dataset:x1:bb"}]


def test_the_walk_goes_both_ways_ends_at_its_depth_and_survives_a_circle(recorded: Recorded, tmp_path: Path) -> None:
    files = [weights(tmp_path, bytes([number]), f"{number}.bin")[0] for number in range(5)]
    ids = []
    for number in range(5):
        with autotrack.start_run(f"run {number}") as run:
            ids.append(run.id)
            model_loaded(files[number - 1], "acme.load")  # the first loads what the last saves: a circle
            os.utime(files[number], (number, number))
            model_saved(files[number], "acme.save")
    graph = around(ids[2], depth=9)
    assert len(edges(graph)) == 10 and graph.left_out == 0
    near = around(ids[2], depth=1)
    named = {node.name for node in near.nodes.values() if node.kind == "run" and near.into(node.id, "input")}
    assert named == {"run 1", "run 2", "run 3"} and near.left_out == 2


def test_a_run_that_went_on_says_when(recorded: Recorded) -> None:
    with autotrack.start_run("first") as run:
        pass
    run.reopen()
    run.end()
    (node,) = around(run.id).nodes.values()
    assert len(node.told["resumed"]) == 1 and node.told["resumed"][0].endswith("Z")


def test_a_thousand_files_are_counted_and_not_told(recorded: Recorded, tmp_path: Path) -> None:
    with autotrack.start_run("first"):
        for number in range(70):
            model_loaded(weights(tmp_path, bytes([number]), f"{number}.bin")[0], "acme.load")
    record = autotrack.get_run("first")
    assert len(record["inputs"]) == 64
    (note,) = record["notes"]
    assert note["what"] == "model files" and note["count"] == 6


def test_a_forked_child_leaves_the_parents_files_alone(recorded: Recorded, tmp_path: Path) -> None:
    path, model = weights(tmp_path)
    model_loaded(path, "acme.load")
    child = os.fork()
    if child == 0:
        model_loaded(path, "acme.load")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with autotrack.start_run("first") as run:
        pass
    assert edges(around(run.id)) == {(model, "input", "first")}


def test_a_process_that_ends_at_once_has_told_what_it_loaded(tmp_path: Path) -> None:
    path, model = weights(tmp_path, os.urandom(1 << 20) * 64)
    code = """
import sys, autotrack
from autotrack.plugin import model_loaded
run = autotrack.start_run("first")
model_loaded(sys.argv[1], "acme.load")
"""
    environment = {**os.environ, "AUTOTRACK_HOME": str(tmp_path / "home"), "AUTOTRACK_FORWARDER": "off"}
    subprocess.run([sys.executable, "-c", code, str(path)], env=environment, check=True, timeout=60)
    done = subprocess.run(
        [sys.executable, "-m", "autotrack", "show", "first", "--json"],
        env=environment, check=True, timeout=60, capture_output=True,
    )  # fmt: skip
    assert list(json.loads(done.stdout)["inputs"]) == [model.removeprefix("model:")]
