"""Bundles: a model with its record goes to another home whole, and nothing that was tampered with does."""

import pytest

pytest.importorskip("jsonschema")
pytest.importorskip("sklearn")

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jsonschema import Draft202012Validator

import autotrack
from autotrack.cli.main import main
from autotrack.provenance.blobs import Blobs
from autotrack.registry import changing, promoting, reading, signing, writing
from autotrack.testing import recording

sys.path.insert(0, str(Path(__file__).parent))
import promotions
from promotions import X_test, train

DIGEST = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
DESCRIPTOR = {
    "type": "object",
    "required": ["mediaType", "digest", "size"],
    "properties": {
        "mediaType": {"type": "string", "pattern": "^[A-Za-z0-9][^/ ]{0,126}/[A-Za-z0-9][^/ ]{0,126}$"},
        "digest": DIGEST,
        "size": {"type": "integer", "minimum": 0},
        "artifactType": {"type": "string"},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
INDEX = {
    "type": "object",
    "required": ["schemaVersion", "manifests"],
    "properties": {"schemaVersion": {"const": 2}, "manifests": {"type": "array", "items": DESCRIPTOR}},
}
MANIFEST = {
    "type": "object",
    "required": ["schemaVersion", "mediaType", "artifactType", "config", "layers"],
    "properties": {
        "schemaVersion": {"const": 2},
        "mediaType": {"const": "application/vnd.oci.image.manifest.v1+json"},
        "artifactType": {"const": "application/vnd.cncf.model.manifest.v1+json"},
        "config": {
            "allOf": [DESCRIPTOR, {"properties": {"mediaType": {"const": "application/vnd.cncf.model.config.v1+json"}}}]
        },
        "layers": {
            "type": "array",
            "minItems": 1,
            "items": {
                "allOf": [
                    DESCRIPTOR,
                    {
                        "required": ["annotations"],
                        "properties": {
                            "mediaType": {
                                "pattern": r"^application/vnd\.cncf\.model\.(weight|doc|code|dataset)\.v1\.raw$"
                            },
                            "annotations": {"required": ["org.cncf.model.filepath"]},
                        },
                    },
                ]
            },
        },
    },
}
TEXT = {"type": "string"}
CONFIG = {
    "type": "object",
    "required": ["descriptor", "config", "modelfs"],
    "additionalProperties": False,
    "properties": {
        "descriptor": {
            "type": "object",
            "additionalProperties": False,
            "properties": dict.fromkeys(
                [
                    "createdAt",
                    "family",
                    "name",
                    "docURL",
                    "sourceURL",
                    "version",
                    "revision",
                    "vendor",
                    "title",
                    "description",
                ],
                TEXT,
            ),
        },
        "config": {
            "type": "object",
            "additionalProperties": False,
            "properties": dict.fromkeys(["architecture", "format", "paramSize", "precision", "quantization"], TEXT),
        },
        "modelfs": {
            "type": "object",
            "additionalProperties": False,
            "required": ["type", "diffIds"],
            "properties": {"type": {"const": "layers"}, "diffIds": {"type": "array", "minItems": 1, "items": DIGEST}},
        },
    },
}
"""What the schemas of the OCI image specification 1.1 and of ModelPack demand, in our own words."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A home with a champion, and the bundle of it as a file and as a folder."""
    folder = tmp_path_factory.mktemp("made")
    places = {"home": folder / "home", "tar": folder / "clf.tar", "folder": folder / "clf"}
    with promotions.home(places["home"]):
        train(1)
        with autotrack.start_run("forest of numbers", tags={"team": "risk"}) as run:
            from sklearn.tree import DecisionTreeClassifier

            run.log_metrics({"loss": float("nan"), "f1": 0.5}, step=0)
            run.log_metrics({"loss": 0.25, "f1": float("inf")}, step=0.5)
            run.log_params({"lr": 0.1, "name": "Ω"})
            model = DecisionTreeClassifier(max_depth=6, random_state=0).fit(promotions.X_train, promotions.y_train)
            run.log_dataset({"X": promotions.X_train, "y": promotions.y_train}, role="train", name="customers")
            run.log_evaluation(promotions.y_test, model.predict(X_test), data=X_test)
            run.log_artifact(b"<h1>report</h1>", "report.html")
            run.log_model(model, "tree", register="clf")
        promoting.promote("clf/1", "production")
        promoting.promote("clf/2", "production", "deeper")
        changing.approve("clf/2")
        assert main(["models", "export", "clf@production", str(places["tar"])]) == 0
        assert main(["models", "export", "clf/2", str(places["folder"])]) == 0
    return places


def bring(place: Path, home: Path, *more: str) -> int:
    with recording(home, "sklearn", user="bea"):
        return main(["models", "import", str(place), *more])


def test_the_layout_is_what_the_specifications_demand(made: dict[str, Path]) -> None:
    root = made["folder"]
    assert json.loads((root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((root / "index.json").read_text())
    Draft202012Validator(INDEX).validate(index)
    (top,) = index["manifests"]
    assert top["annotations"]["org.opencontainers.image.ref.name"] == "v2"

    def blob(descriptor: dict[str, Any]) -> bytes:
        data = (root / "blobs" / "sha256" / descriptor["digest"].removeprefix("sha256:")).read_bytes()
        assert hashlib.sha256(data).hexdigest() == descriptor["digest"].removeprefix("sha256:")
        assert len(data) == descriptor["size"]
        return data

    manifest = json.loads(blob(top))
    Draft202012Validator(MANIFEST).validate(manifest)
    config = json.loads(blob(manifest["config"]))
    Draft202012Validator(CONFIG).validate(config)
    assert config["modelfs"]["diffIds"] == [layer["digest"] for layer in manifest["layers"]]
    assert config["config"]["format"] == "skops" and config["descriptor"]["name"] == "clf"
    named = {layer["annotations"]["org.cncf.model.filepath"]: blob(layer) for layer in manifest["layers"]}
    assert {"model.skops", "README.md", "autotrack/record.json", "autotrack/registry.json"} <= set(named)
    assert b"customers" in named["README.md"]
    assert len(list((root / "blobs" / "sha256").iterdir())) == len({one["digest"] for one in manifest["layers"]}) + 2


def test_the_same_version_is_the_same_bytes_each_time(made: dict[str, Path], tmp_path: Path) -> None:
    with promotions.home(made["home"]):
        assert main(["models", "export", "clf/2", str(tmp_path / "again.tar")]) == 0
    assert (tmp_path / "again.tar").read_bytes() == made["tar"].read_bytes()


def test_skopeo_copies_a_bundle_and_its_copy_is_imported(made: dict[str, Path], tmp_path: Path) -> None:
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        pytest.skip("needs the program skopeo, which copies images between registries")
    for source, target in (
        (f"oci-archive:{made['tar']}:v2", "oci:copy:v2"),
        (f"oci:{made['folder']}:v2", "oci-archive:copy.tar:v2"),
    ):
        subprocess.run([skopeo, "--insecure-policy", "copy", source, target], cwd=tmp_path, check=True, timeout=60)
        place = tmp_path / target.split(":")[1]
        assert bring(place, tmp_path / f"home of {place.name}") == 0


def test_an_export_overwrites_nothing(made: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    with promotions.home(made["home"]):
        assert main(["models", "export", "clf/2", str(made["tar"])]) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["tar", "folder"])
def test_an_import_brings_the_run_and_the_model_with_where_they_came_from(
    made: dict[str, Path], tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with promotions.home(made["home"]):
        was = autotrack.get_run("forest of numbers")
        model = autotrack.load_model("clf/2")
    home = tmp_path / "home"
    assert bring(made[form], home, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["registered"] and told["from"]["run"] == was["id"]
    with recording(home, "sklearn", user="bea"):
        run = autotrack.get_run("forest of numbers")
        for key in ("params", "tags", "status", "started_at", "ended_at", "project", "evaluations", "code"):
            assert run[key] == was[key], key
        assert repr(run["metrics"]) == repr(was["metrics"])
        values = [[one["fingerprint"]["value"] for one in record["datasets"]] for record in (run, was)]
        assert values[0] == values[1]
        assert run["imported"] == {"run": was["id"], "parent": None, "model": "clf"}
        with writing.opened() as store:
            found = reading.model(store, "clf")
            steps, _, values = store.series(run["id"], "loss")
        assert steps.tolist() == [0, 0.5] and np.isnan(values[0])
        (version,) = found["versions"]
        assert version["registered_by"] == "bea" and "imported from a bundle of clf/2" in version["why"]
        assert not found["aliases"] and not version["approvals"], "what was decided elsewhere decides nothing here"
        came = found["log"][0]["record"]["imported"]
        assert came["run"] == was["id"] and came["version"] == 2
        assert (autotrack.load_model("clf/1").predict(X_test) == model.predict(X_test)).all()
        made_ = promoting.promote("clf", "production", "as elsewhere", named=["safe-format", "no-leakage"])
        assert made_.moved


def test_an_import_made_twice_is_made_once(made: dict[str, Path], tmp_path: Path) -> None:
    home = tmp_path / "home"
    for place in (made["tar"], made["tar"], made["folder"]):
        assert bring(place, home) == 0
    with recording(home, "sklearn"):
        assert len(autotrack.runs()) == 1
        assert autotrack.get_run("forest of numbers")["metrics"]["f1"]["count"] == 2
        with writing.opened() as store:
            assert len(reading.model(store, "clf")["log"]) == 1


def test_an_import_may_give_another_name(made: dict[str, Path], tmp_path: Path) -> None:
    assert bring(made["tar"], tmp_path, "--as", "risk") == 0
    assert bring(made["tar"], tmp_path, "--as", "../risk") == 2
    with recording(tmp_path, "sklearn"), writing.opened() as store:
        assert [one["name"] for one in reading.models(store)] == ["risk"]


def test_artifacts_go_along_where_that_is_asked(made: dict[str, Path], tmp_path: Path) -> None:
    with promotions.home(made["home"]):
        assert main(["models", "export", "clf/2", str(tmp_path / "all.tar"), "--artifacts"]) == 0
    for place, there in ((made["tar"], False), (tmp_path / "all.tar", True)):
        home = tmp_path / place.stem
        assert bring(place, home) == 0
        with recording(home, "sklearn"):
            run = autotrack.get_run("forest of numbers")
            assert ("report.html" in [one["name"] for one in run["artifacts"]]) == there
            assert ("artifact" in [one["what"] for one in run["notes"]]) != there


def test_a_bundle_is_no_way_to_say_more_than_its_manifest(made: dict[str, Path], tmp_path: Path) -> None:
    """The importer of runs takes bundles as well, and tells the same run."""
    with recording(tmp_path, "sklearn"):
        assert main(["import", "bundle", str(made["tar"])]) == 0
        assert [run["name"] for run in autotrack.runs()] == ["forest of numbers"]


def test_a_signature_goes_with_the_model(made: dict[str, Path], tmp_path: Path) -> None:
    if not signing.is_available():
        pytest.skip("needs model-signing and what it imports: pip install 'autotrack-ml[signing]'")
    from test_signing import key

    private, public = key(tmp_path)
    source = tmp_path / "source"
    shutil.copytree(made["home"], source)
    with promotions.home(source):
        assert main(["models", "sign", "clf/2", "--key", str(private)]) == 0
        assert main(["models", "export", "clf/2", str(tmp_path / "signed.tar")]) == 0
    with recording(tmp_path / "home", "sklearn", user="bea"):
        for _ in range(2):
            assert main(["models", "import", str(tmp_path / "signed.tar")]) == 0
        assert main(["models", "verify-signature", "clf/1", "--key", str(public)]) == 0
        with writing.opened() as store:
            assert [one["action"] for one in reading.model(store, "clf")["log"]] == ["register", "sign"]


def blobs_of(root: Path) -> dict[str, Path]:
    """The files of a bundle in a folder, by name."""
    index = json.loads((root / "index.json").read_text())
    place = root / "blobs" / "sha256"
    manifest = place / index["manifests"][0]["digest"].removeprefix("sha256:")
    layers = json.loads(manifest.read_text())["layers"]
    found = {
        one["annotations"]["org.cncf.model.filepath"]: place / one["digest"].removeprefix("sha256:") for one in layers
    }
    return {**found, "manifest": manifest}


def rewritten(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest, and let the index name the new one: nothing but what was changed is wrong."""
    index = json.loads((root / "index.json").read_text())
    old = blobs_of(root)["manifest"]
    manifest = json.loads(old.read_text())
    change(manifest)
    data = json.dumps(manifest).encode()
    digest = hashlib.sha256(data).hexdigest()
    old.unlink()
    (old.parent / digest).write_bytes(data)
    index["manifests"][0] |= {"digest": f"sha256:{digest}", "size": len(data)}
    (root / "index.json").write_text(json.dumps(index))


def flip(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def first_layer(**changes: Any) -> Callable[[Path], None]:
    return lambda root: rewritten(root, lambda manifest: manifest["layers"][0].update(changes))


TAMPERINGS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "another byte in the model": (lambda root: flip(blobs_of(root)["model.skops"]), "is another"),
    "another byte in the record": (lambda root: flip(blobs_of(root)["autotrack/record.json"]), "is another"),
    "another byte in the manifest": (lambda root: flip(blobs_of(root)["manifest"]), "is another"),
    "a model that is cut": (lambda root: os.truncate(blobs_of(root)["model.skops"], 100), "has 100 bytes"),
    "a file that is gone": (lambda root: blobs_of(root)["model.skops"].unlink(), "missing"),
    "a size beyond all": (first_layer(size=1 << 60), "bytes and not"),
    "a size below nothing": (first_layer(size=-1), "bytes and not"),
    "a digest that is a path": (first_layer(digest="sha256:../../../etc/passwd"), "without a SHA-256"),
    "another hash": (first_layer(digest="md5:" + "0" * 32), "without a SHA-256"),
    "two files of one name": (
        lambda root: rewritten(
            root,
            lambda manifest: manifest["layers"][1]["annotations"].update({"org.cncf.model.filepath": "model.skops"}),
        ),
        "two files",
    ),
    "the model of another version": (
        lambda root: rewritten(root, lambda manifest: manifest["layers"].pop(0)),
        "not the version",
    ),
    "no record": (
        lambda root: rewritten(root, lambda manifest: manifest.update(layers=manifest["layers"][:1])),
        "has no",
    ),
    "no layout": (lambda root: (root / "oci-layout").unlink(), "oci-layout"),
    "a layout to come": (lambda root: (root / "oci-layout").write_text('{"imageLayoutVersion": "2.0.0"}'), "1.0.0"),
    "an index that is no JSON": (lambda root: (root / "index.json").write_text("{"), "no JSON"),
    "an index of depth": (lambda root: (root / "index.json").write_text("[" * 100_000), "no JSON"),
    "a link": (lambda root: (root / "blobs" / "sha256" / ("0" * 64)).symlink_to("/etc/passwd"), "no place"),
    "something else": (lambda root: (root / "setup.py").write_text("raise SystemExit"), "no place"),
}


@pytest.mark.parametrize("name", list(TAMPERINGS))
def test_a_bundle_that_was_tampered_with_is_refused_before_anything_is_written(
    made: dict[str, Path], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper, said = TAMPERINGS[name]
    root = tmp_path / "bundle"
    shutil.copytree(made["folder"], root)
    tamper(root)
    home = tmp_path / "home"
    assert bring(root, home) == 1
    assert said in capsys.readouterr().err
    assert not list(Blobs(home).digests())
    assert not list((home / "journals").glob("*import*"))


def member(name: str, kind: bytes = tarfile.REGTYPE, **more: Any) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    for key, value in more.items():
        setattr(entry, key, value)
    return entry


@pytest.mark.parametrize(
    "entry",
    [
        member("../../escaped"),
        member("/etc/escaped"),
        member("blobs/sha256/../../../escaped"),
        member("blobs/sha256/" + "0" * 64, tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("blobs/sha256/" + "0" * 64, tarfile.LNKTYPE, linkname="index.json"),
        member("blobs/sha256/" + "0" * 64, tarfile.FIFOTYPE),
        member("index.json"),
    ],
    ids=["up", "absolute", "up within", "link", "hard link", "pipe", "twice"],
)
def test_a_tar_file_with_anything_else_in_it_is_refused(
    made: dict[str, Path], tmp_path: Path, entry: tarfile.TarInfo, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "strange.tar"
    shutil.copy(made["tar"], place)
    with tarfile.open(place, "a") as archive:
        archive.addfile(entry, io.BytesIO())
    assert bring(place, tmp_path / "home") == 1
    assert "no place in a bundle" in capsys.readouterr().err
    assert not (tmp_path / "escaped").exists()


def test_a_compressed_file_a_cut_one_and_none_are_refused(
    made: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import gzip

    (tmp_path / "small.tar").write_bytes(gzip.compress(made["tar"].read_bytes()))
    (tmp_path / "cut.tar").write_bytes(made["tar"].read_bytes()[:20_000])
    for name, code in (("small.tar", 1), ("cut.tar", 1), ("none.tar", 2)):
        assert bring(tmp_path / name, tmp_path / "home") == code, name


def test_a_record_that_lacks_what_a_record_has_is_refused(made: dict[str, Path], tmp_path: Path) -> None:
    """Every digest is right, and what is inside is not a run."""
    root = tmp_path / "bundle"
    shutil.copytree(made["folder"], root)
    data = b'{"version": 1, "run": {"id": "x", "name": 3}}'
    digest = hashlib.sha256(data).hexdigest()
    (root / "blobs" / "sha256" / digest).write_bytes(data)

    def change(manifest: dict[str, Any]) -> None:
        for layer in manifest["layers"]:
            if layer["annotations"]["org.cncf.model.filepath"] == "autotrack/record.json":
                layer |= {"digest": f"sha256:{digest}", "size": len(data)}

    rewritten(root, change)
    assert bring(root, tmp_path / "home") == 1
