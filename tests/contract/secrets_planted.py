"""A project full of secrets, a run of it, and the search for them, byte by byte and in what is compressed."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

ENV_FILE = "sk-env-4f1d9c77ab2e"
KEY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDplanted"
TOKEN = "ghp-argv-9b8e71c02d"
URL = "hunter2-url-77aa"
PARAM = "hunter2-correct-horse"
SECRETS = (ENV_FILE, KEY, TOKEN, URL, PARAM)

PROGRAM = """
import sys
sys.path.append(sys.argv[1])
import autotrack
from recorded import PROJECT, small
secret = "hunter2-" + "correct-horse"
url = "hunter2-" + "url-77aa"
autotrack.enable(project=PROJECT)
with autotrack.start_run("secrets") as run:
    small(run)
    run.log_params({"api_key": secret, "database": f"postgresql://user:{url}@host/db", "plain": "kept"})
    run.log_params({"header": f"Authorization: Bearer {secret}", "nested": {"password": secret}})
    run.set_tags({"origin": f"https://me:{url}@host/path", "auth_token": secret})
    run.note("data", f"cannot be read from postgresql://user:{url}@host/db")
    print(f"password={secret}", file=sys.stderr)
    run.log_params({"service": f"https://me:{url}@host/path?token={url}"})
print(run.id)
"""


def record(folder: Path) -> tuple[Path, str]:
    """The home, in `folder`, and the id of a run of a project with secrets in its files and on its command line."""
    project, home = folder / "project", folder / "home"
    project.mkdir()
    (project / "README.md").write_text("a project\n")
    for words in (("init", "-q"), ("add", "README.md"), ("commit", "-q", "-m", "first")):
        name = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *name, *words], cwd=project, check=True, capture_output=True)
    (project / "train.py").write_text(PROGRAM)
    (project / ".env").write_text(f"SERVICE_API_KEY={ENV_FILE}\n")
    (project / "server.key").write_text(f"-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTOTRACK_")}
    done = subprocess.run(
        [sys.executable, "train.py", str(Path(__file__).parent), f"--token={TOKEN}", "--password", PARAM],
        cwd=project, env={**kept, "AUTOTRACK_HOME": str(home), "AUTOTRACK_FORWARDER": "off", "AUTOTRACK_STRICT": "1"},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return home, done.stdout.split()[-1]


def held_below(folder: Path) -> list[tuple[str, str]]:
    """Each file below the folder that holds one of the secrets, with it."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            for content in _contents(path.read_bytes()):
                found += [(str(path.relative_to(folder)), secret) for secret in found_in(content)]
    return found


def found_in(content: bytes) -> list[str]:
    """The secrets that stand in `content`."""
    return [secret for secret in SECRETS if secret.encode() in content]


def _contents(data: bytes, depth: int = 0) -> Iterator[bytes]:
    """The bytes themselves, and what they are when they are unpacked."""
    yield data
    if depth > 2:
        return
    if data[:2] == b"\x1f\x8b":
        try:
            yield from _contents(gzip.decompress(data), depth + 1)
        except (OSError, EOFError, zlib.error):
            return
    elif data[:2] == b"PK" and zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from _contents(archive.read(name), depth + 1)
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                if (opened := tar.extractfile(member)) is not None:
                    yield from _contents(opened.read(), depth + 1)
