"""Gates, promotions, signatures and bundles of registered models: commands of `autotrack models`.

`commands` are attached to that group. Exit codes: 0, 1 where a gate refuses or a signature does not hold, 2 for misuse.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from autotrack.cli.printing import clean, json_option, print_json, print_table, size
from autotrack.errors import UsageError
from autotrack.session import session

if TYPE_CHECKING:
    from autotrack.registry.promoting import Promoted
    from autotrack.registry.promotion import Side
    from autotrack.store.query import Store

Function = TypeVar("Function", bound=Callable[..., Any])

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_MARKS = {"pass": "passes", "refuse": "REFUSES", "not-applicable": "not applicable"}


def _gate_options(function: Function) -> Function:
    for option in (
        click.option(
            "--sample", type=_FILE, help="Rows to predict on, for the gate latency: a file .npy, .csv or .parquet."
        ),
        click.option(
            "--gate",
            "asked",
            multiple=True,
            metavar="NAME[:OPTION=VALUE,…]",
            help="A gate to ask beside those that protect the alias; may be repeated. @FILE is a file's content.",
        ),
    ):
        function = option(function)
    return function


def _accepting(function: Function) -> Function:
    for option in (
        click.option("--issuer", help="Who vouches for the identity, such as https://accounts.google.com."),
        click.option("--identity", help="Of Sigstore: an e-mail address or the address of a workflow."),
        click.option(
            "--certificate", "certificates", type=_FILE, multiple=True, help="A root of certificates, as PEM."
        ),
        click.option("--key", "keys", type=_FILE, multiple=True, help="A public key, as PEM; may be repeated."),
    ):
        function = option(function)
    return function


@click.command(
    epilog="\b\nExamples:\n"
    "  autotrack models check clf/7 --alias production\n"
    "  autotrack models check clf/7 --alias production --gate better:margin=0.01 --gate latency:p95_ms=5 --json"
)
@click.argument("version", metavar="MODEL[/VERSION]")
@click.option("--alias", required=True, help="The alias that would be moved, such as production.")
@_gate_options
@json_option
def check(version: str, alias: str, asked: tuple[str, ...], sample: Path | None, as_json: bool) -> int:
    """Say what the gates before a promotion would say. Nothing is changed.

    Asked are the gates that protect the alias and those that are named; without either safe-format, signature,
    no-leakage and better. The exit code is 1 where one refuses.
    """
    from autotrack.cli.opening import open_runs
    from autotrack.registry import promoting

    with open_runs() as store:
        made = promoting.check(version, alias, named=_named(asked), sample=_sample(sample), store=store)
    _print(made, as_json)
    return int(not made.passed)


@click.command(
    epilog="\b\nExamples:\n"
    "  autotrack models promote clf/7 production --why 'better on May'\n"
    "  autotrack models promote clf/7 production --force --why 'the champion leaks memory'"
)
@click.argument("version", metavar="MODEL[/VERSION]")
@click.argument("alias")
@click.option("--why", default="", help="The reason, for the log.")
@click.option("--force", is_flag=True, help="Whatever the gates say; needs --why, and is recorded as forced.")
@_gate_options
@json_option
def promote(
    version: str, alias: str, why: str, force: bool, asked: tuple[str, ...], sample: Path | None, as_json: bool
) -> int:
    """Move an alias to a version, where the gates let it.

    What they said is kept in the log, with the move or with the refusal. The exit code is 1 where one refuses.
    """
    from autotrack.registry import promoting

    made = promoting.promote(version, alias, why, force=force, named=_named(asked), sample=_sample(sample))
    _print(made, as_json)
    return int(not made.passed and not made.moved)


@click.command(
    epilog="\b\nExamples:\n"
    "  autotrack models sign clf/7 --key release.key\n"
    "  autotrack models sign clf@production --key ci.key --certificate ci.pem --chain intermediate.pem\n"
    "  autotrack models sign clf/7 --sigstore"
)
@click.argument("version", metavar="MODEL[/VERSION]")
@click.option("--key", type=_FILE, help="A private key of a P-256, P-384 or P-521 curve, as PEM.")
@click.option("--password", envvar="AUTOTRACK_KEY_PASSWORD", help="Of the key; better in AUTOTRACK_KEY_PASSWORD.")
@click.option("--certificate", type=_FILE, help="The certificate of the key, as PEM.")
@click.option("--chain", type=_FILE, multiple=True, help="A certificate between that and a root; may be repeated.")
@click.option("--sigstore", is_flag=True, help="With your identity, through Sigstore; needs the internet.")
@click.option("--why", default="", help="The reason, for the log.")
@json_option
def sign(
    version: str,
    key: Path | None,
    password: str | None,
    certificate: Path | None,
    chain: tuple[Path, ...],
    sigstore: bool,
    why: str,
    as_json: bool,
) -> int:
    """Sign the file of a version, and keep the signature with it. Needs: pip install 'autotrack-ml[signing]'."""
    from autotrack.registry import signing
    from autotrack.registry.writing import opened, step

    if sigstore == (key is not None):
        raise UsageError("say what to sign with: --key FILE, or --sigstore")
    with opened() as store:
        model, side = _side(store, version)
        record = signing.sign(side, signing.Signer(key, password, certificate, chain))
        taken = step(model, "sign", side.digest, why, record, str(side.version.get("run") or ""), store=store)
    if as_json:
        print_json({"model": model, "version": side.version["version"], "digest": side.digest, **taken.record})
    else:
        click.echo(f"{clean(model)}/{side.version['version']} is signed ({record['method']}); the signature is kept")
    return 0


@click.command(
    name="verify-signature",
    epilog="\b\nExamples:\n"
    "  autotrack models verify-signature clf@production --key release.pub\n"
    "  autotrack models verify-signature clf/7 --identity me@example.org --issuer https://accounts.google.com",
)
@click.argument("version", metavar="MODEL[/VERSION]")
@_accepting
@json_option
def verify_signature(
    version: str,
    keys: tuple[Path, ...],
    certificates: tuple[Path, ...],
    identity: str | None,
    issuer: str | None,
    as_json: bool,
) -> int:
    """Say whether a version's signature is by somebody who is accepted, and of the file that is kept."""
    from autotrack.cli.opening import open_runs
    from autotrack.registry import signing

    accepted = signing.Accepted(tuple(map(str, keys)), tuple(map(str, certificates)), identity, issuer)
    with open_runs() as store:
        model, side = _side(store, version)
        found = signing.verify(side, accepted)
    if as_json:
        told = {"model": model, "version": side.version["version"], "digest": side.digest}
        print_json({**told, "valid": found.valid, "why": found.why, "evidence": found.evidence})
    else:
        click.echo(f"{clean(model)}/{side.version['version']}: {clean(found.why)}")
    return int(not found.valid)


@click.command(
    epilog="\b\nExamples:\n"
    "  autotrack models export clf@production clf.tar\n"
    "  autotrack models export clf/7 bundles/clf-7 --artifacts"
)
@click.argument("version", metavar="MODEL[/VERSION]")
@click.argument("target", type=click.Path(path_type=Path), metavar="FOLDER|FILE.tar")
@click.option("--artifacts", is_flag=True, help="With all other files that its run has kept.")
@json_option
def export(version: str, target: Path, artifacts: bool, as_json: bool) -> int:
    """Write a version with its record as one bundle: an OCI image layout with the media types of ModelPack."""
    from autotrack.cli.opening import open_runs
    from autotrack.registry import bundle, reading

    with open_runs() as store:
        model, side = _side(store, version)
        try:
            told = bundle.export(side, reading.model(store, model), target, artifacts=artifacts)
        except FileExistsError as problem:
            raise UsageError(str(problem)) from None
    if as_json:
        print_json(told)
    else:
        whole = size(sum(one["bytes"] for one in told["files"]))
        click.echo(f"{clean(str(target))}: {clean(model)}/{told['version']}, {len(told['files'])} files, {whole}")
    return 0


@click.command(
    name="import",
    epilog="\b\nExamples:\n  autotrack models import clf.tar\n  autotrack models import clf.tar --as risk-clf",
)
@click.argument("source", type=click.Path(path_type=Path), metavar="FOLDER|FILE.tar")
@click.option("--as", "name", help="The name of the model here; by default the one that it had.")
@click.option("--why", default="", help="The reason, for the log.")
@json_option
def bring(source: Path, name: str | None, why: str, as_json: bool) -> int:
    """Take a bundle over: its run, its files, and its model as a version here. Twice is once.

    Every file is checked before anything is written. Aliases and approvals are not taken over.
    """
    from autotrack.registry import unbundling

    told = unbundling.bring(source, name, why)
    if as_json:
        print_json(told)
    else:
        done = "is registered" if told["registered"] else "was here already"
        click.echo(f"{clean(told['model'])}/{told['version']} {done}; its run is {told['run']}")
    return 0


def _side(store: Store, reference: str) -> tuple[str, Side]:
    """A version and the name of its model."""
    from autotrack.registry import reading
    from autotrack.registry.promotion import Side
    from autotrack.store.remote_blobs import readable

    home = session.settings.resolved_home
    found = reading.resolve(store, reference)
    return str(found["model"]), Side(found, store, home, readable(home, session.settings))


def _named(asked: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    from autotrack.registry.gates import parse

    return dict(map(parse, asked))


def _sample(path: Path | None) -> Callable[[], Any] | None:
    if path is None:
        return None
    from autotrack.registry.latency import read_sample

    return lambda: read_sample(path)


def _print(made: Promoted, as_json: bool) -> None:
    told = made.told()
    if as_json:
        print_json(told)
        return
    rows = [(one["gate"], _MARKS[one["verdict"]], one["why"]) for one in told["gates"]]
    print_table(["GATE", "", "WHY"], rows)
    candidate = f"{told['model']}/{told['candidate']['version']}"
    for note in told["notes"]:
        click.echo(clean(note))
    if made.moved:
        words = f"{told['model']}@{told['alias']} points to {candidate}" + (" (forced)" if made.forced else "")
    elif made.passed:
        words = f"nothing stands in the way of {candidate}"
    else:
        words = f"refused: {told['model']}@{told['alias']} stays where it is"
    click.echo(clean(words))


commands: list[click.Command] = [check, promote, sign, verify_signature, export, bring]
"""What `autotrack models` has from here."""
