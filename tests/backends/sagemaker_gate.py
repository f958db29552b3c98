"""A managed MLflow on loopback: a real server behind a gate that checks signatures with botocore, as AWS does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from gate import Answer, Gate, Request
from mlflow_server import Server

REGION, KEY, SECRET = "eu-west-1", "AKIATESTTESTTESTTEST", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ARN = f"arn:aws:sagemaker:{REGION}:111122223333:mlflow-tracking-server/battery"
APP = f"arn:aws:sagemaker:{REGION}:111122223333:mlflow-app/app-ABCDEF"


class SignedGate(Gate):
    """Passes on what is signed for a tracking server or an app, and names it in the header that is meant for it."""

    def __init__(self, server: Server, arn: str = ARN) -> None:
        self.arn = arn
        self.sessions: set[str] = set()
        """Session tokens that came."""
        self.secret_of: Callable[[str], str] = lambda key: SECRET
        """The secret of an access key."""
        super().__init__(server.url, self._look)
        self.variables = {
            "MLFLOW_TRACKING_URI": arn,
            "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    def _look(self, request: Request) -> Answer | None:
        is_app = ":mlflow-app/" in self.arn
        named = request.headers.get("x-sm-mlflow-app-arn" if is_app else "x-mlflow-sm-tracking-server-arn")
        if named != self.arn:
            return Answer(400, {"error_code": "BAD_REQUEST", "message": f"no header names {self.arn}"})
        problem = wrong(request, self.url, "sagemaker" if is_app else "sagemaker-mlflow", self.secret_of)
        self.sessions.add(request.headers.get("x-amz-security-token", ""))
        return Answer(403, {"error_code": "PERMISSION_DENIED", "message": problem}) if problem else None


def wrong(request: Request, url: str, service: str, secret_of: Callable[[str], str]) -> str:
    """What is wrong with a signature, if anything: it is computed again from what came, by botocore."""
    given = request.headers.get("authorization", "")
    if not given.startswith("AWS4-HMAC-SHA256 Credential="):
        return "not signed"
    fields = dict(part.strip().split("=", 1) for part in given.removeprefix("AWS4-HMAC-SHA256 ").split(","))
    key, _, region, named, _end = fields["Credential"].split("/")
    if (region, named) != (REGION, service):
        return f"signed for {named} in {region}"
    digest = hashlib.sha256(request.body).hexdigest()
    if request.headers.get("x-amz-content-sha256") != digest:
        return "the body is not the one that was signed"
    signed = set(fields["SignedHeaders"].split(";"))
    if not {"host", "x-amz-date", "x-amz-content-sha256"} <= signed or not any("arn" in name for name in signed):
        return f"only {signed} are signed"
    headers = {name: value for name, value in request.headers.items() if name in signed}
    again = AWSRequest(method=request.method, url=url + request.path, headers=headers)
    again.context["timestamp"] = request.headers["x-amz-date"]
    signer = SigV4Auth(Credentials(key, secret_of(key)), named, region)
    text = signer.string_to_sign(again, signer.canonical_request(again))
    expected = signer.signature(text, again)
    return "" if expected == fields["Signature"] else f"the signature is not {expected}"
