"""`autotrack verify`: whether what is kept still is what was kept."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autotrack.cli.opening import has_runs, none_yet, open_runs
from autotrack.cli.printing import json_option, print_json, print_table, size
from autotrack.session import session

if TYPE_CHECKING:
    from autotrack.provenance.blobs import Blobs


@click.command(epilog="\b\nExample:\n  autotrack verify && cp -r .autotrack /backup")
@json_option
def verify(as_json: bool) -> int:
    """Check every blob against its SHA-256, and every part of one and every journal against their checksums.

    The exit code is 1 when something is damaged or missing. A torn tail is none of that: its process died while it
    wrote, and the event had not yet been promised.
    """
    home = session.settings.resolved_home
    blobs, parts, journals = _blobs(home), _parts(home), _journals(home)
    damaged = bool(blobs["damaged"] or blobs["missing"] or parts["damaged"])
    damaged = damaged or any(one["damaged"] or one["problem"] for one in journals)
    if as_json:
        print_json({"damaged": damaged, "blobs": blobs, "parts": parts, "journals": journals})
        return int(damaged)
    if not home.is_dir():
        click.echo(none_yet(session.settings))
        return 0
    frames = sum(one["frames"] for one in journals)
    click.echo(
        f"{blobs['checked']:,} blobs ({size(blobs['bytes'])}) and {frames:,} events in {len(journals):,} journals"
    )
    if parts["checked"]:
        click.echo(f"{parts['checked']:,} parts ({size(parts['bytes'])}) of {parts['blobs']:,} of these blobs")
    for name in parts["damaged"]:
        click.echo(f"damaged: part {name} no longer has the bytes that were kept")
    for digest in blobs["damaged"]:
        reason = _reason(home, digest)
        click.echo(f"damaged: blob {digest} no longer has the bytes that were kept" + (f": {reason}" if reason else ""))
    for lost in blobs["missing"]:
        click.echo(f"missing: blob {lost['digest']} of {lost['kind']} {lost['name']} of run {lost['run']}")
    odd = [one for one in journals if one["damaged"] or one["torn_bytes"] or one["problem"]]
    if odd:
        columns = ["journal", "frames", "damaged", "torn_bytes", "problem"]
        print_table(columns, ([one[column] for column in columns] for one in odd), right=columns[1:4])
    click.echo("damage was found: what is intact stays readable" if damaged else "all is well")
    return int(damaged)


def _blobs(home: Path) -> dict[str, Any]:
    from autotrack.provenance.blobs import Blobs

    blobs = Blobs(home)
    found = sorted(blobs.digests())
    kept = set(found)
    return {
        "checked": len(found),
        "bytes": sum(_size(blobs, digest) for digest in found),
        "damaged": [digest for digest in found if not blobs.verify(digest)],
        "missing": [one for one in _named_blobs() if one["digest"] not in kept],
    }


def _size(blobs: Blobs, digest: str) -> int:
    from autotrack.provenance.parts import PartDamaged

    try:
        return blobs.size(digest)
    except PartDamaged:  # told as damaged
        return 0


def _reason(home: Path, digest: str) -> str | None:
    """What is wrong with a blob in parts; None for one that lies whole."""
    from autotrack.provenance.blobs import Blobs
    from autotrack.provenance.parts import PartDamaged

    blobs = Blobs(home)
    try:
        recipe = blobs.recipe(digest)
        for _ in blobs.parts.blocks(recipe) if recipe is not None else ():
            pass
    except (OSError, PartDamaged) as problem:
        return str(problem)
    return None


def _parts(home: Path) -> dict[str, Any]:
    """The parts themselves: also those that no blob is made of, whose model has no name yet."""
    from autotrack.provenance.blobs import Blobs
    from autotrack.provenance.parts import PartDamaged, length_of

    blobs = Blobs(home)
    checked, damaged = [], []
    for pack in blobs.parts.packs():
        try:
            found = blobs.parts.content(pack)
        except PartDamaged:
            damaged.append(pack)
            continue
        checked += found
        damaged += [f"{pack}/{part.name}" for part in found if not blobs.parts.is_whole(part)]
    return {
        "checked": len(checked),
        "bytes": sum(length_of(part.name) for part in checked),
        "blobs": sum(1 for _ in blobs.folder.glob("??/*.parts")),
        "damaged": damaged,
    }


def _named_blobs() -> list[dict[str, str]]:
    if not has_runs(session.settings):
        return []
    from sqlalchemy import select

    from autotrack.store import schema

    named = []
    with open_runs() as store, store.engine.connect() as connection:
        for kind, table in (("model", schema.models), ("artifact", schema.artifacts)):
            statement = select(table.c.digest, table.c.run_id, table.c.name).where(table.c.digest.is_not(None))
            for digest, run, name in connection.execute(statement.order_by(table.c.id)):
                named.append({"digest": digest, "run": run, "kind": kind, "name": name})
    return named


def _journals(home: Path) -> list[dict[str, Any]]:
    from autotrack.journal.reader import archived, journals

    return [_journal(folder) for folder in [*archived(home), *journals(home)]]


def _journal(folder: Path) -> dict[str, Any]:
    from autotrack.journal.liveness import is_alive
    from autotrack.journal.reader import Journal

    journal, frames, problem = Journal(folder), 0, None
    alive = folder.parent.name == "journals" and is_alive(folder)
    try:
        for _ in journal.records(final=not alive):
            frames += 1
    except (OSError, EOFError, zlib.error) as error:  # a compressed segment that cannot be unpacked
        problem = f"{type(error).__name__}: {error}"
    damage = journal.damage
    return {
        "journal": folder.name,
        "frames": frames,
        "damaged": damage.frames,
        "torn_bytes": damage.torn_bytes,
        "problem": problem,
    }
