"""Keeping weights: a state dict of 500 MB logged five times unchanged, then with one tensor changed.

The line, measured beside each keep, is a raw write of the same bytes to a file. The peers write the same tensors to a
file each time: `safetensors.torch.save_file` and `torch.save`.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from autotrack.run import Run

MB = 1_000_000
SIZE = 500 * MB
ROUNDS = 7
LAYERS = 60
"""Blocks of a model: each has four large matrices, four vectors and a counter."""


def state_dict() -> dict[str, torch.Tensor]:
    """The tensors of a transformer of `LAYERS` blocks, with random values."""
    width = int((SIZE / 4 / LAYERS / 4) ** 0.5)
    state: dict[str, torch.Tensor] = {}
    for layer in range(LAYERS):
        for name in ("query", "key", "value", "output"):
            state[f"layer.{layer}.{name}.weight"] = torch.randn(width, width)
            state[f"layer.{layer}.{name}.bias"] = torch.randn(width)
        state[f"layer.{layer}.seen"] = torch.tensor(layer)
    return state


def timed(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def raw_write(state: dict[str, torch.Tensor], path: Path) -> float:
    """Seconds to write the bytes of the tensors to one file, one `write` each."""
    views = [memoryview(tensor.reshape(-1).view(torch.uint8).numpy()) for tensor in state.values()]

    def write() -> None:
        with open(path, "xb", buffering=0) as file:
            for view in views:
                while view:
                    view = view[file.write(view) :]

    taken = timed(write)
    path.unlink()
    return taken


def disk(folder: Path) -> int:
    """Bytes of the disk that the files below a folder take."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def peers(state: dict[str, torch.Tensor], folder: Path) -> dict[str, Callable[[], object]]:
    found: dict[str, Callable[[], object]] = {"torch.save": lambda: torch.save(state, folder / "peer.pt")}
    try:
        from safetensors.torch import save_file
    except ImportError:
        return found
    return {"safetensors save_file": lambda: save_file(state, folder / "peer.safetensors"), **found}


def first_keeps(run: Run, state: dict[str, torch.Tensor], folder: Path) -> tuple[list[float], list[float]]:
    """Seconds of raw writes and of first keeps of the same tensors, by turns.

    Each finds as much memory free as the other: what the one before has written is removed.
    """
    lines, keeps = [], []
    for _ in range(ROUNDS):
        shutil.rmtree(folder / "home" / "parts", ignore_errors=True)
        lines.append(raw_write(state, folder / "raw"))
        keeps.append(timed(lambda: run.log_model(state, "first")))
    return lines, keeps


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True, dir=sys.argv[1] if sys.argv[1:] else None) as folder:
        home, beside = Path(folder) / "home", Path(folder)
        os.environ.update(AUTOTRACK_HOME=str(home), AUTOTRACK_QUIET="1", AUTOTRACK_FORWARDER="off")
        import autotrack

        state = state_dict()
        size = sum(tensor.nbytes for tensor in state.values())
        print(f"{len(state)} tensors, {size / MB:.0f} MB")
        raw_write(state, beside / "raw")  # the first use of memory and disk is nobody's
        run = autotrack.start_run("weights")
        run.log_model({"warm": torch.zeros(1)}, "warm")

        lines, keeps = first_keeps(run, state, beside)
        ratio = statistics.median(keep / line for keep, line in zip(keeps, lines, strict=True))
        line, keep = statistics.median(lines), statistics.median(keeps)
        print(f"raw write of the same bytes: {line * 1e3:.0f} ms")
        print(f"first keep: {keep * 1e3:.0f} ms, {ratio:.2f} x the raw write before it (aim 1.2)")

        before = disk(home)
        again = statistics.median(timed(lambda: run.log_model(state, "again")) for _ in range(ROUNDS))
        grown = (disk(home) - before) / size
        print(f"unchanged, {ROUNDS} times: {again * 1e3:.0f} ms each (aim 100), disk + {grown:.3%} in all (aim 1 %)")

        changed = state["layer.7.key.weight"]
        changed += 1
        before = disk(home)
        taken = timed(lambda: run.log_model(state, "changed"))
        grown = (disk(home) - before) / size
        print(f"one tensor of {changed.nbytes / size:.2%} changed: {taken * 1e3:.0f} ms, disk + {grown:.2%}")

        for name, write in peers(state, beside).items():
            write()
            taken = statistics.median(timed(write) for _ in range(ROUNDS))
            print(f"{name}: {taken * 1e3:.0f} ms every time, {taken / line:.2f} x the raw write, disk + 100 %")

        run.end()
        begun = time.perf_counter()
        models = autotrack.get_run(run.id)["models"]
        taken = (time.perf_counter() - begun) / 2
        print(f"the SHA-256 of a file of other content, taken by the forwarder: {taken:.2f} s")
        assert "problem" not in models[-1]
        loaded = autotrack.load_model(run.id)
        assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())


if __name__ == "__main__":
    main()
