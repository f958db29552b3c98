"""Azurite, Microsoft's own emulator of Azure Blob Storage, on the loopback interface, with containers made in it.

Found as `AUTOTRACK_TEST_AZURITE`, or as `azurite-blob` on the path (`npm install azurite`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
import subprocess
import tempfile
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate

import pytest

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account that Azurite has by default; its key is published."""
VERSION = "2021-08-06"


@dataclass(frozen=True)
class Azurite:
    """A server that runs."""

    url: str

    def environment(self) -> dict[str, str]:
        """The variables by which it is found."""
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": self.url,
        }

    def container(self) -> str:
        """A new container, by the service's own request ("Create Container", signed as "Shared Key" says)."""
        name, date = f"team-{uuid.uuid4().hex[:12]}", formatdate(usegmt=True)
        headers = f"x-ms-date:{date}\nx-ms-version:{VERSION}"
        signed = "PUT" + "\n" * 12 + f"{headers}\n/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
        proof = base64.b64encode(hmac.digest(base64.b64decode(KEY), signed.encode(), hashlib.sha256)).decode()
        request = urllib.request.Request(f"{self.url}/{name}?restype=container", method="PUT")
        for line in (*headers.split("\n"), f"Authorization:SharedKey {ACCOUNT}:{proof}"):
            request.add_header(*line.split(":", 1))
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 201
        return name


@contextmanager
def running_azurite() -> Iterator[Azurite]:
    """A server; skips the test where Azurite is not installed."""
    program = os.environ.get("AUTOTRACK_TEST_AZURITE") or shutil.which("azurite-blob")
    if not program or not shutil.which(program):
        pytest.skip("Azurite is not installed: npm install azurite, and AUTOTRACK_TEST_AZURITE may name azurite-blob")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = subprocess.Popen(
            [program, "--blobHost", "127.0.0.1", "--blobPort", "0", "--location", folder, "--skipApiVersionCheck",
             "--disableTelemetry"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            assert server.stdout is not None
            said = ""
            for line in server.stdout:
                said += line
                if "successfully listens on" in line:
                    yield Azurite(f"{line.rpartition(' ')[2].strip()}/{ACCOUNT}")
                    break
            else:
                pytest.fail(f"Azurite did not start: {said}")
        finally:
            server.kill()
            server.wait()
