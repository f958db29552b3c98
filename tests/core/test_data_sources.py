"""Where data came from: told from paths, pointers and addresses, never verified, never with a secret."""

from pathlib import Path

import numpy as np
import pytest

from autotrack.provenance.fingerprint.sources import of_statement, source_of

MD5 = "a304afb96060aad90176268345e10355"


def test_a_file_is_told_by_path_size_and_time_and_marked_as_claimed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    found = source_of(tmp_path / "a.csv")
    assert found["kind"] == "file"
    assert found["path"] == str(tmp_path / "a.csv")
    assert found["bytes"] == 4
    assert found["mtime"].endswith("Z")
    assert found["claimed"] is True


def test_a_text_that_is_no_path_has_no_source(tmp_path: Path) -> None:
    assert source_of("just some words") is None
    assert source_of(str(tmp_path / "missing.csv")) is None
    assert source_of(object()) is None


def test_a_pointer_of_dvc_beside_the_file_or_around_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    (tmp_path / "a.csv.dvc").write_text(f"outs:\n- md5: {MD5}\n  size: 1\n  hash: md5\n  path: a.csv\n")
    assert source_of(tmp_path / "a.csv")["dvc"]["md5"] == MD5
    (tmp_path / "images" / "cats").mkdir(parents=True)
    (tmp_path / "images" / "cats" / "1.png").write_text("x")
    (tmp_path / "images.dvc").write_text(f"outs:\n- md5: {MD5}.dir\n  path: images\n")
    assert source_of(tmp_path / "images" / "cats" / "1.png")["dvc"]["md5"] == f"{MD5}.dir"
    (tmp_path / "other.csv").write_text("x")
    assert "dvc" not in source_of(tmp_path / "other.csv")


def test_an_output_in_dvc_lock_is_told(tmp_path: Path) -> None:
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared" / "x.npy").write_bytes(b"x")
    (tmp_path / "dvc.lock").write_text(
        "schema: '2.0'\nstages:\n  prepare:\n    cmd: python prepare.py\n    deps:\n    - path: raw.csv\n      md5: 0\n"
        f"    outs:\n    - path: prepared\n      hash: md5\n      md5: {MD5}.dir\n      size: 3\n"
    )
    assert source_of(tmp_path / "prepared" / "x.npy")["dvc"]["md5"] == f"{MD5}.dir"


def test_the_version_of_a_delta_table_is_told(tmp_path: Path) -> None:
    (tmp_path / "_delta_log").mkdir()
    for version in (0, 9, 10):
        (tmp_path / "_delta_log" / f"{version:020}.json").write_text("{}")
    assert source_of(tmp_path) == {"kind": "delta", "path": str(tmp_path), "version": 10, "claimed": True}


def test_a_file_in_the_cache_of_the_hub_is_told_by_its_commit(tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    folder = tmp_path / "hub" / "datasets--acme--cats" / "snapshots" / commit
    folder.mkdir(parents=True)
    (folder / "train.parquet").write_bytes(b"x")
    found = source_of(folder / "train.parquet")
    assert (found["kind"], found["repo"], found["commit"]) == ("huggingface", "acme/cats", commit)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("lakefs://repo/main/a/b.parquet", {"kind": "lakefs", "repo": "repo", "ref": "main", "path": "a/b.parquet"}),
        ("s3://bucket/key.csv", {"kind": "uri", "uri": "s3://bucket/key.csv"}),
        (
            "hf://datasets/acme/cats@" + "a" * 40 + "/x.csv",
            {"kind": "huggingface", "repo": "acme/cats", "commit": "a" * 40},
        ),
    ],
)
def test_addresses_are_told_by_their_form(uri: str, expected: dict) -> None:
    assert source_of(uri).items() >= expected.items()


def test_no_secret_of_an_address_or_a_query_is_told() -> None:
    told = str(source_of("https://me:pa55word@host/a.csv?X-Amz-Signature=abcdef1234"))
    told += str(of_statement("select * from t where password = 'pa55word'", "postgresql://me:pa55word@host/db"))
    assert "pa55word" not in told
    assert "abcdef1234" not in told
    assert "select * from t" in told


def test_a_memory_map_is_told_by_its_file(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(5))
    assert source_of(np.load(tmp_path / "x.npy", mmap_mode="r"))["path"] == str(tmp_path / "x.npy")
    assert source_of(np.arange(5)) is None


def test_a_dataset_of_the_hub_is_told_by_its_commit_and_one_in_memory_by_nothing() -> None:
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_dict({"a": [1, 2]})
    assert source_of(made) is None
    made.info.download_checksums = {f"hf://datasets/acme/cats@{'b' * 40}/data/train.parquet": {"num_bytes": 1}}
    made.info.dataset_name, made.info.config_name = "cats", "default"
    found = source_of(made)
    assert (found["repo"], found["commit"], found["config"]) == ("acme/cats", "b" * 40, "default")
