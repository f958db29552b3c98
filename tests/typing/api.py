"""The public names as a user's type checker sees them. Checked by mypy, never run; each line must be accepted."""

from pathlib import Path
from typing import Any, assert_type

import autotrack
from autotrack.backend import Backend, BackendContext, Limits, Record
from autotrack.errors import AutotrackError, BackendUnavailable, ModelNotFound, RunNotFound, UsageError
from autotrack.plugin import (
    BackendPlugin,
    Call,
    Installation,
    Integration,
    Leaf,
    ModelFormat,
    Outcome,
    Saved,
    begin_leaf,
)
from autotrack.testing import Recorded, RecordedRun, recording


def configure() -> None:
    autotrack.enable()
    autotrack.enable("sklearn", "xgboost", project="churn", backends=["local", "mlflow"])
    autotrack.enable(home="runs", models="best", exit_timeout=5)
    autotrack.disable()


def own_a_run(path: Path) -> None:
    with autotrack.start_run(name="baseline", tags={"team": "risk"}, params={"depth": 3}) as run:
        assert_type(run, autotrack.Run)
        run.log_params({"optimizer": {"lr": 0.1}})
        run.log_metrics({"loss": 0.1, "epoch": 1}, step=3)
        run.log_metric("loss", 0.1, step=0.25)
        run.set_tags({"stage": 1})
        run.log_dataset([[1, 2]], role="train", name="customers")
        run.log_model(object(), name="clf", step=3)
        run.load_model("clf").predict([[1, 2]])
        run.log_artifact(path)
        run.log_artifact("report.html")
        run.log_artifact(b"bytes", "report.html")
        run.note("figure", "it could not be drawn")
        run.end("finished")
        assert_type(run.id, str)
    assert_type(autotrack.current_run(), autotrack.Run | None)


def read() -> None:
    found: list[dict[str, Any]] = autotrack.runs(project="churn", status="failed", limit=10)
    assert_type(autotrack.runs(where="params.lr > 0.1", sort="-started_at", columns=["params.lr"])[0], dict[str, Any])
    assert_type(autotrack.series(found, "loss")[0].value, float)
    try:
        assert_type(autotrack.get_run("baseline"), dict[str, Any])
        model = autotrack.load_model("baseline")
        model = autotrack.load_model("baseline", "clf")
        model = autotrack.load_model("clf@production", digest="0" * 64)
        assert_type(autotrack.register_model("clf", "baseline", aliases=["next"], why="better"), dict[str, Any])
        model.predict([[1, 2]])
    except (RunNotFound, ModelNotFound, UsageError, AutotrackError):
        pass


def watch(call: Call) -> Any:
    leaf = begin_leaf("acme", name="acme.train")
    assert_type(leaf, Leaf | None)
    if leaf is not None:
        with leaf:
            leaf.outcome = yield
    outcome = Outcome(1, None)
    assert_type(outcome.error, BaseException | None)


def install(installation: Installation) -> None:
    installation.observe(object(), "train", watch)
    installation.on_remove(lambda: None)


def test_a_plugin(tmp_path: Path) -> None:
    with recording(tmp_path, "acme") as recorded:
        assert_type(recorded, Recorded)
    assert_type(recorded.runs(), list[RecordedRun])


class Lines:
    """A backend needs no base class."""

    limits = Limits(key_length=250)

    def open(self, context: BackendContext) -> None:
        self._home = context.home

    def resume(self, writer: str) -> int | None:
        return None

    def deliver(self, batch: "list[Record] | tuple[Record, ...] | Any") -> int:
        if not batch:
            raise BackendUnavailable("nothing came", retry_after=5)
        return int(batch[-1].sequence)

    def close(self) -> None:
        pass


backend: Backend = Lines()
integration = Integration(name="acme", module="acme", install="autotrack_acme.hooks:install", requires=("acme>=2",))
model_format = ModelFormat(package="acme", save="autotrack_acme:save", load="autotrack_acme:load", formats=("acme",))
whole = Saved("acme", b"bytes", signature={"inputs": 3})
in_parts = Saved("acme", parts=(memoryview(b"tensor") for _ in range(3)), size=18)
plugin = BackendPlugin(name="lines", factory="autotrack_lines.backend:Lines", extra="lines")
