"""Gates before a promotion, asked about real models of scikit-learn in a real home."""

import pytest

pytest.importorskip("pandas")
pytest.importorskip("sklearn")

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import autotrack
from autotrack.cli.main import main
from autotrack.contracts import Finding, Gate
from autotrack.errors import RegistryConflict, UsageError
from autotrack.plugins import plugins
from autotrack.provenance.blobs import Blobs
from autotrack.registry import changing, gates, promoting, reading, writing
from autotrack.session import session

sys.path.insert(0, str(Path(__file__).parent))
import promotions
from promotions import X_test, X_train, results, train, y_test, y_train


@pytest.fixture
def home(tmp_path: Path) -> Any:
    with promotions.home(tmp_path / "home") as made:
        yield made


def last_step() -> dict[str, Any]:
    with writing.opened() as store:
        return reading.model(store, "clf")["log"][-1]


def asked(reference: str, *named: str, alias: str = "production", **more: Any) -> dict[str, Any]:
    """What one gate says."""
    (result,) = promoting.check(reference, alias, named=dict(map(gates.parse, named)), **more).results
    return result


def test_the_first_promotion_says_that_there_is_no_champion(home: Path) -> None:
    train(1)
    made = promoting.promote("clf", "production", "to begin with")
    assert made.moved and made.told()["first"]
    assert "first promotion" in made.notes[0]
    assert results(made.results) == {
        "safe-format": "pass",
        "signature": "not-applicable",
        "no-leakage": "pass",
        "better": "not-applicable",
    }


def test_a_better_candidate_is_promoted_with_the_evidence_in_the_log(home: Path) -> None:
    train(1), train(6)
    promoting.promote("clf/1", "production")
    made = promoting.promote("clf/2", "production", "deeper")
    assert made.moved and made.passed
    step = last_step()
    assert (step["action"], step["effect"], step["why"], step["who"]) == ("alias", "done", "deeper", "ann")
    told = next(one for one in step["record"]["evidence"] if one["gate"] == "better")["evidence"]
    low, high = told["better_by"]["interval"]
    assert 0 < low < told["better_by"]["difference"] < high
    assert told["data"] == autotrack.fingerprint(X_test).value
    assert told["means"]["candidate"] > told["means"]["champion"]
    assert told["mcnemar"]["p"] < 0.05
    assert step["record"]["from"] == made.promotion.champion.digest  # type: ignore[union-attr]


def test_a_worse_candidate_is_refused_and_the_refusal_is_in_the_log(home: Path) -> None:
    train(6), train(1)
    promoting.promote("clf/1", "production")
    made = promoting.promote("clf/2", "production", "simpler")
    assert not made.moved
    step = last_step()
    assert (step["action"], step["effect"], step["version"]) == ("refuse", "refused", 2)
    assert step["record"]["evidence"] == made.results
    with writing.opened() as store:
        assert reading.resolve(store, "clf@production")["version"] == 1


def test_an_equal_candidate_is_refused_since_the_interval_holds_nothing_above_zero(home: Path) -> None:
    train(6), train(6, evaluate=True, model="tree", trained_on=(X_train * 1.0000001, y_train))
    promoting.promote("clf/1", "production")
    told = asked("clf/2", "better")
    assert told["verdict"] == "refuse"
    low, high = told["evidence"]["better_by"]["interval"]
    assert low <= 0 <= high
    assert asked("clf/2", "better:margin=-0.02")["passed"], "no worse by two points is true of an equal one"


def test_evaluations_on_other_data_are_not_compared(home: Path) -> None:
    train(1), train(6, evaluated_on=X_test + 1e-9)
    promoting.promote("clf/1", "production")
    told = asked("clf/2", "better")
    assert not told["passed"] and "different data" in told["why"]
    assert told["evidence"]["champion"][0]["data"] != told["evidence"]["candidate"][0]["data"]


def test_the_same_rows_with_other_targets_are_not_compared(home: Path) -> None:
    train(1), train(6, targets=1 - y_test)
    promoting.promote("clf/1", "production")
    told = asked("clf/2", "better")
    assert not told["passed"] and "other targets" in told["why"]


def test_without_an_evaluation_nothing_is_better(home: Path) -> None:
    train(1), train(6, evaluate=False)
    promoting.promote("clf/1", "production")
    told = asked("clf/2", "better")
    assert not told["passed"] and "log_evaluation" in told["why"]


def test_few_rows_tell_too_little(home: Path) -> None:
    for depth in (1, 6):
        train(depth, evaluated_on=X_test[:20], targets=y_test[:20])
    promoting.promote("clf/1", "production")
    assert "20 rows" in asked("clf/2", "better")["why"]


def test_a_champion_is_evaluated_anew_by_a_run_of_its_own(home: Path) -> None:
    newer = X_test[:300] + 0.001
    train(1), train(6, evaluated_on=newer, targets=y_test[:300])
    promoting.promote("clf/1", "production")
    assert not asked("clf/2", "better")["passed"]
    with autotrack.start_run("the champion on newer data") as run:
        champion = autotrack.load_model("clf@production")
        run.log_evaluation(y_test[:300], champion.predict(newer), data=newer)
    told = asked("clf/2", "better")
    assert told["passed"], told["why"]
    assert told["evidence"]["champion"]["run"] == run.id


def test_rows_that_were_trained_on_refuse(home: Path) -> None:
    leaky = X_test.copy()
    leaky[:7] = X_train[:7]
    train(6, evaluated_on=leaky)
    told = asked("clf/1", "no-leakage")
    assert not told["passed"]
    assert "7 of the 600 rows of test/test are in train/" in told["why"]
    assert asked("clf/1", "no-leakage:max_rows=7")["passed"]


def test_the_training_data_itself_is_no_test(home: Path) -> None:
    train(6, evaluated_on=X_train, targets=y_train)
    told = asked("clf/1", "no-leakage")
    assert not told["passed"] and "the same data" in told["why"]


def test_an_evaluation_in_a_later_run_is_looked_up_among_the_rows_that_were_trained_on(home: Path) -> None:
    train(6, evaluate=False)
    assert asked("clf/1", "no-leakage")["verdict"] == "not-applicable"
    rows = X_test[:100].copy()
    for leaking, verdict in ((0, "pass"), (3, "refuse")):
        rows[:leaking] = X_train[:leaking]
        with autotrack.start_run("judged later") as run:
            model = autotrack.load_model("clf/1")
            run.log_evaluation(y_test[:100], model.predict(rows), data=rows)
        told = asked("clf/1", "no-leakage")
        assert told["verdict"] == verdict, told
    assert "3 of the 100 rows of the evaluation 'test' are in train/" in told["why"]


def test_rows_that_only_a_fingerprint_tells_of_are_not_known_to_be_new(home: Path) -> None:
    with autotrack.start_run("secretive") as run:
        from sklearn.tree import DecisionTreeClassifier

        model = DecisionTreeClassifier(max_depth=2).fit(X_train, y_train)
        run.log_evaluation(y_test, model.predict(X_test), data=autotrack.fingerprint(X_test))
        run.log_model(model, register="clf")
    told = asked("clf/1", "no-leakage")
    assert not told["passed"] and "its rows were not recorded" in told["why"]


def framed(columns: list[str], **casts: str) -> None:
    """Train on a frame with these columns."""
    frame = pd.DataFrame(X_train[:, : len(columns)], columns=columns).astype(casts)
    train(3, trained_on=(frame, y_train), evaluate=False)


@pytest.mark.parametrize(
    ("columns", "casts", "said"),
    [
        (["age", "sum", "rate"], {}, None),
        (["age", "sum", "rate", "score"], {}, "new input score"),
        (["age", "sum"], {}, "does not know the input rate"),
        (["sum", "age", "rate"], {}, "another order"),
        (["age", "sum", "rate"], {"age": "float32"}, "age is float32, and was float64"),
    ],
)
def test_a_signature_is_compatible_where_inputs_are_the_same(
    home: Path, columns: list[str], casts: dict[str, str], said: str | None
) -> None:
    framed(["age", "sum", "rate"])
    promoting.promote("clf/1", "production", named=["safe-format"])
    train(4, register=None, evaluate=False)
    framed(columns, **casts)
    if said is None and reading_latest() == 1:
        return  # the very same model
    told = asked(f"clf/{reading_latest()}", "signature")
    assert told["passed"] == (said is None), told
    assert (said or "same inputs") in told["why"]


def reading_latest() -> int:
    with writing.opened() as store:
        return int(reading.resolve(store, "clf")["version"])


def test_a_file_that_is_no_longer_what_was_registered_is_refused(home: Path) -> None:
    train(3)
    with writing.opened() as store:
        digest = reading.resolve(store, "clf")["digest"]
    path = Blobs(home).path(digest)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    told = asked("clf/1", "safe-format")
    assert not told["passed"] and "no longer what was registered" in told["why"]


def test_a_pickle_is_refused_whatever_its_format_says(home: Path) -> None:
    import pickle

    train(3)
    kept = Blobs(home).put_bytes(pickle.dumps({"a": 1}))
    for form in ("skops", "pickle"):
        writing.step("clf", "register", kept.digest, record={"format": form, "bytes": kept.bytes})
        told = asked("clf/2", "safe-format")
        assert not told["passed"], form


def test_latency_is_measured_on_rows_that_are_given_or_kept(home: Path, tmp_path: Path) -> None:
    train(3)
    assert "no rows to predict on" in asked("clf/1", "latency:p95_ms=1000")["why"]
    np.save(tmp_path / "rows.npy", X_test[:10])
    from autotrack.registry.latency import read_sample

    told = asked("clf/1", "latency:p95_ms=1000,n=50", sample=lambda: read_sample(tmp_path / "rows.npy"))
    assert told["passed"] and told["evidence"]["predictions"] == 50
    assert 0 < told["evidence"]["median_ms"] <= told["evidence"]["p95_ms"]
    slow = asked("clf/1", "latency:p95_ms=0.000001,n=50", sample=lambda: X_test[:10])
    assert not slow["passed"] and "budget" in slow["why"]
    with autotrack.start_run("with a sample") as run:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression().fit(pd.DataFrame(X_train, columns=list("abcdefgh")), y_train)
        run.log_model(model, register="clf")
        pd.DataFrame(X_test[:5], columns=list("abcdefgh")).to_csv(tmp_path / "sample_input.csv", index=False)
        run.log_artifact(tmp_path / "sample_input.csv")
    told = asked("clf/2", "latency:p95_ms=1000,n=20")
    assert told["passed"] and told["evidence"]["rows"] == 5


def test_a_run_that_was_repeated_is_reproduced(home: Path) -> None:
    run = train(3)
    assert "autotrack reproduce" in asked("clf/1", "reproduced")["why"]
    again = train(3, register=None)
    other = train(1, register=None)
    link(home, other, run)
    assert not asked("clf/1", "reproduced")["passed"]
    link(home, again, run)
    told = asked("clf/1", "reproduced")
    assert told["passed"], told
    assert {one["verdict"] for one in told["evidence"]["reruns"]} == {"exact", "diverged"}
    told = asked("clf/1", "reproduced:at_least=bitwise")  # skops writes other bytes for the same numbers
    assert not told["passed"] and "exact, and bitwise is needed" in told["why"]


def link(home: Path, rerun: str, original: str) -> None:
    """Say what the process of `autotrack reproduce` says of a rerun."""
    from autotrack.events import ProvenanceLogged

    session.sink().append_event(ProvenanceLogged(rerun, 1, "reproduces", {"run": original}))


def test_approvals_of_others_count_and_an_objection_stops(home: Path) -> None:
    run = train(3, register=None)
    changing.register("clf", run)
    changing.approve("clf/1")
    told = asked("clf/1", "approvals")
    assert not told["passed"] and "who registered it does not count" in told["why"]
    promotions.as_user("bob")
    changing.approve("clf/1")
    assert asked("clf/1", "approvals")["passed"]
    assert not asked("clf/1", "approvals:needed=2")["passed"]
    promotions.as_user("eve")
    changing.disapprove("clf/1", "it forgets women")
    assert "eve objects: it forgets women" in asked("clf/1", "approvals")["why"]


def test_what_protects_an_alias_is_asked_and_cannot_be_talked_out_of(home: Path) -> None:
    train(1), train(6)
    changing.protect("clf@production", {"better": {"margin": 0.5}}, approvals=1)
    made = promoting.check("clf/1", "production", named={"better": {"margin": -1.0}, "safe-format": {}})
    assert [one["gate"] for one in made.results] == ["better", "approvals", "safe-format"]
    assert made.results[0]["options"] == {"margin": 0.5}
    assert not made.passed


def test_forcing_needs_a_reason_and_is_recorded_with_what_the_gates_said(home: Path) -> None:
    train(6), train(1)
    promoting.promote("clf/1", "production")
    with pytest.raises(UsageError, match="say why"):
        promoting.promote("clf/2", "production", force=True)
    made = promoting.promote("clf/2", "production", "the other leaks memory", force=True)
    assert made.moved and made.forced and not made.passed
    step = last_step()
    assert step["record"]["forced"] is True and step["why"] == "the other leaks memory"
    assert results(step["record"]["evidence"])["better"] == "refuse"


def test_a_gate_that_raises_or_is_not_installed_or_answers_nonsense_has_refused(home: Path) -> None:
    train(3)
    plugins.load().gates |= {name: Gate(name, f"{__name__}_gates:{name}") for name in ("broken", "nonsense", "better")}
    module = sys.modules[f"{__name__}_gates"] = type(sys)(f"{__name__}_gates")
    module.broken = lambda promotion: 1 / 0  # type: ignore[attr-defined]
    module.nonsense = lambda promotion: True  # type: ignore[attr-defined]
    module.better = lambda promotion: Finding("pass", "whatever")  # type: ignore[attr-defined]
    try:
        told = asked("clf/1", "broken")
        assert not told["passed"] and told["evidence"]["error"].startswith("ZeroDivisionError")
        assert "no Finding" in asked("clf/1", "nonsense")["why"]
        assert "points to nothing" in asked("clf/1", "better")["why"], "a plugin replaces no gate of autotrack's"
        assert "unexpected keyword" in asked("clf/1", "better:magrin=1")["why"]
        changing.protect("clf@production", {"broken": {}})
        del plugins.gates["broken"]
        told = asked("clf/1")
        assert not told["passed"] and "no gate 'broken' is installed here" in told["why"]
    finally:
        for name in ("broken", "nonsense", "better"):
            plugins.gates.pop(name, None)
    with pytest.raises(UsageError, match="there is no gate 'beter'; there are"):
        asked("clf/1", "beter")


def test_a_gate_of_somebody_elses_is_found_by_its_entry_point(home: Path, tmp_path: Path) -> None:
    train(3)
    writing.opened().close()  # what converts the model has been imported here already
    session.close()
    site = tmp_path / "site"
    (site / "acme_gates-1.0.dist-info").mkdir(parents=True)
    (site / "acme_gates-1.0.dist-info" / "entry_points.txt").write_text("[autotrack]\nacme = acme_gates\n")
    (site / "acme_gates.py").write_text(
        "from autotrack.plugin import Finding, Gate, hookimpl\n"
        "@hookimpl\n"
        "def autotrack_register_gates(register):\n"
        "    register(Gate('small', 'acme_gates:small', 'the file is small'))\n"
        "    register(Gate('smaller', 'acme_gates:small', 'the file is smaller'))\n"
        "def small(promotion, *, most=1000):\n"
        "    size = promotion.candidate.version['bytes']\n"
        "    return Finding('pass' if size <= most else 'refuse', f'{size} bytes', {'bytes': size})\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
    environment |= {"AUTOTRACK_HOME": str(home), "AUTOTRACK_FORWARDER": "off"}

    words = [
        "models",
        "check",
        "clf",
        "--alias",
        "production",
        "--gate",
        "small:most=10000000",
        "--gate",
        "smaller",
        "--json",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "autotrack", *words],
        capture_output=True, text=True, env=environment, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    small, smaller = json.loads(done.stdout)["gates"]
    assert small["passed"] and not smaller["passed"] and smaller["evidence"]["bytes"] > 1000
    assert done.returncode == 1


def test_of_two_promotions_at_once_the_second_is_told(home: Path) -> None:
    train(1), train(6), train(7)
    promoting.promote("clf/1", "production")
    stale = promoting.check("clf/3", "production")
    promoting.promote("clf/2", "production")
    assert stale.promotion.champion is not None
    record = {"alias": "production", "from": stale.promotion.champion.digest, "evidence": stale.results}
    with pytest.raises(RegistryConflict, match="meanwhile"):
        writing.step("clf", "alias", stale.promotion.candidate.digest, record=record)


def test_the_program_says_what_the_gates_say_with_its_exit_code(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(6), train(1)
    assert main(["models", "promote", "clf/1", "production", "--why", "first", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["moved"] and told["first"] and told["step"]["why"] == "first"
    assert main(["models", "check", "clf/2", "--alias", "production", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert not told["passed"] and not told["moved"] and results(told["gates"])["better"] == "refuse"
    assert main(["models", "promote", "clf/2", "production"]) == 1
    said = capsys.readouterr().out
    assert "REFUSES" in said and "stays where it is" in said
    assert main(["models", "promote", "clf/2", "production", "--force"]) == 2
    assert main(["models", "check", "clf/2", "--alias", "production", "--gate", "better:margin"]) == 2
    assert main(["models", "check", "clf/9", "--alias", "production"]) == 1
    assert main(["models", "promote", "clf/2", "production", "--force", "--why", "told to"]) == 0


def test_a_gates_options_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "k.pub").write_text("-----BEGIN PUBLIC KEY-----\n")
    assert gates.parse(f"signed:keys=@{tmp_path}/k.pub") == ("signed", {"keys": "-----BEGIN PUBLIC KEY-----\n"})
    assert gates.parse('better:{"margin": 0.1, "evaluation": "test"}') == (
        "better",
        {"margin": 0.1, "evaluation": "test"},
    )
    assert gates.parse("latency:p95_ms=5,method=predict_proba") == ("latency", {"p95_ms": 5, "method": "predict_proba"})
    with pytest.raises(UsageError, match="cannot be read"):
        gates.parse(f"signed:keys=@{tmp_path}/none.pub")
