"""`autotrack models`, run as a program: what people and scripts see of the registry."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from autotrack.cli.main import main
from autotrack.cli.models import models as group
from autotrack.registry import changing, writing
from autotrack.testing import recording

sys.path.insert(0, str(Path(__file__).parent))
from registered_models import environment, keep_models

Program = Callable[..., subprocess.CompletedProcess]


def inside(home: Path) -> Program:
    """The program's own main function, called in this process as the program calls it."""

    def call(*words: str, user: str = "ann") -> subprocess.CompletedProcess:
        output, errors = io.StringIO(), io.StringIO()
        with recording(home, user=user), redirect_stdout(output), redirect_stderr(errors):
            code = main(["models", *words])
        return subprocess.CompletedProcess(words, code, output.getvalue(), errors.getvalue())

    return call


def outside(home: Path) -> Program:
    """The program in a process of its own."""

    def call(*words: str, user: str = "ann") -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "autotrack", "models", *words],
            env=environment(home, user),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return call


def answer(done: subprocess.CompletedProcess) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a model that three people have worked on; tests only look at it."""
    home = tmp_path_factory.mktemp("registry") / "home"
    keep_models(home, "first", "second", "third")
    with recording(home, user="ann"), writing.opened() as store:
        for name in ("first", "second", "third"):
            changing.register("clf", name, why=f"it is {name}", store=store)
        for number in (1, 2, 3):
            writing.move_alias("clf", "production", number, f"reason {number}", store=store)
        changing.rollback("clf@production", "too many refusals", store=store)
    return home


@pytest.fixture
def models(told: Path) -> Program:
    return inside(told)


def test_a_model_goes_through_its_life_by_commands_of_one_line_each(tmp_path: Path) -> None:
    home = tmp_path / "home"
    keep_models(home, "one", "two")
    call = inside(home)
    said = [
        call(*words, user=user)
        for words, user in (
            (("register", "clf", "one", "--why", "first"), "ann"),
            (("register", "clf", "two", "--alias", "next"), "ann"),
            (("alias", "clf@production", "1", "--why", "it works"), "ann"),
            (("stage", "clf/2", "Staging"), "ann"),
            (("annotate", "clf/2", "owner=risk", "auc=0.91", "ok=true", "gone="), "ann"),
            (("approve", "clf@next", "--why", "looked at it"), "bob"),
            (("alias", "clf@production", "2"), "ann"),
            (("alias", "clf@production", "2"), "ann"),
            (("rollback", "clf@production", "--why", "slow"), "ann"),
            (("unalias", "clf@next"), "ann"),
            (("retire", "clf/2", "--why", "slow"), "ann"),
            (("restore", "clf/2"), "ann"),
            (("protect", "clf@production", "--approvals", "1", "--gate", "safe-format"), "ann"),
            (("unprotect", "clf@production"), "ann"),
        )
    ]
    assert [one.returncode for one in said] == [0] * len(said), [one.stderr for one in said]
    lines = [one.stdout.strip() for one in said]
    assert lines[0].startswith("clf/1 is 'model' of run ")
    assert lines[1].endswith(", next")
    assert lines[2:] == [
        "clf@production → 1",
        "clf/2 is in Staging",
        "clf/2: owner=risk, auc=0.91, ok=True, gone removed",
        "clf/2 is approved by bob",
        "clf@production → 2",
        "nothing to do: clf@production → 2 already",
        "clf@production → 1, as before",
        "clf@next points to nothing any more (before: 2)",
        "clf/2 is retired",
        "clf/2 is in use",
        "clf@production is protected by 1 approvals, safe-format",
        "clf@production is not protected",
    ]
    found = answer(call("show", "clf", "--json"))
    two, one = found["versions"]
    assert (two["stage"], two["annotations"]) == ("Staging", {"owner": "risk", "auc": 0.91, "ok": True})
    assert [(word["who"], word["why"]) for word in two["approvals"]] == [("bob", "looked at it")]
    assert (one["aliases"], two["retired"], found["protected"]) == (["production"], None, {})


def test_a_refusal_of_a_protected_alias_is_exit_code_1_and_a_step_and_forcing_needs_a_reason(tmp_path: Path) -> None:
    home = tmp_path / "home"
    keep_models(home, "one")
    call = inside(home)
    assert call("register", "clf", "one").returncode == 0
    assert call("protect", "clf@production", "--approvals", "1").returncode == 0
    refused = call("alias", "clf@production", "1", "--why", "it is good")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "clf@production stays where it is: approvals: " in refused.stderr
    assert call("alias", "clf@production", "1", "--force").returncode == 2
    forced = answer(call("alias", "clf@production", "1", "--force", "--why", "it burns", "--json"))
    assert forced["record"]["forced"] is True
    assert [one["passed"] for one in forced["record"]["evidence"]] == [False]
    log = answer(call("log", "clf", "--json"))
    assert [(one["action"], one["effect"]) for one in log][-2:] == [("refuse", "refused"), ("alias", "done")]


def test_the_list_has_versions_aliases_and_no_history(models: Program) -> None:
    (one,) = answer(models("--json"))
    assert set(one) == {"name", "versions", "aliases", "protected"}
    assert [version["version"] for version in one["versions"]] == [3, 2, 1]
    assert one["aliases"]["production"]["version"] == 2
    table = models().stdout
    assert "clf" in table and "production → 2" in table


def test_a_version_has_every_promised_field(models: Program) -> None:
    version = answer(models("show", "clf/3", "--json"))
    assert set(version) >= {
        "version", "digest", "run", "name", "format", "bytes", "signature", "datasets", "aliases", "stage", "approvals",
        "annotations", "retired", "signed", "registered_at", "registered_by", "code", "parents", "objections", "why",
    }  # fmt: skip
    assert (version["name"], version["format"], version["registered_by"]) == ("model", "bytes", "ann")
    assert answer(models("show", "clf@production", "--json"))["version"] == 2
    assert "it is third" in models("show", "clf/3").stdout
    assert "too many refusals" in models("show", "clf").stdout


def test_a_moment_in_the_past_says_what_held_then_who_did_it_and_why(models: Program) -> None:
    log = answer(models("log", "clf", "--json"))
    moves = [one for one in log if one["action"] == "alias"]
    for move, version, why in zip(
        moves, (1, 2, 3, 2), ("reason 1", "reason 2", "reason 3", "too many refusals"), strict=True
    ):
        held = answer(models("at", "clf@production", "--at", move["time"], "--json"))["held"]
        assert (held["version"], held["who"], held["why"], held["since"]) == (version, "ann", why, move["time"])
    day = answer(models("at", "clf@production", "--at", moves[0]["time"][:10], "--json"))
    assert [one["version"] for one in day["earlier_that_day"]] == [1, 2, 3] or moves[0]["time"][:10] != moves[3][
        "time"
    ][:10]
    shown = models("at", "clf@production").stdout
    assert "too many refusals" in shown and "rolled back" in shown
    for words in (("at", "clf@production", "--at", "2020-05-01"), ("show", "clf", "--at", "2020-05-01")):
        past = models(*words)
        assert (past.returncode, past.stdout) == (1, "")
        assert "2020-05-01" in past.stderr
    assert answer(models("--at", "2020-05-01", "--json")) == []
    assert len(answer(models("show", "clf", "--at", moves[0]["time"], "--json"))["log"]) == 4


def test_two_versions_are_compared_by_their_runs(models: Program) -> None:
    told = answer(models("diff", "clf/1", "clf@production", "--json"))
    assert [one["version"] for one in told["versions"]] == [1, 2]
    assert "digest" in told["different_versions"]
    assert [run["name"] for run in told["runs"]] == ["first", "second"]
    assert models("diff", "clf/1", "clf/2").returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("register", "c l/f@x", "first"), 2, "cannot be the name of a model, since it holds '/@'"),
        (("register", "clf", "nobody"), 1, "no run has the id or name 'nobody'"),
        (("register", "clf", "first", "--model", "no"), 1, "has no model 'no'; it has 'model'"),
        (("alias", "clf", "1"), 2, "names no alias"),
        (("alias", "clf@v3", "1"), 2, "taken for a version"),
        (("alias", "clf@x", "9"), 1, "no version 9; its versions: 1, 2, 3"),
        (("alias", "clf@x", "zero"), 2, "--help"),
        (("rollback", "clf@nope"), 1, "no alias 'nope'; its aliases: production"),
        (("stage", "clf/1"), 2, "--none"),
        (("annotate", "clf/1", "novalue"), 2, "no KEY=VALUE"),
        (("approve", "clf"), 2, "say which version: clf/3"),
        (("protect", "clf@production"), 2, "--approvals"),
        (("protect", "clf@production", "--gate", "luck"), 2, "no gate 'luck'"),
        (("retire", "clf/2", "--why", "x"), 1, "clf@production points to version 2"),
        (("show", "clv"), 1, "no model is registered as 'clv'; there are clf"),
        (("at", "clf@production", "--at", "soon"), 2, "'soon' is no moment"),
        (("nonsense",), 2, "--help"),
    ],
)
def test_wrong_use_is_one_line_with_what_to_do_and_changes_nothing(
    models: Program, words: tuple[str, ...], code: int, says: str
) -> None:
    done = models(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_record_of_a_run_says_as_which_versions_its_models_are_registered(told: Path) -> None:
    def show(*words: str) -> str:
        output = io.StringIO()
        with recording(told), redirect_stdout(output):
            assert main(["show", "second", *words]) == 0
        return output.getvalue()

    (model,) = json.loads(show("--json"))["models"]
    assert model["registered"] == [{"model": "clf", "version": 2, "aliases": ["production"]}]
    assert "clf/2 @production" in show()


def test_where_nothing_was_recorded_nothing_is_made(tmp_path: Path) -> None:
    home = tmp_path / "none"
    call = outside(home)
    assert "no runs yet" in call().stdout
    assert json.loads(call("--json").stdout) == []
    assert call("show", "clf").returncode == 1
    assert call("register", "clf", "latest").returncode == 1
    assert not home.exists()


def test_every_command_has_an_example_and_a_place_in_the_docs() -> None:
    pages = "".join((Path(__file__).parents[2] / "docs" / page).read_text() for page in ("registry.md", "gates.md"))
    context = group.make_context("models", ["show", "x"])
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None and f"autotrack models {name}" in (command.epilog or ""), name
        assert f"models {name}" in pages, name


def test_the_commands_help_without_a_home(tmp_path: Path) -> None:
    done = outside(tmp_path / "none")("--help")
    assert done.returncode == 0
    for name in ("register", "rollback", "at", "promote"):
        assert f"  {name} " in done.stdout
    assert os.listdir(tmp_path) == []
