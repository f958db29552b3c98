"""Whole runs go for good: from the store, from journals that are put away, and in whatever order journals arrive."""

import gzip
import io
import json
import os
import pty
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

import autotrack
from autotrack.cli.main import main
from autotrack.errors import AutotrackError, RunRemoved
from autotrack.events import MetricsLogged, ProvenanceLogged, RegistryLogged, RunStarted, TagsSet, decode
from autotrack.forward.catching_up import take_in
from autotrack.forward.progress import Progress
from autotrack.journal import liveness
from autotrack.journal.frames import HEADER_BYTES
from autotrack.journal.reader import Journal, archived, journals
from autotrack.journal.removed import is_removal
from autotrack.journal.writer import Writer
from autotrack.store.query import Store, jsonable
from autotrack.upkeep import removing
from autotrack.upkeep.blanking import blank, nothing
from autotrack.upkeep.checking import check
from autotrack.upkeep.collecting import Report

sys.path.insert(0, str(Path(__file__).parent))
import upkeep_homes as homes

SECRET = "hunter2-is-the-password"


def say(home: Path, *events: Any, kind: str = "") -> None:
    writer = Writer(home / "journals", version="0", backends=("local",), kind=kind)
    for event in events:
        writer.append_event(event)
    writer.close()


def with_secret(home: Path, **settings: Any) -> tuple[str, str]:
    """A run with a secret in a metric's name and elsewhere, and one without, in one journal; their ids."""
    with (
        homes.recorded(home, **settings),
        autotrack.start_run("bad") as bad,
        autotrack.start_run("good", parent="none") as good,
    ):
        for step in range(600):
            bad.log_metrics({SECRET: float(step), "loss": 0.5}, step=step)
            good.log_metrics({"loss": 1.0 / (step + 1)}, step=step)
        bad.log_params({"password": SECRET})
        bad.log_params({"password": SECRET + "!"})
        bad.set_tags({SECRET: SECRET})
        bad.log_artifact(b"artifact of bad", f"{SECRET}.txt")
        bad.note(SECRET, SECRET)
        bad.log_console("stdout", f"{SECRET}\n")
    if settings:  # another backend lacks it
        liveness.forget_held()
        take_in(home, homes.settings_of(home, **settings))
    else:
        homes.deliver(home)
    return bad.id, good.id


def command(home: Path, *words: str, **settings: Any) -> tuple[int, str, str]:
    """A command in this process, which is quicker: its exit code, and what it prints."""
    out, err = io.StringIO(), io.StringIO()
    with homes.recorded(home, user="ana", strict=False, **settings), redirect_stdout(out), redirect_stderr(err):
        code = main(words)
    return code, out.getvalue(), err.getvalue()


def ask(home: Path, *words: str, code: int = 0, **settings: Any) -> Any:
    """What a command prints as JSON."""
    done, out, err = command(home, *words, "--json", **settings)
    assert done == code, out + err
    return json.loads(out)


def remove(home: Path, *runs: str, why: str = "a mistake", **more: Any) -> removing.Removed:
    settings = homes.settings_of(home, user="ana")
    chosen = removing.plan(home, settings, runs, **more)
    assert chosen.refused == []
    return removing.remove(home, settings, chosen, why)


def records(home: Path) -> dict[str, Any]:
    """Everything that is known of each run, with all points."""
    with Store.open(home, homes.settings_of(home)) as store:
        found = {run["id"]: store.run(run["id"]) for run in store.runs()}
        for run, record in found.items():
            record["points"] = {key: store.series_dicts(run, key) for key in record["metrics"]}
        return {run: jsonable(record) for run, record in found.items()}


def is_whole(home: Path) -> bool:
    settings = homes.settings_of(home)
    with Store.open(home, settings) as store:
        found = check(home, settings, store)
    assert not found.damaged, found.record()
    return found.compared.elsewhere == 0


def places_of(home: Path, text: str) -> list[str]:
    """The files of a home in which a text stands, compressed ones too."""
    found = []
    for path in home.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            data = gzip.decompress(data) if path.suffix == ".gz" else data
            if text.encode() in data:
                found.append(path.relative_to(home).as_posix())
    return found


def test_a_removed_run_is_nowhere_any_more_and_the_others_are_what_they_were(tmp_path: Path) -> None:
    home = tmp_path / "home"
    bad, good = with_secret(home)
    kept = homes.some_runs(home, 2)
    before = records(home)
    assert {"store.db"} < {name.partition("-wal")[0] for name in places_of(home, SECRET)}
    told = homes.ask(home, "rm", bad[:7], "--why", "a password", "--yes")
    assert told["removed"] == [bad] and told["left"] == [] and told["problems"] == [] and told["cleared"] > 600
    assert places_of(home, SECRET) == []
    assert {name.partition("/")[0] for name in places_of(home, bad)} == {"store.db", *_folders_of_removals(home)}
    assert records(home) == {run: record for run, record in before.items() if run != bad}
    assert is_whole(home)
    for path in home.glob("store.db*"):
        path.unlink()
    homes.deliver(home)
    assert records(home).keys() == {good, *kept} and places_of(home, SECRET) == []
    assert ask(home, "verify")["store"]["removed"] == 1 and is_whole(home)
    homes.age(home)
    freed = {one["kind"] for one in ask(home, "gc")["freed"]}
    assert "blobs" in freed and places_of(home, "artifact of bad") == []


def _folders_of_removals(home: Path) -> set[str]:
    return {folder.parent.name for folder in [*archived(home), *journals(home)] if is_removal(folder.name)}


def test_show_python_and_the_command_say_when_by_whom_and_why(tmp_path: Path) -> None:
    home = tmp_path / "home"
    bad, good = with_secret(home)
    code, out, err = command(home, "rm", bad, "--why", "a password", "--yes")
    assert code == 0 and "1 run removed for good" in out, err
    code, out, err = command(home, "show", bad[:8])
    assert code == 1 and "was removed for good on 20" in err
    assert err.rstrip().endswith("by ana because: a password")
    with homes.recorded(home):
        with pytest.raises(RunRemoved, match="by ana because: a password") as raised:
            autotrack.get_run(bad)
        assert raised.value.run == bad and isinstance(raised.value, LookupError)
        assert [run["id"] for run in autotrack.runs()] == [good]
    code, out, err = command(home, "rm", bad, "--why", "again", "--yes")
    assert code == 0 and "was removed before" in out, err


def test_the_lineage_of_others_says_that_a_run_was_removed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    base, tuned = homes.some_runs(home, 2)
    model = records(home)[base]["models"][0]["digest"]
    say(home, ProvenanceLogged(tuned, 5, "inputs", {model: {"by": "test", "run": base, "name": "net"}}))
    homes.deliver(home)
    remove(home, base)
    assert f"made by a run that was removed for good {base}" in command(home, "show", tuned, "--lineage")[1]
    remove(home, tuned)
    assert "no runs yet" in command(home, "ls")[1]


def test_it_is_hard_to_do_by_accident(tmp_path: Path) -> None:
    home = tmp_path / "home"
    bad, good = with_secret(home)
    for words, told in (
        ((bad, "--why", "x"), "say --yes"),
        ((bad, "--yes"), "say --why"),
        (("--yes", "--why", "x"), "say which runs"),
        (("latest", "--why", "x", "--yes"), "name it by its id"),
    ):
        code, _, err = command(home, "rm", *words)
        assert code == 2 and told in err
    code, out, err = command(home, "rm", "--where", "name = bad", "--dry-run")
    assert code == 0 and bad in out and "1 run would be removed; nothing was" in out, err
    assert on_terminal(home, "n\n", "rm", bad, "--why", "x") == 130
    assert records(home).keys() == {bad, good}
    assert on_terminal(home, "y\n", "rm", bad, "--why", "x") == 0
    assert records(home).keys() == {good}


def on_terminal(home: Path, answer: str, *words: str) -> int:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "autotrack", *words]
    with subprocess.Popen(
        command, env=homes.environment_of(home), stdin=theirs, stderr=theirs, stdout=subprocess.DEVNULL
    ) as child:
        os.close(theirs)
        os.write(ours, answer.encode())
        try:
            while os.read(ours, 1024):
                pass
        except OSError:  # its end is closed
            pass
        code = child.wait(60)
    os.close(ours)
    return code


def test_a_run_stays_removed_in_whatever_order_journals_arrive(tmp_path: Path) -> None:
    home = tmp_path / "home"
    tombstone = ProvenanceLogged("", 5, "tombstone", {"r": {"who": "ana", "why": "x"}})
    say(home, tombstone, kind="removal")
    homes.deliver(home)
    say(home, RunStarted("r", 1, "late", "p"), MetricsLogged("r", 2, 0, {"loss": 1.0}), RunStarted("s", 3, "s", "p"))
    homes.deliver(home)
    assert records(home).keys() == {"s"} and is_whole(home)
    say(home, RunStarted("t", 1, "t", "p"), MetricsLogged("t", 2, 0, {"loss": 1.0}), TagsSet("s", 3, {"a": "b"}))
    homes.deliver(home)
    say(home, ProvenanceLogged("", 6, "tombstone", {"t": {}, "r": {"who": "bo"}}), kind="removal")
    homes.deliver(home)
    assert records(home).keys() == {"s"} and is_whole(home)
    with pytest.raises(RunRemoved, match="by ana because: x"), Store.open(home, homes.settings_of(home)) as store:
        store.run("r")


def test_no_run_can_speak_a_tombstone_of_another(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (kept,) = homes.some_runs(home, 1)
    with homes.recorded(home), autotrack.start_run("rude") as run:
        run.log_provenance("tombstone", {kept: {"who": "x", "why": "y"}})
    homes.deliver(home)
    assert records(home).keys() == {kept, run.id}


def test_what_cannot_go_is_refused_with_the_reason_and_then_nothing_goes(tmp_path: Path) -> None:
    home = tmp_path / "home"
    base, registered, loose = homes.some_runs(home, 3)
    model = records(home)[registered]["models"][0]["digest"]
    say(
        home,
        ProvenanceLogged(registered, 5, "inputs", {records(home)[base]["models"][0]["digest"]: {"by": "test"}}),
        RegistryLogged(registered, 6, "clf", "register", "s1", model),
        RegistryLogged(registered, 7, "clf", "retire", "s2", model),
        RunStarted("child", 8, "child", "p", parent=loose),
        RunStarted("grandchild", 9, "grandchild", "p", parent="child"),
    )
    homes.deliver(home)
    with homes.recorded(home), autotrack.start_run("live") as live:
        live.log_metrics({"loss": 1.0}, step=0)
        told = homes.ask(home, "rm", base, registered, loose, live.id, "--why", "x", "--yes", code=1)
        whys = {one["run"]: one["why"] for one in told["refused"]}
        assert whys.keys() == {base, registered, loose, live.id} and told["removed"] == []
        assert "a registered model needs it" in whys[base] and "a registered model needs it" in whys[registered]
        assert "a run that would stay is part of it" in whys[loose]
        assert "it is going on" in whys[live.id]
    homes.deliver(home)
    assert len(records(home)) == 6
    assert set(remove(home, loose, with_children=True).runs) == {loose, "child", "grandchild"}
    assert records(home).keys() == {base, registered, live.id} and is_whole(home)


def test_children_go_along_where_that_is_asked_for(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with homes.recorded(home), autotrack.start_run("study") as study:
        with autotrack.start_run("trial") as trial, autotrack.start_run("fold") as fold:
            fold.log_metrics({"loss": 1.0}, step=0)
        with autotrack.start_run("other", parent="none") as other:
            pass
    homes.deliver(home)
    assert set(remove(home, study.id, with_children=True).runs) == {study.id, trial.id, fold.id}
    assert records(home).keys() == {other.id} and is_whole(home)
    (folder,) = [one for one in [*archived(home), *journals(home)] if is_removal(one.name)]
    told = [record.event for record in Journal(folder).records() if isinstance(record.event, ProvenanceLogged)]
    assert len(told) == 1 and told[0].record.keys() == {study.id, trial.id, fold.id}, "all or none"


def test_a_journal_that_is_still_written_is_cleared_once_it_is_put_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from autotrack.plugin import rejoin_leaf

    home = tmp_path / "home"
    with homes.recorded(home), autotrack.start_run("goes on") as live:
        with autotrack.start_run("bad", parent="none") as bad:
            bad.log_metrics({SECRET: 1.0}, step=0)
        done = remove(home, bad.id)
        assert [one["why"].split(";")[0] for one in done.traces.left] == ["a process goes on writing it"]
        live.log_metrics({"loss": 1.0}, step=0)
        for _ in range(2):
            with rejoin_leaf(bad, reopen=True) as again:
                again.run.log_metrics({SECRET: 2.0}, step=1)
        assert capsys.readouterr().err.count("nothing that this process still tells of it is kept") == 1
        assert records(home).keys() == {live.id}
        assert any(name.startswith("journals/") for name in places_of(home, SECRET))
    homes.deliver(home)
    report = Report()
    removing.clear_all(home, homes.settings_of(home), report)
    assert report.kept == [] and places_of(home, SECRET) == []
    assert records(home)[live.id]["metrics"]["loss"]["count"] == 1 and is_whole(home)


def test_a_backend_that_has_not_got_the_run_never_gets_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    bad, _ = with_secret(home, backends="local,tensorboard")
    (folder,) = journals(home)
    told = ask(home, "rm", bad, "--why", "x", "--yes", backends="local,tensorboard")
    assert told["undelivered"] == {"tensorboard": [bad]} and told["elsewhere"] == {}
    homes.deliver(home, backends="local,tensorboard")
    progress = Progress(home, folder.name, "tensorboard")
    assert progress.done and progress.notes[bad]["events withheld"][0] > 600
    command(home, "gc", backends="local,tensorboard")
    assert places_of(home, SECRET) == [] and not any(bad in path.name for path in (home / "tensorboard").rglob("*"))
    assert any((home / "tensorboard").rglob("*tfevents*")), "the other run is there"


def test_where_journals_go_once_they_are_delivered_tombstones_stay(tmp_path: Path) -> None:
    home = tmp_path / "home"
    say(home, ProvenanceLogged("", 5, "tombstone", {"r": {"who": "ana", "why": "x"}}), kind="removal")
    homes.deliver(home, backends="tensorboard")
    say(home, RunStarted("r", 1, "late", "p"), MetricsLogged("r", 2, 0, {SECRET: 1.0}), RunStarted("s", 3, "s", "p"))
    homes.deliver(home, backends="tensorboard")
    assert [is_removal(folder.name) for folder in archived(home)] == [True] and journals(home) == []
    assert places_of(home, SECRET) == [] and any((home / "tensorboard").rglob("*tfevents*"))


def test_what_another_backend_has_got_is_told_and_its_dead_letters_go(tmp_path: Path) -> None:
    home = tmp_path / "home"
    bad, good = with_secret(home)
    (folder,) = archived(home)
    progress = Progress(home, folder.name, "mlflow")
    progress.delivered = 7
    progress.names = {bad: {SECRET: "safe"}, good: {"loss": "loss"}}
    progress.note(bad, SECRET, "too long")
    progress.state = {"runs": {bad: {"key": SECRET}, good: {"key": "x"}}}
    for record in Journal(folder).records():
        if record.event.run in (bad, good) and isinstance(record.event, RunStarted | TagsSet):
            progress.bury(record, "no")
    progress.done = True
    progress.save()
    told = ask(home, "rm", bad, "--why", "x", "--yes")
    assert told["elsewhere"] == {"mlflow": [bad]} and told["undelivered"] == {}
    assert places_of(home, SECRET) == []
    left = Progress(home, folder.name, "mlflow")
    assert left.names == {good: {"loss": "loss"}} and left.state == {"runs": {good: {"key": "x"}}}
    assert [json.loads(line)["event"][1] for line in left.letters.read_text().splitlines()] == [good]


def test_a_training_that_goes_on_from_a_removed_run_becomes_a_new_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from autotrack.plugin import begin_leaf

    home = tmp_path / "home"
    bad, good = with_secret(home)
    remove(home, bad)
    with homes.recorded(home):
        for run in (bad, good):
            leaf = begin_leaf("acme", name="acme.train", continues=run)
            assert leaf is not None
            with leaf:
                leaf.run.log_metrics({"loss": 0.25}, step=1000)
            assert (leaf.run.id == run) == (run == good)
            if run == bad:
                new = leaf.run.id
    with homes.recorded(home, run_id=bad), autotrack.start_run("handed") as handed:
        handed.log_metrics({"loss": 0.25}, step=0)
    assert f"the run {bad} was removed for good" in capsys.readouterr().err
    homes.deliver(home)
    found = records(home)
    assert found.keys() == {good, new, handed.id} and found[handed.id]["status"] == "finished"
    assert found[good]["metrics"]["loss"]["count"] == 601
    assert bad in found[new]["notes"][0]["why"] and found[new]["metrics"]["loss"]["count"] == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from autotrack.settings import load
from autotrack.upkeep import blanking, removing, traces
home, run, where = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
settings = load({}, home=home, forwarder="off", quiet=True, user="ana")
chosen = removing.plan(home, settings, [run])
module, _, name = where.partition(".")
def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
if name == "Path.replace":
    blanking.Path.replace = die
else:
    setattr({"removing": removing, "traces": traces}[module], name, die)
removing.remove(home, settings, chosen, "killed")
"""


@pytest.mark.parametrize("where", ["removing._to_disk", "removing.compact", "removing.clear", "blanking.Path.replace"])
def test_one_that_is_killed_half_way_is_done_by_the_same_command_again(tmp_path: Path, where: str) -> None:
    home = tmp_path / "home"
    bad, good = with_secret(home)
    before = records(home)[good]
    done = subprocess.run([sys.executable, "-c", KILLED, str(home), bad, where], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert remove(home, bad).problems == []
    assert places_of(home, SECRET) == [] and records(home) == {good: before} and is_whole(home)


def test_two_commands_of_upkeep_never_work_at_once(tmp_path: Path) -> None:
    from autotrack.upkeep.alone import alone

    home = tmp_path / "home"
    bad, good = with_secret(home)
    with alone(home, "back it up"), pytest.raises(AutotrackError, match="remove the runs when it has ended"):
        remove(home, bad)
    assert records(home).keys() == {bad, good}
    with_import = homes.settings_of(home)
    chosen = removing.plan(home, with_import, [bad])
    say(home, RunStarted("child", 8, "child", "p", parent=bad))
    homes.deliver(home)
    with pytest.raises(AutotrackError, match="nothing was removed, since something has changed"):
        removing.remove(home, with_import, chosen, "x")
    assert records(home).keys() == {bad, good, "child"}


def test_a_backup_brings_tombstones_along(tmp_path: Path) -> None:
    home, copy = tmp_path / "home", tmp_path / "copy"
    bad, good = with_secret(home)
    remove(home, bad)
    ask(home, "backup", str(tmp_path / "backup"))
    ask(home, "restore", str(tmp_path / "backup"), "--home", str(copy))
    assert records(copy).keys() == {good} and places_of(copy, SECRET) == []
    for path in copy.glob("store.db*"):
        path.unlink()
    homes.deliver(copy)
    assert records(copy).keys() == {good} and is_whole(copy)


def test_a_frame_that_says_nothing_has_the_length_of_the_one_before(tmp_path: Path) -> None:
    for length in [*range(5, 600), 65_530, 65_545, 70_000]:
        payload = nothing(length)
        assert len(payload) == length and decode(payload) == TagsSet("", 0, {})
    home = tmp_path / "home"
    bad, good = with_secret(home)
    (folder,) = archived(home)
    whole = [(record.sequence, record.position) for record in Journal(folder).records()]
    good_events = [record for record in Journal(folder).records() if record.event.run == good]
    (segment,) = folder.glob("000001.atj.gz")
    data = bytearray(gzip.decompress(segment.read_bytes()))
    then = folder.stat().st_mtime_ns
    count, clean = blank(folder, {bad})
    assert clean and count > 600 and folder.stat().st_mtime_ns == then
    assert [(record.sequence, record.position) for record in Journal(folder).records()] == whole
    assert [record for record in Journal(folder).records() if record.event.run == good] == good_events
    assert blank(folder, {bad}) == (0, True)
    data[data.index(SECRET.encode()) + 3] ^= 1  # a frame that is damaged cannot be told to be whose it was
    segment.write_bytes(gzip.compress(bytes(data[: len(data) - HEADER_BYTES])))
    again, clean = blank(folder, {bad})
    assert again == count - 1 and not clean


def test_a_run_that_was_removed_is_not_imported_again(tmp_path: Path) -> None:
    from test_importing import Place

    from autotrack.importing import run_id

    place = Place(tmp_path)
    place.tell("first")
    place.tell("second", loss=[(0, 0.5)])
    assert place.bring()["runs"]["imported"] == 2
    home = place.home
    homes.deliver(home)
    first, second = run_id("acme:first"), run_id("acme:second")
    remove(home, first)
    place.tell("first", loss=[(0, 0.5), (7, 0.25)])
    told = place.bring()
    assert told["complete"] and told["runs"] == {"imported": 0, "continued": 0, "known": 2, "failed": 0}
    assert told["not_carried"] == [{"what": "whole runs", "why": "they were removed here for good", "count": 1}]
    assert records(home).keys() == {second} and is_whole(home)
