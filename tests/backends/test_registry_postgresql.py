"""The registry in a store that several people share: steps of many processes at once on a real PostgreSQL."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotrack.registry import changing, reading, writing
from autotrack.testing import recording

sys.path.insert(0, str(Path(__file__).parents[1] / "core"))
sys.path.insert(0, str(Path(__file__).parent))
from postgresql_server import new_database, running_server
from registered_models import MOVE, REGISTER, answers, keep_models, started


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_server() as server:
        yield new_database(server)


def test_people_with_homes_of_their_own_register_and_promote_at_once_and_all_see_the_same(
    tmp_path: Path, url: str
) -> None:
    homes = [tmp_path / f"home-{n}" for n in range(8)]
    for number, home in enumerate(homes):
        keep_models(home, f"run-{number}")
        with recording(home, store_url=url), writing.opened():
            pass
    eight = [
        started(home, REGISTER.replace("RUN", f"run-{number}"), f"user-{number}", AUTOTRACK_STORE_URL=url)
        for number, home in enumerate(homes)
    ]
    assert sorted(answers(eight)) == [str(number) for number in range(1, 9)]

    with recording(homes[0], store_url=url, user="ann"):
        writing.move_alias("clf", "production", 1, "the first")
    three = [started(homes[n], MOVE.replace("NUMBER", str(n)), f"user-{n}", AUTOTRACK_STORE_URL=url) for n in (2, 3, 4)]
    said = answers(three)
    assert sum(one == "moved" for one in said) == 1
    assert sum(one.startswith("told: ") for one in said) == 2

    seen = []
    for home in (homes[5], homes[6]):
        with recording(home, store_url=url, user="zoe"), writing.opened() as store:
            seen.append(reading.model(store, "clf"))
    assert seen[0] == seen[1]
    assert [one["version"] for one in seen[0]["versions"]] == list(range(8, 0, -1))
    assert {one["registered_by"] for one in seen[0]["versions"]} == {f"user-{n}" for n in range(8)}
    moves = [one["effect"] for one in seen[0]["log"] if one["action"] == "alias"]
    assert moves == ["done", "done", "conflict", "conflict"]

    with recording(homes[7], store_url=url, user="zoe"):
        back = changing.rollback("clf@production", "somebody was too quick").record
    assert (back["version"], back["who"]) == (1, "zoe")
