"""The recorded environment: what differs from the one at hand, and making it anew as a virtual environment.

A lock file (`pylock.toml`, PEP 751) enters; differences, or a Python with the pinned distributions, leave. What is
installed here in the pinned version is linked into the new environment, so that it costs neither time nor disk;
the rest is installed by uv where there is one, else by pip.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, Final

from autotrack.provenance.environment.installed import distributions as on_path
from autotrack.reproduce.command import moved
from autotrack.reproduce.refused import Refused

OURS: Final = "autotrack-ml"


@dataclass(frozen=True)
class Pin:
    """One recorded distribution."""

    name: str
    version: str
    source: Mapping[str, Any] = field(default_factory=dict)
    """`vcs`, `archive` or `directory` of the lock file, where it did not come from an index."""

    @property
    def requirement(self) -> str:
        """As pip takes it."""
        vcs, archive = self.source.get("vcs"), self.source.get("archive")
        directory = self.source.get("directory")
        if vcs:
            return f"{self.name} @ {vcs['type']}+{vcs.get('url') or vcs.get('path')}@{vcs['commit-id']}"
        if archive:
            return f"{self.name} @ {archive.get('url') or Path(archive['path']).as_uri()}"
        if directory:
            return f"{'-e ' if directory.get('editable') else ''}{directory['path']}"
        return f"{self.name}=={self.version}"


def pins(lock: bytes) -> dict[str, Pin]:
    """The distributions of a lock file by their normalized names. Raises `Refused` for what is none."""
    try:
        told = tomllib.loads(lock.decode())
        packages = told["packages"]
    except (ValueError, KeyError) as problem:
        raise Refused(f"the recorded lock file cannot be read: {problem}") from None
    found = {}
    for one in packages:
        source = {key: one[key] for key in ("vcs", "archive", "directory") if key in one}
        version = one.get("version") or one.get("tool", {}).get("autotrack", {}).get("version", "")
        found[normalized(one["name"])] = Pin(normalized(one["name"]), str(version), source)
    for other in told.get("tool", {}).get("autotrack", {}).get("others", ()):  # neither wheels nor direct URLs
        name, _, version = other.partition("==")
        found[normalized(name)] = Pin(normalized(name), version)
    return found


def installed() -> dict[str, str]:
    """The distributions that this interpreter sees, with their versions; of two of one name, the one it imports."""
    return {one.name: one.version for one in on_path(sys.path)}


def differences(was: Mapping[str, str], now: Mapping[str, str], first: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Distributions that differ, as `{name, was, now}`; `first` names those that concern the training most.

    One that is only there now is no difference that a training could have missed: it comes last.
    """
    order = {name: place for place, name in enumerate(first)}
    changed = [
        {"name": name, "was": was.get(name), "now": now.get(name)}
        for name in {**was, **now}
        if name != OURS and was.get(name) != now.get(name)
    ]
    kinds = {(True, True): 0, (True, False): 1, (False, True): 2}
    return sorted(
        changed,
        key=lambda one: (
            kinds[one["was"] is not None, one["now"] is not None],
            order.get(one["name"], len(order)),
            one["name"],
        ),
    )


def normalized(name: str) -> str:
    """The one spelling of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def own_imports(wanted: Mapping[str, Pin], root: Path | None, code: Path) -> list[str]:
    """Where a project that was installed in place is imported from, now that what was in `root` is in `code`."""
    found = []
    for pin in wanted.values():
        path = str((pin.source.get("directory") or {}).get("path") or "")
        if pin.name != OURS and path and (new := moved(path, root, code)) != path:
            source = os.path.join(new, "src")
            found.append(source if os.path.isdir(source) else new)
    return found


def make(
    folder: Path, wanted: Mapping[str, Pin], version: str | None, root: Path | None = None, code: Path | None = None
) -> Path:
    """Make a virtual environment in `folder` with these distributions and none else; its interpreter.

    `version` is that of the recorded Python. What was installed in place from below `root` is not installed: it is
    imported from `code` (`own_imports`). Raises `Refused` where Python or a distribution cannot be had.
    """
    own = {name for name, pin in wanted.items() if code is not None and own_imports({name: pin}, root, code)}
    uv = shutil.which("uv")
    base = _interpreter(version, uv)
    if uv and base is None:
        command = [uv, "venv", "--quiet", "--python", ".".join((version or "").split(".")[:2]), str(folder)]
    else:
        command = [str(base), "-m", "venv", "--without-pip", str(folder)]
    _run(command, "the virtual environment cannot be made")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    tell = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(_run([str(python), "-I", "-c", tell], "the virtual environment does not work").strip())
    linked = _link_installed(site, folder, python, wanted) if base == Path(sys.executable) else set()
    rest = [pin for name, pin in wanted.items() if name not in linked and name not in own and name != OURS]
    if rest:
        _install(python, folder, rest, uv)
    return python


def _interpreter(version: str | None, uv: str | None) -> Path | None:
    """A Python of the recorded minor version: the running one where that fits, one on the path, or None for uv's."""
    minor = ".".join((version or "").split(".")[:2])
    if not minor or minor == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return Path(sys.executable)
    found = shutil.which(f"python{minor}")
    if found is None and uv is None:
        raise Refused(f"the run used Python {version}, and there is no python{minor} on the path; install it, or uv")
    return Path(found) if found else None


def _install(python: Path, folder: Path, rest: list[Pin], uv: str | None) -> None:
    requirements = folder / "requirements.txt"
    requirements.write_text("".join(f"{pin.requirement}\n" for pin in rest))
    installer = [uv, "pip", "install", "--quiet", "--python", str(python)] if uv else [sys.executable, "-m", "pip"]
    if not uv:
        installer += ["--python", str(python), "install", "--quiet", "--disable-pip-version-check"]
    _run(
        [*installer, "--no-deps", "-r", str(requirements)],
        "not all recorded distributions can be installed",
    )


def _run(command: list[str], problem: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Refused(f"{problem}: {' '.join(said[-3:])}")
    return done.stdout


def _link_installed(site: Path, folder: Path, python: Path, wanted: Mapping[str, Pin]) -> set[str]:
    """Link what is installed here in the wanted version, and autotrack itself as it runs; the names of those."""
    linked: set[str] = set()
    seen: set[str] = set()
    for one in distributions():
        name = normalized(one.metadata["Name"] or "")
        if name in seen:
            continue
        seen.add(name)
        fits = name == OURS or (name in wanted and wanted[name].version == one.version)
        if fits and one.files:
            _link(one, site, folder, python)
            linked.add(name)
    return linked


def _link(distribution: Distribution, site: Path, folder: Path, python: Path) -> None:
    here = os.path.realpath(str(distribution.locate_file("")))
    prefix = os.path.realpath(sys.prefix)
    for file in distribution.files or ():
        source = os.path.normpath(os.path.join(here, str(file)))
        if source.startswith(here + os.sep):
            target = site / os.path.relpath(source, here)
        elif source.startswith(prefix + os.sep):  # scripts and shared files
            target = folder / os.path.relpath(source, prefix)
        else:
            continue
        if target.exists() or not os.path.isfile(source):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.parent == python.parent:
            _copy_script(Path(source), target, python)
        else:
            _link_file(source, target)


def _copy_script(source: Path, target: Path, python: Path) -> None:
    content = source.read_bytes()
    first, newline, rest = content.partition(b"\n")
    if first.startswith(b"#!") and b"python" in first:
        content = f"#!{python}".encode() + newline + rest
    target.write_bytes(content)
    target.chmod(0o755)


def _link_file(source: str, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


__all__ = ["OURS", "Pin", "differences", "installed", "make", "normalized", "own_imports", "pins"]
