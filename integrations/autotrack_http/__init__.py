"""Send runs to any HTTP server: events as JSON lines, signed, each with a key by which it is known again.

    export AUTOTRACK_HTTP_URL=https://example.org/runs
    export AUTOTRACK_HTTP_SECRET=…
    export AUTOTRACK_BACKENDS=local,http

* each event is one line of a POST, described by `docs/backends/http.schema.json`;
* nothing is renamed, rounded or cut: integers, decimals, NaN and infinities arrive as they are;
* an event's `key` is the same whenever it is sent, so a server that keeps the keys holds everything exactly once;
* files are named by digest and size, and uploaded with PUT to `AUTOTRACK_HTTP_BLOBS_URL` where that is set.

The backend `webhooks` sends steps of registered models alone, each as a request of its own, signed as the specification
Standard Webhooks says:

    export AUTOTRACK_WEBHOOKS=https://example.org/hook
    export AUTOTRACK_WEBHOOK_SECRET=whsec_…
    export AUTOTRACK_BACKENDS=local,webhooks

No product has variables for this, so it has its own: `AUTOTRACK_HTTP_URL`, `AUTOTRACK_HTTP_SECRET`,
`AUTOTRACK_HTTP_TOKEN`, `AUTOTRACK_HTTP_HEADERS`, `AUTOTRACK_HTTP_COMPRESSION`, `AUTOTRACK_HTTP_MAX_BYTES`,
`AUTOTRACK_HTTP_BLOBS_URL`.
"""

from __future__ import annotations

from collections.abc import Callable

from autotrack.plugin import BackendPlugin, hookimpl


@hookimpl
def autotrack_register_backends(register: Callable[[BackendPlugin], None]) -> None:
    """Register the backends; their modules are imported in the forwarder alone."""
    register(BackendPlugin(name="http", factory="autotrack_http.backend:HttpBackend"))
    register(BackendPlugin(name="webhooks", factory="autotrack_http.webhooks:WebhooksBackend"))
