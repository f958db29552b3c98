"""Where runs go and what they are filed under: W&B's own variables, read once when the backend is opened.

`WANDB_DIR`, `WANDB_MODE`, `WANDB_API_KEY`, `WANDB_BASE_URL`, `WANDB_ENTITY`, `WANDB_PROJECT`, `WANDB_RUN_GROUP`,
`WANDB_JOB_TYPE`, `WANDB_TAGS`, `WANDB_NOTES`, `WANDB_ORGANIZATION` mean what they mean to the SDK. It has none for the
registry that models are linked into: that is `AUTOTRACK_WANDB_REGISTRY`.
"""

from __future__ import annotations

import netrc
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from autotrack.errors import UsageError

CLOUD: Final = "https://api.wandb.ai"
REGISTRY: Final = "AUTOTRACK_WANDB_REGISTRY"
REGISTRY_PREFIX: Final = "wandb-registry-"
"""What the project behind a registry is called, in front of the registry's own name."""
_NOT_IN_A_PROJECT: Final = re.compile(r"[/\\#?%:]")
_OFFLINE: Final = frozenset({"offline", "dryrun"})
_ONLINE: Final = frozenset({"online", "run", "shared"})


@dataclass(frozen=True)
class Place:
    """What the variables say."""

    folder: Path
    """The folder `wandb`, with one folder a run in it."""
    online: bool
    """Whether runs are uploaded when they have ended."""
    has_key: bool
    url: str
    """The server, without a login that the variable may carry."""
    entity: str
    project: str
    group: str
    job_type: str
    tags: tuple[str, ...]
    notes: str
    organization: str
    """Whose registry it is; empty: that of the entity."""
    registry: str
    """Its name, without the prefix that paths have."""

    def project_of(self, project: str) -> str:
        """The project there of a run of `project`; W&B allows 128 characters and not `/ \\ # ? % :` in it."""
        return self.project or _NOT_IN_A_PROJECT.sub("_", project)[:128]


def place_from(environment: Mapping[str, str], home: Path) -> Place:
    """Read the variables. Raises `UsageError` for a mode that W&B does not have, or that sends nothing."""
    mode = environment.get("WANDB_MODE", "").strip().lower()
    if mode == "disabled":
        raise UsageError("WANDB_MODE=disabled, and the backend wandb is asked for: unset one of the two")
    if mode and mode not in _OFFLINE | _ONLINE:
        raise UsageError(f"WANDB_MODE={mode!r} is not a mode: online, offline")
    has_key = bool(environment.get("WANDB_API_KEY")) or _in_netrc(environment)
    given = environment.get("WANDB_DIR")
    root = Path(given).expanduser().absolute() if given else home.absolute()
    return Place(
        folder=root / "wandb",
        online=mode in _ONLINE or not mode and has_key,
        has_key=has_key,
        url=_shown(environment.get("WANDB_BASE_URL") or CLOUD),
        entity=environment.get("WANDB_ENTITY", ""),
        project=environment.get("WANDB_PROJECT", ""),
        group=environment.get("WANDB_RUN_GROUP", ""),
        job_type=environment.get("WANDB_JOB_TYPE", ""),
        tags=tuple(tag.strip() for tag in environment.get("WANDB_TAGS", "").split(",") if tag.strip()),
        notes=environment.get("WANDB_NOTES", ""),
        organization=environment.get("WANDB_ORGANIZATION", ""),
        registry=environment.get(REGISTRY, "").strip().removeprefix(REGISTRY_PREFIX) or "model",
    )


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _in_netrc(environment: Mapping[str, str]) -> bool:
    # As `wandb login` leaves it. Only whether it is there is looked at: the SDK reads it itself.
    host = urlsplit(environment.get("WANDB_BASE_URL") or CLOUD).hostname
    for path in (environment.get("NETRC"), "~/.netrc", "~/_netrc"):
        if not path or host is None:
            continue
        try:
            found = netrc.netrc(os.path.expanduser(path)).authenticators(host)
        except (OSError, netrc.NetrcParseError):
            continue
        if found:
            return True
    return False
