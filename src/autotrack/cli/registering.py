"""The commands of `autotrack models` that change something: each takes one step and says so in one line.

Exit code 0 where it was taken or there was nothing to do, 1 where it had no effect, since somebody was faster, a gate
refused, or there is no such model, and 2 where it was used wrongly.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from autotrack.cli.opening import identify, open_runs
from autotrack.cli.printing import clean, json_option, plain, print_json
from autotrack.errors import UsageError

if TYPE_CHECKING:
    from autotrack.registry.writing import Taken

Function = TypeVar("Function", bound=Callable[..., Any])


def why_option(function: Function) -> Function:
    """Give a command `--why`."""
    return click.option("--why", default="", metavar="TEXT", help="The reason, for those who look later.")(function)


def force_option(function: Function) -> Function:
    """Give a command `--force`."""
    return click.option("--force", is_flag=True, help="Do it all the same; needs --why, and the log says so.")(function)


@click.command(epilog="\b\nExample:\n  autotrack models register clf latest --why 'first one that converges'")
@click.argument("model")
@click.argument("run")
@click.option("--model", "name", metavar="NAME", help="Which of the models that the run has kept; by default the last.")
@click.option("--alias", "aliases", multiple=True, metavar="ALIAS", help="An alias that then points to it.")
@why_option
@json_option
def register(model: str, run: str, name: str | None, aliases: tuple[str, ...], why: str, as_json: bool) -> None:
    """Make a model that RUN has kept the next version of MODEL.

    RUN is an id, the beginning of one, a name, or: latest.
    """
    from autotrack.registry import changing, reading

    with open_runs() as store:
        found = identify(store, run)
        taken, version = changing.register(model, found, name, aliases=aliases, why=why, store=store)
        record = reading.resolve(store, f"{model}/{version.number}")
    if as_json:
        print_json(record)
        return
    pointed = f", {', '.join(record['aliases'])}" if record["aliases"] else ""
    already = "" if taken else " already"
    click.echo(clean(f"{model}/{version.number} is{already} {record['name']!r} of run {record['run']}{pointed}"))


@click.command(epilog="\b\nExample:\n  autotrack models alias clf@production 3 --why 'best on the holdout of May'")
@click.argument("reference", metavar="MODEL@ALIAS")
@click.argument("version", type=click.IntRange(min=1))
@why_option
@force_option
@json_option
def alias(reference: str, version: int, why: str, force: bool, as_json: bool) -> None:
    """Let an alias point to a version. A protected one asks its gates first."""
    from autotrack.registry import log, writing

    named = log.parse_alias(reference)
    with open_runs() as store:
        step = writing.move_alias(named.model, named.alias or "", version, why, force=force, store=store)
    _say(step, f"{named} → {version}", as_json)


@click.command(epilog="\b\nExample:\n  autotrack models unalias clf@candidate")
@click.argument("reference", metavar="MODEL@ALIAS")
@why_option
@force_option
@json_option
def unalias(reference: str, why: str, force: bool, as_json: bool) -> None:
    """Take an alias away. The history keeps it."""
    from autotrack.registry import changing

    with open_runs() as store:
        taken = changing.unalias(reference, why, force=force, store=store)
    _say(taken.record, f"{reference} points to nothing any more (before: {taken.record['version']})", as_json)


@click.command(epilog="\b\nExample:\n  autotrack models rollback clf@production --why 'too many refusals'")
@click.argument("reference", metavar="MODEL@ALIAS")
@why_option
@json_option
def rollback(reference: str, why: str, as_json: bool) -> None:
    """Let an alias point to the version before again; twice in a row, to the one before that.

    Retired versions, and what earlier rollbacks have left, are passed over. No gates are asked: it has been there.
    """
    from autotrack.registry import changing

    with open_runs() as store:
        taken = changing.rollback(reference, why, store=store)
    _say(taken.record, f"{reference} → {taken.record['version']}, as before", as_json)


@click.command(epilog="\b\nExamples:\n  autotrack models stage clf/3 Production\n  autotrack models stage clf/3 --none")
@click.argument("reference", metavar="VERSION")
@click.argument("stage", required=False)
@click.option("--none", is_flag=True, help="Take it out of its stage.")
@why_option
@json_option
def stage(reference: str, stage: str | None, none: bool, why: str, as_json: bool) -> None:
    """Put a version into a stage, such as Staging, Production or Archived."""
    from autotrack.registry import changing

    if (stage is None) != none:
        raise UsageError("name a stage, or say --none")
    with open_runs() as store:
        taken = changing.stage(reference, stage, why, store=store)
    _say(taken.record, f"{_version(taken)} is in {stage or 'no stage'}", as_json)


@click.command(
    epilog="\b\nExamples:\n  autotrack models annotate clf/3 owner=risk auc=0.91\n"
    "  autotrack models annotate clf/3 owner="
)
@click.argument("reference", metavar="VERSION")
@click.argument("values", nargs=-1, required=True, metavar="KEY=VALUE...")
@why_option
@json_option
def annotate(reference: str, values: tuple[str, ...], why: str, as_json: bool) -> None:
    """Note things about a version. Numbers, true and false are taken for such; KEY= removes the key."""
    from autotrack.registry import changing

    noted = dict(map(_pair, values))
    with open_runs() as store:
        taken = changing.annotate(reference, noted, why, store=store)
    told = ", ".join(
        f"{key} removed" if value is None else f"{key}={plain(value)}" for key, value in taken.record["record"].items()
    )
    _say(taken.record, f"{_version(taken)}: {told}", as_json)


@click.command(epilog="\b\nExample:\n  autotrack models approve clf/3 --why 'looked at the errors by region'")
@click.argument("reference", metavar="VERSION")
@why_option
@json_option
def approve(reference: str, why: str, as_json: bool) -> None:
    """Say yes to a version, as the person that AUTOTRACK_USER names, by default the login name."""
    from autotrack.registry import changing

    with open_runs() as store:
        taken = changing.approve(reference, why, store=store)
    _say(taken.record, f"{_version(taken)} is approved by {taken.record['who']}", as_json)


@click.command(epilog="\b\nExample:\n  autotrack models disapprove clf/3 --why 'fails on short texts'")
@click.argument("reference", metavar="VERSION")
@why_option
@json_option
def disapprove(reference: str, why: str, as_json: bool) -> None:
    """Say no to a version, and take an approval back."""
    from autotrack.registry import changing

    with open_runs() as store:
        taken = changing.disapprove(reference, why, store=store)
    _say(taken.record, f"{_version(taken)} is not approved by {taken.record['who']}", as_json)


@click.command(
    epilog="\b\nExamples:\n  autotrack models protect clf@production --approvals 2 --gate better --gate no-leakage\n"
    "  autotrack models protect clf@production --gate latency:p95_ms=5"
)
@click.argument("reference", metavar="MODEL@ALIAS")
@click.option(
    "--approvals", type=click.IntRange(min=0), default=0, metavar="N", help="How many people have to approve."
)
@click.option(
    "--gate", "gates", multiple=True, metavar="NAME[:OPTION=VALUE,...]", help="A gate that has to let it pass."
)
@why_option
@json_option
def protect(reference: str, approvals: int, gates: tuple[str, ...], why: str, as_json: bool) -> None:
    """Let an alias be moved only as these rules say. They replace those that there were."""
    from autotrack.registry import changing
    from autotrack.registry.gates import parse

    rules = dict(map(parse, gates))
    with open_runs() as store:
        taken = changing.protect(reference, rules, approvals, why, store=store)
    told = [*([f"{approvals} approvals"] if approvals else []), *rules]
    _say(taken.record, f"{reference} is protected by {', '.join(told)}", as_json)


@click.command(epilog="\b\nExample:\n  autotrack models unprotect clf@production --why 'the trial is over'")
@click.argument("reference", metavar="MODEL@ALIAS")
@why_option
@json_option
def unprotect(reference: str, why: str, as_json: bool) -> None:
    """Let an alias be moved without asking anybody."""
    from autotrack.registry import changing

    with open_runs() as store:
        taken = changing.unprotect(reference, why, store=store)
    _say(taken.record if taken else None, f"{reference} is not protected", as_json)


@click.command(epilog="\b\nExample:\n  autotrack models retire clf/2 --why 'trained on the wrong year'")
@click.argument("reference", metavar="VERSION")
@why_option
@force_option
@json_option
def retire(reference: str, why: str, force: bool, as_json: bool) -> None:
    """Take a version out of use: no alias can be moved to it any more. Nothing is deleted."""
    from autotrack.registry import changing

    with open_runs() as store:
        taken = changing.retire(reference, why, force=force, store=store)
    _say(taken.record if taken else None, f"{reference} is retired", as_json)


@click.command(epilog="\b\nExample:\n  autotrack models restore clf/2")
@click.argument("reference", metavar="VERSION")
@why_option
@json_option
def restore(reference: str, why: str, as_json: bool) -> None:
    """Bring a retired version back."""
    from autotrack.registry import changing

    with open_runs() as store:
        taken = changing.restore(reference, why, store=store)
    _say(taken.record if taken else None, f"{reference} is in use", as_json)


def _version(taken: Taken) -> str:
    return f"{taken.model.name}/{taken.record['version']}"


def _say(step: dict[str, Any] | None, told: str, as_json: bool) -> None:
    """One line of what was done, or the step as JSON: `null` where nothing was to be done."""
    if as_json:
        print_json(step)
    else:
        click.echo(clean(told if step else f"nothing to do: {told} already"))


def _pair(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{text!r} is no KEY=VALUE")
    return key, None if value == "" else _value(value)


def _value(text: str) -> Any:
    """A number or a flag where the text is one in JSON, else the text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float | bool) and text not in ("NaN", "Infinity", "-Infinity") else text


commands: list[click.Command] = [
    register,
    alias,
    unalias,
    rollback,
    stage,
    annotate,
    approve,
    disapprove,
    protect,
    unprotect,
    retire,
    restore,
]
"""What `autotrack models` has from here."""
