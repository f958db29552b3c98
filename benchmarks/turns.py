"""Loops by turns in one process: with nothing, with autotrack, and with each tool that is measured beside it.

Three ratios are printed for each tool, `with / without`: of the fastest rounds on the clock; the median of the ratios
within a round, where both stand a second apart and meet the same machine; and of the fastest rounds in processor time
of this process, which what else runs disturbs least. The first round is not counted, since it pays for imports.
A line more is for the loop with nothing once again: what it differs from 1 by is noise.
autotrack records at its defaults, and its forwarder runs as it does for users. With `--peers` come MLflow's and W&B's
own integrations, where they are installed (MLflow to SQLite, W&B offline).
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

PEERS = {"MLflow": "mlflow", "W&B": "wandb"}

Train = Callable[[str], Any]
"""Trains once, recorded by the tool of that name."""

Loop = Callable[[Path], tuple[Train, list[str]]]
"""Makes a training, with the tools beside autotrack that it can be recorded by; files go below the folder."""


def seconds(train: Train, tool: str, settings: dict[str, Any]) -> tuple[float, float]:
    """How long one training takes with a tool: on the clock, and of processor time in all threads."""
    import autotrack

    if tool == "autotrack":
        autotrack.enable(**settings)
    else:
        autotrack.disable()
    begun, used = time.perf_counter(), time.process_time()
    train(tool)
    return time.perf_counter() - begun, time.process_time() - used


def measure(loops: dict[str, Loop], arguments: list[str], settings: dict[str, dict[str, Any]] | None = None) -> None:
    """Measure and print the loops that `arguments` name, or all; `settings` are those of `enable()`, by loop."""
    warnings.simplefilter("ignore")
    peers = [tool for tool, module in PEERS.items() if "--peers" in arguments and importlib.util.find_spec(module)]
    rounds = next((int(word.partition("=")[2]) for word in arguments if word.startswith("--rounds=")), 5)
    wanted = [name for name in arguments if name in loops] or list(loops)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        os.environ.update(
            AUTOTRACK_HOME=str(folder / "home"),
            AUTOTRACK_QUIET="1",
            MLFLOW_TRACKING_URI=f"sqlite:///{folder}/mlflow.db",
            WANDB_MODE="offline",
            WANDB_SILENT="true",
            WANDB_DIR=temporary,
        )
        os.chdir(folder)
        print(f"{'':14} {'off':>8} {'added':>12} {'fastest':>8} {'median':>8} {'processor':>10}")
        for name in wanted:
            train, offered = loops[name](folder)
            tools = ["autotrack", "nothing", *(tool for tool in offered if tool not in PEERS or tool in peers)]
            times: dict[str, list[tuple[float, float]]] = {tool: [] for tool in ["off", *tools]}
            for number in range(rounds + 1):
                for tool, kept in times.items():
                    took = seconds(train, tool, (settings or {}).get(name, {}))
                    if number:
                        kept.append(took)
            off, used = (min(column) for column in zip(*times["off"], strict=True))
            for tool in tools:
                on, busy = (min(column) for column in zip(*times[tool], strict=True))
                pairs = zip(times[tool], times["off"], strict=True)
                median = statistics.median(with_it[0] / without[0] for with_it, without in pairs)
                print(
                    f"{name:14} {off:6.2f} s {(on - off) * 1e3:9.1f} ms {on / off:8.3f} {median:8.3f}"
                    f" {busy / used:10.3f}  {tool}",
                    flush=True,
                )
