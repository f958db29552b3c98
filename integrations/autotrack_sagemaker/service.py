"""The clients of AWS, and what becomes of their errors. boto3 is imported here, when the backend is opened.

`BackendUnavailable` stands for whatever may pass (no connection, throttling, 5xx, credentials to be mended), `Refused`,
a `BackendRejected`, for what the service will never take. botocore's own retries are off: the forwarder does that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from threading import Lock
from typing import Any, Final

from autotrack.backend import BackendRejected, BackendUnavailable
from autotrack.errors import UsageError
from autotrack.remote import CONNECT_SECONDS, READ_SECONDS

CREDENTIALS: Final = "AWS_PROFILE, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"

_PASSING: Final = frozenset({408, 425, 429})
_PASSING_CODES: Final = ("Throttling", "TooManyRequests", "RequestTimeout", "SlowDown", "RequestLimitExceeded")
_CONFLICTS: Final = frozenset({"ConflictException", "OperationAborted", "ResourceInUse"})
_CREDENTIAL_CODES: Final = frozenset(
    {
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "InvalidToken",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "IncompleteSignature",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "TokenRefreshRequired",
    }
)
_CREDENTIAL_ERRORS: Final = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "ProfileNotFound",
    "NoAuthTokenError",
    "SSOError",
    "TokenRetrievalError",
    "LoginError",
)

_turn = Lock()


class Forbidden(BackendUnavailable):
    """The credentials are good, and do not allow it."""


class Refused(BackendRejected):
    """The service answered with a client error."""

    def __init__(self, message: str, code: str, reason: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason

    @property
    def is_missing(self) -> bool:
        """Whether what was asked for does not exist; older operations say so with the code of a wrong argument."""
        if self.code in ("ResourceNotFound", "ResourceNotFoundException", "NoSuchBucket", "NoSuchKey", "404"):
            return True
        said = self.reason.lower()
        return self.code == "ValidationException" and ("does not exist" in said or "not find" in said)

    @property
    def is_there_already(self) -> bool:
        """Whether what was to be created exists."""
        return self.code in ("BucketAlreadyOwnedByYou",) or "already exists" in self.reason.lower()


@dataclass(frozen=True)
class Clients:
    """Those of one region. They keep their connections open, and are used by several threads."""

    sagemaker: Any
    metrics: Any
    s3: Any
    region: str
    milliseconds: bool
    """Whether times go out in milliseconds: botocore cut them to seconds before September 2026 (boto/botocore#3796)."""


class Service:
    """Makes the requests. Raises `UsageError` without boto3 or without a region."""

    def __init__(self) -> None:
        self._clients = clients()

    def renew(self) -> None:
        """Look at the environment again: credentials that were refused may have been mended."""
        self._clients = clients()

    @property
    def region(self) -> str:
        """The region that the clients are for."""
        return self._clients.region

    @property
    def milliseconds(self) -> bool:
        """Whether times go out finer than in seconds."""
        return self._clients.milliseconds

    @property
    def shown(self) -> str:
        """Where SageMaker is."""
        return str(self._clients.sagemaker.meta.endpoint_url)

    def call(self, operation: str, *, client: str = "sagemaker", **parameters: Any) -> dict[str, Any]:
        """One request; `operation` is a method of the client. Raises `BackendUnavailable` and `Refused`."""
        made = getattr(self._clients, client)
        errors = import_module("botocore.exceptions")
        try:
            answer: dict[str, Any] = getattr(made, operation)(**parameters)
        except errors.ClientError as error:
            raise _translated(error, operation, str(made.meta.endpoint_url)) from error
        except errors.BotoCoreError as error:
            raise _failed(error, str(made.meta.endpoint_url)) from error
        except OSError as error:
            raise BackendUnavailable(f"{operation}: {error}") from error
        return answer

    def pages(self, operation: str, key: str, **parameters: Any) -> Iterator[Any]:
        """The items under `key` of all pages of a list."""
        token: dict[str, str] = {}
        while True:
            answer = self.call(operation, **parameters, **token)
            yield from answer.get(key, ())
            if not answer.get("NextToken"):
                return
            token = {"NextToken": answer["NextToken"]}


def clients() -> Clients:
    """What the environment describes, made once in a process: the service models take long to read.

    Raises `UsageError` without boto3 or without a region, `BackendUnavailable` where credentials are missing.
    """
    described = tuple(sorted((key, value) for key, value in os.environ.items() if key.startswith("AWS_")))
    with _turn:
        return _clients(described)


@lru_cache(maxsize=4)
def _clients(described: tuple[tuple[str, str], ...]) -> Clients:
    try:
        boto3, config, errors = map(import_module, ("boto3.session", "botocore.config", "botocore.exceptions"))
    except ImportError as missing:
        raise UsageError("the backend sagemaker needs boto3: pip install 'autotrack-ml[sagemaker]'") from missing
    environment = dict(described)
    settings = config.Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": 1, "mode": "standard"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        session = boto3.Session()
        # botocore reads AWS_DEFAULT_REGION alone; containers on AWS have the other one.
        region = session.region_name or environment.get("AWS_REGION")
        if not region:
            raise UsageError("no region for the backend sagemaker: set AWS_DEFAULT_REGION")
        if session.get_credentials() is None:
            raise BackendUnavailable(f"no credentials for AWS: set {CREDENTIALS}")
        made = {
            field: session.client(name, region_name=region, config=settings)
            for field, name in (("sagemaker", "sagemaker"), ("metrics", "sagemaker-metrics"), ("s3", "s3"))
        }
    except errors.BotoCoreError as error:
        raise _failed(error, "AWS") from error
    except UsageError:
        raise
    except ValueError as error:  # what botocore says of an endpoint that is no URL
        raise UsageError(
            f"AWS_ENDPOINT_URL={environment.get('AWS_ENDPOINT_URL')!r} is not an address: {error}"
        ) from None
    milliseconds = hasattr(import_module("botocore.serialize"), "TIMESTAMP_PRECISION_LEGACY")
    return Clients(**made, region=region, milliseconds=milliseconds)


def _translated(error: Any, operation: str, shown: str) -> Exception:
    answer = error.response
    described, metadata = answer.get("Error", {}), answer.get("ResponseMetadata", {})
    code, reason = str(described.get("Code", "")), str(described.get("Message", ""))[:300]
    status = int(metadata.get("HTTPStatusCode", 400))
    said = f"{shown} answered {operation} with {code or status}" + (f": {reason}" if reason else "")
    if status >= 500 and status != 501 or status in _PASSING or code.startswith(_PASSING_CODES) or code in _CONFLICTS:
        return BackendUnavailable(said, _seconds(metadata.get("HTTPHeaders", {}).get("retry-after")))
    if code in _CREDENTIAL_CODES or status == 401:
        _clients.cache_clear()
        return BackendUnavailable(f"{said}; check {CREDENTIALS}")
    if status == 403:
        return Forbidden(f"{said}; the role or user of {CREDENTIALS} must be allowed to")
    if 300 <= status < 400:
        return BackendUnavailable(f"{said}; check AWS_DEFAULT_REGION and AWS_ENDPOINT_URL")
    if code.startswith("ResourceLimitExceeded"):
        return BackendUnavailable(f"{said}; have AWS raise that quota, or delete what is not needed any more")
    if code.isdigit() and operation not in ("head_object", "head_bucket"):
        # No error of this service: something else answers at that address.
        return BackendUnavailable(f"{said}; check AWS_ENDPOINT_URL")
    return Refused(said, code, reason)


def _failed(error: Any, shown: str) -> Exception:
    names = {kind.__name__ for kind in type(error).__mro__}
    if names.intersection(_CREDENTIAL_ERRORS):
        return BackendUnavailable(f"no credentials for AWS ({error}): set {CREDENTIALS}")
    if "NoRegionError" in names:
        return UsageError("no region for the backend sagemaker: set AWS_DEFAULT_REGION")
    if "ParamValidationError" in names:
        return BackendRejected(str(error)[:500])
    return BackendUnavailable(f"no answer from {shown}: {str(error)[:300]}; AWS_ENDPOINT_URL names another address")


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text or ""))
    except ValueError:
        return None
