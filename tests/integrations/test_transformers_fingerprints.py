"""What a trainer of transformers trains and evaluates on is fingerprinted in its role, or hashed as it passes."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")
sys.path.insert(0, str(Path(__file__).parent))

import torch
from transformers_trainings import Endless, Sentences, trainer

from autotrack.testing import recording


class Finite(torch.utils.data.IterableDataset):
    def __iter__(self):
        yield from (Sentences(16)[index] for index in range(16))


@pytest.fixture
def recorded(tmp_path):
    with recording(tmp_path / "home", "transformers") as found:
        yield found


def streams(run):
    return [it for it in run.datasets if "stream" in it.record]


def test_a_table_has_the_same_fingerprint_as_the_columns_it_was_made_from(recorded, tmp_path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = [Sentences(16)[index] for index in range(16)]
    columns = {key: [torch.as_tensor(row[key]).tolist() for row in rows] for key in rows[0]}
    table = datasets.Dataset.from_dict({**columns, "not_used": [""] * 16})
    trainer(tmp_path, train_dataset=table, eval_dataset=table.select(range(4)), eval_strategy="steps").train()
    train, held_out = recorded.runs()[0].datasets
    assert (train.role, held_out.role) == ("train", "validation")
    assert train.record["value"].startswith("x1:") and train.record["value"] != held_out.record["value"]
    assert [column["name"] for column in train.record["columns"]] == [*columns, "not_used"]
    assert train.record["n_rows"] == 16


def test_datasets_of_the_users_own_are_hashed_as_they_pass(recorded, tmp_path) -> None:
    trainer(tmp_path, eval_strategy="steps", eval_steps=4).train()
    found = streams(recorded.runs()[0])
    assert [(it.role, it.name, it.record["n_rows"]) for it in found] == [
        ("train", "train", 16),
        ("validation", "eval", 8),
    ]
    assert {it.record["method"] for it in found} == {"stream"}


def test_the_order_and_the_batch_size_are_no_part_of_it(recorded, tmp_path) -> None:
    trainer(tmp_path, seed=1).train()
    trainer(tmp_path, seed=2, per_device_train_batch_size=2).train()
    trainer(tmp_path, train_dataset=Finite()).train()
    found = [streams(run)[0].record for run in recorded.runs()]
    assert len({it["rows"] for it in found}) == 1
    assert len({it["order"] for it in found}) == 3


def test_several_evaluation_sets_and_an_evaluation_alone(recorded, tmp_path) -> None:
    made = trainer(tmp_path, eval_dataset={"near": Sentences(4), "far": Sentences(8)}, eval_strategy="epoch")
    made.train()
    made.evaluate(Sentences(6))
    found = {it.name: it.record["n_rows"] for it in streams(recorded.runs()[0])}
    assert found == {"train": 16, "near": 4, "far": 8, "eval": 6}


def test_an_endless_stream_is_partial_and_no_more_is_taken_of_it(recorded, tmp_path) -> None:
    data = Endless()
    trainer(tmp_path, train_dataset=data).train()
    taken = data.taken
    (one,) = streams(recorded.runs()[0])
    assert one.record["method"] == "stream+unfinished" and one.record["rows"].startswith("x1p:")
    with recording(tmp_path / "off", "transformers", datasets=False) as off:
        data.taken = 0
        trainer(tmp_path, train_dataset=data).train()
    assert data.taken == taken and off.runs()[0].datasets == []
