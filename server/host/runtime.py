"""Settings -> a running server: Hypercorn in a thread of its own, started and stopped.

Sockets are bound here, in the caller's thread, so that a port in use is an immediate, typed error.
Hypercorn installs no signal handlers because it gets a shutdown trigger.
"""

import asyncio
import contextlib
import errno
import gc
import logging
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import TypeVar, cast

from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework

from server.aside import look_up_aside
from server.dialects import DIALECTS
from server.edge.app import Edge
from server.edge.connections import allow_many_files, bound_connections
from server.edge.malformed import malformed
from server.host.gateway import Gateway
from server.host.local_endpoints import Application, Behind
from server.host.memory import one_arena
from server.settings.load import Settings, SettingsError, Source

log = logging.getLogger(__name__)

T = TypeVar("T")

GRACE_S = 1.5
"""How long a stop waits for connections after every stream has been ended."""

SELDOM = (10_000, 20, 20)
"""Thresholds of the garbage collector. A request leaves no reference cycles and a connection forty
objects, so Python's own (700, 10, 10) spend a tenth of the processor time on finding nothing."""

IDLE_CONNECTION_S = 120.0
"""How long a connection may go without a whole request head. An editor pauses longer than
Hypercorn's 5 s; a head sent letter by letter ends here."""


class PortInUseError(Exception):
    """Another program listens there."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"Port {port} on {host} is in use.")
        self.host = host
        self.port = port


class PortLostError(Exception):
    """The system has taken the listening socket away."""

    def __init__(self, port: int, reason: BaseException) -> None:
        super().__init__(
            f"Port {port} was lost while the server was running ({reason}). Start it again."
        )


class Server:
    """One server thread. ``start`` returns once it answers; ``stop`` within about two seconds."""

    def __init__(
        self,
        settings: Settings,
        make_pages: Callable[[Gateway], Application],
        *,
        announce: Callable[[Gateway], Coroutine[None, None, None]] | None = None,
        make_gateway: Callable[[Settings], Gateway] = Gateway,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """``announce`` runs in the server's loop once it answers; it may ask Google who we are.
        ``on_end`` is called in the server's thread when that ends, for whatever reason.
        """
        self.settings = settings
        self._make_pages = make_pages
        self._announce = announce
        self._make_gateway = make_gateway
        self._on_end = on_end
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self.failure: BaseException | None = None
        """Why the server ended, when nobody stopped it."""
        self.gateway: Gateway | None = None

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> Gateway:
        """Bind, serve, and return the running parts.

        Raises ``PortInUseError``; ``SettingsError`` for an address this machine does not have.
        """
        allow_many_files()
        one_arena()
        sockets = bind(self.settings)
        self._ready.clear()
        self.failure = None
        self._thread = threading.Thread(target=self._run, args=(sockets,), name="server")
        self._thread.start()
        self._ready.wait()
        gateway, failure = self._outcome()
        if gateway is None:
            self._thread.join()
            raise failure or RuntimeError("the server ended before it answered")
        return gateway

    def _outcome(self) -> "tuple[Gateway | None, BaseException | None]":
        """What the thread has come to, once it is ready."""
        return (None if self.failure else self.gateway), self.failure

    def stop(self) -> None:
        """End every request and stop listening."""
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        self.join()

    def submit(self, work: Coroutine[None, None, T]) -> "Future[T]":
        """Run ``work`` in the server's loop, from any other thread.

        Raises ``RuntimeError`` when the server does not run; a stop cancels what is under way.
        """
        try:
            if self._loop is None:
                raise RuntimeError("the server has not been started")  # noqa: TRY301
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise

    def join(self) -> None:
        """Wait until the server has ended."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, sockets: Sequence[socket.socket]) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._main(sockets))
        except PortLostError as error:
            self.failure = error
            log.error("%s", error)
        except BaseException as error:
            self.failure = error
            log.exception("The server ended unexpectedly")
        finally:
            for open_socket in sockets:
                open_socket.close()
            self._ready.set()
            self._on_end()

    async def _main(self, sockets: Sequence[socket.socket]) -> None:
        self._loop = asyncio.get_running_loop()
        look_up_aside(self._loop)
        self._stop = stop = asyncio.Event()
        lost: list[PortLostError] = []

        def on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
            """Log what no task handled; connections cut by a stop are no news."""
            error = context.get("exception")
            if isinstance(error, OSError) and _is_of_listener(context):
                lost.append(PortLostError(self.settings.port, error))
                stop.set()
            elif not isinstance(error, asyncio.CancelledError | ConnectionError):
                loop.default_exception_handler(context)

        self._loop.set_exception_handler(on_loop_error)
        self.gateway = gateway = self._make_gateway(self.settings)
        behind = Behind(gateway, self._make_pages)
        edge = Edge(gateway.pipeline, gateway.access, DIALECTS, behind, gateway.responses)
        config = hypercorn_config(sockets)
        framework = cast("ASGIFramework", edge)
        serving = asyncio.create_task(serve(framework, config, shutdown_trigger=stop.wait))
        stopping = asyncio.create_task(stop.wait())
        gc.freeze()
        gc.set_threshold(*SELDOM)
        self._loop.call_soon(self._ready.set)
        gateway.in_background(gateway.updates.daily())
        if self._announce is not None:
            gateway.in_background(self._announce(gateway))
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
            gateway.stopping.set()
            gateway.usage.publish({"type": "stopping"})
            edge.stop()
            # From Python 3.12.1 on, asyncio's Server.wait_closed() waits for every connection
            # before Hypercorn applies its own grace period, so the limit is ours to keep.
            done, _ = await asyncio.wait({serving}, timeout=GRACE_S)
            if not done:
                serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving
        finally:
            stopping.cancel()
            await gateway.aclose()
            gc.unfreeze()
        if lost:
            raise lost[0]


def hypercorn_config(sockets: Sequence[socket.socket]) -> Config:
    """How Hypercorn serves on these sockets, which become its own."""
    bound_connections(malformed)
    config = Config()
    config.bind = [f"fd://{s.detach()}" for s in sockets]
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.graceful_timeout = GRACE_S
    config.keep_alive_timeout = IDLE_CONNECTION_S
    config.keep_alive_max_requests = 1_000_000
    config.h11_max_incomplete_size = 64 * 1024
    config.backlog = 1024
    # Without a bound: a full queue would hold up the news that its request has been answered, and
    # with it the end of the connection, for ever. ``server.edge.body`` bounds what is read.
    config.max_app_queue_size = 0
    return config


def _is_of_listener(context: dict[str, object]) -> bool:
    """Whether this error of the loop is one of accepting connections at all. asyncio goes on trying
    for ever, at full speed; too many open files, which passes, it reports in another way."""
    message = str(context.get("message", ""))
    return "_accept_connection" in message or message == "Accept failed on a socket"


def bind(settings: Settings) -> list[socket.socket]:
    """Listening sockets for every HOST. Raises ``PortInUseError`` or ``SettingsError``."""
    sockets: list[socket.socket] = []
    source = settings.source("HOST")
    try:
        for host in settings.host:
            sockets.extend(_bind_one(host, settings.port, source))
    except (PortInUseError, SettingsError):
        for open_socket in sockets:
            open_socket.close()
        raise
    if not sockets:
        hosts = ",".join(settings.host)
        raise SettingsError("HOST", hosts, "an address of this machine", settings.source("HOST"))
    return sockets


def _bind_one(host: str, port: int, source: Source) -> list[socket.socket]:
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return [_listen(family, address) for family, _, _, _, address in dict.fromkeys(infos)]
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES, 10048, 10013):
            raise PortInUseError(host, port) from error
        if source != "default":
            raise SettingsError("HOST", host, "an address of this machine", source) from error
        log.info("%s is not available on this machine; listening without it", host)
        return []


def _listen(family: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(1024)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def next_free_port(host: str, port: int) -> int | None:
    """The first free port after ``port``, looking at most twenty ahead."""
    for candidate in range(port + 1, min(port + 21, 65_536)):
        try:
            for listener in _bind_one(host, candidate, "command line"):
                listener.close()
        except (PortInUseError, SettingsError):
            continue
        return candidate
    return None
