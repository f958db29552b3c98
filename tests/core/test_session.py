"""A script that owns its run: recorded where AUTOTRACK_HOME says, with the true outcome."""

import os
import subprocess
import sys
from pathlib import Path

from autotrack.events import MetricsLogged, RunEnded
from autotrack.journal.closing import close_dead
from autotrack.journal.reader import Journal, journals

HEAD = "from autotrack import start_run, current_run\nimport os, sys\n"


def run(code: str, home: Path, **environ: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", HEAD + code],
        env={**os.environ, "AUTOTRACK_HOME": str(home), "AUTOTRACK_FORWARDER": "off", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def events(home: Path) -> list:
    for folder in journals(home):
        close_dead(folder)
    return [record.event for folder in journals(home) for record in Journal(folder).records(final=True)]


def statuses(home: Path) -> list[str]:
    return [event.status for event in events(home) if isinstance(event, RunEnded)]


def test_a_with_block_is_one_run(tmp_path: Path) -> None:
    done = run(
        "with start_run('a') as r:\n    assert current_run() is r\n    r.log_metric('m', 1.5, step=2)\n", tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr == f"autotrack: recording to {tmp_path} (see: autotrack ls)\n"
    assert statuses(tmp_path) == ["finished"]
    assert [(e.step, e.values) for e in events(tmp_path) if isinstance(e, MetricsLogged)] == [(2, {"m": 1.5})]
    assert (tmp_path / ".gitignore").read_text() == "*\n"


def test_statuses_are_true(tmp_path: Path) -> None:
    for code in ("1/0", "sys.exit(3)", "os._exit(0)", "os.kill(os.getpid(), 15)", "raise KeyboardInterrupt"):
        run(f"with start_run():\n    {code}\n", tmp_path)
    assert sorted(statuses(tmp_path)) == ["failed", "killed", "killed", "killed", "killed"]


def test_a_run_without_with_ends_as_the_script_does(tmp_path: Path) -> None:
    endings = {
        "pass": ("finished", None),
        "1/0": ("failed", "ZeroDivisionError"),
        "raise KeyboardInterrupt": ("killed", "KeyboardInterrupt"),
        "try: 1/0\nexcept ZeroDivisionError: pass": ("finished", None),
    }
    for number, (code, (status, error)) in enumerate(endings.items()):
        home = tmp_path / str(number)
        run(f"start_run()\n{code}\n", home)
        (end,) = [event for event in events(home) if isinstance(event, RunEnded)]
        assert (end.status, end.error and end.error["type"]) == (status, error)


def test_a_folder_that_cannot_be_made_costs_the_record_and_not_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("with start_run() as r:\n    r.log_metric('m', 1.0)\nprint('trained')", tmp_path / "file")
    assert (done.returncode, done.stdout) == (0, "trained\n")
    assert done.stderr.count("\n") == 1
    assert "AUTOTRACK_HOME" in done.stderr


def test_quiet_prints_nothing(tmp_path: Path) -> None:
    done = run("with start_run():\n    pass", tmp_path, AUTOTRACK_QUIET="1")
    assert (done.stdout, done.stderr) == ("", "")


def test_a_forked_child_writes_to_its_own_journal(tmp_path: Path) -> None:
    code = (
        "with start_run() as r:\n"
        "    r.log_metric('m', 1.0, step=0)\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        r.log_metric('m', 2.0, step=1); os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
    )
    assert run(code, tmp_path).returncode == 0
    assert len(journals(tmp_path)) == 2
    assert statuses(tmp_path) == ["finished"]
    points = [(e.step, e.values["m"]) for e in events(tmp_path) if isinstance(e, MetricsLogged)]
    assert sorted(points) == [(0, 1.0), (1, 2.0)]


def test_a_process_of_many_runs_holds_none_of_those_that_ended(tmp_path: Path) -> None:
    code = (
        "import autotrack.session as s, gc\n"
        "for i in range(50):\n    with start_run(): pass\n"
        "s.session._witnesses.close()\n"  # waits for what is taken once and told to runs that ended before it was there
        "open_one = autotrack.start_run('open'); gc.collect()\n"
        "print(len(s.session._runs), len(s.session._all_runs))\n"
    )
    assert run("import autotrack\n" + code, tmp_path).stdout == "1 1\n"
    assert sorted(statuses(tmp_path)) == ["finished"] * 51


def test_zero_keeps_nothing_and_says_nothing(tmp_path: Path) -> None:
    code = (
        "with start_run() as r:\n    r.log_metric('m', 1.0); r.log_artifact(b'x', 'a.txt'); r.log_model(object())\n"
        "print(r.status)\n"
    )
    done = run(code, tmp_path / "home", AUTOTRACK_ENABLED="0")
    assert (done.stdout, done.stderr) == ("finished\n", "")
    assert not (tmp_path / "home").exists()


def test_a_child_process_adds_to_the_run_that_it_is_handed_and_does_not_end_it(tmp_path: Path) -> None:
    code = (
        "import subprocess\n"
        "with start_run('whole') as r:\n"
        "    child = 'import autotrack\\nwith autotrack.start_run() as r: r.log_metric(\"m\", 2.0, step=1)'\n"
        "    subprocess.run([sys.executable, '-c', child], env={**os.environ, 'AUTOTRACK_RUN_ID': r.id}, check=True)\n"
        "    r.log_metric('m', 1.0, step=0)\n"
    )
    assert run(code, tmp_path).returncode == 0
    points = [(e.run, e.step, e.values["m"]) for e in events(tmp_path) if isinstance(e, MetricsLogged)]
    assert sorted(point[1:] for point in points) == [(0, 1.0), (1, 2.0)]
    assert len({point[0] for point in points}) == 1
    assert statuses(tmp_path) == ["finished"]
