"""The reading commands, run as programs over runs that real processes journalled."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from autotrack.cli import quick
from autotrack.cli.main import COMMANDS
from autotrack.store import schema

Program = Callable[..., subprocess.CompletedProcess]

RECORD = """
import autotrack, math
with autotrack.start_run("baseline", params={"lr": 0.1, "depth": 3, "net": {"units": 8}}, tags={"team": "risk"}) as run:
    for step in range(5):
        run.log_metrics({"loss": 1 / (step + 1), "acc": step / 10}, step=step)
    run.log_metrics({"odd": math.nan}, step=0)
    run.log_metrics({"odd": math.inf}, step=0.5)
    run.log_metrics({"odd": -math.inf}, step=1)
    run.log_artifact(b"hello", "hello.txt")
    run.note("a thing", "it was too big", 2)
with autotrack.start_run("second", params={"lr": 0.2, "depth": 3}) as run:
    run.log_metrics({"loss": 0.25}, step=1)
    with autotrack.start_run("child [red]x[/red] \\x1b[31m\\n"):
        pass
try:
    with autotrack.start_run("broken", project="other"):
        raise ValueError("it broke [bold]here[/bold]")
except ValueError:
    pass
"""

RUN_FIELDS = {
    "id", "name", "project", "status", "started_at", "ended_at", "parent_id", "integration", "params", "metrics",
    "tags", "datasets", "models", "artifacts", "environment", "code", "error",
}  # fmt: skip


def make(home: Path, code: str = RECORD, **more: str) -> None:
    environment = {
        **os.environ,
        "AUTOTRACK_HOME": str(home),
        "AUTOTRACK_FORWARDER": "off",
        "AUTOTRACK_PROJECT": "churn",
    }
    subprocess.run(
        [sys.executable, "-c", code], env={**environment, **more}, check=True, capture_output=True, timeout=60
    )


def program(home: Path) -> Program:
    def call(*words: str, **more: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "AUTOTRACK_HOME": str(home), "AUTOTRACK_FORWARDER": "off", **more}
        command = [sys.executable, "-m", "autotrack", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    return call


def answer(done: subprocess.CompletedProcess) -> object:
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("cli") / "home"
    make(home)
    return home


@pytest.fixture
def autotrack(recorded: Path) -> Program:
    return program(recorded)


def test_ls_lists_newest_first_with_the_promised_fields(autotrack: Program) -> None:
    runs = answer(autotrack("ls", "--json"))
    assert [run["name"].split()[0] for run in runs] == ["broken", "child", "second", "baseline"]
    assert set(runs[0]) >= {"id", "name", "project", "status", "started_at", "parent_id"}
    assert runs[1]["parent_id"] == runs[2]["id"]
    assert all(run["started_at"].endswith("Z") for run in runs)
    assert [run["name"] for run in answer(autotrack("ls", "--json", "--project", "other"))] == ["broken"]
    assert [run["name"] for run in answer(autotrack("ls", "--json", "--status", "failed"))] == ["broken"]
    assert len(answer(autotrack("ls", "--json", "--limit", "2"))) == 2
    assert answer(autotrack("ls", "--json", "--project", "nowhere")) == []


def test_the_table_says_how_many_more_there_are_and_takes_names_for_text(autotrack: Program) -> None:
    told = autotrack("ls", "--limit", "3").stdout
    assert "and 1 more" in told
    assert "child [red]x[/red]" in told
    assert "\x1b" not in told
    assert len(told.splitlines()) == 5
    assert "and" not in autotrack("ls", "--limit", "4").stdout.splitlines()[-1]
    assert "no run fits" in autotrack("ls", "--project", "nowhere").stdout


@pytest.mark.parametrize(
    "arguments", [(None, None, None), ("churn", None, 2), (None, "failed", None), ("x", "failed", 1)]
)
def test_the_quick_list_is_the_stores_list(recorded: Path, arguments: tuple) -> None:
    from autotrack import settings
    from autotrack.store.query import Store

    program(recorded)("sync")  # nothing waits in the journals any more
    loaded = settings.load(home=recorded)
    with Store.open(recorded, loaded) as store:
        everything = store.runs(*arguments[:2])
    assert quick.runs(loaded, *arguments) == (everything[: arguments[2]], len(everything))
    assert str(schema.SCHEMA) == quick.SCHEMA


def test_a_run_that_only_the_journal_has_is_listed(tmp_path: Path) -> None:
    make(tmp_path / "home")
    program(tmp_path / "home")("sync")
    make(tmp_path / "home", "import autotrack\nautotrack.start_run('late').end()")
    assert answer(program(tmp_path / "home")("ls", "--json", "--limit", "1"))[0]["name"] == "late"
    from autotrack import settings

    # The journal is still there, and the store has all of it: the quick list may answer from now on.
    assert list((tmp_path / "home" / "journals").iterdir())
    found, total = quick.runs(settings.load(home=tmp_path / "home"), None, None, 1)
    assert (found[0]["name"], total) == ("late", 5)


def test_show_has_every_promised_field(autotrack: Program) -> None:
    run = answer(autotrack("show", "baseline", "--json"))
    assert set(run) >= RUN_FIELDS
    assert run["params"] == {"lr": 0.1, "depth": 3, "net.units": 8}
    assert run["metrics"]["loss"] == {"last": 0.2, "min": 0.2, "max": 1.0, "first_step": 0, "last_step": 4, "count": 5}
    assert run["artifacts"][0]["name"] == "hello.txt"
    assert run["error"] is None
    told = autotrack("show", "baseline").stdout
    for word in ("net.units", "loss", "hello.txt", "risk", "it was too big", "everything has arrived"):
        assert word in told


def test_show_tells_the_error_with_its_traceback(autotrack: Program) -> None:
    error = answer(autotrack("show", "latest", "--json"))["error"]
    assert (error["type"], error["message"]) == ("ValueError", "it broke [bold]here[/bold]")
    told = autotrack("show", "broken").stdout
    assert "Traceback (most recent call last):" in told
    assert "ValueError: it broke [bold]here[/bold]" in told


def test_a_run_is_found_by_id_prefix_name_and_latest(autotrack: Program) -> None:
    newest, *_ = answer(autotrack("ls", "--json"))
    for reference in (newest["id"], newest["id"][:10], "broken", "latest"):
        assert answer(autotrack("show", reference, "--json"))["id"] == newest["id"]
    missing = autotrack("show", "nowhere")
    assert (missing.returncode, missing.stdout, missing.stderr.count("\n")) == (1, "", 1)
    assert missing.stderr.startswith("autotrack: no run has the id or name 'nowhere'")


def test_metrics_are_points_with_exact_steps_and_named_infinities(autotrack: Program) -> None:
    loss = answer(autotrack("metrics", "baseline", "loss", "--json"))
    assert [(point["step"], point["value"]) for point in loss] == [(step, 1 / (step + 1)) for step in range(5)]
    odd = answer(autotrack("metrics", "baseline", "odd", "--json"))
    assert [(point["step"], point["value"]) for point in odd] == [(0, "NaN"), (0.5, "Infinity"), (1, "-Infinity")]
    assert {row["key"] for row in answer(autotrack("metrics", "baseline", "--json"))} == {"loss", "acc", "odd"}
    assert "first_step" in autotrack("metrics", "baseline").stdout
    assert len(autotrack("metrics", "baseline", "loss").stdout.splitlines()) == 6
    unknown = autotrack("metrics", "baseline", "lost")
    assert unknown.returncode == 1
    assert "it has acc, loss, odd" in unknown.stderr


def test_compare_shows_what_differs(autotrack: Program) -> None:
    told = answer(autotrack("compare", "baseline", "second", "--json"))
    assert told["params"]["lr"] == [0.1, 0.2]
    assert told["different"]["params"] == ["lr", "net.units"]
    assert [entry["last"] for entry in told["metrics"]["loss"]] == [0.2, 0.25]
    text = autotrack("compare", "baseline", "second").stdout
    assert "params that differ (1 are the same)" in text
    assert autotrack("compare", "baseline").returncode == 2


def test_export_carries_every_run_with_its_points(autotrack: Program, tmp_path: Path) -> None:
    exported = answer(autotrack("export"))
    assert [len(run["points"]) for run in exported] == [0, 0, 1, 3]
    assert set(exported[3]) >= RUN_FIELDS
    lines = autotrack("export", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == exported
    done = autotrack("export", "baseline", "second", "-o", str(tmp_path / "points.csv"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "points.csv").read_text())))
    assert len(rows) == 14
    assert [row["value"] for row in rows if row["key"] == "odd"] == ["NaN", "Infinity", "-Infinity"]
    assert "2 runs have no points" in autotrack("export", "--format", "csv").stderr
    assert "cannot be written" in autotrack("export", "-o", str(tmp_path / "no" / "file.json")).stderr


@pytest.mark.parametrize("command", ["ls", "export", "sync", "verify", "doctor", "plugins"])
def test_where_there_are_no_runs_nothing_is_made_and_nothing_fails(tmp_path: Path, command: str) -> None:
    done = program(tmp_path / "none")(command)
    assert (done.returncode, (tmp_path / "none").exists()) == (0, False)
    if command not in ("doctor", "plugins"):
        assert "no runs yet in" in done.stdout + done.stderr
        assert "autotrack demo" in done.stdout + done.stderr


def test_the_json_of_no_runs_is_an_empty_list(tmp_path: Path) -> None:
    for words in (("ls", "--json"), ("export",)):
        done = program(tmp_path / "none")(*words)
        assert (done.returncode, json.loads(done.stdout)) == (0, [])
    shown = program(tmp_path / "none")("show", "latest")
    assert (shown.returncode, shown.stderr.count("\n")) == (1, 1)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "words", [["ls", "--frob"], ["frob"], ["show"], ["ls", "--status", "odd"], ["ls", "--limit", "x"]]
)
def test_a_wrong_use_is_one_line_and_exit_code_2(autotrack: Program, words: list[str]) -> None:
    done = autotrack(*words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("autotrack: ")
    assert "--help" in done.stderr


def test_a_closed_pipe_is_silent(recorded: Path) -> None:
    environment = {**os.environ, "AUTOTRACK_HOME": str(recorded)}
    reading, writing = os.pipe()
    os.close(reading)
    for words in (["export"], ["ls"], ["show", "baseline"], ["metrics", "baseline", "loss"], ["doctor"]):
        command = [sys.executable, "-m", "autotrack", *words]
        done = subprocess.run(command, env=environment, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
    os.close(writing)


def test_a_terminal_that_lacks_letters_gets_question_marks(tmp_path: Path) -> None:
    make(tmp_path / "home", "import autotrack\nautotrack.start_run('损失', tags={'é': 'ü'}).end()")
    for words in (["ls"], ["show", "latest"]):
        done = program(tmp_path / "home")(*words, PYTHONIOENCODING="ascii")
        assert (done.returncode, done.stderr) == (0, "")
        assert "??" in done.stdout


def test_a_fault_is_one_line_and_strict_shows_where(tmp_path: Path) -> None:
    home = tmp_path / "home"
    make(home)
    (home / "store.db").mkdir()
    done = program(home)("show", "latest")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    fault = (
        "import autotrack.cli.listing as listing, sys\n"
        "listing._find = lambda *arguments: 1 / 0\n"
        "from autotrack.cli.main import main; sys.exit(main(['ls']))"
    )
    environment = {**os.environ, "AUTOTRACK_HOME": str(home)}
    for strict in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", fault],
            env={**environment, "AUTOTRACK_STRICT": strict},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert ("Traceback" in done.stderr) == (strict == "1")
        assert ("AUTOTRACK_STRICT=1" in done.stderr) == (strict == "0")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_and_a_place_in_the_docs(autotrack: Program, command: str) -> None:
    told = autotrack(command, "--help")
    assert told.returncode == 0
    assert "Example" in told.stdout
    assert f"autotrack {command}" in told.stdout.split("Example")[1]
    pages = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    assert f"## autotrack {command}\n" in pages


def test_listing_imports_nothing_heavy(recorded: Path) -> None:
    program(recorded)("sync")
    code = (
        "import sys; from autotrack.cli.main import main\n"
        "main(['ls', '--json']); print(sorted(sys.modules), file=sys.stderr)"
    )
    environment = {**os.environ, "AUTOTRACK_HOME": str(recorded)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    for heavy in ("sqlalchemy", "numpy", "rich.console", "requests", "autotrack.plugins"):
        assert f"'{heavy}'" not in done.stderr
