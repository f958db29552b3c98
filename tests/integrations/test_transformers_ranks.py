"""A training of two processes is one run: the first records, the other is silent, and nothing hangs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from autotrack.testing import Recorded

SCRIPT = """
import gc, json, os, sys
from pathlib import Path
import torch
sys.path.insert(0, {folder!r})
{first}
from transformers_trainings import Sentences, history, trainer

own = trainer(Path(sys.argv[1]), callbacks={callbacks}, eval_strategy="steps", eval_steps=4, save_strategy="steps",
              save_steps=4, load_best_model_at_end=True, ddp_backend="gloo")
own.train()
own.evaluate()
own.predict(Sentences(6))
assert own.args.world_size == 2
if own.args.process_index == 0:
    Path(sys.argv[1], "history.json").write_text(json.dumps(history(own)))
# Gloo's threads abort a Python that ends while they live (pytorch/pytorch#190489), and they live as long as anybody
# refers to the group: the wrapped model does.
torch.distributed.barrier()
own = None
gc.collect()
torch.distributed.destroy_process_group()
"""


@pytest.mark.parametrize(
    ("first", "callbacks"),
    [
        ("import autotrack; autotrack.enable('transformers')", "None"),
        ("from autotrack_transformers import AutotrackCallback", "[AutotrackCallback()]"),
    ],
)
def test_two_processes_are_one_run(tmp_path, first, callbacks) -> None:
    import json

    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(folder=str(Path(__file__).parent), first=first, callbacks=callbacks))
    variables = {
        "AUTOTRACK_HOME": str(tmp_path / "home"),
        "AUTOTRACK_FORWARDER": "off",
        "AUTOTRACK_STRICT": "1",
        "AUTOTRACK_MODELS": "all",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONFAULTHANDLER": "1",
    }
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc-per-node=2",
            "--standalone",
            str(script),
            str(tmp_path),
        ],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (run,) = Recorded(tmp_path / "home").runs()
    assert (run.name, run.status) == ("Trainer", "finished")
    expected = json.loads((tmp_path / "history.json").read_text())
    for name, points in expected.items():
        assert run.metrics[name] == [tuple(point) for point in points], name
    assert "test_loss" in run.metrics
    assert (run.params["world_size"], run.params["total_train_batch_size"]) == (2, 8)
    assert [it.name for it in run.models] == ["checkpoint-4", "checkpoint-8", "model", "best"]
