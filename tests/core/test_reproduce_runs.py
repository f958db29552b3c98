"""`autotrack reproduce`, as a user meets it: several runs of one script, runs that failed, what is refused and why."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Runs Python in a project with a home of its own."""
    (tmp_path / "project").mkdir()

    def run(*words: str, script: str | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        project = tmp_path / "project"
        if script is not None:
            (project / "train.py").write_text(script)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AUTOTRACK_")}
        environment = {**inherited, "AUTOTRACK_HOME": str(tmp_path / "home"), "AUTOTRACK_FORWARDER": "off", **more}
        folder = project if words and words[0] == "train.py" else tmp_path
        return subprocess.run(
            [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )

    return run


def reproduced(program: Program, run: str, *options: str, **more: str) -> tuple[int, dict[str, Any]]:
    done = program("-m", "autotrack", "reproduce", run, "--json", *options, **more)
    assert done.stdout, done.stderr
    verdict = json.loads(done.stdout)
    if "autotrack-reproduce-" in (verdict["folder"] or ""):
        shutil.rmtree(verdict["folder"], ignore_errors=True)
    return done.returncode, verdict


def listed(program: Program) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(program("-m", "autotrack", "ls", "--json").stdout)
    return found


SEVERAL = """
import os
import autotrack

shift = float(os.environ.get("SHIFT", "0"))
for number in range(3):
    with autotrack.start_run("fold") as run:
        run.log_metrics({"loss": 1.0 + number + (shift if number == 1 else 0)}, step=number)
"""


def test_runs_of_one_name_are_matched_in_their_order_and_the_one_asked_for_decides(program: Program) -> None:
    program("train.py", script=SEVERAL)
    _, second, third = [run["id"] for run in listed(program)][::-1]
    code, verdict = reproduced(program, second, SHIFT="1")
    assert (code, verdict["verdict"], verdict["step"]) == (1, "diverged", 1)
    assert verdict["series"][0]["was"] == 2.0 and verdict["series"][0]["now"] == 3.0
    assert reproduced(program, third, SHIFT="1")[1]["verdict"] == "exact"


ONE = """
import os, random
import autotrack

noise = 1 + float(os.environ.get("NOISE", "0"))
with autotrack.start_run("one", params={"size": int(os.environ.get("SIZE", "1"))}) as run:
    for step in range(int(os.environ.get("STEPS", "3"))):
        run.log_metrics({"loss": 1 / (step + 1) * noise, "epoch_time": step}, step=step)
    if "BREAK" in os.environ:
        raise ValueError("broken")
"""


def test_a_name_and_latest_mean_the_run_and_not_its_reruns(program: Program) -> None:
    program("train.py", script=ONE)
    (run,) = listed(program)
    for reference in ("one", "latest"):
        assert reproduced(program, reference)[1]["reproduces"] == run["id"]
    assert len(listed(program)) == 3


def test_the_tolerance_decides_what_is_near_enough(program: Program) -> None:
    program("train.py", script=ONE)
    code, verdict = reproduced(program, "one", NOISE="1e-7")
    assert (code, verdict["verdict"], verdict["not_compared"]) == (0, "within-tolerance", ["epoch_time"])
    code, verdict = reproduced(program, "one", "--tolerance", "0", NOISE="1e-7")
    assert (code, verdict["suspect"].partition(":")[0]) == (1, "unknown")


def test_a_rerun_that_ends_early_diverged_at_that_step(program: Program) -> None:
    program("train.py", script=ONE)
    code, verdict = reproduced(program, "one", STEPS="2")
    assert (code, verdict["verdict"], verdict["step"]) == (1, "diverged", 2)


def test_a_rerun_that_fails_where_the_run_did_not_diverged(program: Program) -> None:
    program("train.py", script=ONE)
    code, verdict = reproduced(program, "one", BREAK="1")
    assert (code, verdict["verdict"], verdict["why"]) == (1, "diverged", "the rerun failed: broken")


def test_a_run_that_failed_fails_again_in_the_same_way(program: Program) -> None:
    program("train.py", script=ONE + "    raise ValueError('as always')\n")
    assert reproduced(program, "one")[1]["verdict"] == "exact"


def test_repeats_teach_the_tolerance(program: Program) -> None:
    script = ONE.replace("1 / (step + 1)", "random.uniform(0.99, 1.01)")
    program("train.py", script=script)
    assert reproduced(program, "one")[1]["suspect"].startswith("seed: python")
    code, verdict = reproduced(program, "one", "--repeat", "4")
    assert (code, verdict["verdict"]) == (0, "within-tolerance")
    assert 0 < verdict["tolerance"]["learned"]["loss"] <= 0.02
    assert reproduced(program, "one", "--repeat", "2", NOISE="1")[1]["verdict"] == "diverged"


def test_a_command_line_with_a_secret_is_refused_with_its_name(program: Program) -> None:
    program("train.py", "--api-key", "s3cr3t", script=ONE)
    code, verdict = reproduced(program, "one")
    assert (code, verdict["verdict"], verdict["run"]) == (3, "refused", None)
    assert "--api-key" in verdict["why"] and "s3cr3t" not in json.dumps(verdict)


def test_a_run_whose_code_was_not_kept_is_refused(program: Program) -> None:
    program("train.py", script=ONE, AUTOTRACK_CODE="0")
    code, verdict = reproduced(program, "one")
    assert (code, verdict["verdict"]) == (3, "refused") and "code" in verdict["why"]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_what_a_capsule_does_not_hold_is_said_before_and_after(program: Program, tmp_path: Path) -> None:
    project = tmp_path / "project"
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    (project / ".gitignore").write_text("local_only.py\n")
    (project / "local_only.py").write_text("")
    (project / ".env").write_text("A=1\n")
    program("train.py", script="open('.env').close()\n" + ONE)
    shutil.move(project, tmp_path / "aside")
    code, verdict = reproduced(program, "one", "--check")
    assert (code, verdict["checks"]["code"]["same"]) == (0, None)
    assert verdict["checks"]["code"]["differences"] == ["not kept: .env: a secret, by its name"]
    code, verdict = reproduced(program, "one")
    assert (code, verdict["verdict"]) == (3, "refused")
    assert verdict["suspect"] == "code: not kept: .env: a secret, by its name"

    shutil.move(tmp_path / "aside", project)
    program("train.py", script="import local_only\n" + ONE.replace("'one'", "'two'").replace('"one"', '"two"'))
    shutil.rmtree(project)
    code, verdict = reproduced(program, "two", "--check")
    assert (code, verdict["checks"]["code"]["same"]) == (1, False)
    code, verdict = reproduced(program, "two")
    assert (code, verdict["verdict"]) == (3, "refused")
    assert verdict["suspect"].startswith("code: not kept: local_only.py: imported, and not in the snapshot")


def test_a_run_of_another_import_path_finds_it_again(program: Program, tmp_path: Path) -> None:
    (tmp_path / "project" / "src").mkdir()
    (tmp_path / "project" / "src" / "beside.py").write_text("")
    program("train.py", script="import beside\n" + ONE, PYTHONPATH=f"{os.pathsep}src")
    shutil.rmtree(tmp_path / "project")
    assert reproduced(program, "one")[1]["verdict"] == "exact"


def test_a_script_that_changes_its_working_folder_is_started_where_it_was(program: Program, tmp_path: Path) -> None:
    (tmp_path / "project" / "jobs").mkdir()
    (tmp_path / "project" / "jobs" / "beside.py").write_text("")
    (tmp_path / "project" / "jobs" / "train.py").write_text(
        "import os, tempfile, beside\nos.chdir(tempfile.gettempdir())\n" + ONE  # as Hydra does
    )
    program("project/jobs/train.py")
    shutil.rmtree(tmp_path / "project")
    assert reproduced(program, "one")[1]["verdict"] == "exact"


def test_where_data_are_made_by_chance_their_seed_is_suspected_too(program: Program) -> None:
    pytest.importorskip("numpy")
    script = "import os, numpy as np, autotrack\nautotrack.enable()\nnp.random.seed(int(os.environ['SEED']))\n"
    script += "X = np.random.rand(20, 2)\nwith autotrack.start_run('made') as run:\n"
    script += "    run.log_dataset(X)\n    run.log_metric('mean', X.mean())\n"
    program("train.py", script=script, SEED="3")
    code, verdict = reproduced(program, "made", SEED="4")
    assert (code, verdict["verdict"]) == (1, "diverged")
    assert [one["kind"] for one in verdict["suspects"]] == ["data", "seed"]
    assert verdict["suspects"][1]["what"] == "numpy was 3, now 4"


def test_a_run_with_nothing_to_compare_is_refused(program: Program) -> None:
    program("train.py", script="import autotrack\nautotrack.start_run('empty').end()\n")
    code, verdict = reproduced(program, "empty")
    assert (code, verdict["verdict"]) == (3, "refused") and "metrics" in verdict["why"]


def test_a_script_that_names_its_own_home_writes_to_that_of_the_run_all_the_same(
    program: Program, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    script = "import os\nif 'AUTOTRACK_REPRODUCE' in os.environ:\n    import autotrack\n"
    script += f"    autotrack.enable(home={str(elsewhere)!r}, backends=['mlflow'])\n" + ONE
    program("train.py", script=script)
    assert reproduced(program, "one")[1]["verdict"] == "exact"
    assert not elsewhere.exists()


def test_the_verdict_is_told_in_words_with_the_first_suspect(program: Program) -> None:
    program("train.py", script=ONE)
    done = program("-m", "autotrack", "reproduce", "one", SIZE="2", NOISE="1")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "diverged"
    assert lines[1] == "loss at step 0: 1.0 before, 2.0 now"
    assert lines[2] == "first suspect: param: size was 1, now 2"
    shutil.rmtree(lines[-1].removeprefix("everything is in "))


@pytest.mark.parametrize(
    "options", [["--tolerance", "much"], ["--tolerance", "-1"], ["--data", "x"], ["--env", "conda"]]
)
def test_wrong_use_is_told(program: Program, options: list[str]) -> None:
    assert program("-m", "autotrack", "reproduce", "one", *options).returncode == 2


def test_a_run_that_is_not_there_is_wrong_use_and_does_not_look_like_one_that_diverged(program: Program) -> None:
    assert program("-m", "autotrack", "reproduce", "latest").returncode == 2
    program("train.py", script=ONE)
    done = program("-m", "autotrack", "reproduce", "nobody")
    assert done.returncode == 2 and "nobody" in done.stderr


def test_cells_of_a_notebook_are_run_again_those_that_failed_too(program: Program, tmp_path: Path) -> None:
    pytest.importorskip("IPython")
    cells = "import autotrack\n1 / 0\nno_such_name\nvalue = = 1\nvalue = 1\nrun = autotrack.start_run('cell')\n"
    cells += "for i in range(3): run.log_metrics({'loss': value / (i + 1)}, step=i)\n\nrun.end()\n"
    environment = {
        **os.environ,
        "AUTOTRACK_HOME": str(tmp_path / "home"),
        "AUTOTRACK_FORWARDER": "off",
        "HOME": str(tmp_path),
    }
    command = [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--no-confirm-exit"]
    subprocess.run(
        command, input=cells, text=True, env=environment, cwd=tmp_path / "project", check=True, capture_output=True
    )
    code, verdict = reproduced(program, "cell")
    assert (code, verdict["verdict"]) == (0, "exact"), verdict


REGISTERED = """
import autotrack
from sklearn.linear_model import LogisticRegression

with autotrack.start_run("registering") as run:
    run.log_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), register="clf", aliases=["production"])
"""


def test_a_rerun_registers_no_version_and_moves_no_alias(program: Program) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("skops")
    program("train.py", script=REGISTERED)
    (run,) = listed(program)
    before = json.loads(program("-m", "autotrack", "models", "show", "clf", "--json").stdout)
    assert reproduced(program, run["id"])[1]["verdict"] in ("exact", "bitwise")
    assert json.loads(program("-m", "autotrack", "models", "show", "clf", "--json").stdout) == before
    assert len(before["log"]) == 2 and before["aliases"]["production"]["version"] == 1
