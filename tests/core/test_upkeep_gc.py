"""`autotrack gc` frees what nothing needs, and never what something does: beside trainings, and when it is killed."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import autotrack
from autotrack.errors import AutotrackError
from autotrack.journal.writer import Writer
from autotrack.provenance import packing, snapshots
from autotrack.provenance.blobs import Blobs
from autotrack.store.query import Store
from autotrack.upkeep.alone import alone
from autotrack.upkeep.collecting import Collecting, Report

sys.path.insert(0, str(Path(__file__).parent))
import upkeep_homes as homes


def collect(home: Path, *, dry_run: bool = False, grace: float = homes.DAY, **more: str) -> Report:
    report = Report(dry_run)
    Collecting(home, homes.settings_of(home, **more), report, grace).collect()
    return report


def counts(report: Report) -> dict[str, int]:
    return {kind: freed.count for kind, freed in report.kinds.items()}


def test_what_no_run_names_goes_once_it_is_old_and_everything_else_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    runs = homes.some_runs(home)
    before, packs = homes.blob_files(home), homes.packs(home)
    blobs = Blobs(home)
    orphan, fresh = blobs.put_bytes(b"orphan" * 100), None
    packing.keep(home, [homes.layer(999)])
    whole = blobs.put_recipe(packing.keep(home, [homes.layer(5)]))
    homes.age(home / "blobs", home / "parts", home / "spool")
    fresh = blobs.put_bytes(b"fresh")
    told = homes.ask(home, "gc", "--dry-run")
    assert {one["kind"]: one["count"] for one in told["freed"]} == {"blobs": 2, "parts": 2}
    assert homes.blob_files(home) == before | {orphan.digest, fresh.digest, whole.digest + ".parts"}
    assert collect(home).bytes > 2 * 20_000 + 600
    assert homes.blob_files(home) == before | {fresh.digest} and homes.packs(home) == packs
    assert collect(home).kinds == {}
    assert homes.ask(home, "verify")["damaged"] is False
    with homes.recorded(home):
        for number, run in enumerate(runs):
            assert autotrack.get_run(run)["status"] == "finished"
            assert autotrack.load_model(run).layers == (homes.layer(1), homes.layer(100 + number))


def test_what_only_a_journal_names_stays_however_old_and_without_a_store(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with homes.recorded(home), autotrack.start_run("first") as run:
        run.log_artifact(b"an artifact", "a.txt")
        run.log_model(homes.Net(homes.layer(1), homes.layer(2)), "net")
    assert not (home / "store.db").exists(), "nothing has been taken in"
    homes.age(home)
    blobs, packs, spooled = homes.blob_files(home), homes.packs(home), set((home / "spool").iterdir())
    assert collect(home).kinds == {}
    assert (homes.blob_files(home), homes.packs(home), set((home / "spool").iterdir())) == (blobs, packs, spooled)
    homes.deliver(home)
    homes.age(home)
    for path in home.glob("store.db*"):
        path.unlink()
    with pytest.raises(AutotrackError, match=r"the store of .* is gone.*autotrack sync"):
        collect(home)
    homes.deliver(home)
    assert collect(home).kinds == {}
    with homes.recorded(home):
        assert autotrack.load_model("first").layers[1] == homes.layer(2)


def test_snapshots_and_drafts_that_killed_processes_have_left_go(tmp_path: Path) -> None:
    home = tmp_path / "home"
    homes.some_runs(home, 1)
    kept = set((home / "spool").iterdir())
    recipe = packing.keep(home, [homes.layer(3)])
    name = snapshots.take(home, snapshots.IN_PARTS, recipe.encode())
    drafts = [home / "blobs" / ".12-abc", home / "parts" / ".0123", home / "spool" / f".{name}.json-1-2"]
    for draft in drafts:
        draft.write_bytes(b"half")
    (home / "cache" / "1-ab").mkdir(parents=True)
    (home / "cache" / "1-ab" / "weights").write_bytes(b"lent")
    (home / "journals" / ".20260101T000000-1-ab").mkdir(parents=True)
    assert collect(home).kinds == {}, "all of it is new"
    homes.age(home)
    assert counts(collect(home)) == {"snapshots": 1, "parts": 1, "drafts": 5}
    assert not any(path.exists() for path in drafts) and not any((home / "cache").glob("1-*"))
    assert not any((home / "journals").iterdir())
    assert set((home / "spool").iterdir()) == kept, "a backend that is configured later needs what models became"


def test_a_waiting_model_keeps_its_packs(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with homes.recorded(home), autotrack.start_run() as run:
        run.log_model(homes.Net(homes.layer(1)), "net")
    homes.age(home)
    packs = homes.packs(home)
    assert len(packs) == 1 and collect(home).kinds == {} and homes.packs(home) == packs


def test_what_is_claimed_between_the_look_and_the_removal_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    blobs = Blobs(home)
    digest = blobs.put_bytes(b"again").digest
    homes.age(home)
    work = Collecting(home, homes.settings_of(home), Report(), homes.DAY)
    assert work._unnamed()[0] == {digest}
    assert blobs.put_bytes(b"again").known
    assert not work.remove("blobs", blobs.path(digest))
    assert blobs.verify(digest) and homes.blob_files(home) == {digest}
    homes.age(home)
    assert work.remove("blobs", blobs.path(digest)) and not blobs.has(digest)
    assert not blobs.put_bytes(b"again").known and blobs.verify(digest)


def test_parts_that_were_removed_are_kept_again_by_a_process_that_remembers_them(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    pieces = [homes.layer(number) for number in range(4)]
    packing.keep(home, pieces)
    homes.age(home)
    assert counts(collect(home)) == {"parts": 1}
    recipe = packing.keep(home, pieces)
    assert b"".join(bytes(block) for block in Blobs(home).parts.blocks(recipe)) == b"".join(pieces)
    homes.age(home)
    again = packing.keep(home, pieces)
    assert again == recipe and collect(home).kinds == {}, "whoever uses a pack makes it new"


def test_nothing_goes_where_what_is_needed_cannot_be_told(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    home = tmp_path / "home"
    homes.some_runs(home, 1)
    Blobs(home).put_bytes(b"orphan")
    homes.age(home)
    (segment,) = (home / "archive").glob("*/000001.atj.gz")
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-20])
    report = collect(home)
    assert "blobs" not in report.kinds and "is damaged" in report.kept[0]["why"]
    segment.write_bytes(whole)
    (home / "import.lock").touch()
    import fcntl

    with (home / "import.lock").open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        report = collect(home)
        assert "blobs" not in report.kinds and "an import goes on" in report.kept[0]["why"]
    assert counts(collect(home)) == {"blobs": 1}
    with alone(home, "try"):
        refused = homes.command(home, "gc")
    assert refused.returncode == 1 and "by another process" in refused.stderr
    broken = homes.command(home, "gc", AUTOTRACK_STORE_URL="postgresql://nobody:secret@127.0.0.1:9/none")
    assert broken.returncode == 1 and "secret" not in broken.stderr and "Traceback" not in broken.stderr


def test_a_file_that_only_an_outcome_of_a_named_snapshot_names_is_needed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    homes.some_runs(home, 1)
    with Store.open(home, homes.settings_of(home)) as store:
        (model,) = store.run("run 0")["models"]
    content = b"".join(gzip.decompress(path.read_bytes()) for path in (home / "archive").glob("*/*.gz"))
    assert model["digest"].encode() not in content, "the journal names the snapshot alone"
    for path in home.glob("store.db*"):
        path.unlink()
    for path in (home / "delivery").rglob("local.json"):  # as where the store was never used
        path.unlink()
    homes.age(home)
    assert "blobs" not in collect(home).kinds and Blobs(home).verify(model["digest"])


WRITER = """
import random, sys, time
sys.path.insert(0, sys.argv[2])
import upkeep_homes as homes
import autotrack
from pathlib import Path
from autotrack.provenance.blobs import Blobs
from autotrack.provenance import packing
home, chance, until = Path(sys.argv[1]), random.Random(7), time.monotonic() + float(sys.argv[3])
with homes.recorded(home):
    run = autotrack.start_run("live")
    print("ready", flush=True)
    number = 0
    while time.monotonic() < until:
        one = chance.randrange(150)
        if number % 4:  # kept, and named by nothing yet
            Blobs(home).put_bytes(b"content %d" % one)
            packing.keep(home, [homes.layer(1000 + one, 5000)])
        elif chance.random() < 0.5:
            run.log_artifact(b"content %d" % one, f"a{number}")
        else:
            run.log_model(homes.Net(homes.layer(1000 + one, 5000)), f"m{number}")
        number += 1
        time.sleep(0.01)  # so that most of it becomes old in between
    run.end()
"""


def test_nothing_that_a_live_writer_names_is_ever_lost(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    seconds, grace = 6.0, 0.5
    arguments = [sys.executable, "-c", WRITER, str(home), str(Path(__file__).parent), str(seconds)]
    writer = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=homes.environment_of(home))
    assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
    freed = rounds = 0
    while writer.poll() is None:
        report = collect(home, grace=grace)
        freed += sum(one.count for one in report.kinds.values())
        rounds += 1
    assert writer.returncode == 0
    assert freed > 30 and rounds > 3, f"the collector had little to do: {freed} in {rounds}"
    told = homes.ask(home, "verify")
    assert told["damaged"] is False and told["blobs"]["missing"] == []
    with Store.open(home, homes.settings_of(home)) as store:
        run = store.run("live")
    assert len(run["artifacts"]) > 10 and len(run["models"]) > 10
    assert all(model["digest"] and "problem" not in model for model in run["models"])


def test_a_collection_that_is_killed_loses_nothing_and_the_next_one_ends_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    homes.some_runs(home, 2)
    kept = homes.blob_files(home)
    blobs = Blobs(home)
    for number in range(1500):
        blobs.put_bytes(b"orphan %d" % number)
    homes.age(home)
    chance = random.Random(3)
    for _ in range(2):
        collecting = subprocess.Popen(
            [sys.executable, "-m", "autotrack", "gc"], env=homes.environment_of(home), stdout=subprocess.DEVNULL
        )
        deadline, before = time.monotonic() + 120, len(homes.blob_files(home))
        while len(homes.blob_files(home)) > before - chance.randrange(1, 400) and collecting.poll() is None:
            assert time.monotonic() < deadline
        collecting.send_signal(signal.SIGKILL)
        collecting.wait()
        assert kept <= homes.blob_files(home)
    # What was set aside when it was killed comes back, and is looked at anew.
    (one, *_) = sorted(kept)
    path = next((home / "blobs").glob(f"??/{one}"))
    path.rename(path.with_name(f".{one}.gc"))
    collect(home)
    assert homes.blob_files(home) == kept and not list((home / "blobs").glob("??/.*"))
    assert homes.ask(home, "verify")["damaged"] is False


def test_with_remote_backends_alone_files_go_with_their_journals(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with homes.recorded(home, backends=["tensorboard"]), autotrack.start_run() as run:
        run.log_artifact(b"an artifact", "a.txt")
    homes.age(home)
    assert collect(home, backends="tensorboard").kinds == {}
    homes.deliver(home, backends="tensorboard")
    assert not list((home / "archive").iterdir())
    homes.age(home)
    assert counts(collect(home, backends="tensorboard"))["blobs"] >= 1 and homes.blob_files(home) == set()


def test_a_journal_that_is_a_kilobyte_past_a_window_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autotrack.upkeep import naming

    home = tmp_path / "home"
    monkeypatch.setattr(naming, "WINDOW", 100)  # so that every name is cut somewhere
    writer = Writer(home / "journals", version="0", backends=())
    digests = [f"{number:064x}" for number in range(40)]
    for digest in digests:
        writer.append_event(autotrack.events.ArtifactLogged("r", 1, "a", digest, 50))
    names = naming.Unnamed([*digests, "f" * 64])
    names.see_journal(writer.folder)
    assert names.left == {b"f" * 64}
    writer.close()


def test_the_report_says_what_was_freed_by_kind(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    assert "no runs yet" in homes.command(tmp_path / "none", "gc").stdout and not (tmp_path / "none").exists()
    Blobs(home).put_bytes(b"x" * 1500)
    notes = home / "cache" / "manifests"
    notes.mkdir(parents=True)
    (notes / "a.json").write_text(json.dumps({}))
    homes.age(home, days=40)
    text = homes.command(home, "gc", "--dry-run").stdout
    assert "1.5 kB would be freed; nothing was removed" in text and "caches" in text
    assert "1.5 kB freed" in homes.command(home, "gc").stdout
    wrong = homes.command(home, "gc", "--grace", "soon")
    assert wrong.returncode == 2 and "is not a time such as 90d" in wrong.stderr
    assert os.listdir(notes) == []
