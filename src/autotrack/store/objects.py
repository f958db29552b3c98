"""An object store by URL: where a team's blobs lie, each under the SHA-256 of its bytes, as `<prefix>/ab/<sha256>`.

Digests and the blobs of a home enter; objects, and files that were fetched and checked, leave. It speaks through
obstore (the extra `team`), which is imported when the first blob is sent or fetched: in the forwarder and in readers,
never where something trains. Credentials are the product's own variables. Nothing here waits longer than `SECONDS` for
an answer, and at most a few parts of a file are in memory.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from autotrack.errors import BackendUnavailable, UsageError
from autotrack.provenance.blobs import Blobs
from autotrack.provenance.parts import PartDamaged

SECONDS: Final = 90.0
"""For one request: as many bytes as the parts below have, at the slowest."""
CONNECT_SECONDS: Final = 10.0
PAUSE: Final = 2.0
"""Seconds that a store that could not be reached is not asked again: a reader goes through many journals."""
PART: Final = 5 << 20
"""Bytes of a part that is sent."""
RANGE: Final = 16 << 20
"""Bytes of a file that are asked for at once."""
MOST_PARTS: Final = 9_000
"""S3 takes 10,000 parts of a file."""
AT_ONCE: Final = 3

VARIABLES: Final = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE), AWS_REGION and, for a server of your own, "
    "AWS_ENDPOINT_URL",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN",
    "file": "that the folder can be written",
}
_ASKED_A_CLOUD = ("latest/api/token", "latest/meta-data", "computeMetadata", "metadata/identity")
"""Where a machine of a cloud is asked for credentials: what is done where none are set."""
_NO_CREDENTIALS = (*_ASKED_A_CLOUD, "MissingAccount", "MissingCredential", "OpenCredentials", "DecodeCredentials")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_silent: dict[str, tuple[float, str]] = {}
"""Until when a store that could not be reached is not asked again, and what it is then told of it."""


class ObjectStore:
    """Blobs behind a URL. Safe for any number of threads and processes at once."""

    def __init__(self, url: str) -> None:
        """Raises `UsageError` for a URL that cannot be used; nothing is asked of the store yet."""
        parts = urlsplit(url)
        self.scheme = {"s3a": "s3", "gcs": "gs", "azure": "az", "abfs": "az"}.get(parts.scheme, parts.scheme)
        if self.scheme not in VARIABLES or not (parts.path if self.scheme == "file" else parts.netloc):
            raise UsageError(
                "AUTOTRACK_BLOBS_URL takes s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or "
                "file:///folder"
            )
        if parts.query or parts.username or parts.fragment:
            raise UsageError(
                f"AUTOTRACK_BLOBS_URL holds more than a place; credentials go into {VARIABLES[self.scheme]}"
            )
        self.shown = f"{self.scheme}://{parts.netloc}{parts.path}".rstrip("/")
        self._folder = Path(unquote(parts.path)) if self.scheme == "file" else None
        self._bucket = parts.netloc
        self._store: Any = None

    def size(self, digest: str) -> int | None:
        """How many bytes the object has; None where it is not there. Raises `BackendUnavailable`."""
        with self._answering() as store:
            try:
                return int(store.head(_key(digest))["size"])
            except FileNotFoundError:
                return None

    def put(self, digest: str, blobs: Blobs) -> bool:
        """Send the blob unless it is there already; whether it was sent. What is there is whole, or is not there.

        Raises `BackendUnavailable`; `FileNotFoundError` or `PartDamaged` where the home no longer has its bytes.
        """
        length = blobs.size(digest)
        with self._answering() as store:
            from obstore.exceptions import PermissionDeniedError

            try:
                if int(store.head(_key(digest))["size"]) == length:
                    return False
            except (FileNotFoundError, PermissionDeniedError):
                pass  # S3 says 403 of what is not there where the bucket may not be listed
            content = _content(blobs, digest)
            if length <= PART:
                store.put(_key(digest), b"".join(content), use_multipart=False)
            else:
                part = max(PART, -(-length // MOST_PARTS))
                store.put(_key(digest), content, chunk_size=part, max_concurrency=AT_ONCE)
        return True

    def fetch(self, digest: str, size: int, target: Path) -> None:
        """Write the object of so many bytes to a new file `target`, which is there only if they have this digest.

        Raises `FileNotFoundError` where there is no such object, `BackendUnavailable`, `PartDamaged` for other bytes.
        """
        found, draft = hashlib.sha256(), target.with_name(f".{os.getpid()}-{secrets.token_hex(8)}")
        try:
            with open(draft, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                for block in self._blocks(digest, size):
                    found.update(block)
                    file.write(block)
            if found.hexdigest() != digest:
                raise PartDamaged(f"{self.shown}/{_key(digest)} does not have the bytes that were kept")
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)

    def digests(self) -> Iterator[tuple[str, int]]:
        """The digest and the size of every blob there. Raises `BackendUnavailable`."""
        with self._answering() as store:
            for some in store.list():
                for one in some:
                    name = str(one["path"]).rpartition("/")[2]
                    if _DIGEST.fullmatch(name):
                        yield name, int(one["size"])

    def _blocks(self, digest: str, size: int) -> Iterator[bytes]:
        starts = list(range(0, size, RANGE))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for at in range(0, len(starts), AT_ONCE):  # no more of a file than that is in memory
                yield from pool.map(lambda start: self._range(digest, start, size), starts[at : at + AT_ONCE])

    def _range(self, digest: str, start: int, size: int) -> bytes:
        with self._answering() as store:
            return bytes(store.get_range(_key(digest), start=start, length=min(RANGE, size - start)))

    @contextmanager
    def _answering(self) -> Iterator[Any]:
        """The opened store; what it says when it fails is told in our words."""
        until, said = _silent.get(self.shown, (0.0, ""))
        if time.monotonic() < until:
            raise BackendUnavailable(said)
        try:
            if self._store is None:
                self._store = self._opened()
            yield self._store
        except (BackendUnavailable, UsageError, PartDamaged):
            raise
        except FileNotFoundError as problem:
            if "NoSuchBucket" in str(problem) or "ContainerNotFound" in str(problem):
                raise BackendUnavailable(f"{self._bucket}, of {self.shown}, is not there: {self._way_out()}") from None
            raise
        except Exception as problem:  # whatever the client raises
            if type(problem).__module__.startswith("botocore"):
                raise BackendUnavailable(
                    f"no credentials for {self.shown} were found ({problem}): set {VARIABLES[self.scheme]}"
                ) from None
            if not type(problem).__module__.startswith("obstore"):
                raise
            raise self._told(problem) from None  # its own text holds whole requests

    def _told(self, problem: Exception) -> BackendUnavailable:
        name, text = type(problem).__name__, str(problem)
        code = re.search(r"<Code>(\w+)</Code>", text)
        status = re.search(r"status code: (\d+ [A-Za-z ]+)", text)
        said = code[1] if code else status[1] if status else name
        if any(word in text for word in _NO_CREDENTIALS):
            return BackendUnavailable(f"no credentials for {self.shown} were found: set {VARIABLES[self.scheme]}")
        said = "the key is none" if "Invalid Access Key" in text else said
        if name in ("PermissionDeniedError", "UnauthenticatedError") or re.search(
            r"status code: 40[13]|Invalid Access Key", text
        ):
            return BackendUnavailable(
                f"{self.shown} refuses these credentials ({said}): check {VARIABLES[self.scheme]}, and that they may "
                "list, read and write there"
            )
        if "NoSuchBucket" in text:
            return BackendUnavailable(f"{self._bucket}, of {self.shown}, is not there: {self._way_out()}")
        why = "it gave no answer" if "error sending request" in text or "imed" in text else said
        told = f"{self.shown} cannot be reached now: {why}"
        _silent[self.shown] = time.monotonic() + PAUSE, told
        return BackendUnavailable(told)

    def _way_out(self) -> str:
        return "make it, or correct AUTOTRACK_BLOBS_URL"

    def _opened(self) -> Any:
        try:
            from obstore.store import LocalStore, from_url
        except ImportError:
            raise UsageError(
                "AUTOTRACK_BLOBS_URL needs obstore, which is not installed: pip install 'autotrack-ml[team]'"
            ) from None
        if self._folder is not None:
            if not self._folder.is_dir():  # never made: it might be a share that is not mounted
                raise BackendUnavailable(f"{self._folder} is not there: mount it, or make it for AUTOTRACK_BLOBS_URL")
            return LocalStore(self._folder)
        options: Any = {
            "client_options": {
                "timeout": timedelta(seconds=SECONDS),
                "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                "allow_http": any(
                    os.environ.get(name, "").startswith("http://")
                    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AZURE_STORAGE_ENDPOINT")
                ),
            },
            "retry_config": {
                "max_retries": 3,
                "retry_timeout": timedelta(seconds=SECONDS),
            },  # the rest is the forwarder's
        }
        if self.scheme == "s3":
            options |= _of_profile(os.environ)
        elif self.scheme == "az":
            options |= _of_azure(os.environ)
        return from_url(self.shown, **options)


def _key(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is not a SHA-256 in lower-case hexadecimal")
    return f"{digest[:2]}/{digest}"


def _content(blobs: Blobs, digest: str) -> Iterator[bytes]:
    """The blob's bytes; at their end, `PartDamaged` where they are others, and then no object is made of them."""
    found = hashlib.sha256()
    with blobs.open(digest) as opened:
        while block := opened.read(1 << 20):
            found.update(block)
            yield block
    if found.hexdigest() != digest:
        raise PartDamaged(f"the blob {digest} no longer has the bytes that were kept")


def _of_profile(environ: Mapping[str, str]) -> dict[str, Any]:
    """Credentials of the files that AWS's own tools keep, which obstore reads through boto3 alone."""
    given = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
             "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_SKIP_SIGNATURE")  # fmt: skip
    file = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()
    if any(environ.get(name) for name in given) or not (environ.get("AWS_PROFILE") or file.is_file()):
        return {}
    try:
        from boto3 import Session
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        raise UsageError(
            "the credentials of AWS_PROFILE need boto3, which is not installed: pip install boto3, or set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from None
    session = Session()
    region = {"config": {"region": session.region_name}} if session.region_name else {}
    return {"credential_provider": Boto3CredentialProvider(session), **region}


def _of_azure(environ: Mapping[str, str]) -> dict[str, Any]:
    """The names that Azure's own command line uses, beside those that obstore reads."""
    names = {"AZURE_STORAGE_ACCOUNT": "account_name", "AZURE_STORAGE_KEY": "account_key"}
    found = {key: environ[name] for name, key in names.items() if environ.get(name)}
    return {"config": found} if found else {}


__all__ = ["ObjectStore"]
