"""Making the offline session of a run that has ended, of all that its journals have told.

The layout is what `Task.import_offline_session` reads (clearml 2.1: `task.py`, and `metrics/interface.py` and
`task/log.py` in `backend_interface`): `task.json`, the fields of `tasks.edit` with the project's name and the folder's
place; `metrics.jsonl` and `log.jsonl`, each line a list of events for one `events.add_batch`; files below `data`.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from autotrack.gathering import LINES, POINTS, Parts, place
from autotrack_clearml.names import safe
from autotrack_clearml.story import Story, known, scalars, task_fields

EVENTS_PER_LINE: Final = 500


def make_archive(parts: Parts, run: str, folder: Path) -> None:
    """Write the session of a run into `folder`, if the run has ended. Raises `OSError`."""
    with parts.turn(run):
        story = known(parts, run)
        if story.ended is None:
            return
        task = f"offline-{run}"
        session = folder / task
        session.mkdir(parents=True, exist_ok=True)
        _write(session / "metrics.jsonl", _lines(_points(parts, run, task)))
        _write(session / "log.jsonl", _lines(_log(parts, run, task, story.about.get("host") or "")))
        paths = _files(parts, run, task, session, story)
        names = ["metrics.jsonl", "log.jsonl", "task.json", *dict.fromkeys(paths.values())]
        uris = {which: str(session / path) for which, path in paths.items()}
        more = {"id": task, "offline_folder": str(session), "offline_output_models": [], "output": {}}
        _write(session / "task.json", iter([json.dumps(task_fields(run, story, uris) | more, indent=1).encode()]))
        draft = folder / f".{task}.zip-{os.getpid()}"
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.write(session / name, name)
        draft.replace(folder / f"{task}.zip")


def _points(parts: Parts, run: str, task: str) -> Iterator[dict[str, Any]]:
    for line in parts.lines(run, POINTS):
        for event in scalars(line["at"], line["points"]):
            yield event | {"task": task}


def _log(parts: Parts, run: str, task: str, worker: str) -> Iterator[dict[str, Any]]:
    for line in sorted(parts.lines(run, LINES), key=lambda line: line["at"]):
        level = "error" if line["log"]["stream"] == "stderr" else "info"
        about = {"timestamp": line["at"] // 1_000_000, "type": "log", "task": task, "level": level}
        yield about | {"worker": worker, "msg": line["log"]["text"]}


def _files(parts: Parts, run: str, task: str, session: Path, story: Story) -> dict[tuple[str, str], str]:
    """Bring the run's files into the session; their places in it."""
    place_of_task = f"data/{safe(story.project)}/{safe(story.name)[:100]}.{task}"
    found = {}
    for which, file in story.files.items():
        base = safe(file["name"].replace("\\", "/").rpartition("/")[2])[-100:] or "file"
        if file["kind"] == "model":
            base = f"{base}.{safe(file['format'])}"
        found[which] = f"{place_of_task}/artifacts/{file['digest'][:16]}/{base}"
        target = session / found[which]
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            place(parts.root / run / "files" / file["digest"], target)
    return found


def _lines(events: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    while some := list(islice(events, EVENTS_PER_LINE)):
        yield json.dumps(some).encode() + b"\n"


def _write(path: Path, content: Iterator[bytes]) -> None:
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    with draft.open("wb") as file:
        file.writelines(content)
    draft.replace(path)
