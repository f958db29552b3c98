"""Files: in S3, under names that follow from their content, so that sending one again changes nothing.

The bucket is `AUTOTRACK_SAGEMAKER_BUCKET`, a name or `s3://bucket/prefix`; else the default one of SageMaker's own SDK,
`sagemaker-<region>-<account>`, which is created where it is missing, as that SDK does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from autotrack.backend import BackendContext, BackendUnavailable
from autotrack.errors import UsageError
from autotrack_sagemaker.runs import KnownRun, Runs
from autotrack_sagemaker.service import Forbidden, Refused, Service

VARIABLE: Final = "AUTOTRACK_SAGEMAKER_BUCKET"
WHOLE: Final = 1 << 30
"""Bytes up to which a file is one request; S3 takes at most 5 GiB in one."""

_UNSAFE: Final = re.compile(r"[^\w.\-]+", re.ASCII)


class Files:
    """Uploads files of runs."""

    def __init__(self, service: Service, context: BackendContext, runs: Runs) -> None:
        self._service = service
        self._context = context
        self._runs = runs
        self._ready: str | None = None
        named = os.environ.get(VARIABLE, "").strip()
        parts = urlsplit(named)
        if parts.scheme not in ("", "s3"):
            raise UsageError(f"{VARIABLE}={named!r} is neither the name of a bucket nor s3://bucket/prefix")
        bucket, _, prefix = (parts.netloc + parts.path).partition("/")
        self._named = bucket
        self._prefix = "/".join(filter(None, (prefix.strip("/"), "autotrack")))

    def keep(self, known: KnownRun, digest: str, name: str, missing: Callable[[], None]) -> str | None:
        """Upload a blob and give its `s3://` address, which ends in `name`; `missing` is called where it is gone."""
        blob = self._context.blob(digest)
        if not blob.is_file():
            missing()
            return None
        bucket = self._bucket()
        key = f"{self._prefix}/{known.component}/{digest[:32]}/{_safe(name)}"
        owner = {} if self._named else {"ExpectedBucketOwner": self._runs.account()}
        if self._size(bucket, key, owner) != blob.stat().st_size:
            self._upload(bucket, key, blob, owner)
        return f"s3://{bucket}/{key}"

    def _size(self, bucket: str, key: str, owner: dict[str, str]) -> int | None:
        try:
            held = self._service.call("head_object", client="s3", Bucket=bucket, Key=key, **owner)
        except Refused as refusal:
            if not refusal.is_missing:
                raise
            return None
        except Forbidden:  # what S3 answers for what is missing to those who may not list the bucket
            return None
        return int(held["ContentLength"])

    def _upload(self, bucket: str, key: str, blob: Path, owner: dict[str, str]) -> None:
        if blob.stat().st_size <= WHOLE:
            with blob.open("rb") as file:
                self._service.call("put_object", client="s3", Bucket=bucket, Key=key, Body=file, **owner)
            return
        transfer = import_module("boto3.s3.transfer").TransferConfig(use_threads=False)
        try:
            self._service.call(
                "upload_file", client="s3", Filename=str(blob), Bucket=bucket, Key=key, ExtraArgs=owner, Config=transfer
            )
        except import_module("boto3.exceptions").S3UploadFailedError as problem:
            raise BackendUnavailable(str(problem)[:500]) from problem

    def _bucket(self) -> str:
        if self._ready is None:
            name = self._named or f"sagemaker-{self._service.region}-{self._runs.account()}"
            try:
                self._service.call("head_bucket", client="s3", Bucket=name)
            except Refused as refusal:
                if not refusal.is_missing:
                    raise
                if self._named:
                    raise BackendUnavailable(f"there is no bucket {name!r}: create it, or set {VARIABLE}") from None
                self._create(name)
            except Forbidden:  # who may not list a bucket may still write to it
                pass
            self._ready = name
        return self._ready

    def _create(self, name: str) -> None:
        # us-east-1 is the one region that must not be named here.
        region = self._service.region
        place: dict[str, Any] = {} if region == "us-east-1" else {"LocationConstraint": region}
        configuration = {"CreateBucketConfiguration": place} if place else {}
        try:
            self._service.call("create_bucket", client="s3", Bucket=name, **configuration)
        except Refused as refusal:
            if refusal.code != "BucketAlreadyOwnedByYou":
                raise BackendUnavailable(f"{refusal}; set {VARIABLE} to a bucket of yours") from None


def _safe(name: str) -> str:
    safe = _UNSAFE.sub("_", name.replace("\\", "/").rpartition("/")[2]).strip(".")
    return safe[-120:] or "file"
