"""`autotrack compare`: runs side by side."""

from __future__ import annotations

from typing import Any

import click

from autotrack.cli.opening import identify, open_runs
from autotrack.cli.printing import clean, json_option, print_heading, print_json, print_table
from autotrack.errors import UsageError


@click.command(epilog="\b\nExample:\n  autotrack compare baseline latest")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@json_option
def compare(runs: tuple[str, ...], as_json: bool) -> None:
    """Show in what runs differ: params, tags, data, environment and code, with their metrics side by side.

    RUN is an id, the beginning of one, a name, or: latest.
    """
    if len(runs) < 2:
        raise UsageError("compare needs at least two runs, such as: autotrack compare baseline latest")
    with open_runs() as store:
        compared = store.compare([identify(store, run) for run in runs])
    if as_json:
        print_json(compared)
    else:
        print_compared(compared)


def print_compared(compared: dict[str, Any]) -> None:
    """Print what `Store.compare` found."""
    columns = ["", *(run["id"] for run in compared["runs"])]
    print_table(
        columns, ([field, *(run[field] for run in compared["runs"])] for field in ("name", "status", "integration"))
    )
    for group in ("params", "tags", "datasets", "environment", "code"):
        _print_differences(group, compared, columns)
    if compared["metrics"]:
        print_heading("metrics: the last value of each")
        last = [
            [key, *("" if told is None else told["last"] for told in row)] for key, row in compared["metrics"].items()
        ]
        print_table(columns, last, right=columns[1:])


def _print_differences(group: str, compared: dict[str, Any], columns: list[str]) -> None:
    different = compared["different"][group]
    same = len(compared[group]) - len(different)
    if not different:
        return
    print_heading(f"{group} that differ" + (f" ({same} are the same)" if same else ""))
    print_table(columns, ([key, *map(_shown, compared[group][key])] for key in different))


def _shown(entry: Any) -> str:
    if isinstance(entry, dict) and "value" in entry:  # a fingerprint: its value says whether the data are the same
        return clean(entry["value"])
    return "" if entry is None else clean(entry)
