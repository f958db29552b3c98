"""A plain loop in several processes is one run, workers add none, and nothing hangs."""

import socket
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parent))

from torch_scripts import TORCHRUN, python, recorded_in, runs_of

DISTRIBUTED = """
import os, sys
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset
import autotrack

autotrack.enable(torch_loop=True, torch_loss=True)

def train():
    torch.manual_seed(0)
    model = DistributedDataParallel(torch.nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = TensorDataset(torch.rand(16, 4))
    for (batch,) in DataLoader(data, 4, sampler=DistributedSampler(data)):
        optimizer.zero_grad()
        model(batch).mean().backward()
        optimizer.step()
"""


def test_two_ranks_are_one_run(tmp_path) -> None:
    body = """
dist.init_process_group("gloo")
train()
with autotrack.start_run("mine") as run:
    train()
    run.log_metrics({"rank": dist.get_rank()}, step=0)
dist.destroy_process_group()
"""
    loop, mine = runs_of(DISTRIBUTED + body, tmp_path, *TORCHRUN)
    assert (loop.name, loop.status, loop.ends, loop.integration) == ("train", "finished", 1, "torch")
    assert loop.metrics["steps"] == [(2, 2)]
    assert [len(loop.metrics[key]) for key in ("lr", "loss", "grad_norm")] == [2, 2, 2]
    (data,) = loop.datasets
    assert (data.role, data.record["n_rows"], data.record["sampler"]) == ("train", 16, "DistributedSampler")
    assert (mine.name, mine.status, mine.ends) == ("mine", "finished", 1)
    assert (mine.metrics["rank"], mine.metrics["steps"]) == ([(0, 0)], [(2, 2)])


def test_a_backend_that_is_down_holds_nobody_up(tmp_path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    body = """
import time
dist.init_process_group("gloo")
train()
dist.barrier()
dist.destroy_process_group()
os.write(1, f"trained {time.time()}\\n".encode())  # a print of two ranks may mix: it writes its words one by one
"""
    variables = {
        "AUTOTRACK_BACKENDS": "local,mlflow",
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}",
        "AUTOTRACK_EXIT_TIMEOUT": "2",
        "AUTOTRACK_FORWARDER": "process",
    }
    done = python(DISTRIBUTED + body, tmp_path, *TORCHRUN, **variables)
    ended = time.time()
    trained = [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("trained")]
    assert len(trained) == 2
    assert ended - max(trained) < 20  # 2 seconds of waiting, and what torchrun itself takes on a busy machine
    (run,) = recorded_in(tmp_path)
    assert (run.status, run.ends, run.metrics["steps"]) == ("finished", 1, [(2, 2)])


def test_ranks_that_are_spawned_without_variables(tmp_path) -> None:
    body = """
def rank(index, meeting):
    dist.init_process_group("gloo", init_method="file://" + meeting, rank=index, world_size=2)
    train()
    dist.destroy_process_group()

if __name__ == "__main__":
    import torch.multiprocessing as mp
    mp.spawn(rank, args=(os.environ["AUTOTRACK_HOME"] + "/first",), nprocs=2)
    with autotrack.start_run("around"):
        mp.spawn(rank, args=(os.environ["AUTOTRACK_HOME"] + "/second",), nprocs=2)
"""
    found = runs_of(DISTRIBUTED + body, tmp_path)
    assert sorted((run.name, run.status) for run in found) == [("around", "finished"), ("train", "finished")]
    assert [run.metrics["steps"] for run in found] == [[(2, 2)], [(2, 2)]]
    assert [run.ends for run in found] == [1, 1]


@pytest.mark.parametrize(("start", "epochs"), [("fork", 2), ("spawn", 1)])
def test_workers_of_a_loader_are_silent(tmp_path, start, epochs) -> None:
    script = f"""
import torch
from torch.utils.data import DataLoader, Dataset
import autotrack
from autotrack.plugin import begin_leaf

autotrack.enable(torch_loop=True)

class Trains(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        leaf = begin_leaf("acme", name="in a worker")
        weight = torch.nn.Parameter(torch.ones(1))
        weight.sum().backward()
        torch.optim.SGD([weight], lr=0.1).step()
        return torch.tensor([float(leaf is None)])

def main():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.Adam([weight], lr=0.1)
    for _ in range({epochs}):
        for batch in DataLoader(Trains(), 2, num_workers={epochs}, multiprocessing_context={start!r}):
            assert batch.sum() == 2
            weight.sum().backward()
            optimizer.step()

if __name__ == "__main__":
    main()
"""
    (run,) = runs_of(script, tmp_path)
    assert (run.params["optimizer"], run.status, run.metrics["steps"][0][0]) == ("Adam", "finished", 2 * epochs)
    assert [(it.role, it.record["n_rows"]) for it in run.datasets] == [("train", 4)]  # though made anew


def test_ranks_that_are_forked_below_a_run_are_in_that_run(tmp_path) -> None:
    body = """
def rank(index, meeting):
    dist.init_process_group("gloo", init_method="file://" + meeting, rank=index, world_size=2)
    train()
    dist.destroy_process_group()

if __name__ == "__main__":
    from torch.multiprocessing import start_processes
    with autotrack.start_run("around"):
        start_processes(rank, args=(os.environ["AUTOTRACK_HOME"] + "/meet",), nprocs=2, start_method="fork")
"""
    (run,) = runs_of(DISTRIBUTED + body, tmp_path)
    assert (run.name, run.status, run.ends) == ("around", "finished", 1)
    assert len(run.metrics["lr"]) == 2


def test_a_process_that_a_rank_forks_while_it_trains_is_none_itself(tmp_path) -> None:
    body = """
from autotrack.plugin import begin_leaf
dist.init_process_group("gloo", init_method="file://" + os.environ["AUTOTRACK_HOME"] + "/meet", rank=0, world_size=1)
with begin_leaf("acme", name="fit"):
    pid = os.fork()
    if pid == 0:
        os._exit(int(begin_leaf("acme", name="in a child") is not None))
    assert os.waitpid(pid, 0)[1] == 0
dist.destroy_process_group()
"""
    (run,) = runs_of(DISTRIBUTED + body, tmp_path)
    assert (run.name, run.status) == ("fit", "finished")
