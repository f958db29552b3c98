"""The settings: the only reader of `AUTOTRACK_*`.

Each is one field of `Settings`; its environment variable, its parser and its line in `autotrack doctor` and in
`docs/settings.md` are derived from it. Argument beats environment beats default, and each value remembers which of
the three it came from. A value that cannot be read never stops anything: one warning names the variable, what it held
and what it accepts, and the default holds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias

from autotrack import guard
from autotrack.errors import UsageError

Origin: TypeAlias = Literal["argument", "environment", "default"]

DESTINATION = ("home", "backends", "store_url", "blobs_url", "project", "forwarder", "keep", "enabled")
"""The settings that say whether and where runs are kept: of a rerun the environment alone says it."""

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def _flag(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise UsageError("use 1 or 0")


def names_in(text: str) -> tuple[str, ...]:
    """The names of a comma list, each once."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UsageError("use a number of seconds, such as 30") from None
    if not 0 <= value < float("inf"):
        raise UsageError("use a number of seconds that is not negative")
    return value


def _interval(text: str) -> float:
    value = _seconds(text)
    if value < 0.1:
        raise UsageError("use at least 0.1 seconds")
    return value


def _count(text: str) -> int:
    if not text.strip().isdigit():
        raise UsageError("use a number such as 10, or 0 for none")
    return int(text)


def _choice(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in words:
            raise UsageError("use one of " + ", ".join(words))
        return word

    return parse


def _text(text: str) -> str:
    if not text.strip():
        raise UsageError("use a text that is not empty")
    return text.strip()


def _path(text: str) -> Path:
    return Path(_text(text)).expanduser().absolute()


def _setting(default: Any, parse: Callable[[str], Any], meaning: str) -> Any:
    return field(default=default, metadata={"parse": parse, "meaning": meaning})


@dataclass(frozen=True)
class Settings:
    """Every setting with its effective value; `origins` tells where each came from."""

    enabled: bool | None = _setting(
        None, _flag, "1: entry-point hooks act without enable(); 0: everything is off, at no cost"
    )
    backends: tuple[str, ...] = _setting(("local",), names_in, "where runs go: a comma list of backends")
    home: Path | None = _setting(
        None, _path, "folder of journals, store and blobs; default: nearest .autotrack upwards, else at the git root"
    )
    project: str | None = _setting(None, _text, "name of the project; default: name of the git root or working folder")
    integrations: tuple[str, ...] | None = _setting(None, names_in, "the only integrations to use; default: all")
    disabled_integrations: tuple[str, ...] = _setting((), names_in, "integrations to leave alone")
    models: str = _setting(
        "final", _choice("off", "final", "best", "all"), "which weights are kept: off, final, best, all"
    )
    datasets: bool = _setting(True, _flag, "whether datasets are described: on or off")
    integrity: str = _setting(
        "off", _choice("off", "blake3"), "blake3: datasets also get a digest that nobody can forge"
    )
    dataset_seconds: float = _setting(
        2.0, _seconds, "seconds that fingerprinting one dataset may take; past them only a part is read"
    )
    code: bool = _setting(True, _flag, "whether the source code of the first run is kept: on or off")
    console: bool = _setting(
        True, _flag, "whether what is written to stdout and stderr is kept, within bounds: on or off"
    )
    environment: tuple[str, ...] = _setting(
        (), names_in, "environment variables to record beside the usual ones; a name may end in *"
    )
    keep: str = _setting(
        "auto",
        _choice("auto", "all"),
        "auto: with remote backends alone, journals go once delivered; all: nothing goes",
    )
    forwarder: str = _setting(
        "process",
        _choice("process", "off"),
        "process: deliver from a process of its own; off: journal only, sync later",
    )
    exit_timeout: float = _setting(30.0, _seconds, "seconds that a finishing process waits for remote delivery")
    store_url: str | None = _setting(
        None, _text, "SQLAlchemy URL of the local store, such as postgresql+psycopg://…; default: SQLite in the home"
    )
    blobs_url: str | None = _setting(
        None,
        _text,
        "object store that files of runs also go to, for a team: s3://bucket/prefix, gs://…, az://…, file:///…",
    )
    query_seconds: float | None = _setting(
        None, _seconds, "seconds after which a query is ended; unset: 20 in the dashboard, else never; 0: never"
    )
    user: str | None = _setting(None, _text, "who takes steps in the registry of models; default: the login name")
    quiet: bool = _setting(False, _flag, "1: print nothing into the training's output")
    strict: bool = _setting(False, _flag, "1: faults of autotrack raise instead of being reported (for tests)")
    batch_metrics: int = _setting(
        0, _count, "n: where a framework reports each batch, keep the metrics of every n-th; 0: of epochs alone"
    )
    torch_loop: bool = _setting(
        False, _flag, "1: record plain PyTorch loops: optimizer, learning rate, steps, gradients"
    )
    torch_loss: bool = _setting(False, _flag, "1: in plain PyTorch loops also the loss, seen at Tensor.backward")
    system_metrics: float | None = _setting(
        None, _interval, "seconds between looks at processor, memory, disk, network and GPU; unset: none"
    )
    run_id: str | None = _setting(None, _text, "the run that this process belongs to (handed to child processes)")
    parent_id: str | None = _setting(None, _text, "the run that new runs of this process are children of")
    reproduce: Path | None = _setting(
        None, _path, "what this process is held to, since it runs for autotrack reproduce (handed to it)"
    )
    origins: Mapping[str, Origin] = field(default_factory=dict, compare=False)

    @property
    def resolved_home(self) -> Path:
        """The home folder, wherever it was named or found. It need not exist yet."""
        return self.home or find_home(Path.cwd())

    @property
    def resolved_project(self) -> str:
        """The project's name: as set, else that of the git root or working folder."""
        return self.project or (git_root(Path.cwd()) or Path.cwd()).name or "default"

    @property
    def resolved_user(self) -> str:
        """Who works here: as set, else the login name."""
        if self.user:
            return self.user
        import getpass

        try:
            return getpass.getuser()
        except (ImportError, KeyError, OSError):  # a container whose user has no name
            return f"user {os.getuid()}" if hasattr(os, "getuid") else "unknown"


def variable(name: str) -> str:
    """The environment variable of the setting `name`."""
    return "AUTOTRACK_" + name.upper()


def described() -> list[tuple[str, str, Any, str]]:
    """Every setting as (name, variable, default, meaning), in the order of `Settings`."""
    return [
        (item.name, variable(item.name), item.default, item.metadata["meaning"])
        for item in fields(Settings)
        if item.metadata
    ]


def load(environ: Mapping[str, str] | None = None, **arguments: Any) -> Settings:
    """Read the settings. `arguments` that are not None win over the environment.

    Raises `UsageError` for an argument that is not a setting: a typo must not vanish.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    known = [item for item in fields(Settings) if item.metadata]
    unknown = arguments.keys() - {item.name for item in known}
    if unknown:
        raise UsageError(
            f"autotrack has no setting {', '.join(sorted(unknown))}; it has {', '.join(item.name for item in known)}"
        )
    for item in known:
        name, parse = item.name, item.metadata["parse"]
        origins[name] = "default"
        given = arguments.get(name)
        text = environ.get(variable(name))
        if given is not None:
            values[name] = _checked_argument(name, given, parse)
            origins[name] = "argument"
        elif text is not None and text.strip():
            try:
                values[name] = parse(text)
                origins[name] = "environment"
            except UsageError as problem:
                guard.warn_once(
                    f"setting:{name}", f"{variable(name)}={text!r} is ignored: {problem}; using {item.default!r}"
                )
    _tell_misspelt(environ, [item.name.upper() for item in known])
    return Settings(**values, origins=origins)


def _tell_misspelt(environ: Mapping[str, str], known: list[str]) -> None:
    # Only what looks like one of ours: another plugin may have variables of its own under this prefix.
    for given in environ:
        if given.startswith("AUTOTRACK_") and (name := given.removeprefix("AUTOTRACK_")) not in known:
            from difflib import get_close_matches

            for close in get_close_matches(name, known, 1, cutoff=0.8):
                guard.warn_once(f"setting:{given}", f"{given} is not a setting; did you mean AUTOTRACK_{close}?")


def _checked_argument(name: str, given: Any, parse: Callable[[str], Any]) -> Any:
    if isinstance(given, str | os.PathLike):
        text = os.fspath(given)
    elif isinstance(given, Sequence) and all(isinstance(part, str) for part in given):
        text = ",".join(given)
    else:
        text = str(given)
    try:
        return parse(text)
    except UsageError as problem:
        raise UsageError(f"{name}={given!r} cannot be used: {problem}") from None


def as_environment(settings: Settings) -> dict[str, str]:
    """The variables that make a child process read these very settings."""
    passed = {
        "AUTOTRACK_HOME": str(settings.resolved_home),
        "AUTOTRACK_PROJECT": settings.resolved_project,
        "AUTOTRACK_BACKENDS": ",".join(settings.backends),
        "AUTOTRACK_KEEP": settings.keep,
        "AUTOTRACK_EXIT_TIMEOUT": str(settings.exit_timeout),
    }
    if settings.store_url:
        passed["AUTOTRACK_STORE_URL"] = settings.store_url
    if settings.blobs_url:
        passed["AUTOTRACK_BLOBS_URL"] = settings.blobs_url
    if settings.system_metrics is not None:
        passed["AUTOTRACK_SYSTEM_METRICS"] = str(settings.system_metrics)
    return passed


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return ""


_IMPORTED_IN = _here()


def imported_in() -> str:
    """The working folder when autotrack was imported, which is mostly where the process was started; "" if none."""
    return _IMPORTED_IN


def git_root(start: Path) -> Path | None:
    """The nearest folder at or above `start` that holds `.git`, or None."""
    return next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), None)


def find_home(start: Path) -> Path:
    """Where runs live: the nearest `.autotrack/` at or above `start`, else at the git root, else in `start`."""
    for folder in (start, *start.parents):
        if (folder / ".autotrack").is_dir():
            return folder / ".autotrack"
    return (git_root(start) or start) / ".autotrack"
