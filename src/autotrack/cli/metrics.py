"""`autotrack metrics`: the keys of a run, or the points of one."""

from __future__ import annotations

import click

from autotrack.cli.opening import identify, open_runs
from autotrack.cli.printing import json_option, moment, print_json_list, print_table


@click.command(
    epilog="\b\nExamples:\n  autotrack metrics latest\n  autotrack metrics latest validation/loss --json > loss.json"
)
@click.argument("run")
@click.argument("key", required=False)
@json_option
def metrics(run: str, key: str | None, as_json: bool) -> None:
    """Print the points of one metric, or without KEY the table of all.

    RUN is an id, the beginning of one, a name, or: latest.
    """
    with open_runs() as store:
        found = identify(store, run)
        if key is None:
            table = [{"key": name, **told} for name, told in store.run(found)["metrics"].items()]
        else:
            table = store.series_dicts(found, key)
    if as_json:
        from autotrack.store.query import jsonable

        print_json_list(map(jsonable, table))
    elif not table:
        click.echo(f"run {found} has no metrics")
    elif key is None:
        columns = ["key", "last", "min", "max", "first_step", "last_step", "count"]
        print_table(columns, ([row[name] for name in columns] for row in table), right=columns[1:])
    else:
        print_table(
            ["step", "time", "value"],
            ([row["step"], moment(row["time"]), row["value"]] for row in table),
            right=("step", "value"),
        )
