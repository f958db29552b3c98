"""Running the dashboard: the store is opened, an address is bound, and uvicorn serves until Ctrl-C.

Settings, a host and a port enter. Bound to another address than loopback, tokens are demanded, and without any the
server does not start.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import ipaddress
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import uvicorn

from autotrack.dashboard import tokens
from autotrack.dashboard.app import application
from autotrack.dashboard.watching import Hub, Watch
from autotrack.errors import AutotrackError, UsageError
from autotrack.forward.catching_up import take_in
from autotrack.settings import Settings
from autotrack.store.query import Store

PORT: Final = 6006
TRIED: Final = 20
"""Ports that are tried, from `PORT` on, where none was asked for."""
SHORTEST_TOKEN: Final = 16

QUERY_SECONDS: Final = 20.0
"""Seconds that a query may take where no setting says it: whoever looks may ask anything, and cannot press Ctrl-C."""

VARIABLE: Final = "AUTOTRACK_DASHBOARD_TOKEN"


class Dashboard:
    """A dashboard that is bound and not yet serving. `address` is where a browser finds it."""

    def __init__(
        self,
        settings: Settings,
        host: str = "127.0.0.1",
        port: int | None = None,
        token: str | None = None,
    ) -> None:
        """Bind `host` and `port` (None: the first free one from 6006 on; 0: any). `token` opens it beside those that
        the store knows. Raises `UsageError` where tokens are needed and there is none, or the address is not to be had.
        """
        self._settings = settings
        self._home = settings.resolved_home
        self._loopback = is_loopback(host)
        self._token = token or None
        if self._token is not None and len(self._token) < SHORTEST_TOKEN:
            raise UsageError(f"{VARIABLE} has fewer than {SHORTEST_TOKEN} characters: use a longer one")
        self.store = _opened(settings)
        try:
            if not self._loopback and self._token is None and not self._has_tokens():
                raise UsageError(
                    f"on {host} others can reach the dashboard, so it demands a token: make one with "
                    f"`autotrack dashboard tokens add NAME`, or set {VARIABLE}; or leave --host out"
                )
            self.socket = _bound(host, port)
        except BaseException:
            self.store.close()
            raise
        self.port: int = self.socket.getsockname()[1]
        shown = "localhost" if self._loopback else host
        if host in ("0.0.0.0", "::"):
            shown = socket.gethostname()
        self.address = f"http://{f'[{shown}]' if ':' in shown else shown}:{self.port}/"
        self.hub = Hub()
        self._watch = Watch(self.store, self._home, settings, self.hub)
        self._server = _Server(self._config(), self.hub)

    @property
    def demands_token(self) -> bool:
        """Whether one has to log in."""
        return not self._loopback or self._token is not None

    def serve(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until Ctrl-C or `stop`; `ready` is called when the first request can be answered."""
        self._server.ready = ready
        try:
            self._watch.start()
            self._server.run([self.socket])
        finally:
            self._watch.stop()
            self.socket.close()
            self.store.close()

    def stop(self) -> None:
        """Let `serve` end, from any thread."""
        self._server.should_exit = True
        self.hub.close()

    @contextlib.contextmanager
    def served(self) -> Iterator[str]:
        """Serve in a thread for the length of a `with`: its address."""
        begun = threading.Event()
        thread = threading.Thread(target=self.serve, args=(begun.set,), name="autotrack dashboard", daemon=True)
        thread.start()
        try:
            while not begun.wait(0.05):
                if not thread.is_alive():
                    raise AutotrackError("the dashboard did not start; its own output says why")
            yield self.address
        finally:
            self.stop()
            thread.join(15)

    def _config(self) -> uvicorn.Config:
        check = self._check if self.demands_token else None
        return uvicorn.Config(
            application(self.store, self._home, self._settings, self.hub, check),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=False,
            h11_max_incomplete_event_size=32 << 10,
            limit_concurrency=500,
            backlog=128,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=2,
        )

    def _check(self, token: str) -> bool:
        # Both ways are always gone: how long it takes says nothing of which one failed.
        own = self._token is not None and hmac.compare_digest(_hashed(token), _hashed(self._token))
        return (tokens.check(self.store.engine, token) is not None) or own

    def _has_tokens(self) -> bool:
        return any(one.state == "valid" for one in tokens.listed(self.store.engine))


class _Server(uvicorn.Server):
    """uvicorn's server, which lets listeners go before it waits for connections to end."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub
        self.ready: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.close()
        await super().shutdown(sockets)


def own_token() -> str | None:
    """The token that the environment gives this dashboard."""
    return os.environ.get(VARIABLE, "").strip() or None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()


def _opened(settings: Settings) -> Store:
    home = settings.resolved_home
    try:
        take_in(home, settings)
    except PermissionError as problem:  # somebody else's home: what it holds can be read all the same
        logging.getLogger("autotrack.dashboard").warning("newer events are not taken in (%s)", problem)
    store = Store.open(home, settings)
    if store.patience is None:
        store.patience = QUERY_SECONDS
    return store


def _bound(host: str, port: int | None) -> socket.socket:
    wanted = range(PORT, PORT + TRIED) if port is None else (port,)
    problem: Any = None
    for number in wanted:
        try:
            found = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)[0]
            made = socket.socket(*found[:3])  # with its protocol: asyncio sends at once only where it sees TCP
            try:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                made.bind(found[4])
                made.listen(128)  # from now on, so that two that begin at once do not get the same
                made.set_inheritable(True)
                return made
            except BaseException:
                made.close()
                raise
        except (OSError, OverflowError) as failed:
            problem = failed
    tried = f"port {port}" if port is not None else f"none of the ports {PORT} to {PORT + TRIED - 1}"
    raise UsageError(f"{tried} of {host} can be had ({problem}): say another with --port, or --port 0 for any")


__all__ = ["PORT", "VARIABLE", "Dashboard", "is_loopback", "own_token"]
