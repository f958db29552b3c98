"""A journal that was put away keeps the end that others wrote for its process."""

from pathlib import Path

from autotrack.events import RunEnded, RunStarted
from autotrack.forward.catching_up import sync
from autotrack.journal import liveness
from autotrack.journal.reader import Journal, archived
from autotrack.journal.writer import Writer
from autotrack.settings import load
from autotrack.store.query import Store


def test_an_archived_journal_of_a_dead_process_says_killed_however_often_it_is_synced(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings = load({}, home=home, forwarder="off", quiet=True)
    writer = Writer(home / "journals", version="0", backends=("local",))
    writer.append_event(RunStarted("r", 1, "r", "p"))
    liveness.forget_held()  # as when its process is gone
    for _ in range(2):
        sync(home, settings, ("local",))
    (folder,) = archived(home)
    assert [type(record.event) for record in Journal(folder).records()].count(RunEnded) == 1
    (folder / "999999.atj").touch()  # what an earlier release left there
    assert [type(record.event) for record in Journal(folder).records()].count(RunEnded) == 1
    for path in home.glob("store.db*"):
        path.unlink()
    sync(home, settings, ("local",))
    with Store.open(home, settings) as store:
        assert store.run("r")["status"] == "killed"
