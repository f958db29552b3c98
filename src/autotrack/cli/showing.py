"""`autotrack show`: everything about one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from autotrack.cli.opening import identify, open_runs
from autotrack.cli.printing import (
    clean,
    duration,
    json_option,
    moment,
    plain,
    print_heading,
    print_json,
    print_table,
    print_text,
    size,
)
from autotrack.session import session


@click.command(epilog="\b\nExamples:\n  autotrack show latest\n  autotrack show 4f2a --json | jq .params")
@click.argument("run")
@click.option("--lineage", is_flag=True, help="What it came from and what came of it: data, models and runs.")
@click.option("--openlineage", is_flag=True, help="The same as OpenLineage events, in JSON.")
@click.option(
    "--depth", type=click.IntRange(0), default=5, help="How many runs away --lineage goes.", show_default=True
)
@click.option("--console", is_flag=True, help="What the run wrote to stdout and stderr, and nothing else.")
@json_option
def show(run: str, console: bool, lineage: bool, openlineage: bool, depth: int, as_json: bool) -> None:
    """Show everything about one run.

    RUN is an id, the beginning of one, a name, or: latest.
    """
    if console:
        from autotrack.cli.console import print_console

        with open_runs() as store:
            print_console(store, identify(store, run), as_json=as_json)
        return
    if lineage or openlineage:
        from autotrack.cli.lineage import print_lineage

        with open_runs() as store:
            print_lineage(store, identify(store, run), depth, as_json=as_json, as_events=openlineage)
        return
    from autotrack.forward.deliveries import deliveries
    from autotrack.registry.reading import with_registered

    with open_runs() as store:
        record = with_registered(store, store.run(identify(store, run)))
    record["delivery"] = deliveries(session.settings, record)
    if as_json:
        print_json(record)
    else:
        _print(record)


def _print(record: dict[str, Any]) -> None:
    took = duration(record["started_at"], record["ended_at"])
    header = [
        ("run", record["id"]),
        ("name", record["name"]),
        ("project", record["project"]),
        ("status", record["status"]),
        ("started", moment(record["started_at"])),
        ("ended", f"{moment(record['ended_at'])} (after {took})" if took else ""),
        ("parent", record["parent_id"]),
        ("integration", record["integration"]),
    ]
    print_table(["", ""], [row for row in header if row[1]])
    if record["error"]:
        print_heading("error")
        told = record["error"]["traceback"] or f"{record['error']['type']}: {record['error']['message']}"
        print_text(told)
    for group in ("params", "tags"):
        _section(group, ["key", "value"], list(record[group].items()))
    _section(
        "metrics",
        ["key", "last", "min", "max", "steps", "count"],
        [
            [key, told["last"], told["min"], told["max"], f"{told['first_step']}–{told['last_step']}", told["count"]]
            for key, told in record["metrics"].items()
        ],
        right=("last", "min", "max", "count"),
    )
    _section(
        "datasets",
        ["role", "name", "rows", "columns", "kind", "fingerprint"],
        [_dataset(one) for one in record["datasets"]],
        right=("rows", "columns"),
    )
    _section(
        "rows that training had too",
        ["role", "name", "of", "rows", "in"],
        [row for one in record["datasets"] if (row := _leakage(one))],
        right=("rows", "in"),
    )
    _section(
        "models",
        ["name", "step", "format", "size", "digest", "registered as"],
        [
            [
                one["name"],
                one["step"],
                one["format"],
                size(one["bytes"]),
                one["digest"] or _not_kept(one),
                _versions(one),
            ]
            for one in record["models"]
        ],
        right=("size",),
    )
    _section(
        "artifacts",
        ["name", "size", "digest"],
        [[one["name"], size(one["bytes"]), one["digest"]] for one in record["artifacts"]],
        right=("size",),
    )
    _section("notebook", ["", ""], _notebook(record.get("notebook") or {}))
    _section("randomness", ["", ""], _randomness(record.get("randomness") or {}))
    _section("code", ["", ""], _told(record["code"]))
    _section("environment", ["", ""], _told(record["environment"]))
    _section("what the record lacks", ["what", "count", "why"], _rows(record["notes"]), right=("count",))
    _print_delivery(record["delivery"])


def _section(title: str, columns: list[str], rows: Sequence[Sequence[Any]], right: Sequence[str] = ()) -> None:
    if rows:
        print_heading(title)
        print_table(columns, rows, right=right)


def _dataset(one: dict[str, Any]) -> list[Any]:
    told = one["fingerprint"]
    return [one["role"], one["name"], told.get("n_rows"), told.get("n_columns"), told.get("kind"), told.get("value")]


def _leakage(one: dict[str, Any]) -> list[Any] | None:
    told = one["fingerprint"].get("leakage")
    if not told or told.get("rows") == 0:
        return None
    rows = f"unknown: {told.get('why')}" if told.get("rows") is None else told["rows"]
    return [one["role"], one["name"], told.get("with"), rows, told.get("of")]


def _told(record: dict[str, Any]) -> list[list[Any]]:
    """Rows of what there is to say: nothing empty, lists and names in a line, of a file its digest and size."""
    return [[key, _in_a_line(value)] for key, value in record.items() if value not in (None, "", [], {})]


def _in_a_line(value: Any) -> Any:
    if isinstance(value, list):
        words = [one.get("path", one) if isinstance(one, dict) else one for one in value]
        return ", ".join(str(_in_a_line(word)) for word in words)
    if isinstance(value, dict):
        if set(value) == {"digest", "bytes"}:
            return f"{value['digest']} ({size(value['bytes'])})"
        return ", ".join(f"{key} {_in_a_line(item)}" for key, item in value.items() if item not in (None, "", [], {}))
    return value


def _notebook(told: dict[str, Any]) -> list[list[Any]]:
    kept = told.get("notebook") or {}
    rows = [["cells", told.get("cells")], ["file", told.get("source")], ["kept as", kept.get("digest")]]
    return [row for row in rows if row[1] is not None]


def _randomness(told: dict[str, Any]) -> list[list[Any]]:
    if not told:
        return []
    lacking = [*told.get("not_seeded", ()), *told.get("unknown", ())]
    answer = {"True": "yes", "False": "no: ", "None": "unknown: "}[str(told.get("seeded"))]
    answer += ", ".join(lacking) if told.get("seeded") is not True else ""
    seeds = ", ".join(f"{name} {plain(seed)}" for name, seed in (told.get("seeds") or {}).items())
    flags = ", ".join(f"{name} {plain(flag)}" for name, flag in (told.get("flags") or {}).items())
    return [[key, text] for key, text in (("seeded", answer), ("seeds", seeds), ("flags", flags)) if text]


def _not_kept(model: dict[str, Any]) -> str:
    return f"not kept: {model.get('problem') or 'it is being converted'}"


def _versions(model: dict[str, Any]) -> str:
    return ", ".join(
        f"{one['model']}/{one['version']}" + "".join(f" @{alias}" for alias in one["aliases"])
        for one in model.get("registered", ())
    )


def _rows(notes: list[dict[str, Any]]) -> list[list[Any]]:
    return [[note["what"], note["count"], note["why"]] for note in notes]


def _print_delivery(told: list[dict[str, Any]]) -> None:
    rows = []
    for one in told:
        state = "everything has arrived" if not one["lag"] else f"{one['lag']} events of its journal are on the way"
        rows.append([one["backend"], state, one["dead"], one["problem"]])
    _section("delivery", ["backend", "state", "refused", "problem"], rows, right=("refused",))
    for one in told:
        _section(f"not carried by {one['backend']}", ["what", "count", "why"], _rows(one["not_carried"]), ("count",))
        if one["dead"]:
            click.echo(clean(f"refused events: {one['dead_letters']}"))
