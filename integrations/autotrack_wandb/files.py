"""Files of a run: artifacts become files of the W&B run, models become W&B artifacts.

What is put into the run's folder stays there until it has been uploaded: `wandb sync` reads it from its place.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, Final

from autotrack.backend import BackendContext, BackendUnavailable
from autotrack.events import ArtifactLogged, ModelLogged

_OWN: Final = frozenset(
    {
        "config.yaml",
        "output.log",
        "requirements.txt",
        "conda-environment.yaml",
        "wandb-metadata.json",
        "wandb-summary.json",
        "diff.patch",
    }
)
"""Files that W&B writes into a run by itself."""
_GLOB: Final = re.compile(r"[*?\[\]\\\x00-\x1f]")
_NOT_IN_AN_ARTIFACT: Final = re.compile(r"[^\w.-]", re.ASCII)
LONGEST_STEP: Final = 200
"""Bytes of one step of a path; file systems take 255, and a suffix may come."""


def path_of(name: str) -> str:
    """`name` as a path in the run's folder `files`, without upward steps; always the same one for a name.

    W&B reads a path as a pattern, so the characters of patterns are replaced. A name that was changed gets the
    beginning of its hash: two names stay two.
    """
    steps = [step for step in _GLOB.sub("_", name).split("/") if step not in ("", ".")]
    steps = [_short("__" if step == ".." else step) for step in steps] or ["file"]
    path = "/".join(steps)
    if path in _OWN or steps[0] in ("autotrack", "media") and path == name:
        return f"autotrack/{path}"
    if path == name:
        return path
    stem, dot, ending = steps[-1].rpartition(".")
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    steps[-1] = f"{stem}-{mark}.{ending}" if dot and stem else f"{steps[-1]}-{mark}"
    return "/".join(steps)


def put(context: BackendContext, event: ArtifactLogged | ModelLogged, target: Path, *, link: bool = False) -> bool:
    """Have the file of an event at `target`, in place of one that is there; False where it is not kept any more.

    With `link` both are one file where the file system can do that: for large files that nobody edits.
    """
    assert event.digest is not None
    source = context.blob(event.digest)
    if not source.is_file():
        return False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{os.getpid()}-{hashlib.sha256(target.name.encode()).hexdigest()[:8]}")
        draft.unlink(missing_ok=True)
        if not (link and _linked(source, draft)):
            shutil.copyfile(source, draft)
        draft.replace(target)
        draft.unlink(missing_ok=True)  # where both were the same file, replacing leaves it
    except OSError as problem:
        raise BackendUnavailable(f"{target} cannot be written: {problem.strerror}") from problem
    return True


def model_artifact(run: str, project: str, entity: str, event: ModelLogged, kept: Path) -> dict[str, Any]:
    """The `ArtifactRecord` of a model whose file lies at `kept`.

    It is called `run-<run>-<name>`, as the SDK's `log_model` calls it. The digest is that of a manifest of version 1:
    MD5 of `wandb-artifact-manifest-v1`, and of each file's path with its own MD5 in base 64. It is not `user_created`:
    such a one the SDK hands in without its run.
    """
    with open(kept, "rb") as file:
        content = base64.b64encode(hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest())
    path = f"{_NOT_IN_AN_ARTIFACT.sub('_', event.name)[:100]}.{event.format}"
    name = f"run-{run}-{_NOT_IN_AN_ARTIFACT.sub('_', event.register or event.name)}"[:128]
    digest = content.decode()
    manifest = f"wandb-artifact-manifest-v1\n{path}:{digest}\n".encode()
    metadata = {
        "name": event.name,
        "format": event.format,
        "sha256": event.digest,
        "step": event.step,
        "signature": event.signature,
        "autotrack.run_id": run,
    }
    return {
        "run_id": run,
        "project": project,
        "entity": entity,
        "type": "model",
        "name": event.register and _NOT_IN_AN_ARTIFACT.sub("_", event.register)[:128] or name,
        "digest": hashlib.md5(manifest, usedforsecurity=False).hexdigest(),
        "metadata": json.dumps({key: value for key, value in metadata.items() if value is not None}, default=str),
        "aliases": list(dict.fromkeys(["latest", *event.aliases])),
        "manifest": {
            "version": 1,
            "storage_policy": "wandb-storage-policy-v1",
            "storage_policy_config": [{"key": "storageLayout", "value_json": '"V2"'}],
            "contents": [
                {"path": path, "digest": digest, "size": event.bytes or 0, "local_path": str(kept), "skip_cache": True}
            ],
        },
        "finalize": True,
        "client_id": _client_id(run, event.name, str(event.time), digest),
        "sequence_client_id": _client_id(run, event.name),
        "digest_algorithm": "MANIFEST_MD5",
    }


def _client_id(*parts: str) -> str:
    # 128 letters and digits, drawn by chance in the SDK; here the same ones for the same thing.
    return hashlib.sha512("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        return False
    return True


def _short(step: str) -> str:
    if len(step.encode("utf-8", "surrogatepass")) <= LONGEST_STEP:
        return step
    return step.encode("utf-8", "surrogatepass")[:LONGEST_STEP].decode("utf-8", "ignore")
