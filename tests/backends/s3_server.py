"""An S3 server on the loopback interface (moto's), in this process, with a client to look into its buckets."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class S3:
    """A server that runs."""

    port: int
    client: Any

    def environment(self, port: int | None = None) -> dict[str, str]:
        """The variables by which it is found, on its own port or that of a way to it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "planted-secret",
            "AWS_REGION": "us-east-1",
        }

    def bucket(self) -> str:
        """A new bucket."""
        name = f"team-{uuid.uuid4().hex[:12]}"
        self.client.create_bucket(Bucket=name)
        return name

    def objects(self, bucket: str) -> dict[str, bytes]:
        """All that is in a bucket."""
        told = self.client.list_objects_v2(Bucket=bucket).get("Contents", ())
        return {one["Key"]: self.client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in told}


@contextmanager
def running_s3() -> Iterator[S3]:
    """A server; skips the test where moto or boto3 is not installed."""
    moto = pytest.importorskip("moto.server", reason="moto's server is not installed: pip install moto[server]")
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed: pip install boto3")
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        client = boto3.client(
            "s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", aws_access_key_id="key",
            aws_secret_access_key="planted-secret",
        )  # fmt: skip
        yield S3(port, client)
    finally:
        server.stop()
