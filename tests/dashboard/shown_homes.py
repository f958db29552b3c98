"""A home with one of everything that the page of a run shows: made once for all tests, by a real script in a git
repository with uncommitted changes. Names, params, files and texts hold markup that must never become any.
"""

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

from browser import record

from autotrack.forward.progress import Progress
from autotrack.journal.reader import archived, journals

BAIT = "<img src=x onerror=\"document.title='owned'\">"
SCRIPT = "<script>document.title='owned'</script>"

HELPERS = "def points(n):\n    return list(range(n))\n"
CHANGED = 'def points(n, step=1):\n    """Every `step`th."""\n    return list(range(0, n, step))\n'

PROGRAM = r"""
import json, struct, sys, zlib
import numpy as np, pandas as pd, torch
import autotrack, helpers
from sklearn.linear_model import LogisticRegression

BAIT, SCRIPT = sys.argv[1:3]
autotrack.enable(project="churn", backends=["local", "mlflow"])
rng = np.random.default_rng(0)
frame = pd.DataFrame(rng.normal(size=(120, 3)), columns=["age", "income", "visits"])
frame["label"] = (frame["age"] > 0).astype(int)
fresh = pd.DataFrame(rng.normal(size=(5, 3)), columns=["age", "income", "visits"]).assign(label=0)
test = pd.concat([frame.iloc[:15], fresh])
ids = {}


def png():
    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    raw = b"".join(b"\0" + b"\x20\x60\xc0" * 40 for _ in range(30))
    head = struct.pack(">IIBBBBB", 40, 30, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(raw)) + part(b"IEND", b"")


OWNED = "parent.document.title='owned'"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="50" height="50">'
SVG += f'<script>{OWNED}</script><rect width="50" height="50"/></svg>'
files = {
    "roc.png": png(),
    "curve.svg": SVG.encode(),
    "report.html": f"<style>h1{{color:#a00}}</style><h1>Report</h1>{SCRIPT}<script>{OWNED}</script>".encode(),
    "notes.md": b"# Notes\nplain <b>text</b>\n",
    "table.csv": f"name,score\n{SCRIPT},0.5\nplain,1.25\n".encode(),
    "deep.json": json.dumps({"a": {"b": [1, 2]}, "html": SCRIPT}).encode(),
    "rows.jsonl": b'{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25}\n',
    "blob.bin": bytes(range(256)) * 8,
    "long.txt": b"line of text\n" * 60_000,
    "fake.png": b"\x89PNG nothing of the kind <script>",
    "deepest.json": b"[" * 100_000,
    BAIT.replace("/", "") + ".txt": b"its name is markup\n",
}
with open("long.csv", "w") as file:  # data that lies about: it must not hide the change of the code
    file.writelines(f"{number}\n" for number in range(80_000))
FOLDER = sys.argv[3] + "/"
for name, content in files.items():
    open(FOLDER + name, "wb").write(content)
test.to_parquet(FOLDER + "table.parquet", index=False)

with autotrack.start_run(BAIT, tags={"team": "risk", BAIT: SCRIPT}) as run:
    ids["main"] = run.id
    run.log_params({"lr": 0.2, "epochs": 12, BAIT: SCRIPT, "dropout": None})
    run.log_params({"lr": 0.1})
    run.log_dataset(frame, role="train", name="customers")
    run.log_dataset(test, role="test", name="holdout")
    for epoch in range(12):
        run.log_metrics({"train/loss": 1 / (epoch + 1), BAIT: epoch}, step=epoch)
        odd = float("nan") if epoch == 3 else float("inf") if epoch == 5 else epoch / 10
        run.log_metrics({"grad": odd, "system/cpu": 10.0 * epoch}, step=epoch)
        print(f"\repoch {epoch + 1}/12", end="", flush=True)
    print()
    print("\x1b[32mgreen\x1b[0m " + SCRIPT)
    print("careful", file=sys.stderr)
    run.log_model(torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)), name="net")
    for name in [*files, "table.parquet"]:
        run.log_artifact(FOLDER + name, name)
    run.note("images dropped", "too large: " + SCRIPT, 2)
with autotrack.start_run("study") as run:
    ids["study"] = run.id
    for c in (0.1, 1.0, 10.0):
        with autotrack.start_run(f"trial {c}") as trial:
            ids.setdefault("trial", trial.id)
            trial.log_params({"lr": c})
with autotrack.start_run("linear", params={"lr": 0.3, "epochs": 12}) as run:
    ids["linear"] = run.id
    changed = frame.copy()
    changed.loc[7, "income"] = 99.0
    run.log_dataset(changed, role="train", name="customers")
    model = LogisticRegression(C=0.5).fit(frame[["age", "income", "visits"]], frame["label"])
    run.log_model(model, name="clf")
try:
    with autotrack.start_run("broken") as run:
        ids["broken"] = run.id
        raise ValueError("bad " + SCRIPT)
except ValueError:
    pass
with autotrack.start_run("bare") as run:
    ids["bare"] = run.id
for number, c in enumerate((0.001, 0.1, 10.0), 1):
    with autotrack.start_run(f"candidate {number}", params={"lr": c}) as run:
        ids[f"candidate {number}"] = run.id
        model = LogisticRegression(C=c).fit(frame[["age", "income", "visits"]], frame["label"])
        run.log_metrics({"accuracy": 0.7 + number / 10}, step=0)
        run.log_model(model, name="clf", register="churn")
autotrack.disable()

from autotrack.errors import AutotrackError
from autotrack.registry import reading, writing
from autotrack.session import session

session.close()
digests = {}


def take(call, *given, **named):
    try:
        call(*given, **named)
    except AutotrackError as problem:  # a refusal and a conflict are steps too
        print(problem)


with writing.opened() as store:
    digests = {one["version"]: one["digest"] for one in reading.model(store, "churn")["versions"]}
take(writing.move_alias, "churn", "production", 1, "the first that works")
take(writing.step, "churn", "approve", digests[2], SCRIPT)
take(writing.move_alias, "churn", "production", 2, "better " + BAIT)
rules = {"gates": {"better": {}}, "approvals": 0}
take(writing.step, "churn", "protect", None, "no surprises", {"alias": "production", "rules": rules})
take(writing.move_alias, "churn", "production", 3, "try it")
take(writing.move_alias, "churn", "production", 3, "incident 17", force=True)
take(writing.step, "churn", "alias", digests[1], "too late", {"alias": "staging", "from": digests[2]})
take(writing.step, "churn", "annotate", digests[3], "", {BAIT: SCRIPT})
take(writing.step, "churn", "retire", digests[1], "superseded")
print("IDS " + json.dumps(ids))
"""


def git(folder: Path, *arguments: str) -> None:
    """Git as nobody in particular."""
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@localhost", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@functools.cache
def recorded(folder: Path) -> tuple[Path, dict[str, str]]:
    """The home, and the ids of its runs by a short name."""
    project, home = folder / "project", folder / "home"
    project.mkdir(parents=True)
    (folder / "files").mkdir()
    (project / "helpers.py").write_text(HELPERS)
    (project / "old.txt").write_text("goes away\n")
    git(project, "init", "-q")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "base")
    (project / "old.txt").unlink()
    (project / "helpers.py").write_text(CHANGED)
    (project / "config.yaml").write_text(f"lr: 0.2  # {SCRIPT}\n")
    (project / "train.py").write_text(PROGRAM)
    found = record(home, START, project, AUTOTRACK_FORWARDER="off", AUTOTRACK_USER="ada")
    assert found.returncode == 0, found.stderr
    ids: dict[str, str] = json.loads(found.stdout.rpartition("IDS ")[2])
    _undelivered(home, ids["main"])
    return home, ids


START = f"""
import runpy, sys
sys.path.insert(0, ".")
sys.argv = ["train.py", {BAIT!r}, {SCRIPT!r}, "../files"]
runpy.run_path("train.py", run_name="__main__")
"""


def _undelivered(home: Path, run: str) -> None:
    """As a forwarder leaves it whose backend took only a part."""
    (folder,) = [one for one in [*archived(home), *journals(home)] if _holds(one, run)]
    progress = Progress(home, folder.name, "mlflow")
    progress.problem = f"the server at 127.0.0.1:9 does not answer {SCRIPT}"
    progress.note(run, "infinite values", "MLflow has no infinity", 3)
    progress.save()
    (progress.folder / "mlflow.dead.jsonl").write_text(json.dumps({"event": [run], "reason": "too long"}) + "\n")


def _holds(folder: Path, run: str) -> bool:
    return any(run.encode() in segment.read_bytes() for segment in folder.glob("*.atj"))


def everything(told: Any) -> str:
    """All text of an answer."""
    return json.dumps(told, ensure_ascii=False)
