"""`autotrack data`: what identifies data, what differs between two datasets, and whether rows were in one.

A dataset is a file, a folder, or `RUN:role` of a recorded run, which is looked at by its record alone.
"""

from __future__ import annotations

import filecmp
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autotrack.cli import datafiles
from autotrack.cli.lineage import croissant
from autotrack.cli.opening import identify, open_runs
from autotrack.cli.printing import clean, json_option, print_json, print_table
from autotrack.errors import UsageError
from autotrack.session import session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from autotrack.provenance.fingerprint.difference import Difference
    from autotrack.provenance.fingerprint.identity import Fingerprint


@click.group(epilog="\b\nExample:\n  autotrack data diff old.csv latest:train")
def data() -> None:
    """What data are: their fingerprints, what differs, and whether rows were in a training set.

    \b
    A dataset is
      customers.csv      a file: csv, tsv, jsonl, parquet, feather, arrow, npy, npz
      images/            a folder of files of any kind
      RUN:train          data of a recorded run, by role; RUN is an id, a name or: latest
      RUN:test/holdout   by role and name
    """


data.add_command(croissant)


@data.command(
    epilog="\b\nExamples:\n  autotrack data diff old.csv new.csv\n  autotrack data diff latest:train new.csv --json"
)
@click.argument("a")
@click.argument("b")
@json_option
def diff(a: str, b: str, as_json: bool) -> int:
    """Say what differs between two datasets: values, types, order, columns, rows.

    Exit code 0: the same values and the same schema; 1: something differs, or cannot be told; 2: wrong use.
    """
    from autotrack.provenance.fingerprint.difference import Difference

    paths = Path(a), Path(b)
    if all(map(Path.is_file, paths)) and filecmp.cmp(*paths, shallow=False):
        found = Difference(True, True, True, True, coverage=[1.0, 1.0])
    else:
        found = _difference(a, b)
    if as_json:
        print_json(found.record())
    else:
        for line in str(found).splitlines():
            click.echo(clean(line))
    return 0 if found.same else 1


@data.command(
    epilog="\b\nExamples:\n  autotrack data contains latest today.csv\n  autotrack data contains 4f2a:train x.npy"
)
@click.argument("dataset", metavar="RUN[:ROLE]")
@click.argument("file")
@click.option("--rows", "each", is_flag=True, help="Answer for each row.")
@click.option("--fail-if-any", is_flag=True, help="Exit with 1 where a row was in it, or may have been.")
@json_option
def contains(dataset: str, file: str, each: bool, fail_if_any: bool, as_json: bool) -> int:
    """Say which rows of FILE were in the training set of RUN (or in its dataset of another ROLE), from the record.

    Rows are compared by their features. Of very large datasets a sketch is kept, which knows a part of all rows: the
    others are unknown, and an interval says how many were in it. What is answered with no was not in it.
    """
    from autotrack.reading import contained, recorded_dataset

    reference = dataset if ":" in dataset else f"{dataset}:train"
    run, wanted = _run_of(reference)
    record = recorded_dataset(run, wanted)
    first, *others = (contained(run, wanted, _parsed_times(data, record)) for data in datafiles.readings(Path(file)))
    found = first.either(*others)
    share = found.share
    told: dict[str, Any] = {"rows": share.of, "yes": share.yes, "no": share.known - share.yes}
    told |= {"unknown": share.of - share.known, "why": found.why or None}
    told["share"] = list(share.interval) if share.interval is not None and share.of else None
    words = {1: "yes", 0: "no", -1: "unknown"}
    answers = [words[answer] for answer in found.answers.tolist()] if each else []
    if as_json:
        print_json({**told, **({"answers": answers} if each else {})})
    else:
        _print_membership(told, clean(reference))
        for index, answer in enumerate(answers):
            click.echo(f"{index}\t{answer}")
    return 1 if fail_if_any and (share.yes or share.known < share.of) else 0


@data.command(epilog="\b\nExample:\n  autotrack data fingerprint customers.parquet --json")
@click.argument("dataset")
@json_option
def fingerprint(dataset: str, as_json: bool) -> None:
    """Print what identifies a dataset: a file, a folder, or RUN:role."""
    record = _identity(dataset)
    if as_json:
        print_json(record)
        return
    rows = [[name, record[name]] for name in ("value", "schema", "rows", "strict", "coverage", "method", "n_rows")]
    print_table(["", ""], [row for row in rows if row[1] is not None])
    if record["columns"]:
        click.echo()
        print_table(
            ["column", "type", "value"], [[one["name"], one["dtype"], one["value"]] for one in record["columns"]]
        )


def _difference(a: str, b: str) -> Difference:
    """What differs. Hashes of all rows, which take longest, are taken where nothing else tells."""
    from autotrack.provenance.fingerprint.diff import difference
    from autotrack.provenance.fingerprint.sides import Side

    runs = [_is_run(name) for name in (a, b)]
    read = [_recorded(name) if run else datafiles.read(Path(name)) for run, name in zip(runs, (a, b), strict=True)]

    def sides(rows: bool) -> Iterator[Side]:
        for name, run, data in zip((a, b), runs, read, strict=True):
            if run:
                yield Side.of_record(data, _open_blob)
                continue
            side = Side.of_fingerprint(_fingerprint(data, rows), data)
            if side.value is None:
                raise UsageError(f"{name} has nothing in it that can be fingerprinted")
            yield side

    found = difference(*sides(rows=any(runs)))
    if found.rows is None and not found.same and not any(runs):
        found = difference(*sides(rows=True))
    return found


def _fingerprint(data: Any, rows: bool) -> Fingerprint:
    from autotrack.provenance.fingerprint.identity import fingerprint
    from autotrack.provenance.fingerprint.manifest import Manifest

    return fingerprint(data.table() if isinstance(data, Manifest) else data, rows=rows, keep_rows=rows)


def _identity(dataset: str) -> dict[str, Any]:
    from autotrack.provenance.fingerprint.sources import source_of

    keys = ("value", "schema", "rows", "strict", "coverage", "method", "n_rows", "source")
    if _is_run(dataset):
        record = _recorded(dataset)
        columns = [
            {"name": one["name"], "dtype": one["dtype"], "value": one.get("value")} for one in record.get("columns", ())
        ]
        return {**{key: record.get(key) for key in keys}, "columns": columns}
    data = datafiles.read(Path(dataset))
    found = _fingerprint(data, rows=True)
    columns = [{"name": one.name, "dtype": one.declared, "value": one.value} for one in found.columns]
    told = {"rows": None, **found.record(), "n_rows": found.n_rows, "source": source_of(Path(dataset))}
    return {**{key: told.get(key) for key in keys}, "columns": columns}


def _print_membership(told: dict[str, Any], where: str) -> None:
    rows = told["rows"]
    parts = [f"{told['yes']} were in {where}", f"{told['no']} were not"]
    if told["unknown"]:
        parts.append(f"{told['unknown']} are unknown ({told['why']})")
    click.echo(f"of {rows} row{'' if rows == 1 else 's'} " + ", ".join(parts))
    if told["unknown"] and told["share"] is not None and "sketch" in (told["why"] or ""):
        low, high = told["share"]
        click.echo(f"between {low:.2%} and {high:.2%} of all rows were in it (95 % interval)")


def _is_run(name: str) -> bool:
    """Whether a name is `RUN:role`, and not a file, which goes first."""
    if Path(name).exists():
        return False
    if ":" in name:
        return True
    raise UsageError(f"{name} is neither a file nor a folder, nor RUN:role of a recorded run")


def _recorded(reference: str) -> dict[str, Any]:
    """The record of the dataset that `RUN:role` or `RUN:role/name` means. Raises `RunNotFound`, `UsageError`."""
    from autotrack.reading import recorded_dataset

    return recorded_dataset(*_run_of(reference))


def _run_of(reference: str) -> tuple[dict[str, Any], str]:
    run, _, wanted = reference.rpartition(":")
    with open_runs() as store:
        return store.run(identify(store, run)), wanted


def _open_blob(digest: str) -> Any:
    from autotrack.store.remote_blobs import readable

    return readable(session.settings.resolved_home, session.settings).open(digest)


def _parsed_times(data: Any, record: dict[str, Any]) -> Any:
    """A frame whose texts are times where the dataset had times: CSV has no type for them."""
    if not type(data).__module__.startswith("pandas"):
        return data
    columns = _all_columns(record)
    times = {one["name"]: one["dtype"] for one in columns if str(one["dtype"]).startswith(("datetime", "timestamp"))}
    texts = [name for name in data.columns if name in times and data[name].dtype.kind not in "mM"]
    from importlib import import_module

    parsed = {}
    for name in texts:
        try:
            parsed[name] = import_module("pandas").to_datetime(data[name], utc="," in times[name], format="ISO8601")
        except (ValueError, TypeError):  # no times: the comparison says so
            pass
    return data.assign(**parsed)


def _all_columns(record: dict[str, Any]) -> list[dict[str, Any]]:
    parts = record.get("parts", {}).values()
    return [*record.get("columns", ()), *(column for part in parts for column in _all_columns(part))]
