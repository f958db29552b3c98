"""Homes with real runs for the tests of upkeep, and a product whose models are kept in parts."""

import json
import os
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import autotrack
from autotrack.plugin import ModelFormat, Saved, hookimpl
from autotrack.plugins import plugins
from autotrack.settings import Settings
from autotrack.settings import load as load_settings
from autotrack.testing import recording

DAY = 86400.0


class Net:
    """A model of a product `acmenet`: layers of bytes."""

    __module__ = "acmenet"

    def __init__(self, *layers: bytes) -> None:
        self.layers = layers


def save(model: Net) -> Saved:
    header = json.dumps([len(layer) for layer in model.layers]).encode() + b"\n"
    parts = (header, *model.layers)
    return Saved("acmenet", parts=parts, size=sum(map(len, parts)))


def load(path: Path, signature: dict[str, Any]) -> Net:
    header, _, rest = path.read_bytes().partition(b"\n")
    layers = []
    for length in json.loads(header):
        layers.append(rest[:length])
        rest = rest[length:]
    return Net(*layers)


@hookimpl
def autotrack_register_formats(register: Any) -> None:
    register(ModelFormat("acmenet", "acmenet:save", "acmenet:load", formats=("acmenet",), needs=("acmenet",)))


def register() -> None:
    """Make the product and its plugin known to this process, once."""
    if "acmenet" in sys.modules:
        return
    acme = sys.modules["acmenet"] = types.ModuleType("acmenet")
    vars(acme).update(Net=Net, save=save, load=load)
    plugins.load()
    plugins.register(sys.modules[__name__], "acmenet")


def layer(seed: int, size: int = 20_000) -> bytes:
    """Bytes that are like no others."""
    import random

    return random.Random(seed).randbytes(size)


@contextmanager
def recorded(home: Path, **settings: Any) -> Iterator[None]:
    """Record into the home; the console is none of a test's business."""
    with recording(home, **{"console": False, **settings}):
        register()
        yield


def settings_of(home: Path, **more: Any) -> Settings:
    return load_settings({}, home=home, forwarder="off", quiet=True, **more)


def some_runs(home: Path, count: int = 3, **settings: Any) -> list[str]:
    """Runs with everything that a run may have; their ids."""
    ids = []
    with recorded(home, **settings):
        for number in range(count):
            with autotrack.start_run(f"run {number}", tags={"team": "ris"}, project="churn") as run:
                run.log_params({"lr": 0.1 * number, "name": "x"})
                for step in range(50):
                    run.log_metrics({"loss": 1.0 / (number + 1) + step, "odd": float("nan")}, step=step)
                run.log_metrics({"half": float("inf")}, step=0.5)
                run.log_artifact(f"artifact {number}".encode(), "notes.txt")
                run.log_model(Net(layer(1), layer(100 + number)), "net")
                run.log_dataset([[1.0, float(number)], [2.0, 3.0]], role="train", name="rows")
                run.log_params({"lr": 0.5 * number})
                run.note("something", "it was left out")
                ids.append(run.id)
    deliver(home, **{key: value for key, value in settings.items() if key in ("backends", "store_url")})
    return ids


def deliver(home: Path, **more: Any) -> None:
    """Everything into the store, and into the archive, as when the process that recorded it has ended."""
    from autotrack.forward.catching_up import sync
    from autotrack.journal import liveness

    liveness.forget_held()
    made = settings_of(home, **more)
    assert all(one.problem is None for one in sync(home, made, made.backends))


def age(*folders: Path, days: float = 10.0) -> None:
    """Let every file in the folders, and those themselves, look as if they were written long ago."""
    then = time.time() - days * DAY
    for folder in folders:
        for path in [folder, *folder.rglob("*")]:
            os.utime(path, (then, then))


def blob_files(home: Path) -> set[str]:
    return {path.name for path in (home / "blobs").glob("??/*")}


def packs(home: Path) -> set[str]:
    return {path.name for path in (home / "parts").glob("*") if not path.name.startswith(".")}


def ask(home: Path, *words: str, code: int = 0, **more: str) -> Any:
    """What a command prints as JSON."""
    done = command(home, *words, "--json", **more)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def command(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = environment_of(home) | more
    return subprocess.run(
        [sys.executable, "-m", "autotrack", *words],
        env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def environment_of(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTOTRACK_")}
    return {**kept, "AUTOTRACK_HOME": str(home), "AUTOTRACK_FORWARDER": "off", "AUTOTRACK_USER": "ana"}
