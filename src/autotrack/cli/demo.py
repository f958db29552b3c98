"""`autotrack demo`: real trainings on data that scikit-learn brings along, recorded, and what to look at next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import click

from autotrack.cli.opening import open_runs
from autotrack.cli.printing import duration, print_table
from autotrack.errors import AutotrackError, PluginError
from autotrack.session import session

PROJECT: Final = "demo"


@click.command(epilog="\b\nExamples:\n  autotrack demo --dashboard\n  autotrack demo && autotrack show latest")
@click.option("--dashboard", is_flag=True, help="Show them in a browser then, until Ctrl-C.")
def demo(dashboard: bool) -> int:
    """Train a few small models, recorded by nothing but autotrack.enable().

    Five with scikit-learn, a search among them, and two with XGBoost, in the project "demo". It takes some seconds.
    """
    import autotrack

    autotrack.enable(project=PROJECT, backends=["local"])
    if session.settings.enabled is False:
        raise AutotrackError("AUTOTRACK_ENABLED=0 switches recording off: unset it to see the demo")
    trainings = _trainings()
    before = _known()
    for title, train in trainings:
        click.echo(f"  {title}")
        train()
    with open_runs() as store:
        runs = [store.run(run["id"]) for run in store.runs(project=PROJECT) if run["id"] not in before]
    if not runs:
        raise AutotrackError("the trainings were not recorded; autotrack doctor tells what is wrong")
    counts = ["params", "metrics", "datasets", "models"]
    rows = [
        [run["id"], run["name"], run["status"], duration(run["started_at"], run["ended_at"])]
        + [len(run[kind]) for kind in counts]
        for run in runs
    ]
    click.echo()
    print_table(["run", "name", "status", "duration", *counts], rows, right=counts)
    click.echo(_next([str(run["id"]) for run in runs], _with_series(runs)))
    if dashboard:
        from autotrack.cli.dashboard import serve

        autotrack.disable()
        session.close()
        click.echo()
        serve(browser=True)
    return 0


def _trainings() -> list[tuple[str, Callable[[], object]]]:
    from autotrack.plugins import plugins, resolve

    found: list[tuple[str, Callable[[], object]]] = []
    for offered in plugins.load().demos:
        try:
            found += resolve(offered.trainings)()
        except ImportError as problem:
            raise PluginError(
                f"the demo trains with {' and '.join(offered.needs)} ({problem}): pip install {' '.join(offered.needs)}"
            ) from None
    return found


def _known() -> set[str]:
    from autotrack.cli.opening import has_runs

    if not has_runs(session.settings):
        return set()
    with open_runs() as store:
        return {run["id"] for run in store.runs(project=PROJECT)}


def _with_series(runs: list[dict[str, object]]) -> tuple[str, str] | None:
    for run in runs:
        metrics = run["metrics"]
        assert isinstance(metrics, dict)
        for key, told in metrics.items():
            if told["count"] > 1:
                return str(run["id"]), str(key)
    return None


def _next(ids: list[str], series: tuple[str, str] | None) -> str:
    lines = [
        ("autotrack ls --project demo", "these runs again"),
        (f"autotrack show {ids[0]}", "everything about one"),
    ]
    if series:
        lines.append((f"autotrack metrics {series[0]} {series[1]}", "one curve, point by point"))
    if len(ids) > 1:
        lines.append((f"autotrack compare {ids[0]} {ids[1]}", "in what two of them differ"))
    lines.append(("autotrack dashboard", "all of it in a browser"))
    width = max(len(command) for command, _ in lines)
    return "\nnow try\n" + "\n".join(f"  {command.ljust(width)}  {meaning}" for command, meaning in lines)
