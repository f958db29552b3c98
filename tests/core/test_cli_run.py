"""`autotrack run` is `python`: the same `__main__`, paths, output, traceback and exit; what it trains is recorded."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

TELL = """
import sys, os, json
print(json.dumps({
    "argv": sys.argv, "path0": sys.path[0], "file": __file__, "name": __name__, "package": __package__,
    "spec": __spec__ and __spec__.name, "main": sys.modules["__main__"].__dict__ is globals(),
    "loader": type(__loader__).__name__, "names": sorted(set(globals()) - {"sys", "os", "json"}),
    "annotations": __annotations__ if "__annotations__" in globals() else None, "cached": __cached__,
}))
"""


def run(command: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "AUTOTRACK_HOME": str(folder / "home"), "AUTOTRACK_FORWARDER": "off", **more}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def both(folder: Path, *words: str, **more: str) -> tuple[subprocess.CompletedProcess, subprocess.CompletedProcess]:
    plain = run(list(words), folder, **more)
    return plain, run(["-m", "autotrack", "run", *words], folder, **more)


def same(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess:
    plain, ours = both(folder, *words, **more)
    assert (ours.returncode, ours.stdout, ours.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    return ours


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inner").mkdir()
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    for place in ("tell.py", "inner/tell.py", "pack/tell.py", "pack/__main__.py"):
        (tmp_path / place).write_text(TELL)
    (tmp_path / "link.py").symlink_to(tmp_path / "inner" / "tell.py")
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("__main__.py", TELL)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["tell.py"],
        ["./tell.py", "--project", "theirs", "-m", "--json", "--", "-x"],
        ["inner/tell.py", "--help"],
        ["link.py"],
        ["pack", "a"],
        ["app.zip", "a"],
        ["-m", "pack.tell", "-m", "--name", "x"],
        ["-mpack.tell"],
        ["-m", "pack", "1"],
    ],
)
def test_the_program_finds_what_python_shows_it(folder: Path, words: list[str]) -> None:
    told = json.loads(same(folder, *words).stdout)
    assert told["name"] == "__main__"
    assert told["main"]


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("def f():\n    raise ValueError('broken')\nf()\n", 1),
        ("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('x') from e\n", 1),
        ("try:\n    1 / 0\nexcept ZeroDivisionError:\n    {}['y']\n", 1),
        ("x = (\n", 1),
        ("raise ExceptionGroup('g', [ValueError(1), TypeError(2)])\n", 1),
        ("import sys; sys.exit(7)\n", 7),
        ("import sys; sys.exit('words')\n", 1),
        ("raise SystemExit\n", 0),
        ("import os; os._exit(5)\n", 5),
        ("import sys\nsys.excepthook = lambda *a: print('mine', a[0].__name__, a[2].tb_lineno)\n1 / 0\n", 1),
        ("import atexit\natexit.register(print, 'bye')\n1 / 0\n", 1),
        ("import threading\nthreading.Thread(target=lambda: print('joined')).start()\n", 0),
        ("import click\nraise click.Abort\n", 1),
        ("from autotrack.errors import UsageError\nraise UsageError('theirs')\n", 1),
        ("raise BrokenPipeError('theirs')\n", 1),
        ("def f(x: int) -> None: ...\nprint(f.__annotations__)\n", 0),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)\n", -signal.SIGTERM),
    ],
)
@pytest.mark.parametrize("as_module", [False, True])
def test_every_ending_is_pythons(tmp_path: Path, code: str, exit_code: int, as_module: bool) -> None:
    (tmp_path / "script.py").write_text(code)
    done = same(tmp_path, *(["-m", "script"] if as_module else ["script.py"]))
    assert done.returncode == exit_code


def test_ctrl_c_reaches_the_script_and_ends_the_process_as_python_does(tmp_path: Path) -> None:
    # It says that it waits in the very line that waits: wherever the signal comes, the traceback names that line.
    (tmp_path / "script.py").write_text("import time\ntime.sleep(60 if print('on', flush=True) is None else 0)\n")
    variables = {**os.environ, "PYTHONNODEBUGRANGES": "1"}
    endings = []
    program = Path(sys.executable).with_name("autotrack")
    for command in ([sys.executable, "script.py"], [str(program), "run", "script.py"]):
        child = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert child.stdout.readline() == "on\n"
        child.send_signal(signal.SIGINT)
        endings.append((child.communicate(timeout=20)[1], child.returncode))
    assert endings[0] == endings[1]
    assert endings[0][1] == -signal.SIGINT


def test_spawned_processes_pools_and_pickles_find_main(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "import multiprocessing, os, pickle\n"
        "class Thing: pass\n"
        "def double(x): return x * 2, os.environ['AUTOTRACK_ENABLED']\n"
        "if __name__ == '__main__':\n"
        "    assert type(pickle.loads(pickle.dumps(Thing()))) is Thing\n"
        "    for method in ('spawn', 'fork'):\n"
        "        with multiprocessing.get_context(method).Pool(2) as pool:\n"
        "            print(pool.map(double, [1, 2]))\n"
    )
    for words in (["script.py"], ["-m", "script"]):
        done = run(["-m", "autotrack", "run", *words], tmp_path)
        assert done.stdout == "[(2, '1'), (4, '1')]\n" * 2, done.stderr


def test_what_is_logged_is_recorded_in_the_named_project(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(
        "import autotrack\nwith autotrack.start_run() as run:\n    run.log_metrics({'loss': 0.5}, step=3)\n"
    )
    assert run(["-m", "autotrack", "run", "--project", "churn", "train.py"], tmp_path).returncode == 0
    (record,) = json.loads(run(["-m", "autotrack", "ls", "--json"], tmp_path).stdout)
    assert (record["project"], record["name"], record["status"]) == ("churn", "train", "finished")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("pass", "finished"),
        ("raise SystemExit(0)", "finished"),
        ("raise SystemExit(3)", "killed"),
        ("raise KeyboardInterrupt", "killed"),
        ("1 / 0", "failed"),
    ],
)
def test_a_named_script_is_one_run_with_the_scripts_outcome(tmp_path: Path, code: str, status: str) -> None:
    (tmp_path / "train.py").write_text(f"import autotrack\nautotrack.current_run().log_metrics({{'a': 1}})\n{code}\n")
    plain = run(["-c", "pass"], tmp_path)
    assert plain.returncode == 0
    run(["-m", "autotrack", "run", "--name", "night", "train.py"], tmp_path)
    record = json.loads(run(["-m", "autotrack", "show", "night", "--json"], tmp_path).stdout)
    assert (record["status"], record["metrics"]["a"]["count"]) == (status, 1)
    assert record["code"]["script"] == str(tmp_path / "train.py")
    if status == "failed":
        assert (
            record["error"]["traceback"].splitlines()[1].strip() == f'File "{tmp_path}/train.py", line 3, in <module>'
        )


def test_switched_off_it_only_runs(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import os; print(os.environ['AUTOTRACK_ENABLED'])\n")
    done = run(["-m", "autotrack", "run", "--name", "x", "train.py"], tmp_path, AUTOTRACK_ENABLED="0")
    assert (done.stdout, done.returncode, (tmp_path / "home").exists()) == ("0\n", 0, False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "there is no script to run"),
        (["nowhere.py"], "cannot open the script nowhere.py: No such file or directory"),
        (["-m"], "-m needs the name of a module"),
        (["--project"], "requires an argument"),
        (["--frob", "x.py"], "No such option '--frob'"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(tmp_path: Path, words: list[str], said: str) -> None:
    done = run(["-m", "autotrack", "run", *words], tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("autotrack: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_training_output_is_not_delayed_or_captured(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys, time\nprint('first', flush=True)\nsys.stdin.readline()\n")
    child = subprocess.Popen(
        [sys.executable, "-m", "autotrack", "run", "script.py"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    began = time.monotonic()
    assert child.stdout.readline() == "first\n"
    child.communicate("\n")
    assert (child.returncode, time.monotonic() - began < 20) == (0, True)
