"""What is installed as a `pylock.toml` (PEP 751; the pylock.toml specification 1.0).

Distributions enter; text leaves, the same for the same ones. Direct URLs become `vcs`, `archive` or `directory`,
editable ones marked, logins in them masked. Of what came from an index, installers keep neither the file's address nor
its hash: the entry then names the wheel by its file name, expected beside the lock, and its `record-sha256` is the
digest of the installed `RECORD`, by which an installation can be compared. What the form cannot say is in
`[tool.autotrack]`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from autotrack.provenance.environment.installed import Distribution
from autotrack.provenance.masking import masked

_ESCAPES: Final = {
    ord("\\"): "\\\\",
    ord('"'): '\\"',
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
    127: "\\u007f",
}
_ESCAPES_ALL: Final = {**{code: f"\\u{code:04x}" for code in range(32)}, **_ESCAPES}


def pylock(installed: Iterable[Distribution]) -> str:
    """The lock file's text."""
    version = ".".join(map(str, sys.version_info[:3]))
    lines = ['lock-version = "1.0"', f'requires-python = "=={version}"', 'created-by = "autotrack-ml"', ""]
    others = []
    for one in installed:
        entry = _entry(one)
        if entry is None:
            others.append(f"{one.name}=={one.version}")
        else:
            lines += ["[[packages]]", *(f"{key} = {_toml(value)}" for key, value in entry.items()), ""]
    if "[[packages]]" not in lines:
        lines.insert(3, "packages = []")
    lines += [
        "[tool.autotrack]",
        "# installed in a way that is neither a wheel nor a direct URL",
        f"others = {_toml(others)}",
        "",
    ]
    return "\n".join(lines)


def _entry(one: Distribution) -> dict[str, Any] | None:
    direct = one.direct
    url = str(direct.get("url") or "")
    below = {"subdirectory": str(direct["subdirectory"])} if direct.get("subdirectory") else {}
    # A source tree may give another version the next time: the form wants none then, so that it is told beside.
    told = {"tool": {"autotrack": {"version": one.version}}}
    if url and (info := direct.get("vcs_info")):
        wanted = info.get("requested_revision")
        revision = {"requested-revision": str(wanted)} if wanted else {}
        tree = {
            "type": str(info.get("vcs")),
            "url": masked(url),
            **revision,
            "commit-id": str(info.get("commit_id")),
            **below,
        }
        return {"name": one.name, "vcs": tree, **told}
    if url and "dir_info" in direct:
        folder = {"path": masked(_local(url)), "editable": one.editable, **below}
        return {"name": one.name, "directory": folder, **told}
    if url and one.hashes:
        where = {"path": masked(_local(url))} if url.startswith("file:") else {"url": masked(url)}
        return {"name": one.name, "version": one.version, "archive": {**where, "hashes": one.hashes, **below}}
    if not one.tags:
        return None
    hashes = one.hashes or {"record-sha256": one.record}
    if not next(iter(hashes.values())):
        return None
    wheel = {"name": _file(one), "path": _file(one), "hashes": hashes}
    return {"name": one.name, "version": one.version, "wheels": [wheel]}


def _file(one: Distribution) -> str:
    """The file name of the wheel that was installed; several tags are one compressed tag."""
    sets = ([tag.split("-")[part] for tag in one.tags if tag.count("-") == 2] for part in range(3))
    tags = "-".join(".".join(sorted(set(parts))) for parts in sets)
    build = f"{one.build}-" if one.build else ""
    return f"{one.name.replace('-', '_')}-{one.version}-{build}{tags}.whl"


def _local(url: str) -> str:
    path = unquote(urlsplit(url).path)
    return path[1:] if os.name == "nt" and path[2:3] == ":" else path


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return '"' + str(value).translate(_ESCAPES_ALL) + '"'


def _key(name: str) -> str:
    bare = name.replace("-", "").replace("_", "")
    return name if bare.isalnum() and name.isascii() else _toml(name)
