"""What was installed when a run began: the packages of its lock file, for the page that shows its environment."""

from __future__ import annotations

import tomllib
from typing import Any, Final

from autotrack.provenance.blobs import Blobs
from autotrack.provenance.parts import PartDamaged

LARGEST: Final = 8 << 20


def packages(blobs: Blobs, record: dict[str, Any]) -> dict[str, Any]:
    """`{packages: [{name, version, from}], problem}` of the lock (PEP 751) that the run's record names."""
    named = (record.get("environment") or {}).get("lock")
    if not isinstance(named, dict) or not isinstance(named.get("digest"), str):
        return {"packages": [], "problem": "the packages of this run were not recorded"}
    try:
        with blobs.open(named["digest"]) as opened:
            told = tomllib.loads(opened.read(LARGEST).decode())
    except FileNotFoundError:
        return {"packages": [], "problem": "the list of packages is not kept here any more"}
    except (ValueError, OSError, PartDamaged) as problem:
        return {"packages": [], "problem": f"the list of packages cannot be read: {problem}"}
    entries = told.get("packages")
    found = [_entry(one) for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
    others = told.get("tool", {}).get("autotrack", {}).get("others", [])
    for one in others:
        name, _, version = str(one).partition("==")
        found.append({"name": name, "version": version, "from": "another way"})
    return {"packages": sorted(found, key=lambda one: str(one["name"]).lower()), "problem": None}


def _entry(one: dict[str, Any]) -> dict[str, str | None]:
    version = one.get("version") or one.get("tool", {}).get("autotrack", {}).get("version")
    return {"name": str(one.get("name")), "version": str(version) if version else "", "from": _origin(one)}


def _origin(one: dict[str, Any]) -> str | None:
    """Where it came from, where that was no index."""
    if isinstance(one.get("directory"), dict):
        return "a folder, editable" if one["directory"].get("editable") else "a folder"
    for key in ("vcs", "archive"):
        if isinstance(one.get(key), dict):
            return str(one[key].get("url") or one[key].get("path") or key)
    return None


__all__ = ["packages"]
