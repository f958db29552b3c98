"""Whether what is kept still is what was kept: `autotrack verify`.

Blobs are read against their SHA-256, parts and journals against their checksums, the store against the journals, and
whatever names a file against what is there. A report leaves, with what can be done about each; nothing is changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, select

from autotrack.errors import AutotrackError
from autotrack.forward.progress import all_progress
from autotrack.journal.reader import archived, journals
from autotrack.provenance.blobs import Blobs
from autotrack.provenance.parts import PartDamaged, length_of
from autotrack.settings import Settings
from autotrack.store import schema
from autotrack.store.query import Store
from autotrack.upkeep.comparing import Compared, compare, mending
from autotrack.upkeep.naming import REMOVED, named_in

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
Seen = Callable[[str, int, int], None]
"""Told what is looked at, how many of it have been, and how many there are."""


@dataclass
class Checked:
    """What was looked at, and what is wrong."""

    blobs: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    """Of damaged blobs in parts, what is wrong with them."""
    compared: Compared = field(default_factory=Compared)
    has_store: bool = False

    @property
    def damaged(self) -> bool:
        """Whether anything is not as it should be."""
        wrong = self.blobs["damaged"] or self.blobs["missing"] or self.parts["damaged"] or self.compared.problems
        return bool(wrong or any(one["damaged"] or one["problem"] for one in self.compared.journals))

    @property
    def mend(self) -> list[str]:
        """What can be done, in words."""
        words = mending(self.compared)
        for digest, names in self.blobs["elsewhere"].items():
            if names:
                words.append(f"blob {digest} was delivered to {', '.join(names)}: get it from there")
        if self.blobs["damaged"]:
            words.append("a damaged file may be whole in a backup: autotrack restore BACKUP --home ELSEWHERE")
        return words

    def record(self) -> dict[str, Any]:
        """As it is printed."""
        found = self.compared
        return {
            "damaged": self.damaged,
            "blobs": self.blobs,
            "parts": self.parts,
            "journals": found.journals,
            "store": {
                "runs": found.runs,
                "points": found.points,
                "removed": found.removed,
                "journals_elsewhere": found.elsewhere,
                "problems": found.problems,
                "dangling": found.dangling,
            }
            if self.has_store
            else None,
            "mend": self.mend,
        }


def check(home: Path, settings: Settings, store: Store | None, seen: Seen = lambda what, done, of: None) -> Checked:
    """Look at everything in the home. Raises `StoreError` where the store cannot be read at all."""
    made = Checked(has_store=store is not None)
    blobs = Blobs(home)
    found = sorted(blobs.digests())
    damaged, size = [], 0
    for index, digest in enumerate(found):
        seen("blobs", index, len(found))
        size += _size(blobs, digest)
        if not blobs.verify(digest):
            damaged.append(digest)
            if reason := _reason(blobs, digest):
                made.reasons[digest] = reason
    made.parts = _parts(blobs, seen)
    folders = [*archived(home), *journals(home)]
    done = iter(range(len(folders) + 1))
    takes_all = "local" in settings.backends
    made.compared = compare(home, store, lambda: seen("journals", next(done, 0), len(folders)), takes_all=takes_all)
    named: list[dict[str, str]] = []
    removed: set[str] = set()
    if store is not None:
        with store.engine.connect() as connection:
            named = list(named_blobs(connection))
            removed = set(connection.execute(_removed()).scalars())
    there = removed | remote(settings)
    missing = [one for one in named if one["digest"] not in there and not blobs.has(one["digest"])]
    missing = list({(one["digest"], one["run"], one["kind"], one["name"]): one for one in missing}.values())
    if settings.store_url is not None and settings.blobs_url is None:  # several homes may share the database
        others = [one for one in missing if one["run"] not in made.compared.here]
        missing = [one for one in missing if one["run"] in made.compared.here]
        for one in others:
            why = f"blob {one['digest']} of {one['kind']} {one['name']} is not here; another home may have it"
            made.compared.dangling.append({"run": one["run"], "problem": why})
    known = {one["digest"] for one in named}
    made.blobs = {
        "checked": len(found),
        "bytes": size,
        "damaged": damaged,
        "missing": missing,
        "unnamed": sum(digest not in known for digest in found) if store is not None else 0,
        "removed": len(removed),
        "elsewhere": _elsewhere(home, [*damaged, *dict.fromkeys(one["digest"] for one in missing)]),
    }
    return made


def remote(settings: Settings) -> set[str]:
    """The digests that the team's object store holds, if there is one. Raises `BackendUnavailable`."""
    if settings.blobs_url is None:
        return set()
    from autotrack.store.objects import ObjectStore

    return {digest for digest, _ in ObjectStore(settings.blobs_url).digests()}


def named_blobs(connection: Connection) -> Iterator[dict[str, str]]:
    """`{digest, run, kind, name}` of whatever the store names: models, artifacts, versions, and files in records."""
    for kind, table in (("model", schema.models), ("artifact", schema.artifacts)):
        wanted = select(table.c.digest, table.c.run_id, table.c.name).where(table.c.digest.is_not(None))
        for digest, run, name in connection.execute(wanted.order_by(table.c.id)):
            yield {"digest": digest, "run": run, "kind": kind, "name": name}
    versions = select(schema.registry).where(schema.registry.c.action == "register")
    for row in connection.execute(versions):
        if row.digest is not None:
            yield {"digest": row.digest, "run": row.run_id, "kind": "version", "name": row.model}
    for row in connection.execute(select(schema.datasets)):
        for digest in _digests(json.loads(row.record)):
            yield {"digest": digest, "run": row.run_id, "kind": "dataset", "name": f"{row.role}/{row.name}"}
    provenance = schema.provenance
    for row in connection.execute(select(provenance).where(provenance.c.kind.not_in(("inputs", "outputs", REMOVED)))):
        for digest in _digests(json.loads(row.value)):
            yield {"digest": digest, "run": row.run_id, "kind": row.kind, "name": row.key}


def _digests(value: Any) -> Iterator[str]:
    """A `{digest, bytes}` at any depth names a blob."""
    if isinstance(value, dict):
        digest = value.get("digest")
        if isinstance(digest, str) and "bytes" in value and _DIGEST.fullmatch(digest):
            yield digest
        for inner in value.values():
            yield from _digests(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _digests(inner)


def _removed() -> Any:
    return select(schema.provenance.c.key).where(schema.provenance.c.kind == REMOVED)


def _elsewhere(home: Path, digests: list[str]) -> dict[str, list[str]]:
    """By digest, the backends that have got the whole of a journal that names it."""
    found: dict[str, list[str]] = {digest: [] for digest in digests}
    if not digests:
        return {}
    for folder in [*archived(home), *journals(home)]:
        have = [one.backend for one in all_progress(home, folder.name) if one.done and one.backend != "local"]
        if not have:
            continue
        try:
            named = named_in([folder], home)
        except AutotrackError:  # damaged, which is told
            continue
        for digest in named.intersection(digests):
            found[digest] = list(dict.fromkeys([*found[digest], *have]))
    return found


def _size(blobs: Blobs, digest: str) -> int:
    try:
        return blobs.size(digest)
    except (PartDamaged, OSError):  # told as damaged
        return 0


def _reason(blobs: Blobs, digest: str) -> str | None:
    """What is wrong with a blob in parts; None for one that lies whole."""
    try:
        recipe = blobs.recipe(digest)
        for _ in blobs.parts.blocks(recipe) if recipe is not None else ():
            pass
    except (OSError, PartDamaged) as problem:
        return str(problem)
    return None


def _parts(blobs: Blobs, seen: Seen) -> dict[str, Any]:
    """The parts themselves: also those that no blob is made of, whose model has no name yet."""
    packs = blobs.parts.packs()
    count, size = 0, 0
    damaged = []
    for index, pack in enumerate(packs):
        seen("parts", index, len(packs))
        try:
            found = blobs.parts.content(pack)
        except PartDamaged:
            if (blobs.parts.folder / pack).exists():  # else collected at this moment
                damaged.append(pack)
            continue
        count += len(found)
        size += sum(length_of(part.name) for part in found)
        damaged += [f"{pack}/{part.name}" for part in found if not blobs.parts.is_whole(part)]
    recipes = sum(1 for _ in blobs.folder.glob("??/*.parts"))
    return {"checked": count, "bytes": size, "blobs": recipes, "damaged": damaged}
