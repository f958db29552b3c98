"""What is decided of a registered model reaches W&B's registry, by W&B's own client, in whatever order it comes.

The server is a stand-in that refuses what the SDK would not send; W&B's own was never reached.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package
sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))

pytest.importorskip("graphql")
pytest.importorskip("jsonschema")

import registering
from subject import ReadModel
from wandb_double import Refusal
from wandb_files import run_script
from wandb_registry import Registry

KEY = "local" + "0" * 40
HEAD = f"""
import contextlib, json, os, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[1] / "contract")!r})
import autotrack, autotrack_wandb, recorded, registering
from autotrack.forward.catching_up import sync
from autotrack.forward.progress import Progress
from autotrack.plugins import plugins
from autotrack.registry import changing
from autotrack.registry.writing import move_alias
from autotrack.session import session
from autotrack.settings import load
from recorded import Weights, writers
with contextlib.suppress(ValueError):  # where it is not installed, its entry point is not found
    plugins.register(autotrack_wandb, "wandb")
home = Path("home").absolute()
def train(number, **how):
    with autotrack.start_run(f"train-{{number}}") as run:
        run.log_model(Weights(float(number)), "weights", **how)
    session.close()  # the next one has a journal of its own
    return run.id
def deliver(settings="local,wandb"):
    session.close()
    told = sync(home, load(home=home, backends=settings), tuple(settings.split(",")))
    return [one.problem for one in told if one.problem and one.backend == "wandb"]
def notes():
    return {{what: why for writer in writers(home) for of_run in Progress(home, writer, "wandb").notes.values()
            for what, (count, why) in of_run.items()}}
def dead():
    return sum(Progress(home, writer, "wandb").dead for writer in writers(home))
"""


class Site:
    """A folder whose programs send to one server, in the python that has W&B's SDK."""

    def __init__(self, folder: Path, server: Registry) -> None:
        self.folder, self.server = folder, server
        ours = {"HOME": str(folder / "home"), "BACKENDS": "local", "FORWARDER": "off", "KEEP": "all", "QUIET": "1"}
        ours |= {"USER": "ada", "CONSOLE": "0", "PROJECT": "churn", "CODE": "0"}
        self.variables = {f"AUTOTRACK_{name}": value for name, value in ours.items()}
        self.variables |= {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY}

    def __call__(self, script: str, **variables: str) -> Any:
        """Run a script; gives what it leaves in `told`, as JSON."""
        script = f"{HEAD}\ntold = None\n{script}\nprint('\\n' + json.dumps(told))"
        printed = run_script(self.folder, script, **{**self.variables, **variables})
        return json.loads(printed.rstrip().rpartition("\n")[2])

    def there(self, name: str, registry: str = "model") -> ReadModel:
        """The collection that the server has, with our digests in the place of its versions."""
        read = ReadModel()
        for member in self.server.collection(name, registry).members:
            digest = member.artifact.told["sha256"]
            read.versions.append(digest)
            read.aliases |= {alias: digest for alias in member.aliases if alias != "latest"}
        return read

    def changes(self) -> int:
        """How many requests have changed something in the registry."""
        changing = ("LinkArtifact", "AddAliases", "DeleteAliases", "UpdateArtifact")
        return sum(name in changing for name in self.server.operations)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Registry() as server:
        yield Site(tmp_path, server)
        assert server.violations == []


def test_the_registry_there_becomes_as_the_log_says_and_sent_again_nothing_changes(site: Site) -> None:
    told = site("registering.main(); told = [deliver(), notes(), dead()]")
    assert told == [[], {}, 0]
    registering.check(site.there(registering.MODEL))
    first, second = (one.artifact for one in site.server.collection(registering.MODEL).members)
    assert first.files and first.run in site.server.runs and first.tags == []
    assert set(second.tags) == {"approved", "stage-Production"}
    said = second.told["autotrack"]["registered"][registering.MODEL]
    assert said["annotations"] == {"owner": "risk", "share": 0.5} and said["version"] == 2
    assert [(one["who"], one["why"]) for one in said["approvals"]] == [("ada", "looked at it")]

    changes = site.changes()
    shutil.rmtree(site.folder / "home" / "delivery")  # as if nothing had ever been delivered
    assert site("told = deliver()") == []
    assert site.changes() == changes
    registering.check(site.there(registering.MODEL))


def test_a_rollback_a_retirement_and_what_was_taken_back_go_there_and_what_people_set_there_stays(site: Site) -> None:
    problems = site("""
train(1, register="clf", aliases=["trial"])
train(2, register="clf")
move_alias("clf", "production", 1, "the first")
move_alias("clf", "production", 2, "better")
changing.approve("clf/2", "looked at it")
changing.stage("clf/1", "On trial: 5 %")
told = deliver()
""")
    assert problems == []
    first, second = site.there("clf").versions
    assert site.there("clf").aliases == {"trial": first, "production": second}
    members = site.server.collection("clf").members
    assert [one.artifact.tags for one in members] == [["stage-On-trial-5"], ["approved"]]
    members[1].artifact.tags.append("reviewed by hand")
    site.server.collection("clf").point("theirs", members[0])
    problems = site("""
changing.rollback("clf@production", "worse after all")
changing.unalias("clf@trial", "tried")
changing.disapprove("clf/2", "no, it leaks")
changing.stage("clf/1", None)
changing.retire("clf/2", "wrong data")
told = [deliver(), notes()]
""")
    assert problems == [[], {}]
    assert site.there("clf").versions == [first, second]
    assert site.there("clf").aliases == {"production": first, "theirs": first}
    assert [set(one.artifact.tags) for one in members] == [set(), {"reviewed by hand", "objected", "retired"}]
    said = members[1].artifact.told["autotrack"]["registered"]["clf"]
    assert said["retired"]["why"] == "wrong data" and "approvals" not in said


def test_what_is_decided_while_a_run_goes_on_is_there_when_it_has_ended_and_holds_back_no_run(site: Site) -> None:
    site.server.refuse = {"LinkArtifact": Refusal(500, "not now")}
    first, synced, second, noted = site("""
with autotrack.start_run("long") as run:
    with autotrack.start_run("inner") as inner:
        inner.log_model(Weights(1.0), "weights", register="clf", aliases=["early"])
    run.log_model(Weights(2.0), "weights", register="clf")
    first = [one.problem for one in sync(home, load(home=home, backends="local,wandb"), ("local", "wandb"))]
    synced = [path.stem for path in home.rglob("*.synced")]
told = [first, synced == [f"run-{inner.id}.wandb"], deliver(), notes()]
""")
    assert first == [None, None] and synced
    assert len(second) == 1 and "not taken the registered model clf" in second[0] and noted == {}
    site.server.refuse = {}
    assert site("told = deliver()") == []
    digests = site.there("clf").versions
    assert len(digests) == 2 and site.there("clf").aliases == {"early": digests[0]}


def test_offline_each_step_is_noted_and_a_command_carries_the_model_later(site: Site, tmp_path: Path) -> None:
    noted = site(
        "train(1, register='clf'); move_alias('clf', 'production', 1, 'good'); told = [deliver(), notes()]",
        WANDB_MODE="offline",
    )
    assert noted[0] == [] and "offline" in noted[1]["alias of the registered model clf"]
    assert not site.server.operations
    early, sent, linked = site("""
import subprocess
def run(*command):
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, timeout=60)
    return [done.returncode, done.stderr]
early = run("autotrack_wandb", "clf")
sent = run("wandb", "sync", *map(str, home.glob("wandb/offline-run-*")))
told = [early, sent, run("autotrack_wandb", "clf")]
""")
    assert early[0] == 1 and "waits for its run" in early[1]
    assert sent[0] == 0 and linked == [0, ""]
    assert list(site.there("clf").aliases) == ["production"]
