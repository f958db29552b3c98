"""Webhooks: each step of a registered model is told, signed, at least once and under one id, to each address."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product
sys.path.insert(0, str(Path(__file__).parent.parent / "contract"))

from recorded import recording_into
from registering import DIGESTS, MODEL, record
from webhook_receiver import KEY, SECRET, Receiver

import autotrack
from autotrack.backend import BackendContext, BackendUnavailable
from autotrack.errors import UsageError
from autotrack.events import RegistryLogged
from autotrack.forward.catching_up import sync, take_in
from autotrack.forward.progress import Progress
from autotrack.provenance.masking import MASK
from autotrack.session import session
from autotrack.settings import load
from autotrack.store.query import Store
from autotrack_http.webhooks import WebhooksBackend, targets_from

PATH = "a-token-of-mine"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    made = Receiver()
    monkeypatch.setenv("AUTOTRACK_WEBHOOKS", made.url)
    monkeypatch.setenv("AUTOTRACK_WEBHOOK_SECRET", SECRET)
    yield made
    made.close()


def decided(home: Path, *actions: str) -> str:
    """A home with a journal that holds such steps of one model; the journal's name."""
    with recording_into(home), autotrack.start_run("first") as run:
        for number, action in enumerate(actions or ("register", "approve", "stage", "annotate"), 1):
            step = RegistryLogged(run.id, number * 1_000, "clf", action, f"step-{number}", "ab" * 32, "ada", "", {})
            session.sink().append_event(step)
    take_in(home, load({}, home=home))
    (writer,) = [path.name for path in (home / "journals").iterdir()]
    return writer


def deliver(home: Path, backends: str = "local,webhooks") -> list[str]:
    """Deliver to the addresses; what went wrong."""
    return [one.problem for one in sync(home, load(home=home, backends=backends), ("webhooks",)) if one.problem]


def test_each_step_is_told_with_what_became_of_it_and_the_model_after_it(receiver: Receiver, tmp_path: Path) -> None:
    home = tmp_path / "home"
    record(home)
    take_in(home, load({}, home=home))
    assert deliver(home) == []
    assert not receiver.forged
    # Each step has a journal of its own, and these are delivered in any order.
    messages = sorted(receiver.messages.values(), key=lambda one: one["timestamp"])
    steps = [one["data"] for one in messages]
    assert [one["type"] for one in messages] == [f"registry.{one['action']}" for one in steps]
    assert [(one["action"], one["version"]) for one in steps] == [
        ("register", 1),  # by the training, which gave it an alias as well
        ("alias", 1),
        ("register", 2),
        ("alias", 1),
        ("alias", 2),
        ("approve", 2),
        ("stage", 2),
        ("annotate", 2),
        ("unalias", 1),
    ]
    assert {one["effect"] for one in steps} == {"done"} and {one["model"] for one in steps} == {MODEL}
    pointing = [{alias: to["version"] for alias, to in one["after"]["aliases"].items()} for one in steps]
    assert pointing[:5] == [
        {},
        {"trial": 1},
        {"trial": 1},
        {"trial": 1, "production": 1},
        {"trial": 1, "production": 2},
    ]
    assert pointing[-1] == {"production": 2}
    told = steps[7]["after"]["version"]
    assert (told["digest"], told["stage"], told["approvals"]) == (DIGESTS[1], "Production", ["ada"])
    assert told["annotations"] == {"owner": "risk", "share": 0.5}
    assert steps[4]["why"] == "better" and steps[4]["record"]["from"] == DIGESTS[0]


def test_what_had_no_effect_says_so(receiver: Receiver, tmp_path: Path) -> None:
    home = tmp_path / "home"
    decided(home, "approve", "register", "refuse", "unheard-of")
    assert deliver(home) == []
    told = [(one["data"]["effect"], one["data"]["because"]) for one in receiver.messages.values()]
    assert [effect for effect, _ in told] == ["conflict", "done", "refused", "conflict"]
    assert all(because for effect, because in told if effect != "done")


def test_what_is_sent_again_has_the_same_id_and_the_same_words(receiver: Receiver, tmp_path: Path) -> None:
    home = tmp_path / "home"
    writer = decided(home)
    assert deliver(home) == []
    once = dict(receiver.messages)
    (home / "delivery" / writer / "webhooks.json").unlink()
    with recording_into(home), autotrack.start_run("later") as run:
        step = RegistryLogged(run.id, time.time_ns(), "clf", "retire", "step-9", "ab" * 32, "bob")
        session.sink().append_event(step)
    take_in(home, load({}, home=home))
    assert deliver(home) == []
    assert receiver.count == 2 * len(once) + 1  # the receiver itself compares the words
    assert receiver.messages["step-9"]["data"]["after"]["version"]["retired"] is True


def test_a_step_waits_until_the_store_says_what_became_of_it(receiver: Receiver, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with recording_into(home), autotrack.start_run("first") as run:
        session.sink().append_event(RegistryLogged(run.id, 1, "clf", "register", "step-1", "ab" * 32))
    (problem,) = deliver(home)
    assert "waits for the store" in problem and not receiver.messages
    take_in(home, load({}, home=home))
    assert deliver(home) == []
    assert receiver.messages["step-1"]["data"]["effect"] == "done"


def test_without_a_store_a_step_is_told_all_the_same(receiver: Receiver, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with recording_into(home), autotrack.start_run("first") as run:
        session.sink().append_event(RegistryLogged(run.id, 1, "clf", "register", "step-1", "ab" * 32))
    assert deliver(home, "webhooks") == []
    assert receiver.messages["step-1"]["data"]["effect"] is None


@pytest.mark.parametrize("fault", [500, 503, 429, 408, 401, 404, 410, 308])
def test_an_answer_other_than_yes_loses_no_step_and_shows_no_path(
    fault: int, receiver: Receiver, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    writer = decided(home)
    receiver.answers = lambda number: fault if number == 3 else 204
    (problem,) = deliver(home)
    assert str(fault) in problem or fault == 308
    assert "AUTOTRACK_WEBHOOKS" in problem and PATH not in problem and receiver.host in problem
    assert len(receiver.messages) == 2
    assert deliver(home) == []
    assert list(receiver.messages) == [f"step-{number}" for number in range(1, 5)]
    assert receiver.count == 4, "what an address has is not sent to it again"
    assert Progress(home, writer, "webhooks").dead == 0


def test_one_address_that_is_away_keeps_no_other_waiting(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Receiver("/second")
    gone = Receiver()
    gone.close()
    home = tmp_path / "home"
    decided(home)
    monkeypatch.setenv("AUTOTRACK_WEBHOOKS", f"{gone.url},{receiver.url}, {other.url}")
    try:
        for _ in range(2):
            (problem,) = deliver(home)
            assert gone.host in problem and PATH not in problem
            assert receiver.count == other.count == 4
        assert PATH not in "".join(path.read_text() for path in (home / "delivery").rglob("*.json"))
        monkeypatch.setenv("AUTOTRACK_WEBHOOKS", f"{receiver.url},{other.url}")
        assert deliver(home) == []
        assert receiver.count == other.count == 4
    finally:
        other.close()


def test_only_the_step_that_an_address_refuses_for_good_is_set_aside(receiver: Receiver, tmp_path: Path) -> None:
    home = tmp_path / "home"
    writer = decided(home)
    receiver.answers = lambda number: 422 if len(receiver.messages) == 1 and not refused(home, writer) else 204
    assert deliver(home) == []
    progress = Progress(home, writer, "webhooks")
    assert progress.dead == 1 and list(receiver.messages) == ["step-1", "step-3", "step-4"]
    ((_, why),) = [told for notes in progress.notes.values() for told in notes.values()]
    assert "422" in why and PATH not in why


def refused(home: Path, writer: str) -> int:
    return Progress(home, writer, "webhooks").dead


def test_a_slow_address_gets_everything_once(receiver: Receiver, tmp_path: Path) -> None:
    home = tmp_path / "home"
    decided(home)

    def slowly(number: int) -> int:
        time.sleep(0.2)
        return 204

    receiver.answers = slowly
    assert deliver(home) == []
    assert receiver.count == len(receiver.messages) == 4


def test_a_second_secret_signs_beside_the_first_until_receivers_have_it(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOTRACK_WEBHOOK_SECRET", f"the new one as it is,{SECRET}")
    home = tmp_path / "home"
    decided(home)
    assert deliver(home) == []
    receiver.keys = [b"the new one as it is"]
    assert len(receiver.headers[0]["webhook-signature"].split()) == 2
    (home / "delivery").rename(home / "gone")
    assert deliver(home) == []
    assert receiver.count == 8 and not receiver.forged


def test_a_wrong_secret_is_told_and_not_shown(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    decided(home)
    with monkeypatch.context() as wrong:
        wrong.setenv("AUTOTRACK_WEBHOOK_SECRET", "hunter2")
        (problem,) = deliver(home)
    assert receiver.forged and "401" in problem and "AUTOTRACK_WEBHOOK_SECRET" in problem
    assert "hunter2" not in problem and KEY.hex() not in problem
    assert deliver(home) == []


def test_neither_secret_nor_path_is_recorded_with_the_environment_of_a_run(receiver: Receiver, tmp_path: Path) -> None:
    home = tmp_path / "home"
    writer = decided(home)
    assert deliver(home) == []
    with Store.open(home, load({}, home=home)) as store:
        (run,) = store.runs()
        kept = store.run(run["id"])["environment"]["variables"]
    assert {kept["AUTOTRACK_WEBHOOKS"], kept["AUTOTRACK_WEBHOOK_SECRET"]} == {MASK}
    written = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert writer.encode() in written and PATH.encode() not in written and SECRET.encode() not in written


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, "needs AUTOTRACK_WEBHOOKS"),
        ({"AUTOTRACK_WEBHOOKS": "https://host/hook"}, "set AUTOTRACK_WEBHOOK_SECRET"),
        ({"AUTOTRACK_WEBHOOKS": "https://host/x,host/token"}, "address 2 of AUTOTRACK_WEBHOOKS"),
        ({"AUTOTRACK_WEBHOOKS": "https://h/x", "AUTOTRACK_WEBHOOK_SECRET": "whsec_no base"}, "must be base64"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named_and_not_shown(variables: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told) as problem:
        targets_from(variables)
    assert "token" not in str(problem.value) and "no base" not in str(problem.value)


def test_the_check_sends_no_step(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend: Any = WebhooksBackend()
    backend.open(BackendContext(tmp_path, load({})))
    assert backend.check() == f"{receiver.host}: there" and not receiver.headers
    receiver.close()
    backend.close()
    with pytest.raises(BackendUnavailable, match="AUTOTRACK_WEBHOOKS"):
        backend.check()
