"""Models that nobody wants go, the records say so, and what a registered model needs stays."""

import sys
from pathlib import Path

import pytest

import autotrack
from autotrack.errors import ModelNotFound, UsageError
from autotrack.events import ProvenanceLogged, RegistryLogged
from autotrack.forward.progress import Progress
from autotrack.journal.writer import Writer
from autotrack.provenance.blobs import Blobs
from autotrack.reading import kept_model
from autotrack.store.query import Store
from autotrack.upkeep.checking import check
from autotrack.upkeep.collecting import Collecting, Report
from autotrack.upkeep.retention import Choice, let_go, let_journals_go

sys.path.insert(0, str(Path(__file__).parent))
import upkeep_homes as homes


def choose(home: Path, choice: Choice, *, dry_run: bool = False, **more: str) -> Report:
    report = Report(dry_run)
    work = Collecting(home, homes.settings_of(home, user="ana", **more), report, 0.0)
    let_go(work, choice, hurry=-1.0)
    work.collect()
    return report


def say(home: Path, *events: object) -> None:
    writer = Writer(home / "journals", version="0", backends=("local",))
    for event in events:
        writer.append_event(event)  # type: ignore[arg-type]
    writer.close()
    homes.deliver(home)


def digests(home: Path, run: str) -> dict[str, str]:
    with Store.open(home, homes.settings_of(home)) as store:
        return {model["name"]: model["digest"] for model in store.run(run)["models"]}


def is_whole(home: Path) -> bool:
    settings = homes.settings_of(home)
    with Store.open(home, settings) as store:
        found = check(home, settings, store)
    return not found.damaged and found.blobs["unnamed"] == 0


def test_models_of_lesser_runs_go_and_their_records_say_when_who_and_why(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first, second, third = homes.some_runs(home, 3)  # loss: 1, 0.5 and 0.33
    blobs, gone = Blobs(home), [digests(home, run)["net"] for run in (first, second)]
    choice = Choice(keep_best=1, by="loss")
    told = choose(home, choice, dry_run=True)
    assert [one["digest"] for one in told.removed] == gone and blobs.has(gone[0])
    report = choose(home, choice)
    assert [(one["run"], one["what"], one["name"]) for one in report.removed] == [
        (first, "model", "net"),
        (second, "model", "net"),
    ]
    assert report.kinds["models"].count == 2 and report.kinds["parts"].count == 1, "the first pack holds what all share"
    assert not any(map(blobs.has, gone))
    with homes.recorded(home):
        assert kept_model(third).layers == (homes.layer(1), homes.layer(102))
        with pytest.raises(ModelNotFound):
            kept_model(first)
    with Store.open(home, homes.settings_of(home)) as store:
        run = store.run(first)
    (note,) = [note for note in run["notes"] if note["what"] == "models removed"]
    assert note["why"].startswith("weights of model net removed by gc on 2")
    assert note["why"].endswith("by ana: not among the 1 best by the lowest loss")
    assert run["status"] == "finished" and run["metrics"]["loss"]["count"] == 50 and len(run["artifacts"]) >= 1
    assert run["removed"][gone[0]]["who"] == "ana" and run["removed"][gone[0]]["name"] == "net"
    assert is_whole(home), "what was removed on purpose is not missing"
    assert choose(home, choice).removed == [], "it is not removed, nor told, a second time"
    homes.deliver(home)
    for path in home.glob("store.db*"):
        path.unlink()
    homes.deliver(home)
    with Store.open(home, homes.settings_of(home)) as store:
        assert store.run(first)["removed"].keys() == {gone[0]}, "the journals hold it too"


def test_a_registered_version_and_all_that_it_came_from_stay(tmp_path: Path) -> None:
    home = tmp_path / "home"
    base, middle, loose = homes.some_runs(home, 3)
    say(
        home,
        ProvenanceLogged(middle, 5, "inputs", {digests(home, base)["net"]: {"by": "test"}}),
        RegistryLogged(middle, 6, "clf", "register", "s1", digests(home, middle)["net"]),
    )
    report = choose(home, Choice(older_than=0.0, artifacts=True))
    assert {one["run"] for one in report.removed} == {loose}
    assert {one["what"] for one in report.removed} == {"model", "artifact"}
    assert report.kept == [{"what": "2 runs", "why": "a registered model needs them"}]
    with homes.recorded(home):
        for number, run in enumerate((base, middle)):
            assert kept_model(run).layers[1] == homes.layer(100 + number)
    say(home, RegistryLogged(middle, 7, "clf", "retire", "s2", digests(home, middle)["net"]))
    assert choose(home, Choice(older_than=0.0)).removed == [], "what is retired may be brought back"


def test_what_another_run_needs_or_is_being_written_or_is_not_delivered_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with homes.recorded(home):
        for name in ("bad", "good"):
            with autotrack.start_run(name, project=name) as run:
                run.log_model(homes.Net(homes.layer(1)), "same")
                run.log_model(homes.Net(homes.layer(2 if name == "bad" else 3)), "own")
    homes.deliver(home)
    same = digests(home, "good")["same"]
    report = choose(home, Choice(older_than=0.0, project="bad"), backends="local,tensorboard")
    assert report.removed == [] and "lacks them (autotrack sync delivers)" in report.kept[0]["why"]
    with homes.recorded(home):
        live = autotrack.start_run("live")
        live.log_model(homes.Net(homes.layer(4)), "own")
        report = choose(home, Choice(older_than=0.0, project="bad"))
        assert [one["name"] for one in report.removed] == ["own"]
        live.end()
        told = choose(home, Choice(older_than=0.0, status="finished", project=autotrack.get_run(live.id)["project"]))
        assert told.removed == [] and "a run is being written" in told.kept[0]["why"]
        assert kept_model("bad", "same").layers == kept_model("good", "same").layers == (homes.layer(1),)
    assert Blobs(home).verify(same)


def test_the_choice_is_by_age_query_and_metric_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first, second, third = homes.some_runs(home, 3)

    def chosen(choice: Choice) -> set[str]:
        return {one["run"] for one in choose(home, choice, dry_run=True).removed}

    assert chosen(Choice(older_than=3600.0)) == set()
    assert chosen(Choice(older_than=0.0, where="params.lr >= 0.5")) == {second, third}
    assert chosen(Choice(keep_best=1, by="loss", highest=True)) == {second, third}
    assert chosen(Choice(keep_best=0, by="loss", where='name = "run 1"')) == {second}
    assert chosen(Choice(older_than=0.0, project="nothing")) == set()
    for choice, message in (
        (Choice(keep_best=1, by="accuracy"), "none of these runs has the metric 'accuracy'"),
        (Choice(keep_best=1), "--keep-best N and --by METRIC go together"),
        (Choice(older_than=0.0, where="params.lr >>> 1"), "."),
    ):
        with pytest.raises(UsageError, match=message):
            chosen(choice)
    refused = homes.command(home, "gc", "--keep-best", "1", "--by", "loss")
    assert refused.returncode == 2 and "--lowest or --highest" in refused.stderr
    refused = homes.command(home, "gc", "--project", "churn")
    assert refused.returncode == 2 and "say which models are to go" in refused.stderr
    told = homes.ask(home, "gc", "--keep-best", "1", "--by", "loss", "--lowest", "--grace", "0s")
    assert {one["run"] for one in told["removed"]} == {first, second}
    assert first in homes.command(home, "show", first).stdout


def test_archived_journals_go_only_where_the_store_and_every_backend_have_all_of_them(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (run,) = homes.some_runs(home, 1)
    (folder,) = (home / "archive").iterdir()
    homes.age(home / "archive", days=100)

    def let(older_than: float, **more: str) -> Report:
        report = Report()
        let_journals_go(Collecting(home, homes.settings_of(home, **more), report), older_than)
        return report

    assert let(200 * homes.DAY).journals == []
    told = let(90 * homes.DAY, backends="local,tensorboard")
    assert told.journals == [] and "tensorboard lacks events of it" in told.kept[0]["why"]
    progress = Progress(home, folder.name, "tensorboard")
    progress.done = True
    progress.save()
    before = homes.ask(home, "show", run)
    assert let(90 * homes.DAY, backends="local,tensorboard").journals == [folder.name]
    assert not folder.exists()
    after = homes.ask(home, "show", run)
    assert after["metrics"] == before["metrics"] and after["models"] == before["models"]
    assert is_whole(home)
    homes.age(home / "blobs", home / "parts", home / "spool")
    assert "blobs" not in homes.ask(home, "gc")["freed"]
    with homes.recorded(home):
        assert kept_model(run).layers[0] == homes.layer(1)
