"""Registered models for people to read: tables and plain words, from the records that `--json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click

from autotrack.cli.printing import clean, moment, plain, print_heading, print_table, size

SHOWN: Final = 10
"""Steps of the history that are printed with a model."""


def row(one: dict[str, Any]) -> list[Any]:
    """A model in a line: name, number of versions, latest, aliases, when the last was registered."""
    aliases = ", ".join(f"{name} → {told['version']}" for name, told in one["aliases"].items())
    latest = next((version for version in one["versions"] if not version["retired"]), None)
    last = one["versions"][0]["registered_at"]
    return [one["name"], len(one["versions"]), latest and latest["version"], aliases, moment(last)]


def print_model(found: dict[str, Any]) -> None:
    """Print a model as `autotrack.registry.reading.model` gives it."""
    click.secho(clean(found["name"]), bold=True)
    print_table(
        ["version", "aliases", "stage", "run", "format", "size", "registered", "by", "approved by", ""],
        [
            [
                one["version"], ", ".join(one["aliases"]), one["stage"], one["run"], one["format"], size(one["bytes"]),
                moment(one["registered_at"]), one["registered_by"],
                ", ".join(plain(word["who"]) for word in one["approvals"]), _state(one),
            ]
            for one in found["versions"]
        ],
        right=("size",),
    )  # fmt: skip
    if found["aliases"]:
        print_heading("aliases")
        rows = [
            [name, told["version"], moment(told["since"]), _who(told), told["why"]]
            for name, told in found["aliases"].items()
        ]
        print_table(["alias", "version", "since", "by", "why"], rows)
    if found["protected"]:
        print_heading("protected aliases")
        rows = [
            [name, ", ".join(told["gates"]), told["approvals"], told["who"], told["why"]]
            for name, told in found["protected"].items()
        ]
        print_table(["alias", "gates", "approvals", "by", "why"], rows)
    more = len(found["log"]) - SHOWN
    print_heading(
        "history" + (f", the last {SHOWN} steps; all: autotrack models log {found['name']}" if more > 0 else "")
    )
    print_log(found["log"][-SHOWN:])


def print_version(one: dict[str, Any]) -> None:
    """Print a version as `autotrack.registry.reading.resolve` gives it."""
    by = _who(one | {"who": one["registered_by"]})
    rows: list[Sequence[Any]] = [
        ("version", f"{one['model']}/{one['version']}"), ("aliases", ", ".join(one["aliases"])),
        ("stage", one["stage"]),
        ("state", _state(one)), ("digest", one["digest"]), ("run", one["run"]), ("model of the run", one["name"]),
        ("format", one["format"]), ("size", size(one["bytes"])), ("code", one["code"]),
        ("registered", f"{moment(one['registered_at'])} by {by}"), ("why", one["why"]),
    ]  # fmt: skip
    print_table(["", ""], [row for row in rows if row[1]])
    for title in ("signature", "annotations"):
        if one[title]:
            print_heading(title)
            print_table(["", ""], list(one[title].items()))
    if one["datasets"]:
        print_heading("datasets")
        rows = [[told["role"], told["name"], told["n_rows"], told["value"]] for told in one["datasets"]]
        print_table(["role", "name", "rows", "fingerprint"], rows)
    if one["parents"]:
        print_heading("made from")
        print_table([""], [[identity] for identity in one["parents"]])
    words = [("yes", word) for word in one["approvals"]] + [("no", word) for word in one["objections"]]
    if words:
        print_heading("approvals")
        print_table(
            ["", "by", "when", "why"], [[said, word["who"], moment(word["time"]), word["why"]] for said, word in words]
        )


def print_log(found: list[dict[str, Any]]) -> None:
    """Print steps, one a line."""
    print_table(
        ["time", "action", "version", "what", "by", "why", ""],
        [
            [moment(one["time"]), one["action"], one["version"], _what(one), _who(one), one["why"], _effect(one)]
            for one in found
        ],
    )


def print_held(held: dict[str, Any] | None) -> None:
    """Print where an alias pointed."""
    if held is None:
        return
    how = "forced" if held["forced"] else "rolled back" if held["rollback"] else ""
    rows: list[Sequence[Any]] = [
        ("version", held["version"]), ("digest", held["digest"]), ("run", held["run"]),
        ("since", moment(held["since"])),
        ("until", moment(held["until"])), ("by", _who(held)), ("why", held["why"]), ("how", how),
    ]  # fmt: skip
    print_table(["", ""], [row for row in rows if row[1]])
    if held["evidence"]:
        print_heading("evidence")
        rows = [
            (one.get("gate"), "passed" if one.get("passed") else "refused", one.get("why")) for one in held["evidence"]
        ]
        print_table(["gate", "", "why"], rows)


def _who(told: dict[str, Any]) -> str:
    """Who took a step; one of a training is the run's."""
    return str(told["who"] or (f"run {told['run']}" if told.get("run") else ""))


def _state(one: dict[str, Any]) -> str:
    return ", ".join(word for word in ("retired", "signed") if one[word])


def _what(one: dict[str, Any]) -> str:
    record = {key: value for key, value in one["record"].items() if key not in ("from", "evidence")}
    alias = record.pop("alias", None)
    told = ", ".join(key if value is True else f"{key}={plain(value)}" for key, value in record.items())
    return " ".join(word for word in (alias, told) if word)


def _effect(one: dict[str, Any]) -> str:
    if one["effect"] == "done":
        return ""
    said = [result for result in one["record"].get("evidence") or () if isinstance(result, dict)]
    refused = ", ".join(str(result.get("gate")) for result in said if not result.get("passed"))
    return f"{one['effect']}: {refused or one.get('because', '')}"
