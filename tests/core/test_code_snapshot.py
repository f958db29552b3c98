"""A snapshot has what the work tree has, whatever state git is in, and leaves the repository as it was."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from autotrack.provenance.blobs import Blobs
from autotrack.provenance.code.git import Git, GitFailed
from autotrack.provenance.code.restore import restore
from autotrack.provenance.code.sifting import Stopped, secret_by_name
from autotrack.provenance.code.snapshot import Snapshot, take

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

IDENTITY = {f"GIT_{who}_{what}": "somebody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
LONE = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def git(folder: Path, *arguments: str, **more: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], env={**LONE, **more}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def commit(folder: Path, message: str = "one") -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message, **IDENTITY)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository without a user, in which `a.py` is committed and `*.log` ignored."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "a.py").write_text("a = 1\n")
    (folder / ".gitignore").write_text("*.log\n")
    commit(folder)
    return folder


def snapshot(folder: Path, home: Path, seconds: float = 60) -> Snapshot:
    work = home / "capsules" / "work"
    work.mkdir(parents=True)
    try:
        return take(Git(folder, seconds), Blobs(home), work, home)
    finally:
        shutil.rmtree(work)


def unpacked(found: Snapshot, home: Path, into: Path) -> dict[str, bytes]:
    """The files that `git clone` makes of the bundle alone."""
    bundle = Blobs(home).path(found.record["bundle"]["digest"])
    git(into.parent, "clone", "-q", str(bundle), str(into))
    return {
        path.relative_to(into).as_posix(): path.read_bytes()
        for path in into.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(into).parts
    }


def state(folder: Path) -> dict[str, object]:
    """All of the repository but objects and our own refs."""
    kept = {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted((folder / ".git").rglob("*"))
        if path.is_file() and "objects" not in path.parts and "autotrack" not in path.parts
    }
    return kept | {"refs": [line for line in git(folder, "show-ref").splitlines() if "refs/autotrack/" not in line]}


def test_what_is_changed_untracked_or_binary_is_in_and_what_is_ignored_is_out(
    repository: Path, home: Path, tmp_path: Path
) -> None:
    (repository / "b.py").write_text("b = 1\n")
    (repository / "gone.py").write_text("")
    commit(repository)
    (repository / "a.py").write_text("a = 2\n")
    (repository / "gone.py").unlink()
    (repository / "new folder").mkdir()
    (repository / "new folder" / 'odd "näme"\n.bin').write_bytes(bytes(range(256)))
    (repository / "run.sh").write_text("#!/bin/sh\n")
    (repository / "run.sh").chmod(0o755)
    (repository / "link").symlink_to("a.py")
    (repository / "out.log").write_text("ignored")
    (repository / "staged.py").write_text("staged = 1\n")
    git(repository, "add", "staged.py")
    (repository / "staged.py").write_text("staged = 2\n")

    found = snapshot(repository, home)
    files = unpacked(found, home, tmp_path / "clone")
    assert files == {
        ".gitignore": b"*.log\n",
        "a.py": b"a = 2\n",
        "b.py": b"b = 1\n",
        'new folder/odd "näme"\n.bin': bytes(range(256)),
        "run.sh": b"#!/bin/sh\n",
        "link": b"a = 2\n",
        "staged.py": b"staged = 2\n",
    }
    assert (tmp_path / "clone" / "link").is_symlink() and os.access(tmp_path / "clone" / "run.sh", os.X_OK)
    record = found.record
    assert record["dirty"] and record["branch"] == "main" and record["commit"] == git(repository, "rev-parse", "HEAD")
    changes = {one["path"]: one["change"] for one in record["changes"]}
    assert changes["a.py"] == "modified" and changes["gone.py"] == "deleted"
    assert changes["staged.py"] == "added" and changes["run.sh"] == "untracked"


def test_the_repository_is_as_it_was_but_for_one_ref_of_ours(repository: Path, home: Path) -> None:
    for hook in ("pre-commit", "post-checkout", "reference-transaction", "post-index-change"):
        (repository / ".git" / "hooks" / hook).write_text(f"#!/bin/sh\ntouch {repository}/hook-ran\n")
        (repository / ".git" / "hooks" / hook).chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(repository / ".git" / "hooks" / "pre-commit"))
    git(repository, "config", "core.logAllRefUpdates", "always")
    (repository / "a.py").write_text("a = 2\n")
    (repository / "staged.py").write_text("")
    os.utime(repository / ".gitignore")  # the index is stale: `git status` would refresh it
    before = state(repository)
    found = snapshot(repository, home)
    assert state(repository) == before
    assert not (repository / "hook-ran").exists()
    assert git(repository, "for-each-ref", "--format=%(refname)", "refs/autotrack") == found.record["ref"]
    assert "autotrack" not in git(repository, "log", "--format=%an %s") + git(repository, "branch", "--all")
    assert git(repository, "stash", "list") == ""
    git(repository, "config", "--unset", "core.fsmonitor")
    assert git(repository, "diff", "--stat", "HEAD", found.record["ref"], "--", "a.py")


def test_the_same_tree_is_the_same_blob_whatever_the_repository_did_since(repository: Path, home: Path) -> None:
    (repository / "new.py").write_text("new = 1\n" * 50)
    first = snapshot(repository, home).record
    commit(repository, "two")
    git(repository, "gc", "-q")
    shutil.rmtree(home / "capsules")  # no note of the first one helps
    second = snapshot(repository, home).record
    assert first["bundle"] == second["bundle"] and first["snapshot"] == second["snapshot"]
    assert first["commit"] != second["commit"] and first["dirty"] and not second["dirty"]
    (repository / "new.py").write_text("new = 2\n")
    assert snapshot(repository, home).record["bundle"] != first["bundle"]


def test_a_change_in_the_second_of_the_commit_is_not_missed(repository: Path, home: Path, tmp_path: Path) -> None:
    (repository / "a.py").write_text("a = 2\n")  # of the same size, and as far as seconds go of the same time
    # Long ago, so that a copy of the index with a time of its own would be younger than the change.
    whole = (int((repository / ".git" / "index").stat().st_mtime) - 60) * 1_000_000_000
    os.utime(repository / "a.py", ns=(whole, whole))
    git(repository, "add", "a.py")
    (repository / "a.py").write_text("a = 3\n")
    for path in (repository / "a.py", repository / ".git" / "index"):
        os.utime(path, ns=(whole, whole))
    assert git(repository, "diff", "--name-only") == "a.py"
    assert unpacked(snapshot(repository, home), home, tmp_path / "clone")["a.py"] == b"a = 3\n"


def test_a_tree_is_known_by_the_name_that_git_gives_it(repository: Path, home: Path) -> None:
    """Then it is not made again: of the second snapshot nothing is left but the names."""
    for name in ("a", "a.b/x", "a-b", "ab/c/d", "ab.c", "é/ü", "z z/-", "run.sh"):
        path = repository / f"{name}.txt" if name != "a" else repository / "sub" / "a"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (repository / "run.sh.txt").chmod(0o755)
    (repository / "link").symlink_to("a.py")
    git(repository, "add", "a.b")
    first = snapshot(repository, home).record
    assert git(repository, "rev-parse", f"{first['ref']}^{{tree}}") == first["tree"]
    objects = {path: path.stat().st_mtime_ns for path in (repository / ".git").rglob("*")}
    second = snapshot(repository, home).record
    assert second == first
    assert {path: path.stat().st_mtime_ns for path in (repository / ".git").rglob("*")} == objects
    git(repository, "update-ref", "-d", first["ref"])
    assert snapshot(repository, home).record == first
    assert git(repository, "rev-parse", first["ref"]) == first["snapshot"]


def test_a_repository_that_names_by_sha256_is_taken_too(tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "modern"
    folder.mkdir()
    git(folder, "init", "-q", "--object-format=sha256")
    (folder / "a.py").write_text("a = 1\n")
    for _ in range(2):
        found = snapshot(folder, home)
        assert len(found.record["tree"]) == 64 and git(folder, "cat-file", "-t", found.record["snapshot"]) == "commit"
    restored = restore(found.record, Blobs(home), tmp_path / "again")
    assert restored.files == ("a.py",) and (tmp_path / "again" / "a.py").read_text() == "a = 1\n"


def test_the_bundle_needs_neither_the_repository_nor_its_history(repository: Path, home: Path, tmp_path: Path) -> None:
    (repository / "a.py").write_text("secret history\n")
    commit(repository, "two")
    (repository / "a.py").write_text("a = 3\n")
    commit(repository, "three")
    found = snapshot(repository, home)
    shutil.rmtree(repository)
    assert unpacked(found, home, tmp_path / "clone")["a.py"] == b"a = 3\n"
    assert git(tmp_path / "clone", "rev-list", "--all", "--count") == "1"
    assert "secret history" not in git(tmp_path / "clone", "log", "-p")


@pytest.mark.parametrize("where", ["worktree", "subfolder", "unborn", "detached"])
def test_every_kind_of_checkout_gives_the_whole_work_tree(
    where: str, repository: Path, home: Path, tmp_path: Path
) -> None:
    folder, expected = repository, {"a.py", ".gitignore", "sub/new.py"}
    if where == "worktree":
        folder = tmp_path / "other"
        git(repository, "worktree", "add", "-q", "-b", "other", str(folder))
    elif where == "unborn":
        folder = tmp_path / "unborn"
        folder.mkdir()
        git(folder, "init", "-q", "-b", "main")
        expected = {"sub/new.py"}
    elif where == "detached":
        git(folder, "checkout", "-q", "--detach")
    (folder / "sub").mkdir()
    (folder / "sub" / "new.py").write_text("new = 1\n")
    found = snapshot(folder / "sub" if where == "subfolder" else folder, home)
    assert found.files.keys() == expected
    assert found.record["root"] == str(folder)
    assert found.record["branch"] == {"worktree": "other", "detached": None}.get(where, "main")
    assert (found.record["commit"] is None) == (where == "unborn")
    assert git(folder, "rev-parse", found.record["ref"]) == found.record["snapshot"]


def test_what_git_hands_to_its_hooks_is_not_obeyed(
    repository: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert snapshot(repository, home).files.keys() == {"a.py", ".gitignore"}
    assert not (tmp_path / "index").exists()


def test_a_merge_with_conflicts_is_taken_as_the_files_are(repository: Path, home: Path, tmp_path: Path) -> None:
    git(repository, "checkout", "-qb", "side")
    (repository / "a.py").write_text("a = 'side'\n")
    commit(repository, "side")
    git(repository, "checkout", "-q", "main")
    (repository / "a.py").write_text("a = 'main'\n")
    commit(repository, "main")
    with pytest.raises(subprocess.CalledProcessError):
        git(repository, "merge", "side", **IDENTITY)
    before = state(repository)
    found = snapshot(repository, home)
    assert state(repository) == before
    assert b"<<<<<<<" in unpacked(found, home, tmp_path / "clone")["a.py"]
    assert found.record["changes"] == [{"path": "a.py", "change": "unmerged"}]


def test_secrets_and_huge_files_are_left_out_and_listed(repository: Path, home: Path, tmp_path: Path) -> None:
    token = "hf_" + "Abcdefghij" * 4
    files = {
        ".env": b"X=planted-in-env",
        "deep/.env.production": b"X=planted-in-env",
        "keys/server.pem": b"planted-in-pem",
        "id_rsa": b"planted-in-key",
        ".netrc": b"planted-in-netrc",
        "notes.txt": b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAA\n",
        "config.yaml": f"hub: {token}\n".encode(),
        "big.bin": b"\0" * 10_000_001,
    }
    for name, content in files.items():
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_bytes(content)
    (repository / ".env.example").write_text("X=\n")
    git(repository, "add", "-f", "config.yaml", ".env")  # tracked ones are secrets all the same
    found = snapshot(repository, home)
    why = {one["path"]: one["why"] for one in found.record["left_out"]}
    assert why.keys() == files.keys()
    assert "private key" in why["notes.txt"] and "token" in why["config.yaml"] and "larger" in why["big.bin"]
    assert unpacked(found, home, tmp_path / "clone").keys() == {"a.py", ".gitignore", ".env.example"}
    listed = subprocess.run(
        ["git", "-C", repository, "cat-file", "--batch", "--batch-all-objects"], capture_output=True, check=True
    ).stdout
    assert listed.count(b"planted-in-") == 1  # `git add .env` above, by the user
    assert b"planted-in-pem" not in listed


def test_a_folder_of_data_is_cut_before_it_is_read(
    repository: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autotrack.provenance.code import sifting

    monkeypatch.setattr(sifting, "MOST_IN_ALL", 10_000)
    monkeypatch.setattr(sifting, "MOST_LISTED", 3)
    for number in range(20):
        (repository / f"image{number:02}.bin").write_bytes(bytes([number]) * (1_000 + number))
    found = snapshot(repository, home)
    assert "a.py" in found.files and "image00.bin" in found.files and "image19.bin" not in found.files
    assert sum((repository / path).stat().st_size for path in found.files) <= 10_000
    *named, rest = found.record["left_out"]
    assert len(named) == 3 and "together" in named[0]["why"] and rest["why"].endswith(" more")


def test_names_of_secrets() -> None:
    for name in (".env", "x/.env.local", "prod.env", "a.pem", "id_ed25519", ".aws/credentials", "service-account.json"):
        assert secret_by_name(name), name
    for name in ("env.py", "id_rsa.pub", "tokens.txt", "tokenizer.json", "secrets.py", "keys.py", ".env.example"):
        assert not secret_by_name(name), name


def test_submodules_and_lfs_pointers_are_noted(repository: Path, home: Path, tmp_path: Path) -> None:
    other = tmp_path / "library"
    other.mkdir()
    git(other, "init", "-q")
    (other / "lib.py").write_text("lib = 1\n")
    commit(other)
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "vendor/lib")
    git(repository, "config", "-f", ".gitmodules", "submodule.vendor/lib.url", "https://me:planted@host/lib.git")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 12345\n"
    (repository / ".gitattributes").write_text("*.big filter=lfs diff=lfs merge=lfs -text\n")
    (repository / "weights.big").write_text(pointer)
    commit(repository, "two")
    git(repository, "config", "filter.lfs.clean", "false")  # git-lfs is not there: its filter fails
    git(repository, "config", "filter.lfs.required", "true")
    os.utime(repository / "weights.big", (1, 1))  # so that git looks at its content
    (repository / "vendor" / "lib" / "lib.py").write_text("lib = 2\n")

    record = snapshot(repository, home).record
    (module,) = record["submodules"]
    assert module["path"] == "vendor/lib" and module["commit"] == git(other, "rev-parse", "HEAD")
    assert module["dirty"] and module["url"] == "https://***@host/lib.git"
    assert record["lfs"] == [{"path": "weights.big", "oid": "sha256:" + "ab" * 32, "bytes": 12345}]


def test_a_repository_inside_that_git_does_not_know_is_listed(repository: Path, home: Path) -> None:
    (repository / "nested").mkdir()
    git(repository / "nested", "init", "-q")
    (repository / "nested" / "x.py").write_text("x = 1\n")
    commit(repository / "nested")
    record = snapshot(repository, home).record
    assert record["left_out"] == [{"path": "nested/", "bytes": 0, "why": "a git repository of its own"}]


def test_logins_in_the_remote_are_masked(repository: Path, home: Path) -> None:
    git(repository, "remote", "add", "origin", "https://me:planted@host/project.git")
    assert snapshot(repository, home).record["remote"] == "https://***@host/project.git"


def test_what_git_refuses_is_said_in_its_words(tmp_path: Path, home: Path) -> None:
    bare = tmp_path / "bare.git"
    bare.mkdir()
    git(bare, "init", "-q", "--bare")
    with pytest.raises(GitFailed, match="work tree"):
        snapshot(bare, home)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_somebody_else_is_refused(repository: Path, home: Path) -> None:
    os.chown(repository, 12345, 12345)
    os.chown(repository / ".git", 12345, 12345)
    with pytest.raises(GitFailed, match="dubious ownership"):
        snapshot(repository, home)


def test_past_its_time_it_gives_up(repository: Path, home: Path) -> None:
    with pytest.raises(Stopped):
        snapshot(repository, home, seconds=0)


def test_a_repository_that_cannot_be_written_gives_a_bundle_without_a_ref(
    repository: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "new.py").write_text("new = 1\n")
    real = os.access
    # For root a folder without the right to write is writable: only a read-only mount says no.
    monkeypatch.setattr(os, "access", lambda path, mode: "objects" not in str(path) and real(path, mode))
    objects = sorted((repository / ".git" / "objects").rglob("*"))
    found = snapshot(repository, home)
    assert sorted((repository / ".git" / "objects").rglob("*")) == objects
    assert found.record["ref"] is None
    assert unpacked(found, home, tmp_path / "clone")["new.py"] == b"new = 1\n"


def test_line_ends_encodings_and_filters_of_git_do_not_change_what_is_kept(
    repository: Path, home: Path, tmp_path: Path
) -> None:
    (repository / ".gitattributes").write_text(
        "*.csv text eol=crlf\n*.cs ident\n*.ini working-tree-encoding=UTF-16LE\n"
    )
    (repository / "table.csv").write_bytes(b"a,b\r\n1,2\r\n")
    (repository / "id.cs").write_bytes(b"// $Id$\n")
    (repository / "wide.ini").write_bytes("[a]\n".encode("utf-16-le"))
    (repository / "plain.txt").write_bytes(b"one\n")
    commit(repository)
    (repository / "id.cs").unlink()
    git(repository, "checkout", "id.cs")
    expected = {name: (repository / name).read_bytes() for name in ("table.csv", "id.cs", "wide.ini", "plain.txt")}
    assert b"$Id: " in expected["id.cs"]

    found = snapshot(repository, home)
    restore(found.record, Blobs(home), tmp_path / "again")
    assert {name: (tmp_path / "again" / name).read_bytes() for name in expected} == expected
    assert not found.record["dirty"] and found.record["changes"] == []


@pytest.mark.parametrize("told", ["--assume-unchanged", "--skip-worktree"])
def test_a_change_that_git_was_told_not_to_look_at_is_in(
    told: str, repository: Path, home: Path, tmp_path: Path
) -> None:
    (repository / "b.py").write_text("b = 1\n")
    commit(repository)
    git(repository, "update-index", told, "a.py", "b.py")
    (repository / "a.py").write_text("a = 'local'\n")
    assert git(repository, "status", "--porcelain") == ""
    before = state(repository)

    found = snapshot(repository, home)
    assert state(repository) == before
    restore(found.record, Blobs(home), tmp_path / "again")
    assert (tmp_path / "again" / "a.py").read_text() == "a = 'local'\n"
    assert found.record["dirty"] and found.record["changes"] == [{"path": "a.py", "change": "modified"}]


def test_what_git_encrypts_is_a_secret(repository: Path, home: Path, tmp_path: Path) -> None:
    (repository / ".gitattributes").write_text("vault/** filter=git-crypt diff=git-crypt\n")
    git(repository, "config", "filter.git-crypt.clean", "tr a-z n-za-m")
    (repository / "vault").mkdir()
    for name in ("committed", "changed"):
        (repository / "vault" / name).write_text("the plain words\n")
    commit(repository)
    (repository / "vault" / "changed").write_text("other plain words\n")
    (repository / "vault" / "untracked").write_text("new plain words\n")

    found = snapshot(repository, home)
    left = {one["path"]: one["why"] for one in found.record["left_out"]}
    assert set(left) == {"vault/committed", "vault/changed", "vault/untracked"}
    assert all(why == "a secret, encrypted by the filter git-crypt" for why in left.values())
    restore(found.record, Blobs(home), tmp_path / "again")
    assert not (tmp_path / "again" / "vault").exists()
    objects = [
        line.split() for line in git(repository, "cat-file", "--batch-all-objects", "--batch-check").splitlines()
    ]
    blobs = [git(repository, "cat-file", "blob", name) for name, kind, _ in objects if kind == "blob"]
    assert blobs and not any("plain words" in text for text in blobs)
