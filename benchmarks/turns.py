"""Loops by turns in one process: with nothing, with autotrack, and with each tool that is measured beside it.

Every round trains once with each tool, in an order drawn anew, after the garbage of the one before is collected. What
is printed for each tool is `with / without`: of the fastest rounds on the clock; the median of the ratios within a
round, where both stand a second apart and meet the same machine, with the interval that holds 95 % of its bootstrap;
and the same for the processor time of this process, which what else runs disturbs least. The first round is not
counted, since it pays for imports. `inside` is the median time within autotrack itself (see `inside.py`), and its part
of the fastest loop without. A line more is for the loop with nothing once again: what it differs from 1 by is
noise, and a difference that its interval does not exclude is not shown.
autotrack records at its defaults, and its forwarder runs as it does for users. With `--peers` come MLflow's and W&B's
own integrations, where they are installed (MLflow to SQLite, W&B offline); with `--alone` nothing but autotrack.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inside import Inside

PEERS = {"MLflow": "mlflow", "W&B": "wandb"}

Train = Callable[[str], Any]
"""Trains once, recorded by the tool of that name."""

Loop = Callable[[Path], tuple[Train, list[str]]]
"""Makes a training, with the tools beside autotrack that it can be recorded by; files go below the folder."""


def option(arguments: list[str], name: str, otherwise: int) -> int:
    """The number behind `--name=`."""
    return next((int(word.partition("=")[2]) for word in arguments if word.startswith(f"--{name}=")), otherwise)


def seconds(train: Train, tool: str, settings: dict[str, Any]) -> tuple[float, float]:
    """How long one training takes with a tool: on the clock, and of processor time in all threads."""
    import autotrack

    if tool == "autotrack":
        autotrack.enable(**settings)
    else:
        autotrack.disable()
    gc.collect()
    begun, used = time.perf_counter(), time.process_time()
    train(tool)
    return time.perf_counter() - begun, time.process_time() - used


def middle(ratios: list[float]) -> str:
    """The median, and the interval that holds 95 % of the medians of samples drawn from these with replacement."""
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(2000))
    return f"{statistics.median(ratios):6.3f} [{medians[50]:.3f}, {medians[-51]:.3f}]"


def measure(loops: dict[str, Loop], arguments: list[str], settings: dict[str, dict[str, Any]] | None = None) -> None:
    """Measure and print the loops that `arguments` name, or all; `settings` are those of `enable()`, by loop."""
    warnings.simplefilter("ignore")
    peers = [tool for tool, module in PEERS.items() if "--peers" in arguments and importlib.util.find_spec(module)]
    rounds = option(arguments, "rounds", 5)
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
        print(
            f"{'':14} {'off':>8} {'added':>12} {'fastest':>8} {'median [95 %]':>21} {'processor [95 %]':>22}"
            f" {'inside':>19}"
        )
        order = random.Random(0)
        for name in wanted:
            train, offered = loops[name](folder)
            if "--alone" in arguments:
                offered = []
            tools = ["autotrack", "nothing", *(tool for tool in offered if tool not in PEERS or tool in peers)]
            times: dict[str, list[tuple[float, float]]] = {tool: [] for tool in ["off", *tools]}
            inside, within = Inside(), []
            for number in range(rounds + 1):
                for tool in order.sample(list(times), len(times)):
                    took = seconds(train, tool, (settings or {}).get(name, {}))
                    if number:
                        times[tool].append(took)
                    if tool == "autotrack":
                        within.append(inside.seconds)
                        inside.seconds = 0.0
                inside.watch()
            off = min(clock for clock, _ in times["off"])
            for tool in tools:
                on = min(clock for clock, _ in times[tool])
                clock, processor = (
                    middle(
                        [
                            with_it[which] / without[which]
                            for with_it, without in zip(times[tool], times["off"], strict=True)
                        ]
                    )
                    for which in (0, 1)
                )
                added = f"{(on - off) * 1e3:9.1f} ms"
                ours = statistics.median(within[1:])
                part = f"{ours * 1e3:6.1f} ms = {ours / off:6.2%}" if tool == "autotrack" else f"{'':18}"
                print(f"{name:14} {off:6.2f} s {added} {on / off:8.3f} {clock} {processor} {part}  {tool}", flush=True)
