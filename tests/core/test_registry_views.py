"""The registry's views are its log: every model, version and alias equals a plain replay, at any moment."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotrack.errors import UsageError
from autotrack.registry.log import ACTIONS, Reference, Step, check_alias, check_name, moment, parse
from autotrack.registry.registered import RegisteredModel
from autotrack.registry.views import fold

DAY = 86_400 * 10**9

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["production", "d1", ""]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["gate", "passed", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)
digests = st.sampled_from(["d1", "d2", "d3"])
results = st.lists(
    st.fixed_dictionaries({"gate": st.sampled_from(["better", "signed"]), "passed": st.booleans()}), max_size=2
)
alias_records = st.fixed_dictionaries(
    {"alias": st.sampled_from(["production", "next"])},
    optional={
        "from": st.none() | digests,
        "forced": st.booleans(),
        "rollback": st.booleans(),
        "evidence": results,
        "rules": st.fixed_dictionaries(
            {},
            optional={
                "approvals": st.integers(0, 2),
                "gates": st.dictionaries(st.sampled_from(["better", "signed"]), st.just({}), max_size=2),
            },
        ),
    },
)
records = (
    st.just({})
    | alias_records
    | st.fixed_dictionaries({"stage": st.none() | st.sampled_from(["Staging", "Production"])})
    | st.dictionaries(st.sampled_from(["owner", "auc"]), st.none() | st.integers(0, 3), max_size=2)
)
actions = st.sampled_from(
    [*(["register", "alias"] * 3), *sorted(ACTIONS - {"register", "alias"}), "teleport"]  # the last is none
)


@st.composite
def logs(draw: st.DrawFn, *, in_order: bool) -> list[Step]:
    """Logs of up to 40 steps; where not `in_order`, clocks differ and journals come late."""
    size = draw(st.integers(0, 40))
    times = draw(st.lists(st.integers(0, 30), min_size=size, max_size=size))
    steps = []
    if draw(st.booleans()):  # else few logs would get as far as a gate that says no
        rules = draw(st.sampled_from([{"gates": {"better": {}}}, {"gates": {"better": {}}, "approvals": 1}]))
        steps = [Step(f"r{digest}", 0, "clf", "register", digest) for digest in ("d1", "d2")]
        steps.append(Step("p", 0, "clf", "protect", record={"alias": "production", "rules": rules}))
    for index, time in enumerate(sorted(times) if in_order else times):
        action = draw(actions)
        needs_alias = action in ("alias", "unalias", "protect", "unprotect", "refuse")
        record = draw(alias_records if needs_alias else records)
        steps.append(
            Step(
                f"s{index}",
                time,
                draw(st.sampled_from(["clf", "clf", "other"])),
                action,
                draw(digests) if draw(st.integers(0, 9)) else None,
                draw(st.sampled_from(["", "r1"])),
                draw(st.sampled_from(["ann", "bob", "cy"])),
                draw(st.sampled_from(["", "because"])),
                record,
            )
        )
    return steps


def shown(models: dict[str, RegisteredModel]) -> dict[str, Any]:
    """What a fold says, as plain values that `replay` can say too."""
    return {
        name: {
            "versions": {
                version.digest: (
                    version.number, version.run, version.stage, set(version.approvals), set(version.objections),
                    version.annotations, version.retired is not None, version.signed and version.signed.id,
                )
                for version in model.versions.values()
            },
            "aliases": {alias: (told.digest, told.held[-1].step.id) for alias, told in model.aliases.items()},
            "protected": {alias: step.id for alias, step in model.protected.items()},
            "effects": [entry.effect for entry in model.log],
            "before": {alias: (v := model.before(alias)) and v.digest for alias in ("production", "next")},
        }
        for name, model in models.items()
    }  # fmt: skip


def replay(log: Sequence[Step]) -> dict[str, Any]:
    """The rules of docs/registry.md, told once more: over plain sets, and by looking back over all that was done."""
    return {name: _replayed([step for step in log if step.model == name]) for name in {step.model for step in log}}


def _replayed(log: Sequence[Step]) -> dict[str, Any]:
    done: list[Step] = []
    effects: list[str] = []

    def last(*names: str, **wanted: Any) -> Step | None:
        for step in reversed(done):
            about = {"digest": step.digest, "alias": step.alias, "who": step.who}
            if step.action in names and all(about[key] == value for key, value in wanted.items()):
                return step
        return None

    def digests_known() -> list[str]:
        return list(dict.fromkeys(step.digest for step in done if step.action == "register" and step.digest))

    def pointer(alias: str) -> str | None:
        step = last("alias", "unalias", alias=alias)
        return step.digest if step and step.action == "alias" else None

    def retired(digest: str) -> bool:
        step = last("retire", "restore", digest=digest)
        return step is not None and step.action == "retire"

    def people(digest: str, word: str) -> set[str]:
        steps = [last("approve", "disapprove", digest=digest, who=who) for who in ("ann", "bob", "cy")]
        return {step.who for step in steps if step and step.action == word}

    def protection(alias: str) -> Step | None:
        step = last("protect", "unprotect", alias=alias)
        return step if step and step.action == "protect" else None

    def moves(alias: str) -> list[Step]:
        """The moves that changed something."""
        found, at = [], None
        for step in done:
            if step.action in ("alias", "unalias") and step.alias == alias:
                to = step.digest if step.action == "alias" else None
                if to != at:
                    found.append(step)
                at = to
        return found

    def way(alias: str) -> list[str | None]:
        """What it pointed to, without what rollbacks have undone."""
        found: list[str | None] = []
        for step in moves(alias):
            to = step.digest if step.action == "alias" else None
            if step.record.get("rollback") and to in found:
                found = found[: len(found) - found[::-1].index(to)]
            else:
                found.append(to)
        return found

    def effect(step: Step) -> str:
        forced = bool(step.record.get("forced") and step.why)
        if step.action == "register":
            return "done" if step.digest else "conflict"
        if step.action == "refuse":
            return "refused"
        if step.action == "teleport":
            return "conflict"
        if step.action == "protect":
            return "done"
        if step.action == "unprotect":
            return "done" if protection(step.alias) else "conflict"
        if step.action != "unalias" and step.digest not in digests_known():
            return "conflict"
        if step.action in ("alias", "unalias"):
            now = pointer(step.alias)
            earlier = max(
                (one.time for one in done if one.action in ("alias", "unalias") and one.alias == step.alias), default=0
            )
            if step.record["from"] != now if "from" in step.record else step.time < earlier:
                return "conflict"
            if step.action == "unalias":
                return "conflict" if now is None else "refused" if protection(step.alias) and not forced else "done"
            if retired(step.digest or ""):
                return "conflict"
            rules = protection(step.alias)
            if rules is None or forced:
                return "done"
            if step.record.get("rollback") and step.digest in {
                one.digest for one in moves(step.alias) if one.action == "alias"
            }:
                return "done"
            asked = rules.record.get("rules", {})
            said = {one["gate"] for one in step.record.get("evidence", ())}
            unanimous = all(one["passed"] for one in step.record.get("evidence", ()))
            enough = len(people(step.digest or "", "approve")) >= asked.get("approvals", 0)
            return "done" if unanimous and set(asked.get("gates", ())) <= said and enough else "refused"
        if step.action == "retire":
            aliases = {one.alias for one in done if one.action == "alias"}
            return "conflict" if any(pointer(alias) == step.digest for alias in aliases) and not forced else "done"
        return "done"

    for step in log:
        effects.append(effect(step))
        if effects[-1] == "done":
            done.append(step)

    def version(number: int, digest: str) -> tuple[Any, ...]:
        registered = [step for step in done if step.action == "register" and step.digest == digest]
        staged, signed = last("stage", digest=digest), last("sign", digest=digest)
        notes: dict[str, Any] = {}
        for step in done:
            if step.action == "annotate" and step.digest == digest:
                notes |= step.record
        return (
            number,
            next((step.run for step in registered if step.run), ""),
            (staged.record.get("stage") or None) if staged else None,
            people(digest, "approve"),
            people(digest, "disapprove"),
            {key: value for key, value in notes.items() if value is not None},
            retired(digest),
            signed and signed.id,
        )

    def before(alias: str) -> str | None:
        stack = way(alias)
        here = pointer(alias)
        return next((one for one in reversed(stack[:-1]) if one and one != here and not retired(one)), None)

    touched = {one.alias for one in done if one.action in ("alias", "unalias")}
    return {
        "versions": {digest: version(number, digest) for number, digest in enumerate(digests_known(), 1)},
        "aliases": {alias: (pointer(alias), moves(alias)[-1].id) for alias in touched},
        "protected": {alias: found.id for alias in ("production", "next") if (found := protection(alias))},
        "effects": effects,
        "before": {alias: before(alias) for alias in ("production", "next")},
    }


@settings(deadline=None, max_examples=120)
@given(logs(in_order=False))
def test_the_views_equal_a_plain_replay_of_the_log(log: list[Step]) -> None:
    assert shown(fold(log)) == replay(log)


@settings(deadline=None, max_examples=60)
@given(logs(in_order=True), st.integers(-1, 31))
def test_a_moment_in_the_past_is_the_fold_of_what_had_been_logged_by_then(log: list[Step], at: int) -> None:
    assert shown(fold(log, at)) == shown(fold([step for step in log if step.time <= at]))


@settings(deadline=None, max_examples=60)
@given(logs(in_order=False), st.integers(-1, 31))
def test_where_clocks_differ_a_moment_is_what_had_happened_and_numbers_stay_those_of_today(
    log: list[Step], at: int
) -> None:
    then, only, now = fold(log, at), fold([step for step in log if step.time <= at]), fold(log)
    for name, model in then.items():
        assert [entry.effect for entry in model.log] == [entry.effect for entry in only[name].log]
        assert {alias: told.digest for alias, told in model.aliases.items()} == {
            alias: told.digest for alias, told in only[name].aliases.items()
        }
        for digest, version in model.versions.items():
            assert version.number == now[name].versions[digest].number


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            actions,
            digests | st.none(),
            st.dictionaries(st.sampled_from(["alias", "from", "rules", "evidence", "stage"]), json_values),
        ),
        max_size=12,
    )
)
def test_no_record_whatever_it_holds_stops_the_fold(told: list[tuple[str, str | None, dict[str, Any]]]) -> None:
    log = [Step(str(at), at, "clf", action, digest, record=record) for at, (action, digest, record) in enumerate(told)]
    assert sum(len(model.log) for model in fold(log).values()) == len(log)


def test_a_history_of_fifty_decisions_says_for_every_day_what_was_in_production_who_put_it_there_and_why() -> None:
    rng = random.Random(7)
    log: list[Step] = [Step(f"r{n}", n, "clf", "register", f"d{n}", f"run{n}", "ann") for n in range(61)]
    rules = {"gates": {"better": {}}, "approvals": 0}
    log.append(
        Step(
            "p", 100, "clf", "protect", who="ann", why="it earns money", record={"alias": "production", "rules": rules}
        )
    )
    diary: list[tuple[str | None, str, str, Any]] = []
    held: list[tuple[str, str, str, Any]] = []
    kinds = {"promoted": 0, "refused": 0, "rolled back": 0, "forced": 0}
    for day in range(50):
        who, why = rng.choice(["ann", "bob", "cy"]), f"reason {day}"
        now = held[-1][0] if held else None
        fresh = f"d{day}"
        kind = rng.choice(["promoted", "promoted", "refused", "rolled back", "forced"])
        said = [{"gate": "better", "passed": kind == "promoted", "why": f"by {day / 1000}"}]
        if kind == "rolled back" and len(held) < 2:
            kind = "forced"
        record: dict[str, Any] = {"alias": "production", "from": now, "evidence": said}
        if kind == "rolled back":
            held.pop()
            digest, _, _, evidence = held[-1]
            held[-1] = (digest, who, why, evidence)
            record = {"alias": "production", "from": now, "rollback": True}
        elif kind == "refused":
            digest = fresh
        else:
            digest = fresh
            record |= {"forced": True} if kind == "forced" else {}
            held.append((fresh, who, why, said))
        kinds[kind] += 1
        log.append(
            Step(
                f"s{day}",
                (day + 1) * DAY,
                "clf",
                "refuse" if kind == "refused" else "alias",
                digest,
                "",
                who,
                why,
                record,
            )
        )
        diary.append(held[-1] if held else (None, "", "", []))
    assert min(kinds.values()) >= 5, kinds
    for day, (digest, who, why, evidence) in enumerate(diary):
        model = fold(log, (day + 1) * DAY + DAY // 2)["clf"]
        alias = model.aliases.get("production")
        assert (alias.digest if alias else None) == digest
        if alias and alias.now:
            assert (alias.now.step.who, alias.now.step.why) == (who, why)
            assert alias.evidence(alias.now) == evidence
    assert fold(log)["clf"].log[-1].step.id == "s49"


def test_two_rollbacks_go_two_back_and_pass_over_what_is_retired() -> None:
    log = [Step(f"r{n}", n, "clf", "register", f"d{n}") for n in range(1, 6)]
    log += [Step(f"a{n}", 10 + n, "clf", "alias", f"d{n}", record={"alias": "p"}) for n in range(1, 6)]
    log.append(Step("x", 20, "clf", "retire", "d3"))

    def roll_back(at: int) -> str | None:
        before = fold(log)["clf"].before("p")
        if before is None:
            return None
        log.append(Step(f"b{at}", at, "clf", "alias", before.digest, record={"alias": "p", "rollback": True}))
        return before.digest

    assert [roll_back(30 + n) for n in range(4)] == ["d4", "d2", "d1", None]
    log.append(Step("n", 40, "clf", "alias", "d5", record={"alias": "p"}))
    assert roll_back(41) == "d1"


def test_a_training_that_comes_late_does_not_undo_what_somebody_has_decided_since() -> None:
    log = [
        Step("1", 10, "clf", "register", "d1"),
        Step("2", 50, "clf", "alias", "d1", who="ann", record={"alias": "champion", "from": None}),
        Step("3", 20, "clf", "register", "d2", "run"),
        Step("4", 20, "clf", "alias", "d2", "run", record={"alias": "champion"}),
    ]
    model = fold(log)["clf"]
    assert model.aliases["champion"].digest == "d1"
    assert (model.log[-1].effect, model.log[-1].because) == (
        "conflict",
        "champion had been moved to version 1 later than that",
    )


@pytest.mark.parametrize(
    "name", ["", "a/b", "a@b", " a", "a ", "größe", "a\nb", "-a", "a" * 101, "<script>", "../x", "a\0b"]
)
def test_a_name_with_strange_characters_is_refused_and_the_message_says_which_may_be_used(name: str) -> None:
    with pytest.raises(UsageError, match=r"use letters|at most 100"):
        check_name(name)


@pytest.mark.parametrize("name", ["clf", "7", "main.risk.clf-2", "churn model", "A_b"])
def test_plain_names_are_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("alias", ["3", "v3", "latest"])
def test_an_alias_that_would_be_taken_for_a_version_is_refused(alias: str) -> None:
    with pytest.raises(UsageError, match="taken for a version"):
        check_alias(alias)


def test_references_are_models_versions_and_aliases() -> None:
    assert parse("clf") == Reference("clf")
    assert parse("clf/3") == Reference("clf", version=3)
    assert parse("clf@production") == Reference("clf", "production")
    assert parse("a/b@production") == Reference("a/b", "production")
    assert parse("a/b") == Reference("a/b")
    with pytest.raises(UsageError):
        parse("")


def test_moments_are_days_that_have_ended_or_times_to_their_last_nanosecond() -> None:
    assert moment("1970-01-02") == 2 * DAY - 1
    assert moment("1970-01-02T00:00Z") == DAY + 999
    assert moment("1970-01-01T02:00+02:00") == 999
    assert moment("1970-01-01T00:00:00.000001Z") == 1999
    assert moment(None) is None
    for text in ("yesterday", "2026-13-01", "2026-05-01T25:00", ""):
        with pytest.raises(UsageError, match="2026-05-01"):
            moment(text)
