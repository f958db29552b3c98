"""SageMaker's managed MLflow: MLflow's API, with an ARN for an address and AWS Signature 4 on each request.

Hosts and headers are those of sagemaker-mlflow 0.5 (`mlflow_sagemaker_helpers`, `auth_provider`, `auth` and
`mlflow_sagemaker_request_header_provider`); signatures and the places where credentials are looked for are botocore's,
which is imported when the backend is opened. Files go to the bucket of the tracking server with the same credentials,
as MLflow's own client has it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.auth import AuthBase

from autotrack.errors import BackendUnavailable, UsageError
from autotrack.remote import Address
from autotrack_mlflow.address import TRACKING_URI, certificate_from, verify_from
from autotrack_mlflow.backend import MlflowBackend
from autotrack_mlflow.client import Client
from autotrack_mlflow.places import Owner, Place, Places

ENDPOINT: Final = "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT"
ROLE: Final = "SAGEMAKER_MLFLOW_ASSUME_ROLE_ARN"
CREDENTIALS: Final = "the AWS credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE)"

_CONNECT_SECONDS, _READ_SECONDS = 5, 30
_CHUNK: Final = 1 << 20
_SIGNED: Final = ("content-type", "x-mlflow-sm-tracking-server-arn", "x-sm-mlflow-app-arn")
"""Headers that are signed beside the host and those of the signature: what proxies may change is not."""


@dataclass(frozen=True)
class Arn:
    """What an ARN says of a tracking server or an app."""

    text: str
    region: str
    kind: str
    host: str
    service: str
    """The name that its requests are signed for."""
    header: str


def arn_from(text: str) -> Arn:
    """The parts of `arn:aws:sagemaker:<region>:<account>:mlflow-tracking-server/<name>`, or `…:mlflow-app/<id>`.

    Raises `UsageError` for anything else.
    """
    parts = text.split(":", 5)
    kind, _, name = parts[5].partition("/") if len(parts) == 6 else ("", "", "")
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != "sagemaker" or not parts[3] or not name:
        raise UsageError(
            f"{TRACKING_URI}={text!r} is not the ARN of a managed MLflow, such as "
            "arn:aws:sagemaker:eu-west-1:111122223333:mlflow-tracking-server/name"
        )
    region = parts[3]
    if parts[1] not in ("aws", "aws-us-gov"):
        raise UsageError(f"{TRACKING_URI}={text!r} is in the partition {parts[1]!r}, which has no managed MLflow")
    if kind == "mlflow-tracking-server":
        host = f"https://{region}.experiments.sagemaker.aws"
        return Arn(text, region, kind, host, "sagemaker-mlflow", "x-mlflow-sm-tracking-server-arn")
    if kind == "mlflow-app":
        return Arn(text, region, kind, f"https://mlflow.sagemaker.{region}.app.aws", "sagemaker", "x-sm-mlflow-app-arn")
    raise UsageError(f"{TRACKING_URI}={text!r} is a {kind}, and neither a mlflow-tracking-server nor a mlflow-app")


class SignatureV4(AuthBase):
    """Signs requests with the credentials that AWS's standard variables, files and machines give."""

    def __init__(self, session: Any, region: str, service: str, role: str | None = None) -> None:
        self._session = session
        self._region = region
        self._service = service
        self._role = role
        self._assumed: Any = None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request. Raises `BackendUnavailable` where there are no credentials."""
        # In a query a server takes `+` for a space, and the signature for a plus: `%20` is a space to both.
        parts = urlsplit(request.url or "")
        request.url = urlunsplit(parts._replace(query=parts.query.replace("+", "%20")))
        headers = {key: value for key, value in request.headers.items() if key.lower() in _SIGNED}
        headers["X-Amz-Content-SHA256"] = _digest(request.body)
        aws_request = import_module("botocore.awsrequest").AWSRequest
        signed = aws_request(method=request.method, url=request.url, headers=headers)
        signer = import_module("botocore.auth").SigV4Auth(self._credentials(), self._service, self._region)
        signer.add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        return request

    def _credentials(self) -> Any:
        errors = import_module("botocore.exceptions")
        try:
            found = self._session.get_credentials()
            if found is not None and self._role:
                found = self._assumed = self._assumed or _assuming(self._session, found, self._role)
            frozen = found.get_frozen_credentials() if found is not None else None
        except (errors.BotoCoreError, errors.ClientError) as problem:
            variable = f"{ROLE} and {CREDENTIALS}" if self._role else CREDENTIALS
            raise BackendUnavailable(f"AWS gives no credentials: check {variable}: {str(problem)[:200]}") from None
        if frozen is None or not frozen.access_key:
            raise BackendUnavailable(f"there are no credentials for AWS: set {CREDENTIALS}")
        return frozen


class ManagedBackend(MlflowBackend):
    """Delivers runs to a managed MLflow."""

    product = "SageMaker's MLflow"

    def connect(self) -> Client:
        """The client of the tracking server or app whose ARN `MLFLOW_TRACKING_URI` is."""
        self._session = aws_session()
        arn = arn_from(os.environ.get(TRACKING_URI, "").strip())
        self._arn = arn.text
        return Client(address_of(arn, self._session, os.environ))

    def places(self, client: Client) -> Places:
        """In a bucket, or where the server says."""
        return ManagedPlaces(client, self._session)

    def server(self) -> str:
        """All servers of a region have one host: the ARN tells them apart."""
        return self._arn


class ManagedPlaces(Places):
    """Files of a managed MLflow are in the account's own bucket."""

    def __init__(self, client: Client, session: Any) -> None:
        super().__init__(client)
        self._session = session
        self._s3: Any = None

    def of(self, owner: Owner, tell: Callable[[str], None]) -> Place | None:
        """The place of its files."""
        parts = urlsplit(owner.uri)
        if parts.scheme != "s3":
            return super().of(owner, tell)
        if self._s3 is None:
            self._s3 = import_module("boto3").Session(botocore_session=self._session).client("s3")
        return InBucket(self._s3, parts.netloc, parts.path.strip("/"))


class InBucket:
    """Below a key of an S3 bucket. The variables of AWS say where S3 is (`AWS_ENDPOINT_URL_S3`)."""

    listed = True

    def __init__(self, s3: Any, bucket: str, folder: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._folder = folder

    def upload(self, path: str, content: Path | bytes) -> None:
        """Store a file, a large one in parts. Raises `BackendUnavailable`: a bucket may be granted later."""
        key = f"{self._folder}/{path}"
        with _asking_s3(self._bucket):
            if isinstance(content, bytes):
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=content)
            else:
                self._s3.upload_file(str(content), self._bucket, key)

    def download(self, path: str) -> bytes | None:
        """Read a file."""
        with _asking_s3(self._bucket):
            try:
                body: bytes = self._s3.get_object(Bucket=self._bucket, Key=f"{self._folder}/{path}")["Body"].read()
            except self._s3.exceptions.NoSuchKey:
                return None
        return body


@contextmanager
def _asking_s3(bucket: str) -> Iterator[None]:
    errors = import_module("botocore.exceptions")
    try:
        yield
    except (errors.BotoCoreError, errors.ClientError, import_module("boto3.exceptions").Boto3Error) as problem:
        raise BackendUnavailable(
            f"the bucket {bucket} cannot be used: check {CREDENTIALS}: {str(problem)[:300]}"
        ) from None


def aws_session() -> Any:
    """A session of botocore that neither waits nor retries for long. Raises `UsageError` where boto3 is missing."""
    try:
        import_module("boto3")
        config, sessions = import_module("botocore.config"), import_module("botocore.session")
    except ImportError:
        raise UsageError(
            "the backend sagemaker-mlflow needs boto3 to sign requests: pip install 'autotrack-ml[sagemaker]'"
        ) from None
    session = sessions.Session()
    session.set_default_client_config(
        config.Config(connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, retries={"total_max_attempts": 1})
    )
    return session


def address_of(arn: Arn, session: Any, environ: Mapping[str, str]) -> Address:
    """Where requests for this ARN go, and how they are signed."""
    custom = environ.get(ENDPOINT, "").strip().rstrip("/")
    return Address(
        custom or arn.host,
        ENDPOINT if custom else TRACKING_URI,
        CREDENTIALS,
        SignatureV4(session, arn.region, arn.service, environ.get(ROLE) or None),
        headers={arn.header: arn.text},
        verify=verify_from(environ),
        certificate=certificate_from(environ),
    )


def _assuming(session: Any, source: Any, role: str) -> Any:
    credentials = import_module("botocore.credentials")
    fetcher = credentials.AssumeRoleCredentialFetcher(
        session.create_client, source, role, extra_args={"RoleSessionName": "autotrack"}
    )
    return credentials.DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")


def _digest(body: Any) -> str:
    if body is None:
        return hashlib.sha256(b"").hexdigest()
    if isinstance(body, str | bytes):
        return hashlib.sha256(body.encode() if isinstance(body, str) else body).hexdigest()
    digest, begin = hashlib.sha256(), body.tell()
    while chunk := body.read(_CHUNK):
        digest.update(chunk)
    body.seek(begin)
    return digest.hexdigest()
