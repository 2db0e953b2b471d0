"""What carries requests to Google: connections of our own, behind httpx's interface.

httpx's own transport costs five times as much per event (``docs/decisions/0009``). Everything above
this module sees httpx's requests, responses and exceptions only. Where a proxy is set for an
address, httpx's own transport takes over.

A kept connection may have died without a sign, with the Wi-Fi or the VPN it was made over. The
system is asked to notice within seconds (``KEPT_DEAD_AFTER_S``); what it cannot see, such as a VPN
program that acknowledges everything, a limit on the first byte ends. Both fail the request before
anything came back, so ``server/core/retry.py`` may repeat it; the idle connections are dropped, so
the repeat has a new one.
"""

import asyncio
import logging
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping

import httpx

from server.errors import NetworkSettingError
from server.network.connection import Connection
from server.network.proxies import Proxies, ProxySetting, from_surroundings, tls_context

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 90.0
"""How long an idle connection is kept, by the clock on the wall: a computer may have slept since.
Google closes its end after a few minutes."""

MOST_IDLE = 64
"""Idle connections kept; the newest serve first."""

KEPT_DEAD_AFTER_S = 15
"""After so many seconds without an acknowledgement the system gives a connection up."""

KEPT_FIRST_BYTE_S = 150.0
"""Until the first byte on a connection that was used before. A model may think for minutes, and
what is repeated costs twice; so this is long, and the last resort."""

HAPPY_EYEBALLS_S = 0.25
"""After which the next address of a name is tried beside the first (RFC 8305)."""


def make_client() -> httpx.AsyncClient:
    """The client of a server."""
    proxies = from_surroundings()
    for problem in proxies.problems():
        log.warning("%s", problem)
    return Client(Transport(proxies=proxies))


class Client(httpx.AsyncClient):
    """Hands finished requests straight to its transport: no cookies, redirects or credentials of
    its own, which Google's API has no use for and each request would pay for."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        super().__init__(transport=transport)
        self._direct = transport

    async def send(
        self, request: httpx.Request, *, stream: bool = False, **ignored: object
    ) -> httpx.Response:
        response = await self._direct.handle_async_request(request)
        response.request = request
        if not stream:
            try:
                await response.aread()
            finally:
                await response.aclose()
        return response


class Transport(httpx.AsyncBaseTransport):
    """Requests over as many connections as they want. Must be used in one event loop."""

    def __init__(
        self,
        *,
        proxies: Proxies | None = None,
        wall_clock: Callable[[], float] = time.time,
        kept_first_byte_s: float = KEPT_FIRST_BYTE_S,
    ) -> None:
        self.proxies = proxies or Proxies()
        self._kept_first_byte_s = kept_first_byte_s
        self._proxied: dict[httpx.URL, httpx.AsyncHTTPTransport] = {}
        self._wall_clock = wall_clock
        self._tls: asyncio.Future[ssl.SSLContext] | None = None
        self._idle: list[tuple[Origin, Connection, float]] = []
        self._sweeping: asyncio.TimerHandle | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        setting = self.proxies.setting_for(request.url)
        if setting is not None:
            return await self._through(setting, request)
        head, body = await written(request)
        origin = origin_of(request)
        request.stream = _SENT
        connection = self._kept(origin)
        if connection is not None:
            try:
                return await self._asked_again(connection, origin, request, head, body)
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                # What may change something there is not repeated here: whoever counts requests
                # decides (server/core/retry.py).
                if connection.heard or request.method != "GET":
                    raise
        connection = await self._connect(origin, request)
        return await self._asked(connection, origin, request, head, body)

    async def aclose(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
        for _, connection, _ in self._idle:
            connection.abort()
        self._idle.clear()
        for transport in self._proxied.values():
            await transport.aclose()
        await asyncio.sleep(0)  # in which asyncio takes leave of what was cut

    async def _asked_again(
        self,
        connection: Connection,
        origin: "Origin",
        request: httpx.Request,
        head: bytes,
        body: bytes,
    ) -> httpx.Response:
        """``_asked`` on a connection used before: silence, too, may mean that it is dead."""
        limits = request.extensions.get("timeout") or {}
        patience_s = limits.get("read")
        bounded = patience_s is None or patience_s > self._kept_first_byte_s
        if bounded:
            first = {**limits, "read": self._kept_first_byte_s}
            request.extensions = {**request.extensions, "timeout": first}
        try:
            return await self._asked(connection, origin, request, head, body)
        except httpx.TransportError as error:
            if not connection.heard:
                self._drop(origin)
            if bounded and isinstance(error, httpx.ReadTimeout) and not connection.heard:
                raise httpx.ReadError("a kept connection stayed silent", request=request) from error
            raise
        finally:
            if bounded:
                request.extensions["timeout"] = dict(limits)

    async def _asked(
        self,
        connection: Connection,
        origin: "Origin",
        request: httpx.Request,
        head: bytes,
        body: bytes,
    ) -> httpx.Response:
        try:
            answer = await connection.ask(request, head, body)
        except BaseException:
            connection.finish()
            raise
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=Body(self, connection, origin),
            extensions={"http_version": b"HTTP/1.1"},
        )

    async def _connect(self, origin: "Origin", request: httpx.Request) -> Connection:
        scheme, host, port = origin
        limits = request.extensions.get("timeout") or {}
        tls = await self._tls_context() if scheme == "https" else None
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(limits.get("connect")):
                _, connection = await loop.create_connection(
                    Connection, host, port, ssl=tls, happy_eyeballs_delay=HAPPY_EYEBALLS_S
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time", request=request) from error
        except (OSError, ValueError) as error:  # ValueError: no such name can exist
            raise httpx.ConnectError(str(error), request=request) from error
        connection.keep_alive(kept_alive())
        return connection

    def _kept(self, origin: "Origin") -> Connection | None:
        """The idle connection to ``origin`` that was used last, if there is one."""
        self._drop_old()
        for at in range(len(self._idle) - 1, -1, -1):
            if self._idle[at][0] == origin:
                _, connection, _ = self._idle.pop(at)
                if connection.usable:
                    return connection
        return None

    def keep(self, origin: "Origin", connection: Connection) -> None:
        """Take back a connection whose request is over."""
        if not connection.finish():
            return
        self._idle.append((origin, connection, self._wall_clock()))
        if len(self._idle) > MOST_IDLE:
            self._idle.pop(0)[1].abort()
        if self._sweeping is None:
            self._sweep_later()

    def _sweep_later(self) -> None:
        self._sweeping = asyncio.get_running_loop().call_later(KEEP_ALIVE_S, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        self._drop_old()
        if self._idle:
            self._sweep_later()

    def _drop_old(self) -> None:
        now = self._wall_clock()
        while self._idle and not 0 <= now - self._idle[0][2] <= KEEP_ALIVE_S:
            self._idle.pop(0)[1].abort()

    def _drop(self, origin: "Origin") -> None:
        """Cut the idle connections to ``origin``: what killed one has killed them all."""
        dead = [connection for other, connection, _ in self._idle if other == origin]
        self._idle = [kept for kept in self._idle if kept[0] != origin]
        for connection in dead:
            connection.abort()

    async def _through(self, setting: ProxySetting, request: httpx.Request) -> httpx.Response:
        """The answer through a proxy, by httpx's own transport, which is made once for each."""
        proxy = setting.usable()
        if proxy.url not in self._proxied:
            few = httpx.Limits(max_connections=None, max_keepalive_connections=8)
            tls = await self._tls_context()
            made = httpx.AsyncHTTPTransport(
                verify=tls, proxy=proxy, limits=few, socket_options=kept_alive()
            )
            self._proxied.setdefault(proxy.url, made)
        with setting.named(request):
            return await self._proxied[proxy.url].handle_async_request(request)

    async def _tls_context(self) -> ssl.SSLContext:
        """Made once, in a thread: reading the certificates takes a while."""
        if self._tls is None:
            self._tls = asyncio.ensure_future(asyncio.to_thread(_make_tls_context))
        try:
            return await asyncio.shield(self._tls)
        except NetworkSettingError:
            self._tls = None  # the file may be there the next time
            raise


Origin = tuple[str, str, int]
"""(scheme, host, port)."""

_SENT = httpx.ByteStream(b"")
"""In place of a body that has been sent: a stream may last an hour, and needs it no more."""


class Body(httpx.AsyncByteStream):
    """An answer's body: at each read, all that has arrived."""

    def __init__(self, transport: Transport, connection: Connection, origin: Origin) -> None:
        self._transport, self._connection, self._origin = transport, connection, origin
        self._closed = False

    @property
    def held(self) -> int:
        """Bytes that have arrived and were not read yet."""
        return self._connection.held

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self._closed and (data := await self._connection.read()):
            yield data

    async def aclose(self) -> None:
        """Keeps the connection when the body was read to its end, and cuts it otherwise."""
        if not self._closed:
            self._closed = True
            self._transport.keep(self._origin, self._connection)


def _make_tls_context() -> ssl.SSLContext:
    context = tls_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


Option = tuple[int, int, int]
"""(level, option, value) of ``setsockopt``."""


def kept_alive(
    platform: str = sys.platform, known: Mapping[str, int] | None = None
) -> list[Option]:
    """What makes a system notice a dead connection within ``KEPT_DEAD_AFTER_S``.

    ``known``: the numbers of the options, by their names in ``socket``.
    """
    numbers = vars(socket) if known is None else known
    tcp = socket.IPPROTO_TCP
    wanted = {
        "TCP_KEEPIDLE": 10,
        "TCP_KEEPALIVE": 10,  # macOS's name for it
        "TCP_KEEPINTVL": 2,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": KEPT_DEAD_AFTER_S * 1000,
    }
    options: list[Option] = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    options += [
        (tcp, int(numbers[name]), value) for name, value in wanted.items() if name in numbers
    ]
    # For data that was sent and is not acknowledged. Python has no name for these two.
    if platform == "darwin":
        options.append((tcp, 0x80, KEPT_DEAD_AFTER_S))  # TCP_RXT_CONNDROPTIME
    elif platform == "win32":
        options.append((tcp, 5, KEPT_DEAD_AFTER_S))  # TCP_MAXRT
    return options


def origin_of(request: httpx.Request) -> Origin:
    """Where ``request`` goes. Raises ``httpx.UnsupportedProtocol``."""
    url = request.url
    if url.scheme not in ("http", "https") or not url.host:
        raise httpx.UnsupportedProtocol(f"no http address: {url}", request=request)
    return url.scheme, url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme]


_PORTS = {"http": 80, "https": 443}


async def written(request: httpx.Request) -> tuple[bytes, bytes]:
    """Head and body as they are sent. Raises ``httpx.LocalProtocolError``."""
    whole = request.stream if isinstance(request.stream, httpx.ByteStream) else None
    body = await request.aread() if whole is None else b"".join(whole)
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    head = b"\r\n".join([*lines, b"", b""])
    if head.count(b"\n") != len(lines) + 1 or head.count(b"\r") != len(lines) + 1 or b"\0" in head:
        raise httpx.LocalProtocolError("a header that cannot be sent", request=request)
    if "transfer-encoding" in request.headers:
        raise httpx.LocalProtocolError("bodies are sent in one piece", request=request)
    return head, body
