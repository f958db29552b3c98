"""The backend `webhooks`: each step of a registered model becomes one signed POST to each address.

After the specification Standard Webhooks 1.0.0 (https://www.standardwebhooks.com): the headers `webhook-id`,
`webhook-timestamp` (seconds, of the attempt) and `webhook-signature`, which is `v1,` and the base64 of the HMAC-SHA256
of id, timestamp and body with dots between them; one for each secret, with spaces between. Records enter; those that
are no step of a registered model are passed over.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from autotrack.backend import BackendContext, BackendUnavailable, Limits
from autotrack.errors import UsageError
from autotrack.events import AnyEvent, Record, RegistryLogged
from autotrack.registry.telling import steps_of
from autotrack.remote import Address, Refused, Remote
from autotrack_http.lines import moment, plain
from autotrack_http.steps import Outcomes

WEBHOOKS, SECRET = "AUTOTRACK_WEBHOOKS", "AUTOTRACK_WEBHOOK_SECRET"
ENCODED: Final = "whsec_"
"""Before a secret that is given in base64, as the specification has it; any other one is taken as it is."""
_NOT_THERE: Final = frozenset({404, 405, 410})
_STATUS: Final = re.compile(r"answered (\d{3})")


class WebhooksBackend:
    """Tells addresses of the steps of registered models."""

    limits = Limits(registry=True)

    def open(self, context: BackendContext) -> None:
        """Read the variables; no request is made. Raises `UsageError`."""
        self._context = context
        self._targets = targets_from(os.environ)

    def check(self) -> str:
        """Ask each address whether it is there; no step is sent. Raises `BackendUnavailable`."""
        for target in self._targets:
            target.ask()
        return f"{', '.join(target.shown for target in self._targets)}: there"

    def resume(self, writer: str) -> int | None:
        """Nobody is asked what he has: each step is known by its id."""
        return None

    def deliver(self, batch: Sequence[Record]) -> int:
        """Send the steps of a batch to each address: one that is away keeps no other from getting them."""
        outcomes = Outcomes(self._context)
        messages = [(record.sequence, list(self._messages(record.event, outcomes))) for record in batch]
        messages = [(sequence, told) for sequence, told in messages if told]
        sent: dict[str, int] = self._context.state.setdefault("sent", {})
        problems: list[BackendUnavailable | Refused] = []
        for target in self._targets:
            try:
                for sequence, told in messages:
                    if sequence > sent.get(target.mark, -1):
                        for id, body in told:
                            target.post(id, body)
                        sent[target.mark] = sequence
            except (BackendUnavailable, Refused) as problem:
                problems.append(problem)
        if problems:  # what may pass comes first: a step is set aside when nobody waits for it any more
            raise min(problems, key=lambda one: isinstance(one, Refused))
        return batch[-1].sequence

    def close(self) -> None:
        """Let go of the connections."""
        for target in self._targets:
            target.close()

    def _messages(self, event: AnyEvent, outcomes: Outcomes) -> Iterator[tuple[str, bytes]]:
        for step in steps_of(event):
            yield step.id, message(step, outcomes.of(step))


def message(step: RegistryLogged, became: Mapping[str, Any]) -> bytes:
    """The body: `{type, timestamp, data}`, the same whenever the step is sent."""
    data = {
        "model": step.model,
        "action": step.action,
        "digest": step.digest,
        "run": step.run or None,
        "who": step.who or None,
        "why": step.why,
        "record": plain(step.record),
        **became,
    }
    told = {"type": f"registry.{step.action}", "timestamp": moment(step.time), "data": data}
    return json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def signature(secrets: Sequence[bytes], id: str, timestamp: str, body: bytes) -> str:
    """The value of `webhook-signature`."""
    signed = f"{id}.{timestamp}.".encode() + body
    sums = [base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode() for secret in secrets]
    return " ".join(f"v1,{one}" for one in sums)


def targets_from(environ: Mapping[str, str]) -> list[Target]:
    """The addresses that the variables name. Raises `UsageError`, which shows neither a secret nor an address."""
    addresses = [one.strip() for one in environ.get(WEBHOOKS, "").split(",") if one.strip()]
    if not addresses:
        raise UsageError(f"the backend webhooks needs {WEBHOOKS}: addresses such as https://host/hook, with commas")
    for number, address in enumerate(addresses, 1):
        if not address.startswith(("http://", "https://")) or not urlsplit(address).hostname:
            raise UsageError(f"address {number} of {WEBHOOKS} cannot be used: write https://host/hook")
    secrets = [_decoded(one.strip()) for one in environ.get(SECRET, "").split(",") if one.strip()]
    if not secrets:
        raise UsageError(f"the backend webhooks signs what it sends: set {SECRET}, at least 24 random bytes")
    return [Target(address, secrets) for address in dict.fromkeys(addresses)]


def _decoded(secret: str) -> bytes:
    if not secret.startswith(ENCODED):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(ENCODED), validate=True)
    except ValueError:
        raise UsageError(f"{SECRET} cannot be used: behind {ENCODED} there must be base64") from None


class Target:
    """One address. Its path and query may be a secret, so that no message shows them."""

    def __init__(self, url: str, secrets: Sequence[bytes]) -> None:
        parts = urlsplit(url)
        self.mark = hashlib.sha256(url.encode()).hexdigest()[:16]
        """Stands for the address where it is kept on disk."""
        self.shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._hidden = [part for part in (url, f"{parts.path}?{parts.query}", parts.path) if len(part) > 1]
        self._secrets = secrets
        self._remote = Remote(Address(url, WEBHOOKS, f"{WEBHOOKS} and {SECRET}"))

    def ask(self) -> None:
        """Ask whether anybody is there. Raises `BackendUnavailable`."""
        try:
            self._send("HEAD", None, {})
        except Refused:  # it answers, and has no such question
            pass

    def post(self, id: str, body: bytes) -> None:
        """Send one step. Raises `BackendUnavailable`, `Refused`."""
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "webhook-id": id,
            "webhook-timestamp": timestamp,
            "webhook-signature": signature(self._secrets, id, timestamp, body),
        }
        self._send("POST", body, headers)

    def close(self) -> None:
        """Close the connection."""
        self._remote.close()

    def _send(self, method: str, body: bytes | None, headers: Mapping[str, str]) -> None:
        try:
            self._remote.send(method, data=body, headers=headers)
        except Refused as refusal:
            if refusal.status in _NOT_THERE and method == "POST":
                said = f"{self.shown} answered {refusal.status}: nothing takes steps there: check {WEBHOOKS}"
                raise BackendUnavailable(said) from None
            said = f"{self.shown} answered {refusal.status}: {self._without_path(str(refusal.answer))[:200]}"
            raise Refused(said, refusal.status) from None
        except UsageError:
            raise UsageError(f"an address of {WEBHOOKS}, at {self.shown}, cannot be used") from None
        except BackendUnavailable as problem:
            raise BackendUnavailable(self._said(problem), problem.retry_after) from None

    def _said(self, problem: BackendUnavailable) -> str:
        """What happened, without what the other side or a library says of it: that may hold the path."""
        status = _STATUS.search(str(problem).replace(self._remote.address.url, ""))
        if problem.__cause__ is not None or status is None:
            kind = type(problem.__cause__).__name__ if problem.__cause__ is not None else "it redirects elsewhere"
            return f"no answer from {self.shown} ({kind}): check {WEBHOOKS}"
        return f"{self.shown} answered {status[1]}: check {WEBHOOKS} and {SECRET}"

    def _without_path(self, text: str) -> str:
        for part in self._hidden:
            text = text.replace(part, "…")
        return text


__all__ = ["SECRET", "WEBHOOKS", "Target", "WebhooksBackend", "message", "signature", "targets_from"]
