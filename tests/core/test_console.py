"""The console of a run: what it printed is in its record, within bounds, and its streams never notice."""

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from autotrack import current_run, start_run
from autotrack.events import ConsoleLogged, NoteLogged, RunEnded
from autotrack.journal.closing import close_dead
from autotrack.journal.reader import Journal, journals
from autotrack.journal.tail import left_behind
from autotrack.provenance import transcript
from autotrack.provenance.folding import Thinned, folded
from autotrack.testing import recording

HEAD = "import autotrack, os, sys, time\n"
IS_HEARD = "with autotrack.start_run():\n    print('write' in vars(sys.stdout))"


def events(home: Path, kind: type) -> list:
    found = [record.event for folder in journals(home) for record in Journal(folder).records(final=True)]
    return [event for event in found if isinstance(event, kind)]


def written(home: Path, run: str | None = None) -> list[tuple[str, str]]:
    """The lines of a run, or of all, as a reader sees them."""
    pieces = [(it.stream, it.text) for it in events(home, ConsoleLogged) if run in (None, it.run)]
    return [(stream, line) for stream, line, _ in folded(pieces)]


def lines(home: Path, run: str | None = None) -> list[str]:
    return [line for _, line in written(home, run)]


def script(code: str, home: Path, *options: str, **environ: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *options, "-c", HEAD + code],
        env={**os.environ, "AUTOTRACK_HOME": str(home), "AUTOTRACK_FORWARDER": "off", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_a_run_prints_is_in_its_record_in_order(tmp_path: Path, capsys) -> None:
    with recording(tmp_path):
        print("before")
        with start_run():
            print("epoch", 1, "loss", 0.5)
            print("careful", file=sys.stderr)
            print("epoch", 2, end="")
            print(" done")
        print("after")
    assert written(tmp_path) == [("stdout", "epoch 1 loss 0.5"), ("stderr", "careful"), ("stdout", "epoch 2 done")]
    out = capsys.readouterr()
    assert out.out == "before\nepoch 1 loss 0.5\nepoch 2 done\nafter\n"
    assert "careful\n" in out.err


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    done = script(
        "with autotrack.start_run():\n    print('write' in vars(sys.stdout))", tmp_path, AUTOTRACK_CONSOLE="0"
    )
    assert done.stdout == "False\n"
    assert lines(tmp_path) == []


def test_the_streams_are_the_same_objects_and_as_before_at_the_end(tmp_path: Path, capsys) -> None:
    out, err = sys.stdout, sys.stderr
    told = (type(out), out.encoding, out.isatty(), out.fileno if False else None)
    with recording(tmp_path):
        with start_run(), start_run():
            assert sys.stdout is out and sys.stderr is err
            assert (type(out), out.encoding, out.isatty(), None) == told
            assert out.write.__name__ == "write"
            assert print("x", file=out) is None and out.write("four") == 4
        assert "write" not in vars(out) and "write" not in vars(err)


def test_what_the_stream_raises_is_raised(tmp_path: Path, monkeypatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError("theirs")

    monkeypatch.setattr(sys, "stdout", Closed())
    with recording(tmp_path), start_run(), pytest.raises(BrokenPipeError, match="theirs"):
        print("x")
    assert lines(tmp_path) == []


def test_writelines_logging_and_handlers_made_before_are_heard(tmp_path: Path, capsys) -> None:
    logger = logging.Logger("mine")
    logger.addHandler(logging.StreamHandler(sys.stderr))
    with recording(tmp_path), start_run():
        sys.stdout.writelines(["a\n", "b\n"])
        logger.warning("lr is high")
    assert lines(tmp_path) == ["a", "b", "lr is high"]


def test_what_is_redirected_goes_where_it_was_sent_alone(tmp_path: Path, capsys) -> None:
    with recording(tmp_path), start_run():
        with contextlib.redirect_stdout(io.StringIO()) as caught:
            print("for the buffer")
        print("for all")
    assert caught.getvalue() == "for the buffer\n"
    assert lines(tmp_path) == ["for all"]


def test_a_stream_that_another_has_wrapped_meanwhile_keeps_that_wrapper(tmp_path: Path, monkeypatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    with recording(tmp_path):
        with start_run():
            ours = stream.write
            seen = []
            stream.write = lambda text: (seen.append(text), ours(text))[1]
            print("first")
        print("between")
        with start_run() as second:
            print("second")
        stream.write("still theirs\n")
    assert "".join(seen) == "first\nbetween\nsecond\nstill theirs\n"
    assert stream.getvalue() == "first\nbetween\nsecond\nstill theirs\n"
    assert lines(tmp_path, second.id) == ["second"]


def test_a_tee_over_the_stream_is_heard_once(tmp_path: Path, monkeypatch, capsys) -> None:
    class Tee:
        def __init__(self, *streams) -> None:
            self.streams = streams

        def write(self, text: str) -> None:
            for stream in self.streams:
                stream.write(text)

        def flush(self) -> None: ...

    with recording(tmp_path), start_run():
        monkeypatch.setattr(sys, "stdout", Tee(sys.stdout, io.StringIO()))
        with start_run() as inner:
            print("once")
    assert lines(tmp_path, inner.id) == ["once"]


def test_a_stream_that_takes_no_attributes_is_left_alone_and_noted(tmp_path: Path, monkeypatch) -> None:
    class Slotted:
        __slots__ = ("texts",)

        def write(self, text: str) -> None:
            self.texts.append(text)

        def flush(self) -> None: ...

    stream = Slotted()
    stream.texts = []
    monkeypatch.setattr(sys, "stdout", stream)
    with recording(tmp_path), start_run():
        print("x")
    assert stream.texts == ["x", "\n"]
    assert "Slotted" in events(tmp_path, NoteLogged)[0].why


def test_text_goes_to_the_run_of_the_thread_that_writes(tmp_path: Path, capsys) -> None:
    both = threading.Barrier(2, timeout=10)
    runs = {}

    def train(name: str) -> None:
        with start_run(name) as run:
            runs[name] = run.id
            both.wait()
            print(f"from {name}")
            both.wait()

    with recording(tmp_path):
        threads = [threading.Thread(target=train, args=(name,)) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert lines(tmp_path, runs["a"]) == ["from a"]
    assert lines(tmp_path, runs["b"]) == ["from b"]


def test_a_nested_run_has_its_own_text_and_a_worker_thread_that_of_the_innermost(tmp_path: Path, capsys) -> None:
    with recording(tmp_path), start_run() as study:
        print("study")
        with start_run() as trial:
            print("trial")
            worker = threading.Thread(target=print, args=("worker",))
            worker.start()
            worker.join()
        print("study again")
        assert current_run() is study
    assert lines(tmp_path, study.id) == ["study", "study again"]
    assert lines(tmp_path, trial.id) == ["trial", "worker"]


def test_text_goes_to_the_run_of_the_task_that_writes(tmp_path: Path, capsys) -> None:
    import asyncio

    runs = {}

    async def train(name: str, ready: asyncio.Barrier) -> None:
        with start_run(name) as run:
            runs[name] = run.id
            await ready.wait()
            print(f"from {name}")
            await ready.wait()

    async def both() -> None:
        ready = asyncio.Barrier(2)
        await asyncio.gather(train("a", ready), train("b", ready))

    with recording(tmp_path):
        asyncio.run(both())
    assert (lines(tmp_path, runs["a"]), lines(tmp_path, runs["b"])) == (["from a"], ["from b"])


def test_text_of_a_thread_that_may_belong_to_either_run_is_counted_and_not_guessed(tmp_path: Path, capsys) -> None:
    opened, written_ = threading.Barrier(3, timeout=10), threading.Barrier(3, timeout=10)

    def train() -> None:
        with start_run():
            opened.wait()
            written_.wait()

    with recording(tmp_path):
        threads = [threading.Thread(target=train) for _ in range(2)]
        for thread in threads:
            thread.start()
        opened.wait()
        sys.stdout.write("whose?\n")
        written_.wait()
        for thread in threads:
            thread.join()
    assert lines(tmp_path) == []
    assert [note.count for note in events(tmp_path, NoteLogged)] == [1, 1]


def test_a_progress_bar_is_its_last_state(tmp_path: Path, capsys) -> None:
    with recording(tmp_path), start_run():
        for step in range(101):
            print(f"\r{step:3}%|{'#' * (step // 10):10}|", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        print("trained", file=sys.stderr)
    assert lines(tmp_path) == ["100%|##########|", "trained"]
    assert sum(len(event.text) for event in events(tmp_path, ConsoleLogged)) < 200


def test_nested_progress_bars_are_their_last_states(tmp_path: Path, capsys) -> None:
    with recording(tmp_path), start_run():
        for epoch in range(3):
            sys.stderr.write(f"\repoch {epoch}")
            for batch in range(200):
                sys.stderr.write("\n")
                sys.stderr.write(f"\rbatch {batch}")
                sys.stderr.write("\x1b[A")
        sys.stderr.write("\n\n\x1b[32mtrained\x1b[0m\n")
    assert lines(tmp_path)[-3:] == ["epoch 2", "batch 199", "trained"]
    assert len(lines(tmp_path)) < 6


def test_what_is_told_of_a_display_is_what_a_terminal_shows() -> None:
    import random

    chosen = random.Random(5)
    parts = [
        "a",
        "bb\n",
        "\r",
        "\x1b[A",
        "\b",
        "x\x1b[K",
        "\n",
        "\x1b[2K",
        "\x1b[J",
        "some words\n",
        "\x1b[31mred\x1b[0m",
    ]
    for _ in range(500):
        chunks = ["\x1b[A"] + [chosen.choice(parts) for _ in range(chosen.randint(1, 50))]
        thinned, now, told = Thinned(str), 0.0, []
        for chunk in chunks:
            told.append(thinned.take(chunk, now))
            now += chosen.choice([0.01, 1.0])
        told.append(thinned.take("", now, last=True))
        shown = [[line for _, line, _ in folded(("stdout", text) for text in it)] for it in (chunks, told)]
        assert shown[0] == shown[1], chunks


def test_too_much_text_is_its_beginning_and_its_end_and_what_is_left_out_is_counted(tmp_path: Path, capsys) -> None:
    with recording(tmp_path), start_run():
        for number in range(100_000):
            print(f"line number {number:06} of a run that says too much")
    found = lines(tmp_path)
    size = sum(len(event.text) for event in events(tmp_path, ConsoleLogged))
    assert found[0].startswith("line number 000000") and found[-1].startswith("line number 099999")
    assert 512 << 10 < size < 1200 << 10
    (note,) = events(tmp_path, NoteLogged)
    total = 100_000 * len("line number 000000 of a run that says too much\n")
    assert abs(note.count + size - total) < 100
    assert any(f"{note.count} bytes are left out here" in line for line in found)
    assert list((tmp_path / "console").iterdir()) == []


def test_one_huge_text_is_cut(tmp_path: Path, capsys) -> None:
    with recording(tmp_path), start_run():
        print("begin" + "x" * 5_000_000 + "end")
    found = "".join(lines(tmp_path))
    assert found.startswith("begin") and found.endswith("end") and len(found) < 1 << 20
    assert events(tmp_path, NoteLogged)[0].count > 4_000_000


def test_a_killed_process_has_lost_no_line(tmp_path: Path) -> None:
    script("autotrack.start_run()\nfor i in range(20): print('line', i)\nos.kill(os.getpid(), 9)", tmp_path)
    assert lines(tmp_path) == [f"line {number}" for number in range(20)]


MUCH = """
run = autotrack.start_run()
for i in range(40_000): print('line', i, 'x' * 40)
def kept():
    return b''.join(part.read_bytes() for part in (run.home / 'console').iterdir())
while b'line 39999 ' not in kept(): time.sleep(0.01)
os.kill(os.getpid(), 9)
"""
"""Writes more than is kept, and is killed once the end of it is on the disk."""


def test_of_a_killed_process_that_wrote_too_much_the_end_is_there(tmp_path: Path) -> None:
    script(MUCH, tmp_path)
    (run,) = {event.run for event in events(tmp_path, ConsoleLogged)}
    end = [event for event in left_behind(tmp_path, run) if isinstance(event, ConsoleLogged)]
    assert "line 39999 " in end[-1].text


def test_part_of_a_line_is_recorded_while_the_run_goes_on(tmp_path: Path) -> None:
    code = """
run = autotrack.start_run()
print('evalu' + 'ating', end='', flush=True)  # in two, since the command is in the journal too
while not any(b'evalu' b'ating' in one.read_bytes() for one in run.home.glob('journals/*/*.atj')): time.sleep(0.01)
os.kill(os.getpid(), 9)
"""
    script(code, tmp_path)
    assert lines(tmp_path) == ["evaluating"]


def test_the_traceback_of_a_script_is_in_its_console_and_our_own_lines_are_not(tmp_path: Path) -> None:
    done = script("autotrack.start_run()\nraise ExceptionGroup('both', [ValueError('a'), TypeError('b')])", tmp_path)
    assert "autotrack: recording to" in done.stderr
    found = "\n".join(lines(tmp_path))
    assert "ValueError: a" in found and "TypeError: b" in found
    assert "recording to" not in found
    (end,) = events(tmp_path, RunEnded)
    assert end.error is not None and "TypeError: b" in end.error["traceback"]


def test_a_failed_run_has_the_notes_and_the_causes_of_its_error(tmp_path: Path) -> None:
    with recording(tmp_path), contextlib.suppress(RuntimeError), start_run():
        try:
            raise KeyError("first")
        except KeyError as cause:
            error = RuntimeError("second")
            error.add_note("tried twice")
            raise error from cause
    (end,) = events(tmp_path, RunEnded)
    assert end.error is not None
    assert all(text in end.error["traceback"] for text in ("KeyError: 'first'", "second", "tried twice"))


def test_a_forked_child_prints_for_itself(tmp_path: Path) -> None:
    code = (
        "with autotrack.start_run():\n"
        "    print('parent')\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        print('child'); sys.stdout.flush(); os._exit(0)\n"
        "    os.waitpid(child, 0)\n"
        "    print('again')\n"
    )
    done = script(code, tmp_path, "-W", "error")
    assert done.stdout.count("child") == 1, done.stderr
    assert lines(tmp_path) == ["parent", "again"]


def test_a_fork_finds_no_thread_of_ours(tmp_path: Path) -> None:
    code = (
        "import threading\n"
        "def ours(): return [it.name for it in threading.enumerate()].count('autotrack-console')\n"
        "with autotrack.start_run():\n"
        "    for i in range(200): print(i)\n"
        "    print('part', end='', flush=True)\n"
        "    assert ours() == 1\n"
        "    child = os.fork()\n"
        "    if child == 0: os._exit(ours())\n"
        "    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0\n"
        "    assert ours() == 0\n"
        "    print(' whole')\n"
    )
    done = script(code, tmp_path, "-W", "error")
    assert done.returncode == 0, done.stderr
    assert lines(tmp_path)[-1] == "part whole"


def test_secrets_are_masked(tmp_path: Path, capsys) -> None:
    token = "hf_" + "A1b2C3d4" * 4
    key = ["-----BEGIN RSA PRIVATE KEY-----", "MIIEow" + "Zx9" * 18, "Qm8" * 20 + "==", "-----END RSA PRIVATE KEY-----"]
    with recording(tmp_path), start_run():
        print("token is", token)
        print("reading https://me:hunter2@example.org/data")
        print(f"\rpassword=swordfish {token}", end="")
        print()
        for line in key:
            print(line)
        print("loss 0.5")
    data = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in (token, "hunter2", "swordfish", key[1], key[2]):
        assert secret.encode() not in data
    assert lines(tmp_path)[-1] == "loss 0.5"


def test_autotrack_off_hears_nothing(tmp_path: Path) -> None:
    done = script(
        "with autotrack.start_run():\n    print('write' in vars(sys.stdout))", tmp_path, AUTOTRACK_ENABLED="0"
    )
    assert done.stdout == "False\n"


def test_show_prints_the_console(tmp_path: Path) -> None:
    script(
        "with autotrack.start_run('talker'):\n    print('\\x1b[31mone\\x1b[0m'); print('two', file=sys.stderr)",
        tmp_path,
    )

    def show(*options: str) -> str:
        command = [sys.executable, "-m", "autotrack", "show", "talker", "--console", *options]
        environ = {**os.environ, "AUTOTRACK_HOME": str(tmp_path)}
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True).stdout

    assert show() == "one\ntwo\n"
    assert [(line["stream"], line["text"]) for line in json.loads(show("--json"))] == [
        ("stdout", "one"),
        ("stderr", "two"),
    ]


def test_a_print_costs_little(tmp_path: Path, monkeypatch) -> None:
    import time

    with open(os.devnull, "w") as nowhere, recording(tmp_path):
        monkeypatch.setattr(sys, "stdout", nowhere)
        with start_run():
            began = time.perf_counter()
            for number in range(20_000):
                print(f"epoch {number} loss 0.1234")
            took = time.perf_counter() - began
    assert took / 20_000 < 40e-6  # measured: 3e-6; a guard against a write of its own for each line
    assert transcript.BURST < 1000


def test_whoever_closes_the_run_of_a_killed_process_takes_the_end_of_its_console(tmp_path: Path) -> None:
    script(MUCH, tmp_path)
    (folder,) = journals(tmp_path)
    close_dead(folder)
    assert lines(tmp_path)[-1].startswith("line 39999 ")
    assert list((tmp_path / "console").iterdir()) == []
