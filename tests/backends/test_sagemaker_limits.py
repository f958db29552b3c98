"""What SageMaker cannot keep is told, and every request is one that the service takes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from autotrack.events import (
    ArtifactLogged,
    MetricsLogged,
    ParamsLogged,
    TagsSet,
)
from autotrack_sagemaker.names import entity_of, is_tag, one_line, safe_name
from autotrack_sagemaker.series import Series

sys.path.insert(0, str(Path(__file__).parent))  # test modules are not a package: a folder's name could hide a product

from sagemaker_reading import Lent, component, lent, server, tags  # isort: skip: skips where boto3 is missing
from botocore_shapes import violations
from mlflow_server import Journal
from sagemaker_server import ACCOUNT, REGION, Server

__all__ = ["lent", "server"]


def test_points_that_sagemaker_cannot_keep_are_told_and_not_sent(server: Server, lent: Lent) -> None:
    journal = Journal()
    journal.start()
    for step, value in ((0, float("nan")), (1, float("inf")), (-1, 1.0), (2**31, 1.0), (7, 2.5), (7, 3.5), (3, 1.0)):
        journal.add(MetricsLogged, step, {"m": value})
    lent.open().deliver(journal.records)
    points = server.tell(f"points/{entity_of(journal.run)}")["m"]
    assert sorted(point[:2] for point in points) == [[3, 1.0], [7, 3.5]]
    whys = [note[2] for note in lent.notes]
    assert (
        len(whys) == 5 and sum("finite" in why for why in whys) == 2 and sum("2147483647" in why for why in whys) == 2
    )
    assert sum("one value at a step" in why for why in whys) == 1


def test_a_step_that_comes_again_in_a_later_batch_is_told_once(server: Server, lent: Lent) -> None:
    journal = Journal()
    journal.start()
    for step in (0, 1, 1):
        journal.add(MetricsLogged, step, {"m": float(step)})
    lent.open().deliver(journal.records[:3])
    lent.open().deliver(journal.records[3:])
    assert [note[1] for note in lent.notes] == ["metric m"]


def test_points_that_the_service_refuses_are_told(server: Server, lent: Lent) -> None:
    journal = Journal()
    journal.start()
    journal.begin = 900_000_000_000_000_000  # what the service says of what is over two weeks old
    for step in range(3):
        journal.add(MetricsLogged, step, {"old": float(step)})
    journal.begin = 1_700_000_000_000_000_000
    journal.add(MetricsLogged, 9, {"new": 1.0})
    lent.open().deliver(journal.records)
    assert server.tell(f"points/{entity_of(journal.run)}").keys() == {"new"}
    assert [(what, "two weeks" in why) for _, what, why in lent.notes] == [("metric old", True)] * 3


def test_an_older_botocore_that_cuts_times_to_seconds_is_told() -> None:
    told: list[tuple[str, str]] = []
    series = Series({}, lambda *note: told.append(note), milliseconds=False)
    for sequence, time in enumerate((1_700_000_000_000_000_000, 1_700_000_000_005_000_000)):
        series.add("writer", sequence, MetricsLogged("run", time, sequence, {"a": 1.0, "b": 2.0}))
    assert [what for what, _ in told] == ["times of points"]


def test_more_than_a_component_holds_is_told(server: Server, lent: Lent) -> None:
    journal = Journal()
    journal.start()
    journal.add(ParamsLogged, {f"p{number}": number for number in range(310)})
    journal.add(TagsSet, {f"t{number}": "v" for number in range(60)})
    for number in range(62):
        journal.add(ArtifactLogged, f"{number}.txt", lent.keep(b"same"), 4)
    backend = lent.open()
    backend.deliver(journal.records)
    held = component(server, journal.run)
    assert len(held["Parameters"]) == 300 and len(held["OutputArtifacts"]) == 60
    assert len(tags(server, held["TrialComponentArn"])) == 50
    untold = {note[1] for note in lent.notes}
    assert {"param p309", "artifact 61.txt"} <= untold
    assert sum(note.startswith("param ") for note in untold) == 10
    kept = tags(server, held["TrialComponentArn"]).keys()
    assert {f"tag t{number}" for number in range(60)} & untold == {
        f"tag t{number}" for number in range(60) if f"t{number}" not in kept
    }


def test_a_tag_moves_between_tags_and_params_as_its_value_needs(server: Server, lent: Lent) -> None:
    journal = Journal()
    journal.start()
    backend = lent.open()
    for value in ("plain", "50%", "plain again"):
        backend.deliver([*journal.records[:1], journal.add(TagsSet, {"t": value})])
        held = component(server, journal.run)
        found = tags(server, held["TrialComponentArn"]).get("t")
        param = (held.get("Parameters") or {}).get("autotrack.tag.t", {}).get("StringValue")
        assert (found, param) == ((None, value) if "%" in value else (value, None))


def test_names_are_safe_and_two_stay_two() -> None:
    for text in ("plain", "a_b", "a-b", "Größe", "漢字", "", "-x-", "x" * 200, "x" * 199 + "y"):
        for length in (63, 120):
            assert not violations("sagemaker", "CreateExperiment", {"ExperimentName": safe_name(text, length)})
            assert len(safe_name(text, length)) <= length
    names = ["a_b", "a-b", "a b", "漢字", "汉字", "x" * 200, "x" * 199 + "y"]
    assert len({safe_name(name, 63) for name in names}) == len(names)
    point = {"MetricName": "m", "Timestamp": 0, "Value": 1.0}
    for run in ("0123456789abcdef", "My_Run 7"):
        request = {"TrialComponentName": entity_of(run), "MetricData": [point]}
        assert not violations("sagemaker-metrics", "BatchPutMetrics", request)
    assert entity_of("0123456789abcdef") == "autotrack-0123456789abcdef"


def test_what_counts_as_a_tag_is_what_the_shape_allows() -> None:
    texts = ["a b", "é", "a\u0301", "50%", "x" * 300, "a\nb", "漢字", "", "k=v@+-_.:/", "🙂"]
    for key in texts:
        for value in texts:
            request = {
                "ResourceArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:x/y",
                "Tags": [{"Key": key, "Value": value}],
            }
            assert is_tag(key, value) == (not violations("sagemaker", "AddTags", request))
    assert not is_tag("aws:x", "v") and not is_tag(" x", "v")
    assert one_line("a\u2028b") == '"a\\u2028b"' and one_line("plain") == "plain"


def test_the_checker_sees_what_the_service_refuses() -> None:
    point = {"MetricName": "m", "Timestamp": 0, "Value": 1.0}

    def put(**changes: Any) -> list[str]:
        request = {"TrialComponentName": "abc", "MetricData": [point], **changes}
        return violations("sagemaker-metrics", "BatchPutMetrics", request)

    assert put() == []
    assert put(TrialComponentName="A_b") and put(MetricData=[point] * 11) and put(MetricData=[])
    assert put(MetricData=[{**point, "Value": float("nan")}]) and put(MetricData=[{**point, "Step": -1}])
    assert put(MetricData=[{**point, "Step": 2**31}]) and put(MetricData=[{**point, "MetricName": "a\nb"}])
    assert put(MetricData=[{"MetricName": "m"}]) and put(Other=1)
    wrong = violations(
        "sagemaker", "CreateTrialComponent", {"TrialComponentName": "a", "Status": {"PrimaryStatus": "Done"}}
    )
    assert len(wrong) == 1 and "Done" in wrong[0]
    value = {"x": {"StringValue": "a\x85b"}}
    assert violations("sagemaker", "CreateTrialComponent", {"TrialComponentName": "a", "Parameters": value})
