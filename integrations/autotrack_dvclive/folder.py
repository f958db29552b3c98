"""One run's folder, with the files that DVCLive 3.49 writes (`dvclive/live.py`, `plots/metric.py`, `dvc.py`).

A metric is a file of tab-separated rows: the time in milliseconds, the step, the value under the last part of the
metric's name. `metrics.json` has the latest values, those of `a/b` as `b` inside `a`. All but the rows is written anew.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from autotrack.events import (
    ArtifactLogged,
    DatasetLogged,
    MetricsLogged,
    ModelLogged,
    ParamsLogged,
    Record,
    RunEnded,
    RunStarted,
    TagsSet,
)
from autotrack_dvclive import yaml
from autotrack_dvclive.ledger import Ledger, replace

METRICS, IMAGES, FILES, MODELS = "plots/metrics", "plots/images", "artifacts", "artifacts/models"
PARAMS_FILE, METRICS_FILE, TOLD_FILE, DVC_FILE = "params.yaml", "metrics.json", "autotrack.yaml", "dvc.yaml"

_IMAGES: Final = (".png", ".jpg", ".jpeg", ".gif", ".svg")
_RESERVED: Final = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_LONGEST: Final = 100

Note = Callable[[str, str], None]


class Folder:
    """Takes records of one run. Used while nobody else uses the folder."""

    def __init__(self, path: Path, run: str, blob: Callable[[str], Path]) -> None:
        self.path = path
        self._run = run
        self._blob = blob

    def take(self, records: Sequence[Record], note: Note) -> None:
        """Take records of one journal, in order; those that are held are passed over. Raises `OSError`."""
        self.path.mkdir(parents=True, exist_ok=True)
        ledger = Ledger.of(self.path)
        writer = records[0].writer
        new = [record for record in records if record.sequence > ledger.held.get(writer, -1)]
        if not new:
            return
        rows: dict[str, list[str]] = {}
        for record in new:
            self._take(record.event, ledger, rows, note)
        as_it_was = Ledger.of(self.path)
        as_it_was.lengths = {path: self._length(path) for path in rows}
        as_it_was.keep(self.path)
        for path, lines in rows.items():
            with open(self.path / path, "a", encoding="utf-8", newline="") as file:
                file.write("".join(lines))
        ledger.held[writer] = new[-1].sequence
        self._write(ledger)
        ledger.keep(self.path)

    def _take(self, event: Any, ledger: Ledger, rows: dict[str, list[str]], note: Note) -> None:
        if isinstance(event, MetricsLogged):
            step = int(event.step)
            for key, value in event.values.items():
                path = ledger.series.get(key) or self._name_series(key, ledger, note)
                if path not in rows:
                    rows[path] = [] if self._length(path) else [f"timestamp\tstep\t{_column(key)}\n"]
                rows[path].append(f"{event.time // 1_000_000}\t{step}\t{value!r}\n")
                ledger.latest[key] = value
            ledger.step = step if ledger.step is None else max(step, ledger.step)
        elif isinstance(event, ParamsLogged):
            ledger.params.update(event.params)
        elif isinstance(event, TagsSet):
            ledger.told.setdefault("tags", {}).update(event.tags)
        elif isinstance(event, RunStarted):
            named = {"run_id": event.run, "name": event.name, "project": event.project, "parent": event.parent}
            if not (event.resumed and "name" in ledger.told):
                ledger.told.update({key: text for key, text in named.items() if text})
                if event.code.get("commit"):
                    ledger.told["commit"] = event.code["commit"]
            ledger.told["status"] = "running"
            ledger.told.pop("error", None)
        elif isinstance(event, RunEnded):
            ledger.told["status"] = event.status
            if event.error:
                ledger.told["error"] = f"{event.error.get('type', '')}: {event.error.get('message', '')}"
        elif isinstance(event, DatasetLogged):
            entry = {"role": event.role, "name": event.name, **_identity(event.record)}
            if entry not in ledger.told.setdefault("datasets", []):
                ledger.told["datasets"].append(entry)
        elif isinstance(event, ModelLogged) and event.digest is not None:
            self._file(event.name, event.digest, MODELS, "model", ledger, note)
        elif isinstance(event, ArtifactLogged):
            images = event.name.lower().endswith(_IMAGES)
            self._file(event.name, event.digest, IMAGES if images else FILES, "file", ledger, note)

    def _name_series(self, key: str, ledger: Ledger, note: Note) -> str:
        taken = {_same(path) for path in ledger.series.values()}
        path = f"{METRICS}/{_safe(key)}.tsv"
        if _same(path) in taken:
            path = f"{METRICS}/{_safe(key)[:_LONGEST]}-{_hash(key)}.tsv"
        if path != f"{METRICS}/{key}.tsv":
            note(f"name {key!r}", f"the file of a metric is called as it: here {path}")
        ledger.series[key] = path
        return path

    def _file(self, name: str, digest: str, below: str, kind: str, ledger: Ledger, note: Note) -> None:
        blob = self._blob(digest)
        if not blob.is_file():
            note(f"{kind} {name}", "its file is not on this machine any more")
            return
        identity = _artifact_id(f"{kind}/{name}")
        entry = ledger.files.get(identity)
        if entry is None:
            taken = {_same(one["path"]) for one in ledger.files.values()}
            path = f"{below}/{_safe(name)}"
            if _same(path) in taken:
                path = f"{below}/{_hash(name)}-{_safe(name)[-_LONGEST:].replace('/', '_')}"
            entry = {"path": path, "type": kind, "desc": name}
        target = self.path / entry["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name[:_LONGEST]}.draft")
        shutil.copyfile(blob, draft)
        draft.replace(target)
        ledger.files[identity] = entry

    def _write(self, ledger: Ledger) -> None:
        ledger.told.setdefault("run_id", self._run)
        replace(self.path / TOLD_FILE, yaml.dumped(ledger.told))
        described: dict[str, Any] = {"params": [TOLD_FILE]}
        if ledger.params:
            replace(self.path / PARAMS_FILE, yaml.dumped(ledger.params))
            described["params"].insert(0, PARAMS_FILE)
        if ledger.latest:
            summary = _nested(ledger.latest)
            summary.setdefault("step", ledger.step)
            replace(self.path / METRICS_FILE, json.dumps(summary, indent=4) + "\n")
            described["metrics"] = [METRICS_FILE]
            described["plots"] = [{METRICS: {"x": "step"}}]
        if any(entry["path"].startswith(IMAGES) for entry in ledger.files.values()):
            described.setdefault("plots", []).append(IMAGES)
        if ledger.files:
            described["artifacts"] = ledger.files
        replace(self.path / DVC_FILE, yaml.dumped(described))

    def _length(self, path: str) -> int:
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        return file.stat().st_size if file.exists() else 0


def _safe(name: str) -> str:
    """`name` as a path below a folder, on any system."""
    parts = [re.sub(r"[^\w .=+@-]+", "_", part).strip(". ")[:_LONGEST] for part in name.split("/")]
    parts = [f"_{part}" if _RESERVED.fullmatch(part) else part for part in parts]
    made = "/".join(part for part in parts if part)
    return made if made == name and len(made) <= 2 * _LONGEST else f"{made[: 2 * _LONGEST].rstrip('/')}-{_hash(name)}"


def _same(path: str) -> str:
    """Equal for paths that are one and the same on some systems."""
    return unicodedata.normalize("NFC", path).casefold()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]


def _column(key: str) -> str:
    """The header of a metric's values: DVCLive reads them by it."""
    return re.sub(r'[\t\r\n"]', " ", key.rpartition("/")[2]) or "value"


def _artifact_id(name: str) -> str:
    """A name as dvc.yaml may have it: lower-case letters, digits, `-` and `/` (`dvc/annotations.py`, DVC 3.67)."""
    made = re.sub(r"[^a-z0-9/-]+", "-", name.lower()).strip("-/")
    return made if made == name else f"{made[:_LONGEST]}-{_hash(name)}".replace("//", "/")


def _identity(record: dict[str, Any]) -> dict[str, str]:
    for holder in (record, record.get("fingerprint")):
        value = holder.get("value") or holder.get("digest") if isinstance(holder, dict) else None
        if isinstance(value, str):
            return {"fingerprint": value}
    return {}


def _nested(latest: dict[str, float]) -> dict[str, Any]:
    """`{a/b: 1}` as `{a: {b: 1}}`; a name that is both a value and a group stays flat."""
    summary: dict[str, Any] = {}
    for key, value in latest.items():
        at = summary
        *above, last = key.split("/")
        for part in above:
            inner = at.setdefault(part, {})
            if not isinstance(inner, dict):
                break
            at = inner
        else:
            if not isinstance(at.get(last), dict):
                at[last] = value
                continue
        summary[key] = value
    return summary


__all__ = ["Folder"]
