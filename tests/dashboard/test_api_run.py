"""What the page of a run asks for, over HTTP of a dashboard that is served: what is told, and what is refused."""

import json
import shutil
import sys
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from served import served
from shown_homes import BAIT, SCRIPT, everything, recorded

from autotrack.dashboard.previews import preview as look_into
from autotrack.dashboard.tensors import tensors
from autotrack.events import ProvenanceLogged
from autotrack.journal.reader import Journal
from autotrack.journal.writer import Writer
from autotrack.provenance.blobs import Blobs
from autotrack.store.ingest import ingest
from autotrack.store.query import Store


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.getbasetemp() / "recorded")[0]


@pytest.fixture(scope="module")
def ids(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return recorded(tmp_path_factory.getbasetemp() / "recorded")[1]


@pytest.fixture(scope="module")
def client(home: Path):
    with served(home) as client:
        yield client


def told(client: httpx.Client, address: str, **asked: object):
    answer = client.get(address, params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def artifact(client: httpx.Client, run: str, name: str) -> str:
    record = told(client, f"/api/run/{run}")
    return next(one["digest"] for one in record["artifacts"] if one["name"] == name)


def preview(client: httpx.Client, run: str, name: str):
    return told(client, f"/api/run/{run}/preview", digest=artifact(client, run, name), name=name)


def file(client: httpx.Client, run: str, name: str, **asked: object) -> httpx.Response:
    return client.get(f"/files/{run}/{artifact(client, run, name)}/{name}", params=asked)


def test_a_run_is_its_whole_record_with_its_parent_and_its_parts(client, ids) -> None:
    main = told(client, f"/api/run/{ids['main']}")
    assert main["name"] == BAIT and main["params"][BAIT] == SCRIPT and main["params"]["lr"] == 0.1
    assert main["params_history"]["lr"][0]["value"] == 0.2
    assert main["metrics"]["grad"]["max"] == "Infinity"
    assert main["parent"] is None and main["children"] == []
    study = told(client, f"/api/run/{ids['study']}")
    assert study["children_total"] == 3 and [one["name"] for one in study["children"]] == [
        "trial 0.1",
        "trial 1.0",
        "trial 10.0",
    ]
    assert told(client, f"/api/run/{ids['trial']}")["parent"]["id"] == ids["study"]
    assert told(client, f"/api/run/{ids['broken']}")["error"]["message"] == f"bad {SCRIPT}"


def test_a_run_is_named_by_its_whole_id_alone(client, ids) -> None:
    for wrong in ("nope", ids["main"][:8], "linear", "%2e%2e", "x" * 2000):
        answer = client.get(f"/api/run/{wrong}")
        assert answer.status_code == 404, wrong
    assert client.get("/api/run/linear/console").status_code == 404


def test_of_a_run_that_was_removed_it_is_told_when_by_whom_and_why(client, home) -> None:
    writer = Writer(home / "journals", version="0", backends=("local",), kind="removal")
    writer.append_event(ProvenanceLogged("", 5, "tombstone", {"gone": {"who": "ana", "why": "a password"}}))
    writer.close()
    with Store.open(home) as store:
        ingest(store.engine, list(Journal(writer.folder).records()))
    answer = client.get("/api/run/gone")
    assert answer.status_code == 404
    assert "run gone was removed for good on 1970-01-01 by ana because: a password" in answer.text


def test_the_console_comes_in_order_and_goes_on_after_a_place(client, ids) -> None:
    first = told(client, f"/api/run/{ids['main']}/console")
    text = "".join(piece["text"] for piece in first["pieces"])
    assert "epoch 12/12" in text and f"green {SCRIPT}" in text
    assert {piece["stream"] for piece in first["pieces"]} == {"stdout", "stderr"}
    assert not first["more"]
    assert told(client, f"/api/run/{ids['main']}/console", after=first["after"])["pieces"] == []
    assert (
        len(told(client, f"/api/run/{ids['main']}/console", after=first["pieces"][0]["id"])["pieces"])
        == len(first["pieces"]) - 1
    )
    assert client.get(f"/api/run/{ids['main']}/console", params={"after": "1; drop"}).status_code == 400


def test_the_uncommitted_change_is_a_diff_against_the_commit(client, ids) -> None:
    code = told(client, f"/api/run/{ids['main']}/code")
    assert code["diff_problem"] is None
    assert "-def points(n):\n" in code["diff"] and "+def points(n, step=1):\n" in code["diff"]
    assert "deleted file mode" in code["diff"] and f"+lr: 0.2  # {SCRIPT}" in code["diff"]
    assert {"helpers.py", "config.yaml", "train.py"} <= {one["path"] for one in code["listing"]}
    source = told(client, f"/api/run/{ids['main']}/code", path="helpers.py")
    assert source["text"].startswith("def points(n, step=1):")
    assert client.get(f"/api/run/{ids['main']}/code", params={"path": "../../etc/passwd"}).status_code == 404


def test_without_the_repository_new_files_are_shown_and_the_rest_is_named(client, home, ids) -> None:
    repository = home.parent / "project" / ".git"
    repository.rename(repository.with_name("moved"))
    try:
        code = told(client, f"/api/run/{ids['main']}/code")
    finally:
        repository.with_name("moved").rename(repository)
    assert "is not here any more" in code["diff_problem"]
    assert f"+lr: 0.2  # {SCRIPT}" in code["diff"] and "-def points" not in code["diff"]
    assert {"path": "helpers.py", "change": "modified"} in code["changes"]


def test_packages_are_those_that_were_installed(client, ids) -> None:
    found = told(client, f"/api/run/{ids['main']}/packages")
    assert found["problem"] is None
    assert httpx.__version__ in [one["version"] for one in found["packages"] if one["name"] == "httpx"]


def test_a_models_tensors_are_told_from_its_file(client, ids) -> None:
    (net,) = told(client, f"/api/run/{ids['main']}")["models"]
    found = told(client, f"/api/run/{ids['main']}/model", digest=net["digest"])
    assert {one["name"]: one["shape"] for one in found["tensors"]} == {
        "0.weight": [8, 3],
        "0.bias": [8],
        "2.weight": [2, 8],
        "2.bias": [2],
    }
    assert found["parameters"] == 50 and found["why"] is None and found["tensors"][0]["dtype"] == "F32"
    clf = next(one for one in told(client, f"/api/run/{ids['linear']}")["models"] if one["name"] == "clf")
    names = [one["name"] for one in told(client, f"/api/run/{ids['linear']}/model", digest=clf["digest"])["tensors"]]
    assert "coef_" in names and "intercept_" in names


def test_previews_fit_what_is_in_the_file(client, ids) -> None:
    run = ids["main"]
    assert preview(client, run, "roc.png") == {"kind": "image", "type": "image/png"}
    assert preview(client, run, "curve.svg")["kind"] == "image"
    assert preview(client, run, "report.html") == {"kind": "html"}
    assert preview(client, run, "notes.md")["text"].startswith("# Notes")
    table = preview(client, run, "table.csv")
    assert (table["columns"], table["rows"][0], table["truncated"]) == (["name", "score"], [SCRIPT, "0.5"], False)
    assert json.loads(preview(client, run, "deep.json")["text"])["a"] == {"b": [1, 2]}
    assert preview(client, run, "rows.jsonl")["rows"] == [[1, 0.5], [2, 0.25]]
    assert preview(client, run, "blob.bin")["kind"] == "none"
    parquet = preview(client, run, "table.parquet")
    assert parquet["columns"] == ["age", "income", "visits", "label"] and parquet["total"] == 20
    assert preview(client, run, "fake.png")["kind"] == "text"
    assert preview(client, run, "deepest.json")["kind"] == "text"


def test_a_preview_reads_no_more_than_its_bound(client, ids) -> None:
    long = preview(client, ids["main"], "long.txt")
    assert long["truncated"] and len(long["text"]) <= 256 << 10 and long["text"].endswith("line of text\n")


def test_files_go_out_so_that_nothing_in_them_runs(client, ids) -> None:
    for name in ("roc.png", "curve.svg", "report.html", "table.csv", "fake.png", "blob.bin"):
        answer = file(client, ids["main"], name)
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
        assert "allow-scripts" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        shown = name == "roc.png"
        assert answer.headers["content-disposition"].startswith("inline" if shown else "attachment"), name
        assert answer.headers["content-type"] == {"roc.png": "image/png", "curve.svg": "image/svg+xml"}.get(
            name, "application/octet-stream"
        )
        assert int(answer.headers["content-length"]) == len(answer.content)
    framed = file(client, ids["main"], "report.html", framed=1)
    assert (
        framed.headers["content-type"].startswith("text/html")
        and "sandbox" in framed.headers["content-security-policy"]
    )
    assert file(client, ids["main"], "table.csv", framed=1).headers["content-type"] == "application/octet-stream"
    assert client.head(f"/files/{ids['main']}/{artifact(client, ids['main'], 'roc.png')}/x").status_code == 200


def test_a_name_in_the_address_does_not_name_the_download(client, ids) -> None:
    digest = artifact(client, ids["main"], "table.csv")
    answer = client.get(f"/files/{ids['main']}/{digest}/evil.exe")
    assert "evil" not in answer.headers["content-disposition"] and "table.csv" in answer.headers["content-disposition"]
    assert (
        client.get(f"/files/{ids['main']}/{digest}/x.html", params={"framed": 1}).headers["content-type"]
        == "application/octet-stream"
    )


def test_only_files_of_this_run_can_be_had(client, home, ids) -> None:
    (net,) = told(client, f"/api/run/{ids['main']}")["models"]
    bare, main, digest = ids["bare"], ids["main"], net["digest"]
    for address in (
        f"/files/{bare}/{digest}/x",
        f"/api/run/{bare}/model?digest={digest}",
        f"/api/run/{bare}/preview?digest={digest}",
        f"/files/{main}/{'0' * 64}/x",
        f"/files/{main}/..%2f..%2fstore.db/x",
        f"/files/..%2f..%2f/{digest}/x",
        f"/api/run/{main}/preview?digest=../../store.db",
        f"/api/run/{main}/preview",
    ):
        answer = client.get(address)
        assert answer.status_code in (400, 404), address
        assert str(home) not in answer.text
    assert (home / "store.db").exists()


def test_a_file_that_is_gone_is_said_to_be(client, home, ids) -> None:
    digest = artifact(client, ids["main"], "notes.md")
    blob = home / "blobs" / digest[:2] / digest
    shutil.move(blob, blob.with_suffix(".away"))
    try:
        answer = client.get(f"/api/run/{ids['main']}/preview", params={"digest": digest})
        assert answer.status_code == 404 and "not kept" in answer.json()["error"]
        assert client.get(f"/files/{ids['main']}/{digest}/notes.md").status_code == 404
    finally:
        shutil.move(blob.with_suffix(".away"), blob)


def test_the_lineage_is_a_graph_of_this_run(client, ids) -> None:
    graph = told(client, f"/api/run/{ids['linear']}/lineage")
    assert graph["root"] == f"run:{ids['linear']}"
    assert {"run", "dataset", "model"} == {node["kind"] for node in graph["nodes"]}
    assert any(edge["target"] == graph["root"] and edge["relation"] == "input" for edge in graph["edges"])


def test_delivery_tells_what_waits_what_failed_and_what_was_lost(client, ids) -> None:
    found = {one["backend"]: one for one in told(client, f"/api/run/{ids['main']}/delivery")}
    assert found["local"]["lag"] == 0
    mlflow = found["mlflow"]
    assert mlflow["lag"] > 0 and mlflow["dead"] == 1 and "does not answer" in mlflow["problem"]
    assert mlflow["not_carried"] == [{"what": "infinite values", "count": 3, "why": "MLflow has no infinity"}]


def test_two_datasets_differ_as_the_command_says(client, ids) -> None:
    found = told(client, "/api/datadiff", a=f"{ids['main']}:train/customers", b=f"{ids['linear']}:train/customers")
    assert found["same"] is False and found["schema"] is True
    assert [one["name"] for one in found["columns"]] == ["income"]
    assert found["told"]
    assert told(client, "/api/datadiff", a=f"{ids['main']}:train", b=f"{ids['main']}:train")["same"] is True
    for wrong in ("nope:train", ids["main"], f"{ids['main']}:nothing"):
        assert client.get("/api/datadiff", params={"a": wrong, "b": f"{ids['main']}:train"}).status_code in (400, 404)


def headed(header: object) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    ("format", "content"),
    [
        ("safetensors", b""),
        ("safetensors", b"\xff" * 64),
        ("safetensors", headed([1, 2])),
        ("safetensors", headed({"a": {"dtype": "F32", "shape": [2]}})),
        ("safetensors", headed({"a": {"dtype": "F32", "shape": [2**70], "data_offsets": [0, 4]}})),
        ("safetensors", headed({"a": {"dtype": "F32", "shape": "many", "data_offsets": [0, 4]}})),
        ("skops", b"no archive"),
        ("keras", b"PK\x03\x04"),
        ("ubj", b"{"),
    ],
)
def test_a_model_that_is_not_what_it_says_is_told_to_be(tmp_path: Path, format: str, content: bytes) -> None:
    blobs = Blobs(tmp_path)
    found = tensors(blobs, blobs.put_bytes(content).digest, format)
    assert found["tensors"] == [] and found["why"] and found["parameters"] == 0


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.jsonl", b'{"n": 123456789012345678901234567890}', "table"),
        ("a.csv", b'"' + b"x" * 200_000 + b'",1\n2,3\n', "none"),
        ("a.csv", b"", "table"),
        ("a.parquet", b"PAR1 and no more", "none"),
        ("a.json", b'[{"a": NaN, "b": [1]}]', "table"),
        ("a.txt", b"\xff\xfe text", "text"),
        ("empty.html", b"", "html"),
    ],
)
def test_a_strange_file_is_previewed_or_not_and_harms_nothing(
    tmp_path: Path, name: str, content: bytes, kind: str
) -> None:
    blobs = Blobs(tmp_path)
    found = look_into(blobs, blobs.put_bytes(content).digest, name)
    assert found["kind"] == kind
    json.dumps(found, allow_nan=False)
    assert "1.2345" not in everything(found)
